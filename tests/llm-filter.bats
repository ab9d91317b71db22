bats_require_minimum_version 1.5.0

setup() {
    SEEDS="$LLM_TEST_DATA/seed_tasks.jsonl"
    cd "$BATS_TEST_TMPDIR" || return 1
}

# ids of what is kept, on one line
kept() {
    llm-filter "$@" | jq -r .id | tr '\n' ' '
}

@test "llm-filter: without rules everything passes byte for byte" {
    printf '%s\n' '{"z":1.00, "id":"a" ,"output":"x","e":1E5,"s":"\u00e9\/"}' '{"id":7}' >in
    run -0 --separate-stderr llm-filter in
    [ "$output" = "$(cat in)" ]
    [ -z "$stderr" ]
}

@test "llm-filter: words and characters, at the limits" {
    printf '%s\n' '{"id":1,"output":"one"}' '{"id":2,"output":"one two"}' '{"id":3,"output":"one two three"}' \
        '{"id":4,"output":"한국어 문장"}' >in
    [ "$(kept --min-words 2 in)" = "2 3 4 " ]
    [ "$(kept --max-words 2 in)" = "1 2 " ]
    [ "$(kept --min-words 5 in)" = "4 " ] # a Hangul syllable is a word
    [ "$(kept --min-chars 7 in)" = "2 3 " ]
    [ "$(kept --max-chars 6 in)" = "1 4 " ] # characters, not bytes
    [ "$(kept --field id --min-words 1 in 2>/dev/null)" = "" ]
}

@test "llm-filter: a drop says rule, value and limit, and is no failure" {
    run -0 --separate-stderr llm-filter --min-words 3 --rejects r <<<'{"id":1,"output":"one two"}'
    [ -z "$output" ]
    [ -z "$stderr" ]
    jq -e '.id == 1 and .reject == {"stage":"llm-filter","rule":"min-words","value":2,"limit":3,"line":1}' r
}

@test "llm-filter: a record without the field is a failure" {
    run -1 --separate-stderr llm-filter --min-words 1 --rejects r <<<'{"id":1,"instruction":"x"}'
    [ "$stderr" = "llm-filter: <stdin>:1: no field 'output'" ]
    [ "$(jq -r .reject.rule r)" = field ]
}

@test "llm-filter: scores and comparisons" {
    printf '%s\n' '{"id":1,"score":0.5,"meta":{"source":"seed","round":1}}' '{"id":2,"score":0.7,"meta":{"source":"evol","round":2}}' \
        '{"id":3}' >in
    [ "$(kept --min-score 0.5 in)" = "1 2 " ]
    [ "$(kept --min-score 0.6 in)" = "2 " ]
    [ "$(kept --where 'score<0.6' in)" = "1 " ]
    [ "$(kept --where 'meta.source != seed' in)" = "2 " ]
    [ "$(kept --where 'meta.round>=1' --where 'score > 0.6' in)" = "2 " ]
    [ "$(kept --where 'id==3' in)" = "3 " ]
    run -2 llm-filter --where 'score' in
    [[ "$output" == *"--where: 'score' is not FIELD OP VALUE"* ]]
}

@test "llm-filter: repetition, refusals, leaks, blacklist" {
    printf '%s\n' '{"id":1,"instruction":"Draw a map.","output":"no no no no no no no"}' \
        '{"id":2,"instruction":"x","output":"Sorry, I can not do that."}' \
        '{"id":3,"instruction":"Rewrite the #Given Prompt#","output":"fine"}' \
        '{"id":4,"instruction":"Name a go to place.","output":"the park"}' \
        '{"id":5,"instruction":"Name a mapmaker.","output":"Ptolemy"}' >in
    [ "$(kept --max-repeat 0.5 in)" = "2 3 4 5 " ]
    [ "$(kept --refusals in)" = "1 3 4 5 " ]
    [ "$(kept --leaks in)" = "1 2 4 5 " ]
    printf 'map\nGo To\n\n' >list
    llm-filter --blacklist list --rejects r in >out
    [ "$(jq -r .id out | tr '\n' ' ')" = "2 3 5 " ]
    [ "$(jq -r .reject.value r | tr '\n' ' ')" = "map go to " ]
    run -2 llm-filter --blacklist none in
    [[ "$output" == *"--blacklist"*none* ]]
}

@test "llm-filter: exact duplicates by what is said, not by how it is written" {
    printf '%s\n' '{"id":1,"instruction":"Add 2 and 2.","output":"4"}' \
        '{"id":2,"output":"4","instruction":"add  2 AND 2. "}' \
        '{"id":3,"instruction":"Add 2 and 2.","output":"5"}' \
        '{"id":4,"instruction":"Add 2 and 2.","input":"","output":"4"}' \
        '{"id":5,"instruction":"2+2","output":"4"}' '{"id":6,"instruction":"2-2","output":"4"}' \
        '{"id":7,"messages":[{"role":"user","content":"a"}]}' '{"id":8,"messages":[{"role":"user","content":"b"}]}' >in
    llm-filter --exact --rejects r in >out
    [ "$(jq -r .id out | tr '\n' ' ')" = "1 3 5 6 7 8 " ]
    [ "$(jq -r '"\(.id)=\(.reject.value)"' r | tr '\n' ' ')" = "2=1 4=1 " ]
}

@test "llm-filter: near duplicates with the nearest kept and the similarity" {
    a="one two three four five six seven eight nine ten eleven twelve"
    printf '{"id":"%s","instruction":"%s"}\n' a "$a" b "$a thirteen" c "${a/one/ONE}" d "zero $a thirteen" \
        e "twelve eleven ten nine eight seven six five four three two one" >in
    llm-filter --near 0.8 --rejects r in >out
    [ "$(jq -r .id out | tr '\n' ' ')" = "a e " ]
    [ "$(jq -c '[.id,.reject.value]' r | tr '\n' ' ')" = \
        '["b",{"id":"a","similarity":0.9090909090909091}] ["c",{"id":"a","similarity":1}] ["d",{"id":"a","similarity":0.8333333333333334}] ' ]
}

@test "llm-filter: the first broken rule is the reason, cheap rules first" {
    llm-filter --near 0.5 --exact --min-words 2 --refusals --rejects r <<<'{"id":1,"output":"sorry"}'
    [ "$(jq -r .reject.rule r)" = min-words ]
}

@test "llm-filter: --stats and --explain count rules and sources" {
    printf '%s\n' '{"id":1,"output":"a b","score":1,"meta":{"source":"seed"}}' '{"id":2,"output":"a b c d","score":0.5,"meta":{"source":"evol"}}' \
        '{"id":3,"output":"a","meta":{"source":"evol"}}' >in
    run -0 --separate-stderr llm-filter --min-words 2 --explain --stats s in
    [[ "$stderr" == *"min-words "*" 1 "*"33.3%"*"kept "*" 2 "*"66.7%"*"seed "*" 1 "* ]]
    jq -e '.rules."min-words" == 1 and (.rules | has("where") | not) and .sources == {"seed":1,"evol":1} and .synthetic_share == 0.5
        and .mean_score == 0.75 and .mean_words == 3 and .dropped == 1 and .written == 2' s
}

@test "llm-filter: stopped anywhere and resumed, the duplicates' index included" {
    for i in $(seq 300); do
        printf '{"id":%d,"instruction":"Count from %d to %d in steps of %d and say why you stop there","output":"o"}\n' \
            "$i" $((i % 40)) $((i % 40)) $((i % 3))
    done >in
    llm-filter --exact --near 0.55 --max-words 3 -o whole --rejects whole.r in
    [ "$(wc -l <whole)" -lt 200 ]
    [ "$(wc -l <whole)" -gt 10 ]
    [ "$(jq -r .reject.rule whole.r | sort -u | tr "\n" " ")" = "exact near " ]
    for n in 1 7 40 111 299; do
        head -n "$n" in >part
        rm -f out out.meta r
        llm-filter --exact --near 0.55 --max-words 3 -o out --rejects r --resume part
        llm-filter --exact --near 0.55 --max-words 3 -o out --rejects r --resume in
        cmp out whole
        cmp r whole.r
    done
    run -2 llm-filter --exact --near 0.8 --max-words 3 -o out --rejects r --resume in
    [[ "$output" == *near* ]]
}

@test "llm-filter: the seed tasks of Self-Instruct" {
    [ -e "$SEEDS" ] || skip "no $SEEDS"
    llm-filter --field instruction --min-words 4 --max-words 150 --rejects r "$SEEDS" >out
    [ "$(wc -l <out)" = 173 ]
    [ "$(jq -r .reject.rule r | sort -u)" = min-words ]
    [ "$(kept --where is_classification==true "$SEEDS" | wc -w)" = 26 ]
    [ "$(llm-filter --exact --near 0.7 "$SEEDS" | wc -l)" = 175 ]
    [ "$(cat "$SEEDS" "$SEEDS" | llm-filter --exact | wc -l)" = 175 ]
}

@test "llm-filter: bad options and files" {
    run -2 llm-filter --near 2
    [[ "$output" == *"--near: '2' is not a number in 0..1"* ]]
    run -2 llm-filter none.jsonl
    [[ "$output" == *none.jsonl* ]]
}
