bats_require_minimum_version 1.5.0

# The CUDA backend under the real engine, its kernels run by the CPU (-d emu): the bytes of the CPU's
# backend for quantized weights, and of itself for half floats, whatever the batch and the chunks.

setup_file() {
    [ -e "$BUILD/llm-cuda-emu.so" ] || skip "the CUDA backend is left out of this build"
    export TINY="$BATS_TEST_DIRNAME/../examples/models/tiny.gguf"
    cd "$BATS_FILE_TMPDIR" || return 1
    awk 'BEGIN {
        for (i = 0; i < 9; i++) {
            s = ""
            for (k = 0; k < 1 + i * i; k++) s = s (k ? " " : "") (k % 3 ? "plum" : "fox")
            printf "{\"n\":%d,\"instruction\":\"Reverse the list.\",\"input\":\"%s\"}\n", i, s
        }
    }' >in.jsonl
    llm-convert -q --type q8_0 -o q8_0.gguf "$TINY"
    for type in q4_0 q4_k q6_k nvfp4; do
        llm-bench make -q --synthetic nano --type $type --write $type.gguf >made.json
    done
}

# gen MODEL OPTION...
gen() {
    llm-generate -m "$1" -n 8 -t 0.8 --seed 5 --logprobs 3 --chat-template none "${@:2}" in.jsonl
}

# same MODEL: -d emu gives what -d cpu gives.
same() {
    cd "$BATS_FILE_TMPDIR" || return 1
    gen "$1" -d cpu >cpu.jsonl
    [ "$(wc -l <cpu.jsonl)" = 9 ]
    gen "$1" -d emu --batch 7 >emu.jsonl
    cmp cpu.jsonl emu.jsonl
}

@test "q8_0: the CPU's bytes in any batch and chunk" {
    same q8_0.gguf
    gen q8_0.gguf -d emu --batch 1 --batch-tokens 64 --no-prefix-cache >emu.jsonl
    cmp cpu.jsonl emu.jsonl
    gen q8_0.gguf -d emu --batch 9 --batch-tokens 9 >emu.jsonl
    cmp cpu.jsonl emu.jsonl
}

@test "blocks of 32, of 256 and of 16: the CPU's bytes" {
    for type in q4_0 q4_k q6_k nvfp4; do
        same $type.gguf
    done
}

@test "work of streams as late as may be, device memory closed to the host: the same bytes" {
    cd "$BATS_FILE_TMPDIR"
    gen q8_0.gguf -d cpu >cpu.jsonl
    EMU_DEFER=1 EMU_CLOSED=1 gen q8_0.gguf -d emu --batch 4 >emu.jsonl
    cmp cpu.jsonl emu.jsonl
}

@test "half floats: the same bytes in any batch and chunk" {
    cd "$BATS_FILE_TMPDIR"
    gen "$TINY" -d emu --batch 1 >one.jsonl
    gen "$TINY" -d emu --batch 7 --batch-tokens 100 >emu.jsonl
    cmp one.jsonl emu.jsonl
    gen "$TINY" -d emu --batch 9 --batch-tokens 9 --no-prefix-cache >emu.jsonl
    cmp one.jsonl emu.jsonl
}

@test "choices that the device makes: the CPU's bytes whatever the sampling" {
    cd "$BATS_FILE_TMPDIR"
    head -n 3 in.jsonl >few.jsonl
    printf 'root ::= ("one" | "two") (" " [a-z]+)* "."\n' >g.gbnf
    while read -r o; do
        # shellcheck disable=SC2086
        for d in cpu emu; do
            llm-generate -m q8_0.gguf -d $d -n 6 --seed 9 --chat-template none $o few.jsonl >$d.out || [ $? = 1 ]
        done
        cmp cpu.out emu.out
    done <<'EOF'
-t 0
-t 0 --logprobs 5 --stop e
-t 1 -k 0 -p 1 --min-p 0
-t 1.3 -k 0 -p 1 --min-p 0 --logprobs 1 --samples 2
-t 0.9 -k 0 -p 0.8 --logprobs 2
-t 3 -k 0 -p 0.99
-t 1.5 -k 500
-t 1 -k 30 -p 0.5 --min-p 0.1 --typical-p 0.9
-t 1 -k 0 -p 1 --min-p 0.02
-t 1 --mirostat-tau 3
-t 1.2 --top-n-sigma 1 --logprobs 2
-t 0 --repeat-penalty 1.3 --presence-penalty 0.5 --logprobs 2
-t 1 -k 20 --repeat-penalty 0.8 --frequency-penalty 0.2
-t 1 --dry-multiplier 0.8 --logit-bias 300:-2 --logit-bias 301:3
-t 0.7 --grammar g.gbnf --logprobs 2
-t 1.4 -k 0 -p 1 --min-p 0 --grammar g.gbnf
-t 0 --beams 4
EOF
}

@test "vectors and beams: the CPU's bytes" {
    cd "$BATS_FILE_TMPDIR"
    for d in cpu emu; do
        llm-embed -m q8_0.gguf -d $d in.jsonl >embed.$d
        gen q8_0.gguf -d $d --beams 3 -t 0 --logprobs 0 >beam.$d
    done
    cmp embed.cpu embed.emu
    cmp beam.cpu beam.emu
}

@test "keys and values of half and of fp8: the same bytes in any batch and chunk, near those of f32" {
    cd "$BATS_FILE_TMPDIR"
    gen q8_0.gguf -d cpu -t 0 >f32.jsonl
    for type in f32 f16 bf16 fp8; do
        gen q8_0.gguf -d emu -t 0 --kv-type $type --batch 1 --no-prefix-cache >one.jsonl
        gen q8_0.gguf -d emu -t 0 --kv-type $type --batch 7 --batch-tokens 33 >emu.jsonl
        cmp one.jsonl emu.jsonl
        cmp one.jsonl <(gen q8_0.gguf -d cpu -t 0 --kv-type $type) # heads of 32: not on tensor cores
        jq -c '[.output, .logprobs[0].logprob]' one.jsonl >$type.out
        # of the first token, in nats
        paste -d '\n' f32.jsonl one.jsonl | jq -s -c '[range(0; length; 2) as $i | .[$i:$i + 2] | map(.logprobs[0].logprob) | .[0] - .[1] | fabs] | max' >$type.off
    done
    cmp f32.jsonl <(gen q8_0.gguf -d emu -t 0 --kv-type f32)
    [ "$(jq -s '.[0] == 0 and .[1] > 0 and .[1] < 0.05 and .[2] < 0.2 and .[3] > .[1] and .[3] < 1' f32.off f16.off bf16.off fp8.off)" = true ]
}

@test "attention on tensor cores: the same bytes in any batch and chunk, near those of f32" {
    cd "$BATS_FILE_TMPDIR"
    llm-bench make -q --synthetic nano --type bf16 --force --write bf16.gguf >made.json
    sed -n '2,4p; 6p' in.jsonl >some.jsonl
    one() { llm-generate -m "$1" -n 4 -t 0 --logprobs 3 --chat-template none -d emu --kv-type "$2" "${@:3}" some.jsonl; }
    while read -r m type; do
        one $m.gguf f32 >f32.jsonl
        one $m.gguf $type --batch 1 --batch-tokens 1 --no-prefix-cache >one.jsonl
        for n in 33 200; do
            one $m.gguf $type --batch 4 --batch-tokens $n >emu.jsonl
            cmp one.jsonl emu.jsonl
        done
        paste -d '\n' f32.jsonl one.jsonl | jq -s -e '[range(0; length; 2) as $i | .[$i:$i + 2] | map(.logprobs[0].logprob) | .[0] - .[1] | fabs] | max | . > 0 and . < 0.05'
    done <<'EOF'
bf16 f16
bf16 bf16
q4_0 fp8
EOF
}

@test "--kv-type auto: f16 for half floats on a device and with --fast, f32 else" {
    cd "$BATS_FILE_TMPDIR"
    export EMU_CUBLASLT="$BUILD/emu/libcublasLt-emu.so"
    type_of() { llm-bench latency -m "$@" --repeat 1 --input 3 --output 1 | jq -r .kv_type; }
    [ "$(type_of "$TINY" -d emu)" = f16 ]
    [ "$(type_of "$TINY" -d cpu)" = f32 ]
    [ "$(type_of q8_0.gguf -d emu)" = f32 ]
    [ "$(type_of q8_0.gguf -d emu --fast)" = f16 ]
    [ "$(type_of q8_0.gguf -d emu --kv-type fp8)" = fp8 ]
    run -0 --separate-stderr gen "$TINY" -d emu -v
    [[ "$stderr" == *" positions, f16)"* ]]
    gen q8_0.gguf -d emu --kv-type f16 -o kv.jsonl
    gen q8_0.gguf -d emu --kv-type f16 -o kv.jsonl --resume
    EMU_CAPABILITY=80 run -2 --separate-stderr gen q8_0.gguf -d emu --kv-type f16 -o kv.jsonl --resume
    [[ "$stderr" == *"cannot resume: model was "* ]]
}

@test "--fast: near the exact log-probabilities, and said so; the CPU stays exact" {
    cd "$BATS_FILE_TMPDIR"
    export EMU_CUBLASLT="$BUILD/emu/libcublasLt-emu.so"
    tail -n 2 in.jsonl | jq -c '.input += " " + .input' >long.jsonl
    one() { llm-generate -m "$1" -t 0 -n 1 --logprobs 1 --chat-template none --stats stats.json "${@:2}" long.jsonl; }
    for m in q8_0 q4_k; do
        one $m.gguf -d emu >exact.jsonl
        [ "$(jq .fast stats.json)" = false ]
        one $m.gguf -d emu --fast >fast.jsonl
        [ "$(jq .fast stats.json)" = true ]
        paste -d '\n' exact.jsonl fast.jsonl | jq -s -e '[range(0; length; 2) as $i | .[$i:$i + 2] | map(.logprobs[0].logprob) | .[0] - .[1] | fabs] | max | . > 0 and . < 0.2'
        one $m.gguf -d cpu --fast | cmp exact.jsonl -
        [ "$(jq .fast stats.json)" = false ]
    done
    unset EMU_CUBLASLT
    run -2 --separate-stderr llm-generate -m q8_0.gguf -d emu --fast long.jsonl
    [ "${#stderr_lines[@]}" = 1 ]
    [[ "$stderr" == "llm-generate: --fast: cannot open cuBLASLt: "* ]]
}

@test "llm-bench: on a device too, which it names" {
    cd "$BATS_FILE_TMPDIR"
    for m in latency "throughput --records 2"; do
        llm-bench $m -m q8_0.gguf -d emu --repeat 1 --input 9 --output 2 >bench.json
        jq -e '(.device | startswith("cuda: GPU 0")) and .fast == false and .isa == null and .read_gb_s == null and .generated_tokens != 0' bench.json
    done
}

# kernels MODEL TOKENS PROMPT: the source files of the kernels of its last layer in a step, each
# once, from which its fourth token of that many sequences came; and how many kernels there are. What
# is done once a step (turn.cu) is left out.
kernels() {
    rm -f launches
    awk -v n="$2" -v s="$3" 'BEGIN { for (i = 0; i < n; i++) printf "{\"prompt\":\"%s\"}\n", s }' |
        EMU_LAUNCHES=launches llm-generate -m "$1" -d emu -n 4 -t 0 --batch "$2" --chat-template none >out.jsonl
    [ "$(jq -s 'map(.usage.completion_tokens) | min' out.jsonl)" = 4 ]
    awk -F '[/.]' '{ f = $(NF - 1) }
        f == "embed" { n = 0 }
        f == "gather" { all = n }
        f == "turn" { next }
        { step[n++] = f }
        END { for (i = 1 + (all - 1) / 2; i < all; i++) print step[i] }' launches >kernels.txt
    wc -l <kernels.txt
}

@test "kernels of a layer: five of a token or two of half floats, and one that joins more than 512 keys; eight or nine of quantized types" {
    cd "$BATS_FILE_TMPDIR"
    for type in bf16 f16 q8_0 q4_k; do # of two layers
        llm-bench make -q --synthetic nano --type $type --force --write $type.nano.gguf
    done
    for type in bf16 f16; do
        for n in 1 2; do
            [ "$(kernels $type.nano.gguf $n 'x y')" = 5 ]
            cmp kernels.txt <(printf 'half_few\nattn_mma\nhalf_few\nhalf_few\nhalf_few\n')
        done
    done
    long=$(printf 'x%.0s' {1..600})
    [ "$(kernels bf16.nano.gguf 1 "$long")" = 6 ]
    cmp kernels.txt <(printf 'half_few\nattn_mma\nattn_join\nhalf_few\nhalf_few\nhalf_few\n')
    for n in 3 9; do # attention leaves activations
        [ "$(kernels bf16.nano.gguf $n 'x y')" = 7 ]
    done
    [ "$(grep -c '/turn\.cu' launches)" = "$(grep -c '/gather\.cu' launches)" ] # once a step
    for n in 1 3; do
        [ "$(kernels q8_0.nano.gguf $n 'x y')" = 8 ]
        [ "$(kernels q8_0.nano.gguf $n "$long")" = 9 ]
        [ "$(kernels q4_k.nano.gguf $n 'x y')" = 9 ]
    done
}

@test "-v names the device, and its memory is planned" {
    cd "$BATS_FILE_TMPDIR"
    run -0 --separate-stderr gen q8_0.gguf -d emu -v
    [[ "$stderr" == *"cuda: GPU 0, emulated device"* ]]
    [[ "$stderr" == *"(on the GPU)"* ]]
    EMU_MEMORY=4000000 run -2 --separate-stderr gen q8_0.gguf -d emu
    [ -z "$output" ]
    [[ "$stderr" == "llm-generate: not enough memory on the GPU: "*" are needed, 3.8 MiB are available;"* ]]
    [ "${#stderr_lines[@]}" = 1 ]
}

@test "auto: a GPU with too little memory is none, which -v says" {
    cd "$BATS_FILE_TMPDIR"
    mkdir bin
    cp "$BUILD/llm-generate" bin
    cp "$BUILD/llm-cuda-emu.so" bin/llm-cuda.so
    auto() { bin/llm-generate -m "$TINY" -n 4 -t 0 --chat-template none "$@" in.jsonl; }
    run -0 --separate-stderr auto -v
    [[ "$stderr" == *"cuda: GPU 0, emulated device"* ]]
    auto -d cpu >cpu.jsonl
    export EMU_MEMORY=4000000
    EMU_CUBLASLT="$BUILD/emu/libcublasLt-emu.so" auto --fast 2>err >auto.jsonl
    cmp cpu.jsonl auto.jsonl
    [ ! -s err ]
    run -0 --separate-stderr auto -v
    [[ "$stderr" == *"no GPU: not enough memory on the GPU: "*" are needed, 3.8 MiB are available;"* ]]
    [[ "$stderr" != *"cuda: GPU"* ]]
    run -2 --separate-stderr auto -d cuda
    [ "${#stderr_lines[@]}" = 1 ]
    [[ "$stderr" == "llm-generate: not enough memory on the GPU: "* ]]
}

@test "a run that ends before its first step, while weights are on their way" {
    cd "$BATS_FILE_TMPDIR"
    rm -f done.jsonl*
    one() { llm-generate -m "$TINY" -n 4 -t 0 --chat-template none -o done.jsonl -d emu "$@" in.jsonl; }
    one
    cp done.jsonl whole.jsonl
    one --resume
    cmp done.jsonl whole.jsonl
    run -2 --separate-stderr one --resume --seed 8
    [ "${#stderr_lines[@]}" = 1 ]
    [[ "$stderr" == *"cannot resume: "* ]]
}

@test "--resume: quantized on any device; of half floats on a GPU of the same kind" {
    cd "$BATS_FILE_TMPDIR"
    rest() { # OPTION...
        for f in whole.jsonl whole.jsonl.meta; do cp $f "${f/whole/part}"; done
        head -n 4 whole.jsonl >part.jsonl
        llm-generate -m "$m" -n 4 -t 0 --chat-template none -o part.jsonl --resume "$@" in.jsonl
    }
    for m in q8_0.gguf "$TINY"; do
        rm -f whole.jsonl*
        llm-generate -m "$m" -n 4 -t 0 --chat-template none -o whole.jsonl -d emu in.jsonl
        for d in emu cpu 80; do
            if [ $d = 80 ]; then export EMU_CAPABILITY=80; fi
            if [ $d = emu ] || [ $m = q8_0.gguf ]; then
                rest -d ${d/80/emu}
                cmp whole.jsonl part.jsonl
            else
                run -2 --separate-stderr rest -d ${d/80/emu}
                [[ "$stderr" == *"cannot resume: model was "* ]]
            fi
            unset EMU_CAPABILITY
        done
    done
}

@test "--nvtx: ranges of loading, steps and operations for profilers, the same bytes" {
    cd "$BATS_FILE_TMPDIR"
    one() { head -n 1 in.jsonl | llm-generate -m "$TINY" -n 4 -t 0 --chat-template none -d emu "$@"; }
    one >plain.jsonl
    NVTX_INJECTION64_PATH="$BUILD/emu/libnvtx-emu.so" EMU_NVTX=ranges one --nvtx | cmp plain.jsonl -
    grep -c '^weight$' ranges
    grep -x -A 3 'step of [0-9]* tokens' ranges | head -n 4 | cmp - <(printf 'step of %d tokens\n  embed\n  norm\n  linear\n' "$(sed -n 's/^step of \([0-9]*\) tokens/\1/p' ranges | head -n 1)")
    for op in norm linear linear_add rope_kv attn glu gather; do
        grep -qx "  $op" ranges
    done
    run -1 grep '^    ' ranges # none is left open
    rm ranges
    NVTX_INJECTION64_PATH="$BUILD/emu/libnvtx-emu.so" EMU_NVTX=ranges one | cmp plain.jsonl -
    [ ! -e ranges ]
}
