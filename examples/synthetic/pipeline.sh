#!/bin/bash
# pipeline.sh [COUNT] [MODEL] [PROMPTS] - the whole pipeline as one shell line.
# The data set goes to standard output. What may be interrupted belongs in the Makefile
# beside this file: the stages and their options are the same.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
count=${1:-200}
model=${2:-$here/../models/tiny.gguf}
prompts=${3:-tiny}
seeds=${SEEDS:-$here/seeds.jsonl}

llm-selfinstruct -m "$model" --prompts "$prompts" --seed 1 --no-seeds --count "$count" "$seeds" |
	llm-evol -m "$model" --prompts "$prompts" --seed 1 |
	llm-filter --field instruction --min-words 3 --max-words 150 --leaks --exact --near 0.95 |
	llm-generate -m "$model" --seed 1 -t 0.5 |
	llm-filter --min-words 1 --max-repeat 0.5 --refusals --leaks |
	llm-score -m "$model" --prompts "$prompts" --seed 1 --reference self "$seeds" - |
	llm-filter --min-score 0.6 |
	llm-diversify --count "$count" --balance sqrt --seed 1
