# Everything that a server does wrong (tests/faulty_server.c), met by every command that takes one: tried
# again or rejected with the reason, never lost, never waited for beyond --timeout.
bats_require_minimum_version 1.5.0
load server

setup() {
    SEEDS="$BATS_TEST_DIRNAME/../examples/synthetic/seeds.jsonl"
    cd "$BATS_TEST_TMPDIR" || return 1
    server_open
    head -4 "$SEEDS" >in
}

teardown() {
    server_close
}

# ask COMMAND OPTION ...: the command at the server, output in out, rejects in bad.
ask() {
    local command=$1
    shift
    rm -f out bad
    case $command in
    generate) llm-generate -m "$URL" -n 16 "$@" --rejects bad in ;;
    evol) llm-evol -m "$URL" "$@" --rejects bad in ;;
    selfinstruct) llm-selfinstruct -m "$URL" --count 6 --per-round 2 --max-rounds 3 --rouge 0.99 "$@" --rejects bad in ;;
    judge) llm-score -m "$URL" --prompts tiny "$@" --rejects bad in ;;
    pairwise)
        jq -c '(., .output = "fox") | .id += .output' in >pairs
        llm-score pairwise -m "$URL" "$@" --rejects bad pairs
        ;;
    esac >out 2>err
}
commands="generate evol selfinstruct judge pairwise"

# Is every record of the input in the output or in the rejects, and once?
accounted() { # COMMAND
    local of=in
    [ "$1" != pairwise ] || of=pairs
    jq -r .id "$of" | sort >want
    jq -r .id out bad | sort >have
    [ -z "$(comm -23 want have)" ] && [ -z "$(comm -12 want <(uniq -d have))" ]
}

@test "faults: for good: every command rejects with the reason, and loses nothing" {
    while read -r fault rule; do
        for c in $commands; do
            server "$fault"
            rc=0
            ask $c --retries 0 --timeout 1 || rc=$?
            echo "$c $fault: status $rc, $(jq -r .reject.rule bad | sort | uniq -c | tr '\n' ' ')"
            [ $rc = 1 ]
            [ "$(jq -r .reject.rule bad | sort -u)" = "$rule" ]
            accounted $c
            jq -se 'all(has("score") | not)' bad # a failure is no number
            kill "$(tail -n 1 pids)"
        done
    done <<'EOT'
500 status
429 status
400 status
cut cut
garbage answer
html answer
other answer
empty empty
filter empty
EOT
}

@test "faults: one that passes: every command asks again, and the output is as without it" {
    TINY="$BATS_TEST_DIRNAME/../examples/models/tiny.gguf"
    for c in generate evol selfinstruct judge; do
        model=
        [ $c != judge ] || model=$TINY # its scores are read from probabilities
        server ok $model
        ask $c --model-name m --batch 1
        mv out whole
        for fault in 500 cut garbage; do
            server $fault,ok $model
            ask $c --model-name m --batch 1
            cmp out whole
            [ ! -s bad ]
        done
    done
    server 429,ok # waits as long as it is told
    begin=$SECONDS
    ask generate --batch 1
    [ $((SECONDS - begin)) -ge 1 ]
    [ "$(wc -l <out)" = 4 ]
}

@test "faults: slow: no command waits longer than --timeout for a try" {
    for c in $commands; do
        server slow
        begin=$SECONDS
        rc=0
        ask $c --retries 0 --timeout 1 || rc=$?
        echo "$c: status $rc after $((SECONDS - begin)) s"
        [ $rc = 1 ]
        [ $((SECONDS - begin)) -le 25 ] # of the 60 that one answer would take
        [ "$(jq -r .reject.rule bad | sort -u)" = timeout ]
        accounted $c
    done
}

@test "faults: refused: status 75, nothing is rejected, and --resume goes on" {
    for c in $commands; do
        URL=http://127.0.0.1:1/v1
        rc=0
        ask $c --retries 0 --model-name m || rc=$?
        [ $rc = 75 ]
        [ ! -s bad ]
        [ -s err ]
    done
}

@test "faults: a model that says nothing useful: every command ends, and says why" {
    server ok # rivers and regions, whatever is asked
    for c in evol judge pairwise; do
        rc=0
        ask $c || rc=$?
        [ $rc -le 1 ]
        accounted $c
    done
    [ "$(jq -r .reject.rule bad | sort -u)" = logprobs ]
    # the same task for ever is no endless loop
    server korean
    run -0 --separate-stderr llm-selfinstruct -m "$URL" --count 500 --rouge 0.3 --max-rounds 8 --no-seeds --rejects bad2 "$SEEDS"
    [ "${#lines[@]}" -lt 20 ]
    [[ "$stderr" == *"of 500 records after 8 rounds"* ]]
    jq -r .reject.rule bad2 | sort -u | grep -x rouge
}
