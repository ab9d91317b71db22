bats_require_minimum_version 1.5.0

# Same model, record, options and seed: same bytes, whatever else differs. All by cmp.

setup_file() {
    export TINY="$BATS_TEST_DIRNAME/../examples/models/tiny.gguf"
    export SEEDS="$BATS_TEST_DIRNAME/../examples/synthetic/seeds.jsonl"
    cd "$BATS_FILE_TMPDIR" || return 1
    # prompts of very different lengths, so that chunks, pages and batches fall differently
    awk 'BEGIN {
        for (i = 0; i < 24; i++) {
            s = ""
            for (k = 0; k < 1 + i * i % 97; k++) s = s (k ? " " : "") (k % 3 ? "plum" : "fox")
            printf "{\"n\":%d,\"instruction\":\"Reverse the list.\",\"input\":\"%s\"}\n", i, s
        }
    }' >in.jsonl
    # the plainest run: every record alone, whole, on one thread
    llm-generate -m "$TINY" -n 24 -t 0.8 --seed 5 --batch 1 -j 1 --no-prefix-cache in.jsonl >ref.jsonl
    [ "$(wc -l <ref.jsonl)" = 24 ]
    # long beginnings in common, of which some differ before a page ends, and long answers
    awk 'BEGIN {
        for (i = 0; i < 14; i++) {
            s = ""
            for (k = 0; k < 90 + i % 5; k++) s = s (k ? " " : "") (k < 40 + i % 3 * 30 ? "goat" : "plum")
            printf "{\"instruction\":\"Reverse the list.\",\"input\":\"%s\"}\n", s
        }
    }' >long.jsonl
    llm-generate -m "$TINY" -n 140 --ignore-eos --batch 1 -j 1 --no-prefix-cache long.jsonl >long.ref
}

same() {
    cd "$BATS_FILE_TMPDIR" || return 1
    llm-generate -m "$TINY" -n 24 -t 0.8 --seed 5 "$@" in.jsonl >"out.$BATS_TEST_NUMBER"
    cmp ref.jsonl "out.$BATS_TEST_NUMBER"
}

# The same for the long prompts; leaves --stats in st.
same_long() {
    cd "$BATS_FILE_TMPDIR" || return 1
    llm-generate -m "$TINY" -n 140 --ignore-eos --stats st "$@" long.jsonl >long.out
    cmp long.ref long.out
}

has() {
    case $1 in
    avx512) grep -q avx512dq /proc/cpuinfo ;;
    avx512vnni) grep -q avx512_vnni /proc/cpuinfo ;;
    avxvnni) grep -q avx_vnni /proc/cpuinfo ;;
    avx2) grep -q avx2 /proc/cpuinfo && grep -q fma /proc/cpuinfo ;;
    esac
}

@test "exact: batch 7, 16, 32" {
    same --batch 7
    same --batch 16
    same --batch 32
}

@test "exact: threads 2, 3" {
    same -j 2
    same -j 3 --batch 5
}

@test "exact: instruction sets" {
    same --isa scalar --batch 4
    ! has avx2 || same --isa avx2 --batch 4
    ! has avxvnni || same --isa avxvnni --batch 4
    ! has avx512 || same --isa avx512 --batch 4
    ! has avx512vnni || same --isa avx512vnni --batch 4
}

@test "exact: prompt chunks of 1, 7, 64 and all" {
    same --batch-tokens 1
    same --batch-tokens 7 --batch 3
    same --batch-tokens 64
    same --batch-tokens 4096
}

@test "exact: prefix cache on and off, prompts in chunks of 1, 7, 64 and all, batch 1, 7 and 32" {
    same_long --batch 7 --no-prefix-cache
    [ "$(jq .prefix_hit_tokens st)" = 0 ]
    same_long --batch 1
    [ "$(jq .prefix_hit_tokens st)" -gt 1000 ]
    same_long --batch 7 --batch-tokens 1
    same_long --batch 7 --batch-tokens 7
    same_long --batch 32 --batch-tokens 64
    same_long --batch 32 --batch-tokens 4096
    [ "$(jq .prefix_hit_tokens st)" -gt 1000 ]
}

@test "exact: under preemption, with and without the prefix cache" {
    same_long --batch 16 --ctx 256 --kv-memory 1.2M
    [ "$(jq .preemptions st)" -gt 0 ]
    same_long --batch 16 --ctx 256 --kv-memory 2.2M --no-prefix-cache
    [ "$(jq .preemptions st)" -gt 0 ]
    [ "$(jq .recomputed_tokens st)" -gt 0 ]
    same_long --batch 32 --ctx 512 --kv-memory 2.2M --batch-tokens 7 -j 2
    [ "$(jq .preemptions st)" -gt 0 ]
    same_long --batch 14 --ctx 256 --kv-memory 800K --batch-tokens 64
}

@test "exact: samples share their prompt; together with preemption" {
    cd "$BATS_FILE_TMPDIR"
    head -3 long.jsonl >few.jsonl
    llm-generate -m "$TINY" -n 140 --ignore-eos --samples 6 --batch 1 --no-prefix-cache few.jsonl >sam.ref
    llm-generate -m "$TINY" -n 140 --ignore-eos --samples 6 --batch 32 --stats st few.jsonl | cmp sam.ref -
    # of a record's six, five find all but the last token
    [ "$(jq .prefix_hit_tokens st)" -ge "$(jq -s 'map(.usage.prompt_tokens - 1) | add / 6 * 5' sam.ref)" ]
    llm-generate -m "$TINY" -n 140 --ignore-eos --samples 6 --batch 9 --ctx 256 --kv-memory 1.2M --stats st few.jsonl |
        cmp sam.ref -
    [ "$(jq .preemptions st)" -gt 0 ]
}

@test "exact: scores over prefix cache, preemption and chunks" {
    cd "$BATS_FILE_TMPDIR"
    head -12 ref.jsonl >answers.jsonl
    score() {
        llm-score -m "$TINY" --prompts tiny --reference self --stats st "$@" answers.jsonl
    }
    score --batch 1 --no-prefix-cache >score.ref
    [ "$(wc -l <score.ref)" = 12 ]
    score | cmp score.ref -
    [ "$(jq .prefix_hit_tokens st)" -gt 0 ]
    score --batch 32 --batch-tokens 7 | cmp score.ref -
    score --batch 12 --batch-tokens 1 --no-prefix-cache | cmp score.ref -
    score --batch 12 --ctx 512 --kv-memory 1.7M | cmp score.ref -
}

@test "exact: a quantized model over batch, threads and instruction sets" {
    cd "$BATS_FILE_TMPDIR"
    llm-convert "$TINY" --type q8_0 -o q8.gguf
    llm-generate -m q8.gguf -n 16 -t 0 --batch 1 -j 1 --isa scalar in.jsonl >q8.ref
    llm-generate -m q8.gguf -n 16 -t 0 --batch 16 -j 2 in.jsonl >q8.out
    cmp q8.ref q8.out
    ! has avx2 || llm-generate -m q8.gguf -n 16 -t 0 --batch 9 --isa avx2 --batch-tokens 5 in.jsonl | cmp q8.ref -
}

@test "exact: windows, soft caps and the other families over chunks, batch, threads, caches and instruction sets" {
    cd "$BATS_FILE_TMPDIR"
    # prompts of 20 to 80 tokens, some with common beginnings; windows of 20, 24 and 70
    awk 'BEGIN {
        for (i = 0; i < 12; i++) {
            s = ""
            for (k = 0; k < 20 + i * 37 % 61; k++) s = s sprintf("%c", 97 + (k < 40 ? k : k * (i + 3)) % 26)
            printf "{\"prompt\":\"%s\"}\n", s
        }
    }' >family.jsonl
    for m in gemma2 window qwen2window qwen3 gpt2 nemotron; do
        M=$BATS_TEST_DIRNAME/data/logits/$m
        run_family() {
            llm-generate -m "$M" -n 40 -t 0.9 --seed 3 --ignore-eos "$@" family.jsonl
        }
        run_family --batch 1 -j 1 --isa scalar --no-prefix-cache >family.ref
        [ "$(wc -l <family.ref)" = 12 ]
        run_family --batch 5 --batch-tokens 1 | cmp family.ref -
        run_family --batch 12 --batch-tokens 7 -j 2 | cmp family.ref -
        run_family --batch 12 --batch-tokens 64 | cmp family.ref -
        run_family --batch 7 --batch-tokens 4096 -j 3 | cmp family.ref -
        ! has avx2 || run_family --batch 3 --isa avx2 --batch-tokens 9 | cmp family.ref -
        ! has avx512 || run_family --batch 9 --isa avx512 | cmp family.ref -
        ! has avx512vnni || run_family --batch 9 --isa avx512vnni --no-prefix-cache | cmp family.ref -
    done
    # a file in other converters' way: the same text
    llm-generate -m "$M/peer.gguf" -n 40 -t 0.9 --seed 3 --ignore-eos family.jsonl | cmp family.ref -
}

@test "exact: shards joined are the whole" {
    cd "$BATS_FILE_TMPDIR"
    for i in 1 2 3; do
        llm-generate -m "$TINY" -n 24 -t 0.8 --seed 5 --shard $i/3 in.jsonl
    done | sort >joined
    sort ref.jsonl | cmp - joined
}

@test "exact: order of the input does not matter to a record" {
    cd "$BATS_FILE_TMPDIR"
    tac in.jsonl | llm-generate -m "$TINY" -n 24 -t 0.8 --seed 5 --batch 6 | tac | cmp ref.jsonl -
}

@test "exact: unordered has the same lines" {
    cd "$BATS_FILE_TMPDIR"
    llm-generate -m "$TINY" -n 24 -t 0.8 --seed 5 -u --batch 6 in.jsonl | sort >u
    sort ref.jsonl | cmp - u
}

@test "exact: another seed gives other bytes, the same seed the same" {
    cd "$BATS_FILE_TMPDIR"
    llm-generate -m "$TINY" -n 24 -t 0.8 --seed 6 in.jsonl >other
    run -1 cmp -s ref.jsonl other
    same --seed 5
}

@test "exact: samples are the same one by one" {
    cd "$BATS_FILE_TMPDIR"
    llm-generate -m "$TINY" -n 8 --samples 3 --batch 1 in.jsonl >s1
    llm-generate -m "$TINY" -n 8 --samples 3 --batch 16 -j 2 in.jsonl >s16
    cmp s1 s16
    [ "$(wc -l <s1)" = 72 ]
}

@test "exact: Mirostat, DRY, typical and biases over batch, chunks, threads and instruction sets" {
    cd "$BATS_FILE_TMPDIR"
    miro=(-m "$TINY" -n 24 -t 1.3 --seed 5 --ignore-eos --mirostat-tau 3 --dry-multiplier 0.8)
    cut=(-m "$TINY" -n 24 -t 1.3 --seed 5 --ignore-eos --typical-p 0.9 --top-n-sigma 2 -p 0.98
        --repeat-penalty 1.1 --logit-bias ' fox:1.5')
    llm-generate "${miro[@]}" --batch 1 -j 1 in.jsonl >m.ref
    llm-generate "${cut[@]}" --batch 1 -j 1 in.jsonl >c.ref
    run -1 cmp -s m.ref c.ref
    for how in "--batch 7" "--batch 32 -j 3" "--batch-tokens 1 --isa scalar" "--batch-tokens 7 --batch 5"; do
        # shellcheck disable=SC2086
        llm-generate "${miro[@]}" $how in.jsonl | cmp m.ref -
        # shellcheck disable=SC2086
        llm-generate "${cut[@]}" $how in.jsonl | cmp c.ref -
    done
}

@test "exact: within a grammar, over batch, chunk, threads and instruction sets" {
    cd "$BATS_FILE_TMPDIR"
    cat >list.gbnf <<'EOT'
root ::= "{" ws "\"list\":" ws "[" ws (item ("," ws item){0,3}) "]" ws "}"
item ::= "\"" [^"\\\x00-\x1f]{1,12} "\"" | "-"? [0-9]{1,5} | "(" item " " item ")"
ws ::= | " " | "\n" " "{0,4}
EOT
    gen() {
        llm-generate -m "$TINY" -n 40 -t 1 --seed 5 --grammar list.gbnf "$@"
    }
    gen --batch 1 -j 1 in.jsonl >grammar.ref
    [ "$(grep -c '"finish_reason":"stop"' grammar.ref)" -gt 4 ]
    gen --batch 7 -j 2 in.jsonl | cmp grammar.ref -
    gen --batch 32 -j 3 --batch-tokens 7 in.jsonl | cmp grammar.ref -
    gen --isa scalar --batch-tokens 1 in.jsonl | cmp grammar.ref -
    ! has avx2 || gen --isa avx2 in.jsonl | cmp grammar.ref -
    tac in.jsonl | gen --batch 6 | tac | cmp grammar.ref -
    gen --batch 24 --ctx 256 --kv-memory 800K --stats st in.jsonl | cmp grammar.ref -
    gen --samples 3 --batch 1 in.jsonl >grammar3.ref
    gen --samples 3 --batch 16 -j 2 in.jsonl | cmp grammar3.ref -
    { gen --shard 1/2 in.jsonl && gen --shard 2/2 in.jsonl; } | sort >joined
    sort grammar.ref | cmp - joined
}

@test "exact: beams over batch, chunks, threads, instruction sets, prefix cache and preemption" {
    cd "$BATS_FILE_TMPDIR"
    beams=(-m "$TINY" -n 24 --beams 4 --samples 3 --beam-groups 2 --diversity 0.7 --stop done --repeat-penalty 1.05
        --length-penalty 0.6 --early-stopping never)
    llm-generate "${beams[@]}" --batch 4 -j 1 in.jsonl >beams.ref
    [ "$(wc -l <beams.ref)" = 72 ]
    for how in "--batch 7 -j 2" "--batch 32 -j 3" "--batch 6 --batch-tokens 7" "--batch 9 --batch-tokens 1 --isa scalar" \
        "--batch 32 --no-prefix-cache"; do
        # shellcheck disable=SC2086
        llm-generate "${beams[@]}" $how in.jsonl | cmp beams.ref -
    done
    head -16 in.jsonl >few.jsonl
    beams=(-m "$TINY" -n 140 --ignore-eos --ctx 256 --beams 4 --samples 3 --dry-multiplier 0.5 few.jsonl)
    llm-generate "${beams[@]}" --batch 4 >beams.ref
    for how in "--batch 16 --kv-memory 3M" "--batch 16 --kv-memory 4M -j 2" "--batch 12 --kv-memory 3M --no-prefix-cache --batch-tokens 20"; do
        # shellcheck disable=SC2086
        llm-generate "${beams[@]}" $how --stats st | cmp beams.ref -
        [ "$(jq .preemptions st)" -gt 0 ]
    done
}

@test "exact: beams within a grammar over batch, chunks and preemption" {
    cd "$BATS_FILE_TMPDIR"
    echo 'root ::= item (", " item){3,9} "."
item ::= [a-z]{2,6} | [0-9]+' >beams.gbnf
    beams=(-m "$TINY" -n 60 --ctx 192 --beams 6 --samples 2 --grammar beams.gbnf few.jsonl)
    llm-generate "${beams[@]}" --batch 6 -j 1 >beams.ref
    llm-generate "${beams[@]}" --batch 18 --batch-tokens 9 -j 2 | cmp beams.ref -
    llm-generate "${beams[@]}" --batch 24 --kv-memory 3.5M --stats st | cmp beams.ref -
    [ "$(jq .preemptions st)" -gt 0 ]
}
