#!/bin/bash
# preference.sh RECORDS.jsonl [MODEL] [PROMPTS] - preference data (chosen, rejected) to standard output.
#
# Each instruction is answered SAMPLES times; equal and unusable answers go before a judge is paid
# for them; the best and the worst answer are a pair if their scores differ by MARGIN.
#
#   METHOD=judge      every answer is scored by itself on the five axes (default)
#   METHOD=pairwise   answers meet each other: twice the tokens and more, for judges that compare well
#
# The embedded model was not trained to compare: with it, only METHOD=judge means something.
set -euo pipefail
usage() {
	echo "usage: [METHOD=judge|pairwise] preference.sh RECORDS.jsonl [MODEL] [PROMPTS]" >&2
	exit 2
}
here=$(cd "$(dirname "$0")" && pwd)
records=${1:-}
model=${2:-$here/../models/tiny.gguf}
prompts=${3:-tiny}
margin=${MARGIN:-0.1}
method=${METHOD:-judge}

# Before anything is paid for.
[ -n "$records" ] || usage
case $method in judge | pairwise) ;; *) usage ;; esac

# Answers to one prompt stand one behind the other; a prompt with a single answer left has no pair.
pairs() {
	jq -cn --argjson margin "$margin" '
		def key: [.messages, .conversations, .instruction, .input, .prompt];
		def pair: (max_by(.score)) as $best | (min_by(.score)) as $worst
			| select($best.score - $worst.score >= $margin and $best.output != $worst.output)
			| $best + {prompt: ($best.prompt // ([$best.instruction, $best.input] | map(select(. != null and . != "")) | join("\n\n"))),
				chosen: $best.output, rejected: $worst.output, score_chosen: $best.score, score_rejected: $worst.score}
			| .meta.rejected = $worst.id | del(.output, .finish_reason, .usage, .sample);
		foreach (inputs, null) as $r ({group: []};
			if $r == null or (.group != [] and (.group[0] | key) != ($r | key))
			then {out: .group, group: [$r]} else {out: [], group: (.group + [$r])} end;
			.out | select(length > 1) | pair)'
}

llm-generate -m "$model" --seed 1 --samples "${SAMPLES:-4}" -t "${TEMP:-1}" "$records" |
	llm-filter --min-words 1 --max-repeat 0.5 --leaks --exact |
	case $method in
	judge) llm-score judge -m "$model" --prompts "$prompts" --reference self | pairs ;;
	# an answer that is alone has nothing to meet: a reject, and no failure of the whole
	pairwise) llm-score pairwise -q -m "$model" --prompts "$prompts" --pairs --margin "$margin" || [ $? = 1 ] ;;
	esac
