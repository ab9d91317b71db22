bats_require_minimum_version 1.5.0

setup() {
    TINY="$BATS_TEST_DIRNAME/../examples/models/tiny.gguf"
    SEEDS="$BATS_TEST_DIRNAME/../examples/synthetic/seeds.jsonl"
    cd "$BATS_TEST_TMPDIR" || return 1
}

@test "llm-merge: shards of llm-generate in the order of the input are the whole, bytes and samples" {
    { cat "$SEEDS"; echo '{bad'; head -n 2 "$SEEDS"; echo '{"prompt":"The fox","n":1.00}'; echo '{"x":1}'; } | sed 's/"id":"[^"]*",*//' >in
    grep -v '"id"' in >/dev/null
    gen() { llm-generate -m "$TINY" -q -n 6 -t 0.8 --samples 2 "$@" in || [ $? = 1 ]; }
    gen -o whole --rejects whole.r
    for i in 1 2 3 4; do gen --shard $i/4 -o part.$i --rejects rej.$i; done
    run -1 --separate-stderr llm-merge --like in -o out part.4 part.2 part.1 part.3
    [ "$stderr" = "llm-merge: 2 of $(wc -l <in) records are missing" ]
    cmp out whole
    llm-merge --like in --rejected rej.1 --rejected rej.2 --rejected rej.3 --rejected rej.4 --stats s -o out part.[1-4]
    cmp out whole
    jq -e '.missing == 0 and .rejected == 2 and .same == 0 and .foreign == 0 and .status == 0' s
    # rejects join as well
    llm-merge --like - --missing m rej.[1-4] <in >r || [ $? = 1 ]
    cmp r whole.r
    [ "$(wc -l <m)" = $(($(wc -l <in) - 2)) ]
}

@test "llm-merge: what llm-evol derived stands behind its parent, as in the whole" {
    evol() { llm-evol -m "$TINY" --prompts tiny -q --rounds 2 "$@" "$SEEDS"; }
    evol -o whole
    evol --shard 1/3 -o part.1
    evol --shard 2/3 -o part.2
    evol --shard 3/3 -o part.3
    llm-merge --like "$SEEDS" part.3 part.1 part.2 >out
    cmp out whole
    # and of that as an input the order is its own
    tac whole >turned
    llm-merge --like turned part.[1-3] | cmp - turned
}

@test "llm-merge: without --like in the order of the files; equal lines once, samples kept" {
    printf '%s\n' '{"id":"a","v":1.00}' '{"id":"b","sample":1}' '{"id":"b","sample":0}' >one
    printf '%s\n' '{"id":2}' '{"id":"a","v":1.00}' '{"id":"b","sample":2}' >two
    run -0 --separate-stderr llm-merge one two
    [ "$output" = "$(printf '%s\n' '{"id":"a","v":1.00}' '{"id":"b","sample":1}' '{"id":"b","sample":0}' '{"id":2}' '{"id":"b","sample":2}')" ]
    [ -z "$stderr" ]
    [ "$(printf '%s\n' '{"id":"b"}' '{"id":2}' '{"id":"a"}' | llm-merge --like - two one | jq -c '[.id,.sample]' | tr '\n' ' ')" = \
        '["b",0] ["b",1] ["b",2] [2,null] ["a",null] ' ]
}

@test "llm-merge: differing answers are an error with both places, and nothing is written" {
    printf '%s\n' '{"id":1}' '{"id":"a","v":1}' >one
    printf '%s\n' '{"id":"a","v":2}' '{"id":3}' >two
    echo old >out
    run -1 llm-merge -o out one two
    [ "${lines[0]}" = "llm-merge: record 'a': one:2 and two:1 differ" ]
    [ "${lines[1]}" = "llm-merge: 1 lines differ from another with their id; nothing is written" ]
    [ "$(cat out)" = old ]
    run -1 --separate-stderr llm-merge one two
    [ -z "$output" ]
}

@test "llm-merge: an input without ids gets those that each command gave, record by record" {
    tiny="$BATS_TEST_DIRNAME/../examples/models/tiny.gguf"
    printf '%s\n' '{"instruction":"a"}' '{"instruction":"a","output":"b"}' '{"text":"one two","x":1}' '{"text":"one two","x":2}' \
        '{"instruction":"a","system":"s","output":"c"}' '{"prompt":"p","output":"z"}' '{"other":"no text"}' \
        '{"conversations":[{"from":"human","value":"q"}]}' '{"instruction":"i","text":"t","output":"o"}' 'no record' >in
    for c in "llm-embed --dim 2" "llm-embed --dim 2 -m $tiny" "llm-filter --max-words 9" "llm-filter --max-words 9 --field text" \
        "llm-generate -m $tiny -n 2" "llm-generate -m $tiny --score" "llm-tokenize -m $tiny" "llm-evol -m $tiny --prompts tiny -n 8"; do
        rm -f part.* rej.*
        for i in 1 2 3; do $c -q --shard $i/3 -o part.$i --rejects rej.$i in || [ $? = 1 ]; done
        $c -q in >whole || [ $? = 1 ]
        [ -s whole ]
        llm-merge --like in --rejected rej.1 --rejected rej.2 --rejected rej.3 part.? | cmp - whole
    done
}

@test "llm-merge: a BOM and blank lines in a file are passed over" {
    printf '\xef\xbb\xbf{"id":"x","b":1}\n' >bom
    run -0 --separate-stderr llm-merge bom
    [ "$output" = '{"id":"x","b":1}' ]
    printf '\xef\xbb\xbf{"id":"x","b":1}\r\n\n \t\n{"id":"y"}\n\n \r\n\n' >two
    run -0 --separate-stderr llm-merge --like two bom two
    [ "$output" = "$(printf '%s\n' '{"id":"x","b":1}' '{"id":"y"}')" ]
    [ -z "$stderr" ]
    printf '{"id":1}\n\n{"id":2' >torn
    run -0 --separate-stderr llm-merge torn
    [ "$output" = '{"id":1}' ]
    [[ "$stderr" == "llm-merge: torn:3: left out an incomplete last record"* ]]
    printf '{"id":1\n\n\n' >torn
    run -0 --separate-stderr llm-merge torn
    [ -z "$output" ]
}

@test "llm-merge: missing and foreign records" {
    printf '%s\n' '{"id":1,"instruction":"x"}' '' '{"id":2}' '{"id":1}' >in
    printf '%s\n' '{"id":9}' '{"id":1}' '{"id":"1#2"}' >one
    run -1 --separate-stderr llm-merge --like in --missing m one
    [ "$output" = "$(printf '%s\n' '{"id":1}' '{"id":"1#2"}' '{"id":9}')" ]
    [ "$(cat m)" = '{"id":2}' ]
    [ "${stderr_lines[0]}" = "llm-merge: 1 of 3 records are missing" ]
    [ "${stderr_lines[1]}" = "llm-merge: 1 lines belong to no record of the input; they stand at the end" ]
}

@test "llm-merge: torn ends are left out, damage elsewhere is an error" {
    printf '{"id":1}\n{"id":2}\n{"id":3' >one
    run -0 --separate-stderr llm-merge one
    [ "$output" = "$(printf '{"id":1}\n{"id":2}')" ]
    [[ "$stderr" == "llm-merge: one:3: left out an incomplete last record"* ]]
    printf '{"id":1}\n{"id":2\n{"id":3}\n' >one
    run -2 llm-merge one
    [[ "$output" == "llm-merge: one:2: "* ]]
    printf '{"id":1}\n{"x":2}\n{"id":3}\n' >one
    run -2 llm-merge one
    [ "$output" = "llm-merge: one:2: no field 'id'" ]
}

@test "llm-merge: bad usage, outputs that are lost" {
    run -2 llm-merge
    [ "$output" = "llm-merge: no files to join" ]
    run -2 llm-merge none
    [[ "$output" == *"cannot open 'none'"* ]]
    echo '{"id":1}' >one
    run -2 llm-merge -o one one
    [ "$output" = "llm-merge: 'one' is both input and output" ]
    cp one one.a3
    cp one like
    run -2 llm-merge --stats one.a3 one
    [ "$output" = "llm-merge: --stats: 'one.a3' is the input" ]
    run -2 llm-merge --like like --stats like one
    [ "$output" = "llm-merge: --stats: 'like' is also a file of --like" ]
    run -2 llm-merge --like like one -o m --missing m
    [ "$output" = "llm-merge: --output: 'm' is also a file of --missing" ]
    run -2 llm-merge --like like one --missing -
    [[ "$output" == *"--missing needs a file"* ]]
    cmp like one
    cmp one.a3 one
    [ ! -e m ]
    rm one.a3 like
    llm-merge -o there one
    echo '{"id":2}' >>one
    llm-merge -o there one # made of these again
    cmp there one
    printf '%s\n' '{"id":2,"x":1}' >two
    run -1 llm-merge -o there one two
    cmp there one
    run -2 llm-merge --missing m one
    [ "$output" = "llm-merge: --missing needs --like" ]
    run -2 llm-merge <(cat one)
    [[ "$output" == *"cannot go back in"* ]]
    run -1 bash -c 'llm-merge one >/dev/full'
}
