#!/usr/bin/env bash
# peer.sh - llm-bench beside the benchmarks of other runtimes, in one run.
#
#     PEER_BENCH=/path/to/llama-bench examples/bench/peer.sh [-j threads] [-n rounds]
#         [-o samples.jsonl] [-t tests] model.gguf ...
#
# Tests (-t, separated by commas) are pp256 (tokens a second of a prompt of 256), tg64 (of
# generation), tg64@2048 (of generation behind 2,048 tokens), pg128x8 (generation of 8 sequences
# after prompts of 128), and start (seconds from the start of the program to the end of a prompt of
# 8 tokens, and peak memory).
#
# In each round every side measures once, after a warm-up of its own; the order of the sides is
# turned around from round to round (ABBA). The table has medians, the least and the greatest
# value, and the ratio to the best peer. A round during which other processes had more than
# LIMIT (default 3) percent of the processor time is measured again, up to RETRIES (default 3) times.
#
# PEER_BENCH may have several lines, each "name=command with options"; PEER_BATCHED likewise
# names their llama-batched-bench, which the tests pg need. ROUND is a command in front of each
# round, such as "flock /tmp/lock". LLM_OPTIONS are of our side, such as "--kv-type f16".
# LLM_BENCH is ours (default: llm-bench of the PATH).
set -euo pipefail
export LC_ALL=C

usage() {
	sed -n '2,/^set -eu/s/^# \{0,1\}//p' "$0" >&2
	exit 2
}
threads=2 rounds=5 out='' tests=pp256,tg64
while getopts j:n:o:t: o; do
	case $o in
	j) threads=$OPTARG ;;
	n) rounds=$OPTARG ;;
	o) out=$OPTARG ;;
	t) tests=$OPTARG ;;
	*) usage ;;
	esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] && [ -n "${PEER_BENCH-}" ] || usage
: "${LLM_BENCH:=llm-bench}" "${LLM_OPTIONS=}" "${PEER_BATCHED=}" "${LIMIT:=3}" "${RETRIES:=3}"
[ -n "$out" ] || out=$(mktemp)

die() {
	echo "peer.sh: $*" >&2
	exit 2
}
# Lines "name=command" of a variable; a line without a name is "peer".
side_names() {
	sed -n 's/^\([a-z0-9.-]*\)=.*/\1/p; t; /./s/.*/peer/p' <<<"$1"
}
side_command() { # variable, name
	sed -n "s/^$2=//p; t; /^[a-z0-9.-]*=/!p" <<<"$1" | head -1
}

# One measurement of one side: prints the record's own members.
ours() { # model test
	local run="$LLM_BENCH latency -m $1 -j $threads --repeat 1 $LLM_OPTIONS" p=${2#pg}
	local n=${2#tg} depth=1

	case $2 in
	# the second time weights are used they are laid out anew: that is part of the warm-up
	pp*) $run --input "${2#pp}" --output 1 --warmup 2 | jq -c '{tok_s: .prefill_tok_s, read_gb_s, int8_gop_s, float_gop_s, peak: .prefill_peak, percent: .prefill_peak_percent}' ;;
	tg*)
		[ "$n" = "${n#*@}" ] || depth=${n#*@}
		$run --input "$depth" --output $((${n%@*} + 1)) | jq -c '{tok_s: .decode_tok_s, read_gb_s, int8_gop_s, peak: "read_gb_s", percent: .decode_read_percent}'
		;;
	pg*) $run --input "${p%x*}" --batch "${2#*x}" --output 33 | jq -c '{tok_s: .decode_tok_s, read_gb_s, int8_gop_s, peak: "read_gb_s", percent: .decode_read_percent}' ;;
	start) timed $run --input 8 --output 1 --warmup 0 --no-probe ;;
	esac
}
peer() { # model test name
	local b p=${2#pg} n=${2#tg}

	b="$(side_command "$PEER_BENCH" "$3") -m $1 -t $threads -o json"
	case $2 in
	pp*) $b -r 1 -p "${2#pp}" -n 0 2>/dev/null | jq -c '{tok_s: .[0].avg_ts}' ;;
	tg*@*)
		case $(${b%% *} --help 2>&1 || :) in
		*-gp\ *) $b -r 1 -p 0 -n 0 -gp "${n#*@},${n%@*}" 2>/dev/null ;;
		*) $b -r 1 -p 0 -n "${n%@*}" -d "${n#*@}" 2>/dev/null ;;
		esac | jq -c '{tok_s: .[0].avg_ts}'
		;;
	tg*) $b -r 1 -p 0 -n "${2#tg}" 2>/dev/null | jq -c '{tok_s: .[0].avg_ts}' ;;
	pg*)
		b="$(side_command "$PEER_BATCHED" "$3") -m $1 -t $threads -c 4096 -npp ${p%x*} -ntg 32 -npl ${2#*x}"
		# | PP | TG | B | N_KV | T_PP | S_PP | T_TG | S_TG | T | S |
		$b 2>&1 | awk -F'|' 'NF == 12 && $2 + 0 > 0 {printf "{\"tok_s\": %s}\n", $9 + 0}'
		;;
	start)
		case $(${b%% *} --help 2>&1 || :) in
		*--no-warmup*) b="$b --no-warmup" ;;
		*) b="$b -w 0" ;;
		esac
		timed $b -r 1 -p 8 -n 0
		;;
	esac
}
# Wall time and peak resident memory of a command.
timed() {
	local f a z

	f=$(mktemp)
	a=$EPOCHREALTIME
	command time -o "$f" -f '%M' "$@" >/dev/null 2>&1
	z=$EPOCHREALTIME
	jq -nc --argjson a "$a" --argjson z "$z" --argjson k "$(cat "$f")" '{seconds: ($z - $a), peak_rss_bytes: ($k * 1024)}'
	rm -f "$f"
}

busy_ticks() { # all and busy ticks of the machine
	awk '/^cpu / {print $2 + $3 + $4 + $5 + $6 + $7 + $8 + $9, $2 + $3 + $4 + $7 + $8; exit}' /proc/stat
}
# Every side once, each as a line of JSON; the last line is what others had of the processors.
round() { # model test number
	local sides side all busy all2 busy2 own

	sides="ours $(side_names "$PEER_BENCH")"
	[ $(($3 % 2)) = 1 ] || sides=$(tr ' ' '\n' <<<"$sides" | tac)
	own=$(mktemp)
	read -r all busy < <(busy_ticks)
	for side in $sides; do
		if [ "$side" = ours ]; then
			ours "$1" "$2"
		else
			peer "$1" "$2" "$side"
			$LLM_BENCH probe -j "$threads" --repeat 1 | jq -c '{read_gb_s, int8_gop_s, float_gop_s}'
		fi | jq -s add |
			jq -c --arg model "$(basename "$1" .gguf)" --arg test "$2" --arg side "$side" --argjson round "$3" \
				'{model: $model, test: $test, side: $side, round: $round} + .'
	done
	read -r all2 busy2 < <(busy_ticks)
	times >"$own" # not in a pipe: that would be another shell's
	awk -v a="$((all2 - all))" -v b="$((busy2 - busy))" 'NR == 2 {gsub(/[ms]/, " "); o = 100 * ($1 * 60 + $2 + $3 * 60 + $4)}
		END {print (a > 0 && b > o ? 100 * (b - o) / a : 0)}' "$own"
	rm -f "$own"
}
export -f ours peer timed busy_ticks round side_names side_command
export PEER_BENCH PEER_BATCHED LLM_BENCH LLM_OPTIONS threads

for test in ${tests//,/ }; do
	[[ $test =~ ^(pp[1-9][0-9]*|tg[1-9][0-9]*(@[1-9][0-9]*)?|pg[1-9][0-9]*x[1-9][0-9]*|start)$ ]] || die "'$test': no such test"
	[ "${test#pg}" = "$test" ] || [ -n "$PEER_BATCHED" ] || die "'$test' needs PEER_BATCHED"
done
for model in "$@"; do
	[ -r "$model" ] || die "cannot read '$model'"
done
for program in "$LLM_BENCH" $(sed 's/^[a-z0-9.-]*=//; s/ .*//' <<<"$PEER_BENCH"$'\n'"$PEER_BATCHED"); do
	command -v "$program" >/dev/null || die "'$program' cannot be run"
done
for model in "$@"; do
	for test in ${tests//,/ }; do
		for i in $(seq "$rounds"); do
			for try in $(seq $((RETRIES + 1))); do
				# shellcheck disable=SC2086 # ROUND is a command with arguments
				text=$(${ROUND-} bash -c 'set -euo pipefail; round "$@"' round "$model" "$test" "$i")
				other=$(tail -1 <<<"$text")
				awk -v x="$other" -v l="$LIMIT" 'BEGIN {exit !(x > l)}' || break
				echo "round $i of $test: others had $other % of the processors" >&2
			done
			sed '$d' <<<"$text" | jq -c --argjson other "$other" --argjson n "$try" '. + {other_percent: $other, tries: $n}' >>"$out"
		done
	done
done
exec sh "$(dirname "$0")/table.sh" "$out"
