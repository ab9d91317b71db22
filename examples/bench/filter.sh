#!/bin/sh
# filter.sh [-n RECORDS] [-w WORDS] [-d DIR] [-- llm-filter options ...] - llm-filter with all rules that need no model.
#
# Makes RECORDS records (850000: 1 GB) with answers of about WORDS words by tests/mkrecords, puts all rules
# into one file, and prints megabytes a second of processor time and of the clock, and the most memory held.
# Records and rules are kept in DIR and used again. Needs make tests in the directory above.
set -eu
cd "$(dirname "$0")/../.."
n=850000 words=150 dir=build/bench
while getopts n:w:d: o; do
	case $o in
	n) n=$OPTARG ;;
	w) words=$OPTARG ;;
	d) dir=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
mkdir -p "$dir"
in=$dir/records-$n-$words.jsonl
[ -s "$in" ] || { build/tests/mkrecords 1 "$n" "$words" >"$in.new" && mv "$in.new" "$in"; }
build/tests/mkrecords 1 bench 1000 >"$dir/benchmark.jsonl"
build/tests/mkrecords 2 bench 200 | cut -d'"' -f4 | cut -d' ' -f1-3 | tr -d ',.?!' >"$dir/blacklist.txt"
cat >"$dir/rules.yaml" <<Y
rules:
  - {min-words: 3, field: instruction}
  - {max-words: 300, field: instruction}
  - min-words: 5
  - max-words: 5000
  - min-chars: 20
  - max-chars: 50000
  - min-score: 0.001
  - where: meta.source != seed
  - lang: en,ko,und
  - script: other <= 0.5
  - preset: gopher
  - preset: c4
  - preset: fineweb
  - {gopher-stop-words: 0}
  - {gopher-min-words: 5}
  - {c4-sentences: 0}
  - {fineweb-newlines: 0.8}
  - {gopher-min-mean: 1.5}
  - {gopher-letters: 0.5}
  - {gopher-top-4-gram: 0.3}
  - max-repeat: 0.3
  - refusals
  - {json: yes, field: args}
  - leaks
  - blacklist: $dir/blacklist.txt
  - pii: mask
  - decontaminate: $dir/benchmark.jsonl
  - exact
  - near: 0.8
Y
rm -f "$dir/rejects.jsonl"
# Reads the input once, so that the disk is not what is measured; then samples memory until the end.
bytes=$(cat "$in" | wc -c)
(
	build/llm-filter --rules "$dir/rules.yaml" --stats "$dir/stats.json" --rejects "$dir/rejects.jsonl" "$@" "$in" >"$dir/out.jsonl" &
	echo $! >"$dir/pid"
	wait $!
	times >"$dir/times"
) &
sleep 0.2
status=/proc/$(cat "$dir/pid")/status
peak=0 anon=0
while grep -q "^State:.[^Z]" "$status" 2>/dev/null; do
	sed -n 's/^\(VmHWM\|RssAnon\):[[:space:]]*\([0-9]*\).*/\1 \2/p' "$status" >"$dir/mem" 2>/dev/null || break
	while read -r what kib; do
		case $what in
		VmHWM) peak=$kib ;;
		RssAnon) [ "$kib" -le $anon ] || anon=$kib ;;
		esac
	done <"$dir/mem"
	sleep 0.2
done
wait
tail -1 "$dir/times" | tr 'ms' '  ' | {
	read -r um us sm ss
	jq -r --argjson b "$bytes" --argjson cpu "$(echo "$um $us $sm $ss" | awk '{print $1 * 60 + $2 + $3 * 60 + $4}')" \
		--argjson peak $peak --argjson anon $anon '
		"records \(.read), kept \(.written), \($b / 1e6 | round) MB, \($cpu) s of processors, \(.seconds) s",
		"\($b / 1e6 / $cpu * 10 | round / 10) MB/s a core, \($b / 1e6 / .seconds * 10 | round / 10) MB/s in all",
		"memory \($peak / 1024 | round) MiB, of it \($anon / 1024 | round) MiB not in files, \($anon * 1024 / .read | round) bytes a record",
		(.rules | to_entries | map("\(.key) \(.value)") | join(", "))' "$dir/stats.json"
}
