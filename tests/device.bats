bats_require_minimum_version 1.5.0

# Which device computes: one clear line when it cannot, and the CPU when any will do.

setup() {
    TINY="$BATS_TEST_DIRNAME/../examples/models/tiny.gguf"
    cd "$BATS_TEST_TMPDIR" || return 1
    echo '{"prompt":"Once"}' >in.jsonl
}

gen() {
    "${BIN:-llm-generate}" -m "$TINY" -n 4 -t 0 "$@" in.jsonl
}

@test "no shared object of the CUDA backend: said so; auto takes the CPU" {
    mkdir bin
    cp "$BUILD/llm-generate" bin
    BIN=bin/llm-generate
    run -2 --separate-stderr gen -d cuda
    [ -z "$output" ]
    [ "${#stderr_lines[@]}" = 1 ]
    [[ "$stderr" == *"--device cuda: this build has no CUDA backend: cannot find 'llm-cuda.so'"* ]]
    gen -d cpu >cpu.jsonl
    gen 2>err >auto.jsonl
    cmp cpu.jsonl auto.jsonl
    [ ! -s err ]
    run -0 --separate-stderr gen -d auto -v
    [[ "$stderr" == *"no GPU: this build has no CUDA backend"* ]]
}

@test "a shared object that is none, or of something else" {
    mkdir -p bin lib/llmutils
    cp "$BUILD/llm-generate" bin
    BIN=bin/llm-generate
    echo text >lib/llmutils/llm-cuda.so
    run -2 --separate-stderr gen -d cuda
    [ "${#stderr_lines[@]}" = 1 ]
    [[ "$stderr" == *"--device cuda: "*"llm-cuda.so: "* ]]
    cp "$(ldd "$BUILD/llm-generate" | awk '/libm\.so/ {print $3}')" lib/llmutils/llm-cuda.so
    run -2 --separate-stderr gen -d cuda
    [[ "$stderr" == *"llm-cuda.so: not a CUDA backend" ]]
}

@test "no driver or no GPU: one line" {
    [ -e "$BUILD/llm-cuda.so" ] || skip "the CUDA backend is left out of this build"
    ! nvidia-smi >nvidia.txt 2>&1 || skip "there is a GPU"
    run -2 --separate-stderr gen -d cuda:1
    [ -z "$output" ]
    [ "${#stderr_lines[@]}" = 1 ]
    [[ "$stderr" == "llm-generate: --device cuda: no "* ]]
    run -0 --separate-stderr gen
    [ -z "$stderr" ]
}

@test "a device that is none" {
    for d in gpu cuda: cuda:x cuda:-1 cuda:1x cuda:99999999999 ""; do
        run -2 --separate-stderr gen -d "$d"
        [[ "$stderr" == *"--device '$d': not auto, cpu, cuda or cuda:N"* ]]
    done
}

@test "the CUDA backend needs nothing but libc" {
    [ -e "$BUILD/llm-cuda.so" ] || skip "the CUDA backend is left out of this build"
    run -0 bash -c "readelf -d '$BUILD/llm-cuda.so' | grep NEEDED | grep -v 'libc\.so\|ld-linux'"  || [ "$status" = 1 ]
    [ -z "$output" ]
    [ "$(nm -D --defined-only "$BUILD/llm-cuda.so" | awk '{print $3}' | sort | tr '\n' ' ')" = "llm_cuda_fuse llm_cuda_open " ]
    run ldd "$BUILD/llm-generate"
    [[ "$output" != *cuda* ]]
}

@test "what ptxas says of the kernels: no warning, no spill, no product that waits for another" {
    [ -e "$BUILD/llm-cuda.so" ] || skip "the CUDA backend is left out of this build"
    run grep -E "warning|Performance Loss|[1-9][0-9]* bytes spill" "$BUILD"/kernels/cuda/*.log
    [ -z "$output" ]
}

disassembler() {
    [ -e "$BUILD/llm-cuda.so" ] || skip "the CUDA backend is left out of this build"
    export PATH="$PATH:/usr/local/cuda/bin"
    command -v cuobjdump nvdisasm >tools.txt && [ "$(wc -l <tools.txt)" = 2 ] || skip "no cuobjdump or no nvdisasm"
}

@test "machine code: nothing is written that wgmma still reads" {
    disassembler
    cuobjdump -sass -arch sm_90a "$BUILD/llm-cuda.so" | awk -f "$BATS_TEST_DIRNAME/wgmma.awk" >found.txt || {
        tail -n 5 found.txt
        return 1
    }
    read -r groups _ <found.txt
    [ "$groups" -ge 400 ]
}

@test "wgmma.awk finds what is written around a loop, and not what has been read" {
    code() { # REGISTER that the loop loads
        printf '\tFunction : f\n'
        printf '        /*%04x*/  %s ; /* 0x0 */\n' 0 'LDS.128 R60, [R1]' 16 'HGMMA.64x64x16.F32 R24, R60, gdesc[UR4], R24, gsb0' \
            32 'WARPGROUP.DEPBAR.LE gsb0, 0x1' 48 'LDS.128 R64, [R1]' 64 'HGMMA.64x64x16.F32 R24, R64, gdesc[UR4], R24, gsb0' \
            80 'WARPGROUP.DEPBAR.LE gsb0, 0x1' 96 "LDS.128 R$1, [R2]" 112 '@!P0 BRA 0x10' 128 'WARPGROUP.DEPBAR.LE gsb0, 0x0'
    }
    run awk -f "$BATS_TEST_DIRNAME/wgmma.awk" <<<"$(code 60)"
    [ "$status" = 0 ]
    [ "$output" = "4 0" ]
    run awk -f "$BATS_TEST_DIRNAME/wgmma.awk" <<<"$(code 63)" # and with it 64, which is being read
    [ "$status" = 1 ]
    [ "${lines[0]}" = "f 60 LDS.128 R63, [R2] " ]
}

@test "machine code: tensor cores and 16-byte loads in products and attention, local memory nowhere" {
    disassembler
    # a line for each kernel: name, HMMA, IMMA, 16-byte loads, local memory, HGMMA
    { cuobjdump -sass -arch sm_90 "$BUILD/llm-cuda.so" && cuobjdump -sass -arch sm_90a "$BUILD/llm-cuda.so"; } | awk '
        function out() { if (f != "") print f, hmma, imma, load, local, hgmma }
        /Function :/ { out(); f = $NF; hmma = imma = load = local = hgmma = 0 }
        / HGMMA\./ { hgmma++ }
        / HMMA\./ { hmma++ }
        / IMMA\./ { imma++ }
        / LDG\.[A-Z0-9.]*128/ || / LDGSTS\.[A-Z0-9.]*128/ { load++ }
        / (STL|LDL)[. ]/ { local++ }
        END { out() }' >kernels.txt
    # kinds by the ends of names: a length, the name, then arguments of the template
    awk '$1 ~ /[0-9](half_few|half_many)I/ { halves++; bad += !$2 || !$4 }
         $1 ~ /[0-9](few|many|many_k)I/ { ints++; bad += !$3 || !$4 }
         $1 ~ /[0-9]half_wideI/ { wides++; bad += !$6 }
         $1 ~ /[0-9]attn_mma_(tile_)?kernelI/ { attns++; bad += !$2 || !$4 }
         $5 { print; bad++ }
         END { print halves, ints, wides, attns, bad + 0
               exit bad || halves < 4 || ints < 40 || wides < 16 || attns < 19 }' kernels.txt >found.txt || {
        cat found.txt
        return 1
    }
}
