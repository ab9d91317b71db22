# Commands over a server (tests/faulty_server.c): what is asked, every fault, order, resuming.
bats_require_minimum_version 1.5.0
load server

setup() {
    TINY="$BATS_TEST_DIRNAME/../examples/models/tiny.gguf"
    SEEDS="$BATS_TEST_DIRNAME/../examples/synthetic/seeds.jsonl"
    cd "$BATS_TEST_TMPDIR" || return 1
    server_open
}

teardown() {
    server_close
}

gen() {
    llm-generate -m "$URL" "$@"
}

records() {
    for i in $(seq "$1"); do echo "{\"id\":$i,\"instruction\":\"do $i\"}"; done
}

@test "remote: messages and raw prompts, sampling, stop texts and seeds are asked as the interface has them" {
    server
    run -0 --separate-stderr gen -t 0.5 -p 0.9 -k 7 --min-p 0.25 -n 9 --presence-penalty 1 --stop X --stop '"' <<'EOT'
{"id":1,"instruction":"a \"b\"","input":"c","system":"s"}
{"id":2,"prompt":"raw"}
{"id":3,"conversations":[{"from":"human","value":"h"},{"from":"gpt","value":"g"}]}
EOT
    [ -z "$stderr" ]
    cut -f2 port.log | jq -e -s 'map(del(.seed, .messages, .prompt, .model)) | unique
        == [{"max_tokens":9,"temperature":0.5,"top_p":0.9,"top_k":7,"min_p":0.25,"presence_penalty":1,"stop":["X","\""]}]'
    [ "$(cut -f2 port.log | jq -c 'select(.prompt) | [.model, .prompt]')" = '["test-model","raw"]' ]
    [ "$(cut -f2 port.log | jq -c '.messages | select(. and length == 2)')" = '[{"role":"system","content":"s"},{"role":"user","content":"a \"b\"\n\nc"}]' ]
    [ "$(cut -f2 port.log | jq .seed | sort -u | wc -l)" = 3 ]
    jq -e -s 'map(.id) == [1,2,3] and map(.output[0:5]) == ["Name "," Name","Name "] and all(.[]; .finish_reason == "stop"
        and .usage == {"prompt_tokens":7,"completion_tokens":5})' <<<"$output"
}

@test "remote: seeds depend on seed, record and sample, not on the run" {
    server
    records 3 | gen --samples 2 >a
    records 3 | gen --samples 2 --batch 1 >b
    cmp a b
    [ "$(jq -r .output a | sort -u | wc -l)" = 6 ]
    records 3 | gen --samples 2 --seed 1 >c
    run ! cmp a c
}

@test "remote: an answer ends before the first stop text, also of a server that leaves it there" {
    server
    run -0 gen --stop 'END' --stop '"' --stop ND <<<'{"id":1,"instruction":"say{one\n END two END}"}
{"id":2,"prompt":"say{a \u0000 N ENN}"}'
    jq -e -s 'map([.id, .output]) == [[1, "one\n "], [2, "a \u0000 N ENN"]]' <<<"$output"
}

@test "remote: a server that counts no tokens leaves no counts of an older output" {
    server korean
    run -0 gen <<<'{"id":1,"instruction":"x","output":"y","usage":{"prompt_tokens":9,"completion_tokens":9},"n":1}
{"id":2,"instruction":"x"}'
    jq -e -s '.[0].usage == null and (map(keys_unsorted) == [["id","instruction","output","usage","n","finish_reason"],
        ["id","instruction","output","finish_reason"]])' <<<"$output"
}

@test "remote: many requests are under way at once, no more than --batch, and the order is kept" {
    server
    records 60 | gen --batch 8 --unordered >u
    records 60 | gen --batch 8 >o
    [ "$(jq -s -c 'map(.id)' o)" = "$(seq 60 | jq -s -c .)" ]
    cmp <(sort u) <(sort o)
    server late
    records 20 | gen --batch 8 >/dev/null
    [ "$(cut -f3 port.log | sort -n | tail -1)" = 8 ]
}

@test "remote: the same model here and behind a server gives the same records at temperature 0" {
    server ok "$TINY"
    # Not in the form instruction + input: Alpaca's template has a place for the input, messages have none.
    head -8 "$SEEDS" | jq -c '{id, messages: [{role: "user", content: (.instruction + "\n\n" + .input)}]}' >in
    echo '{"prompt":"Reverse"}' >>in
    gen -t 0 -n 24 in >there
    llm-generate -m "$TINY" -t 0 -n 24 in >here
    cmp here there
}

@test "remote: a chat template that is named here: the text is asked for, as the model here has it" {
    server ok "$TINY"
    head -12 "$SEEDS" | tail -6 >in # with inputs, for which Alpaca's template has a place
    echo '{"system":"s","instruction":"Reverse the list.","input":"fox owl"}' >>in
    gen -t 0 -n 24 --chat-template alpaca in >there
    llm-generate -m "$TINY" -t 0 -n 24 in >here
    cmp here there
    run ! grep -q messages port.log
    server
    gen --chat-template chatml <<<'{"system":"s","instruction":"a","input":"b"}' >/dev/null
    [ "$(cut -f2 port.log | jq .prompt)" = '"<|im_start|>system\ns<|im_end|>\n<|im_start|>user\na\n\nb<|im_end|>\n<|im_start|>assistant\n"' ]
    run -2 gen --chat-template nope <<<'{"instruction":"a"}'
    [[ "$output" == *"'nope' is no template's name and no file"* ]]
}

@test "remote: log-probabilities of both interfaces; a server that has none is a reject" {
    server
    run -0 gen --logprobs 2 <<<'{"id":1,"instruction":"x"}
{"id":2,"prompt":"x"}'
    [ "$(jq -c .logprobs <<<"${lines[0]}")" = '[{"token":"a","logprob":-0.5,"top":[{"token":"a","logprob":-0.5},{"token":"b","logprob":-1.25}]}]' ]
    [ "$(jq -c '.logprobs | map([.token, .logprob, (.top | length)])' <<<"${lines[1]}")" = '[["a",-0.5,2],["b",-1,1]]' ]
}

@test "remote: status 500, a cut answer, a dropped connection, garbage, HTML and other JSON are tried again" {
    for fault in 500 cut drop garbage html other; do
        server $fault,ok
        run -0 --separate-stderr gen --stats stats <<<'{"id":1,"instruction":"x"}'
        [ -z "$stderr" ]
        [ "$(jq -r .output <<<"$output" | cut -c-5)" = "Name " ]
        # A connection that was open before and is dropped, libcurl repeats by itself.
        [ "$(jq -c '[.requests, .retries, .failed]' stats)" = '[1,1,0]' ] || [ $fault = drop ]
        rm stats
    done
}

@test "remote: what fails for good is a reject with the reason, in its place; the rest goes on" {
    server
    for f in 500 cut garbage html empty filter 400 slow huge; do
        echo "{\"id\":\"$f\",\"instruction\":\"fault=$f\"}"
        echo "{\"id\":\"ok-$f\",\"instruction\":\"x\"}"
    done >in
    run -1 --separate-stderr gen --rejects bad --timeout 2 --retries 1 in
    [ "$(jq -r .id <<<"$output" | tr '\n' ' ')" = "ok-500 ok-cut ok-garbage ok-html ok-empty ok-filter ok-400 ok-slow ok-huge " ]
    [ "$(jq -r '[.id, .reject.rule] | join(" ")' bad | tr '\n' ' ')" = "500 status cut cut garbage answer html answer empty empty filter empty 400 status slow timeout huge size " ]
    [[ "$stderr" == *"in:1: the server's status is 500: out of memory"* ]]
    [ "$(jq -r 'select(.id == "500").reject.value' bad)" = "the server's status is 500: out of memory" ] # what was said
    [[ "$stderr" == *"in:13: the server's status is 400: maximum context length is 5"* ]]
    [[ "$stderr" == *"finish_reason 'content_filter'"* ]]
    [ "$(grep -c fault=400 port.log)" = 1 ] # as wrong the second time
    [ "$(grep -c fault=500 port.log)" = 2 ]
}

@test "remote: of several samples that fail, the first is the reason, whichever fails first" {
    server
    for i in $(seq 4); do echo "{\"id\":$i,\"instruction\":\"fault=late400|empty\"}"; done >in
    run -1 gen -q --samples 2 --batch 1 --rejects one in
    run -1 gen -q --samples 2 --batch 8 -u --rejects all in
    [ "$(jq -r .reject.rule one | sort -u | xargs)" = "empty status" ]
    cmp one <(sort all)
}

@test "remote: Retry-After is waited for" {
    server 429,ok
    begin=$(date +%s%N)
    run -0 gen <<<'{"id":1,"instruction":"x"}'
    [ $((($(date +%s%N) - begin) / 1000000)) -ge 1900 ] # not 1000
}

@test "remote: no hang: a server that never answers costs --timeout for each try" {
    server slow
    begin=$(date +%s)
    run -1 gen --timeout 1 --retries 1 --model-name x <<<'{"id":1,"instruction":"x"}'
    [ $(($(date +%s) - begin)) -le 6 ]
}

@test "remote: nobody there: status 75; gone in the middle: 75, nothing rejected, --resume goes on" {
    run -75 --separate-stderr llm-generate -m http://127.0.0.1:1/v1 --retries 0 <<<'{"instruction":"x"}'
    [ -n "$stderr" ]
    server
    records 5 >in
    gen in >whole
    head -2 in | gen -o out
    kill "$(tail -1 pids)"
    wait "$(tail -1 pids)" 2>/dev/null || :
    run -75 --separate-stderr gen --model-name test-model --retries 1 -o out --rejects bad --resume in
    [[ "$stderr" == *"no other request was answered"* ]]
    [ ! -s bad ]
    server # at another port
    gen --model-name test-model -o out --rejects bad --resume in
    cmp whole out
    run -2 --separate-stderr gen --model-name other -o out --resume in
    [[ "$stderr" == *model* ]]
}

@test "remote: a proxy that does not connect is no connection: status 75, nothing rejected" {
    server
    https_proxy="${URL%/v1}" run -75 --separate-stderr llm-generate -m https://nowhere.invalid/v1 --model-name x --retries 0 \
        --rejects bad <<<'{"instruction":"x"}'
    [[ "$stderr" == *"; 1 tries, and no other request was answered"* ]]
    [ ! -s bad ]
}

@test "remote: a key goes along and is never shown; a wrong one ends the run before any record" {
    server
    echo "sk-secret" >key
    gen --api-key-file key <<<'{"instruction":"x"}' >/dev/null
    [ "$(cut -f1 port.log)" = sk-secret ]
    server 401
    run -2 --separate-stderr gen -v --api-key-file key --rejects bad <<<'{"instruction":"x"}'
    [[ "$stderr" == *"status is 401: bad key: *********"* ]]
    [[ "$stderr$(cat bad)" != *secret* ]]
    printf '***' >key # of a file that shows where a key is to stand
    run -2 timeout -s KILL 60 llm-generate -m "$URL" --api-key-file key <<<'{"instruction":"x"}'
    printf 'two words' >key
    run -2 gen --api-key-file key <<<'{"instruction":"x"}'
}

@test "remote: redirections are not followed, a wrong address ends the run" {
    server 302
    run -2 --separate-stderr gen <<<'{"instruction":"x"}'
    [[ "$stderr" == *"status is 302, a redirection, which is not followed" ]]
    server
    run -2 --separate-stderr llm-generate -m "${URL%1}2" --model-name x <<<'{"instruction":"x"}'
    [[ "$stderr" == *"status is 404: no such address" ]]
    local at=${URL%/v1} models="cannot ask for its model" v1="the address of such an interface mostly ends in /v1"
    while read -r url message; do
        run -2 --separate-stderr llm-generate -m "$url" --retries 0 <<<'{"instruction":"x"}'
        [ "$stderr" = "llm-generate: $url: $message" ]
    done <<U
$at $models: the server's status is 404: no such address; $v1
$at/ $models: the server's status is 404: no such address; $v1
$at/v3 $models: the server's status is 404: no such address; if the server has no list of models, give --model-name
$at/lost/v1 $models: the server's status is 404, with a page of HTML; if the server has no list of models, give --model-name
$at/lost/ $models: the server's status is 404, with a page of HTML; $v1
$at/page/v1 $models: a page of HTML, where models should be listed; if the server has no list of models, give --model-name
U
    run -2 --separate-stderr llm-generate -m "$at" --model-name x <<<'{"instruction":"x"}'
    [ "$stderr" = "llm-generate: $at: the server's status is 404: no such address; $v1" ]
    run -75 --separate-stderr llm-generate -m "https${at#http}/v1" --retries 0 <<<'{"instruction":"x"}'
    [[ "$stderr" == *"; is it a server of http://?" ]]
    for url in localhost:8000/v1 ftp://localhost/v1; do
        run -2 llm-generate -m $url <<<'{"instruction":"x"}'
        [ "$output" = "llm-generate: -m $url: no such file; the address of a server begins with http:// or https://" ]
    done
    run -2 llm-generate -m "http://user:word@127.0.0.1/v1" <<<'{"instruction":"x"}'
    run -2 llm-generate -m "http://" <<<'{"instruction":"x"}'
}

@test "remote: SIGTERM ends with 75 although the server hangs, and --resume goes on" {
    server
    records 6 >in
    gen in >whole
    server ok,ok,slow
    llm-generate -m "$URL" --batch 1 -o out --resume in 2>err &
    pid=$!
    while [ "$(wc -l <port.log)" -lt 3 ]; do sleep 0.02; done
    kill -TERM $pid
    rc=0
    wait $pid || rc=$?
    [ $rc = 75 ]
    [ "$(wc -l <out)" = 2 ]
    server
    gen -o out --resume in
    cmp whole out
}

@test "remote: options of a model of our own are refused before the first record" {
    server
    echo 'root ::= "a"' >g
    for o in "--isa scalar" "-j 2" "--ctx 64" "--kv-memory 1G" "--repeat-penalty 1.1" "--ignore-eos" \
        "--logit-bias 5:1" "--dry-multiplier 1" "--mirostat-tau 3" "--typical-p 0.5" "--grammar g" "--score" "--beams 2" "--logprobs 21"; do
        # shellcheck disable=SC2086
        run -2 --separate-stderr gen $o --rejects bad <<<'{"instruction":"x"}'
        name=${o%% *}
        [[ "$stderr" == *"${name/#-j/--threads}"* ]]
        [ ! -s port.log ]
    done
    run -2 --separate-stderr llm-generate -m "$TINY" --model-name x <<<'{"instruction":"x"}'
    [[ "$stderr" == *"--model-name"* ]]
}

@test "remote: a JSON schema goes to the server as it is" {
    server
    echo '{"type":"object","x-y":[1.50]}' >schema
    gen --json-schema schema <<<'{"instruction":"x"}' >/dev/null
    grep -qF '"response_format":{"type":"json_schema","json_schema":{"name":"output","strict":true,"schema":{"type":"object","x-y":[1.50]}' port.log
    cut -f2 port.log | jq -e .model
    echo '{"type":' >schema
    run -2 gen --json-schema schema <<<'{"instruction":"x"}'
}

@test "remote: llm-evol over a server: records, lineage, the server's model; failures are rejects" {
    server 500,ok
    head -3 "$SEEDS" >in
    run -0 llm-evol -m "$URL" --rejects bad in
    jq -e -s 'map(select(.meta.source == "evol")) | length > 0 and all(.[]; .meta.model == "test-model")' <<<"$output"
    server 400
    run -1 --separate-stderr llm-evol -m "$URL" --rejects bad2 in
    [ "$(jq -r .reject.rule bad2 | sort -u)" = status ]
    [ "$(wc -l <bad2)" = 3 ]
}

@test "remote: a server that knows the limit of tokens by its newer name only" {
    server
    llm-generate -m "$URL" -n 7 --batch 1 "$SEEDS" >plain
    server newer
    llm-generate -m "$URL" -n 7 --batch 1 "$SEEDS" >newer
    cmp plain newer
    cut -f2 port.log | jq -e -s 'map(has("max_tokens"))[:3] == [true,false,false]
        and all(.[1:][]; .max_completion_tokens == 7 and (has("max_tokens") | not))'
}

@test "remote: llm-selfinstruct over a server: the answer's beginning goes along; a failed prompt is a reject once" {
    server
    run -0 llm-selfinstruct -m "$URL" --count 12 --per-round 4 --no-seeds --rouge 0.99 "$SEEDS"
    [ "${#lines[@]}" = 12 ]
    [ "$(jq -r .meta.model <<<"$output" | sort -u)" = test-model ]
    cut -f2 port.log | jq -e -s 'all(.[]; .messages[-1] == {"role":"assistant","content":"9."}
        and .continue_final_message == true and .add_generation_prompt == false)'
    server strict # knows the standard only: asked without the beginning, at first twice
    llm-selfinstruct -m "$URL" --count 12 --per-round 4 --no-seeds --rouge 0.99 --batch 1 "$SEEDS" >strict
    [ "$(wc -l <strict)" = 12 ]
    cut -f2 port.log | jq -e -s 'map(has("continue_final_message"))[:3] == [true,false,false]
        and all(.[1:][]; .messages[-1].role == "user")'
    server 400,400,ok # the first prompt: with the beginning and without
    run -1 --separate-stderr llm-selfinstruct --batch 1 -m "$URL" --count 5 --per-round 4 --rouge 0.99 -o out --rejects bad "$SEEDS"
    [ "$(jq -c 'select(.reject.rule == "status") | [.meta.round, .meta.item, has("instruction")]' bad)" = '[1,-1,false]' ]
}

@test "remote: llm-selfinstruct asks a server for instances, Alpaca's lists and the user's turn" {
    server
    cat >own.yaml <<'EOT'
user: "say{ Sort words by length.\n10. Is it a fish or a bird?\n11. Name a small town.\n12. Tell whether numbers are even.}"
classify:
  user: "{{instruction}} Is it? say{No}"
output_first:
  user: "{{instruction}} say{ fish\nThe trout swims.\nClass label: bird\nInput: The owl hoots.\nClass label: fish\nThe trout swims.}"
input_first:
  user: "{{instruction}} say{Example 1\nInput: b a\nOutput: a b\nExample 2\nInput: d\nOutput: d}"
EOT
    llm-selfinstruct -m "$URL" --prompts own.yaml --instances 4 --per-round 1 --count 4 --no-seeds --rejects r "$SEEDS" >out
    jq -s -e 'length == 4 and all(.[]; .is_classification == false and .input == "b a" and .output == "a b" and .meta.instance == 0)' out
    jq -s -e 'length == 4 and all(.[]; .reject.rule == "instance-echo" and .meta.instance == 1)' r
    sed -i 's/say{No}/say{Yes, it is.}/' own.yaml
    own=(llm-selfinstruct -m "$URL" --prompts own.yaml --instances 4 --per-round 1 --count 4)
    "${own[@]}" --rejects r2 "$SEEDS" >ref
    tail -n +21 ref | jq -s -e 'length == 8 and all(.[]; .is_classification) and ([.[0:2][] | [.input, .output, .meta.instance]]
        == [["The trout swims.", "fish", 0], ["The owl hoots.", "bird", 1]]) and ([.[].id] | unique | length) == 8'
    jq -s -e 'length == 4 and all(.[]; .reject.rule == "instance-same")' r2
    "${own[@]}" -o whole "$SEEDS"
    cmp ref whole
    for lines in 21 22 23 25; do # also in the middle of a task's instances
        head -n $lines ref >out
        : >rej
        cp whole.meta out.meta
        "${own[@]}" -o out --rejects rej --resume "$SEEDS"
        cmp ref out
        cmp r2 rej
    done
    cat >alpaca.yaml <<'EOT'
user: "{{tasks}} say{ Sort words by length.\n4. Input:\nbb a\n4. Output:\na bb\n###\n5. Instruction: Name a town.\n5. Input:\n<noinput>\n5. Output:\nUlm}"
examples: 3
generated: 0
EOT
    llm-selfinstruct -m "$URL" --style alpaca --prompts alpaca.yaml --per-round 1 --count 2 --no-seeds --min-words 3 "$SEEDS" |
        jq -s -e 'map([.instruction, .input, .output]) == [["Sort words by length.", "bb a", "a bb"], ["Name a town.", null, "Ulm"]]'
    cut -f2 port.log | tail -n 1 | jq -e '.messages[0].content | test("###\n1. Instruction: .*\n1. Input:\n(.*\n)+1. Output:\n.*\n###\n2. ")'
    printf 'system: x\nuser: ""\n' >turn.yaml
    run -2 llm-selfinstruct -m "$URL" --style magpie --prompts turn.yaml --count 2
    [[ "$output" == *"'before'"* ]]
    printf 'user: "Please"\nbefore: "<|im_start|>user\\n"\nafter: "<|im_end|>"\n' >turn.yaml
    llm-selfinstruct -m "$URL" --style magpie --prompts turn.yaml --count 2 --rouge 1 | jq -s -e 'length == 2 and all(.[]; .meta.style == "magpie")'
    cut -f2 port.log | tail -n 1 | jq -e '.prompt == "<|im_start|>user\nPlease" and .stop == ["<|im_end|>"]'
}

@test "remote: llm-selfinstruct: Korean and Chinese instructions are compared, and not dropped" {
    server
    cat >ko.yaml <<'EOT'
user: "say{ 사과의 색을 한 낱말로 말해 보세요.\n10. 사과의 색깔을 한 낱말로 말해 보세요.\n11. 列出三種水果的名字。\n12. 列出四種水果的名字。\n13. 다음 문장을 영어로 옮기세요.\nInput: 나는 학교에 간다.\n14. 사진을 설명하세요. 이미지 말입니다.}"
blacklist: [이미지]
EOT
    run -0 --separate-stderr llm-selfinstruct -m "$URL" --prompts ko.yaml --per-round 1 --max-rounds 1 --count 9 --no-seeds --rejects r "$SEEDS"
    [ "$(jq -r .instruction <<<"$output" | tr '\n' '|')" = "사과의 색을 한 낱말로 말해 보세요.|列出三種水果的名字。|다음 문장을 영어로 옮기세요.|" ]
    # 14 syllables in common of 14 and 15; 8 characters of 9 and 9
    [ "$(jq -c '[.reject.rule, .reject.value]' r | tr '\n' ' ')" = '["rouge",0.9655] ["rouge",0.8889] ["blacklist","이미지"] ' ]
}

# within FILE FILE: the same fields, numbers at most 0.001 apart.
within() {
    jq -e -n --slurpfile a "$1" --slurpfile b "$2" 'def near(x; y): if (x | type) == "number" then (x - y | fabs) <= 0.001 else x == y end;
        ($a | length) == ($b | length) and all(range($a | length); . as $i | ($a[$i] | keys_unsorted) == ($b[$i] | keys_unsorted)
        and all($a[$i] | keys[]; . as $k | near($a[$i][$k]; $b[$i][$k])))'
}

@test "remote: llm-score over a server: the same scores as here, the answer's beginning goes along" {
    server ok "$TINY"
    head -6 "$SEEDS" >in
    run -0 --separate-stderr llm-score -m "$URL" --prompts tiny in
    [ -z "$stderr" ]
    echo "$output" >there
    llm-score -m "$TINY" --prompts tiny in >here
    within here there
    cut -f2 port.log | jq -e -s 'length == 30 and all(.[]; .max_tokens == 1 and .temperature == 0 and .top_logprobs == 20
        and .continue_final_message == true and (.messages[-1] | .role == "assistant" and (.content | test("[a-z]:$"))))'
    # The digit of each axis stands in the text that the next one is asked behind.
    cut -f2 port.log | jq -r '.messages[-1].content' | grep -c '^correctness: [0-4]$' | grep -qx 24
    # Held to a reference, which the server gives first; order and bytes whatever is under way.
    llm-score -m "$URL" --prompts tiny --reference self --batch 1 in >one
    llm-score -m "$URL" --prompts tiny --reference self --batch 6 in | cmp - one
    [ "$(jq -r .meta.reference one | sort -u)" = self ]
}

@test "remote: llm-score: log-probabilities without the digits, and every fault, are rejects, never numbers" {
    server # its tokens are a and b
    run -1 --separate-stderr llm-score -m "$URL" --prompts tiny --rejects bad <<<'{"id":1,"instruction":"x","output":"y"}'
    [ -z "$output" ]
    [[ "$stderr" == *"'0' is not among the server's likeliest tokens where correctness is"* ]]
    [ "$(jq -c '[.id, .reject.rule, has("score")]' bad)" = '[1,"logprobs",false]' ]
    server ok "$TINY" # asked by other prompts than it was trained on, it lists some of the digits only
    run -1 --separate-stderr llm-score -m "$URL" --prompts general --rejects some <(head -3 "$SEEDS")
    [ "$(jq -r .reject.rule some | uniq -c | tr -s ' ')" = " 3 logprobs" ]
    server
    for f in 400 500 garbage empty slow html; do
        echo "{\"id\":\"$f\",\"instruction\":\"fault=$f\",\"output\":\"y\"}"
    done >in
    run -1 --separate-stderr llm-score -m "$URL" --prompts tiny --rejects bad2 --timeout 2 --retries 0 in
    [ "$(jq -r .reject.rule bad2 | tr '\n' ' ')" = "status status answer empty timeout answer " ]
    server strict # does not know how to go on: not asked without the beginning, which would be another question
    run -1 llm-score -m "$URL" --prompts tiny --rejects bad3 <<<'{"id":1,"instruction":"x","output":"y"}'
    [ "$(jq -r .reject.rule bad3)" = status ]
    [ "$(wc -l <port.log)" = 1 ]
}

@test "remote: llm-score: killed and resumed over a server, the same file" {
    server ok "$TINY"
    head -6 "$SEEDS" >in
    llm-score -m "$URL" --prompts tiny -o whole in
    head -3 whole >out
    cp whole.meta out.meta
    llm-score -m "$URL" --prompts tiny -o out --resume in
    cmp whole out
}

@test "remote: llm-score pairwise over a server: the same strengths as here; a match that fails fails its group" {
    server ok "$TINY"
    head -2 "$SEEDS" | jq -c '. as $r | ($r.output, "fox", "5") as $o | $r + {id: "\($r.id)/\($o)", output: $o}' >in
    # A and B are nothing that this model says; the digits of its scores are.
    cat >p.yaml <<'EOT'
user: |-
  Score the response.
  #Instruction#: {{instruction}}[[input:
  #Input#: {{input}}]][[reference: {{reference}}]]
  #Reference#: {{b}}
  #Response#: {{a}}
assistant: "correctness: {{winner}}"
choices: [4, 0]
EOT
    run -0 --separate-stderr llm-score pairwise -m "$URL" --prompts ./p.yaml --batch 4 in
    echo "$output" >there
    llm-score pairwise -m "$TINY" --prompts ./p.yaml in >here
    within here there
    [ "$(wc -l <port.log)" = 12 ]
    server 400,ok "$TINY"
    run -1 --separate-stderr llm-score pairwise -m "$URL" --prompts ./p.yaml --batch 1 --rejects bad in
    [ "$(jq -r '[.id, .reject.rule] | join(" ")' bad | sort | tr '\n' ' ')" = "seed-01/5 status seed-01/fox status seed-01/yellow status " ]
    [ "${#lines[@]}" = 3 ]
    server # of matches that fail, the first in the group's order is the reason
    for i in $(seq 6); do
        for f in late400 empty; do echo "{\"id\":\"$f$i\",\"instruction\":\"$i\",\"output\":\"fault=$f\"}"; done
    done >two
    run -1 llm-score pairwise -q -m "$URL" --prompts ./p.yaml --batch 1 --rejects one two
    run -1 llm-score pairwise -q -m "$URL" --prompts ./p.yaml --batch 9 --rejects all two
    [ "$(jq -r .reject.rule one | sort -u | xargs)" = "empty status" ]
    cmp one all
    server ok "$TINY" # one choice is listed, the other is not: how likely it is nobody can say
    sed 's/choices: .*/choices: [lamp, 4]/' p.yaml >q.yaml
    run -1 --separate-stderr llm-score pairwise -m "$URL" --prompts ./q.yaml --rejects lost in
    [[ "$stderr" == *"'lamp' is not among the server's likeliest tokens where winner is"* ]]
    [ "$(jq -r .reject.rule lost | uniq -c | tr -s ' ')" = " 6 logprobs" ]
    sed -i 's/choices: .*/choices: [4]/' p.yaml
    run -2 llm-score pairwise -m "$URL" --prompts ./p.yaml in
    [[ "$output" == *"p.yaml: 'choices' are not 2 texts"* ]]
}

@test "remote: llm-diversify has topics named; what a server refuses has its words" {
    for i in 1 2 3; do
        printf '{"id":%d,"instruction":"do it","embedding":[1,0.%d]}\n' $i $i
        printf '{"id":%d,"instruction":"sing songs","embedding":[0.%d,-1]}\n' $((i + 10)) $i
    done >in
    server
    llm-diversify --embedding --max-sim 1 --clusters 2 --count 4 --label model -m "$URL" --stats s in >out
    [ "$(jq -r .meta.topic_label out | grep -c '^Name ')" = 4 ]
    jq -e '.unnamed == 0 and .requests == 2' s
    # -j and --isa are for the topics here, whoever names them
    llm-diversify -j 1 --isa scalar --embedding --max-sim 1 --clusters 2 --count 4 --label model -m "$URL" in | cmp - out
    for option in "ctx 64" "ctx 0" "device auto" "batch-tokens 256" "kv-type auto" "repack auto"; do
        run -2 llm-diversify --$option --count 4 --label model -m "$URL" in
        [[ "$output" == *"--${option% *}: the server decides that"* ]]
    done
    server 400
    llm-diversify --embedding --max-sim 1 --clusters 2 --count 4 --label model -m "$URL" --stats s in >out
    [ "$(jq -r .meta.topic_label out | sort -u | xargs)" = "do, it sing, songs" ]
    jq -e '.unnamed == 2 and .failed == 2' s
}
