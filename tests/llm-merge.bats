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
        "llm-embed --dim 2 --field output" "llm-tokenize -m $tiny --field output" "llm-tokenize -m $tiny --field instruction" \
        "llm-generate -m $tiny -n 2" "llm-generate -m $tiny --score" "llm-tokenize -m $tiny" "llm-evol -m $tiny --prompts tiny -n 8" \
        "llm-evol -m $tiny --what response -n 8"; do
        rm -f part.* rej.*
        for i in 1 2 3; do $c -q --shard $i/3 -o part.$i --rejects rej.$i in || [ $? = 1 ]; done
        $c -q in >whole || [ $? = 1 ]
        [ -s whole ]
        llm-merge --like in --rejected rej.1 --rejected rej.2 --rejected rej.3 part.? | cmp - whole
    done
}

@test "llm-merge: an input without ids and a field of the user's own" {
    for i in $(seq 40); do printf '{"q\\u0041":"the fox %d","instruction":"i%d","n":%d}\n' $((i % 13)) $((i % 5)) $i; done >in
    echo '{"instruction":"i1","n":41}' >>in # without the field: rejected
    for c in "llm-tokenize -m $TINY" "llm-embed --dim 2" "llm-filter --max-words 9" "llm-score -m $TINY --prompts tiny"; do
        rm -f part.* rej.*
        for i in 1 2 3; do $c --field qA -q --shard $i/3 -o part.$i --rejects rej.$i in || [ $? = 1 ]; done
        $c --field qA -q in >whole || [ $? = 1 ]
        llm-merge --like in --rejected rej.1 --rejected rej.2 --rejected rej.3 part.? | cmp - whole
        run -1 --separate-stderr llm-merge --like in --missing m part.?
        [ "$(cat m)" = '{"instruction":"i1","n":41}' ]
    done
    # it is read beside the others, so that no two records here have one id, and their order is nothing to it
    for c in "llm-filter --max-words 9" "llm-score -m $TINY --prompts tiny" "llm-diversify --count 100% --max-sim 1 --label none --clusters 1"; do
        $c --field qA -q in >whole || [ $? = 1 ]
        run -1 grep '#' whole
        cmp <(tac in | $c --field qA -q | sort) <(sort whole)
    done
    # what was masked since, the ids in the files do not show
    jq -c '.qA += " joe@example.org"' in >mail
    for i in 1 2 3; do llm-filter --pii mask --field qA --shard $i/3 -o mail.$i mail; done
    llm-filter --pii mask --field qA mail >whole
    run -0 llm-merge --like mail -o joined mail.?
    cmp joined whole
    # tokens into text
    llm-tokenize -m "$TINY" --field qA -q in | jq -c '{t:.tokens}' | awk '!seen[$0]++' >tokens
    for i in 1 2 3; do llm-tokenize -d --tokens t -m "$TINY" --shard $i/3 tokens >part.$i; done
    llm-tokenize -d --tokens t -m "$TINY" tokens >whole
    [ "$(wc -l <whole)" = 13 ]
    llm-merge --like tokens part.? | cmp - whole
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

@test "llm-merge: a record without all of its samples is left out, and missing" {
    printf '{"id":%d,"prompt":"The fox"}\n' 1 2 3 4 5 6 >in
    gen() { llm-generate -m "$TINY" -q -n 3 -t 0.8 --samples 3 "$@"; }
    gen -o whole in
    gen --shard 1/2 -o part.1 in
    gen --shard 2/2 -o part.2 in
    llm-merge --like in part.1 part.2 | cmp - whole
    cp part.1 keep
    cp part.1.meta keep.meta
    sed -i 2d part.1 # in the middle
    first=$(jq -r .id keep | head -n 1) last=$(jq -r .id keep | tail -n 1)
    run -1 --separate-stderr llm-merge --like in --missing m --stats s part.1 part.2
    [ "$output" = "$(jq -c "select(.id != $first)" whole)" ]
    [ "${stderr_lines[0]}" = "llm-merge: part.1:1: left out a record with 2 of 3 samples" ]
    [ "${stderr_lines[1]}" = "llm-merge: 1 records have not all of their samples; they are left out" ]
    [ "${stderr_lines[2]}" = "llm-merge: 1 of 6 records are missing" ]
    [ "$(cat m)" = "{\"id\":$first,\"prompt\":\"The fox\"}" ]
    jq -e '.status == 1 and .missing == 1 and .incomplete == 1' s
    head -c -9 keep >part.1 # at the end
    run -1 --separate-stderr llm-merge --like in --missing m part.1 part.2
    [ "$output" = "$(jq -c "select(.id != $last)" whole)" ]
    [ "$(cat m)" = "{\"id\":$last,\"prompt\":\"The fox\"}" ]
    run -1 --separate-stderr llm-merge part.1
    [ "$output" = "$(head -n -3 keep)" ]
    # another run makes up for it; equal lines are taken once
    gen -o more m
    llm-merge -q --like in part.1 part.2 more | cmp - whole
}

@test "llm-merge: shards of different runs are refused, those of another version or model noted" {
    gen() { llm-generate -m "$TINY" -q -n 2 "$@" "$SEEDS"; }
    gen --seed 1 --shard 1/2 -o a
    gen --seed 2 --shard 2/2 -o b
    run -2 llm-merge -o out a b
    [ "$output" = "llm-merge: shards of different runs: options.seed is \"1\" in 'a' and \"2\" in 'b'" ]
    gen --seed 1 --samples 2 --shard 2/2 -o c
    run -2 llm-merge -o out a c
    [[ "$output" == *"options.samples is \"1\" in 'a' and \"2\" in 'c'" ]]
    [ ! -e out ]
    gen --seed 1 --shard 2/2 -o d
    run -0 --separate-stderr llm-merge a d
    [ -z "$stderr" ]
    jq -c '.model = "x"' d.meta >t
    mv t d.meta
    run -0 --separate-stderr llm-merge a d
    [[ "$stderr" == "llm-merge: model is \""*"\" in 'a' and \"x\" in 'd'" ]]
    echo 'no fingerprint' >d.meta # of something else
    rm a.meta
    llm-merge a b >out
    # whole runs are no shards
    head -n 5 "$SEEDS" | llm-generate -m "$TINY" -q -n 2 --seed 3 -o e
    tail -n 5 "$SEEDS" | llm-generate -m "$TINY" -q -n 2 --seed 4 --shard 1/1 -o f
    llm-merge e f >out
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
    for o in "-" "one -" "one --rejected -"; do
        run -2 llm-merge $o <one
        [ "$output" = "llm-merge: '-': files are read twice, which standard input cannot be" ]
    done
    llm-merge --like - one <one | cmp - one
    run -1 bash -c 'llm-merge one >/dev/full'
}

# With TERM blocked from the beginning, so that one that comes early waits until it is looked for;
# as an array, so that in the background its process and not a shell's has the id that is killed
held=(env --block-signal=TERM)
big() { # N: lines of some 400 bytes
    awk -v n="$1" 'BEGIN {x = sprintf("%400s", ""); gsub(" ", "x", x); for (i = 1; i <= n; i++) print "{\"id\":" i ",\"v\":\"" x "\"}"}'
}
ended() { # PID: its exit status in rc
    rc=0
    wait "$1" || rc=$?
}

@test "llm-merge: a signal while files are read: status 75, and what is there stays as it was" {
    big 1000 >one
    mkdir d
    echo old >d/out
    echo old >d/m
    printf '{"torn' >two
    for files in "one two" "two one" "one --rejected two"; do
        run -75 "${held[@]}" sh -c 'kill -TERM $$; exec "$@"' - llm-merge --like one --missing d/m -o d/out --stats d/s $files
        [ "$output" = "llm-merge: stopped while '${files%% *}' was read" ] # and two is not said to be torn
        [ "$(ls -A d | xargs)" = "m out s" ]
        [ "$(cat d/out d/m | xargs)" = "old old" ]
        [ "$(jq -c '[.status, .stopped]' d/s)" = "[75,\"stopped while '${files%% *}' was read\"]" ]
    done
    # a place that a message names is looked for in the file
    printf '{"id":%d,"v":2}\n' 1 2 >differ
    run -75 "${held[@]}" sh -c 'kill -TERM $$; exec "$@"' - llm-merge differ one
    [ "$output" = "llm-merge: stopped while 'differ' was read" ]
}

@test "llm-merge: --like out of a slow pipe is waited for, not for ever after a signal" {
    big 1000 >one
    mkfifo pipe
    mkdir d
    echo old >d/out
    llm-merge --like pipe -o out one &
    sleep 0.5 # the pipe has no writer meanwhile
    tac one | timeout 20 tee pipe >turned
    wait $!
    cmp out turned
    exec 4<>pipe # it never ends
    "${held[@]}" llm-merge --like pipe --missing d/m -o d/out one 4>&- &
    pid=$!
    big 1000 >&4 # more than a pipe holds: it is being read
    kill -TERM $pid
    ended $pid
    exec 4>&-
    [ $rc = 75 ]
    [ "$(ls -A d)" = out ]
    [ "$(cat d/out)" = old ]
    # files are read twice, for which a pipe without a writer is not waited for either
    run -2 timeout -s KILL 20 llm-merge one pipe
    [[ "$output" == *"cannot go back in 'pipe'"* ]]
}

@test "llm-merge: a signal while lines are written: whole ones, then status 75" {
    big 8000 >one # three megabytes
    mkfifo pipe
    for like in "" "--like one"; do
        "${held[@]}" llm-merge $like one >pipe 2>err &
        pid=$!
        exec 4<pipe
        head -c 1 <&4 >got # it writes
        kill -TERM $pid
        cat <&4 >>got
        exec 4<&-
        ended $pid
        [ $rc = 75 ]
        [ "$(cat err)" = "llm-merge: stopped before all was written" ]
        head -n "$(wc -l <got)" one | cmp - got
        [ "$(wc -l <got)" -lt 8000 ]
    done
}

@test "llm-merge: with standard output closed nothing else is taken for it" {
    echo '{"id":1}' >one
    run -1 timeout -s KILL 20 bash -c 'exec llm-merge one >&-'
    [ "$output" = "llm-merge: standard output is closed" ]
    llm-merge -o out one <&- >&-
    cmp out one
}

@test "llm-merge: --progress says how much of what is read, twice, has been" {
    big 8000 >one
    cp one two
    slow() { # llm-merge OPTION ... with an input that comes late
        { head -n 1 one; sleep 0.3; sed 1d one; } | llm-merge --like - -o out "$@"
    }
    run -0 slow --progress always one
    [[ "$output" == *$'\r'"llm-merge: 0 written, 50% read, "*" s left"* ]]
    # what is the same is not read again
    run -0 slow --progress always one two
    [[ "$output" == *"0 written, 75% read"* ]]
    cmp out one
    # the other half; and an input that is a file counts as well
    run -0 bash -c '{ llm-merge --like one --progress always one | { head -c 1; sleep 0.3; cat; } >out; } 2>&1'
    [[ "$output" =~ [1-9][0-9]*\ written,\ [789][0-9]%\ read ]]
    cmp out one
    run -0 slow --progress never one
    [ -z "$output" ]
    run -0 slow one # no terminal
    [ -z "$output" ]
}
