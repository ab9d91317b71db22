bats_require_minimum_version 1.5.0

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
    ! jq -r .instruction <<<"$output" | grep -E '^(What|Name|How|Which|Give|Say|Write|Put|Find) '
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
    run -2 make_new --prompts nope "$SEEDS"
    [[ "$output" == *"nope"* ]]
    run -2 make_new --min-words 9 --max-words 8 "$SEEDS"
    run -2 make_new --generated 9 "$SEEDS"
    run -2 make_new -n 100000 "$SEEDS"
    [[ "$output" == *"context"* ]]
    run -0 llm-selfinstruct -h
    [[ "$output" == *"--rouge <x>"*"[0.7]"* ]]
}

@test "llm-selfinstruct: stats tell rounds, items and rules" {
    run -0 --separate-stderr make_new --stats s.json --rejects r "$SEEDS"
    jq -e '.accepted == 24 and .seeds > 0 and .rounds >= 1 and .items == .accepted + ([.rules[]] | add // 0)
        and .dropped == ([.rules[]] | add // 0) and .tokens_per_accepted > 0' s.json
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
