#!/bin/sh
# lint.sh [BUILD] - rules of the house that a machine can check.
set -eu
cd "$(dirname "$0")/.."
build=${1:-build}
bad=0
fail() {
	echo "lint: $*" >&2
	bad=1
}
sources() {
	find cmd libcommon kernels tests -name '*.[ch]' -o -name '*.cu' -o -name '*.cuh' -o -name '*.cpp'
}

# 1. A module includes only modules above it in MAP.
map=$(grep -v '^#' libcommon/MAP | awk 'NF {print $1}')
for m in $map; do
	[ -e "libcommon/$m.h" ] || fail "libcommon/MAP: no module $m"
done
for f in libcommon/*.[ch]; do
	m=$(basename "$f")
	m=${m%.*}
	echo "$map" | grep -qx "$m" || fail "$f: not in libcommon/MAP"
	allowed=$(echo "$map" | awk -v m="$m" '{print} $0 == m {exit}')
	for i in $(sed -n 's/^#include "\(.*\)\.h"$/\1/p' "$f"); do
		echo "$allowed" | grep -qx "$i" || fail "$f: includes $i.h, which is above it"
	done
done
# 2. Kernels see the interface only; commands never see kernels. PTX and the question which compiler
# it is stand in one file.
find kernels -name '*.[ch]' -o -name '*.cu' -o -name '*.cuh' | while read -r f; do
	for i in $(sed -n 's/^#include "\(.*\)"$/\1/p' "$f"); do
		case $i in
		backend.h | err.h | mem.h | num.h | quant.h | rng.h | tensor.h | thread.h | tree.h) ;;
		emu.h) [ "$f" = kernels/cuda/gpu.h ] || fail "$f: includes $i" ;;
		*) [ -e "$(dirname "$f")/$i" ] || fail "$f: includes $i" ;;
		esac
	done
done
x=$(grep -lw asm kernels/cuda/* tests/emu/*.cu | grep -v '/gpu\(_90a\)*\.h$' || :)
[ -z "$x" ] || fail "$x: asm outside of kernels/cuda/gpu.h and gpu_90a.h"
x=$(grep -lE '\<__CUDA(CC|_ARCH)__\>' kernels/cuda/*.cu* tests/emu/*.cu || :)
[ -z "$x" ] || fail "$x: asks which compiler it is, which kernels/cuda/gpu.h does"
! grep -l '#include ".*kernels' cmd/*.c || fail "a command includes a kernel header"
# 3. Exported names carry the module's name; no mutable globals; nothing below cli exits or prints.
for o in "$build"/libcommon/*.o; do
	m=$(basename "$o" .o)
	[ -e "libcommon/$m.c" ] || continue
	x=$(nm -g --defined-only "$o" | awk -v m="$m" '$3 !~ "^" m "(_|$)" {print $3}')
	[ -z "$x" ] || fail "$o: exports $x"
	x=$(objdump -t "$o" | awk '$0 ~ / O \.(data|bss|tdata|tbss)(\.|\t)/ && $0 !~ /\.rel\.ro/ {print $NF}')
	[ -z "$x" ] || fail "$o: mutable global $x"
	x=$(nm -u "$o" | awk '{print $2}' | grep -Ex 'exit|abort|printf|vprintf|puts|putchar|perror|stdout|stderr|srand|rand|getenv' || :)
	case $m in cli | mem | stream) ;; *) [ -z "$x" ] || fail "$o: calls $x" ;; esac
done
# 4. A header stands alone.
for h in libcommon/*.h; do
	cc -std=c11 -D_GNU_SOURCE -fsyntax-only -iquote libcommon -x c "$h" || fail "$h: does not compile alone"
done
# 5. Nothing grows past what one reads at a sitting; lines fit; no tabs.
for f in $(sources); do
	n=$(wc -l <"$f")
	[ "$n" -le 600 ] || fail "$f: $n lines"
	x=$(awk '/^\{/ {s = prev ~ /^namespace/ ? 0 : NR} {prev = $0} /^\}/ {if (s && NR - s > 80) print "line " s ": " NR - s " lines"; s = 0}' "$f")
	[ -z "$x" ] || fail "$f: function at $x"
done
# shellcheck disable=SC2046 # names have no spaces
x=$(grep -nP '\t| +$' $(sources) | head -5 || :)
[ -z "$x" ] || fail "tab or trailing space: $x"
# 6. Format.
if command -v clang-format >/dev/null; then
	# shellcheck disable=SC2046
	clang-format --dry-run -Werror $(sources) 2>&1 | head -20 >"$build/format.txt" || :
	[ ! -s "$build/format.txt" ] || fail "clang-format: $(grep -c error "$build/format.txt") places, see make format: $(head -1 "$build/format.txt")"
fi
# 7. Shell and man pages.
if command -v shellcheck >/dev/null; then
	# shellcheck disable=SC2046
	shellcheck -S warning .ci/run tests/*.sh tests/emu/*.sh $(find examples -name '*.sh') || fail shellcheck
fi
if command -v mandoc >/dev/null; then
	for p in "$build"/man/*.1 man/*.[57]; do
		x=$(mandoc -T lint -W warning "$p" 2>&1) || fail "$x"
	done
	# words behind the punctuation of a macro's line become flags and arguments too
	x=$(grep -nE '^\.(Fl|Cm|Ar|Va) .* [,.;:)] [a-z]+ [a-z]+( |$)' man/*.in man/*.[57]) && fail "text on a macro's line: $x"
fi
# A test goes on behind a command that was denied and should not have been.
x=$(grep -nE '^ *! [^|]*(\|[^|]+)*$' tests/*.bats || :)
[ -z "$x" ] || fail "! fails no test, use run -1: $x"
# 8. The same names three times: command, man page, tests.
for c in cmd/llm-*.c; do
	n=$(basename "$c" .c)
	[ -e "man/$n.1.in" ] || fail "$c has no man/$n.1.in"
	[ -e "tests/$n.bats" ] || fail "$c has no tests/$n.bats"
done
exit $bad
