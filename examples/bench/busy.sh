#!/usr/bin/env bash
# busy.sh - peer.sh while one foreign process keeps a processor busy. Same arguments.
set -euo pipefail
(while :; do :; done) &
busy=$!
trap 'kill "$busy"' EXIT
LIMIT=100 "$(dirname "$0")/peer.sh" "$@"
