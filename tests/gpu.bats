#!/usr/bin/env bats
# The scripts that need a GPU, with programs in its place: what they count, and what they keep.

setup() {
	mkdir -p "$BATS_TEST_TMPDIR/bin" "$BATS_TEST_TMPDIR/build/gpu"
	cd "$BATS_TEST_TMPDIR" || return 1
	PATH=$PWD/bin:$PATH
	for t in words cache half many ops linear attn tree fused pick fast; do
		put "build/gpu/${t}_test" 'echo "# a device"; echo "ok 1 it works"'
	done
	put bin/nvidia-smi 'echo "NVIDIA H200, 1.2.3"'
	put bin/compute-sanitizer 'for p; do :; done; exec "$p"'
}

# FILE COMMANDS: a program of these.
put() {
	printf '#!/bin/sh\n%s\n' "$2" >"$1"
	chmod +x "$1"
}

check() {
	COMMIT=abc run sh "$BATS_TEST_DIRNAME/gpu-check.sh" "$PWD/build" "$PWD/results"
}

@test "gpu-check counts what passed, sanitized as well, and keeps a record" {
	check
	[ "$status" = 0 ]
	[ "${lines[-1]}" = "25 passed, 0 failed" ] # eleven programs, seven of them under two tools
	run jq -r '[.gpu, .driver, .commit, .sanitizer, .passed, .failed, .skipped] | @csv' results/gpu-check.jsonl
	[ "$output" = '"NVIDIA H200","1.2.3","abc",true,25,0,0' ]
}

@test "gpu-check leaves out sanitizers for which there is no time, and says how many" {
	MOST=0 check
	[ "$status" = 0 ]
	[ "${lines[-1]}" = "11 passed, 0 failed" ]
	[[ $output == *"words, memcheck (part 0/1): skipped, for want of time"* ]]
	[ "$(jq .skipped results/gpu-check.jsonl)" = 14 ]
}

@test "gpu-check without sanitizers" {
	SANITIZE=0 check
	[ "$status" = 0 ]
	[ "$(jq -c '[.sanitizer, .passed, .skipped]' results/gpu-check.jsonl)" = "[false,11,0]" ]
}

@test "gpu-check: a program that fails, or finds something under a sanitizer, fails the check" {
	put build/gpu/half_test 'echo "ok 1 a"; echo "not ok 2 b"; echo "# why"; exit 1'
	put build/gpu/pick_test 'echo "ok 1 a"; [ -z "$LLM_TEST_PART" ] || exit 9'
	check
	[ "$status" = 1 ]
	[ "${lines[-1]}" = "25 passed, 3 failed" ] # of pick one a tool
	[[ $output == *"# why"* ]]
	[ "$(jq -c '[.passed, .failed]' results/gpu-check.jsonl)" = "[25,3]" ]
}

@test "gpu-bench gives the transformer the rates that were measured, and goes on behind a part that fails" {
	put build/gpu/attn_bench 'echo "{\"bench\":\"memory\",\"read_gb_s\":4473}"'
	put build/gpu/half_bench 'exit 3'
	put build/gpu/rate_bench 'echo "{\"bench\":\"rate\",\"mma_bf16_tflop_s\":641,\"cublas_bf16_tflop_s\":801}"'
	put build/gpu/gpu_bench 'shift; echo "{\"bench\":\"decode\",\"with\":\"$*\"}"'
	put bin/python3 'exit 1'
	COMMIT=abc run sh "$BATS_TEST_DIRNAME/gpu-bench.sh" "$PWD/build" "$PWD/results" "llama-8b" "BF16 Q4_0"
	[ "$status" = 0 ]
	run cat results/*-h200.jsonl
	[ "$(jq -r '[.bench, .gpu, .commit] | @csv' <<<"${lines[0]}")" = '"run","NVIDIA H200","abc"' ]
	[ "${lines[2]}" = '{"bench":"failed","part":"half_bench","status":3}' ]
	[ "${lines[4]}" = '{"bench":"decode","with":"4473 llama-8b BF16 Q4_0 801"}' ]
	run cat results/*-h200.txt
	[ "${lines[3]}" = "rate  mma_bf16_tflop_s 641  cublas_bf16_tflop_s 801" ]
}

@test "gpu-check and gpu-bench without a GPU: one line, status 2, nothing kept" {
	put build/gpu/words_test 'echo "1..0 # no device"; exit 2'
	put bin/nvidia-smi 'exit 1'
	check
	[ "$status" = 2 ]
	[ "${#lines[@]}" = 1 ]
	run sh "$BATS_TEST_DIRNAME/gpu-bench.sh" "$PWD/build" "$PWD/results"
	[ "$status" = 2 ]
	[ "$output" = "gpu-bench: no NVIDIA GPU" ]
	[ ! -e results ]
}
