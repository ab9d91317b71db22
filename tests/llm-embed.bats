bats_require_minimum_version 1.5.0
load server

# Vectors of records: pooling, forms, files, resuming, rejects, a server. Exactness: exact.bats.

setup() {
    TINY="$BATS_TEST_DIRNAME/../examples/models/tiny.gguf"
    SEEDS="$BATS_TEST_DIRNAME/../examples/synthetic/seeds.jsonl"
    cd "$BATS_TEST_TMPDIR" || return 1
    server_open
}

teardown() {
    server_close
}

embed() { llm-embed -m "$TINY" "$@"; }

# The rows of a .npy of <f4 as JSON lists: shape, then each row.
rows() {
    head -c 128 "$1" | tail -c +11 | sed -n "s/.*'shape': (\([0-9]*\), \([0-9]*\)).*/\1 \2/p" | {
        read -r n dim
        echo "$n $dim"
        [ "$dim" = 0 ] || tail -c +129 "$1" | od -An -v -w$((4 * dim)) -t f4
    }
}

@test "llm-embed: fields pass through, the vector is appended, ids and order as everywhere" {
    printf '{"x":1.00,"text":"Reverse the list."}\n{"id":"b","instruction":"Reverse the list.","input":"fox"}\n{"prompt":"fox"}\n' >in
    run -0 --separate-stderr embed in
    [ -z "$stderr" ]
    [[ "${lines[0]}" = '{"x":1.00,"text":"Reverse the list.","id":"'*'","embedding":['*']}' ]]
    jq -s -e 'length == 3 and .[1].id == "b" and all(.[]; .embedding | length == 192)' <<<"$output"
    # the instruction stands before its input, in a line of its own; a prefix before both
    jq -c '{id, text: ((.text // "") + (.instruction // "") + (if .input then "\n" + .input else "" end) + (.prompt // ""))}' <<<"$output" >joined
    diff <(jq -c .embedding <<<"$output") <(embed joined | jq -c .embedding)
    jq -c '.text = "query: " + .text' joined >prefixed
    diff <(embed --prefix 'query: ' in | jq -c .embedding) <(embed prefixed | jq -c .embedding)
    diff <(embed --field text joined | jq -c .embedding) <(embed joined | jq -c .embedding)
    # what a record comes with is replaced in its place
    run -0 embed --dim 1 <<<'{"embedding":[9],"embedding_scale":3,"id":1,"text":"fox"}'
    [[ "$output" = '{"embedding":['*'],"embedding_scale":1,"id":1,"text":"fox"}' ]]
    [[ "$output" != *'[9]'* ]]
}

@test "llm-embed: with --field every id is made of this field, with a model and without, in one run and in two" {
    for i in 1 2 3 4 5; do printf '{"n":%d,"a":"fox %d"}\n' $i $((i % 4)); done >in
    llm-tokenize -m "$TINY" --field a in | jq -c .id >ids
    for m in "" "-m $TINY --batch 1"; do
        rm -f out out.meta
        # shellcheck disable=SC2086 # options and their values, or none
        llm-embed $m --field a in >ref
        jq -c .id ref | cmp ids -
        # shellcheck disable=SC2086
        llm-embed $m --field a -o out <(head -n 2 in)
        # shellcheck disable=SC2086
        llm-embed $m --field a -o out --resume in
        cmp ref out
    done
}

@test "llm-embed: pooling differs, --dim cuts, --normalize gives length 1 after it" {
    echo '{"id":1,"text":"Reverse the list of plums."}' >in
    for p in last mean cls; do embed --pooling $p in >$p; done
    [ "$(cat last mean cls | sort -u | wc -l)" = 3 ]
    embed in | cmp last -
    embed --dim 5 in | jq -c .embedding | cmp - <(jq -c '.embedding[:5]' last)
    embed --normalize in | jq -e '[.embedding[] | . * .] | add | . > 0.99999 and . < 1.00001'
    embed --normalize --dim 5 in | jq -e '(.embedding | length) == 5 and ([.embedding[] | . * .] | add | . > 0.99999 and . < 1.00001)'
    embed --type int8 in >int8
    jq -e '.embedding | map(fabs) | max == 127 and all(. == floor)' int8
    jq -s -e '.[1] as $q | [.[0].embedding, $q.embedding] | transpose
        | all((.[0] - .[1] * $q.embedding_scale | fabs) <= $q.embedding_scale * 0.501)' last int8
}

@test "llm-embed: a file of rows has the values of the records; int8 with its factors" {
    head -n 20 "$SEEDS" >in
    embed -o rec in
    embed --npy v.npy -o lines in
    cmp <(jq -c 'del(.embedding)' rec) <(jq -c . lines)
    rows v.npy >r
    [ "$(head -n 1 r)" = "20 192" ]
    # od shows nine digits, which say a float exactly
    jq -n -e --slurpfile a rec --rawfile b r '$b | split("\n")[1:-1] | map(split(" ") | map(select(. != "") | tonumber)) as $m
        | [range(20)] | all(. as $i | [$a[$i].embedding, $m[$i]] | transpose | all((.[0] - .[1] | fabs) <= 1e-7 * (.[0] | fabs)))'
    embed --type int8 -o rec8 in
    embed --type int8 --npy v8.npy -o lines8 in
    [ "$(stat -c %s v8.npy v8.scale.npy | paste -sd' ')" = "$((128 + 20 * 192)) $((128 + 20 * 4))" ]
    cmp <(jq -c '.embedding[]' rec8) <(tail -c +129 v8.npy | od -An -v -w1 -t d1 | tr -d ' ')
    # nothing to do: no rows
    embed --npy none.npy </dev/null
    [ "$(rows none.npy)" = "0 0" ]
}

@test "llm-embed: killed at any moment and resumed, the same bytes in all files" {
    for i in $(seq 60); do echo "{\"id\":$i,\"text\":\"Reverse the list of $i plums.\"}"; done >in
    echo '{"id":"bad"}' >>in
    how=(--type int8 --npy v.npy -q -o out --rejects rej)
    embed "${how[@]}" in || [ $? = 1 ]
    for f in v.npy v.scale.npy out rej; do mv $f want.$f; done
    rm out.meta
    for kill in 1 2 3 4; do
        rm -f fifo
        mkfifo fifo
        llm-embed -m "$TINY" "${how[@]}" --resume --batch 2 <fifo 3>&- &
        pid=$!
        echo $pid >>pids
        exec 4<>fifo # stays open: the command waits for more
        head -n $((kill * 12)) in >&4
        until [ -e out ] && [ "$(wc -l <out)" -ge $((kill * 12 - 5)) ]; do
            kill -0 $pid # else it has failed
            sleep 0.01
        done
        kill -9 $pid
        wait $pid || :
        exec 4>&-
        # a row whose record was not written, and part of one
        head -c 200 /dev/zero >>v.npy
        [ $kill != 3 ] || printf '{"torn' >>out
    done
    run -1 embed "${how[@]}" --resume in
    for f in v.npy v.scale.npy out rej; do cmp want.$f $f; done
    # all is done: nothing changes
    embed "${how[@]}" --resume in || [ $? = 1 ]
    for f in v.npy v.scale.npy out rej; do cmp want.$f $f; done
}

@test "llm-embed: a file that cannot be gone on with is refused, and left as it is" {
    head -n 5 "$SEEDS" >in
    embed --npy v.npy -o out in
    cp v.npy whole
    run -2 embed --npy v.npy -o other in
    [[ "$output" = *"'v.npy' exists and is not empty"* ]]
    head -c 500 whole >v.npy
    run -2 embed --npy v.npy -o out --resume in
    [[ "$output" = *"v.npy: fewer rows than the 5 records"* ]]
    [ "$(stat -c %s v.npy)" = 500 ]
    cp whole v.npy
    run -2 embed --npy v.npy -o out --resume --normalize in
    [[ "$output" = *normalize* ]]
    run -2 embed -o out --resume in
    [[ "$output" = *npy* ]]
    echo text >mine
    run -2 embed --npy mine -o fresh --resume in
    [ "$(cat mine)" = text ]
    run -2 embed --npy /dev/full -o more in
    run -2 embed --npy v2.npy -o o --attempt 1 in
    run -1 embed -o /dev/full in
}

@test "llm-embed: what has no text or is too long is a reject, or cut" {
    printf '{"id":1,"text":7}\n{"id":2}\n{"id":3,"text":""}\n{"id":4,"text":"%s"}\n{"id":5,"text":"fox"}\n' "$(printf 'plum %.0s' {1..40})" >in
    run -1 --separate-stderr embed --ctx 16 --rejects rej in
    [ "$(jq -c .id <<<"$output")" = 5 ]
    [ "${#stderr_lines[@]}" = 4 ]
    [ "$(jq -c '[.id, .reject.rule]' rej | paste -sd' ')" = '[1,"field"] [2,"field"] [3,"field"] [4,"context"]' ]
    jq -s -e '.[3].reject | .value > 16 and .limit == 16' rej
    run -1 embed --ctx 16 --truncate -q --stats st in
    [ "$(jq .truncated st)" = 1 ]
    [ "$(jq -c .id <<<"$output" | paste -sd' ')" = "4 5" ]
    # the vector is that of the first 16 tokens
    llm-tokenize -m "$TINY" <<<'{"id":4,"text":"plum plum plum plum plum plum plum plum plum plum plum plum plum plum plum plum"}' | jq -e '.tokens | length > 16'
    run -2 embed --dim 193 in
    run -2 llm-embed --dim 385 in
    run -2 llm-embed --pooling mean in
    run -2 llm-embed --pooling auto in
    run -2 llm-embed --truncate in
    run -2 embed --npy - in
    [ "$output" = "llm-embed: --npy needs a file: standard output is for records" ]
    [ ! -e ./- ]
    run -2 llm-embed -m nothing.gguf in
}

@test "llm-embed: shards joined are the whole; unordered has the same lines" {
    embed -o whole "$SEEDS"
    cp "$SEEDS" in
    for i in 1 2 3; do embed --shard $i/3 -o part.$i in; done
    llm-merge --like in part.3 part.1 part.2 | cmp whole -
    cmp <(sort whole) <(embed -u --batch 7 in | sort)
}

@test "llm-embed: without a model, hashed n-grams: like texts are near, in any script" {
    printf '{"id":%s,"text":"%s"}\n' 1 'Sort the numbers from small to large.' 2 'Sort these numbers from large to small!' \
        3 'Write a poem about the sea.' 4 '바다에 관한 시를 쓰세요.' 5 '바다에 관한 시를 지으세요.' 6 '...' >in
    run -0 --separate-stderr llm-embed in
    jq -s -e 'def dot(a; b): [a, b] | transpose | map(.[0] * .[1]) | add;
        (map(.embedding)) as $v | dot($v[0]; $v[0]) > 0.9999 and dot($v[0]; $v[1]) > 0.4 and dot($v[0]; $v[2]) < 0.3
        and dot($v[3]; $v[4]) > 0.4 and dot($v[3]; $v[0]) < 0.2 and ($v[5] | all(. == 0)) and ($v[5] | length) == 384' <<<"$output"
    llm-embed --type int8 --npy h.npy -o lines in
    [ "$(stat -c %s h.npy)" = $((128 + 6 * 384)) ]
}

@test "llm-embed: a server's vectors, with its faults repeated or rejected" {
    server 500,base64,ok
    printf '{"id":1,"text":"a \\"b\\""}\n{"id":2,"text":"fault=400"}\n{"id":3,"text":"abc"}\n' >in
    run -1 --separate-stderr llm-embed -m "$URL" --prefix 'p: ' --batch 1 --rejects rej --stats st in
    [ "${lines[0]}" = '{"id":1,"text":"a \"b\"","embedding":[0.1,-2,8]}' ]
    [ "${lines[1]}" = '{"id":3,"text":"abc","embedding":[0.1,-2,6]}' ]
    [ "${#lines[@]}" = 2 ]
    jq -e '.id == 2 and .reject.rule == "status"' rej
    [ "$(jq -c '[.requests, .failed, .retries]' st)" = '[3,1,2]' ]
    [ "$(cut -f2 port.log | head -n 1)" = '{"model":"test-model","input":"p: a \"b\"","encoding_format":"float"}' ]
    llm-embed -m "$URL" --dim 2 --npy v.npy -o lines <<<'{"text":"x"}'
    [ "$(rows v.npy | head -n 1)" = "1 2" ]
    run -2 llm-embed -m "$URL" --dim 4 <<<'{"text":"x"}'
    for p in mean auto; do
        run -2 llm-embed -m "$URL" --pooling $p <<<'{"text":"x"}'
        [ "$output" = "llm-embed: --pooling: the server decides that" ]
    done
}

# The directory of tests/goldens/bert.py, its GGUF, that one's directory, vocab.txt alone.
encoders() {
    llm-convert -q "$B" -o b.gguf
    llm-convert -q b.gguf -o back
    mkdir plain
    cp "$B"/{config.json,model.safetensors,vocab.txt,tokenizer_config.json} plain
    echo "$B" b.gguf back plain
}

@test "llm-embed: an encoder's tokens and vectors are Hugging Face's, from every form of it" {
    gold="$BATS_TEST_DIRNAME/data/bert/golden.jsonl"
    [ "$(wc -l <"$gold")" -gt 20 ]
    grep -v unused "$gold" >texts # names of control tokens are plain text in a record
    B="$BATS_TEST_DIRNAME/data/bert"
    for m in $(encoders); do
        llm-tokenize --special -m "$m" --tokens got "$gold" | jq -s -e 'all(.[]; .tokens == .got)'
        for p in mean cls; do
            llm-embed -m "$m" --pooling $p texts | jq -s -e --arg p $p \
                'all(.[]; [.[$p], .embedding] | transpose | all((.[0] - .[1]) | fabs < 1e-4))'
        done
    done
    # pooling as 1_Pooling/config.json says it, also out of the GGUF
    for m in "$B" b.gguf back; do llm-embed -m "$m" texts | cmp <(llm-embed -m "$m" --pooling cls texts) -; done
    # it is a part of what the model is, and ways that are not ours are not passed over
    cp -r "$B" own && chmod -R u+w own
    echo '{"pooling_mode_mean_tokens":true}' >own/1_Pooling/config.json
    llm-embed -m own texts | cmp <(llm-embed -m "$B" --pooling mean texts) -
    head -2 texts | llm-embed -m "$B" -o out
    run -2 llm-embed -m own -o out --resume texts
    [[ "$output" == *"cannot resume: model was "* ]]
    for bad in '{"pooling_mode_max_tokens":true}' '{"pooling_mode_cls_token":true,"pooling_mode_mean_tokens":true}' '[]'; do
        echo "$bad" >own/1_Pooling/config.json
        run -2 llm-embed -m own texts
        [[ "$output" == "llm-embed: own/1_Pooling/config.json: "*not* ]]
    done
    # nor are layers behind the model
    echo '{"pooling_mode_cls_token":true}' >own/1_Pooling/config.json
    module() { jq -nc '[$ARGS.positional[] | {type: ("sentence_transformers.models." + .)}]' --args "$@" >own/modules.json; }
    module Transformer Pooling Normalize
    llm-embed -m own texts | cmp <(llm-embed -m "$B" --pooling cls texts) -
    module Transformer Pooling Dense
    run -2 llm-embed -m own texts
    [[ "$output" == "llm-embed: own/modules.json: sentence_transformers.models.Dense is not supported"* ]]
    for bad in '{}' '["x"]' '[{"type":1}]' '[[]]'; do
        echo "$bad" >own/modules.json
        run -2 llm-embed -m own texts
        [[ "$output" == "llm-embed: own/modules.json: "* ]]
    done
    llm-convert -q --type q8_0 "$B" -o q.gguf
    llm-embed -m q.gguf --pooling mean texts | jq -s -e 'def dot(a; b): [a, b] | transpose | map(.[0] * .[1]) | add;
        all(.[]; dot(.mean; .embedding) / (dot(.mean; .mean) * dot(.embedding; .embedding) | sqrt) > 0.99)'
}

# rename FILTER: the names of a safetensors file's tensors ("." in FILTER) changed.
rename() {
    local n head hex
    n=$(od -An -tu8 -N8 model.safetensors | tr -d ' ')
    head=$(tail -c +9 model.safetensors | head -c "$n" |
        jq -c "with_entries(if .key == \"__metadata__\" then . else .key |= ($1) end)")
    hex=$(printf '%016x' "${#head}")
    {
        for i in 14 12 10 8 6 4 2 0; do printf "\\x${hex:i:2}"; done
        printf '%s' "$head"
        tail -c +$((9 + n)) model.safetensors
    } >renamed
    mv -f renamed model.safetensors
}

@test "llm-embed: RoBERTa's names and positions" {
    cp -r "$BATS_TEST_DIRNAME/data/bert" rob
    chmod -R u+w rob
    echo '{"text":"the list"}' >in
    llm-embed -m rob --pooling mean in | jq -c .embedding >bert
    jq -c '. + {model_type: "roberta", pad_token_id: 1}' rob/config.json >c && mv c rob/config.json
    llm-embed -m rob --pooling mean in | jq -c .embedding >plain
    run ! cmp -s bert plain # positions begin at pad_token_id + 1
    (cd rob && rename '"roberta." + .')
    llm-embed -m rob --pooling mean in | jq -c .embedding | cmp plain -
    (cd rob && rename 'ltrimstr("roberta.") | "other." + .')
    run -2 llm-embed -m rob --pooling mean in
    [[ "$output" = *"missing tensor"* ]]
}

@test "llm-embed: a BERT whose LayerNorms have TensorFlow's names is the same model" {
    cp -r "$BATS_TEST_DIRNAME/data/bert" old
    chmod -R u+w old
    (cd old && rename 'sub("LayerNorm.weight$"; "LayerNorm.gamma") | sub("LayerNorm.bias$"; "LayerNorm.beta")')
    grep -q LayerNorm.gamma old/model.safetensors
    run ! grep -q LayerNorm.weight old/model.safetensors
    echo '{"text":"the list"}' >in
    llm-embed -m old in | jq -c .embedding >a
    llm-embed -m "$BATS_TEST_DIRNAME/data/bert" in | jq -c .embedding | cmp a -
}

@test "llm-embed: an encoder's text is computed whole, exactly, whatever stands beside it" {
    B="$BATS_TEST_DIRNAME/data/bert"
    jq -c '{text}' "$B/golden.jsonl" >in
    enc() { llm-embed -m "$B" --pooling mean "$@" in; }
    enc --batch 1 -j 1 --isa scalar >ref
    [ "$(wc -l <ref)" = "$(wc -l <in)" ]
    enc --batch 7 -j 2 --batch-tokens 1 | cmp ref -
    enc --batch 32 -j 3 --batch-tokens 200 | cmp ref -
    enc --batch 32 --batch-tokens 4096 --no-prefix-cache | cmp ref -
    # longer than the positions
    run -1 --separate-stderr llm-embed -m "$B" --rejects rej <<<"{\"text\":\"$(printf 'the %.0s' {1..127})\"}"
    [ "$(jq -c '[.reject.rule, .reject.value, .reject.limit]' rej)" = '["context",129,128]' ]
    llm-embed -m "$B" --truncate <<<"{\"text\":\"$(printf 'the %.0s' {1..500})\"}" | jq -c .embedding >cut
    llm-embed -m "$B" <<<"{\"text\":\"$(printf 'the %.0s' {1..126})\"}" | jq -c .embedding | cmp cut -
    run -2 llm-generate -m "$B" <<<'{"prompt":"the"}'
    [[ "$output" = *encoder* ]]
}

@test "llm-embed: a context that has room for none of the text gives no vector of what is around it" {
    B="$BATS_TEST_DIRNAME/data/bert" # [CLS] text [SEP]
    for ctx in 1 2; do
        run -1 llm-embed -m "$B" --ctx $ctx --truncate <<<'{"text":"the fox"}'
        [ "$output" = "llm-embed: <stdin>:1: a context of $ctx has no room for any of the text" ]
    done
    llm-embed -m "$B" --ctx 3 --truncate <<<'{"text":"the fox"}' | jq -c .embedding >a
    llm-embed -m "$B" <<<'{"text":"the"}' | jq -c .embedding | cmp - a
    run -1 llm-embed -m "$TINY" --ctx 1 --truncate <<<'{"text":"the fox"}'
}

@test "llm-embed: the text of a chat is what is asked in it" {
    cat >in <<'EOF'
{"text":"Be kind.\nReverse the list.\nplum fox"}
{"messages":[{"role":"system","content":"Be kind."},{"role":"user","content":[{"type":"text","text":"Reverse the list."},{"type":"text","text":"plum fox"}]},{"role":"assistant","content":"fox plum"}]}
{"conversations":[{"from":"system","value":"Be kind."},{"from":"human","value":"Reverse the list.\nplum fox"},{"from":"gpt","value":"fox plum"}]}
EOF
    llm-embed in | jq -c .embedding >out
    [ "$(wc -l <out)" = 3 ]
    [ "$(sort -u out | wc -l)" = 1 ]
    llm-embed -m "$TINY" in | jq -c .embedding >out
    [ "$(wc -l <out)" = 3 ]
    [ "$(sort -u out | wc -l)" = 1 ]
    sed -i '1s/.*/{"id":1,"instruction":"Be kind.\\nReverse the list.","input":"plum fox"}/' in
    llm-diversify --max-sim 0.999 --count 100% --rejects alike in >out
    [ "$(jq -c '[.meta.nn_id, .meta.nn_sim > 0.9999]' alike | sort -u)" = '["1",true]' ]
    [ "$(wc -l <alike)" = 2 ]
    for bad in '[]' '[1,"x",null]' '"text"' '[{"role":"user"}]' '[{"role":"user","content":""}]'; do
        run -1 llm-embed <<<"{\"messages\":$bad}"
        [[ "$output" == *"<stdin>:1: no field 'text'"* ]]
    done
}
