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
