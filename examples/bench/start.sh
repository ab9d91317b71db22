#!/usr/bin/env bash
# start.sh [options of peer.sh] model.gguf ... - from the start of a program to the first token of
# a prompt of 8 tokens, and its peak memory: peer.sh's test "start", the files being in memory.
#
# They are read from the disk anew first: the system then keeps a file in large pieces, which
# a program that maps it gets at once. A file that was just written lies in memory page by page,
# and each sixteen of them cost every side a fault.
set -euo pipefail
for file; do
	[ -f "$file" ] || continue # an option of peer.sh
	dd if="$file" of=/dev/null iflag=nocache count=0 status=none # out of memory
	cat -- "$file" >/dev/null
done
exec "$(dirname "$0")/peer.sh" -t start "$@"
