#!/usr/bin/env bash
# batching.sh [options of llm-bench throughput] - continuous batching beside static batches, padded
# and not, of BATCH (32) records, and beside one record at a time: RECORDS (200) prompts of
# log-normal lengths, REPEAT (3) times in turn.
#
#     batching.sh --synthetic 135m --type q8_0 --input 32 --output 32
set -euo pipefail
records=${RECORDS:-200} repeat=${REPEAT:-3} batch=${BATCH:-32}
out=$(mktemp)
trap 'rm -f "$out"' EXIT

for _ in $(seq "$repeat"); do
    for how in "--batch 1" "--batch $batch --static" "--batch $batch --static --unpadded" "--batch $batch"; do
        # shellcheck disable=SC2086 # two words
        llm-bench throughput --no-probe --records "$records" --spread 1 "$@" $how
    done
done >"$out"

jq -rs '
    def median: sort | .[length / 2 | floor];
    group_by([.batch, .batching]) | map({
        name: (if .[0].batch == 1 then "one at a time" else "\(.[0].batching) batches of \(.[0].batch)" end),
        tok_s: map(.tok_s) | median, waste: map(.kv_waste) | median, tokens: .[0].generated_tokens,
        all: map(.tok_s | round) | sort | join(" ")})
    | sort_by(.tok_s) | .[-1].tok_s as $best
    | "tokens/s\tx\tunused KV\thow",
      (.[] | "\(.tok_s * 10 | round / 10)\t\($best / .tok_s * 100 | round / 100)\t\(.waste * 1000 | round / 10) %\t\(.name) (\(.tokens) tokens; \(.all))")
' "$out"
