#!/bin/bash
# code.sh [TASKS.jsonl] [MODEL] - answers that are code, kept only if a parser accepts them.
#
# CHECK is the command that reads the code (CHECK_LANG=sh: only the fenced blocks of that language;
# then an answer must have one). It should parse, not run, what a model wrote:
#
#   sh -n                                                       shell
#   gcc -fsyntax-only -xc -                                     C
#   python3 -c 'import ast, sys; ast.parse(sys.stdin.read())'   Python
#
# What it refuses is in REJECTS with the parser's status. The embedded model writes no programs:
# with it this shows the way of a record, and that answers which are no shell are found.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tasks=${1:-$here/code.jsonl}
model=${2:-$here/../models/tiny.gguf}
rejects=${REJECTS:-/dev/null}

fenced() {
	if [ -n "${CHECK_LANG:-}" ]; then
		jq -c --arg fence '```'"$CHECK_LANG" 'select(.output | contains($fence))'
	else
		cat
	fi
}

llm-generate -m "$model" --seed 1 --samples "${SAMPLES:-8}" -t "${TEMP:-1}" "$tasks" |
	llm-filter --min-words 1 --max-repeat 0.5 --refusals --leaks --exact |
	fenced |
	llm-filter --check "${CHECK:-sh -n}" ${CHECK_LANG:+--check-lang "$CHECK_LANG"} --rejects "$rejects" --explain
