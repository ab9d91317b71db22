#!/usr/bin/env bash
# shared.sh [options of llm-bench throughput] - the prefix cache: RECORDS (200) prompts that all
# begin with the same SHARED (1000) tokens, with and without it, REPEAT (3) times in turn.
#
#     shared.sh --synthetic 135m --type q8_0 --input 24 --output 16
set -euo pipefail
records=${RECORDS:-200} shared=${SHARED:-1000} repeat=${REPEAT:-3} batch=${BATCH:-32}
out=$(mktemp)
trap 'rm -f "$out"' EXIT

for _ in $(seq "$repeat"); do
    for how in --no-prefix-cache ""; do
        # shellcheck disable=SC2086 # a word or none
        llm-bench throughput --no-probe --records "$records" --shared "$shared" --batch "$batch" "$@" $how
    done
done >"$out"

jq -rs '
    def median: sort | .[length / 2 | floor];
    group_by(.prefix_hit_tokens > 0) | map({
        name: (if .[0].prefix_hit_tokens > 0 then "prefix cache" else "every prompt whole" end),
        rate: map(.requests_s) | median, hits: (.[0].prefix_hit_tokens / .[0].prompt_tokens)})
    | .[0].rate as $whole
    | "records/s\tx\tfound\thow",
      (.[] | "\(.rate * 100 | round / 100)\t\(.rate / $whole * 100 | round / 100)\t\(.hits * 1000 | round / 10) %\t\(.name)")
' "$out"
