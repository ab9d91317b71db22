#!/bin/sh
# check.sh BUILD - the CUDA backend on emulated threads: its tests in several ways, as TAP.
#
# Plain; threads in random orders; work of streams as late as may be, with device memory closed to
# the host; under sanitizers; with the race check. The slower ways try every so-manyth case, not
# all the same ones. Then kernels with planted mistakes, each of which some way must notice.
set -u
cd "$(dirname "$0")/../.." || exit 2
build=$PWD/$1
dir=$(mktemp -d) || exit 2
trap 'rm -rf "$dir"' EXIT
if [ ! -e "$build/llm-cuda-emu.so" ]; then
	echo "ok 1 emulation # skip the CUDA backend is left out of this build"
	echo "1..1"
	exit 0
fi
so=$build/llm-cuda-emu.so
asan=$build/emu/san/llm-cuda-emu.so
race=$build/emu/race/llm-cuda-emu.so
blas=$build/emu/libcublasLt-emu.so

# NAME ENVIRONMENT PROGRAM: a line of the list of work
work() {
	n=$((n + 1))
	printf '%03d|%s|%s|%s\n' "$n" "$1" "$2" "$3" >>"$dir/list"
}
n=0
ops=$build/tests/ops
if [ -e "$asan" ]; then
	work "attn" "LLM_TEST_DEVICE=$so" "$ops/attn_test"
	work "linear" "LLM_TEST_DEVICE=$so" "$ops/linear_test"
	work "ops" "LLM_TEST_DEVICE=$so" "$ops/ops_test"
	work "fused" "LLM_TEST_DEVICE=$so" "$ops/fused_test"
	work "pick" "LLM_TEST_DEVICE=$so" "$ops/pick_test"
	work "fast" "EMU_CUBLASLT=$blas LLM_TEST_DEVICE=$so" "$ops/fast_test"
	work "tree" "LLM_TEST_DEVICE=$so" "$ops/tree_test"
	work "trees of a model" "LLM_TEST_DEVICE=$so" "$build/tests/unit/tree_test"
	work "words" "EMU_CLOSED=1" "$build/emu/plain/words_test"
	work "cache" "EMU_SEED=5" "$build/emu/plain/cache_test"
	for i in 0 1; do
		work "cache, zeros that count $i" "EMU_MMA_CUT=1 LLM_TEST_PART=$i/2" "$build/emu/plain/cache_test"
	done
	work "half" "EMU_SEED=6" "$build/emu/plain/half_test"
	work "many" "EMU_SEED=7" "$build/emu/plain/many_test"
	for s in 1 2 3 4; do
		for t in ops linear attn tree fused pick; do
			work "$t, order $s" "EMU_SEED=$s LLM_TEST_DEVICE=$so LLM_TEST_PART=$s/16" "$ops/${t}_test"
		done
	done
	for t in ops linear attn tree fused pick; do
		work "$t, late" "EMU_DEFER=1 EMU_CLOSED=1 LLM_TEST_DEVICE=$so LLM_TEST_PART=3/16" "$ops/${t}_test"
	done
	work "cache, 99 KiB of shared memory" "EMU_CAPABILITY=86 LLM_TEST_PART=0/2" "$build/emu/plain/cache_test"
	work "fused, 99 KiB of shared memory" "EMU_CAPABILITY=86 LLM_TEST_DEVICE=$so LLM_TEST_PART=0/3" "$ops/fused_test"
	lib=$(ldd "$asan" | awk '/libasan/ {print $3}')
	san="LD_PRELOAD=$lib ASAN_OPTIONS=detect_leaks=0 LLM_TEST_DEVICE=$asan"
	work "words, sanitizers" "ASAN_OPTIONS=detect_leaks=0" "$build/emu/san/words_test"
	work "ops, sanitizers" "$san" "$ops/ops_test"
	work "linear, sanitizers" "$san LLM_TEST_PART=2/13" "$ops/linear_test"
	work "attn, sanitizers" "$san LLM_TEST_PART=6/16" "$ops/attn_test"
	work "tree, sanitizers" "$san LLM_TEST_PART=1/6" "$ops/tree_test"
	work "fused, sanitizers" "$san LLM_TEST_PART=0/3" "$ops/fused_test"
	work "fast, sanitizers" "EMU_CUBLASLT=$blas $san LLM_TEST_PART=1/4" "$ops/fast_test"
	work "pick, sanitizers" "$san LLM_TEST_PART=1/4" "$ops/pick_test"
	for i in 0 1 2 3 4 5; do
		work "cache, races $i" "EMU_RACE=1 LLM_TEST_PART=$i/6" "$build/emu/race/cache_test"
	done
	work "half, races" "EMU_RACE=1 LLM_TEST_PART=0/3" "$build/emu/race/half_test"
	work "half, sanitizers" "ASAN_OPTIONS=detect_leaks=0 LLM_TEST_PART=6/9" "$build/emu/san/half_test"
	work "many, races" "EMU_RACE=1 LLM_TEST_PART=2/4" "$build/emu/race/many_test"
	work "many, sanitizers" "ASAN_OPTIONS=detect_leaks=0 LLM_TEST_PART=1/4" "$build/emu/san/many_test"
	work "words, races" "EMU_RACE=1" "$build/emu/race/words_test"
	work "ops, races" "EMU_RACE=1 LLM_TEST_DEVICE=$race" "$ops/ops_test"
	work "linear, races" "EMU_RACE=1 LLM_TEST_DEVICE=$race LLM_TEST_PART=2/10" "$ops/linear_test"
	work "attn, races" "EMU_RACE=1 LLM_TEST_DEVICE=$race LLM_TEST_PART=9/16" "$ops/attn_test"
	work "tree, races" "EMU_RACE=1 LLM_TEST_DEVICE=$race LLM_TEST_PART=4/6" "$ops/tree_test"
	work "fused, races" "EMU_RACE=1 LLM_TEST_DEVICE=$race LLM_TEST_PART=1/3" "$ops/fused_test"
	work "fast, races" "EMU_CUBLASLT=$blas EMU_RACE=1 LLM_TEST_DEVICE=$race LLM_TEST_PART=2/4" "$ops/fast_test"
	work "pick, races" "EMU_RACE=1 LLM_TEST_DEVICE=$race LLM_TEST_PART=2/8" "$ops/pick_test"
else # a build with sanitizers, all of it
	for t in ops linear attn tree fused pick; do
		work "$t" "LLM_TEST_DEVICE=$so LLM_TEST_PART=1/20" "$ops/${t}_test"
	done
	work "words" "" "$build/emu/plain/words_test"
fi

# As many at a time as there are processors.
one='n=${0%%|*}; rest=${0#*|}; rest=${rest#*|}; set -- ${rest%%|*}; s=$(date +%s)
	env "$@" timeout 300 "${rest##*|}" >"$dir/$n" 2>&1; echo $? >"$dir/$n.rc"; echo $(($(date +%s) - s)) >"$dir/$n.s"'
dir=$dir xargs -d '\n' -n 1 -P "$(nproc)" sh -c "$one" <"$dir/list"
while IFS='|' read -r i name env program; do
	rc=$(cat "$dir/$i.rc" 2>/dev/null || echo none)
	if [ "$rc" = 0 ] && grep -q '^ok' "$dir/$i" && ! grep -q '^not ok' "$dir/$i"; then
		echo "ok $i $name: $(grep -c '^ok' "$dir/$i") tests, $(cat "$dir/$i.s") s"
	else
		echo "not ok $i $name: status $rc, $env $program"
		grep -v '^ok' "$dir/$i" | tail -n 30 | sed 's/^/# /'
	fi
done <"$dir/list"

# Which way notices which mistake: a status, or wrong values.
bug() { # NAME WAY
	n=$((n + 1))
	i=$("$build/emu/plain/bugs" | awk -v b="$1" '$0 == b {print NR - 1}')
	case $2 in
	race) EMU_RACE=1 "$build/emu/race/bugs" "$i" >"$dir/bug" 2>&1 ;;
	san) "$build/emu/san/bugs" "$i" >"$dir/bug" 2>&1 ;;
	*) EMU_CLOSED=1 "$build/emu/plain/bugs" "$i" >"$dir/bug" 2>&1 ;;
	esac
	rc=$?
	if [ "$1" = none ] || [ "$1" = "bytes and words" ]; then
		[ $rc = 0 ] && grep -q '^0 values' "$dir/bug"
	elif [ "$2" = values ]; then
		[ $rc = 0 ] && grep -q '^[1-9][0-9]* values' "$dir/bug"
	else
		[ $rc != 0 ]
	fi && echo "ok $n planted, $2: $1" || { echo "not ok $n planted, $2: $1"; sed 's/^/# /' "$dir/bug"; }
}
if [ -e "$asan" ]; then
	for way in plain san race; do
		bug none $way
	done
	bug "bytes and words" race
	bug "wrong reduction" values
	bug "missing barrier" values
	for b in "divergent shuffle" "early return" "two barriers" "static shared overrun" "stack overflow" "block too large" \
		"host touches device memory" "global prefetch out of bounds"; do
		bug "$b" plain
	done
	for b in "global read out of bounds" "global write out of bounds" "misaligned load" "dynamic shared overrun"; do
		bug "$b" san
	done
	for b in "missing barrier" "missing syncwarp" "global read out of bounds" "blocks write one place" "sum without atomics" \
		"missing second barrier" "word over bytes" "bytes over word" "host pointer" "cp.async read too early"; do
		bug "$b" race
	done
fi
echo "1..$n"
