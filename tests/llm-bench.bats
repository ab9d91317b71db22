bats_require_minimum_version 1.5.0

setup() {
    TINY="$BATS_TEST_DIRNAME/../examples/models/tiny.gguf"
    cd "$BATS_TEST_TMPDIR" || return 1
}

@test "llm-bench: latency is one record with medians, spread and parts of the machine's rates" {
    run -0 --separate-stderr llm-bench latency -m "$TINY" -j 1 --input 20 --output 5 --repeat 3
    [ -z "$stderr" ]
    [ "${#lines[@]}" = 1 ]
    jq -e '.bench == "latency" and .threads == 1 and .input == 20 and .output == 5 and .batch == 1
        and .prefill_tok_s > 0 and .decode_tok_s > 0 and .first_token_s > 0 and .step_ms > 0
        and .start_s > .load_s and .load_s > 0
        and .spread.prefill_tok_s.n == 3 and .spread.decode_tok_s.n == 3 and .spread.step_ms.n == 12
        and (.spread.decode_tok_s | .min <= .q1 and .q1 <= .q3 and .q3 <= .max)
        and .decode_tok_s >= .spread.decode_tok_s.min and .decode_tok_s <= .spread.decode_tok_s.max
        and .read_gb_s > 0 and .int8_gop_s > 0 and .float_gop_s > 0
        and .decode_read_percent > 0 and .prefill_peak_percent > 0
        and .peak_rss_bytes > .model_bytes / 2 and .peak_rss_bytes < 100e6
        and .cpu != "" and .isa != "" and .version != "" and has("commit")
        and has("load_average") and has("steal_percent") and .other_percent >= 0' <<<"$output"
}

@test "llm-bench: what is asked for is what is measured" {
    run -0 llm-bench latency -m "$TINY" --isa scalar --input 7 --output 1 --batch 3 --repeat 1 --warmup 0 --no-probe
    jq -e '.isa == "scalar" and .batch == 3 and (has("decode_tok_s") | not) and (has("read_gb_s") | not)
        and .spread.prefill_tok_s.n == 1' <<<"$output"
    # the time that the rates come from: 3 prompts of 7 tokens until all have their first
    jq -e '(.prefill_tok_s * .first_token_s - 21) | fabs < 0.01' <<<"$output"
    run -0 llm-bench throughput -m "$TINY" --records 9 --input 11 --output 4 --batch 2 --no-probe
    jq -e '.bench == "throughput" and .records == 9 and .input == 11 and .length_spread == 0 and .shared == 0 and .prompt_tokens == 99 and .generated_tokens == 36
        and .batching == "continuous" and .tok_s > 0
        and (.tok_s / .requests_s - 4 | fabs < 0.01) and (.prompt_tok_s / .requests_s - 11 | fabs < 0.01)' <<<"$output"
}

@test "llm-bench: what cannot be measured as it is asked for is refused" {
    # two of the 32 tokens have room: rates would be those of 32
    for mode in latency throughput; do
        run -2 llm-bench $mode -m "$TINY" --input 100 --output 32 --ctx 102 --no-probe
        [ "$output" = "llm-bench: a prompt of 100 tokens and 32 more are beyond --ctx 102" ]
    done
    llm-bench latency -m "$TINY" --input 100 --output 2 --ctx 102 --repeat 1 --no-probe | jq -e '.decode_tok_s * .step_ms / 1000 | . > 0.99 and . < 1.01'
    # each fits, the rectangle of the longest prompt and the longest output does not
    jq -nc '{prompt: ("fox " * 60)}, {prompt: "fox"}' >in
    run -2 llm-bench throughput -m "$TINY" --output 60 --ctx 100 --batch 2 --static --no-probe in
    [[ "$output" == "llm-bench: a prompt of "*" tokens and 60 more are beyond --ctx 100" ]]
    run -0 llm-bench throughput -m "$TINY" --output 60 --ctx 100 --batch 2 --static --unpadded --no-probe in
    jq -e '.generated_tokens > 60 and .generated_tokens < 120 and .generated_tokens + .prompt_tokens < 200' <<<"$output"
    run -2 llm-bench latency -m "$TINY" --input 4 --output 2 --no-probe --kv-memory 9999999G
    [[ "$output" == "llm-bench: --kv-memory: "*" MiB are more than all pages there can be, "*" MiB" ]]
    # what a mode does nothing with
    for o in "latency --spread 1" "latency --shared 5" "latency --static" "latency --records 2" "throughput --spread 1 in" \
        "throughput --shared 3 in" "throughput --records 1 in" "throughput --input 256 in" "throughput --warmup 1" \
        "probe --output 2" "make --input 4"; do
        # shellcheck disable=SC2086 # several words
        run -2 llm-bench $o -m "$TINY" --no-probe
        [[ "$o" =~ --[a-z]* ]]
        [[ "$output" == "llm-bench: ${BASH_REMATCH[0]} has no meaning for ${o%% *}"* ]]
    done
    run -2 llm-bench probe -m "$TINY"
    [ "$output" = "llm-bench: --model has no meaning for probe" ]
    for o in "--device cuda" "--device auto" "--ctx 0" --fast "--kv-type auto" "--batch-tokens 256"; do
        # shellcheck disable=SC2086 # several words
        run -2 llm-bench probe $o
        [ "$output" = "llm-bench: ${o%% *} has no meaning for probe" ]
    done
    run -0 llm-bench probe --device cpu --repeat 1 -j 1
    run -2 llm-bench make --synthetic nano --write -
    [ ! -e ./- ]
}

@test "llm-bench: throughput of mixed lengths, shared beginnings and static batches does the same work" {
    for o in "" --static "--batch 5" "--batch 5 --static" "--batch 5 --static --unpadded"; do
        # shellcheck disable=SC2086 # several options
        llm-bench throughput --synthetic nano --records 20 --input 10 --output 6 --spread 0.8 --shared 30 --no-probe $o
    done >all
    jq -c '[.prompt_tokens, .generated_tokens, .records]' all | sort -u >work
    [ "$(wc -l <work)" = 1 ]
    jq -e '.[0] > 20 * 31 and .[1] > 20 and .[2] == 20' work
    # alone there is nothing to fill up; in fives there is, unless that is not wanted
    jq -se 'map(.padding_tokens) | .[0] == 0 and .[1] == 0 and .[2] == 0 and .[3] > 100 and .[4] == 0' all
    jq -se 'map(.batching) == ["continuous", "static", "continuous", "static", "static unpadded"]' all
    run -2 llm-bench throughput --synthetic nano --unpadded
    run -0 llm-bench throughput --synthetic nano --records 20 --input 10 --output 6 --spread 0.8 --seed 1 --no-probe
    [ "$(jq '.prompt_tokens + 600' <<<"$output")" != "$(jq '.[0]' work)" ]
}

@test "llm-bench: what is computed in one step warms up twice: weights are laid out in the second" {
    for o in "--input 8 --output 1" "--input 8 --output 2" "--input 9 --output 1 --batch-tokens 8" \
        "--input 8 --output 1 --warmup 0" "--input 8 --output 1 --warmup 3"; do
        # shellcheck disable=SC2086 # several options
        llm-bench latency --synthetic nano --repeat 1 --no-probe $o | jq .warmup
    done >got
    [ "$(tr '\n' ' ' <got)" = "2 1 1 0 3 " ]
}

@test "llm-bench: counts are those of one repetition" {
    for n in 1 3; do
        llm-bench throughput --synthetic nano --records 10 --input 5 --output 5 --shared 100 --batch 3 --repeat $n --no-probe
    done >all
    jq -se 'map([.prompt_tokens, .generated_tokens, .prefix_hit_tokens]) | .[0] == [1050, 50, 900] and .[1] == .[0]' all
}

@test "llm-bench: throughput of records" {
    printf '%s\n' '{"instruction":"Reverse the list.","input":"plum fox goat"}' '{"prompt":"The fox"}' >in
    run -0 --separate-stderr llm-bench throughput -m "$TINY" --output 6 --no-probe in
    jq -e '.records == 2 and .generated_tokens == 12 and .prompt_tokens > 10' <<<"$output"
    echo '{"no":"prompt"}' >>in
    run -1 --separate-stderr llm-bench throughput -m "$TINY" --output 6 --no-probe in
    jq -e '.records == 2' <<<"$output"
    [[ "$stderr" == *"in:3:"* ]]
    jq -nc '{prompt: ("fox " * 2000)}' >long
    run -1 --separate-stderr llm-bench throughput -m "$TINY" --output 6 --no-probe long in
    jq -e '.records == 2 and .output == 6 and (has("input") | not)' <<<"$output"
    [[ "$stderr" == *"long:1: the prompt has "*" tokens and leaves no room in a context of 1024"*"in:3:"* ]]
    echo '{}' >in
    run -2 --separate-stderr llm-bench throughput -m "$TINY" --no-probe in
    [[ "$stderr" == *"no prompt in the files"* ]]
}

@test "llm-bench: synthetic models of every type run, and are files like others" {
    for t in f32 f16 bf16 q8_0 q4_0 q4_1 q5_0 q5_1 q4_k q5_k q6_k; do
        run -0 --separate-stderr llm-bench latency --synthetic nano --type $t --write $t.gguf \
            --input 5 --output 3 --repeat 1 --no-probe
        jq -e --arg t $t '.shape == "nano" and .type == $t and .decode_tok_s > 0' <<<"$output"
        llm-convert --check $t.gguf
        T=$(echo $t | tr a-z A-Z)
        llm-convert --info $t.gguf | jq -e --arg t "$T" '.types[$t].values >= 1310720 and .tokenizer.size == 512'
    done
    llm-bench make --synthetic nano --type q8_0 --write again.gguf
    cmp q8_0.gguf again.gguf
    llm-bench make --synthetic nano --type q8_0 --seed 1 --write other.gguf
    run ! cmp -s q8_0.gguf other.gguf
    echo '{"text":"a fox in the list"}' | llm-tokenize -m q8_0.gguf | llm-tokenize -m q8_0.gguf -d | jq -e '.text == "a fox in the list"'
}

@test "llm-bench: a synthetic model without --write leaves nothing behind" {
    mkdir tmp
    TMPDIR="$PWD/tmp" llm-bench latency --synthetic nano --input 4 --output 2 --repeat 1 --no-probe >out
    jq -e '.model == "nano"' out
    [ -z "$(ls -A tmp)" ]
    run -2 env TMPDIR="$PWD/tmp" llm-bench latency --synthetic nano --input 9000 --output 2
    [ -z "$(ls -A tmp)" ]
    run -2 env TMPDIR="$PWD/nowhere" llm-bench latency --synthetic nano
    [[ "$output" == *"cannot create"* ]]
}

@test "llm-bench: probe and table" {
    run -0 llm-bench probe -j 1 --repeat 2
    jq -e '.bench == "probe" and .read_gb_s > 0.1 and .int8_gop_s > 0.1 and .float_gop_s > 0.1 and .spread.read_gb_s.n == 2' <<<"$output"
    run -0 llm-bench latency -m "$TINY" --input 4 --output 2 --repeat 1 --no-probe --table
    [ "${#lines[@]}" -gt 15 ]
    [[ "$output" == *$'\ndecode_tok_s '* ]]
}

@test "llm-bench: bad usage" {
    run -2 llm-bench
    [[ "$output" == *"say latency, throughput, probe or make"* ]]
    run -2 llm-bench speed -m "$TINY"
    [[ "$output" == *"'speed'"* ]]
    run -2 llm-bench latency
    [[ "$output" == *"no model"* ]]
    run -2 llm-bench latency -m "$TINY" --synthetic nano
    run -2 llm-bench latency -m "$TINY" file
    [[ "$output" == *"latency takes no files"* ]]
    run -2 llm-bench latency -m "$TINY" --write x.gguf
    run -2 llm-bench make --synthetic nano
    run -2 llm-bench latency --synthetic tiny
    run -2 llm-bench throughput -m "$TINY" --repeat 2 file
    run -2 llm-bench latency --synthetic 135m --type q4_k
    [[ "$output" == *"block of 256"* ]]
    : >x.gguf
    run -2 llm-bench make --synthetic nano --write x.gguf
    [[ "$output" == *"--force"* ]]
    run -1 bash -c 'llm-bench latency -m "$0" --input 4 --output 2 --repeat 1 --no-probe >/dev/full' "$TINY"
}

@test "examples/bench: batching.sh and shared.sh compare, on the same work" {
    bench="$BATS_TEST_DIRNAME/../examples/bench"
    RECORDS=24 REPEAT=1 BATCH=8 run -0 --separate-stderr "$bench/batching.sh" -m "$TINY" --input 12 --output 8
    [ "${#lines[@]}" = 5 ]
    [[ "${lines[*]}" == *"one at a time ("* ]]
    [[ "${lines[*]}" == *"static batches of 8 ("* ]]
    [[ "${lines[*]}" == *"static unpadded batches of 8 ("* ]]
    [[ "${lines[*]}" == *"continuous batches of 8 ("* ]]
    [ "$(printf '%s\n' "${lines[@]:1}" | sed 's/.*(\([0-9]*\) tokens.*/\1/' | sort -u | wc -l)" = 1 ]
    RECORDS=12 REPEAT=1 SHARED=400 run -0 --separate-stderr "$bench/shared.sh" -m "$TINY" --input 8 --output 4
    [ "${#lines[@]}" = 3 ]
    [[ "${lines[1]}" == *"0 %"*"every prompt whole" ]]
    [[ "${lines[2]}" == *"prefix cache" ]]
    # of twelve prompts of 408 tokens, eleven find 400 and 384 of them in whole pages
    awk -F '\t' '{exit !($3 + 0 > 85 && $2 > 1)}' <<<"${lines[2]}"
}

@test "examples/bench: peer.sh compares with another program, and says what it cannot use" {
    bench="$BATS_TEST_DIRNAME/../examples/bench"
    cat >peer <<'EOT'
#!/bin/sh
[ "$*" = --help ] || echo '[{"avg_ts": 0.5}]'
EOT
    chmod +x peer
    export PEER_BENCH="slow=$PWD/peer -x" LIMIT=1000 RETRIES=0
    run -0 --separate-stderr "$bench/peer.sh" -n 1 -j 1 -t pp4,tg3,tg3@20,start "$TINY"
    [[ "${lines[*]}" == *"tiny   pp4 "*"slow 0.5 (0.5-0.5)"*"tiny   start s "*"tiny   start MB "*"tiny   tg3 "*"slow 0.5 (0.5-0.5)"*"tiny   tg3@20 "*"slow 0.5 (0.5-0.5)"* ]]
    run -2 "$bench/peer.sh"
    [[ "$output" == *PEER_BENCH=*"LLM_BENCH is ours (default: llm-bench of the PATH)." ]]
    run -2 "$bench/table.sh" nofile
    [ "$output" = "table.sh: cannot read 'nofile'" ]
    run -2 "$bench/peer.sh" -t fast "$TINY"
    [ "$output" = "peer.sh: 'fast': no such test" ]
    run -2 "$bench/peer.sh" -t pg4x2 "$TINY"
    [ "$output" = "peer.sh: 'pg4x2' needs PEER_BATCHED" ]
    run -2 "$bench/peer.sh" missing.gguf
    [ "$output" = "peer.sh: cannot read 'missing.gguf'" ]
    PEER_BENCH="$PWD/missing -x" run -2 "$bench/peer.sh" "$TINY"
    [ "$output" = "peer.sh: '$PWD/missing' cannot be run" ]
}

@test "llm-bench: a signal while files are read ends it; nothing is measured with some of their prompts" {
    echo '{"prompt":"a"}' >in
    run -75 --separate-stderr env --block-signal=TERM sh -c 'kill -TERM $$; exec "$@"' - \
        llm-bench throughput -m "$TINY" --output 2 --no-probe in
    [ "$stderr" = "llm-bench: stopped before all was read; nothing was measured" ]
    [ -z "$output" ]
}
