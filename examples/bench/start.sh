#!/usr/bin/env bash
# start.sh model.gguf ... - from the start of a program to the first token of a prompt of 8
# tokens, and its peak memory: peer.sh's test "start" with files that are in memory already.
set -euo pipefail
cat -- "$@" >/dev/null
exec "$(dirname "$0")/peer.sh" -t start "$@"
