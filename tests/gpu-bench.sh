#!/bin/sh
# gpu-bench.sh BUILD RESULTS [MODELS [TYPES]] - how fast a GPU is: the rates of its memory, kernels by
# themselves, and the transformer with random weights of real shapes, beside the rate at which memory
# was read in the same run, and beside PyTorch where it can be imported. Lines of JSON go to
# RESULTS/DATE-GPU.jsonl, with the date, the GPU, the driver and the commit in front; a table of them
# to standard output and, as .txt, beside them. Each part has its time, some eight minutes in all; one
# that fails says so and leaves the others alone.
set -eu
cd "$(dirname "$0")/.."
build=$1
results=$2
models=${3:-llama-8b llama-1b}
types=${4:-BF16 Q8_0 Q4_0 Q4_K}

gpu=$(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader 2>/dev/null | head -n 1) || :
[ -n "$gpu" ] || {
	echo "gpu-bench: no NVIDIA GPU" >&2
	exit 2
}
name=${gpu%%,*}
mkdir -p "$results"
out=$results/$(date -u +%Y-%m-%d)-$(echo "$name" | sed 's/^NVIDIA //; s/ .*//' | tr '[:upper:]' '[:lower:]')
commit=${COMMIT:-$(git describe --always --dirty 2>/dev/null || echo unknown)}
printf '{"bench":"run","date":"%s","gpu":"%s","driver":"%s","commit":"%s"}\n' \
	"$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$name" "${gpu##*, }" "$commit" >"$out.jsonl"

# SECONDS PROGRAM...: its lines, or one that it failed.
part() {
	limit=$1
	shift
	timeout "$limit" "$@" >>"$out.jsonl" || printf '{"bench":"failed","part":"%s","status":%d}\n' "${1##*/}" "$?" >>"$out.jsonl"
}
# The first value of a field that is not 0.
value() {
	sed -n "s/.*\"$1\":\([1-9][0-9.]*\).*/\1/p" "$out.jsonl" | head -n 1
}
for p in "$build"/gpu/*_bench; do
	case $p in */gpu_bench) ;; *) part 35 "$p" ;; esac
done
tflop_s=$(value cublas_bf16_tflop_s)
[ -n "$tflop_s" ] || tflop_s=$(value mma_bf16_tflop_s)
read_gb_s=$(value read_gb_s)
torch=
! python3 -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null || torch=1
for m in $models; do
	part 80 "$build/gpu/gpu_bench" "$build/llm-cuda.so" "${read_gb_s:-0}" "$m" "$types" "${tflop_s:-0}"
	[ -z "$torch" ] || part 60 python3 tests/gpu-torch.py "$m" 2>/dev/null
done

# Continuous batching under the engine, where the commands could be built: exact, and --fast.
if [ -x "$build/llm-bench" ] && [ "${BATCHING-1}" != 0 ]; then
	model=$(mktemp "${TMPDIR:-/tmp}/gpu-bench.XXXXXX") || exit 2
	trap 'rm -f "$model"' EXIT
	if timeout 120 "$build/llm-bench" make -q --synthetic "${SHAPE:-llama-8b}" --type "${TYPE:-bf16}" --force --write "$model" >/dev/null; then
		for fast in "" --fast; do
			part 95 "$build/llm-bench" throughput -m "$model" -d "${DEVICE:-cuda}" $fast --no-probe --batch 256 \
				--batch-tokens 2048 --records "${RECORDS:-256}" --input "${LENGTH:-1024}" --output "${LENGTH:-1024}"
		done
	else
		echo "gpu-bench: no model for the batching: not measured" >&2
	fi
else
	echo "gpu-bench: no llm-bench: the batching is not measured" >&2
fi

# {"a":"x","b":1} as "x 1" with names in front of numbers; lists of ops a line each.
sed 's/^{"bench":"//; s/}$//; s/","[a-z_0-9]*":"/ /g; s/":/ /g; s/",/,/g; s/"//g; s/,/  /g' "$out.jsonl" >"$out.txt"
cat "$out.txt"
