bats_require_minimum_version 1.5.0

setup() {
    SEEDS="$LLM_TEST_DATA/seed_tasks.jsonl"
    cd "$BATS_TEST_TMPDIR" || return 1
}

# Four topics of 60, 30, 20 and 10 records; scores fall within a topic.
topics() {
    awk 'BEGIN {
        split("Reverse the list of animals|Add the two numbers together|Write a poem about love|Translate this into French", t, "|")
        split("60 30 20 10", n, " ")
        for (k = 1; k <= 4; k++)
            for (i = 1; i <= n[k]; i++)
                printf "{\"id\":\"%d-%d\",\"instruction\":\"%s\",\"input\":\"w%dq v%dx u%dz\",\"score\":%.3f}\n",
                    k, i, t[k], k * 1000 + i * 7, k * 3000 + i * 13, i * 17 + k, 1 - i / 100
    }'
}

# how many of each topic
shape() {
    jq -r .id | cut -d- -f1 | sort | uniq -c | awk '{printf "%s ", $1}'
}

@test "llm-diversify: exact counts, quotas by balance, best scores first, input order" {
    topics >in
    [ "$(llm-diversify --field instruction --max-sim 1 --clusters 4 --count 40 --balance uniform in | shape)" = "10 10 10 10 " ]
    [ "$(llm-diversify --field instruction --max-sim 1 --clusters 4 --count 60 --balance uniform in | shape | tr ' ' '\n' | sort -n | xargs)" = "10 16 17 17" ] # water-fill
    [ "$(llm-diversify --field instruction --max-sim 1 --clusters 4 --count 12 --balance proportional in | shape)" = "6 3 2 1 " ]
    [ "$(llm-diversify --field instruction --max-sim 1 --clusters 4 --count 50% --balance proportional in | shape)" = "30 15 10 5 " ]
    [ "$(llm-diversify --field instruction --max-sim 1 --clusters 4 --count 20 --balance sqrt in | shape)" = "8 5 4 3 " ]
    llm-diversify --field instruction --max-sim 1 --clusters 4 --count 12 --balance uniform in >out
    [ "$(jq -r .id out | tr '\n' ' ')" = "1-1 1-2 1-3 2-1 2-2 2-3 3-1 3-2 3-3 4-1 4-2 4-3 " ]
    [ "$(jq -r .meta.topic out | sort -u | wc -l)" = 4 ]
}

@test "llm-diversify: other numbers to rank by" {
    topics | jq -c '.cost = -.score' >in
    llm-diversify --field instruction --max-sim 1 --clusters 4 --count 4 --balance uniform --by cost in >out 2>err
    [ ! -s err ]
    jq -c '.meta.cost = .cost | del(.cost)' in | llm-diversify --field instruction --max-sim 1 --clusters 4 --count 4 \
        --balance uniform --by meta.cost >out2 2>err
    cmp <(jq -r .id out) <(jq -r .id out2)
    [ ! -s err ]
    llm-diversify --clusters 4 --count 4 --by price in 2>err >/dev/null
    grep -q "no record has a number in field 'price'" err
    [ "$(jq -r .id out | tr '\n' ' ')" = "1-60 2-30 3-20 4-10 " ]
}

@test "llm-diversify: nothing kept is closer than --max-sim, and the reason is kept" {
    printf '{"id":"%s","instruction":"%s","score":%s}\n' a "Name the first animal of the list" 0.1 \
        b "Name the first animal of the list" 0.9 c "Who painted the ceiling in Rome?" 0.5 \
        d "who painted the CEILING in rome" 0.2 >in
    run -0 --separate-stderr llm-diversify --clusters 2 --count 3 --max-sim 0.9 --rejects r in
    [ "$(jq -r .id <<<"$output" | tr '\n' ' ')" = "b c " ]
    [[ "$stderr" == *"only 2 of 3 records could be kept"* ]]
    [ "$(jq -c '[.id,.reject.rule,.meta.nn_id,.reject.value>0.99]' r | tr '\n' ' ')" = \
        '["a","max-sim","b",true] ["d","max-sim","c",true] ' ]
    run -0 llm-diversify --clusters 2 --count 3 --max-sim 1 in
    [ "${#lines[@]}" = 3 ]
}

@test "llm-diversify: topics before and after" {
    topics >in
    llm-diversify --field instruction --max-sim 1 --clusters 4 --count 40 --balance uniform --stats s -o out in
    jq -e '.before.topics < 3.5 and .after.topics == 4 and .after.topic_entropy > .before.topic_entropy
        and .wanted == 40 and .written == 40 and .dropped == 80 and .after.distinct_1 > 0' s
    jq -e '.before.coverage == 1 and .after.coverage > 0.9 and .after.topics_covered == 4 and .before.records == 120
        and .before.vendi > 3 and .before.vendi < 4 and (.after.vendi - 4 | fabs) < 0.05
        and .after.self_bleu <= .before.self_bleu and .before.self_bleu_of == 120' s
    jq -e '(.topics | length) == 4 and ([.topics[].records] | add) == 120 and ([.topics[].kept] | add) == 40
        and (.topics[0] | has("label"))' s
}

@test "llm-diversify: every dropped record says why and names its neighbour" {
    topics >in
    llm-diversify --field instruction --clusters 4 --count 8 --semdedup 0.01 --rejects r in >out
    [ "$(jq -r .reject.rule r | sort | uniq -c | xargs)" = "116 semdedup" ] # texts are equal in a topic
    [ "$(wc -l <out)" = 4 ]
    jq -e 'select(.meta.nn_sim < 0.99 or .reject.value != .meta.nn_sim or (.reject.limit - 0.99 | fabs) > 1e-6
        or (.meta.nn_id | split("-")[0]) != (.id | split("-")[0]))' r && return 1
    llm-diversify --clusters 4 --count 8 --max-sim 1 --rejects r2 in >out
    jq -e 'select(.reject.rule != "count" or .reject.limit != 8)' r2 && return 1
    jq -r .meta.nn_id r2 | sort -u >near
    jq -r .id out | sort >kept
    [ -z "$(comm -23 near kept)" ] # neighbours are kept records
    [ "$(wc -l <r2)" = 112 ]
    jq -e 'select(.meta.nn_sim == null or .meta.topic == null or .meta.topic_label == null)' r2 && return 1
    true
}

@test "llm-diversify: chains of semantic duplicates, greedy or not" {
    # cosines of neighbours 0.9, of those two apart 0.62
    awk 'BEGIN {for (i = 0; i < 6; i++) {a = i * 0.451; printf "{\"id\":%d,\"embedding\":[%.6f,%.6f]}\n", i, cos(a), sin(a)}}' >in
    [ "$(llm-diversify --embedding --label none --clusters 1 --semdedup 0.2 --count 100% --max-sim 1 in | wc -l)" = 2 ]
    [ "$(llm-diversify --embedding --label none --clusters 1 --semdedup 0.2 --greedy --count 100% --max-sim 1 in | wc -l)" = 3 ]
}

@test "llm-diversify: vectors of the records, as floats and int8, and of a .npy file" {
    d="$BATS_TEST_DIRNAME/data/diversify"
    golden() {
        grep "^$1 " "$d/golden.txt" | cut -d' ' -f2-
    }
    golden score | tr ' ' '\n' | awk '{printf "{\"id\":\"%d\",\"score\":%s,\"prompt\":\"p\"}\n", NR - 1, $1}' >in
    how="--clusters 6 --balance none --max-sim 0.9 --count 100%"
    # shellcheck disable=SC2086 # several words
    llm-diversify $how --vectors "$d/x.npy" in >out
    [ "$(jq -r .id out | sort | xargs)" = "$(golden deita | tr ' ' '\n' | sort | xargs)" ]
    # shellcheck disable=SC2086 # several words
    [ "$(llm-diversify --clusters 6 --method mmr --lambda 0.2 --balance none --max-sim 1 --count 40 --vectors "$d/x.npy" in |
        jq -r .id | sort | xargs)" = "$(golden mmr_novel | tr ' ' '\n' | sort | xargs)" ]
    [ "$(llm-diversify --clusters 6 --method kcenter --balance none --max-sim 1 --count 40 --vectors "$d/x.npy" in |
        jq -r .id | sort | xargs)" = "$(golden kcenter_score | tr ' ' '\n' | sort | xargs)" ]
    run -2 llm-diversify --vectors "$d/x.npy" <(head -239 in)
    [[ "$output" == *"x.npy: 240 vectors for 239 records"* ]]
    { head -120 in; echo '{"bad'; tail -n +122 in; } >torn # a bad line has its vector too
    run -1 --separate-stderr llm-diversify --vectors "$d/x.npy" --count 100% --max-sim 1 torn
    [ "${#lines[@]}" = 239 ]
    cp "$d/x.npy" odd.npy # 128 bytes, then rows of 32 floats: the second is zeros, the fourth has a NaN
    head -c 128 /dev/zero | dd of=odd.npy bs=1 seek=256 conv=notrunc status=none
    printf '\377\377\377\177' | dd of=odd.npy bs=1 seek=512 conv=notrunc status=none
    run -1 --separate-stderr llm-diversify --vectors odd.npy --count 100% --max-sim 1 --rejects odd in
    [ "${#lines[@]}" = 238 ]
    [ "$(jq -c '[.id,.reject.rule]' odd | xargs)" = "[1,vectors] [3,vectors]" ]
    [[ "$stderr" == *"in:2: a vector of length 0"*"in:4: a vector of length NaN"* ]]
    printf '%s\n' '{"id":"a","prompt":"x","embedding":[3,0,0]}' '{"id":"b","embedding":[0,100,0],"embedding_scale":0.02}' \
        '{"id":"c","embedding":[0,0.1]}' '{"id":"d"}' '{"id":"e","embedding":[0,0,0]}' '{"id":"f","embedding":[6,0,0]}' >v
    run -1 --separate-stderr llm-diversify --embedding --count 100% --rejects r v
    [ "$(jq -r .id <<<"$output" | xargs)" = "a b" ]
    [ "$(jq -c '[.id,.reject.rule]' r | xargs)" = "[c,embedding] [d,embedding] [e,embedding] [f,max-sim]" ]
    [[ "$stderr" == *"v:3: an embedding of 2 values, the first one had 3"*"v:5: an embedding of length 0"* ]]
    run -2 llm-diversify --embedding --vectors "$d/x.npy" v
}

@test "llm-diversify: names of topics by their words, by a model, by none" {
    topics >in
    llm-diversify --field instruction --max-sim 1 --clusters 4 --count 12 --balance uniform in >out
    [ "$(jq -r .meta.topic_label out | sort -u | tr '\n' '|')" = \
        "about, love, poem|add, numbers, together|animals, list, of|french, into, this|" ]
    llm-diversify --field instruction --label none --clusters 4 --count 12 in >out
    jq -e 'select(.meta.topic_label)' out && return 1
    model=$BATS_TEST_DIRNAME/../examples/models/tiny.gguf
    how="--field instruction --max-sim 1 --clusters 4 --count 12 --label model -m $model --prompts tiny"
    # shellcheck disable=SC2086 # several words
    llm-diversify $how -j 1 --stats s in >out
    # shellcheck disable=SC2086 # several words
    llm-diversify $how -j 2 --batch 2 in | cmp - out
    [ "$(jq -r .meta.topic_label out | sort -u | wc -l)" -ge 2 ]
    jq -e '.unnamed <= 4 and .generated_tokens > 0' s
    for set in general korean; do
        # shellcheck disable=SC2086 # several words
        llm-diversify ${how% *} $set in >out
        [ "$(wc -l <out)" = 12 ]
    done
    run -2 llm-diversify --label model in
    [[ "$output" == *"--label model needs a model (-m)"* ]]
}

@test "llm-diversify: a map of the records" {
    topics >in
    llm-diversify --clusters 4 --count 12 --plot map.gp in >out
    [ "$(grep -c ' [0-3]$' map.gp)" = 120 ]
    grep -q "^set label '.*' at .* noenhanced" map.gp
    grep -q "12 of 120 records kept, 4 topics" map.gp
    llm-diversify -j 2 --isa scalar --clusters 4 --count 12 --plot map2.gp in | cmp - out
    cmp map.gp map2.gp
    run -2 llm-diversify --count 12 --plot map.jpg in
    [[ "$output" == *"'map.jpg': a plot is a .png, .svg or .gp file"* ]]
    run -2 llm-diversify --count 12 --plot map.gp in
    [[ "$output" == *"'map.gp' exists"* ]]
    PATH=$BUILD run -2 "$BUILD/llm-diversify" --count 12 --plot map.png in
    [[ "$output" == *"'map.png': there is no gnuplot to draw it"* ]]
    [ ! -e map.png ]
    if command -v gnuplot; then
        llm-diversify --clusters 4 --count 12 --plot map.png in >out
        [ "$(head -c 4 map.png | tail -c 3)" = PNG ]
        llm-diversify --plot none.png /dev/null # no record, and no failure
        [ "$(head -c 4 none.png | tail -c 3)" = PNG ]
    fi
    for name in map.png map.gp; do # found before the work
        run -2 llm-diversify --count 12 --plot "nowhere/$name" -o late in
        [[ "$output" == *"cannot create 'nowhere/$name.part': No such file or directory"* ]]
        [ ! -e late ]
    done
}

@test "llm-diversify: what records hold besides passes through byte for byte, ids too" {
    cat >in <<'EOF'
{"id":7,"instruction":"Reverse the list.","score":1.50,"x":1.0e0}
{"id" : "a\/b\u00e9","instruction":"Name a colour.", "big":123456789012345678901234567890 }
{"id":-0,"instruction":"Say the past of go."}
{"id":7,"instruction":"Name three birds."}
EOF
    llm-diversify --count 100% --max-sim 1 in | sed 's/,"meta":{[^}]*}//' >out
    sed '4s/"id":7/"id":"7#2"/' in | cmp - out
    llm-diversify --count 0 --rejects r in
    sed 's/,"meta":{[^}]*}//; s/,"reject":{[^}]*}//' r >out
    sed '4s/"id":7/"id":"7#2"/' in | cmp - out
}

@test "llm-diversify: --resume does nothing twice" {
    topics >in
    llm-diversify --count 12 -o out --rejects rej --resume in
    cp out first
    : >rej.part # of a run that was killed
    echo old >map.gp
    llm-diversify --count 12 -o out --rejects rej --resume -j 2 in
    cmp out first
    run -2 llm-diversify --count 13 -o out --rejects rej --resume in
    [[ "$output" == *"count"* ]]
    rm out out.meta # killed between the two renames
    llm-diversify --count 12 -o out --rejects rej --plot map.gp --resume in
    grep -q "12 of 120 records kept" map.gp
    cmp out first
    [ "$(wc -l <rej)" = 108 ]
}

@test "llm-diversify: the same bytes for any number of threads and instruction set" {
    topics | sort -R --random-source=/etc/passwd >in
    for how in "--method score" "--method mmr --max-sim 0.8" "--method kcenter --balance none" \
        "--method facility --semdedup 0.1" "--mini-batch 64 --balance temperature"; do
        # shellcheck disable=SC2086 # several words
        {
            rm -f r s
            llm-diversify $how -j 1 --clusters 11 --count 33 --rejects r in >one
            mv r r1
            for other in "-j 2" "-j 3" "--isa scalar" "--isa avx2" "--isa avx512"; do
                llm-diversify $how $other --clusters 11 --count 33 --rejects r in >two 2>err || {
                    grep -q 'this CPU has no' err # not on this machine
                    continue
                }
                cmp one two
                cmp r1 r
                rm r
            done
        }
    done
}

@test "llm-diversify: the same bytes in memory and on the disk" {
    topics >in
    mkdir tmp
    llm-diversify --count 33 --rejects r1 --stats s1 in >one
    llm-diversify --count 33 --rejects r2 --stats s2 --memory 2K --tmp-dir tmp -v in >two 2>err
    cmp one two
    cmp r1 r2
    diff <(jq 'del(.seconds,.records_per_second)' s1) <(jq 'del(.seconds,.records_per_second)' s2)
    grep -q 'lines 0.0 MiB on disk, vectors 0.2 MiB on disk' err
    [ -z "$(ls tmp)" ]
    run -2 llm-diversify --count 33 --memory 2K --tmp-dir nowhere in
    [[ "$output" == *"cannot make a temporary file in 'nowhere'"* ]]
    TMPDIR=elsewhere run -2 llm-diversify --count 33 --memory 2K in
    [[ "$output" == *"cannot make a temporary file in 'elsewhere'"* ]]
}

@test "llm-diversify: files appear whole or not at all" {
    topics >in
    llm-diversify --count 10 -o out --rejects rej in
    [ "$(wc -l <out)" = 10 ]
    [ "$(wc -l <rej)" = 110 ]
    [ ! -e out.part ]
    [ ! -e rej.part ]
    run -2 llm-diversify --count 10 -o out in
    [[ "$output" == *"'out' exists"* ]]
    mkfifo pipe
    (head -n 50 in && sleep 5) >pipe &
    llm-diversify --count 10 -o stopped pipe &
    pid=$!
    sleep 0.5
    kill -TERM $pid
    rc=0
    wait $pid || rc=$?
    [ $rc = 75 ]
    [ ! -e stopped ]
    llm-diversify --count 10 -o stopped in
    cmp stopped out
}

@test "llm-diversify: few, no and bad records" {
    [ -z "$(llm-diversify --count 5 </dev/null)" ]
    printf '%s\n' '{"id":1,"instruction":"Say yes."}' '{"id":2,"x":1}' '{' >in
    run -1 --separate-stderr llm-diversify --count 5 --rejects r in
    [ "$(jq -r .id <<<"$output")" = 1 ]
    [[ "$stderr" == *"in:2: no field 'instruction'"* ]]
    [ "$(wc -l <r)" = 2 ]
    run -2 llm-diversify --count many in
    [[ "$output" == *"--count: 'many' is not a number of records or a share"* ]]
    run -2 llm-diversify --count 101% in
}

@test "llm-diversify: the seed tasks of Self-Instruct" {
    [ -e "$SEEDS" ] || skip "no $SEEDS"
    llm-diversify --count 40 --balance uniform --stats s "$SEEDS" >out
    [ "$(wc -l <out)" = 40 ]
    jq -e '.clusters == 14 and .after.topic_entropy > .before.topic_entropy and .after.distinct_2 > .before.distinct_2' s
}
