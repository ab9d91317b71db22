#!/bin/sh
# gpu-bench.sh BUILD RESULTS [MODELS [TYPES]] - how fast a GPU is: the rates of its memory, kernels by
# themselves, and the transformer with random weights of real shapes, beside the rate at which memory
# was read in the same run. Lines of JSON go to RESULTS/DATE-GPU.jsonl, with the date, the GPU, the
# driver and the commit in front; a table of them to standard output and, as .txt, beside them.
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
for p in "$build"/gpu/*_bench; do
	case $p in */gpu_bench) ;; *) "$p" >>"$out.jsonl" ;; esac
done
read_gb_s=$(sed -n 's/.*"read_gb_s":\([0-9.]*\).*/\1/p' "$out.jsonl" | head -n 1)
"$build/gpu/gpu_bench" "$build/llm-cuda.so" "${read_gb_s:-0}" "$models" "$types" >>"$out.jsonl"

# {"a":"x","b":1} as "x 1" with names in front of numbers; lists of ops a line each.
sed 's/^{"bench":"//; s/}$//; s/","[a-z_0-9]*":"/ /g; s/":/ /g; s/",/,/g; s/"//g; s/,/  /g' "$out.jsonl" >"$out.txt"
cat "$out.txt"
