#!/bin/bash
# slurm.sh [SHARDS] - the pipeline on a Slurm cluster; the data set is the one that the Makefile
# makes on one machine.
#
#   OUT=/shared/dir COUNT=10000 MODEL=/shared/model.gguf PROMPTS=general SBATCH_PARTITION=gpu examples/synthetic/slurm.sh 64
#
# Answers and scores, which take the time, are job arrays of SHARDS tasks, what comes before and
# between them single jobs. The settings are the Makefile's, from the environment; Slurm's own
# (SBATCH_PARTITION, SBATCH_GPUS ...) too. OUT must be a directory that all nodes see.
#
# A task that is stopped, by the end of its time or by a signal, ends with status 75 and is put
# back into the queue; one whose node is lost Slurm puts there. It goes on where it was, in files
# of its own attempt: a node that was only thought dead and still writes spoils nothing. Told to stop
# a minute before its end, it finishes the records in hand if that takes no longer than GRACE seconds
# (40); else they are begun again.
# llm-merge joins the attempts and the shards, and fails if anything is missing or differs.
set -euo pipefail
here=${SYNTHETIC:-$(cd "$(dirname "$0")" && pwd)}
attempt=${SLURM_RESTART_COUNT:-0}

# Runs a command, passing on the signal to stop; when it had to, back into the queue.
run() {
	local pid s rc=0 told=
	"$@" &
	pid=$!
	trap 'told=1; kill -TERM $pid || :' TERM
	wait $pid || rc=$?
	if [ -n "$told" ]; then # Slurm will not requeue what it has to kill
		for ((s = 0; s < ${GRACE:-40}; s++)); do
			kill -0 $pid 2>/dev/null || break
			sleep 1
		done
		kill -TERM $pid 2>/dev/null || : # a second signal ends it
		rc=0
		wait $pid || rc=$?
	fi
	trap - TERM
	if [ $rc = 75 ] || { [ -n "$told" ] && [ $rc != 0 ]; }; then
		scontrol requeue "$SLURM_JOB_ID"
		exit 75
	fi
	return $rc
}

# Targets of the Makefile, in a directory of this attempt, which begins with what the one before
# it left; whole files are moved to OUT.
make_files() {
	local dir=$OUT/$SLURM_JOB_NAME.a$attempt before=$OUT/$SLURM_JOB_NAME.a$((attempt - 1))
	mkdir -p "$dir"
	cp -p "$OUT"/*.jsonl "$OUT/settings" "$dir" 2>/dev/null || :
	[ ! -d "$before" ] || cp -pn "$before"/* "$dir" 2>/dev/null || :
	run make -C "$here" OUT="$dir" "${@/#/$dir/}"
	mkdir -p "$dir/whole" # there when a run was killed here and then submitted anew
	cp -p "$dir"/*.json* "$dir/settings" "$dir/whole"
	mv -n "$dir"/whole/* "$OUT" # what another attempt has put there is the same
	rm -r "$dir"
}

# The command of a stage with its inputs.
stage() {
	make -s -C "$here" OUT="$OUT" "command-$1"
}
inputs() {
	case $1 in
	answered) echo "$OUT/clean.jsonl" ;;
	scored) echo "${SEEDS:-seeds.jsonl} $OUT/sound.jsonl" ;;
	esac
}

case ${1:-} in
part) # a task of an array: its shard of a stage
	cd "$here"
	shard=$OUT/$2.${SLURM_ARRAY_TASK_ID}of$SLURM_ARRAY_TASK_COUNT
	rc=0
	# shellcheck disable=SC2046 # words
	run $(stage "$2") --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" --attempt "$attempt" --resume \
		-o "$shard.jsonl" --rejects "$shard.rejects.jsonl" --stats "$shard.a$attempt.stats.json" $(inputs "$2") || rc=$?
	[ $rc = 1 ] || exit $rc # 1: rejects, which are in their file
	;;
join) # the shards of a stage, then what follows from them
	cd "$here"
	like='' rejected='' shards=''
	for f in $(inputs "$2"); do
		like="$like --like $f"
	done
	for i in $(seq "$3"); do
		shards="$shards $OUT/$2.${i}of$3.jsonl"
		rejected="$rejected --rejected $OUT/$2.${i}of$3.rejects.jsonl"
	done
	# shellcheck disable=SC2086 # words
	llm-merge $like $rejected -o "$OUT/$2.merged" $shards
	mv -n "$OUT/$2.merged" "$OUT/$2.jsonl"
	make_files "${@:4}"
	;;
files)
	make_files "${@:2}"
	;;
*)
	shards=${1:-8}
	case $shards in
	'' | 0* | *[!0-9]*)
		echo "usage: slurm.sh [SHARDS]" >&2
		exit 2
		;;
	esac
	OUT=$(mkdir -p "${OUT:-out}/log" && cd "${OUT:-out}" && pwd)
	SYNTHETIC=$here
	export OUT SYNTHETIC
	# Files are named from where the user stands, who is not where the Makefile is.
	for v in MODEL SEEDS PROMPTS; do
		case $v:${!v:-} in PROMPTS:*/* | PROMPTS:*.yaml | MODEL:?* | SEEDS:?*)
			[ ! -e "${!v}" ] || export "$v=$(realpath "${!v}")"
			;;
		esac
	done
	after=
	job() { # NAME LOG [options --] STEP ...
		local name=$1 log=$2
		shift 2
		after=$(sbatch --parsable -J "$name" ${after:+--dependency=afterok:$after} --requeue --open-mode=append \
			--signal=B:TERM@60 -o "$OUT/log/$log.txt" "$@")
		after=${after%%;*}
		echo "$name $after"
	}
	job clean %x "$0" files clean.jsonl
	job answered %x.%a --array="1-$shards" "$0" part answered
	job sound %x "$0" join answered "$shards" sound.jsonl
	job scored %x.%a --array="1-$shards" "$0" part scored
	job dataset %x "$0" join scored "$shards" dataset.jsonl
	;;
esac
