#!/bin/sh
# run.sh BUILD FUZZBUILD [lint] - run all tests of a build, and the fuzz drivers of another
# (with sanitizers); the last line is "N passed, N failed".
set -u
cd "$(dirname "$0")/.." || exit 2
build=$1
fuzz=$2
pass=0
fail=0
out=$(mktemp) || exit 2
trap 'rm -f "$out"' EXIT
PATH="$PWD/$build:$PATH"
BUILD="$PWD/$build"
: "${LLM_TEST_DATA:=$PWD/../shared/data}"
export PATH BUILD LLM_TEST_DATA
[ -d "$LLM_TEST_DATA" ] || echo "# no $LLM_TEST_DATA: tests that need it are skipped"

# TAP in "$out": count it and show what failed.
count() {
	p=$(grep -c '^ok ' "$out")
	f=$(grep -c '^not ok ' "$out")
	[ "$2" = 0 ] || [ "$f" -gt 0 ] || f=1
	pass=$((pass + p))
	fail=$((fail + f))
	echo "$1: $p passed, $f failed"
	[ "$f" = 0 ] || grep -v '^ok ' "$out"
	grep '# skip' "$out"
}
program() {
	"$1/${2%.c}" >"$out" 2>&1
	count "${2%.c}" $?
}
for t in tests/unit/*_test.c tests/ops/*_test.c; do
	program "$build" "$t"
done
sh tests/emu/check.sh "$build" >"$out" 2>&1
count tests/emu $?
for t in tests/fuzz/*_fuzz.c; do
	program "$fuzz" "$t"
done
for t in tests/*.bats; do
	bats --tap "$t" >"$out" 2>&1
	count "$t" $?
done
if [ "${3-}" = lint ]; then
	sh tests/lint.sh "$build" >"$out" 2>&1
	rc=$?
	[ $rc = 0 ] && echo "ok 1 lint" >>"$out"
	count lint $rc
fi
echo "$pass passed, $fail failed"
[ "$fail" = 0 ] && [ "$pass" -gt 0 ]
