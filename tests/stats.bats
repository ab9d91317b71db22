# What --stats holds of a run that ends before its work does: a full disk, a signal, a server that
# goes away, an input that cannot be read.
bats_require_minimum_version 1.5.0
load server

setup() {
    TINY="$BATS_TEST_DIRNAME/../examples/models/tiny.gguf"
    SEEDS="$BATS_TEST_DIRNAME/../examples/synthetic/seeds.jsonl"
    cd "$BATS_TEST_TMPDIR" || return 1
    server_open
    for i in $(seq 100); do
        echo "{\"id\":\"r$i\",\"instruction\":\"Reverse the list.\",\"input\":\"plum fox $i\",\"output\":\"fox $i\",\"text\":\"plum fox goat $i\"}"
    done >in
}

teardown() {
    server_close
}

# line NAME OPTION...: the command line, with what the command needs.
line() {
    local name=$1
    shift
    case $name in
    generate) set -- llm-generate -m "$TINY" -n 8 "$@" in ;;
    filter) set -- llm-filter --min-words 2 --field text "$@" in ;;
    score) set -- llm-score -m "$TINY" --prompts tiny "$@" in ;;
    evol) set -- llm-evol -m "$TINY" --prompts tiny "$@" in ;;
    selfinstruct) set -- llm-selfinstruct -m "$TINY" --prompts tiny --count 60 "$@" "$SEEDS" ;;
    diversify) set -- llm-diversify --count 100% --max-sim 1 "$@" in ;;
    embed) set -- llm-embed "$@" in ;;
    *) set -- llm-tokenize -m "$TINY" "$@" in ;;
    esac
    line=("$@")
}
commands="generate filter score evol selfinstruct embed tokenize diversify"

cmd() {
    line "$@"
    "${line[@]}"
}

# full NAME OPTION...: the same on a disk with room for 4 KiB.
full() {
    line "$@"
    (ulimit -f 4 && "${line[@]}")
}

# The same with a signal that is there before it begins, and taken when signals are first looked at.
signalled() {
    line "${@:2}"
    env --block-signal="$1" sh -c 'kill -'"$1"' $$; exec "$@"' - "${line[@]}"
}

@test "stats: a full disk: what was done until then, and why it ended" {
    for c in $commands; do
        cmd $c -q -o whole.$c --stats s
        jq -e '.status == 0 and (has("stopped") | not)' s
        run -75 --separate-stderr full $c -o out.$c --stats t
        [[ "$stderr" == "llm-$c: cannot write 'out.$c"*"': File too large" ]]
        jq -e --arg why "${stderr#llm-*: }" '.status == 75 and .stopped == $why and .read > 0' t
        [ $c = diversify ] || [ "$(jq .written t)" = "$(wc -l <out.$c)" ]
        [ $c != score ] || jq -e '.scored == .written' t
        [ $c = diversify ] || cmp <(jq -c 'keys - ["stopped"]' t) <(jq -c keys s)
        [ ! -e out.diversify ]
    done
    jq -e '.wanted == 100 and .clusters == 10' t # diversify: as far as it came
}

@test "stats: lost output: status 1" {
    for c in $commands; do
        [ $c != diversify ] || continue # a file that appears when it is whole
        rm -f s
        run -1 cmd $c -q -o /dev/full --stats s
        jq -e '.status == 1 and .stopped == "cannot write '"'/dev/full'"': No space left on device"
            and .read > 0 and .written == 0' s
    done
    run -1 bash -c 'llm-merge --stats s in >/dev/full'
    jq -e '.stage == "llm-merge" and .status == 1 and (.stopped | test("No space left"))' s
    cp s before
    run -2 llm-merge --stats s in nothere # refused
    cmp s before
    jq -c '. + {helpfulness: (.id[1:] | tonumber % 5), correctness: 1, coherence: 2, complexity: 3,
        verbosity: (.id[1:] | tonumber % 3), label: (.id[1:] | tonumber % 5)}' in >scored
    run -1 bash -c 'ulimit -f 0; llm-score calibrate -o w.yaml --stats /dev/stderr scored 2>&1 >/dev/null'
    jq -e '.stage == "llm-score" and .status == 1 and .records == 100 and .calibrated.spearman > 0.9
        and (.stopped | test("File too large"))' <<<"${lines[0]}"
}

@test "stats: a signal: before the first record, while ids are read, in the middle" {
    for c in $commands; do
        rm -f s o o.meta
        case $c in
        diversify) stopped="stopped before all was read; nothing was written" ;;
        *) stopped=SIGINT ;;
        esac
        run -75 signalled INT $c -o o --stats s
        jq -e --arg why "$stopped" '.status == 75 and .stopped == $why and .read == 0' s
        [ $c != diversify ] || continue
        rm -f s o o.meta
        cmd $c -q -o o
        run -75 --separate-stderr signalled TERM $c -o o --resume --stats s
        jq -e --arg why "${stderr#llm-*: }" '.status == 75 and .stopped == $why and .written == 0' s
        jq -e '.stopped == "stopped while '"'o'"' was read"' s
    done
    mkfifo pipe
    llm-tokenize -m "$TINY" -o some --stats s pipe &
    pid=$!
    exec 5>pipe
    head -n 3 in >&5
    until [ -e some ] && [ "$(wc -l <some)" = 3 ]; do sleep 0.01; done
    kill -TERM $pid
    rc=0
    wait $pid || rc=$?
    exec 5>&-
    [ $rc = 75 ]
    jq -e '.status == 75 and .stopped == "SIGTERM" and .read == 3 and .written == 3' s
}

@test "stats: a server that goes away, and one that was never there" {
    server ok
    mkfifo pipe
    llm-generate -m "$URL" --retries 0 --batch 1 -o o --stats s pipe 2>err &
    pid=$!
    exec 5>pipe
    head -n 2 in >&5
    until [ -e o ] && [ "$(wc -l <o)" = 2 ]; do sleep 0.01; done
    kill "$(tail -n 1 pids)"
    while kill -0 "$(tail -n 1 pids)"; do sleep 0.01; done 2>/dev/null
    head -n 9 in | tail -n 7 >&5
    exec 5>&-
    rc=0
    wait $pid || rc=$?
    cat err s
    [ $rc = 75 ]
    jq -e --arg why "$(sed 's/llm-generate: //' err)" '.status == 75 and .stopped == $why
        and .written == 2 and .rejected == 0 and .requests == 3' s
    cp s before
    run -75 llm-generate -m http://127.0.0.1:1/v1 --retries 0 -o p --stats s in # nothing was begun
    cmp s before
}

@test "stats: an input that cannot be read; what is refused leaves the figures of before" {
    mkfifo pipe
    cp in two
    llm-tokenize -m "$TINY" -o o --stats s pipe two 2>err &
    pid=$!
    exec 5>pipe
    head -n 3 in >&5
    until [ -e o ] && [ "$(wc -l <o)" = 3 ]; do sleep 0.01; done
    rm two
    exec 5>&-
    rc=0
    wait $pid || rc=$?
    [ $rc = 2 ]
    jq -e --arg why "$(sed 's/llm-tokenize: //' err)" '.status == 2 and .stopped == $why and .written == 3' s
    [[ "$(cat err)" == *"cannot open 'two'"* ]]
    cp s before
    for options in "in" "--resume --no-bos in" "--resume in nothere"; do
        run -2 llm-tokenize -m "$TINY" -o o --stats s $options
        cmp s before
    done
}

@test "stats: that they cannot be written either is said after the error, and is no other status" {
    mkdir gone
    run -1 --separate-stderr bash -c '
        { until [ -e r ]; do sleep 0.01; done; rmdir gone; cat in; } |
        llm-tokenize -m "$1" -o /dev/full --rejects r --stats gone/s' - "$TINY"
    [ "${stderr_lines[0]}" = "llm-tokenize: cannot write '/dev/full': No space left on device" ]
    [ "${stderr_lines[1]}" = "llm-tokenize: cannot write 'gone/s': No such file or directory" ]
    [ "${#stderr_lines[@]}" = 2 ]
}

@test "stats: lines that are held together and lost do not count; without their rejects none is written" {
    text=$(printf 'plum fox %.0s' $(seq 150)) # as many as are written at once before the last is read
    for i in $(seq 400); do echo "{\"id\":\"r$i\",\"text\":\"$text\",\"n\":$((i % 10))}"; done >long
    run -75 bash -c 'ulimit -f 100; llm-filter --where "n == 1" -o p --rejects r --stats s long'
    [[ "$output" == *"cannot write 'r'"* ]]
    [ ! -s p ]
    jq -e '.written == 0 and .dropped > 100 and .read < 400' s
}
