# What is on the disk after a kill, a full disk, a signal: the same bytes in the end.
bats_require_minimum_version 1.5.0

setup() {
    TINY="$BATS_TEST_DIRNAME/../examples/models/tiny.gguf"
    cd "$BATS_TEST_TMPDIR" || return 1
}

teardown() {
    if mountpoint -q "$BATS_TEST_TMPDIR/small"; then
        umount "$BATS_TEST_TMPDIR/small"
    fi
}

gen() {
    llm-generate -m "$TINY" -q "$@"
}

# n records of all kinds: good, bad JSON, no prompt, twice the same, too long for --ctx 256.
records() {
    awk -v n="$1" 'BEGIN {
        for (i = 0; i < n; i++) {
            if (i % 17 == 3) printf "{bad %d\n", i % 4
            else if (i % 23 == 5) printf "{\"id\":\"no-%d\",\"text\":1}\n", i
            else if (i % 41 == 7) {
                printf "{\"n\":%d,\"prompt\":\"", i
                for (k = 0; k < 600; k++) printf "fox %d ", k
                print "\"}"
            } else printf "{\"instruction\":\"Reverse the list.\",\"input\":\"plum fox goat %d\"}\n", i % (n - 40)
        }
    }'
}

# A number of 0..999 from a seed: the moments are random, and the same in each run.
next() {
    seed=$(((seed * 1103515245 + 12345) % 2147483648))
    random=$((seed / 65536 % 1000))
}

# kill_loop KILLS OUT WHOLE OPTION...: start gen on OUT again and again until it ends by itself. The
# i-th run is killed (-9) once OUT has grown past a random point of the i-th of KILLS parts of WHOLE
# bytes: so the kills fall within the work on a fast machine and on a slow one.
kill_loop() {
    local kills=$1 out=$2 whole=$3 i=0 pid at
    shift 3
    seed=7
    killed=0
    while :; do
        llm-generate -m "$TINY" -q -o "$out" --resume "$@" & # not gen: the pid would be a shell's
        pid=$!
        if [ $i -lt "$kills" ]; then
            next
            at=$((whole * (1000 * i + random) / (1000 * kills)))
            while kill -0 $pid && [ "$(stat -c %s "$out" || echo 0)" -le $at ]; do
                sleep 0.003
            done
            kill -KILL $pid || : # it may have ended
            i=$((i + 1))
        fi
        rc=0
        wait $pid || rc=$?
        if [ $rc != 137 ]; then
            break
        fi
        killed=$((killed + 1))
    done 2>/dev/null
}

@test "durability: kill -9 at 20 random moments, then the file of an undisturbed run" {
    records 500 >in.jsonl
    run -1 gen -n 16 -t 0.8 --ctx 256 -o ref.jsonl --rejects ref-rejects.jsonl in.jsonl
    [ "$(cat ref.jsonl ref-rejects.jsonl | wc -l)" = 500 ]
    kill_loop 20 out.jsonl "$(stat -c %s ref.jsonl)" -n 16 -t 0.8 --ctx 256 --rejects rejects.jsonl in.jsonl
    echo "killed $killed times, then $rc"
    [ "$killed" -ge 10 ]
    [ "$rc" -le 1 ]
    cmp out.jsonl ref.jsonl
    cmp rejects.jsonl ref-rejects.jsonl
    run -0 gen -n 16 -t 0.8 --ctx 256 -o out.jsonl --rejects rejects.jsonl --resume in.jsonl
    cmp out.jsonl ref.jsonl
}

@test "durability: samples are written as one; a kill never leaves a part of them" {
    records 80 >in.jsonl
    run -1 gen -n 12 -t 1.2 --samples 3 -o ref.jsonl --rejects ref-rejects.jsonl in.jsonl
    kill_loop 8 out.jsonl "$(stat -c %s ref.jsonl)" -n 12 -t 1.2 --samples 3 --rejects rejects.jsonl in.jsonl
    [ "$rc" -le 1 ]
    cmp out.jsonl ref.jsonl
    cmp rejects.jsonl ref-rejects.jsonl
}

@test "durability: batch, threads and order of work may differ between the runs" {
    records 120 >in.jsonl
    run -1 gen -n 8 -t 0.8 --batch 1 -j 1 -o ref.jsonl --rejects ref-rejects.jsonl in.jsonl
    for i in 10 300 2000 9000; do
        head -c $i ref.jsonl >out.jsonl
        head -c $((i / 5)) ref-rejects.jsonl >rejects.jsonl
        cp ref.jsonl.meta out.jsonl.meta
        gen -n 8 -t 0.8 --batch 13 -j 2 --batch-tokens 7 -o out.jsonl --rejects rejects.jsonl --resume in.jsonl || [ $? = 1 ]
        cmp out.jsonl ref.jsonl
        cmp rejects.jsonl ref-rejects.jsonl
    done
}

@test "durability: --unordered gives the same set of lines" {
    records 120 >in.jsonl
    run -1 gen -n 8 -t 0.8 -o ref.jsonl --rejects ref-rejects.jsonl in.jsonl
    kill_loop 6 out.jsonl "$(stat -c %s ref.jsonl)" -n 8 -t 0.8 --unordered --rejects rejects.jsonl in.jsonl
    [ "$rc" -le 1 ]
    cmp <(sort out.jsonl) <(sort ref.jsonl)
    cmp <(sort rejects.jsonl) <(sort ref-rejects.jsonl)
}

@test "durability: shards, each killed and resumed, join to the whole" {
    records 150 >in.jsonl
    run -1 gen -n 8 -t 0.8 -o ref.jsonl --rejects ref-rejects.jsonl in.jsonl
    for i in 1 2 3; do
        kill_loop 3 out.$i 5000 -n 8 -t 0.8 --shard $i/3 --rejects rejects.$i in.jsonl
        [ "$rc" -le 1 ]
    done
    cmp <(sort out.[123]) <(sort ref.jsonl)
    cmp <(sort rejects.[123]) <(sort ref-rejects.jsonl)
}

@test "durability: --resume >> FILE repairs and continues its own standard output" {
    records 60 >in.jsonl
    gen -n 8 -t 0.8 --resume in.jsonl >>ref.jsonl || [ $? = 1 ]
    head -c 3000 ref.jsonl >out.jsonl
    cp ref.jsonl.meta out.jsonl.meta
    gen -n 8 -t 0.8 --resume in.jsonl >>out.jsonl || [ $? = 1 ]
    cmp out.jsonl ref.jsonl
    run -2 gen -n 8 -t 0.9 --resume -o out.jsonl in.jsonl
    [[ "$output" == *"options.temp was \"0.8\" and is \"0.9\" now"* ]]
    cmp out.jsonl ref.jsonl
}

@test "durability: SIGTERM ends with 75, and the same command goes on" {
    records 200 >in.jsonl
    run -1 gen -n 16 -t 0.8 -o ref.jsonl --rejects ref-rejects.jsonl in.jsonl
    stopped=0
    wait=20
    while :; do
        llm-generate -m "$TINY" -n 16 -t 0.8 -q -o out.jsonl --rejects rejects.jsonl --resume in.jsonl &
        sleep "0.$(printf %03d $wait)"
        kill -TERM $! 2>/dev/null || :
        rc=0
        wait $! || rc=$?
        [ $rc = 75 ] && stopped=$((stopped + 1))
        [ $rc = 75 ] || [ $rc = 143 ] || break
        [ $wait -gt 900 ] || wait=$((wait + 20))
        [ -s out.jsonl ] && [ "$(tail -c 1 out.jsonl | od -An -tx1 | tr -d ' ')" != 0a ] && return 1
        :
    done
    echo "stopped $stopped times, then $rc"
    [ "$rc" -le 1 ]
    [ "$stopped" -ge 1 ]
    cmp out.jsonl ref.jsonl
    cmp rejects.jsonl ref-rejects.jsonl
}

@test "durability: a full disk is status 75, and the same command goes on when there is room" {
    [ "$(id -u)" = 0 ] || skip "not root: no small disk to fill"
    mkdir small
    mount -t tmpfs -o size=16k tmpfs small 2>/dev/null || skip "mount is not allowed here"
    records 100 >in.jsonl
    gen -n 8 -t 0.8 -o ref.jsonl in.jsonl || [ $? = 1 ]
    rc=0
    err=$(llm-generate -m "$TINY" -n 8 -t 0.8 -o small/out.jsonl in.jsonl 2>&1) || rc=$?
    last=$(tail -c 1 small/out.jsonl | od -An -tx1 | tr -d ' ')
    lines=$(wc -l <small/out.jsonl)
    mount -o remount,size=1m small
    again=0
    gen -n 8 -t 0.8 --resume -o small/out.jsonl in.jsonl || again=$?
    cmp small/out.jsonl ref.jsonl || again=99
    umount small
    [ "$rc" = 75 ]
    [[ "$err" == *"cannot write 'small/out.jsonl': No space left on device"* ]]
    [ "$last" = 0a ] # what did not fit whole was taken back
    [ "$lines" -gt 10 ]
    [ "$again" -le 1 ]
}

@test "durability: a limit on the size of files is like a full disk" {
    records 100 >in.jsonl
    gen -n 8 -t 0.8 -o ref.jsonl in.jsonl || [ $? = 1 ]
    rc=0
    err=$(ulimit -f 4 && llm-generate -m "$TINY" -n 8 -t 0.8 -o out.jsonl in.jsonl 2>&1) || rc=$?
    [ "$rc" = 75 ]
    [[ "$err" == *"cannot write 'out.jsonl': File too large"* ]]
    [ "$(tail -c 1 out.jsonl | od -An -tx1 | tr -d ' ')" = 0a ]
    [ "$(wc -l <out.jsonl)" -gt 10 ]
    gen -n 8 -t 0.8 --resume -o out.jsonl in.jsonl || [ $? = 1 ]
    cmp out.jsonl ref.jsonl
    llm-embed -o ref.e --npy ref.npy in.jsonl -q || [ $? = 1 ]
    rc=0
    (ulimit -f 4 && llm-embed -o e --npy e.npy in.jsonl -q) || rc=$?
    [ "$rc" = 75 ]
    llm-embed --resume -o e --npy e.npy in.jsonl -q || [ $? = 1 ]
    cmp ref.npy e.npy
    # where not even FILE.meta has room
    run -75 bash -c "ulimit -f 0; llm-embed -o z in.jsonl 2>&1 | cat; exit \${PIPESTATUS[0]}"
    [ "$output" = "llm-embed: cannot write 'z.meta': File too large" ]
    llm-embed -q -o z in.jsonl || [ $? = 1 ]
    llm-embed -q in.jsonl | cmp z -
}

@test "durability: lines that are held together are not written when the drops before them are lost" {
    text=$(printf 'plum fox %.0s' $(seq 150)) # as many as are written at once before the last is read
    for i in $(seq 400); do echo "{\"id\":\"r$i\",\"text\":\"$text\",\"n\":$((i % 10))}"; done >in
    filter() {
        llm-filter --where 'n == 1' "$@" in
    }
    filter -o whole --rejects whole.r
    run -75 bash -c "ulimit -f 100; $(declare -f filter); filter -o out --rejects r"
    [[ "$output" == *"cannot write 'r'"* ]]
    [ ! -s out ]
    filter -o out --rejects r --resume
    cmp out whole
    cmp r whole.r
}

@test "durability: damage before the end is an error, never repaired" {
    records 20 >in.jsonl
    gen -n 4 -o out.jsonl in.jsonl || [ $? = 1 ]
    sed -i '3s/}$//' out.jsonl
    cp out.jsonl before
    run -2 gen -n 4 --resume -o out.jsonl in.jsonl
    [[ "$output" == *"out.jsonl:3: byte "* ]]
    cmp out.jsonl before
}

@test "durability: attempts: each its own file, two at once, kills, joined to the whole" {
    records 200 >in.jsonl
    run -1 gen -n 16 -t 0.8 --samples 2 -o ref.jsonl --rejects ref-rejects.jsonl in.jsonl
    work() {
        exec llm-generate -m "$TINY" -q -n 16 -t 0.8 --samples 2 -o out --rejects rej --resume --attempt "$@" in.jsonl
    }
    # the first is killed; the second, and a third that a scheduler started for a node that only
    # seemed dead, go on at once
    (work 0) &
    pid=$!
    while kill -0 $pid && [ "$(stat -c %s out.a0 || echo 0)" -le 8000 ]; do sleep 0.003; done 2>/dev/null
    kill -KILL $pid 2>/dev/null || :
    wait $pid || :
    before=$(wc -l <out.a0)
    [ "$before" -gt 0 ]
    (work 1) &
    one=$!
    (work 2) || [ $? = 1 ]
    wait $one || [ $? = 1 ]
    [ ! -e out ]
    [ "$(wc -l <out.a0)" = "$before" ]
    llm-merge -q --like in.jsonl --rejected rej -o out.jsonl out
    cmp out.jsonl ref.jsonl
    llm-merge -q rej >/dev/null
    cmp <(jq -c .id rej.a* | sort -u) <(jq -c .id ref-rejects.jsonl | sort -u)
    # all is done: one more has nothing to do
    (work 3 --stats s) || [ $? = 1 ]
    [ ! -s out.a3 ]
    jq -e '.read == 0' s
}

@test "durability: attempts of other options, and work that cannot be shared, are refused" {
    records 20 >in.jsonl
    gen -n 4 -o out --attempt 0 in.jsonl || [ $? = 1 ]
    run -2 gen -n 5 -o out --attempt 1 in.jsonl
    [[ "$output" == *'options.max-tokens was "4" and is "5" now (out.a0.meta)'* ]]
    run -2 gen -n 4 --attempt 1 in.jsonl
    [[ "$output" == *"--attempt needs -o FILE"* ]]
    run -2 gen -n 4 -o out --attempt x in.jsonl
    [[ "$output" == *"--attempt: 'x' is not an integer in 0..9999"* ]]
    run -2 llm-evol -m "$TINY" --prompts tiny -o out --attempt 1 in.jsonl
    [[ "$output" == *"depends on all that was written before"* ]]
    # an end that another process is writing is neither counted nor cut
    head -c -9 out.a0 >t
    cp t out.a0
    gen -n 4 -o out --attempt 1 in.jsonl || [ $? = 1 ]
    cmp t out.a0
    [ "$(wc -l <out.a1)" -ge 1 ]
    [[ "$(llm-merge --like in.jsonl out 2>&1 >joined || :)" == *"left out an incomplete last record"* ]]
    gen -n 4 -o ref in.jsonl || [ $? = 1 ]
    cmp joined ref
}

@test "durability: attempts of llm-filter meet the duplicates of the others" {
    for i in $(seq 200); do
        printf '{"id":%d,"instruction":"Count to %d and then go on to %d","output":"o"}\n' "$i" $((i % 60)) $((i % 60))
    done >in
    llm-filter --exact --near 0.7 -o ref --rejects ref.r in
    head -n 90 in | llm-filter --exact --near 0.7 -o out --rejects r --attempt 0
    llm-filter --exact --near 0.7 -o out --rejects r --attempt 1 in
    llm-merge --like in --rejected r -o joined out
    cmp joined ref
    llm-merge -q --like in r >joined.r || [ $? = 1 ]
    cmp joined.r ref.r
}

@test "durability: --resume leaves a file alone that no such run wrote" {
    tok() { llm-tokenize -m "$TINY" -c --field instruction "$@" in.jsonl; }
    printf '{"id":1,"instruction":"fox"}\n{"id":2,"instruction":"goat"}\n' >in.jsonl
    tok -o ref --rejects refrej
    tr -d '\n' <"$TINY" >img
    head -c 4096 /dev/zero >nul
    echo 'buy milk' >notes.txt
    cp ref.meta other.meta
    cksum img nul notes.txt >sums
    for f in img nul notes.txt; do
        run -2 tok -o $f --resume
        [[ "$output" == "llm-tokenize: '$f' holds no record of an earlier run ("*"); it is left as it is" ]]
        run -2 bash -c 'llm-tokenize -m "$1" -c --field instruction --resume in.jsonl >>$2' - "$TINY" $f
        run -2 tok -o new --rejects $f --resume
        cp ref other
        run -2 tok -o other --rejects $f --resume
        cmp other ref
        [ ! -e $f.meta ]
    done
    cksum img nul notes.txt | cmp sums -
    # what a kill leaves before the first line is whole, with and without FILE.meta
    for n in 1 9 30; do
        head -c $n ref >torn
        rm -f torn.meta
        tok -o torn --resume
        cmp torn ref
        head -c $n ref >torn
        tok -o torn --resume
        cmp torn ref
    done
    cp nul torn # blocks that never came to the disk
    tok -o torn --resume
    cmp torn ref
}

@test "durability: --resume passes over a BOM and blank lines" {
    printf '{"id":%d,"output":"a text of its own, number %d"}\n' 1 1 2 2 3 3 >in.jsonl
    for c in "llm-filter --exact" "llm-tokenize -m $TINY --field output"; do
        rm -f out out.meta whole whole.meta
        $c -o whole in.jsonl
        head -n 2 whole >two
        cp whole.meta out.meta
        printf '\xef\xbb\xbf%s\n\n%s\n \r\n' "$(head -n 1 two)" "$(tail -n 1 two)" >out
        $c -o out --resume in.jsonl
        [ "$(wc -l <out)" = 5 ]
        grep -v '^ *.$' out | sed '1s/^\xef\xbb\xbf//; /^$/d' | cmp - whole
    done
}

@test "durability: rejects of another run are no work done" {
    printf '{"id":%d,"output":"fox","score":0.%d}\n' 1 1 2 2 3 3 4 4 5 5 >in
    keep() { llm-filter -q --min-score "$1" --resume -o out --rejects rej in; }
    keep 0.5
    [ "$(wc -l <out)" = 1 ]
    rm out out.meta # by hand, to do it again with another limit
    run -2 keep 0.3
    [[ "$output" == "llm-filter: cannot resume: 'rej' holds records, of another run than 'out'"* ]]
    [ "$(wc -l <rej)" = 4 ]
    rm rej
    keep 0.3
    [ "$(wc -l <out)" = 3 ]
    # a run of which all has been rejected so far is known by its .meta
    rm out out.meta rej
    head -n 2 in | llm-filter -q --min-score 0.5 --resume -o out --rejects rej
    [ ! -s out ]
    run -2 keep 0.3
    [[ "$output" == *"options.min-score was"* ]]
    keep 0.5
    [ "$(wc -l <out) $(wc -l <rej)" = "1 4" ]
}

@test "durability: another tokenizer or chat template is another model" {
    printf '{"id":%d,"instruction":"Reverse the list.","input":"fox goat"}\n' 1 2 >in
    llm-convert "$TINY" -o d
    cp -r d whole
    change() { # FILE FILTER: another directory of the same weights
        rm -rf d
        cp -r whole d
        [ -e "d/$1" ] || echo '{}' >"d/$1"
        jq -c "$2" "d/$1" >changed
        mv changed "d/$1"
    }
    head -n 1 in | llm-generate -m d -n 4 -o out --resume
    head -n 1 in | llm-tokenize -m d --field instruction -o ids --resume
    for c in 'tokenizer_config.json .chat_template="{{x}}"' 'generation_config.json .eos_token_id=[5]' 'tokenizer.json .model.merges[0]=.model.merges[1]'; do
        change ${c%% *} "${c#* }"
        run -2 llm-generate -m d -n 4 -o out --resume in
        [[ "$output" == *"cannot resume: model was "* ]]
    done
    cp ids ids.0
    for c in 'tokenizer.json .normalizer={"type":"NFC"}' 'tokenizer_config.json .add_bos_token=false'; do
        change ${c%% *} "${c#* }"
        run -2 llm-tokenize -m d --field instruction -o ids --resume in
        [[ "$output" == *"cannot resume: model was "* ]]
        cmp ids ids.0
    done
    rm -r d
    mv whole d
    llm-generate -m d -n 4 -o out --resume in
    llm-tokenize -m d --field instruction -o ids --resume in
    [ "$(cat out ids | wc -l)" = 4 ]
}
