#!/bin/bash
# parallel.sh [SHARDS] - the pipeline with GNU parallel, on this machine or over ssh; the data set
# is the one that the Makefile makes.
#
#   OUT=dir COUNT=10000 PARALLEL_OPTIONS="-j1 -S host1,host2" examples/synthetic/parallel.sh 8
#
# Answers and scores are made in SHARDS jobs. The settings are the Makefile's, from the environment;
# with hosts, OUT and the model must be on a disk that all see. Whatever ended it, the same command
# goes on: finished jobs stand in parallel's log, a job that was stopped takes up its own file.
# A job that fails is tried three times. Status 1 of a command means rejects, which are in their file.
set -euo pipefail
shards=${1:-8}
case $shards in
'' | 0* | *[!0-9]*)
	echo "usage: parallel.sh [SHARDS]" >&2
	exit 2
	;;
esac
OUT=$(mkdir -p "${OUT:-out}" && cd "${OUT:-out}" && pwd)
export OUT
# Files are named from where the user stands, who is not where the Makefile is.
for v in MODEL SEEDS PROMPTS; do
	case $v:${!v:-} in PROMPTS:*/* | PROMPTS:*.yaml | MODEL:?* | SEEDS:?*)
		[ ! -e "${!v}" ] || export "$v=$(realpath "${!v}")"
		;;
	esac
done
cd "$(dirname "$0")"

stage() { # NAME INPUT ...
	local name=$1 command file like
	shift
	like=("${@/#/--like=}")
	command=$(make -s "command-$name")
	file="$OUT/$name.{}of$shards"
	# shellcheck disable=SC2086 # several options
	seq "$shards" | parallel --will-cite --joblog "$OUT/$name.joblog" --resume-failed --retries 3 --termseq TERM,60000,KILL \
		${PARALLEL_OPTIONS:-} "cd '$PWD' && $command --shard {}/$shards --resume -o '$file.jsonl' \
			--rejects '$file.rejects.jsonl' --stats '$file.stats.json' $* || [ \$? = 1 ]"
	seq "$shards" | sed "s|.*|--rejected $OUT/$name.&of$shards.rejects.jsonl $OUT/$name.&of$shards.jsonl|" |
		xargs llm-merge "${like[@]}" -o "$OUT/$name.jsonl"
}

# The joined file of a stage is there when the stage is done.
make "$OUT/clean.jsonl"
[ -e "$OUT/answered.jsonl" ] || stage answered "$OUT/clean.jsonl"
make "$OUT/sound.jsonl"
[ -e "$OUT/scored.jsonl" ] || stage scored "${SEEDS:-seeds.jsonl}" "$OUT/sound.jsonl"
make "$OUT/dataset.jsonl"
