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
    [ "$(kept --where 'id=3' in)" = "3 " ]
    [ "$(kept --where 'meta!=1' in)" = "1 2 " ] # no number is unequal to all numbers
    [ "$(kept --where 'meta<1' in)" = "" ]
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

@test "llm-filter: exact duplicates however spaces stand, wherever in the text" {
    awk 'BEGIN { for (n = 1; n <= 131; n += n < 61 || n > 67 && n < 125 ? 9 : 1)
        for (p = 1; p < n - 1; p += p < n - 6 && p < 60 ? 7 : 1) {
            a = sprintf("%d_%d_", n, p)
            a = substr(a "xxxxxxxxxx", 1, p < 10 ? p : 10)
            while (length(a) < p) a = a "y"
            b = "z"; while (length(a b) < n - 1) b = b p
            b = substr(b, 1, n - 1 - p) n "." p
            split(a " " b "|" a "  " b "|" a "\\t \\n" b "| " a " " b "|" a " " b " |\\n" a " " b "\\t", v, "|")
            for (i = 1; i <= 6; i++) printf "{\"id\":\"%d %d %d\",\"output\":\"%s\"}\n", n, p, i, v[i]
        } }' >in
    llm-filter --exact in >out
    [ "$(wc -l <in)" -gt 2000 ]
    [ "$(jq -r .id out | awk '$3 != 1' | wc -l)" = 0 ]
    [ "$(wc -l <out)" = "$(jq -r .id in | awk '$3 == 1' | wc -l)" ]
}

@test "llm-filter: exact duplicates whatever kind of space stands in them" {
    printf '%s\n' '"one fox, two goats"' '"one\u00a0fox,\u3000two goats"' '"\u2003one fox,\u000b\u202ftwo goats\u000c"' \
        '"one fox,two goats"' '"일 여우"' '"일\u00a0 여우\u2028"' '"日本 語"' '"日本\u3000語"' '"日本語"' |
        jq -c '{id: input_line_number, output: .}' >in
    [ "$(llm-filter --exact in | jq -r .id | tr '\n' ' ')" = "1 4 5 7 9 " ]
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

@test "llm-filter: --explain counts what failed" {
    printf '%s\n' '{"id":1,"output":"a b"}' '{"id":2}' '{"id":' '{"id":3,"output":"a"}' >in
    run -1 --separate-stderr llm-filter --min-words 2 --explain -q in
    [ "$(tr -s ' ' <<<"$stderr")" = 'rule dropped share
min-words 1 25.0%
failed 2 50.0%
kept 1 25.0%
 none 1 100.0%' ]
    run -0 --separate-stderr llm-filter --min-words 2 --explain </dev/null
    [ "$(tail -n 1 <<<"$stderr" | tr -s ' ')" = "kept 0 0.0%" ]
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

@test "llm-filter: a signal while an earlier run is read: it stops there, nothing is lost" {
    "$BUILD/tests/mkrecords" 5 3000 10 >in
    llm-filter --exact --near 0.7 -o whole --rejects whole.r in
    for index in "" "--near-index idx"; do
        rm -f out out.meta r
        head -n 2000 in | llm-filter --exact --near 0.7 $index -o out --rejects r
        cp out before
        cp r before.r
        # it is there before the run begins, and is taken when signals are first looked at
        run -75 env --block-signal=TERM sh -c 'kill -TERM $$; exec "$@"' - \
            llm-filter --exact --near 0.7 $index -o out --rejects r --resume in
        [ "$output" = "llm-filter: stopped while 'out' was read" ]
        cmp out before
        cmp r before.r
        llm-filter --exact --near 0.7 $index -o out --rejects r --resume in
        cmp out whole
        cmp r whole.r
    done
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

@test "llm-filter: an option that says how a rule works needs the rule" {
    echo '{"id":1,"output":"one two three"}' >in
    while read -r option need; do
        run -2 --separate-stderr llm-filter --refusals "--$option" x in
        [ -z "$output" ]
        [ "$stderr" = "llm-filter: --$option needs $need" ]
    done <<'O'
tmp-dir --exact or --near
tokenizer --min-tokens or --max-tokens
pii-kinds --pii
rouge-reference --rouge
check-lang --check
near-index --near
O
    while read -r option need; do # given as their default is given
        run -2 --separate-stderr llm-filter --refusals --min-words 1 $option in
        [ "$stderr" = "llm-filter: ${option%=*} needs $need" ]
    done <<'O'
--ngram=8 --decontaminate
--check-timeout=10 --check
--memory=256M --exact or --near
O
    [ ! -e x ]
    echo 'rules: [{near: 0.5}]' >near.yaml # the rule may come from a file, or be turned off
    [ "$(kept --rules near.yaml --near-index idx in)" = "1 " ]
    [ "$(kept --near 0 --near-index x in)" = "1 " ]
    printf 'near-index: x\nrules: [exact]\n' >exact.yaml # a file may set what its rules do not need
    [ "$(kept --rules exact.yaml in)" = "1 " ]
    [ ! -e x ]
}

@test "llm-filter: a rules file and flags are one mechanism" {
    printf '%s\n' '{"id":1,"instruction":"one","output":"a b c"}' '{"id":2,"instruction":"one two three","output":"a"}' \
        '{"id":3,"instruction":"one two three","output":"a b c","score":0.2}' '{"id":4,"instruction":"one two three","output":"a b c d","score":1}' >in
    cat >rules.yaml <<'Y'
field: output
rules:
  - min-words: 2
    field: instruction
  - min-words: 3
  - where: score >= 0.5
  - refusals
  - exact: no
Y
    llm-filter --rules rules.yaml --rejects r in >out
    [ "$(jq -r .id out)" = 4 ]
    [ "$(jq -r '"\(.id)=\(.reject.rule)"' r | tr '\n' ' ')" = "1=min-words 2=min-words 3=where " ]
    # what is given on the command line replaces the same rule on the same field
    [ "$(kept --rules rules.yaml --min-words 1 in)" = "4 " ]
    [ "$(kept --rules rules.yaml --min-words 4 in)" = "4 " ]
    [ "$(kept --rules rules.yaml --max-words 3 in)" = "" ]
    # the same rules, written the other way, give the same rejects
    llm-filter --min-words 3 --where 'score >= 0.5' --refusals --rejects r1 in >out1
    printf 'rules: [{where: "score >= 0.5"}, refusals, {min-words: 3}]\n' >same.yaml
    llm-filter --rules same.yaml --rejects r2 in >out2
    cmp out1 out2
    cmp r1 r2
    for bad in 'rules: [{no-such: 1}]' 'rules: [{min-words: x}]' 'rules: [{min-words: 1, max-words: 2}]' 'other: 1' \
        'rules: [{near: 0.5, field: output}]' 'rules: [{preset: none}]' 'rules: [{pii: wipe}]' 'rules: [{field: output}]'; do
        printf '%s\n' "$bad" >bad.yaml
        run -2 llm-filter --rules bad.yaml in
        echo "$output"
        [[ "$output" == *"llm-filter: --"* ]]
    done
}

@test "llm-filter: presets of Gopher, C4 and FineWeb, and their rules one by one" {
    printf '%s\n' '{"id":1,"output":"Short."}' '{"id":2,"output":"the fox the fox the fox the fox"}' >in
    llm-filter --preset gopher --rejects r in
    [ "$(jq -c '[.reject.rule,.reject.value,.reject.limit]' r | sort -u)" = '["gopher-min-words",1,50]
["gopher-min-words",8,50]' ]
    [ "$(kept --gopher-min-words 8 in)" = "2 " ]
    [ "$(kept --preset gopher-repetition --gopher-top-2-gram 2 --gopher-top-3-gram 2 --gopher-top-4-gram 2 in)" = "1 " ]
    [ "$(kept --gopher-top-2-gram 1 in)" = "2 " ]
    [ "$(kept --preset c4 in)" = "" ]
    [ "$(kept --c4-sentences 1 in)" = "" ]
    run -2 llm-filter --preset web in
    [[ "$output" == *"--preset: 'web' is none of gopher-quality"* ]]
}

@test "llm-filter: languages and scripts" {
    printf '%s\n' '{"id":1,"output":"The fox sat by the river and waited for the goat."}' '{"id":2,"output":"Der Fuchs wartete auf die Ziege und sie kam nicht."}' \
        '{"id":3,"output":"여우는 강가에 앉아 염소를 기다렸다."}' >in
    [ "$(kept --lang en in)" = "1 " ]
    [ "$(kept --lang ko,de in)" = "2 3 " ]
    [ "$(kept --script 'Hangul>=0.9' in)" = "3 " ]
    [ "$(kept --script 'Latin>0' --script 'hangul==0' in)" = "1 2 " ]
    run -2 llm-filter --lang xx in
    [[ "$output" == *"--lang: 'xx' is no language"* ]]
    run -2 llm-filter --script 'Klingon>0' in
    [[ "$output" == *"--script: 'Klingon' is no script"* ]]
}

@test "llm-filter: personal data dropped or masked, in messages too, the rest byte for byte" {
    printf '%s\n' '{"id":1,"n":1.00,"output":"Write to joe@example.org\n","x":"kim@example.org"}' \
        '{"id":2,"messages":[{"role":"user","content":"\ud55c\ncall 010-1234-5678 or \"8.8.8.8\""}]}' '{"id":3,"output":"nothing"}' >in
    [ "$(kept --pii drop in)" = "3 " ]
    [ "$(kept --pii drop --pii-kinds phone,card in)" = "1 3 " ]
    llm-filter --pii mask --stats s in >out
    diff out - <<'J'
{"id":1,"n":1.00,"output":"Write to <EMAIL>\n","x":"kim@example.org"}
{"id":2,"messages":[{"role":"user","content":"한\ncall <PHONE> or \"<IP>\""}]}
{"id":3,"output":"nothing"}
J
    jq -e '.masked == 3' s
    run -2 llm-filter --pii wipe in
    [[ "$output" == *"--pii: 'wipe' is neither drop nor mask"* ]]
}

@test "llm-filter: decontamination by runs of words, with file, line and the run" {
    printf '%s\n' '{"id":1,"instruction":"Tell me, how many LEGS has a fox on a hill?","output":"4"}' '{"id":2,"instruction":"How many legs?","output":"4"}' >in
    printf '%s\n' 'nothing' '{"id":9,"question":"How many legs has a fox on the moon?","answer":"four"}' >bench
    echo 'how many legs' >lines
    llm-filter --decontaminate lines --decontaminate bench --ngram 6 --rejects r in >out
    [ ! -s out ]
    [ "$(jq -c 'select(.id == 1).reject | [.rule,.value,.limit]' r)" = '["decontaminate",{"file":1,"line":1,"words":"how many LEGS"},6]' ]
    [ "$(kept --decontaminate bench --ngram 6 in)" = "2 " ]
    [ "$(kept --decontaminate bench --ngram 13 in)" = "1 2 " ]
    printf 'ngram: 6\nrules: [{decontaminate: bench}]\n' >six.yaml # an option stands before a file, as its default too
    [ "$(kept --rules six.yaml in)" = "2 " ]
    [ "$(kept --rules six.yaml --ngram 8 in)" = "$(kept --decontaminate bench in)" ]
    [ "$(kept --decontaminate bench in)" = "1 2 " ]
    run -2 llm-filter --decontaminate none in
    [[ "$output" == *"--decontaminate: cannot open 'none'"* ]]
}

@test "llm-filter: ROUGE-L against a reference set" {
    printf '%s\n' '{"id":1,"output":"the fox is in the list of animals"}' '{"id":2,"output":"goats eat plums"}' >in
    printf '%s\n' '{"output":"a goat"}' 'the fox was in the list of animals' >ref
    llm-filter --rouge 0.7 --rouge-reference ref --rejects r in >out
    [ "$(jq -r .id out)" = 2 ]
    [ "$(jq -c .reject.value r)" = '{"reference":1,"f":0.875}' ]
    run -2 llm-filter --rouge 0.7 in
    [[ "$output" == *"--rouge needs --rouge-reference"* ]]
}

@test "llm-filter: ROUGE-L of a text of a million words costs no more memory than others" {
    awk 'BEGIN { print "{\"id\":1,\"output\":\"the fox\"}"; printf "{\"id\":2,\"output\":\""
        for (i = 0; i < 1400000; i++) printf "%c ", 97 + i % 23
        print "\"}"; print "{\"id\":3,\"output\":\"a b c\"}" }' >in
    printf '%s\n' 'a fox is in the list of animals' 'a b c' >ref
    [ "$(kept --rouge 0.9 --rouge-reference ref in)" = "1 2 " ]
}

@test "llm-filter: tokens of a model's tokenizer" {
    tiny="$BATS_TEST_DIRNAME/../examples/models/tiny.gguf"
    printf '%s\n' '{"id":1,"output":"fox"}' '{"id":2,"output":"Reverse the list of the fox and the goat."}' >in
    [ "$(kept --min-tokens 5 --tokenizer "$tiny" in)" = "2 " ]
    [ "$(kept --max-tokens 5 --tokenizer "$tiny" in)" = "1 " ]
    run -2 llm-filter --max-tokens 5 in
    [[ "$output" == *"need --tokenizer"* ]]
}

@test "llm-filter: JSON and code by a parser" {
    printf '%s\n' '{"id":1,"output":"{\"a\":1}"}' '{"id":2,"output":"{a:1}"}' '{"id":3,"output":"Here:\n```json\n[1,2]\n```\n"}' \
        '{"id":4,"output":"Here:\n```json\n[1,2\n```\n"}' '{"id":5,"output":"```sh\nif true; then\n```"}' '{"id":6,"output":"```sh\nif true; then :; fi\n```"}' >in
    [ "$(kept --json in)" = "1 3 " ]
    [ "$(kept --check 'sh -n' --check-lang sh in)" = "1 2 3 4 6 " ]
    printf '%s\n' '{"id":1,"output":"1. Python:\n\n   ```python\n   def f():\n       return 1\n   ```\n"}' '{"id":2,"output":"```python\n x\n```"}' >list
    # the list's indentation is not the block's
    [ "$(kept --check 'test "$(cat)" = "$(printf "def f():\n    return 1")"' --check-lang python list)" = "1 " ]
    [ "$(kept --check 'test "$(cat)" = " x"' --check-lang python list)" = "2 " ]
    llm-filter --check 'read x; case $x in *a*) exit 3;; *) sleep 9;; esac' --check-timeout 0.2 --rejects r <<<'{"id":1,"output":"a"}
{"id":2,"output":"b"}' >out
    [ ! -s out ]
    [ "$(jq -c .reject.value r | tr '\n' ' ')" = '3 "timeout" ' ]
}

@test "llm-filter: checks run beside one another, from the first record on" {
    for i in 1 2 3 4 5 6 7 8; do
        echo "{\"id\":$i,\"output\":\"$i\"}"
    done >in
    # the first waits for the last, and the last for the first
    [ "$(kept -j 2 --check 'read x || :; touch "at$x"
        case $x in 1) y=8 ;; 8) y=1 ;; *) exit 0 ;; esac
        until [ -e "at$y" ]; do sleep 0.02; done' in)" = "1 2 3 4 5 6 7 8 " ]
}

@test "llm-filter: a check whose command is not there ends the run, and is no verdict" {
    printf '%s\n' '{"id":1,"output":"a"}' '{"id":2,"output":"b"}' >in
    touch plain
    run -2 --separate-stderr llm-filter --check 'no-such-command -n' --rejects r in
    [ -z "$output" ]
    [ ! -s r ]
    [ "$stderr" = "llm-filter: --check: 'no-such-command -n' ends with 127: a command that it names is not there" ]
    run -2 --separate-stderr llm-filter --check ./plain --rejects r in
    [ -z "$output" ]
    [ "$stderr" = "llm-filter: --check: './plain' ends with 126: what it names cannot be executed" ]
    [ "$(kept --check 'exit 125' in)" = "" ]
    [ "$(kept --check 'grep -q b || exit 1' in)" = "2 " ]
}

@test "llm-filter: an index of near duplicates on disk: kills, other runs" {
    for i in $(seq 400); do
        printf '{"id":%d,"instruction":"Count from %d to %d in steps of %d and say why you stop there","output":"o"}\n' \
            "$i" $((i % 40)) $((i % 40)) $((i % 3))
    done >in
    llm-filter --near 0.55 -o whole in
    llm-filter --near 0.55 --near-index idx -o disk in
    cmp disk whole
    [ "$(ls idx | tr '\n' ' ')" = "head ids table texts words " ]
    # the same data again: all are there; a repeated run of the same output knows its own
    [ "$(llm-filter --near 0.55 --near-index idx in | wc -l)" = 0 ]
    rm disk disk.meta
    llm-filter --near 0.55 --near-index idx -o disk in
    cmp disk whole
    for n in 1 20 111 399; do # killed at any place: index and output end in the same
        rm -rf idx out out.meta
        { head -n "$n" in; sleep 3; } | llm-filter --near 0.55 --near-index idx -o out --resume 2>/dev/null &
        pid=$!
        for k in $(seq 100); do
            if [ "$(wc -l 2>/dev/null <out || echo 0)" -ge "$(head -n "$n" in | llm-filter --near 0.55 | wc -l)" ]; then break; fi
            sleep 0.02
        done
        kill -9 $pid
        wait $pid || :
        llm-filter --near 0.55 --near-index idx -o out --resume in
        cmp out whole
    done
    run -2 llm-filter --near 0.6 --near-index idx in
    [[ "$output" == *"'idx' was made with --near 0.55, not 0.6"* ]]
}

@test "llm-filter: an index is not made over files that are no index" {
    echo '{"id":1,"output":"one two three four"}' >in
    for name in texts words ids table table.new head; do
        rm -rf d
        mkdir d
        echo precious >d/$name
        run -2 --separate-stderr llm-filter --near 0.8 --near-index d in
        [ -z "$output" ]
        [ "$stderr" = "llm-filter: --near: 'd/$name' is no part of an index of near duplicates" ]
        [ "$(cat d/$name)" = precious ]
        [ "$(ls d)" = $name ]
    done
    rm -rf d
    mkdir d
    echo mine >d/notes
    touch d/head d/texts # as a kill leaves them
    llm-filter --near 0.8 --near-index d -o out in
    cmp in out
    [ "$(cat d/notes)" = mine ]
    [ "$(llm-filter --near 0.8 --near-index d in)" = "" ]
}

@test "llm-filter: an index on disk that is ahead of the output: the same rejects after kill -9" {
    # every second one is dropped for the one before it, and is more like the one behind it
    awk 'BEGIN {
        for (i = 0; i < 4000; i++) {
            printf "{\"id\":\"r%d.\",\"output\":\"", i
            for (k = 0; k < 20; k++)
                printf "w%d ", int(i / 2) * 6 + i % 2 * 4 + k
            print "\"}"
        }
    }' >in
    llm-filter --near 0.6 --near-index whole.i -o whole --rejects whole.r in
    [ "$(wc -l <whole.r)" -gt 1900 ] # of 2000, those whose bands meet
    for n in 1 150 800 2500; do
        rm -rf idx out out.meta r
        { head -n "$n" in; sleep 1; } | llm-filter -j 2 --near 0.6 --near-index idx -o out --rejects r &
        pid=$!
        for k in $(seq 200); do # until all that was given is in the index
            [ ! -s out ] || break
            sleep 0.02
        done
        kill -9 $pid
        wait $pid || :
        # a kill between the index and the output: lines that were written are lost again
        head -n "$(($(wc -l <out) / 2))" out >half
        mv half out
        at=$(tail -n 1 out | cut -d. -f1 | grep -nFf - in | head -n 1 | cut -d: -f1)
        awk -F '"line":' -v at="${at:-0}" '$NF + 0 < at' r >half
        mv half r
        llm-filter --near 0.6 --near-index idx -o out --rejects r --resume in
        cmp out whole
        cmp r whole.r
    done
}

@test "llm-filter: what can be answered is written before it waits for more" {
    mkfifo to from
    llm-filter --min-words 2 --rejects r <to >from 3>&- &
    exec 6>to 7<from
    printf '{"id":1,"output":"a"}\n{"id":2,"output":"a b"}\n' >&6
    read -r line <&7
    [ "$line" = '{"id":2,"output":"a b"}' ]
    [ "$(jq -r .id r)" = 1 ]
    exec 6>&-
    [ -z "$(cat <&7)" ]
    wait $!
    exec 7<&-
}

@test "llm-filter: indexes larger than their memory: the same bytes, nothing left behind" {
    "$BUILD/tests/mkrecords" 3 6000 20 >in
    llm-filter --exact --near 0.7 --rejects r1 -o whole in
    mkdir tmp
    llm-filter --exact --near 0.7 --rejects r2 --memory 1 --tmp-dir tmp -o out in
    cmp out whole
    cmp r1 r2
    [ -z "$(ls tmp)" ]
    llm-filter --exact --near 0.7 --memory 40K --tmp-dir tmp --near-index tmp/idx -o third in
    cmp third whole
    [ "$(ls tmp/idx | tr '\n' ' ')" = "head ids table texts words " ]
    llm-filter --exact --memory 0 --tmp-dir /nowhere in >/dev/null # 0 is no size: the default
    run -2 llm-filter --exact --memory 1 --tmp-dir /nowhere in
    [[ "$output" == *"cannot make a temporary file in '/nowhere'"* ]]
    TMPDIR=/elsewhere run -2 llm-filter --exact --memory 1 in
    [[ "$output" == *"cannot make a temporary file in '/elsewhere'"* ]]
}

@test "llm-filter: the same bytes whatever the threads and however the input comes" {
    "$BUILD"/tests/mkrecords 1 2500 60 | sed '77i{"id":' | sed '900i{"id":"f","instruction":"x"}' | sed '1200i\ ' >in
    printf 'rules: [{preset: gopher-repetition}, {preset: fineweb}, {max-repeat: 0.3}, refusals, leaks, {pii: mask}, exact, {near: 0.8}]\n' >rules.yaml
    run -1 llm-filter -j 1 --rules rules.yaml -o one --rejects one.r in
    [ "$(wc -l <one)" -gt 1000 ]
    [ "$(wc -l <one.r)" -gt 200 ]
    grep -q '"rule":"json"' one.r
    grep -q '"rule":"field"' one.r
    for j in 2 3 0; do
        run -1 llm-filter -j $j --rules rules.yaml -o many$j --rejects many$j.r in
        cmp one many$j
        cmp one.r many$j.r
    done
    { head -n 100 in; sleep 0.1; tail -n +101 in | head -n 900; sleep 0.1; tail -n +1001 in; } |
        llm-filter -j 2 --rules rules.yaml -o pieces --rejects pieces.r || [ $? = 1 ]
    cmp one pieces
    cmp one.r pieces.r
    for n in 3 600 2000; do # stopped anywhere, taken up again with other threads
        rm -f out out.meta out.r
        head -n $n in | llm-filter -j 1 --rules rules.yaml -o out --rejects out.r || [ $? = 1 ]
        llm-filter -j 3 --rules rules.yaml -o out --rejects out.r --resume <in || [ $? = 1 ]
        cmp one out
        cmp one.r out.r
    done
}

@test "llm-filter: records of another field: it is a text of theirs, and without one they cannot be looked at" {
    printf '%s\n' '{"text":"one two three four, mail joe@example.org"}' '{"text":"something else: 010-1234-5678"}' \
        '{"text":"One two  three four, mail joe@example.org"}' >in
    echo 'two three four' >bench
    [ "$(llm-filter --field text --exact in | jq -c .text)" = "$(head -2 in | jq -c .text)" ]
    [ "$(llm-filter --field text --near 0.9 in | jq -c .text)" = "$(head -2 in | jq -c .text)" ]
    [ "$(llm-filter --field text --pii mask in | jq -r .text | tr '\n' ';')" = \
        "one two three four, mail <EMAIL>;something else: <PHONE>;One two  three four, mail <EMAIL>;" ]
    [ "$(llm-filter --field text --pii drop in)" = "" ]
    [ "$(llm-filter --field text --decontaminate bench --ngram 3 in | jq -r .text)" = "something else: 010-1234-5678" ]
    for rule in --exact "--near 0.9" "--pii mask" "--pii drop" "--decontaminate bench"; do
        rm -f r
        run -1 --separate-stderr llm-filter $rule --rejects r in
        [ -z "$output" ]
        [[ "$stderr" == *"in:1: no field 'output'"* ]]
        [ "$(jq -r .reject.rule r | sort | uniq -c | xargs)" = "3 field" ]
    done
    # killed behind the first record: the same files
    llm-filter --field text --exact --min-words 3 -o out --rejects s in
    cp out whole
    head -1 whole >out
    rm s
    llm-filter --field text --exact --min-words 3 -o out --rejects s --resume in
    cmp out whole
}
