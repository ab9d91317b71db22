bats_require_minimum_version 1.5.0
load server

TINY="$BATS_TEST_DIRNAME/../examples/models/tiny.gguf"
SEEDS="$BATS_TEST_DIRNAME/../examples/synthetic/seeds.jsonl"
# as an array, so that in the background its process and not a shell's has the id that is killed
CMD=(llm-evol -m "$TINY" --prompts tiny --seed 3)

evol() {
    "${CMD[@]}" "$@"
}

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return 1
    evol --rounds 2 --batch 1 -j 1 --rejects ref.rej "$SEEDS" >ref.jsonl
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
    REF="$BATS_FILE_TMPDIR/ref.jsonl"
    REJ="$BATS_FILE_TMPDIR/ref.rej"
    server_open
}

teardown() {
    server_close
}

@test "llm-evol: every record as it was, followed by what it became" {
    jq -c 'select(.meta.source != "evol")' "$REF" >heads
    cmp <(grep -v '"source":"evol"' "$REF") "$SEEDS"
    jq -s -e 'map(select(.meta.source == "evol")) | length > 10 and all(.[];
        (.meta.op | IN("constraints", "deepening", "concretizing", "reasoning", "complicate", "breadth"))
        and (.meta.round | IN(1, 2)) and .meta.seed == 3 and (.meta.model | test("^[0-9a-f]{32}$"))
        and (.id | test("^[0-9a-f]{32}$")) and (.instruction | length) > 0 and (has("output") | not))' "$REF"
    # the parent of an evolution is the line before it
    jq -s -e '. as $r | all(range(1; length); $r[.].meta.source != "evol" or $r[.].meta.parent == $r[. - 1].id)' "$REF"
    jq -s -e '[.[].id] | length == (unique | length)' "$REF"
}

@test "llm-evol: each record has every round either in the output or in the rejects" {
    n=$(wc -l <"$SEEDS")
    made=$(grep -c '"source":"evol"' "$REF")
    refused=$(grep -c . "$REJ" || :)
    [ $((made + refused)) = $((2 * n)) ]
    jq -s -e 'all(.[]; .reject.stage == "llm-evol" and .meta.source == "evol" and (.reject.rule
        | IN("truncated", "empty", "unchanged", "leak", "refusal", "short", "long", "equal", "context")))' "$REJ"
    # tries: which attempt at its parent a version was
    cat "$REF" "$REJ" | jq -s -e 'map(select(.meta.source == "evol")) | group_by(.meta.parent)
        | all(.[]; (sort_by(.meta.round) | [.[].meta.tries]) == [range(1; length + 1)])'
}

@test "llm-evol: same bytes for any batch, threads, instruction set; shards join to the whole" {
    evol --rounds 2 --batch 16 -j 2 --rejects r "$SEEDS" | cmp "$REF" -
    cmp "$REJ" r
    evol --rounds 2 --batch 3 --batch-tokens 7 --isa scalar <"$SEEDS" | cmp "$REF" -
    { evol --rounds 2 --shard 1/2 "$SEEDS"; evol --rounds 2 --shard 2/2 "$SEEDS"; } | sort | cmp <(sort "$REF") -
    evol --rounds 2 --unordered --batch 7 "$SEEDS" | sort | cmp <(sort "$REF") -
    run evol --rounds 2 --seed 4 "$SEEDS"
    [ "$output" != "$(cat "$REF")" ]
}

@test "llm-evol: more rounds go on from where fewer end" {
    evol --rounds 1 "$SEEDS" | jq -c 'select(.meta.source == "evol")' >one
    jq -c 'select(.meta.source == "evol" and .meta.round == 1)' "$REF" | cmp one -
}

@test "llm-evol: killed at random moments and resumed, the files are those of an undisturbed run" {
    for i in $(seq 12); do
        "${CMD[@]}" -q --rounds 2 -o out --rejects rej --resume "$SEEDS" &
        pid=$!
        sleep "0.$((RANDOM % 30 + 5))"
        kill -9 $pid 2>/dev/null || :
        wait $pid || :
    done
    evol --rounds 2 -o out --rejects rej --resume "$SEEDS"
    cmp "$REF" out
    cmp "$REJ" rej
    evol --rounds 2 -o out --rejects rej --resume "$SEEDS"
    cmp "$REF" out
    cmp "$REJ" rej
}

@test "llm-evol: resumed from every beginning of the file, a group's middle included" {
    evol --rounds 2 -o whole --rejects whole.rej "$SEEDS"
    size=$(wc -c <whole)
    for part in 1 13 37 50 61 77 90 99; do
        cp whole.meta out.meta
        head -c $((size * part / 100)) whole >out
        cp whole.rej rej # written before the group they belong to
        evol -q --rounds 2 -o out --rejects rej --resume "$SEEDS" 2>/dev/null
        cmp whole out
        cmp whole.rej rej
    done
}

@test "llm-evol: a second pass over what the same seed has made is resumed from every beginning too" {
    jq -c 'select(.meta.source == "evol" and .meta.round == 1)' "$REF" >made
    [ "$(wc -l <made)" -gt 3 ]
    evol -o whole --rejects whole.rej made
    [ "$(wc -l <whole)" -gt "$(wc -l <made)" ]
    for part in 1 13 37 50 61 77 90 99; do
        cp whole.meta out.meta
        head -c $(($(wc -c <whole) * part / 100)) whole >out
        cp whole.rej rej
        evol -q -o out --rejects rej --resume made 2>/dev/null
        cmp whole out
        cmp whole.rej rej
    done
}

@test "llm-evol: operators are chosen and weighted" {
    evol --operators reasoning "$SEEDS" | jq -s -e 'map(select(.meta.source == "evol").meta.op) | unique == ["reasoning"]'
    evol --operators breadth:1,reasoning:0 --rejects r "$SEEDS" >out
    cat out r | jq -s -e 'map(select(.meta.source == "evol").meta.op) | unique == ["breadth"]'
    run -2 evol --operators magic "$SEEDS"
    [[ "$output" == *"'magic' is not one of constraints, deepening"* ]]
    run -2 evol --operators breadth:-1 "$SEEDS"
    [[ "$output" == *"weight of 'breadth'"* ]]
}

@test "llm-evol: what is refused leaves its parent" {
    run -0 --separate-stderr evol --min-words 400 --rejects r "$SEEDS"
    [ "$output" = "$(cat "$SEEDS")" ]
    [ -z "$stderr" ]
    [ "$(jq -r 'select(.reject.rule == "short").reject.limit' r | sort -u)" = 400 ]
    jq -s -e 'all(.[]; .reject.value < 400 or .reject.rule != "short")' r
    run -0 evol -n 2 --rejects r2 "$SEEDS"
    grep -q '"rule":"truncated"' r2
}

@test "llm-evol: phrases of the prompt file refuse, unless the parent had them" {
    sed -e 's/^leaks:.*/leaks: [the, answer, a, then, of, word]/' \
        "$BATS_TEST_DIRNAME/../examples/prompts/tiny/evol.yaml" >own.yaml
    evol --prompts own.yaml --rejects r "$SEEDS" >out
    grep -q '"rule":"leak"' r
    jq -s -e 'map({key: .id, value: .instruction}) | from_entries' "$SEEDS" >heads
    jq -s -e --slurpfile h heads 'all(.[] | select(.reject.rule == "leak"); .reject.value as $w
        | ([$h[0][.meta.parent] | ascii_downcase | scan("[a-z]+")] | index($w)) == null)' r
    echo 'colour: red' >>own.yaml
    run -2 evol --prompts own.yaml "$SEEDS"
    [[ "$output" == *"own.yaml:"*"'colour'"* ]]
}

@test "llm-evol: the model's own verdict is asked when the prompt file has the question" {
    # a question whose answer is always the same word
    sed -e '/^equal:/,/Second Prompt/d' "$BATS_TEST_DIRNAME/../examples/prompts/tiny/evol.yaml" >base.yaml
    evol --prompts base.yaml --rejects r "$SEEDS" >out
    run -1 grep '"rule":"equal"' r
    { cat base.yaml; printf 'equal:\n  user: "Equal?\\n#First Prompt#: Reverse the list.\\n#Second Prompt#: Reverse the list."\n'; } >same.yaml
    evol --prompts same.yaml --rejects r2 "$SEEDS" >out
    grep -q '"rule":"equal"' r2
}

@test "llm-evol: a record that cannot be used is reported and kept" {
    printf '%s\n' '{"id":"x"}' '{bad' '{"id":"y","instruction":"Name the first item.","input":"fox hen cat"}' >in.jsonl
    run -1 --separate-stderr evol --rejects rej in.jsonl
    [[ "$stderr" == *"in.jsonl:1: no text in field 'instruction'"* ]]
    [[ "$stderr" == *"in.jsonl:2: "* ]]
    [ "$(head -n 1 <<<"$output" | jq -r .id)" = y ]
    run -1 --separate-stderr evol --ctx 100 --rejects rej2 in.jsonl
    [[ "$stderr" == *"in.jsonl:3: the prompt of "*"exceed the context of 100"* ]]
    [ "$(jq -r 'select(.id == "y").reject.rule' rej2)" = context ]
}

@test "llm-evol: stats tell what each operator did" {
    run -0 --separate-stderr evol --rounds 2 --stats s.json --rejects r "$SEEDS"
    jq -e '([.operators[].tried] | add) == 2 * .read and ([.operators[].kept] | add) == .written - .read
        and .dropped == ([.rules[]] | add // 0)
        and ([.operators[] | .tried - .kept - ([.refused[]] | add // 0)] | unique) == [0]
        and ([.operators[].refused | to_entries[]] | group_by(.key) | map({key: .[0].key, value: (map(.value) | add)}) | from_entries) == .rules' s.json
}

@test "llm-evol: empty input, help, lost output" {
    run -0 --separate-stderr evol /dev/null
    [ -z "$output$stderr" ]
    run -0 llm-evol -h
    [[ "$output" == *"--rounds <n>"*"[1]"* ]]
    run -1 sh -c "llm-evol -m '$TINY' --prompts tiny '$SEEDS' >/dev/full"
}

# The tiny set where much is refused: short tasks, and answers with one of the model's own preambles.
strict() {
    sed 's/^refusals:.*/refusals: [sorry, Well, Of course, I think that]/' "$BATS_TEST_DIRNAME/../examples/prompts/tiny/evol.yaml"
}

@test "llm-evol: --tries: what was refused is tried again in its round" {
    evol --rounds 2 --tries 3 --min-words 11 --rejects r --stats s.json "$SEEDS" >out
    cat out r | jq -s -e 'map(select(.meta.source == "evol")) | (group_by(.meta.parent)
            | all(.[]; ([.[].meta.tries] | sort) == [range(1; length + 1)]))
        and any(.[]; .reject == null and .meta.tries > 1) and any(.[]; .meta.tries == 6)
        and ([.[].id] | length == (unique | length))'
    # a record that is refused has two rounds of three tries, another none in vain after it was accepted
    jq -s -e '[.[] | select(.meta.round == 1)] | group_by(.meta.parent) | all(.[]; length <= 3)' r
    jq -e '([.operators[].tried] | add) <= 6 * .read and .rules.short > 0' s.json
    evol --rounds 2 --tries 3 --min-words 11 --batch 1 -j 1 --rejects r2 "$SEEDS" | cmp out -
    cmp r r2
}

@test "llm-evol: --answer: instructions are answered, and go when the answer is a refusal or says nothing" {
    strict >own.yaml
    head -9 "$SEEDS" >in.jsonl
    own=(llm-evol -m "$TINY" --prompts own.yaml --seed 3 --rounds 2 --tries 2 --answer)
    "${own[@]}" --rejects r --stats s.json in.jsonl >out
    jq -s -e 'map(select(.meta.source == "evol")) | length > 6 and all(.[]; .output | length > 0 and (startswith(" ") | not)
        and (test("sorry|well,|of course|i think that"; "i") | not))' out
    jq -s -e 'map(select(.reject.rule == "sorry")) | length > 0 and all(.[]; .reject.value as $v | .output | ascii_downcase | contains($v | ascii_downcase))' r
    sed -i 's/^stopwords:.*/stopwords: [yes, no, "[", "]", animal, 1, 2, 3, 4, 5]/' own.yaml
    "${own[@]}" --rejects r2 in.jsonl >out2
    jq -s -e 'map(select(.reject.rule == "stopwords")) | length > 0 and all(.[]; .output | test("^[^a-z0-9]*((yes|no|animal|[1-5])[^a-z0-9]*)*$"; "i"))' r2
    # interrupted at any time, the same files
    "${own[@]}" -o whole --rejects whole.rej in.jsonl
    cmp out2 whole
    for i in $(seq 4); do
        "${own[@]}" -q -o o --rejects rej --resume in.jsonl &
        pid=$!
        sleep "0.$((RANDOM % 60 + 5))"
        kill -9 $pid 2>/dev/null || :
        wait $pid || :
    done
    "${own[@]}" -q -o o --rejects rej --resume in.jsonl
    cmp out2 o
    cmp r2 rej
    for part in 40 83; do
        cp whole.meta o.meta
        head -c $(($(wc -c <whole) * part / 100)) whole >o
        cp whole.rej rej
        "${own[@]}" -q -o o --rejects rej --resume in.jsonl 2>/dev/null
        cmp whole o
        cmp whole.rej rej
    done
    { "${own[@]}" --shard 1/2 in.jsonl; "${own[@]}" --shard 2/2 in.jsonl; } | sort | cmp <(sort whole) -
    grep -v '^answer' own.yaml | sed '/^  user: "{{instruction}}/,$d' >none.yaml
    run -2 llm-evol -m "$TINY" --prompts none.yaml --answer in.jsonl
    [[ "$output" == *"none.yaml has no key 'answer'"* ]]
}

@test "llm-evol: --what response: the response is rewritten, by operators of its own" {
    # the model answers the task again, at a temperature; or names an animal
    cat >own.yaml <<'EOT'
user: unused
operators:
  breadth: unused
  again: {of: response, weight: 3}
  other: {of: response, user: "Write a short text about an animal.", leaks: [garden]}
response:
  user: "{{instruction}}[[input:\n\n### Input:\n{{input}}]]"
  temp: 1
  max_tokens: 48
refusals: [sorry]
EOT
    own=(llm-evol -m "$TINY" --prompts own.yaml --what response --rounds 2)
    "${own[@]}" --rejects r --stats s.json "$SEEDS" >out
    grep -v '"source":"evol"' out | cmp "$SEEDS" -
    jq -s -e '. as $r | all(range(1; length); $r[.] as $x | $r[. - 1] as $p | $x.meta.source != "evol" or ($x.meta.parent == $p.id
        and $x.instruction == $p.instruction and ($x.input // "") == ($p.input // "") and $x.output != $p.output and ($x.output | test("^\\S"))))' out
    jq -s -e 'map(select(.meta.source == "evol")) | length > 5 and ([.[].meta.op] | unique) == ["again", "other"]' out
    jq -s -e '(map(.reject.rule) | index("unchanged")) and all(.[]; .reject.rule != "leak" or .meta.op == "other")' r
    jq -e '(.operators | keys) == ["again", "other"] and .operators.again.refused.unchanged > 0' s.json
    "${own[@]}" --batch 1 --rejects r2 "$SEEDS" | cmp out -
    cmp r r2
    run -1 --separate-stderr llm-evol -m "$TINY" --prompts own.yaml --what response <<<'{"instruction":"Name a fish."}'
    [[ "$stderr" == *"no text in field 'output'"* ]]
    run -2 "${own[@]}" --operators breadth "$SEEDS"
    [[ "$output" == *"'breadth' is not one of again, other"* ]]
    run -2 "${own[@]}" --answer "$SEEDS"
    [[ "$output" == *"--answer"* ]]
    run -2 evol --what response "$SEEDS"
    [[ "$output" == *"no operator of responses"* ]]
}

@test "llm-evol: an operator of one's own, with words of its own that refuse" {
    cp "$BATS_TEST_DIRNAME/../examples/prompts/tiny/evol.yaml" own.yaml
    sed -i 's/^operators:/&\n  mine: {method: one more step, user: "Rewrite (reasoning).\\n#Given Prompt#: {{task}}\\n#Rewritten Prompt#:", leaks: [then]}/' own.yaml
    evol --prompts own.yaml --operators mine,reasoning --rejects r "$SEEDS" >out
    # seed-13 has the word itself
    jq -s -e 'map(select(.meta.op == "mine" and .meta.parent != "seed-13")) | length > 0 and all(.[]; .instruction | test("\\bThen\\b") | not)' out
    jq -s -e 'map(select(.reject.rule == "leak")) | length > 0 and all(.[]; .meta.op == "mine" and .reject.value == "then")' r
    jq -s -e 'any(.[]; .meta.op == "reasoning" and (.instruction | test("\\bThen\\b")))' out
}

@test "llm-evol: the sets that come with it open, for instructions and responses" {
    head -2 "$SEEDS" >in
    for set in general korean; do
        run -0 --separate-stderr llm-evol -m "$TINY" --prompts $set -n 8 --rejects r-$set in
        run -0 --separate-stderr llm-evol -m "$TINY" --prompts $set -n 8 --what response --rejects s-$set in
        cat r-$set s-$set | jq -s -e 'length > 0 and all(.[]; .reject.rule | IN("truncated", "empty", "unchanged", "short", "stopwords", "sorry", "leak"))'
    done
}

@test "llm-evol: a record longer than any context is a reject, whatever its length" {
    for n in 1000 20000; do # by its tokens, by its bytes
        { head -2 "$SEEDS"; printf '{"id":"long","instruction":"%s"}\n' "$(printf 'word %.0s' $(seq $n))"; tail -1 "$SEEDS"; } >in
        rm -f r
        run -1 --separate-stderr evol --rejects r in
        [ "$(jq -r .id <<<"$output" | grep -c seed)" = 3 ]
        [ "$(jq -r '[.id, .reject.rule] | join(" ")' r | grep long)" = "long context" ]
        [[ "$stderr" == *"in:3: the prompt "* ]]
    done
}

@test "llm-evol: lines and indentation of an instruction are shown and stored as they are" {
    server
    cat >own.yaml <<'EOT'
user: "<{{task}}> say{\n Write it:\n\n```python\ndef f(x):\n    return  x\n```\n\n1. one\n\n}"
operators: {deepening: "go deeper"}
EOT
    printf '%s\n' '{"id":"a","instruction":" Fix it:\n\n\tdef f():\n\t    return  1\n\n- a \n","input":" x\n"}' >in
    llm-evol -m "$URL" --prompts own.yaml in >out
    head -1 out | cmp in -
    cut -f2 port.log | jq -e '.messages[-1].content | startswith("<Fix it:\n\n\tdef f():\n\t    return  1\n\n- a\nInput:  x\n> say")'
    tail -1 out | jq -e '.instruction == "Write it:\n\n```python\ndef f(x):\n    return  x\n```\n\n1. one"'
    # the same words between other spaces are no other task
    printf '%s\n' '{"id":"a","instruction":"Write it: ```python def f(x): return x``` 1. one"}' >in
    llm-evol -m "$URL" --prompts own.yaml --rejects r in | cmp in -
    jq -e '.reject.rule == "unchanged"' r
}

@test "llm-evol: a name that a text of the prompt file cannot have is refused before the first record" {
    whole='user: "{{task}} {{operator}}"
operators: {a: x, b: {weight: 0.001, user: "[[input: {{output}}]]{{method}}"}}
equal: {user: "{{first}} {{second}}"}
answer: {user: "{{instruction}}[[input: {{input}}]]", stop: ["\n"]}'
    printf '%s\n' "$whole" >own.yaml
    llm-evol -q -m "$TINY" --answer -n 4 --prompts ./own.yaml "$SEEDS" >/dev/null
    for bad in 's/{{method}}/{{methd}}/' 's/{{output}}/{{methd}}/' 's/{{second}}/{{methd}}/' \
        's/{{input}}/{{methd}}/' 's/\\n/{{methd}}/'; do
        sed "$bad" own.yaml >bad.yaml
        run -2 --separate-stderr llm-evol -m "$TINY" --answer -n 4 --prompts ./bad.yaml "$SEEDS"
        [ -z "$output" ]
        [[ "$stderr" =~ ^"llm-evol: ./bad.yaml:"[2-4]": unknown name '{{methd}}'"$ ]]
    done
    sed 's/stop: .*/stop: "x"}/' own.yaml >bad.yaml
    run -2 llm-evol -m "$TINY" --prompts ./bad.yaml "$SEEDS"
    [ "$output" = "llm-evol: ./bad.yaml:4: 'stop' is not a list" ]
}

@test "llm-evol: what a record has become stays when a server fails in a later round" {
    server ok,ok,400
    printf 'user: "{{task}} {{operator}}"\noperators: {a: x}\n' >own.yaml
    head -n 1 "$SEEDS" >in
    run -1 --separate-stderr llm-evol -m "$URL" --batch 1 --rounds 5 --prompts ./own.yaml --rejects r -o out in
    [[ "$stderr" == "llm-evol: in:1: "*400* ]]
    jq -s -e 'length == 3 and .[2].meta.round == 2 and .[2].meta.parent == .[1].id' out
    jq -s -e --slurpfile o out 'length == 1 and .[0].reject.rule == "status" and .[0].meta.round == 3 and
        .[0].meta.parent == $o[2].id and .[0].instruction == $o[2].instruction' r
    # nothing came of it: the record is the reject
    server 400
    run -1 llm-evol -q -m "$URL" --batch 1 --prompts ./own.yaml --rejects r1 -o out1 in
    jq -s -e --slurpfile in in 'length == 1 and .[0].instruction == $in[0].instruction and (.[0].meta.op | not)' r1
    [ ! -s out1 ]
}
