bats_require_minimum_version 1.5.0

setup() {
    TINY="$BATS_TEST_DIRNAME/../examples/models/tiny.gguf"
    cd "$BATS_TEST_TMPDIR" || return 1
}

gen() {
    llm-generate -m "$TINY" "$@"
}

task='{"instruction":"Reverse the list.","input":"plum fox goat"}'

@test "llm-generate: the embedded model answers, and the record says why it ended" {
    run -0 --separate-stderr gen -t 0 <<<"$task"
    [ -z "$stderr" ]
    [ "${#lines[@]}" = 1 ]
    jq -e '.output == "goat fox plum" and .finish_reason == "stop" and .usage.completion_tokens == 4
        and (.id | test("^[0-9a-f]{32}$"))' <<<"$output"
    [[ "$output" == "${task%\}},"* ]]
}

@test "llm-generate: fields pass through byte for byte, in order, and are replaced in place" {
    run -0 gen -t 0 -n 2 <<<'{"z":1.00, "id":"a" ,"output":"old","instruction":"Reverse the list.","big":123456789012345678901234567890,"e":1E5,"s":"\u00e9\/"}'
    [[ "$output" == '{"z":1.00, "id":"a" ,"output":"'*'","instruction":"Reverse the list.","big":123456789012345678901234567890,"e":1E5,"s":"\u00e9\/","finish_reason":'* ]]
}

@test "llm-generate: prompt, messages, conversations" {
    m='[{"role":"user","content":"Reverse the list."}]'
    run -0 gen -t 0 -n 8 <<EOT
{"id":1,"messages":$m}
{"id":2,"conversations":[{"from":"human","value":"Reverse the list."}]}
{"id":3,"instruction":"Reverse the list."}
{"id":4,"prompt":"Reverse"}
EOT
    [ "$(jq -s '[.[0,1,2].output] | unique | length' <<<"$output")" = 1 ]
    [ "$(jq -s -c 'map(.id)' <<<"$output")" = '[1,2,3,4]' ]
}

@test "llm-generate: stop texts end the output before them" {
    full=$(gen -t 0 <<<"$task" | jq -r .output)
    [ "$full" = "goat fox plum" ]
    run -0 gen -t 0 --stop " plum" --stop zzz <<<"$task"
    [ "$(jq -r .output <<<"$output")" = "goat fox" ]
    [ "$(jq -r .finish_reason <<<"$output")" = stop ]
    run -0 gen -t 0 --stop "at f" <<<"$task"
    [ "$(jq -r .output <<<"$output")" = "go" ]
}

@test "llm-generate: -n cuts, --ignore-eos goes on" {
    run -0 gen -t 0 -n 2 <<<"$task"
    [ "$(jq -c '[.finish_reason, .usage.completion_tokens]' <<<"$output")" = '["length",2]' ]
    run -0 gen -t 0 -n 40 --ignore-eos <<<"$task"
    [ "$(jq -c '[.finish_reason, .usage.completion_tokens]' <<<"$output")" = '["length",40]' ]
}

@test "llm-generate: samples are records of their own, with number and the same id" {
    run -0 gen -t 8 --samples 4 -n 8 <<<"$task"
    [ "$(jq -s -c 'map(.sample)' <<<"$output")" = '[0,1,2,3]' ]
    [ "$(jq -s -c 'map(.id) | unique | length' <<<"$output")" = 1 ]
    [ "$(jq -s -c 'map(.output) | unique | length' <<<"$output")" -gt 1 ]
}

@test "llm-generate: log-probabilities: one entry a token, likeliest first, the greedy one on top" {
    run -0 gen -t 0 --logprobs 3 <<<"$task"
    jq -e '(.logprobs | length) == .usage.completion_tokens
        and all(.logprobs[]; .id == .top[0].id and .logprob == .top[0].logprob and .logprob <= 0
            and (.top | length) == 3 and .top[0].logprob >= .top[1].logprob and .top[1].logprob >= .top[2].logprob)
        and .logprobs[-1].token == "</s>"' <<<"$output"
    # three bytes a character
    run -0 gen -t 0 -n 6 --logprobs 1 <<<'{"prompt":"List: "}'
    jq -e '(.output | length) == 2 and all(.logprobs[]; .id > 0 and has("token") and .token == null)' <<<"$output"
}

@test "llm-generate: greedy is the limit of top-k 1 and of a tiny temperature" {
    a=$(gen -t 0 <<<"$task" | jq -r .output)
    [ "$(gen -t 1 -k 1 <<<"$task" | jq -r .output)" = "$a" ]
    [ "$(gen -t 0.001 <<<"$task" | jq -r .output)" = "$a" ]
    [ "$(gen -t 1 -p 0 <<<"$task" | jq -r .output)" = "$a" ]
    [ "$(gen -t 1 --min-p 1 <<<"$task" | jq -r .output)" = "$a" ]
}

@test "llm-generate: a presence penalty keeps tokens from coming again" {
    gen -t 0 -n 30 --ignore-eos --logprobs 1 --presence-penalty 100 <<<"$task" >out
    [ "$(jq '[.logprobs[].id] | (length == (unique | length))' out)" = true ]
}

@test "llm-generate: logit biases: ids and texts, one for each token, ban; empty stop texts; models without a head" {
    run -0 gen -t 0 --logit-bias ' fox:ban' <<<"$task"
    [ "$(jq -r .output <<<"$output")" = "goat 13 plum" ]
    id=$(gen -t 0 --logprobs 1 <<<"$task" | jq '.logprobs[1].id')
    [ "$(gen -t 0 --logit-bias "$id:-50" <<<"$task" | jq -r .output)" = "goat 13 plum" ]
    [ "$(gen -t 0 --logit-bias '"\u0020fox":0' <<<"$task" | jq -r .output)" = "goat fox plum" ]
    run -2 gen -t 0 --logit-bias "$id:ban" --logit-bias '"\u0020fox":0' <<<"$task"
    [[ "$output" == *"token $id has a bias already"* ]]
    run -2 gen --stop x --stop '' <<<"$task"
    [[ "$output" == *"--stop: an empty text stops nothing"* ]]
    run -2 gen -m "$BATS_TEST_DIRNAME/data/reward/five" <<<"$task"
    [[ "$output" == *"a classifier without a head for tokens"* ]]
    # a grammar of which all is banned
    echo 'root ::= "x"' >x.gbnf
    run -1 gen -t 0 --grammar x.gbnf --logit-bias x:ban --rejects banned.jsonl <<<"$task"
    [[ "$output" == *"all that could come is banned by --logit-bias"* ]]
    [ "$(jq -r .reject.rule banned.jsonl)" = logits ]
    # log-probabilities are those of the model
    a=$(gen -t 0 --logprobs 2 <<<"$task" | jq -c '.logprobs[1].top')
    [ "$(gen -t 0 --logprobs 2 --logit-bias ' fox:ban' <<<"$task" | jq -c '.logprobs[1].top')" = "$a" ]
}

@test "llm-generate: biases that cannot be read end with 2" {
    for b in x ' fox:' ' fox:1x' ' fox:inf' ' fox:nan' ' fox:1e9' :3 99999999:1 99999999999999999999:1 -1:1 'no such token:1' '"fox:1'; do
        run -2 --separate-stderr gen --logit-bias "$b" <<<"$task"
        [[ "$stderr" == "llm-generate: --logit-bias: '$b'"* ]]
    done
}

@test "llm-generate: narrow truncation at a high temperature is the greedy answer" {
    a=$(gen -t 0 <<<"$task" | jq -r .output)
    [ "$(gen -t 5 --top-n-sigma 0.001 <<<"$task" | jq -r .output)" = "$a" ]
    [ "$(gen -t 1 --typical-p 0.001 <<<"$task" | jq -r .output)" = "$a" ]
    [ "$(gen -t 1 --mirostat-tau 0.01 <<<"$task" | jq -r .output)" = "$a" ]
    [ "$(gen -t 5 <<<"$task" | jq -r .output)" != "$a" ]
}

@test "llm-generate: Mirostat steers surprise to its aim" {
    for aim in 2 5; do
        gen -t 1.5 -n 200 --samples 8 --ignore-eos --logprobs 1 --mirostat-tau $aim <<<"$task" >out
        # the model's own log-probabilities are not the tempered, cut ones, so only the order is sure
        jq -s '[.[].logprobs[100:][].logprob] | -(add / length) / (2 | log)' out >bits.$aim
    done
    awk 'NR == FNR {a = $1; next} {exit !(a < $1 && a > 0.5)}' bits.2 bits.5
    run -2 --separate-stderr gen --mirostat-tau 5 -k 40 <<<"$task"
    [[ "$stderr" == *"--mirostat-tau stands in the place of --top-k"* ]]
}

@test "llm-generate: DRY ends repetitions, breakers let them be" {
    task='{"prompt":"plum fox goat plum fox goat plum fox goat plum fox"}'
    third() {
        gen -n 1 --logprobs 1 -t 0 "$@" <<<"$task" | jq -r '.logprobs[0].token'
    }
    run -0 third --logit-bias ' goat:30'
    [ "$output" = " goat" ]
    run -0 third --logit-bias ' goat:30' --dry-multiplier 2
    [ "$output" != " goat" ]
    run -0 third --logit-bias ' goat:30' --dry-multiplier 2 --dry-range 3
    [ "$output" = " goat" ]
    run -0 third --logit-bias ' goat:30' --dry-multiplier 2 --dry-allowed-length 9
    [ "$output" = " goat" ]
    run -0 third --logit-bias ' goat:30' --dry-multiplier 2 --dry-breaker fox
    [ "$output" = " goat" ]
}

@test "llm-generate: beams: the best first, with scores, as many as samples" {
    gen --beams 5 --samples 5 -n 24 <<<"$task" >out
    jq -s -e 'map(.sample) == [0,1,2,3,4] and (map(.output) | unique | length) == 5 and .[0].output == "goat fox plum"
        and ([.[].beam_score] | . == (sort | reverse))
        and all(.[]; (.beam_score - .logprob_sum / .usage.completion_tokens | fabs) < 0.0001)' out
    [ "$(gen --beams 5 -n 24 <<<"$task")" = "$(sed -n 1p out | jq -c 'del(.sample)')" ]
    # what the search says of an output is what the model says of it (which counts no end token)
    gen --beams 4 --samples 4 -n 3 <<<"$task" >cut
    gen --score cut | jq -c '[.output, (.logprob_sum * 1000 | round)]' >again
    jq -c '[.output, (.logprob_sum * 1000 | round)]' cut | cmp again -
}

@test "llm-generate: beams find what greedy misses, groups find other outputs" {
    printf '{"prompt":"As"}\n{"prompt":"plum"}\n' >in.jsonl
    gen -t 0 -n 8 in.jsonl >greedy
    gen --score greedy | jq .logprob_sum >g
    gen --beams 8 -n 8 in.jsonl | jq .logprob_sum >b
    paste g b | awk '$2 < $1 - 1e-4 {bad = 1} $2 > $1 + 1e-4 {more = 1} END {exit bad || !more}'
    gen --beams 4 --samples 4 -n 8 in.jsonl | jq -r '.output[:4]' | sort -u | wc -l >plain
    gen --beams 4 --beam-groups 4 --diversity 5 --samples 4 -n 8 in.jsonl | jq -r '.output[:4]' | sort -u | wc -l >groups
    [ "$(cat groups)" -gt "$(cat plain)" ]
}

@test "llm-generate: beams end at stop texts, keep to grammars, mind biases and penalties" {
    run -0 gen --beams 4 --samples 4 -n 24 --stop fox <<<"$task"
    jq -s -e 'length == 4 and all(.[]; .output | contains("fox") | not) and .[0].output == "goat " and .[0].finish_reason == "stop"' <<<"$output"
    echo 'root ::= ("pig" | "cow" | "hen") " " [a-z]{2,5} "."' >g.gbnf
    gen --beams 6 --samples 6 --grammar g.gbnf <<<"$task" >out
    [ "$(jq -r .output out | sort -u | grep -cE '^(pig|cow|hen) [a-z]{2,5}\.$')" = 6 ]
    [ "$(gen --beams 3 -n 8 --logit-bias ' goat:ban' <<<"$task" | jq -r .output | grep -c '^goat')" = 0 ]
    echo 'root ::= "yes" | "no"' >two.gbnf
    run -0 gen --beams 4 --samples 2 --grammar two.gbnf <<<"$task"
    [ "$(jq -r .output <<<"$output" | sort | xargs)" = "no yes" ]
    # a grammar of fewer texts than samples: a record is written whole or rejected
    echo 'root ::= "x"' >one.gbnf
    run -1 --separate-stderr gen --beams 8 --samples 8 -n 1 --grammar one.gbnf <<<"$task"
    [ -z "$output" ]
    [ "$stderr" = "llm-generate: <stdin>:1: the search found fewer outputs than --samples asks for" ]
}

@test "llm-generate: beams: what cannot be is refused with 2" {
    for bad in '--beams 0' '--beams 300' '--beams 4 --beam-groups 3' '--beam-groups 2' '--diversity 1' \
        '--beams 4 --diversity 1' '--beams 2 --samples 3' '--beams 2 -k 5' '--beams 2 -p 0.9' \
        '--beams 2 --mirostat-tau 3' '--beams 2 --score' '--beams 2 --logprobs 1' '--beams 2 --early-stopping maybe' \
        '--beams 8 --ctx 256 --kv-memory 5.9M' '--length-penalty 11'; do
        # shellcheck disable=SC2086
        run -2 --separate-stderr gen $bad <<<"$task"
        [[ "$stderr" == "llm-generate: --"* ]]
    done
    run -0 gen --beams 8 --ctx 256 --kv-memory 6.1M -n 4 <<<"$task"
}

@test "llm-generate: --score: the log-probabilities of what was generated, again" {
    gen -t 1.2 -n 40 --samples 12 --logprobs 2 <<<"$task" | jq -c 'select(.finish_reason == "stop") | del(.logprobs[-1])' >made
    gen --score --logprobs 2 made >scored
    jq -s -e --slurpfile m made '
        def same: [., $m] | transpose | map(select((.[0].logprobs | map(.id)) == (.[1].logprobs | map(.id))));
        length == ($m | length) and (same | length) >= 6 and all(same[];
            .[0].logprobs == .[1].logprobs and .[0].usage.prompt_tokens == .[1].usage.prompt_tokens
            and (.[0].logprob_sum - ([.[1].logprobs[].logprob] | add) | fabs) < 0.0001
            and (.[0].perplexity - (-.[0].logprob_sum / .[0].usage.completion_tokens | exp) | fabs) < 0.001)' scored
    gen --score --batch 1 --batch-tokens 1 made | jq -c .logprob_sum >one
    gen --score --batch 32 -j 3 --batch-tokens 7 made | jq -c .logprob_sum | cmp one -
    jq -c .logprob_sum scored | cmp one -
}

@test "llm-generate: --score: as Hugging Face transformers' log-probabilities" {
    while read -r line; do
        name=$(jq -r .model <<<"$line")
        run -0 llm-generate -m "$BATS_TEST_DIRNAME/data/logits/$name" --score <<<"$line"
        jq -e '(.logprob_sum - .want | fabs) < 0.001' <<<"$output"
    done <"$BATS_TEST_DIRNAME/data/score.jsonl"
}

@test "llm-generate: --score: records without an output, and what does not fit" {
    printf '%s\n' '{"prompt":"a"}' '{"prompt":"a","output":3}' '{"prompt":"a","output":""}' \
        '{"prompt":"a fox","output":" plum goat plum goat plum goat"}' '{"prompt":"a","output":" fox"}' >in.jsonl
    run -1 --separate-stderr gen --score --ctx 8 in.jsonl
    [ "${#lines[@]}" = 1 ]
    [[ "${stderr_lines[0]}" == *"in.jsonl:1: no field 'output'" ]]
    [[ "${stderr_lines[1]}" == *"in.jsonl:2: field 'output' is not a string" ]]
    [[ "${stderr_lines[2]}" == *"in.jsonl:3: field 'output' has no tokens" ]]
    [[ "${stderr_lines[3]}" == *"in.jsonl:4: the prompt with the output has "*" tokens and leaves no room in a context of 8" ]]
    for none in '--samples 2' '--samples 1' '-n 3' '-t 1' '-t 0' '--stop x' '--logit-bias 3:1' --ignore-eos '--beams 2' \
        '--json-schema in.jsonl'; do
        # shellcheck disable=SC2086
        run -2 --separate-stderr gen $none --score in.jsonl
        [[ "$stderr" == "llm-generate: --"*" has no effect with --score"* ]]
    done
}

@test "llm-generate: a record that cannot be used is reported, kept and does not end the run" {
    printf '%s\n' '{"id":"a","instruction":"Reverse the list."}' '{bad' '{"id":"c"}' '' '{"id":"d","prompt":7}' \
        '{"id":"e","instruction":"Reverse the list."}' >in.jsonl
    run -1 --separate-stderr gen -t 0 -n 4 --rejects rej.jsonl in.jsonl
    [ "$(jq -s -c 'map(.id)' <<<"$output")" = '["a","e"]' ]
    [[ "$stderr" == *"llm-generate: in.jsonl:2: "* ]]
    [[ "$stderr" == *"llm-generate: in.jsonl:3: no field 'prompt'"* ]]
    [[ "$stderr" == *"llm-generate: in.jsonl:5: field 'prompt' is not a string"* ]]
    [ "$(wc -l <rej.jsonl)" = 3 ]
    jq -e '.reject.stage == "llm-generate" and (.reject.line | type == "number")' rej.jsonl
}

@test "llm-generate: bad bytes: invalid UTF-8, NUL, CRLF, long line, empty file, UTF-16" {
    printf '{"prompt":"a\xff"}\n{"prompt":"b\x00"}\n{"prompt":"fox"}\r\n' >in.jsonl
    run -1 --separate-stderr gen -t 0 -n 2 in.jsonl
    [ "${#lines[@]}" = 1 ]
    [ "${#stderr_lines[@]}" = 2 ]
    : >empty
    run -0 --separate-stderr gen empty
    [ -z "$output$stderr" ]
    { printf '{"prompt":"'; head -c 10000000 /dev/zero | tr '\0' a; printf '"}\n{"prompt":"fox"}\n'; } >long.jsonl
    run -1 --separate-stderr gen -n 2 --stats s.json long.jsonl
    [ "${#lines[@]}" = 1 ]
    [[ "$stderr" == *"long.jsonl:1: the prompt has 10000000 bytes and leaves no room in the context"* ]]
    jq -e '.peak_rss_bytes <= 2 * 10000000 + 64 * 1048576' s.json
    printf '\xff\xfe{\0"\0' >utf16
    run -1 gen utf16
}

@test "llm-generate: too long for the context is a reject that says the numbers" {
    run -1 --separate-stderr gen --ctx 8 <<<"$task"
    [ -z "$output" ]
    [[ "$stderr" == *"<stdin>:1: the prompt has "*" tokens and leaves no room in a context of 8" ]]
}

@test "llm-generate: usage errors name the option and end with 2" {
    run -2 gen --temp 200
    [ "${lines[0]}" = "llm-generate: --temp: '200' is not a number in 0..100" ]
    run -2 gen --bogus
    [[ "$output" == *"unknown option '--bogus'"* ]]
    run -2 llm-generate </dev/null
    [[ "$output" == *"no model: name one with -m"* ]]
    run -2 llm-generate -m /nonexistent </dev/null
    [[ "$output" == *"/nonexistent"* ]]
    run -2 gen /nonexistent.jsonl
    [[ "$output" == *"/nonexistent.jsonl"* ]]
    run -2 gen -d cuda <<<"$task"
    [[ "$output" == *cuda* ]]
    run -2 gen --shard 3/2 <<<"$task"
    run -2 gen --chat-template nope <<<"$task"
    [[ "$output" == *nope* ]]
}

@test "llm-generate: help shows every default from the struct, version has a number" {
    run -0 llm-generate -h
    [[ "$output" == *"--max-tokens <n>"*"[256]"* ]]
    run -0 llm-generate --version
    [[ "$output" =~ ^llm-generate\ \(llmutils\)\ [0-9.]+$ ]]
}

@test "llm-generate: lost output is not success" {
    run -1 sh -c "printf '%s\n' '$task' | llm-generate -m '$TINY' >/dev/full"
}

@test "llm-generate: stats count what happened" {
    run -1 --separate-stderr gen -n 4 --stats s.json <<<"$task
{}"
    jq -e '.read == 2 and .written == 1 and .rejected == 1 and .generated_tokens == 4' s.json
}

@test "llm-generate: stories260K continues exactly as its authors' program does" {
    [ -e "$LLM_TEST_DATA/stories260K.bin" ] || skip "no LLM_TEST_DATA"
    llm-convert "$LLM_TEST_DATA/stories260K.bin" --tokenizer "$LLM_TEST_DATA/tok512.bin" -o s.gguf
    awk '/^```$/ {on = !on; next} on' "$LLM_TEST_DATA/README.md" >want
    printf '{"prompt":"Once upon a time"}\n' |
        llm-generate -m s.gguf -t 0 -n 400 | jq -r '.prompt + .output' >got
    n=$(($(wc -c <want) - 1))
    head -c $n want | cmp - <(head -c $n got)
}

@test "llm-generate: an HF directory opens as it is" {
    dir=$(find "$BATS_TEST_DIRNAME/data/logits" -name config.json | sort | head -1)
    run -0 llm-generate -m "$(dirname "$dir")" -t 0 -n 4 <<<'{"prompt":"abc"}'
    [ "$(jq .usage.completion_tokens <<<"$output")" = 4 ]
}

@test "llm-generate: peak memory stays within model, cache and 64 MiB" {
    for i in $(seq 40); do echo "$task"; done | gen -t 1 -n 200 --batch 16 --ignore-eos --stats s.json >/dev/null
    jq -e '.peak_rss_bytes <= .model_bytes + .cache_bytes + 64 * 1048576' s.json
}

@test "llm-generate: --grammar: outputs match, or begin a text that does when they are cut" {
    echo 'root ::= "yes" | "no" (", " [a-z]{3,5}){2}' >g.gbnf
    for i in $(seq 20); do echo "{\"id\":$i,\"instruction\":\"Say $i.\"}"; done >in
    run -0 --separate-stderr gen -t 2 --grammar g.gbnf in
    [ -z "$stderr" ]
    jq -e -s 'all(.[]; .finish_reason == "stop" and (.output | test("^(yes|no(, [a-z]{3,5}){2})$")))
        and (map(.output == "yes") | any) and (map(.output == "yes") | all | not)' <<<"$output"
    { printf '\xef\xbb\xbf'; cat g.gbnf; } >marked.gbnf # a byte order mark
    gen -t 2 --grammar marked.gbnf in | cmp - <(gen -t 2 --grammar g.gbnf in)
    run -0 gen -t 2 --grammar g.gbnf -n 3 in
    jq -e -s 'all(.[]; .finish_reason == "length" or .output == "yes")' <<<"$output"
    jq -e -s 'all(.[]; .output | test("^(y(es?)?|no?(, ?([a-z]{0,5}(, ?[a-z]{0,5})?)?)?)$"))' <<<"$output"
}

@test "llm-generate: --grammar: the end is allowed only where the text is whole; characters stay whole" {
    echo 'root ::= [\u00e9\u4e2d\U0001F600]{4} "."?' >g.gbnf
    run -0 gen -t 0 --grammar g.gbnf -n 5 --samples 3 <<<"$task"
    jq -e -s 'all(.[]; .output | test("^[é中😀]*[.]?$"))' <<<"$output"
    run -0 gen -t 1 --grammar g.gbnf --samples 8 <<<"$task"
    jq -e -s 'all(.[]; .finish_reason == "stop" and (.output | test("^[é中😀]{4}[.]?$")))' <<<"$output"
}

@test "llm-generate: --grammar: what cannot be used is refused and named, --resume knows the text" {
    echo 'root ::= nix' >g.gbnf
    run -2 --separate-stderr gen --grammar g.gbnf <<<"$task"
    [ "$stderr" = "llm-generate: g.gbnf: line 1: rule 'nix' is not defined" ]
    run -2 --separate-stderr gen --grammar nowhere.gbnf <<<"$task"
    [[ "$stderr" == *nowhere.gbnf* ]]
    echo 'root ::= "a" | "b"' >g.gbnf
    run -2 --separate-stderr gen --grammar g.gbnf --ignore-eos <<<"$task"
    [[ "$stderr" == *--ignore-eos* ]]
    gen --grammar g.gbnf -o out.jsonl <<<"$task"
    cp g.gbnf same.gbnf
    gen --grammar same.gbnf -o out.jsonl --resume <<<"$task"
    echo 'root ::= "a"' >g.gbnf
    run -2 --separate-stderr gen --grammar g.gbnf -o out.jsonl --resume <<<"$task"
    [[ "$stderr" == *grammar* ]]
}

@test "llm-generate: a model file that becomes shorter while in use ends the run with its name" {
    cd "$BATS_TEST_TMPDIR"
    for how in 'truncate -s 8192 "the model.gguf"' 'echo other >"the model.gguf"'; do
        for threads in 1 2; do
            cp "$TINY" "the model.gguf"
            mkfifo in
            llm-generate -m "the model.gguf" -j "$threads" -n 3 --stop ' ' <in >out 2>err &
            pid=$!
            exec 4>in
            echo '{"prompt":"a"}' >&4
            while [ ! -s out ]; do sleep 0.02; done
            eval "$how"
            # in a shell of its own: the program may end amid the lines
            (printf '{"prompt":"a b c d e f g h i j k l m n o p %s"}\n' 1 2 3 4 5 >&4) || :
            exec 4>&-
            rc=0
            wait "$pid" || rc=$?
            [ "$rc" = 2 ]
            [ "$(wc -l <err)" = 1 ]
            grep -q "^llm-generate: '.*/the model.gguf' cannot be read any more" err
            rm in out err "the model.gguf"
        done
    done
}

@test "llm-generate: --json-schema: 200 outputs of the embedded model parse and keep to it" {
    cat >person.json <<'EOT'
{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","additionalProperties":false,
 "properties":{"name":{"type":"string","minLength":1,"maxLength":12},"age":{"type":"integer","minimum":-3,"maximum":130},
  "score":{"type":"number","minimum":-1.5,"exclusiveMaximum":2.25},
  "tags":{"type":"array","items":{"enum":["red","a \"b\"",7,null]},"minItems":1,"maxItems":3},
  "born":{"type":"string","format":"date"},"code":{"type":"string","pattern":"^[A-Z]{2}-[0-9]{1,4}$"},
  "kind":{"anyOf":[{"const":"a"},{"type":"boolean"},{"$ref":"#/$defs/pair"}]}},
 "required":["name","age","tags"],
 "$defs":{"pair":{"prefixItems":[{"type":"null"},{"type":"integer","minimum":0,"maximum":9}],"minItems":2}}}
EOT
    for i in $(seq 200); do echo "{\"id\":$i,\"instruction\":\"Say $i.\"}"; done >in
    run -0 --separate-stderr gen -t 1 -n 600 --json-schema person.json in
    [ -z "$stderr" ]
    jq -e -s 'length == 200 and all(.[]; .finish_reason == "stop")' <<<"$output"
    jq -e -s 'all(.[].output | fromjson; type == "object"
        and (keys - ["name", "age", "score", "tags", "born", "code", "kind"] == [])
        and (.name | type == "string" and length >= 1 and length <= 12)
        and (.age | . == floor and . >= -3 and . <= 130)
        and (.score == null or (.score >= -1.5 and .score < 2.25))
        and (.tags | type == "array" and length >= 1 and length <= 3)
        and (.tags - ["red", "a \"b\"", 7, null] == [])
        and (.born == null or (.born | test("^[0-9]{4}-(0[1-9]|1[0-2])-[0-3][0-9]$")))
        and (.code == null or (.code | test("^[A-Z]{2}-[0-9]{1,4}$")))
        and (.kind | . == null or . == "a" or type == "boolean" or (.[0] == null and .[1] >= 0 and .[1] <= 9 and length == 2)))' <<<"$output"
    jq -e -s '[.[].output | fromjson | keys[]] | unique | length == 7' <<<"$output"
}

@test "llm-generate: --json-schema: what is not supported is named with its place" {
    no() {
        echo "$1" >s.json
        run -2 --separate-stderr gen --json-schema s.json <<<"$task"
        [ "$stderr" = "llm-generate: s.json: $2" ]
    }
    no '{"properties":{"a/b":{"items":[{"not":{}}]}}}' "/properties/a~1b/items: a schema must be an object, true or false"
    no '{"properties":{"a":{"not":{}}}}' "/properties/a: keyword 'not' is not supported"
    no '{"$ref":"http://x/y"}' "/\$ref: only references within the schema ('#...') are supported"
    no '{"$ref":"#"}' "the schema: references lead back to where they began"
    no '{"type":"string","enum":[1]}' "no text matches the grammar"
    no '{"type":"number","multipleOf":0.1}' "/multipleOf: 'multipleOf' is supported for 1 only"
    no '{"type":"integer","minimum":1e15}' "/minimum: numbers have at most 15 digits before the point here"
    no '{"type":"integer","maximum":-1e15}' "/maximum: numbers have at most 15 digits before the point here"
    no '{"pattern":"^(a|b)*a(a|b){20}$","maxLength":99}' "/pattern: patterns and lengths of a string: too large together"
    no '{"pattern":"^a+$","allOf":[{"pattern":"b"}]}' "no text matches the grammar"
    no '{"format":"ipv4","enum":["1.2.3.4","a"]}' "/enum/1: cannot be told to be of format 'ipv4'"
    no '{"format":"x","const":"a"}' "/format: format 'x' is not supported"
    no '{"a":' "byte 6: text ends too early"
    echo '{}' >s.json
    run -2 --separate-stderr gen --json-schema s.json --grammar s.json <<<"$task"
    [ "$stderr" = "llm-generate: --grammar and --json-schema exclude each other" ]
}
