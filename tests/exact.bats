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

# vary REF IN COMMAND...: REF, which COMMAND gives for the records of IN one by one, over batch, threads,
# chunks of prompts, the prefix cache, the layout of the weights and instruction sets; the slowest of these for the first records only.
vary() {
    local ref=$1 in=$2 isa each how
    shift 2
    each=$(($(wc -l <"$ref") / $(wc -l <"$in")))
    for how in "--batch 7 -j 2 --batch-tokens 1" "--batch 32 -j 3 --batch-tokens 7" "--batch 16 --batch-tokens 64" \
        "--batch 9 --batch-tokens 4096 --no-prefix-cache --repack always" "--batch 5 --repack never"; do
        # shellcheck disable=SC2086 # several options
        "$@" $how "$in" | cmp "$ref" -
    done
    for isa in avx2 avxvnni avx512 avx512vnni; do
        ! has $isa || "$@" --isa $isa --batch 8 "$in" | cmp "$ref" -
    done
    head -n 2 "$in" | "$@" --isa scalar --batch 8 | cmp <(head -n $((2 * each)) "$ref") -
}

# squeeze REF IN BYTES COMMAND...: the same in a cache so small that sequences must make room for each other.
squeeze() {
    local ref=$1 in=$2 bytes=$3
    shift 3
    "$@" --kv-memory "$bytes" --stats st "$in" | cmp "$ref" -
    [ "$(jq .preemptions st)" -gt 0 ]
    "$@" --kv-memory "$bytes" --stats st --batch-tokens 20 --no-prefix-cache "$in" | cmp "$ref" -
    [ "$(jq .preemptions st)" -gt 0 ]
    [ "$(jq .recomputed_tokens st)" -gt 0 ]
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
    for isa in avx2 avxvnni avx512 avx512vnni; do
        ! has $isa || same --isa $isa --batch 4
    done
    head -6 in.jsonl | llm-generate -m "$TINY" -n 24 -t 0.8 --seed 5 --isa scalar --batch 4 | cmp <(head -6 ref.jsonl) -
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

@test "exact: every type of weights over batch, chunks, threads, instruction sets, prefix cache and preemption" {
    cd "$BATS_FILE_TMPDIR"
    awk 'BEGIN {
        for (i = 0; i < 8; i++) {
            s = ""
            for (k = 0; k < 12 + i * 7 % 30; k++)
                s = s sprintf("%c%c ", 97 + k * (k < 8 ? 5 : i + 3) % 26, 97 + k % 26)
            printf "{\"prompt\":\"%s\"}\n", s
        }
    }' >types.jsonl
    for t in f32 f16 bf16 q8_0 q4_0 q4_1 q5_0 q5_1 q2_k q3_k q4_k q5_k q6_k iq4_nl mxfp4 nvfp4; do
        llm-bench make --synthetic nano --type $t --write type.gguf --force
        typed() {
            llm-generate -m type.gguf -n 10 -t 0.8 --seed 2 --ignore-eos "$@"
        }
        typed --batch 1 -j 1 --no-prefix-cache types.jsonl >type.ref
        [ "$(wc -l <type.ref)" = 8 ]
        vary type.ref types.jsonl typed
        typed -n 200 --batch 1 -j 1 --no-prefix-cache types.jsonl >type.ref
        squeeze type.ref types.jsonl 768K typed -n 200 --ctx 320
    done
    llm-convert "$TINY" --type q8_0 -o q8.gguf
    llm-generate -m q8.gguf -n 16 -t 0 --batch 1 -j 1 in.jsonl >q8.ref
    vary q8.ref in.jsonl llm-generate -m q8.gguf -n 16 -t 0
}

@test "exact: every type of cache over batch, chunks, threads, instruction sets, prefix cache and preemption" {
    cd "$BATS_FILE_TMPDIR"
    kept() { llm-generate -m "$TINY" -n 24 -t 0.8 --seed 5 --logprobs 1 "$@"; }
    for t in f32 f16 bf16 fp8; do
        kept --kv-type $t --batch 1 -j 1 --no-prefix-cache in.jsonl >kept.$t
        vary kept.$t in.jsonl kept --kv-type $t
        llm-generate -m "$TINY" -n 140 --ignore-eos --kv-type $t --batch 1 -j 1 --no-prefix-cache long.jsonl >kept.long
        case $t in f32) bytes=1200K ;; fp8) bytes=300K ;; *) bytes=600K ;; esac
        squeeze kept.long long.jsonl $bytes llm-generate -m "$TINY" -n 140 --ignore-eos --kv-type $t --batch 16 --ctx 256
    done
    kept in.jsonl | cmp kept.f32 - # the CPU's unless said
    for t in f16 bf16 fp8; do
        run -1 cmp -s kept.f32 kept.$t
        # the log-probability of an answer's first token is near
        paste -d '\n' kept.f32 kept.$t | jq -s '[range(0; length; 2) as $i | .[$i:$i + 2] |
            select(.[0].logprobs[0].token == .[1].logprobs[0].token) | map(.logprobs[0].logprob) | .[0] - .[1] | fabs] |
            {n: length, off: max}' >kept.off.$t
    done
    jq -s -e 'all(.n > 12) and .[0].off < 0.05 and .[1].off < 0.2 and .[2].off < 1 and .[0].off < .[1].off' kept.off.f16 kept.off.bf16 kept.off.fp8
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
    for m in mha mqa llama3 linear bias mistral window qwen2 qwen2window qwen3 gemma2 nemotron nemotronbias gpt2; do
        M=$BATS_TEST_DIRNAME/data/logits/$m
        run_family() {
            llm-generate -m "$M" -n 40 -t 0.9 --seed 3 --ignore-eos "$@"
        }
        run_family --batch 1 -j 1 --isa scalar --no-prefix-cache family.jsonl >family.ref
        [ "$(wc -l <family.ref)" = 12 ]
        vary family.ref family.jsonl run_family
        run_family --isa scalar --batch 5 --batch-tokens 9 family.jsonl | cmp family.ref -
        run_family --samples 2 --repeat-penalty 1.1 --dry-multiplier 0.7 --batch 1 -j 1 family.jsonl >family3.ref
        vary family3.ref family.jsonl run_family --samples 2 --repeat-penalty 1.1 --dry-multiplier 0.7
        [ $m != gpt2 ] || break # it has no more positions
        cp -r "$M" "long.$m"
        chmod -R u+w "long.$m"
        sed -i 's/"max_position_embeddings": 128/"max_position_embeddings": 2048/' "long.$m/config.json"
        long_family() {
            llm-generate -m "long.$m" -n 230 -t 0.9 --seed 3 --ignore-eos --ctx 320 "$@"
        }
        long_family --batch 1 -j 1 --no-prefix-cache family.jsonl >family.ref
        page=$(llm-convert --info "$M" | jq '.memory.cache_per_position * 64')
        if [ $m = window ]; then # what it holds at once is so little that nobody makes room
            long_family --kv-memory $((5 * page)) --stats st family.jsonl | cmp family.ref -
        else
            squeeze family.ref family.jsonl $((6 * page)) long_family
        fi
    done
    # a file in other converters' way: the same text
    run_family --batch 1 -j 1 family.jsonl >family.ref
    llm-generate -m "$M/peer.gguf" -n 40 -t 0.9 --seed 3 --ignore-eos family.jsonl | cmp family.ref -
}

@test "exact: pages that a window has left are used again" {
    cd "$BATS_FILE_TMPDIR"
    head -2 family.jsonl >two.jsonl
    windowed() {
        llm-generate -m long.window -n 1500 -t 0.9 --seed 3 --ignore-eos --stats st "$@" two.jsonl
    }
    windowed --batch 1 -j 1 --no-prefix-cache >window.ref
    windowed --batch 2 | cmp window.ref -
    [ "$(jq .kv_peak_pages st)" -le 4 ]
    page=$(llm-convert --info long.window | jq '.memory.cache_per_position * 64')
    # prompts of 1,500 tokens in chunks of 60: a window of 24 and a chunk lie in three pages at most
    awk 'BEGIN {
        for (i = 0; i < 3; i++) {
            s = ""
            for (k = 0; k < 1500; k++) s = s sprintf("%c", 97 + k * (k < 700 ? 7 : i + k % 11) % 26)
            printf "{\"prompt\":\"%s\"}\n", s
        }
    }' >again.jsonl
    llm-generate -m long.window -n 100 -t 0 --ignore-eos --batch 1 --batch-tokens 1600 again.jsonl >again.ref
    llm-generate -m long.window -n 100 -t 0 --ignore-eos --batch 2 --batch-tokens 60 --kv-memory $((3 * page)) again.jsonl |
        cmp again.ref -
    windowed --beams 3 --batch 3 -n 300 >beam.ref
    windowed --beams 3 --batch 6 -n 300 --kv-memory $((9 * page)) --batch-tokens 60 | cmp beam.ref -
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
    vary m.ref in.jsonl llm-generate "${miro[@]}"
    vary c.ref in.jsonl llm-generate "${cut[@]}"
}

@test "exact: samplers, penalties, log-probabilities and scores under preemption and prefix hits" {
    cd "$BATS_FILE_TMPDIR"
    head -5 long.jsonl >five.jsonl
    for o in "--mirostat-tau 3 --dry-multiplier 0.8" "--repeat-penalty 1.2 --presence-penalty 0.5 --frequency-penalty 0.1 -p 0.9" \
        "-t 0 --logprobs 3 --logit-bias 300:2" "--samples 2 --typical-p 0.9 --min-p 0.01"; do
        # shellcheck disable=SC2206
        args=(-m "$TINY" -n 140 --seed 4 --ignore-eos $o)
        llm-generate "${args[@]}" --batch 1 -j 1 --no-prefix-cache five.jsonl >o.ref
        squeeze o.ref five.jsonl 1.2M llm-generate "${args[@]}" --ctx 256 --batch 16
        llm-generate "${args[@]}" --batch 7 --stats st five.jsonl | cmp o.ref -
        [ "$(jq .prefix_hit_tokens st)" -gt 100 ]
    done
    # what was generated, as given outputs: with their log-probabilities, whole and in any pieces
    llm-generate -m "$TINY" --score --logprobs 2 --batch 1 -j 1 --no-prefix-cache long.ref >s.ref
    [ "$(wc -l <s.ref)" = 14 ]
    vary s.ref long.ref llm-generate -m "$TINY" --score --logprobs 2
    llm-generate -m "$TINY" --score --logprobs 2 --ctx 256 --kv-memory 1.2M --batch 14 long.ref | cmp s.ref -
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
    vary grammar.ref in.jsonl gen
    tac in.jsonl | gen --batch 6 | tac | cmp grammar.ref -
    echo 'root ::= item (" " item){180,190}
item ::= [a-z]{1,2}' >words.gbnf
    words() {
        llm-generate -m "$TINY" -n 180 --ctx 256 -t 1 --seed 5 --grammar words.gbnf --repeat-penalty 1.1 "$@"
    }
    head -12 in.jsonl >twelve.jsonl
    words --batch 1 -j 1 --no-prefix-cache twelve.jsonl >words.ref
    squeeze words.ref twelve.jsonl 1.2M words --batch 16
    gen --samples 3 --batch 1 in.jsonl >grammar3.ref
    gen --samples 3 --batch 16 -j 2 in.jsonl | cmp grammar3.ref -
    { gen --shard 1/2 in.jsonl && gen --shard 2/2 in.jsonl; } | sort >joined
    sort grammar.ref | cmp - joined
}

@test "exact: beams over batch, chunks, threads, instruction sets, prefix cache and preemption" {
    cd "$BATS_FILE_TMPDIR"
    head -8 in.jsonl >beams.jsonl
    beams=(-m "$TINY" -n 20 --beams 4 --samples 3 --beam-groups 2 --diversity 0.7 --stop done --repeat-penalty 1.05
        --length-penalty 0.6 --early-stopping never)
    llm-generate "${beams[@]}" --batch 4 -j 1 beams.jsonl >beams.ref
    [ "$(wc -l <beams.ref)" = 24 ]
    vary beams.ref beams.jsonl llm-generate "${beams[@]}"
    llm-generate "${beams[@]}" --batch 4 --no-prefix-cache beams.jsonl | cmp beams.ref -
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
    head -16 in.jsonl >sixteen.jsonl
    beams=(-m "$TINY" -n 60 --ctx 192 --beams 6 --samples 2 --grammar beams.gbnf)
    llm-generate "${beams[@]}" --batch 6 -j 1 sixteen.jsonl >beams.ref
    llm-generate "${beams[@]}" --batch 18 --batch-tokens 9 -j 2 sixteen.jsonl | cmp beams.ref -
    llm-generate "${beams[@]}" --batch 24 --batch-tokens 4096 --no-prefix-cache sixteen.jsonl | cmp beams.ref -
    llm-generate "${beams[@]}" --batch 24 --kv-memory 3.5M --stats st sixteen.jsonl | cmp beams.ref -
    [ "$(jq .preemptions st)" -gt 0 ]
}

@test "exact: an encoder's vectors over batch, chunks, threads, instruction sets and forms of the file" {
    cd "$BATS_FILE_TMPDIR"
    bert="$BATS_TEST_DIRNAME/data/bert"
    jq -c 'select(.tokens | length < 60) | {text: (.text + " " + .text)}' "$bert/golden.jsonl" >texts
    [ "$(wc -l <texts)" -gt 20 ]
    llm-convert -q "$bert" -o bert.gguf
    for pool in mean cls; do
        embed() { llm-embed -m "$bert" --pooling "$pool" "$@" texts; }
        embed --batch 1 -j 1 >bert.ref
        embed --batch 7 -j 2 | cmp bert.ref -
        embed --batch 32 -j 3 --batch-tokens 600 | cmp bert.ref -
        embed --batch 5 --isa scalar | cmp bert.ref -
        for isa in avx2 avx512 avx512vnni; do
            ! has $isa || embed --isa $isa | cmp bert.ref -
        done
        tac texts | llm-embed -m "$bert" --pooling "$pool" --batch 6 | tac | cmp bert.ref -
        llm-embed -m bert.gguf --pooling "$pool" --batch 9 texts | cmp bert.ref -
    done
}

@test "exact: vectors, in records and in files, over batch, chunks, threads, instruction sets and cache" {
    cd "$BATS_FILE_TMPDIR"
    for pool in last mean cls; do
        embed() { llm-embed -m "$TINY" --pooling "$pool" --normalize "$@"; }
        embed --batch 1 -j 1 --no-prefix-cache --batch-tokens 512 in.jsonl >embed.ref
        [ "$(wc -l <embed.ref)" = 24 ]
        embed --batch 7 -j 2 --batch-tokens 7 in.jsonl | cmp embed.ref -
        embed --batch 32 -j 3 --batch-tokens 64 in.jsonl | cmp embed.ref -
        embed --isa scalar --batch-tokens 1 --batch 5 <(head -8 in.jsonl) | cmp <(head -8 embed.ref) -
        ! has avx2 || embed --isa avx2 in.jsonl | cmp embed.ref -
        tac in.jsonl | embed --batch 6 | tac | cmp embed.ref -
        embed --npy "$pool.1" --batch 1 in.jsonl >lines.1
        embed --npy "$pool.2" --batch 9 --batch-tokens 33 in.jsonl | cmp lines.1 -
        cmp "$pool.1" "$pool.2"
    done
}
