bats_require_minimum_version 1.5.0
load server

setup() {
    SYN="$BATS_TEST_DIRNAME/../examples/synthetic"
    cd "$BATS_TEST_TMPDIR" || return 1
    server_open
}

teardown() {
    server_close
}

data() {
    make -s -C "$SYN" BIN="$BUILD/" OUT="$PWD/$1" COUNT=40 dataset >/dev/null 2>&1
}

# records and their ids of all stages
stages="instructions evolved clean answered sound scored good dataset"

# same DIR: are all stages' files the ones of whole/?
same() {
    local s
    for s in $stages; do
        cmp $1/$s.jsonl whole/$s.jsonl || return 1
        cat $1/$s.*rejects.jsonl | sort | cmp - <(cat whole/$s.*rejects.jsonl | sort) || return 1
    done
}

@test "synthetic: the Makefile and the shell line make the same data set" {
    data make
    "$SYN/pipeline.sh" 40 >line 2>/dev/null
    cmp line make/dataset.jsonl
    [ "$(wc -l <line)" -ge 36 ]
    jq -se 'all(.output | length > 0) and all(.score >= 0.6) and (map(.id) | unique | length) == length' line
    jq -se 'map(.meta.source) | unique | inside(["evol","seed","selfinstruct"])' line
}

@test "synthetic: killed at many moments and repeated, the same files" {
    data whole
    kills=0
    for i in $(seq 60); do
        # make and its commands are one process group, killed at once and for good
        setsid make -s -C "$SYN" BIN="$BUILD/" OUT="$PWD/cut" COUNT=40 dataset >/dev/null 2>&1 &
        pid=$!
        sleep "0.$((i % 3))$((i * 37 % 10))"
        if kill -KILL -- -$pid 2>/dev/null; then
            kills=$((kills + 1))
        fi
        wait $pid || true
        [ ! -e cut/dataset.jsonl ] || break
    done
    data cut
    [ $kills -ge 3 ]
    same cut
}

@test "synthetic: other settings are refused where a run stands, and what begins anew keeps no old rejects" {
    data out
    run -2 make -s -C "$SYN" BIN="$BUILD/" OUT="$PWD/out" COUNT=41 MIN_SCORE=0.9 dataset
    [[ "$output" == *"$PWD/out was begun with other settings than COUNT=41 INSTRUCTIONS=41 MIN_SCORE=0.9; take another OUT"* ]]
    make -s -C "$SYN" BIN="$BUILD/" OUT="$PWD/out" COUNT=40 SHARDS=2 BATCH=3 dataset # of these nothing depends
    # a stage that is made again, its limit changed by hand
    kept() { make -s -C "$SYN" BIN="$BUILD/" OUT="$PWD/out" COUNT=40 "$@" "$PWD/out/good.jsonl" && wc -l <out/good.jsonl; }
    rm out/good.jsonl out/dataset.jsonl out/settings # by hand: no longer known
    few=$(kept MIN_SCORE=0.9)
    [ "$few" -lt "$(wc -l <out/scored.jsonl)" ]
    rm out/good.jsonl
    [ "$(kept MIN_SCORE=0.1)" -gt "$few" ]
    [ "$(cat out/good.jsonl out/good.rejects.jsonl | wc -l)" = "$(wc -l <out/scored.jsonl)" ]
}

@test "synthetic: a directory with spaces is refused, and only a run's own files are cleaned away" {
    mkdir my
    touch my/thesis.tex
    for goal in dataset clean; do
        run -2 make -s -C "$SYN" BIN="$BUILD/" OUT="$PWD/my data" COUNT=4 $goal
        [[ "$output" == *"OUT='$PWD/my data' is not one word; make cannot work with spaces in paths"* ]]
        [ "${#lines[@]}" = 1 ]
    done
    [ -e my/thesis.tex ]
    OUT=my COUNT=8 sh "$SYN/demo.sh" "$BUILD" >said # a name from where the user stands
    grep -qx 'records  *[0-9]* in my/dataset.jsonl' said
    [ -e my/dataset.jsonl ]
    [ -e my/thesis.tex ]
    make -s -C "$SYN" OUT="$PWD/my" clean
    [ -z "$(ls my | grep jsonl)" ]
    [ -e my/thesis.tex ]
    data out
    make -s -C "$SYN" OUT="$PWD/out" clean
    [ ! -e out ]
}

@test "synthetic: four shards at once and merged, the same files" {
    data whole
    make -s -j4 -C "$SYN" BIN="$BUILD/" OUT="$PWD/four" COUNT=40 SHARDS=4 MODEL_OPTIONS="-j 1" dataset
    same four
    [ "$(cat four/answered.?of4.jsonl | wc -l)" = "$(wc -l <whole/answered.jsonl)" ]
}

@test "synthetic: GNU parallel, killed twenty times: the same files" {
    command -v parallel >/dev/null || skip "no GNU parallel here: make deps installs it"
    export COUNT=40 PARALLEL_OPTIONS=-j2 PARALLEL_HOME="$PWD/home"
    data whole
    kills=0 whole=0
    while [ $kills -lt 20 ]; do
        # the keeper takes along all that parallel started
        OUT="$PWD/cut" "$BUILD/tests/keeper" "$SYN/parallel.sh" 4 >log 2>&1 3>&- &
        pid=$!
        sleep "0.$((2 + kills % 5))$((kills * 37 % 10))"
        if kill $pid 2>/dev/null; then
            kills=$((kills + 1))
        fi
        wait $pid || true
        if [ -e cut/dataset.jsonl ]; then
            same cut
            whole=$((whole + 1))
            rm -r cut
        fi
    done
    OUT="$PWD/cut" "$SYN/parallel.sh" 4
    same cut
    echo "# $whole runs ended before"
}

@test "synthetic: GNU parallel: files are named from where the user stands" {
    command -v parallel >/dev/null || skip "no GNU parallel here: make deps installs it"
    export COUNT=8 PARALLEL_OPTIONS=-j2 PARALLEL_HOME="$PWD/home"
    head -12 "$SYN/seeds.jsonl" >own.jsonl
    cp "$SYN/../models/tiny.gguf" own.gguf
    OUT=here/cut SEEDS=own.jsonl MODEL=own.gguf "$SYN/parallel.sh" 2
    [ "$(wc -l <here/cut/dataset.jsonl)" = 8 ]
    grep -q seed-12 here/cut/scored.jsonl
    run ! grep seed-13 here/cut/scored.jsonl
}

# all stages at temperature 0, by a model here or behind a server; what says which is left out
cold() {
    local dir=$1
    shift
    mkdir "$dir"
    llm-selfinstruct "$@" --prompts tiny -t 0 --seed 1 --no-seeds --count 4 "$SYN/seeds.jsonl" >"$dir/instructions"
    llm-evol "$@" --prompts tiny -t 0 --seed 1 "$dir/instructions" >"$dir/evolved"
    llm-filter --field instruction --min-words 3 --max-words 150 --leaks --exact --near 0.95 "$dir/evolved" >"$dir/clean"
    llm-generate "$@" -t 0 --seed 1 "$dir/clean" >"$dir/answered"
    llm-filter --min-words 1 --max-repeat 0.5 --refusals --leaks "$dir/answered" >"$dir/sound"
    head -3 "$SYN/seeds.jsonl" | llm-score "$@" --prompts tiny --seed 1 --reference self - "$dir/sound" >"$dir/scored"
    llm-filter --min-score 0.6 "$dir/scored" | llm-diversify --count 100 --seed 1 -q >"$dir/dataset"
    sed -i 's/,"model":"[^"]*"//' "$dir"/*
}

@test "synthetic: through a server with the same model the same data set at temperature 0" {
    cold here -m "$SYN/../models/tiny.gguf" -q
    server ok "$SYN/../models/tiny.gguf"
    cold there -m "$URL" --chat-template alpaca -q
    for s in here/*; do cmp "$s" "there/${s#*/}"; done
    [ "$(wc -l <there/dataset)" -ge 8 ]
}

@test "synthetic: the demo prints its summary" {
    run -0 env OUT="$PWD/demo" COUNT=60 sh "$SYN/demo.sh" "$BUILD"
    [[ "$output" == *'$ llm-selfinstruct '*'$ llm-evol '*'$ llm-diversify '*"synthetic share  "*" %"*"mean score "*"per accepted record"* ]]
    n=$(wc -l <demo/dataset.jsonl)
    [[ "$output" == *"records          $n in demo/dataset.jsonl"* ]]
    share=$(jq -s 'map(select(.meta.source != "seed")) | length' demo/dataset.jsonl)
    [[ "$output" == *"synthetic share  $(awk -v a="$share" -v b="$n" 'BEGIN {printf "%.1f", 100 * a / b}') %"* ]]
    [[ "$output" != *"instruction  "$'\n'* ]] # every sample has one
    [[ "$output" == *"report           demo/report.html"* ]]
    tail -n 1 demo/report.html | grep -F '</html>'
}

@test "synthetic: slurm.sh: what is told to stop goes back into the queue in time, what is done does not" {
    mkdir bin out
    echo '{"id":1,"instruction":"a"}' >out/clean.jsonl
    printf '#!/bin/sh\necho "$*" >>%s/asked\n' "$PWD" >bin/scontrol
    # a command with a record in hand: ends as the test says at the first signal, or dies of the second
    printf '#!/bin/bash\ntrap "trap - TERM; [ $END = never ] || exit $END" TERM\n: >%s/up\nwhile :; do sleep 0.1; done\n' "$PWD" >bin/llm-generate
    chmod +x bin/*
    export OUT="$PWD/out" BIN="$PWD/bin/" GRACE=1 SLURM_JOB_ID=7 SLURM_ARRAY_TASK_ID=1 SLURM_ARRAY_TASK_COUNT=1
    for END in never 75 0; do
        export END
        rm -f up
        PATH="$PWD/bin:$PATH" "$SYN/slurm.sh" part answered 3>&- &
        pid=$!
        until [ -e up ]; do sleep 0.1; done
        kill -TERM $pid
        for _ in $(seq 200); do
            kill -0 $pid 2>/dev/null || break
            sleep 0.1
        done
        if kill -9 $pid 2>/dev/null; then
            echo "hangs: $END"
            return 1
        fi
        rc=0
        wait $pid || rc=$?
        echo "$END $rc $(cat asked 2>/dev/null)" >>got
        rm -f asked
    done
    cat got
    [ "$(cat got)" = "never 75 requeue 7
75 75 requeue 7
0 0 " ]
}
