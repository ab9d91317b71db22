#!/bin/sh
# demo.sh BUILD - what `make demo` runs: seed instructions through the whole pipeline on the
# embedded model, with a summary at the end. The data set stays in BUILD/demo (build/demo).
# With jq there is a page about it, report.html. COUNT and OUT in the environment choose another size and place.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "${1:-$here/../../build}" && pwd)
out=$(mkdir -p "${OUT:-$build/demo}" && cd "${OUT:-$build/demo}" && pwd)
shown=${out#"$PWD"/}
records=${COUNT:-1000}
stages="instructions evolved clean answered sound scored good dataset"

# A number under a key of a file of counts, 0 when it is not there; the sum over all files of a stage;
# the object under a key.
number() {
	awk -v key="\"$2\":" '{ i = index($0, key); if (i) { s = substr($0, i + length(key)); sub(/[,}].*/, "", s); n += s } }
		END { print n + 0 }' "$1"
}
count() {
	cat "$out/$1".stats.json "$out/$1".*of*.stats.json 2>/dev/null | number - "$2"
}
object() {
	sed -n "s/.*\"$2\":{\([^}]*\)}.*/\1/p" "$1" | tr -d '"' | sed 's/:/ /g; s/,/, /g'
}
# "Key: text" of a record's field, with the usual escapes undone.
field() {
	printf '%s\n' "$2" | sed -n "s/.*\"$1\": *\"\(\([^\"\\\\]\|\\\\.\)*\)\".*/\1/p" | sed 's/\\n/ | /g; s/\\"/"/g'
}

make -s -C "$here" OUT="$out" clean # of what a demo before made, and nothing else
mkdir -p "$out"
began=$(date +%s)
for stage in $stages; do
	make --no-print-directory -C "$here" BIN="$build/" OUT="$out" COUNT="$records" INSTRUCTIONS="${INSTRUCTIONS:-$records}" \
		"$out/$stage.jsonl" >"$out/log" || {
		cat "$out/log"
		exit 1
	}
	sed -n "/llm-/{s|$build/||g;s|$out/||g;s|  *| |g;s|^|\$ |;p;}" "$out/log"
	printf '  %d in, %d out, %d dropped, %.1f s\n' "$(count $stage read)" "$(count $stage written)" \
		$(($(count $stage dropped) + $(count $stage rejected))) "$(count $stage seconds)"
done
seconds=$(($(date +%s) - began))
"$build/llm-filter" -q --stats "$out/summary.json" "$out/dataset.jsonl" >/dev/null

echo
printf '%-14s %8s %8s %8s %10s %10s\n' stage in out dropped tokens seconds
tokens=0
for stage in $stages; do
	t=$(($(count $stage prompt_tokens) + $(count $stage generated_tokens)))
	tokens=$((tokens + t))
	printf '%-14s %8d %8d %8d %10d %10.1f\n' "$stage" "$(count $stage read)" "$(count $stage written)" \
		$(($(count $stage dropped) + $(count $stage rejected))) "$t" "$(count $stage seconds)"
done
s=$out/summary.json
records=$(number "$s" written)
echo
printf 'records          %d in %s\n' "$records" "$shown/dataset.jsonl"
printf 'sources          %s\n' "$(object "$s" sources)"
awk -v x="$(number "$s" synthetic_share)" 'BEGIN { printf "synthetic share  %.1f %%\n", 100 * x }'
printf 'mean score       %.3f (0 to 1)\n' "$(number "$s" mean_score)"
printf 'topics           %.1f before, %.1f after balancing\n' \
	"$(sed -n 's/.*"before":{[^}]*"topics":\([0-9.]*\).*/\1/p' "$out/dataset.stats.json")" \
	"$(sed -n 's/.*"after":{[^}]*"topics":\([0-9.]*\).*/\1/p' "$out/dataset.stats.json")"
[ "$records" = 0 ] || printf 'tokens           %d, %d per accepted record\n' "$tokens" $((tokens / records))
printf 'seconds          %d\n' "$seconds"
if command -v jq >/dev/null; then
	sh "$here/report.sh" "$out" >"$out/report.html"
	printf 'report           %s\n' "$shown/report.html"
fi
echo
echo "Some of the records:"
step=$((records / 6 + 1))
awk -v step="$step" 'NR % step == 0' "$out/dataset.jsonl" | while IFS= read -r line; do
	printf '\n  instruction  %s\n' "$(field instruction "$line")"
	input=$(field input "$line")
	[ -z "$input" ] || printf '  input        %s\n' "$input"
	printf '  output       %s\n' "$(field output "$line")"
	printf '  from         %s %s, score %s\n' "$(field source "$line")" "$(field op "$line")" \
		"$(printf '%s\n' "$line" | sed 's/.*"score":\([0-9.]*\).*/\1/')"
done
