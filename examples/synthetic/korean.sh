#!/bin/bash
# korean.sh [SEEDS.jsonl] [MODEL] [PROMPTS] - a Korean data set to standard output.
#
# The loop, the filters and the choice are the ones for any language; what differs: instructions are
# counted and compared by syllables, which the commands do by themselves, and a rule of script in front of
# each model call, since models like to fall back into English. PROMPTS should ask in Korean.
# What was left out is in REJECTS.1 (instructions), .2, .3 (answers), with the share of Hangul found.
#
# The embedded model knows no Korean. With it every new record is rejected by the rule of script, and
# the data set is the seeds: that is how a run with an unsuitable model looks.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
seeds=${1:-$here/korean.jsonl}
model=${2:-$here/../models/tiny.gguf}
prompts=${3:-tiny}
rejects=${REJECTS:-/dev/null}
[ "$rejects" = /dev/null ] || numbered=yes

llm-selfinstruct -m "$model" --prompts "$prompts" --seed 1 --no-seeds --count "${COUNT:-100}" --max-rounds "${ROUNDS:-100}" "$seeds" |
	llm-filter --field instruction --min-chars 5 --script 'Hangul >= 0.5' --leaks --exact --near 0.9 --rejects "$rejects${numbered:+.1}" |
	llm-evol -m "$model" --prompts "$prompts" --seed 1 |
	llm-filter --field instruction --script 'Hangul >= 0.5' --leaks --exact --near 0.9 --rejects "$rejects${numbered:+.2}" |
	llm-generate -m "$model" --seed 1 -t 0.7 |
	llm-filter --script 'Hangul >= 0.5' --min-chars 1 --max-repeat 0.5 --refusals --leaks --rejects "$rejects${numbered:+.3}" "$seeds" -
