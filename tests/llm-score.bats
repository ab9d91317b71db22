bats_require_minimum_version 1.5.0

setup() {
    TINY="$BATS_TEST_DIRNAME/../examples/models/tiny.gguf"
    SEEDS="$BATS_TEST_DIRNAME/../examples/synthetic/seeds.jsonl"
    cd "$BATS_TEST_TMPDIR" || return 1
}

score() {
    llm-score -m "$TINY" --prompts tiny "$@"
}

task='{"instruction":"Reverse the list.","input":"plum fox goat","output":"goat fox plum"}'

@test "llm-score: five axes in order, their weighted sum, its spread, the weights' name" {
    run -0 --separate-stderr score <<<"${task/\"output\"/\"id\":1,\"output\"}"
    [ -z "$stderr" ]
    jq -e '(keys_unsorted == ["instruction","input","id","output","helpfulness","correctness","coherence","complexity",
            "verbosity","score","score_sd","meta"])
        and ([.helpfulness,.correctness,.coherence,.complexity,.verbosity] | all(. >= 0 and . <= 4))
        and ((.3*.helpfulness + .3*.correctness + .2*.coherence + .1*.complexity + .1*.verbosity)/4 - .score | fabs < 0.0002)
        and .score_sd >= 0 and .meta == {"weights":"default"}' <<<"$output"
}

@test "llm-score: an axis is the expected value of the digits where the judge would write one" {
    # the same prompt as an instruction of its own, and the probabilities of what the model writes itself
    jq -nc '{instruction: "Score the response.\n#Instruction#: Reverse the list.\n#Input#: plum fox goat\n#Response#: goat fox plum"}' |
        llm-generate -m "$TINY" -t 0 --logprobs 60 >judged
    jq -r .output judged | grep -q '^correctness: [0-4]$'
    want=$(jq '[.logprobs[] | select(.token | test("^ ?[0-4]$"))][0].top
        | map(select(.token | test("^ ?[0-4]$")) | {d: (.token | ltrimstr(" ") | tonumber), p: (.logprob | exp)})
        | (map(.d * .p) | add) / (map(.p) | add)' judged)
    score <<<"$task" | jq -e --argjson want "$want" '.correctness - $want | fabs < 0.002'
}

@test "llm-score: right answers before wrong ones" {
    jq -c '.' "$SEEDS" >right
    jq -c '.output = (if (.output | test("^[0-9]+$")) then "fox" else "5" end)' "$SEEDS" >wrong
    for ref in output self; do
        score --reference $ref right | jq .score >a
        jq -c --slurpfile s "$SEEDS" -n '$s | to_entries[] | .value.gold = .value.output
            | .value.output = (if (.value.output | test("^[0-9]+$")) then "fox" else "5" end) | .value' >wrong
        score --reference ${ref/output/gold} wrong | jq .score >b
        [ "$(paste a b | awk '$1 > $2' | wc -l)" -ge 17 ]
    done
}

@test "llm-score: weights by name and by number stand in the record" {
    run -0 score --weights nemotron <<<"$task"
    jq -e '.meta.weights == "nemotron" and ((.3*.helpfulness + .74*.correctness + .46*.coherence + .47*.complexity
        - .33*.verbosity)/4 - .score | fabs < 0.0003)' <<<"$output"
    run -0 score --weights 0,4,0,0,0 <<<"$task"
    jq -e '.meta.weights == "0,4,0,0,0" and (.score - .correctness | fabs < 0.0002)' <<<"$output"
    for w in best 1,2,3,4 1,2,3,4,5,6 1,2,3,4,x 1,2,3,4,nan ''; do
        run -2 score --weights "$w" <<<"$task"
        [[ "$output" == *"--weights: '$w' is not default, nemotron or five numbers"* ]]
    done
}

@test "llm-score: what cannot be scored is a reject, never a number" {
    long=$(printf 'fox %.0s' $(seq 2000))
    printf '%s\n' '{"id":1,"instruction":"Say yes."}' '{"id":2,"output":"yes"}' "{\"id\":3,\"instruction\":\"Say yes.\",\"output\":\"$long\"}" \
        '{"id":4,"instruction":"Say yes.","output":7}' '{"id":5,"instruction":"Say yes.","output":"yes"}' >in
    run -1 --separate-stderr score --rejects r in
    [ "$(jq -c .id <<<"$output")" = 5 ]
    [ "$(jq -c '[.id,.reject.rule]' r | tr '\n' ' ')" = '[1,"output"] [2,"instruction"] [3,"context"] [4,"output"] ' ]
    [[ "$stderr" == *"in:1: no field 'output'"* ]]
    jq -se '.[2] | .reject.value > .reject.limit and (has("score") | not)' r
    run -1 --separate-stderr score --reference self in
    [ "$(jq -c .id <<<"$output")" = 5 ]
}

@test "llm-score: an empty instruction or answer is none, in every way of scoring" {
    printf '%s\n' '{"id":1,"instruction":"Say yes.","output":""}' '{"id":2,"instruction":" \n","output":"yes"}' \
        '{"id":3,"messages":[{"role":"user","content":""}],"output":"yes"}' '{"id":4,"instruction":"Say yes.","output":" \n\t"}' \
        '{"id":5,"instruction":"Say yes.","output":"?"}' '{"id":6,"instruction":"Say yes.","output":"yes"}' >in
    for way in judge pairwise; do
        run -1 --separate-stderr llm-score $way -m "$TINY" --prompts tiny -o out --rejects r in
        [ "$(jq -c .id out | tr '\n' ' ')" = "5 6 " ]
        [ "$(jq -c '[.id,.reject.rule]' r | tr '\n' ' ')" = '[1,"output"] [2,"instruction"] [3,"instruction"] [4,"output"] ' ]
        [[ "$stderr" == *"in:1: field 'output' is empty"*"in:2: the instruction is empty"*"in:3: the instruction is empty"* ]]
        # resumed, they are not met again
        cp out whole
        head -1 whole >out
        run -0 --separate-stderr llm-score $way -m "$TINY" --prompts tiny -o out --rejects r --resume in
        cmp whole out
        rm out out.meta r
    done
}

@test "llm-score: --reference: only a record that has the field says so; when none has, a line does" {
    a='{"id":1,"instruction":"Say yes.","output":"yes"' b='{"id":2,"instruction":"Say no.","output":"no"'
    for value in '"no"' '""' null; do
        printf '%s\n' "$a}" "$b,\"gold\":$value}" >in
        run -0 --separate-stderr score --reference gold in
        [ "$(jq -c .meta.reference <<<"${lines[0]}")" = null ]
        score in | head -1 | cmp - <(printf '%s\n' "${lines[0]}")
        if [ "$value" = '"no"' ]; then
            [ -z "$stderr" ]
            [ "$(jq -r .meta.reference <<<"${lines[1]}")" = gold ]
        else
            [ "$stderr" = "llm-score: --reference gold: no record has the field; all were judged without it" ]
            [ "$(jq -c .meta.reference <<<"${lines[1]}")" = null ]
        fi
    done
    printf '%s\n' "$a}" "${a/:1/:3},\"gold\":\"yes\"}" >in
    run -0 --separate-stderr llm-score pairwise -m "$TINY" --prompts tiny --reference glod in
    [ "$stderr" = "llm-score: --reference glod: no record has the field; all were judged without it" ]
    run -0 --separate-stderr score --reference self in
    [ -z "$stderr" ]
    jq -s -e 'map(.meta.reference) == ["self", "self"]' <<<"$output"
}

@test "llm-score: chat records, other fields" {
    m='[{"role":"user","content":"Reverse the list.\nInput: plum fox goat"},{"role":"assistant","content":"x"}]'
    run -0 score --field answer <<<"{\"messages\":$m,\"answer\":\"goat fox plum\"}"
    jq -e '.score > 0' <<<"$output"
    run -0 score <<<'{"prompt":"Reverse the list.","output":"goat fox plum"}'
    jq -e '.score > 0' <<<"$output"
}

@test "llm-score: the same bytes for any batch, threads, instruction set, chunk and shard" {
    llm-generate -m "$TINY" -t 0.8 "$SEEDS" >in
    for ref in '' '--reference self'; do
        # shellcheck disable=SC2086 # two words
        score $ref --batch 8 in >want
        for o in "--batch 1" "--batch 32" "-j 1" "-j 2" "--isa scalar" "--isa avx2" "--batch-tokens 3"; do
            # shellcheck disable=SC2086
            score $ref $o in | cmp - want
        done
        # shellcheck disable=SC2086
        score $ref -u in | sort | cmp - <(sort want)
        # shellcheck disable=SC2086
        (score $ref --shard 1/2 in && score $ref --shard 2/2 in) | sort | cmp - <(sort want)
    done
}

@test "llm-score: stopped and resumed, the same file" {
    score --reference self -o whole "$SEEDS"
    for n in 1 9 19; do
        rm -f out out.meta
        head -n $n whole >out
        head -n $((n + 1)) whole | tail -n 1 | cut -c1-50 | tr -d '\n' >>out
        score --reference self -o out --resume "$SEEDS" 2>/dev/null
        cmp out whole
    done
    run -2 score --reference self --weights nemotron -o out --resume "$SEEDS"
    [[ "$output" == *weights* ]]
}

@test "llm-score: --stats has means and deviations of the axes" {
    score --stats s "$SEEDS" >out
    jq -e --slurpfile r out '(($r | map(.correctness) | add / length) - .mean.correctness | fabs < 0.0001)
        and (($r | map(.score) | add / length) - .mean.score | fabs < 0.0001) and .sd.score >= 0 and .scored == 20
        and .prompt_tokens > 0' s
}

@test "llm-score: prompt files that cannot be read for five scores" {
    p="$BATS_TEST_DIRNAME/../examples/prompts/tiny/judge.yaml"
    grep -v verbosity "$p" >a.yaml
    run -2 llm-score -m "$TINY" --prompts a.yaml <<<"$task"
    [[ "$output" == *"a.yaml: 'assistant' has no place for {{verbosity}}"* ]]
    sed 's/: {{correctness}}/: {{correctness}}{{correctness}}/' "$p" >b.yaml
    run -2 llm-score -m "$TINY" --prompts b.yaml <<<"$task"
    [[ "$output" == *"b.yaml: 'assistant' cannot be read with this model's tokenizer: "* ]]
    sed 's/{{input}}/{{answer}}/' "$p" >c.yaml
    run -2 llm-score -m "$TINY" --prompts c.yaml <<<"$task"
    [[ "$output" == *"{{answer}}"* ]]
    run -2 llm-score -m "$TINY" --prompts none <<<"$task"
    [[ "$output" == *none* ]]
    run -0 llm-score -m "$TINY" --prompts "$p" <<<"$task"
    # the general set works with this tokenizer too
    run -0 llm-score -m "$TINY" --prompts general <<<"$task"
    jq -e '.score >= 0' <<<"$output"
}

@test "llm-score: --again judges twice and says how far the judge agrees with itself" {
    score --stats a --again reversed "$SEEDS" >out
    score "$SEEDS" | cmp - out
    jq -e '.self_agreement | .spearman < 1 and .spearman > -1 and .difference > 0' a
    # by the same prompts it is 1 by construction
    score --stats b --again tiny "$SEEDS" | cmp - out
    jq -e '.self_agreement == {"spearman":1,"difference":0}' b
    run -2 score --again reversed "$SEEDS"
    [[ "$output" == *"--again: what it finds goes to --stats"* ]]
    run -2 score --stats c --again nowhere "$SEEDS"
    sed 's/^  coherence: {{coherence}}/  so: {{coherence}}, or not: {{complexity}}/' "$BATS_TEST_DIRNAME/../examples/prompts/tiny/judge.yaml" |
        grep -v '^  complexity' >two.yaml
    run -2 llm-score -m "$TINY" --prompts two.yaml --stats c --again reversed "$SEEDS"
    [[ "$output" == *"a line of 'assistant' has not just one place"* ]]
}

@test "llm-score: judge is the way without a name" {
    score "$SEEDS" >a
    llm-score judge -m "$TINY" --prompts tiny "$SEEDS" | cmp - a
    llm-score -m "$TINY" --prompts tiny judge "$SEEDS" | cmp - a
}

pairwise() {
    llm-score pairwise -m "$TINY" --prompts tiny "$@"
}

# many N: N answers of their own ids to each of the first five seeds, and some that are invalid.
many() {
    head -5 "$SEEDS" | jq -c --argjson n "$1" '. as $r | range($n) as $i | $r + {id: "\($r.id)/\($i)",
        output: ([$r.output, "fox", "5", "lamp fox", "I think that \($r.output)", "goat"][$i % 6] + " x" * ($i / 6 | floor))}'
}

@test "llm-score pairwise: a match's outcome is the mean of P(A) over both orders, as the model itself has it" {
    jq -nc '("goat fox plum", "lamp") as $o | {id: $o, instruction: "Reverse the list.", input: "plum fox goat", output: $o}' >in
    run -0 --separate-stderr pairwise --stats s in
    [ -z "$stderr" ]
    echo "$output" >out
    for pair in "goat fox plum|lamp" "lamp|goat fox plum"; do
        jq -nc --arg a "${pair%|*}" --arg b "${pair#*|}" '{instruction:
            "Compare the responses.\n#Instruction#: Reverse the list.\n#Input#: plum fox goat\n#Response A#: \($a)\n#Response B#: \($b)"}'
    done >asked
    # the probabilities behind "better:", by an answer that is given
    for c in A B; do
        jq -c --arg c "$c" '.output = "better: \($c)"' asked | llm-generate -m "$TINY" --score --logprobs 1 |
            jq '.logprobs[-1].logprob | exp' >$c
    done
    want=$(paste A B | awk '{p[NR] = $1 / ($1 + $2)} END {printf "%.6f", (p[1] + 1 - p[2]) / 2}')
    # two players: P(first wins) = p gives strengths +-x with p - 1/(1 + e^-2x) = x/25
    jq -e -s --argjson p "$want" '.[0].strength as $x | ($p - 1 / (1 + (-2 * $x | exp)) - $x / 25 | fabs < 0.0002)
        and (.[0].strength + .[1].strength | fabs < 0.00011) and all(.[]; (1 / (1 + (-.strength | exp)) - .score | fabs < 0.0001)
        and .meta.matches == 1 and .score_sd > 0)' out
    jq -e --slurpfile p <(paste A B | awk '{print $1 / ($1 + $2)}') '.matches == 1 and .groups == 1
        and (.position_bias.prefers_first - ($p[0] + $p[1]) / 2 | fabs < 0.001)
        and .position_bias.verdict_changes == (if ($p[0] > 0.5) != ($p[1] < 0.5) then 1 else 0 end)' s
}

@test "llm-score pairwise: all meet all, or a schedule of --opponents; nothing else decides than the answers" {
    many 4 >in
    pairwise --batch 8 --stats s in >want
    jq -e '.matches == 30 and .groups == 5 and .scored == 20' s
    jq -e -s 'group_by(.instruction) | all(.[]; (map(.strength) | add | fabs < 0.001) and all(.[]; .meta.matches == 3))' want
    cmp <(jq -r .id in) <(jq -r .id want)
    for o in "--batch 1" "--batch 32" "-j 1" "-j 2" "--isa scalar" "--batch-tokens 7" "--opponents 5"; do
        # shellcheck disable=SC2086
        pairwise $o in | cmp - want
    done
    pairwise -u in | sort | cmp - <(sort want)
    sort -r in | pairwise | sort | cmp - <(sort want)
    (pairwise --shard 1/3 in && pairwise --shard 2/3 in && pairwise --shard 3/3 in) | sort | cmp - <(sort want)
    many 9 >in
    pairwise --opponents 4 --stats s in >some
    jq -e '.matches == 5 * 9 * 4 / 2' s
    jq -e -s 'all(.[]; .meta.matches == 4)' some
    sort -r in | pairwise --opponents 4 --batch 3 | sort | cmp - <(sort some)
    pairwise --opponents 4 --seed 1 in >other
    run ! cmp some other
}

@test "llm-score pairwise: what makes a group; who is alone, too long or invalid is a reject" {
    jq -nc '("a", "b", "c") as $o | {id: $o, instruction: "Say \($o).", output: $o, meta: {parent: "p"}}' >in
    run -1 --separate-stderr pairwise --rejects r in
    [ -z "$output" ]
    [ "$(jq -r .reject.rule r | sort | uniq -c | tr -s ' ')" = " 3 single" ]
    [[ "$stderr" == *"in:1: no other answer to this instruction"* ]]
    run -0 pairwise --group meta.parent in
    [ "$(jq -s 'map(.meta.matches) | unique == [2]' <<<"$output")" = true ]
    run -0 pairwise --group nothing <(many 2 | jq -c '.nothing = 1')
    [ "$(jq -s 'map(.meta.matches) | unique == [9]' <<<"$output")" = true ]
    long=$(printf 'fox %.0s' $(seq 2000))
    jq -nc --arg long "$long" '("a", "b", 7, $long, "c") as $o | {id: ($o | tostring[0:3]), instruction: "Say.", output: $o}' >in
    run -1 --separate-stderr pairwise --rejects r2 in
    [ "$(jq -r .id <<<"$output" | tr '\n' ' ')" = "a b c " ]
    [ "$(jq -s 'map(.meta.matches) | unique == [2]' <<<"$output")" = true ]
    [ "$(jq -c '[.id, .reject.rule]' r2 | tr '\n' ' ')" = '["7","output"] ["fox","context"] ' ]
    jq -se '.[1].reject | .value > .limit' r2
    # the same strengths as without it
    grep -v fox in | pairwise -q | cmp - <(echo "$output")
    run -2 pairwise --reference self in
    [[ "$output" == *"--reference self: in pairs, only a field can be one"* ]]
}

@test "llm-score: length_bias is the rank correlation of what the records have" {
    rho='def rank: . as $a | map(. as $x | ($a | map(if . < $x then 2 elif . == $x then 1 else 0 end) | add) - ($a | length));
        map([.score, (.output | [scan("\\S+")] | length)]) | transpose | map(rank)
        | ([transpose[] | .[0] * .[1]] | add) / ((map(map(. * .) | add) | .[0] * .[1]) | sqrt)'
    llm-generate -m "$TINY" -t 1.2 --samples 3 "$SEEDS" >in
    for how in judge pairwise; do
        llm-score $how -m "$TINY" --prompts tiny --stats s in >out
        jq -e --argjson want "$(jq -s "$rho" out)" '.length_bias.words - $want | fabs < 0.0001' s
    done
}

@test "llm-score pairwise: stopped and resumed, the same file" {
    many 3 >in
    for o in "" --pairs; do
        # shellcheck disable=SC2086
        pairwise $o -o whole$o in
        for n in 1 2 4; do
            rm -f out out.meta
            head -n $n whole$o >out
            head -n $((n + 1)) whole$o | tail -n 1 | cut -c1-50 | tr -d '\n' >>out
            cp whole$o.meta out.meta
            # shellcheck disable=SC2086
            pairwise $o -o out --resume in 2>/dev/null
            cmp out whole$o
        done
    done
    run -2 pairwise -o whole--pairs --resume in
    [[ "$output" == *pairs* ]]
    run -2 llm-score -m "$TINY" --prompts tiny -o whole --resume in
    [[ "$output" == *"whole.meta"* ]]
}

@test "llm-score pairwise --pairs: best against worst, in the forms that trainers take; --margin" {
    many 4 >in
    pairwise in >scored
    run -0 pairwise --pairs in
    jq -e -n --slurpfile s scored --slurpfile p <(echo "$output") '($p | length) == 5 and all($p[]; . as $q
        | ($s | map(select(.instruction == $q.instruction)) | sort_by(.score)) as $of
        | .score_chosen == $of[-1].score and .score_rejected == $of[0].score and .chosen == .output
        and ($of | any(.id == $q.meta.rejected and .output == $q.rejected and .score == $of[0].score))
        and .prompt == (if .input == "" then .instruction else .instruction + "\n\n" + .input end))'
    margin=$(jq -s 'map(.score_chosen - .score_rejected) | sort | (.[1] + .[2]) / 2' <<<"$output")
    run -0 --separate-stderr pairwise --pairs --margin "$margin" --rejects r in
    [ "${#lines[@]}" = 3 ]
    [ -z "$stderr" ]
    [ "$(jq -s 'map(.reject.rule == "margin" and .reject.value < .reject.limit) | all and length == 2' r)" = true ]
    # messages give messages
    jq -nc '("a", "b") as $o | {messages: [{role: "system", content: "s"}, {role: "user", content: "Say."}, {role: "assistant", content: $o}], output: $o}' |
        pairwise --pairs | jq -e '.prompt == [{role: "system", content: "s"}, {role: "user", content: "Say."}]
            and (.chosen[0] | .role == "assistant" and (.content == "a" or .content == "b")) and .rejected[0].content != .chosen[0].content'
}

@test "llm-score pairwise: a signal leaves whole groups, and --resume goes on" {
    many 8 >in
    pairwise -o whole in
    llm-score pairwise -m "$TINY" --prompts tiny -o out --batch 1 -j 1 in &
    pid=$!
    for _ in $(seq 500); do
        [ -s out ] && break
        kill -0 $pid 2>/dev/null || break
        sleep 0.01
    done
    kill -TERM $pid 2>/dev/null || :
    rc=0
    wait $pid || rc=$?
    [ $rc = 75 ] || [ $rc = 0 ]
    pairwise -o out --resume in
    cmp out whole
}

@test "llm-score: the manual's table of what padding does is what comes out" {
    sed -n 's/^\.It \(.*goat fox plum\) Ta \(.*\) Ta \(.*\) Ta \(.*\)$/\1|\2|\3|\4/p' "$BATS_TEST_DIRNAME/../man/llm-score.1.in" >table
    [ "$(wc -l <table)" = 4 ]
    cut -d'|' -f1 table | jq -Rc '{instruction: "Reverse the list.", input: "plum fox goat", output: .}' >in
    for w in default:3 nemotron:4; do
        score --weights ${w%:*} in | jq -r '"\(.verbosity) \(.score)"' | awk '{printf "%.4f|%.4f\n", $1, $2}' >got
        awk -F'|' -v c=${w#*:} '{print $2 "|" $c}' table | cmp - got
    done
    # rising under the one, falling under the other
    cut -d'|' -f3 table | sort -gc
    cut -d'|' -f4 table | sort -grc
}

@test "llm-score pairwise: a signal before the input has ended: no group is taken for whole" {
    many 3 >in
    mkfifo pipe
    llm-score pairwise -m "$TINY" --prompts tiny -o out pipe 2>err &
    pid=$!
    exec 9>pipe
    head -8 in >&9
    for _ in $(seq 1000); do
        [ -e out.meta ] && break
        sleep 0.01
    done
    sleep 0.2
    kill -TERM $pid
    rc=0
    wait $pid || rc=$?
    exec 9>&-
    [ $rc = 75 ]
    [ ! -s out ]
    pairwise -o out --resume in
    pairwise in | cmp - out
}

reward="$BATS_TEST_DIRNAME/data/reward"

# agrees MODEL GOLDEN TOLERANCE: what llm-score reward gives is what transformers gave.
agrees() {
    llm-score reward -m "$1" "$2" | jq -e -s --argjson most "$3" 'length == 4 and all(.[]; (.want[-5:]) as $w
        | (if ($w | length) == 1 then [.score] else [.helpfulness, .correctness, .coherence, .complexity, .verbosity] end) as $got
        | ($got | length) == ($w | length) and all(range($w | length); $got[.] - $w[.] | fabs <= $most))' >/dev/null
}

@test "llm-score reward: transformers' outputs, from a directory, a GGUF of it and a directory of that" {
    for name in one five nine; do
        g="$reward/$name/golden.jsonl"
        agrees "$reward/$name" "$g" 0.0001
        llm-convert -o $name.gguf "$reward/$name"
        agrees $name.gguf "$g" 0.0001
        llm-convert -o $name.dir $name.gguf
        agrees $name.dir "$g" 0.0001
        jq -e --slurpfile a "$reward/$name/config.json" '.architectures == $a[0].architectures and .id2label == $a[0].id2label
            and .label2id == $a[0].label2id' $name.dir/config.json
        llm-convert --type q8_0 -o $name.q8.gguf "$reward/$name"
        agrees $name.q8.gguf "$g" 0.1
    done
}

@test "llm-score reward: axes and weighted score, or the score alone; no deviation, which a regression has not" {
    llm-score reward -m "$reward/five" --weights nemotron --stats s "$reward/five/golden.jsonl" >out
    jq -e -s 'all(.[]; (.3*.helpfulness + .74*.correctness + .46*.coherence + .47*.complexity - .33*.verbosity)/4 - .score
        | fabs < 0.0002) and all(.[]; .meta.weights == "nemotron" and (.meta.model | length == 32) and (has("score_sd") | not))' out
    jq -e --slurpfile r out '(($r | map(.coherence) | add / 4) - .mean.coherence | fabs < 0.0001) and (.length_bias | has("words", "tokens"))' s
    llm-score reward -m "$reward/one" --stats t "$reward/one/golden.jsonl" >out
    jq -e -s 'all(.[]; has("score") and (has("helpfulness") or has("score_sd") | not))' out
    jq -e '.mean | keys == ["score"]' t
}

@test "llm-score reward: the same bytes for any batch, threads, chunk, order and shard; resumed" {
    for i in $(seq 12); do jq -c --arg i "$i" '.id = "\(.id)-\($i)" | .output += " " + $i' "$reward/nine/golden.jsonl"; done >in
    r() { llm-score reward -m "$reward/nine" "$@"; }
    r -o want in
    for o in "--batch 1" "--batch 32" "-j 1" "--isa scalar" "--batch-tokens 5" "--no-prefix-cache"; do
        # shellcheck disable=SC2086
        r $o in | cmp - want
    done
    r -u in | sort | cmp - <(sort want)
    sort -r in | r | sort | cmp - <(sort want)
    (r --shard 1/2 in && r --shard 2/2 in) | sort | cmp - <(sort want)
    head -9 want >out
    cp want.meta out.meta
    r -o out --resume in
    cmp out want
}

@test "llm-score reward: what is no reward model, what does not fit" {
    run -2 llm-score reward -m "$TINY" "$SEEDS"
    [[ "$output" == *"no reward model: it has no tensor 'score.weight' or 'cls.output.weight'"* ]]
    run -2 llm-score reward -m http://127.0.0.1:1/v1 "$SEEDS"
    [[ "$output" == *"no server"* ]]
    long=$(printf 'fox %.0s' $(seq 600))
    run -1 --separate-stderr llm-score reward -m "$reward/one" --rejects r <<<"{\"id\":1,\"instruction\":\"x\",\"output\":\"$long\"}
{\"id\":2,\"instruction\":\"x\",\"output\":\"y\"}
{\"id\":3,\"instruction\":\"x\"}
{\"id\":4,\"prompt\":\"x\",\"output\":\"y\"}"
    [ "$(jq -s -c 'map(.id)' <<<"$output")" = "[2,4]" ]
    [ "$(jq -s -c 'map(.reject.rule)' r)" = '["context","output"]' ]
    cp -r "$reward/one" three
    LC_ALL=C sed -i 's/\("score.weight":{"dtype":"F32","shape":\)\[1,16\]/\1[2, 8]/' three/model.safetensors
    run -2 llm-score reward -m three "$SEEDS"
    [[ "$output" == *"tensor 'score.weight': shape (2, 8), expected (2, 16)"* ]]
}

@test "llm-score calibrate: weights and cross-validation as numpy and scipy find them; --weights takes the file" {
    d="$BATS_TEST_DIRNAME/data/calibrate"
    for o in plain:"--ridge 0" ridge:"--ridge 0.05" above:"--ridge 0 --only-above"; do
        # shellcheck disable=SC2086
        llm-score calibrate ${o#*:} --stats ${o%%:*}.json -o ${o%%:*}.yaml $d.jsonl
        jq -e -n --arg o "${o%%:*}" --slurpfile want $d.json --slurpfile s "${o%%:*}.json" \
            --argjson got "$(grep -v '^#\|name' "${o%%:*}.yaml" | sed 's/^\(.*\): \(.*\)$/"\1": \2/' | paste -sd, | sed 's/^/{/; s/$/}/')" '
            $want[0][$o] as $w | ([$got.offset - $w.offset, $got.helpfulness - $w.weights[0], $got.correctness - $w.weights[1],
            $got.coherence - $w.weights[2], $got.complexity - $w.weights[3], $got.verbosity - $w.weights[4]] | all(fabs < 2e-5))
            and ($s[0].calibrated as $c | [$c.spearman - $w.spearman, $c.pairs - $w.pairs, $c.rmse - $w.rmse] | all(fabs < 0.00011))
            and ($s[0].default as $c | [$c.spearman - $want[0].default.spearman, $c.pairs - $want[0].default.pairs] | all(fabs < 0.00011))'
    done
    sort -R $d.jsonl | llm-score calibrate --ridge 0 | cmp - plain.yaml
    llm-score calibrate $d.jsonl | sed -n 's/.*ridge \(.*\)/\1/p' | grep -qx '0.001\|1e-05\|0.0001\|0.01\|0.1\|0'
    score --weights plain.yaml <<<"$task" | jq -e '(.092965 + (.301692*.helpfulness + .577937*.correctness + .228191*.coherence
        + .021582*.complexity - .206197*.verbosity)/4 - .score | fabs < 0.0002) and (.meta.weights | startswith("calibrated-"))'
    # another file under the same name is another run
    score -o out --weights plain.yaml "$SEEDS"
    cp ridge.yaml plain.yaml
    run -2 score -o out --resume --weights plain.yaml "$SEEDS"
    [[ "$output" == *weights-are* ]]
}

@test "llm-score calibrate: without ids too, nothing depends on the order of the records" {
    # two people's labels of one answer
    jq -c 'del(.id) | .output = "a", (.output = "a" | .label = 4 - .label)' "$BATS_TEST_DIRNAME/data/calibrate.jsonl" >in
    llm-score calibrate --ridge 0 in >whole
    for i in 1 2 3; do
        shuf --random-source <(yes $i) in | llm-score calibrate --ridge 0 | cmp whole -
    done
    # records that are told apart by the axes alone
    jq -c '.label = 1 + (.helpfulness | floor)' in | llm-score calibrate --ridge 0 >whole
    jq -c '.label = 1 + (.helpfulness | floor)' in | tac | llm-score calibrate --ridge 0 | cmp whole -
}

@test "llm-score calibrate: scores of whole axes that are equal are equal" {
    jq -n -c 'range(24) | (. % 2) as $y | {id: ., label: $y, helpfulness: 0, correctness: 2} +
        if $y == 1 then {coherence: 3, complexity: 4, verbosity: 4} else {coherence: 4, complexity: 4, verbosity: 2} end' >in
    llm-score calibrate --stats s in >/dev/null
    jq -e '.default == {spearman: 0, pairs: 0.5} and .calibrated.pairs == 1' s
}

@test "llm-score calibrate: stopped before all labels are read it writes no weights of some of them" {
    d="$BATS_TEST_DIRNAME/data/calibrate.jsonl"
    mkfifo pipe
    llm-score calibrate -q --rejects r -o w.yaml --stats s pipe 2>err &
    pid=$!
    exec 5>pipe
    cat "$d" - >&5 <<<bad
    until [ -s r ]; do sleep 0.01; done
    kill -TERM $pid
    rc=0
    wait $pid || rc=$?
    exec 5>&-
    [ $rc = 75 ]
    [ "$(cat err)" = "llm-score: stopped before all was read; nothing was written" ]
    [ ! -e w.yaml ]
    jq -e --argjson n "$(wc -l <"$d")" '.status == 75 and .records == $n and (has("calibrated") | not)' s
}

@test "llm-score calibrate: what cannot be used is a reject; too few, labels all the same, a bad scale, a file that is there" {
    d="$BATS_TEST_DIRNAME/data/calibrate.jsonl"
    (head -30 $d && echo '{"id":"a","label":3}' && head -1 $d | jq -c '.id = "b" | .label = "good"' && echo x) >in
    run -1 --separate-stderr llm-score calibrate --rejects r in
    [ "$(jq -s -c 'map(.reject.rule)' r)" = '["axes","label","json"]' ]
    [ "${lines[0]}" = "# llm-score calibrate: 30 records, label 'label' from 0 to 4, ridge $(sed -n 's/.*ridge //p' <<<"${lines[0]}")" ]
    run -2 llm-score calibrate <(head -19 $d)
    [[ "$output" == *"19 records with axes and a label are too few: 20 are needed"* ]]
    run -2 llm-score calibrate <(jq -c '.label = 3' $d)
    [[ "$output" == *"all labels are 3"* ]]
    for s in 1 4,0 1,1 a,b 0,4x 0,inf; do
        run -2 llm-score calibrate --scale $s $d
        [[ "$output" == *"--scale: '$s' is not two numbers lo,hi"* ]]
    done
    llm-score calibrate --label truth --scale 1,5 <(jq -c '.truth = .label + 1' $d) | grep -v '^#\|name' >a
    llm-score calibrate --scale 0,4 $d | grep -v '^#\|name' | cmp - a
    echo kept >there
    run -2 llm-score calibrate -o there $d
    [[ "$output" == *"'there' exists" ]]
    [ "$(cat there)" = kept ]
    run -1 bash -c "llm-score calibrate $d >/dev/full"
    # labels whose distance is no number
    run -2 llm-score calibrate <(jq -c '.label = (if .label > 2 then 1e308 else -1e308 end)' $d)
    [[ "$output" == *"labels from -1e+308 to 1e+308 are too far apart"* ]]
    run -2 llm-score calibrate --scale 0,1 <(jq -c '.label = 1e200' $d)
    [[ "$output" == *"label 1e+200 is too far from 0 to 1"* ]]
}

@test "llm-score: an option of another way is refused" {
    local o
    for o in --pairs "--group id" "--opponents 4" "--opponents 16" "--label x" "--label label" --only-above "--folds 3" \
        "--folds 5" "--ridge 0" "--ridge -1" "--scale 0,1"; do
        run -2 llm-score -m "$TINY" --prompts tiny $o "$SEEDS"
        [[ "$output" == *"${o%% *} is for 'llm-score "*"', this is 'judge'"* ]]
    done
    for o in "--weights nemotron" "--again reversed" --only-above; do
        run -2 llm-score pairwise -m "$TINY" --prompts tiny $o "$SEEDS"
        [[ "$output" == *"${o%% *} is for 'llm-score "*"', this is 'pairwise'"* ]]
    done
    for o in "--weights nemotron" "--weights default" "--prompts general" "--field output" "--model $TINY" "--resume -o x"; do
        run -2 llm-score calibrate $o "$SEEDS"
        [[ "$output" == *"${o%% *} is for 'llm-score judge', this is 'calibrate'"* ]]
    done
    run -2 llm-score reward --prompts tiny -m "$TINY" "$SEEDS"
    [[ "$output" == *"--prompts is for 'llm-score judge', this is 'reward'"* ]]
    run -2 llm-score reward --reference self -m "$TINY" "$SEEDS"
    [[ "$output" == *"--reference is for 'llm-score judge', this is 'reward'"* ]]
}

@test "llm-score: a judge puts right answers before spoilt ones, and many faults below few" {
    # 60 pairs of tests/goldens/corrupt.py; of 500, 479 were in order without and 496 with a reference
    for ref in "" "--reference self"; do
        # shellcheck disable=SC2086
        score $ref "$BATS_TEST_DIRNAME/data/corrupt.jsonl" >scored
        jq -e -s 'group_by(.pair) | map((.[] | select(.good == 4) | .score) > (.[] | select(.good < 4) | .score))
            | length == 60 and (map(select(.)) | length) >= 54' scored
        llm-score calibrate --label good --stats s scored >/dev/null
        jq -e '.default.spearman >= 0.8' s
    done
}
