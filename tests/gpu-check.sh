#!/bin/sh
# gpu-check.sh BUILD RESULTS - the tests that need a GPU: every instruction's fragments, every op
# against the scalar CPU's bytes, steps that are replayed; then parts of these under
# compute-sanitizer, where there is one (SANITIZE=0: not), as far as there is time: what has not ended
# MOST seconds (360) after the start is left out, and counted as skipped. The last line is "N passed,
# N failed"; a record of the run is added to RESULTS/gpu-check.jsonl. Status 2 without a GPU.
set -u
cd "$(dirname "$0")/.." || exit 2
build=$1
results=$2
most=${MOST:-360} # eight minutes with the build ahead of it
pass=0
fail=0
skipped=0
began=$(date +%s)
out=$(mktemp) || exit 2
trap 'rm -f "$out"' EXIT

# What a program printed as TAP, with its status.
count() {
	p=$(grep -c '^ok ' "$out")
	f=$(grep -c '^not ok ' "$out")
	[ "$2" = 0 ] || [ "$f" -gt 0 ] || f=1
	pass=$((pass + p))
	fail=$((fail + f))
	echo "$1: $p passed, $f failed"
	if [ "$f" != 0 ]; then
		echo "status $2"
		grep -v '^ok ' "$out" | head -n 60
	fi
}
checked() { # TOOL PROGRAM PART
	left=$((most - $(date +%s) + began))
	rc=124
	[ "$left" -lt 200 ] || left=200
	if [ "$left" -gt 0 ]; then
		LLM_TEST_PART=$3 timeout "$left" "$sanitizer" --tool "$1" --error-exitcode 9 --print-limit 5 \
			"$build/gpu/$2_test" >"$out" 2>&1
		rc=$?
	fi
	if [ $rc = 124 ] && [ "$left" != 200 ]; then
		skipped=$((skipped + 1))
		echo "$2, $1 (part $3): skipped, for want of time"
	else
		count "$2, $1 (part $3)" $rc
	fi
}

"$build/gpu/words_test" >"$out" 2>&1
rc=$?
if [ $rc = 2 ]; then
	cat "$out"
	exit 2
fi
head -n 1 "$out"
count words $rc
timeout 200 "$build/gpu/cache_test" >"$out" 2>&1
count cache $?
timeout 200 "$build/gpu/half_test" >"$out" 2>&1
count half $?
timeout 200 "$build/gpu/many_test" >"$out" 2>&1
count many $?
LLM_TEST_DEVICE=$PWD/$build/llm-cuda.so
export LLM_TEST_DEVICE
for t in ops linear attn tree fused pick fast; do
	timeout 200 "$build/gpu/${t}_test" >"$out" 2>&1
	count "$t" $?
done
sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null || :)
[ "${SANITIZE-1}" != 0 ] || sanitizer=
if [ -n "$sanitizer" ]; then
	for tool in memcheck racecheck; do
		checked $tool words 0/1
		checked $tool ops 0/1
		checked $tool linear 0/6
		checked $tool many 2/13
		checked $tool attn 1/8
		checked $tool fused 0/2
		checked $tool pick 0/4
	done
else
	echo "# no compute-sanitizer: memory and races are not checked"
fi

gpu=$(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader 2>/dev/null | head -n 1)
commit=${COMMIT:-$(git describe --always --dirty 2>/dev/null || echo unknown)}
mkdir -p "$results"
printf '{"date":"%s","gpu":"%s","driver":"%s","commit":"%s","sanitizer":%s,"passed":%d,"failed":%d,"skipped":%d,"seconds":%d}\n' \
	"$(date -u +%Y-%m-%dT%H:%M:%SZ)" "${gpu%%,*}" "${gpu##*, }" "$commit" \
	"$([ -n "$sanitizer" ] && echo true || echo false)" \
	"$pass" "$fail" "$skipped" "$(($(date +%s) - began))" >>"$results/gpu-check.jsonl"
echo "$pass passed, $fail failed"
[ "$fail" = 0 ] && [ "$pass" -gt 0 ]
