bats_require_minimum_version 1.5.0
load server

TINY="$BATS_TEST_DIRNAME/../examples/models/tiny.gguf"
SEEDS="$BATS_TEST_DIRNAME/../examples/synthetic/seeds.jsonl"
# as an array, so that in the background its process and not a shell's has the id that is killed
CMD=(llm-selfinstruct -m "$TINY" --prompts tiny --count 24 --per-round 3 --rouge 0.45 --seed 3)

make_new() {
    "${CMD[@]}" "$@"
}

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return 1
    make_new --batch 1 -j 1 --rejects ref.rej "$SEEDS" >ref.jsonl
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

@test "llm-selfinstruct: seeds first, then as many new records as asked, each with its lineage" {
    n=$(wc -l <"$SEEDS")
    [ "$(wc -l <"$REF")" = $((n + 24)) ]
    cmp <(jq -c 'del(.meta)' "$SEEDS") <(head -n "$n" "$REF" | jq -c 'del(.meta)')
    [ "$(head -n "$n" "$REF" | jq -r .meta.source | sort -u)" = seed ]
    tail -n 24 "$REF" | jq -s -e 'all(.[]; .meta.source == "selfinstruct" and .meta.round >= 1
        and (.meta.parents | length) == 8 and (.meta.parents | unique | length) == 8
        and .meta.seed == 3 and (.meta.model | test("^[0-9a-f]{32}$")) and .meta.nn_rouge <= 0.45
        and (.id | test("^[0-9a-f]{32}$")) and (.instruction | length) > 0 and (.input != ""))'
    jq -s -e '[.[].id] | length == (unique | length)' "$REF"
    # parents and nearest neighbours stand before their child, in an earlier round when they were made
    jq -s -e 'reduce .[] as $r ({ids: {}, ok: true};
        (if $r.meta.source == "seed" then . else
            .ids as $ids | .ok = (.ok and $ids[$r.meta.nn_id] != null
                and all($r.meta.parents[]; $ids[.] != null and $ids[.] < $r.meta.round)) end)
        | .ids[$r.id] = ($r.meta.round // 0)) | .ok' "$REF"
}

@test "llm-selfinstruct: from the second round on, two of eight examples are made ones" {
    jq -s -e '(map(select(.meta.source == "seed").id)) as $seeds
        | map(select((.meta.round // 0) > 1) | [.meta.parents[] | select(. as $p | $seeds | index($p) | not)] | length)
        | length > 0 and (unique == [2])' "$REF"
}

@test "llm-selfinstruct: novelty is ROUGE-L against everything before, as a plain program finds it" {
    jq -r '[(.meta.nn_rouge // -1), .instruction + " " + (.input // "")] | @tsv' "$REF" |
        awk -F '\t' '
        function lcs(a, na, b, nb,    i, k, d, u, row) {
            for (k = 0; k <= nb; k++) row[k] = 0
            for (i = 1; i <= na; i++) {
                d = 0
                for (k = 1; k <= nb; k++) {
                    u = row[k]
                    if (W[a, i] == W[b, k]) row[k] = d + 1
                    else if (row[k - 1] > row[k]) row[k] = row[k - 1]
                    d = u
                }
            }
            return row[nb]
        }
        {
            t = tolower($2); gsub(/[^a-z0-9]+/, " ", t); n = split(t, w, " ")
            for (i = 1; i <= n; i++) W[NR, i] = w[i]
            N[NR] = n; best = 0
            if ($1 >= 0) {
                for (j = 1; j < NR; j++) { f = 2 * lcs(NR, n, j, N[j]) / (n + N[j]); if (f > best) best = f }
                made++
                if (best - $1 > 0.0001 || $1 - best > 0.0001) { print NR ": " best " is not " $1; bad = 1 }
            }
        }
        END { exit bad || !made }'
}

@test "llm-selfinstruct: what is dropped carries its rule, value and limit" {
    [ -s "$REJ" ]
    grep -q '"rule":"rouge"' "$REJ"
    jq -s -e 'all(.[]; .reject.stage == "llm-selfinstruct" and .meta.source == "selfinstruct"
        and (.reject.rule | IN("truncated", "empty", "short", "long", "incomplete", "inputs", "blacklist", "start",
            "punctuation", "language", "duplicate", "rouge"))
        and (.reject.rule != "rouge" or (.reject.value > 0.45 and .reject.limit == 0.45 and .meta.nn_id != null)))' "$REJ"
}

@test "llm-selfinstruct: same bytes for any batch, threads and instruction set" {
    make_new --batch 16 -j 2 --rejects r "$SEEDS" | cmp "$REF" -
    cmp "$REJ" r
    make_new --batch 2 --batch-tokens 7 --isa scalar <"$SEEDS" | cmp "$REF" -
    run make_new --seed 4 "$SEEDS"
    [ "$output" != "$(cat "$REF")" ]
}

@test "llm-selfinstruct: --no-seeds writes the new ones alone, the same ones" {
    make_new --no-seeds "$SEEDS" | cmp <(tail -n 24 "$REF") -
}

@test "llm-selfinstruct: killed at random moments and resumed, the files are those of an undisturbed run" {
    for i in $(seq 12); do
        "${CMD[@]}" -q -o out --rejects rej --resume "$SEEDS" &
        pid=$!
        sleep "0.$((RANDOM % 40 + 5))"
        kill -9 $pid 2>/dev/null || :
        wait $pid || :
    done
    make_new -o out --rejects rej --resume "$SEEDS"
    cmp "$REF" out
    cmp "$REJ" rej
    make_new -o out --rejects rej --resume "$SEEDS"
    cmp "$REF" out
    cmp "$REJ" rej
}

@test "llm-selfinstruct: resumed from every beginning of the file" {
    make_new -o whole --rejects whole.rej "$SEEDS"
    size=$(wc -c <whole)
    for part in 1 30 55 70 85 99; do
        cp whole.meta out.meta
        head -c $((size * part / 100)) whole >out
        # rejects are written as the output is: those of the rounds before the cut stay
        last=$(head -c $((size * part / 100)) whole | grep '}$' | tail -n 1 | jq -r '.meta.round // 0' 2>/dev/null || echo 0)
        jq -c --argjson last "${last:-0}" 'select(.meta.round < $last)' whole.rej >rej
        make_new -q -o out --rejects rej --resume "$SEEDS" 2>/dev/null
        cmp whole out
        cmp whole.rej rej
    done
}

@test "llm-selfinstruct: seeds that a run with the same --seed has made are seeds when it is resumed" {
    head -40 "$REF" >in
    again=("${CMD[@]}" -q --count 9)
    "${again[@]}" -o ref --rejects ref.rej in
    for k in 3 20 39 40 41 44 48 49; do
        head -n $k ref >part
        cp ref.meta part.meta
        rm -f part.rej
        "${again[@]}" -o part --rejects part.rej --resume in
        cmp part ref
        cmp part.rej ref.rej
    done
}

@test "llm-selfinstruct: limits are options" {
    run -0 --separate-stderr make_new --max-rounds 1 --rouge 0.3 --rejects r "$SEEDS"
    jq -s -e 'all(.[]; (.meta.nn_rouge // 0) <= 0.3 and (.meta.round // 0) <= 1)' <<<"$output"
    grep -q '"rule":"rouge"' r
    run -0 --separate-stderr make_new --max-rounds 2 --min-words 100 --rejects r1 --no-seeds "$SEEDS"
    [ -z "$output" ]
    [[ "$stderr" == *"0 of 24 records after 2 rounds"* ]]
    [ "$(jq -r 'select(.reject.rule == "short") | .reject.limit' r1 | sort -u)" = 100 ]
    run -0 --separate-stderr make_new --max-rounds 2 -n 12 --rejects r2 "$SEEDS"
    grep -q '"rule":"truncated"' r2
}

@test "llm-selfinstruct: phrases and sampling come from the prompt file" {
    sed -e 's/^starts:.*/starts: [What, Name, How, Which, Give, Say, Write, Put, Find]/' \
        "$BATS_TEST_DIRNAME/../examples/prompts/tiny/selfinstruct.yaml" >own.yaml
    run -0 --separate-stderr make_new --prompts own.yaml --max-rounds 2 --no-seeds --rejects r "$SEEDS"
    grep -q '"rule":"start"' r
    [ -z "$(jq -r .instruction <<<"$output" | grep -E '^(What|Name|How|Which|Give|Say|Write|Put|Find) ')" ]
    echo 'colour: red' >>own.yaml
    run -2 make_new --prompts own.yaml "$SEEDS"
    [[ "$output" == *"own.yaml:"*"'colour'"* ]]
}

@test "llm-selfinstruct: the seed tasks of Self-Instruct are read as they are" {
    [ -e "$LLM_TEST_DATA/seed_tasks.jsonl" ] || skip "no LLM_TEST_DATA"
    run -0 --separate-stderr llm-selfinstruct -m "$TINY" --prompts tiny --count 1 --max-rounds 1 --per-round 1 \
        "$LLM_TEST_DATA/seed_tasks.jsonl"
    [ "$(jq -c 'select(.meta.source == "seed").id' <<<"$output" | wc -l)" = 175 ]
    jq -s -e 'map(select(.meta.source == "seed")) | all(.[]; .input == .instances[0].input and .output == .instances[0].output)' <<<"$output"
}

@test "llm-selfinstruct: a seed that cannot be used is reported and the others are" {
    { printf '{"id":"x"}\n{bad\n{"id":"y","instruction":" "}\n'; cat "$SEEDS"; } >in.jsonl
    run -1 --separate-stderr make_new --count 2 --rejects rej in.jsonl
    [[ "$stderr" == *"in.jsonl:1: no text in field 'instruction'"* ]]
    [[ "$stderr" == *"in.jsonl:2: "* ]]
    [ "$(jq -c 'select(.reject.rule == "instruction").id' rej | tr -d '\n')" = '"x""y"' ]
    [ "${#lines[@]}" = $(($(wc -l <"$SEEDS") + 2)) ]
}

@test "llm-selfinstruct: usage errors" {
    run -2 make_new --shard 1/2 "$SEEDS"
    [[ "$output" == *"--shard"*"--seed"* ]]
    run -2 make_new /dev/null
    [[ "$output" == *"no seed"* ]]
    run -2 make_new --prompts korean --style alpaca "$SEEDS"
    [ "$output" = "llm-selfinstruct: --prompts: set 'korean' has no file alpaca.yaml" ]
    run -2 make_new --prompts nope "$SEEDS"
    [[ "$output" == *"nope"* ]]
    run -2 make_new --min-words 9 --max-words 8 "$SEEDS"
    run -2 make_new --generated 9 "$SEEDS"
    run -2 make_new -n 100000 "$SEEDS"
    [[ "$output" == *"context"* ]]
    run -0 llm-selfinstruct -h
    [[ "$output" == *"--rouge <x>"*"[0.7]"* ]]
}

@test "llm-selfinstruct: a seed that does not fit into a prompt is left out of it, in whatever place" {
    printf '{"id":"long","instruction":"%s"}\n' "$(printf 'word %.0s' $(seq 20000))" >long
    for n in 1 2 3; do
        make_new --no-seeds --seed $n "$SEEDS" long >out
        [ "$(wc -l <out)" = 24 ]
        run ! grep '"long"' out
    done
    run -2 make_new long
    [[ "$output" == *"the prompt has "*" bytes and leaves no room in the context"* ]]
}

@test "llm-selfinstruct: stats tell rounds, items and rules" {
    run -0 --separate-stderr make_new --stats s.json --rejects r "$SEEDS"
    jq -e '.accepted == 24 and .seeds > 0 and .rounds >= 1 and .items == .accepted + ([.rules[]] | add // 0)
        and .dropped == ([.rules[]] | add // 0) and .tokens_per_accepted > 0' s.json
    # a run that goes on: what an earlier one made cost it nothing
    make_new --no-seeds --count 80 --max-rounds 3 -o out --rejects rej --stats whole "$SEEDS"
    jq -e '.accepted_before == 0 and .rounds == 3 and .novelty[2][1] == .accepted
        and (.tokens_per_accepted - (.prompt_tokens + .generated_tokens) / .accepted | fabs) < 0.1' whole
    head -n "$(jq '.novelty[1][1] + 1' whole)" out >part # two rounds, and the third begun
    cp part out
    make_new --no-seeds --count 80 --max-rounds 3 -o out --rejects rej --resume --stats rest "$SEEDS"
    jq -e --slurpfile w whole '.accepted == $w[0].accepted and .accepted_before == $w[0].novelty[1][1] and .rounds == 1
        and .novelty == $w[0].novelty
        and (.tokens_per_accepted - (.prompt_tokens + .generated_tokens) / (.accepted - .accepted_before) | fabs) < 0.1' rest
}

@test "llm-selfinstruct: a signal stops it with 75, and it goes on" {
    "${CMD[@]}" -q -o out --rejects rej --count 2000 --resume --stats stats "$SEEDS" &
    pid=$!
    for i in $(seq 100); do [ -s rej ] && break; sleep 0.1; done
    kill -TERM $pid
    rc=0
    wait $pid || rc=$?
    [ "$rc" = 75 ]
    [ "$(jq .status stats)" = 75 ] # the input has ended, the work has not
    tail -c 1 out | cmp - <(echo)
}

@test "llm-selfinstruct: what was answered in a round that a kill ended is not asked again" {
    local own=(llm-selfinstruct --prompts tiny --count 12 --per-round 6 --batch 1 --rouge 1 --seed 3 -q --model-name m)
    server
    "${own[@]}" -m "$URL" -o whole "$SEEDS"
    all=$(wc -l <port.log)
    [ "$all" -gt 6 ]
    server ok,ok,ok,ok,slow
    "${own[@]}" -m "$URL" -o out --resume "$SEEDS" &
    pid=$!
    for i in $(seq 300); do [ -e out.round ] && [ "$(wc -l <out.round)" = 4 ] && break; sleep 0.1; done
    kill -9 $pid
    wait $pid || :
    [ "$(wc -l <out.round)" = 4 ]
    printf '{"call":"torn' >>out.round
    cp out.round torn
    server
    "${own[@]}" -m "$URL" -o out --resume "$SEEDS"
    cmp whole out
    [ "$(wc -l <port.log)" = $((all - 4)) ]
    [ ! -e out.round ]
    # answers to other questions are not taken: another temperature
    cp torn other.round
    "${own[@]}" -m "$URL" -t 0.5 -o hot "$SEEDS"
    : >port.log
    "${own[@]}" -m "$URL" -t 0.5 -o other --resume "$SEEDS"
    cmp hot other
    [ "$(wc -l <port.log)" = "$all" ]
    run -2 "${own[@]}" -m "$URL" -o out --resume --stats out.round "$SEEDS"
    [[ "$output" == *"--stats: 'out.round' is also a file of --output" ]]
    # what no run has written is not cut
    echo mine >notes.round
    run -2 "${own[@]}" -m "$URL" -o notes --resume "$SEEDS"
    [[ "$output" == *"'notes.round' is no file of answers of an interrupted run" ]]
    [ "$(cat notes.round)" = mine ]
}

# The tiny set with a question whose answers are of both kinds.
classifying() {
    sed 's/^  max_tokens: 64/  max_tokens: 24/' "$BATS_TEST_DIRNAME/../examples/prompts/tiny/selfinstruct.yaml"
    cat <<'EOT'
classify:
  user: "Answer with yes or no. Does the list have the word group?\n\n### Input:\n{{instruction}}"
output_first:
  user: "{{instruction}}"
  assistant: "Class label:"
  max_tokens: 40
EOT
}

@test "llm-selfinstruct: --instances: the kind of a task is asked, then inputs and outputs; same bytes, killed or not" {
    classifying >own.yaml
    own=(llm-selfinstruct -m "$TINY" --prompts own.yaml --instances 3 --count 30 --per-round 3 --seed 2)
    "${own[@]}" --batch 1 -j 1 --rejects r --stats s.json "$SEEDS" >ref
    jq -s -e 'map(select(.meta.source == "selfinstruct")) | length == 30 and ([.[].is_classification] | unique) == [false, true]
        and all(.[]; .output != null and .output != "" and .output != .input)
        # an input that came with the task is kept; of several instances each says which it is
        and all(.[] | select(.input); .meta.instance == null) and all(.[] | select(.input | not); .meta.instance == 0)' ref
    jq -s -e 'map(.reject.rule) | index("instance-truncated") and index("instance-none")' r
    jq -s -e 'all(.[] | select(.reject.rule == "instance-none"); .is_classification == false)' r
    # the curve: generated and accepted so far, a pair a round
    jq -e '.accepted == 30 and (.novelty | length) == .rounds and .novelty[-1] == [.items, .accepted]
        and (.novelty | map(.[1]) == (map(.[1]) | sort))' s.json
    # parents and neighbours are records before: no task that came to nothing is one
    jq -s -e 'reduce .[] as $r ({ids: {}, ok: true}; .ids as $ids
        | .ok = (.ok and ($r.meta.source == "seed" or ($ids[$r.meta.nn_id] and all($r.meta.parents[]; $ids[.])))) | .ids[$r.id] = true) | .ok' ref
    "${own[@]}" --batch 16 -j 2 --rejects r2 "$SEEDS" | cmp ref -
    cmp r r2
    for i in $(seq 5); do
        "${own[@]}" -q -o out --rejects rej --resume "$SEEDS" &
        pid=$!
        sleep "0.$((RANDOM % 60 + 5))"
        kill -9 $pid 2>/dev/null || :
        wait $pid || :
    done
    "${own[@]}" -q -o out --rejects rej --resume "$SEEDS"
    cmp ref out
    cmp r rej
    cp out.meta whole.meta
    for part in 45 90; do
        cp whole.meta out.meta
        head -c $(($(wc -c <ref) * part / 100)) ref >out
        last=$(head -n -1 out | tail -n 1 | jq -r '.meta.round // 0')
        jq -c --argjson last "$last" 'select(.meta.round < $last)' r >rej
        "${own[@]}" -q -o out --rejects rej --resume --stats s2.json "$SEEDS" 2>/dev/null
        cmp ref out
        cmp r rej
        jq -e --slurpfile s s.json '.novelty == $s[0].novelty' s2.json
    done
}

@test "llm-selfinstruct: --style magpie: the model writes the user's turn, without seeds" {
    run -0 --separate-stderr llm-selfinstruct -m "$TINY" --style magpie --prompts tiny --count 10 --rejects r
    [ "${#lines[@]}" = 10 ]
    jq -s -e 'all(.[]; .meta.style == "magpie" and .meta.parents == [] and .meta.item == 0)
        and (.[0].meta | has("nn_id") | not) and all(.[1:][]; .meta.nn_id and .meta.nn_rouge <= 0.7)' <<<"$output"
    jq -s -e 'length > 0 and all(.[]; .reject.rule | IN("truncated", "blacklist", "rouge", "duplicate"))' r
    # with seeds: nothing near them either
    run -0 --separate-stderr llm-selfinstruct -m "$TINY" --style magpie --prompts tiny --count 4 "$SEEDS"
    [ "${#lines[@]}" = $((4 + $(wc -l <"$SEEDS"))) ]
    # the template's own end of a turn ends it
    printf 'user: |-\n  Come up with a series of tasks:\n  1. Count the words.\n' >turn.yaml
    llm-selfinstruct -m "$TINY" --style magpie --prompts turn.yaml --count 8 --rouge 1 --max-rounds 2 --per-round 8 --off long,short -n 200 --rejects r2 >out 2>err || :
    run -1 grep -h '### Response' out r2
    run -2 llm-selfinstruct -m "$TINY" --style magpie --prompts tiny --classification
    [[ "$output" == *"--classification"* ]]
}

@test "llm-selfinstruct: --persona: someone for each prompt, each before any again" {
    printf '%s\n' 'A farmer.' '{"id":"p2","persona":"A teacher."}' 'A pilot.' >who
    sed 's/Come up with a series of tasks:/[[persona: {{persona}}\n  ]]&/' "$BATS_TEST_DIRNAME/../examples/prompts/tiny/selfinstruct.yaml" >own.yaml
    make_new --prompts own.yaml --persona who --max-rounds 3 --no-seeds --rejects r "$SEEDS" >out
    cat out r | jq -s -e 'map({p: (.meta.round * 3 + .meta.prompt), who: .meta.persona}) | unique | group_by(.p)
        | all(.[]; length == 1) and ([.[][0].who] | unique | length) == 3 and any(.[]; .[0].who == "p2")'
    run -2 make_new --persona /dev/null "$SEEDS"
    [[ "$output" == *"/dev/null: no persona"* ]]
    printf 'a\n{"persona":1}\n' >bad
    run -2 make_new --persona bad "$SEEDS"
    [[ "$output" == *"bad:2: no text in field 'persona'"* ]]
    run -2 make_new --persona who "$SEEDS" # whom the prompt would not show
    [[ "$output" == *"--persona: "*"tiny/selfinstruct.yaml has no {{persona}}"* ]]
    sed -i 's/^max_tokens: .*/max_tokens: 99.5/' own.yaml
    run -2 make_new --prompts own.yaml "$SEEDS"
    [[ "$output" == *"own.yaml:"*": max_tokens: 99.5 is not a whole number"* ]]
    sed -i 's/^max_tokens: .*/max_tokens: 320/' own.yaml
    # other people are another run
    make_new --prompts own.yaml --persona who --count 3 -o o "$SEEDS"
    echo 'A nurse.' >>who
    run -2 make_new --prompts own.yaml --persona who --count 3 -o o --resume "$SEEDS"
    [[ "$output" == *"personas"* ]]
}

@test "llm-selfinstruct: --classification shows such seeds only; all seeds count for novelty" {
    jq -c '.is_classification = (.id | IN("seed-05", "seed-09", "seed-12"))' "$SEEDS" >in.jsonl
    make_new --classification --max-rounds 1 --rejects r in.jsonl >out
    cat out r | jq -s -e 'map(select(.meta.parents)) | length > 0
        and all(.[]; .meta.parents | sort == ["seed-05", "seed-09", "seed-12"])'
    jq -s -e 'map(select(.meta.source == "selfinstruct")) | all(.[]; .is_classification)
        and any(.[]; .meta.nn_id | IN("seed-05", "seed-09", "seed-12") | not)' out
    run -2 make_new --classification "$SEEDS"
    [[ "$output" == *"no seed to show: none has is_classification true"* ]]
}

@test "llm-selfinstruct: rules are switched off by name; novelty can leave inputs out" {
    make_new --rouge 1 --max-rounds 1 --no-seeds --min-words 8 --rejects r "$SEEDS" >out
    grep -q '"rule":"short"' r
    make_new --rouge 1 --max-rounds 1 --no-seeds --min-words 8 --off short,start --rejects r2 "$SEEDS" >out2
    run -1 grep '"rule":"short"' r2
    [ "$(wc -l <out2)" -gt "$(wc -l <out)" ]
    run -2 make_new --off shrt "$SEEDS"
    [[ "$output" == *"'shrt' is not one of short, "*"instance-colon"* ]]
    make_new --instruction-only --max-rounds 1 --no-seeds --rejects r3 "$SEEDS" >out3
    jq -s -e 'map(.instruction | ascii_downcase | gsub("[^a-z0-9]+"; " ")) | length == (unique | length)' out3
}

@test "llm-selfinstruct: --style alpaca: examples with outputs, one answer for each" {
    # the embedded model was not taught the form: what it writes has no output
    sed -e '/^user:/,/^assistant:/d' -e '/^input_first:/,$d' "$BATS_TEST_DIRNAME/../examples/prompts/tiny/selfinstruct.yaml" >own.yaml
    cat >>own.yaml <<'EOT'
user: "Come up with a series of tasks:\n{{tasks}}"
assistant: "###\n{{next}}. Instruction:"
examples: 3
generated: 0
asked: 17
EOT
    make_new --style alpaca --prompts own.yaml --max-rounds 1 --no-seeds --rejects r "$SEEDS" >out 2>/dev/null
    cat out r | jq -s -e 'length > 0 and all(.[]; .meta.style == "alpaca" and (.meta.parents | length) == 3)'
    grep -q '"rule":"instance-empty"' r
    # the nearest one is a task that stayed
    jq -s -e --slurpfile kept out 'all(.[]; .meta.nn_id | startswith("seed-") or IN($kept[].id))' r
    run -2 make_new --style alpaca --prompts own.yaml --instances 1 "$SEEDS"
    run -2 make_new --style alpaca --prompts own.yaml <(jq -c 'del(.output)' "$SEEDS")
    [[ "$output" == *"none has an output"* ]]
}

@test "llm-selfinstruct: the sets that come with it open, in every style" {
    head -4 "$SEEDS" >in
    for s in general:selfinstruct general:alpaca general:magpie korean:selfinstruct korean:magpie tiny:selfinstruct tiny:magpie; do
        llm-selfinstruct -m "$TINY" -q --prompts "${s%:*}" --style "${s#*:}" -n 8 --max-rounds 1 --per-round 1 --count 1 in >out
        [ "$(wc -l <out)" -ge 4 ]
    done
}

@test "llm-selfinstruct: lines of an instruction are kept; a numbered list shows it in one" {
    server
    said='say{ Write it:\n\n```python\ndef f(x):\n    return  x\n```}'
    printf '%s\n' '{"id":"a","instruction":" Fix it:\n\n  def f():\n2. b\n","input":"x\n  y","output":"z"}' >in
    new=(llm-selfinstruct -q -m "$URL" --count 1 --per-round 1 --min-words 1 --off punctuation)
    printf 'user: "<{{tasks}}> %s"\nassistant: "{{next}}."\n' "$said" >one.yaml
    "${new[@]}" --prompts one.yaml --rejects r -o out in
    cut -f2 port.log | jq -e '.messages[0].content | startswith("<1. Fix it: def f(): 2. b\nInput: x\n  y> say")'
    jq -s -e '.[1].instruction == "Write it:\n\n```python\ndef f(x):\n    return  x\n```"' out
    jq -s -e '.[0].instruction == " Fix it:\n\n  def f():\n2. b\n"' out
    # what was made is read again as it is: nothing is left to do
    "${new[@]}" --prompts one.yaml --rejects r -o out --resume in
    [ "$(wc -l <out)" = 2 ]
    : >port.log
    said='say{ Write it:\n  now\n2. Input:\n<noinput>\n2. Output:\nw}'
    printf 'user: "<{{tasks}}> %s"\nassistant: "###\\n{{next}}. Instruction:"\n' "$said" >three.yaml
    "${new[@]}" --style alpaca --prompts three.yaml --no-seeds --rejects r in >out
    cut -f2 port.log | jq -e '.messages[0].content | startswith("<###\n1. Instruction: Fix it:\n\n  def f():\n2. b\n1. Input:\nx")'
    jq -e '.instruction == "Write it:\n  now" and .output == "w"' out
    printf 'user: "say{Write it:\\n\\n  now}"\nbefore: "<u>"\nafter: "</u>"\n' >turn.yaml
    "${new[@]}" --style magpie --prompts turn.yaml --rejects r >out
    jq -e '.instruction == "Write it:\n\n  now"' out
}

@test "llm-selfinstruct: a name that a text of the prompt file cannot have is refused at once" {
    printf 'user: "{{tasks}}[[persona: {{person}}]]"\nassistant: "{{next}}."\n' >own.yaml
    run -2 llm-selfinstruct -m "$TINY" --prompts ./own.yaml "$SEEDS"
    [ "$output" = "llm-selfinstruct: ./own.yaml:1: unknown name '{{person}}'" ]
    printf 'user: "{{tasks}}"\ninput_first: {user: "{{instruction}}"}\noutput_first:\n  user: "{{task}}"\n' >own.yaml
    run -2 llm-selfinstruct -m "$TINY" --prompts ./own.yaml --instances 1 "$SEEDS"
    [ "$output" = "llm-selfinstruct: ./own.yaml:4: unknown name '{{task}}'" ]
}
