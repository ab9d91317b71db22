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
    [ "$(jq -r .meta.cluster out | sort -u | wc -l)" = 4 ]
}

@test "llm-diversify: other numbers to rank by" {
    topics | jq -c '.cost = -.score' >in
    llm-diversify --field instruction --max-sim 1 --clusters 4 --count 4 --balance uniform --by cost in >out
    [ "$(jq -r .id out | tr '\n' ' ')" = "1-60 2-30 3-20 4-10 " ]
}

@test "llm-diversify: nothing kept is closer than --max-sim, and the reason is kept" {
    printf '{"id":"%s","instruction":"%s","score":%s}\n' a "Name the first animal of the list" 0.1 \
        b "Name the first animal of the list" 0.9 c "Who painted the ceiling in Rome?" 0.5 \
        d "who painted the CEILING in rome" 0.2 >in
    run -0 --separate-stderr llm-diversify --clusters 2 --count 3 --max-sim 0.9 --rejects r in
    [ "$(jq -r .id <<<"$output" | tr '\n' ' ')" = "b c " ]
    [[ "$stderr" == *"only 2 of 3 records could be kept"* ]]
    [ "$(jq -c '[.id,.reject.rule,.reject.value.id,.reject.value.cosine>0.99]' r | tr '\n' ' ')" = \
        '["a","max-sim","b",true] ["d","max-sim","c",true] ' ]
    run -0 llm-diversify --clusters 2 --count 3 --max-sim 1 in
    [ "${#lines[@]}" = 3 ]
}

@test "llm-diversify: the same bytes for any number of threads" {
    topics | sort -R --random-source=/etc/passwd >in
    llm-diversify -j 1 --clusters 11 --count 33 in >one
    for j in 2 3 0; do
        llm-diversify -j $j --clusters 11 --count 33 in | cmp - one
    done
}

@test "llm-diversify: topics before and after" {
    topics >in
    llm-diversify --field instruction --max-sim 1 --clusters 4 --count 40 --balance uniform --stats s -o out in
    jq -e '.before.topics < 3.5 and .after.topics == 4 and .after.topic_entropy > .before.topic_entropy
        and .wanted == 40 and .written == 40 and .dropped == 80 and .after.distinct_1 > 0' s
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
