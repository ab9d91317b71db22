bats_require_minimum_version 1.5.0

# What the documents show is run: every "$ command" in the EXAMPLES of a man page, every
# sh block of the README. Each page starts in an empty directory with the files it names.

here() {
    mkdir -p "$BATS_TEST_TMPDIR/$1"
    cd "$BATS_TEST_TMPDIR/$1" || return 1
    for m in tiny model Llama-3.2-1B-Instruct-Q8_0; do
        ln -s "$BATS_TEST_DIRNAME/../examples/models/tiny.gguf" "$m.gguf"
    done
    for s in seeds in; do
        ln -s "$BATS_TEST_DIRNAME/../examples/synthetic/seeds.jsonl" "$s.jsonl"
    done
    ln -s "$BATS_TEST_DIRNAME/../examples" examples
    echo "The fox is in the list." >book.txt
}

@test "man pages: examples run" {
    for page in "$BUILD"/man/*.1; do
        here "$(basename "$page")"
        sed -n '/^\.Sh EXAMPLES/,/^\.Sh SEE/s/^\$ //p' "$page" | sed 's/\\e/\\/g; s/\\&//g; s/\\-/-/g' >run.sh
        [ -s run.sh ]
        bash -euo pipefail run.sh >/dev/null || {
            echo "$page"
            return 1
        }
    done
}

@test "man pages: every option of the program is there, once" {
    here options
    for page in "$BUILD"/man/*.1; do
        cmd=$(basename "$page" .1)
        "$cmd" -h >help
        [ -z "$(grep -E '^.{81}' help)" ]
        "$cmd" -h | sed -n 's/^  .. *,* *--\([a-z0-9-]*\).*/\1/p; s/^  -., --\([a-z0-9-]*\).*/\1/p' | sort -u >has
        sed -n '/^\.Sh OPTIONS/,/^\.Sh EXIT/s/^\.It .*Fl -\([a-z0-9-]*\).*/\1/p' "$page" | sort >shown
        cmp has shown
    done
}

@test "man pages: each command has a page, a test and a line in llm(7) and the README" {
    for c in "$BATS_TEST_DIRNAME"/../cmd/*.c; do
        n=$(basename "$c" .c)
        [ -e "$BATS_TEST_DIRNAME/../man/$n.1.in" ]
        [ -e "$BATS_TEST_DIRNAME/$n.bats" ]
        grep -q "Xr $n 1" "$BATS_TEST_DIRNAME/../man/llm.7"
        grep -q "($n\|\[$n\]" "$BATS_TEST_DIRNAME/../README.md"
    done
}

@test "README: its sh blocks run" {
    here readme
    awk '/^```sh$/ {on = 1; next} /^```$/ {on = 0} on' "$BATS_TEST_DIRNAME/../README.md" >run.sh
    [ -s run.sh ]
    bash -euo pipefail run.sh >/dev/null
}

@test "README: its console transcripts are what comes out" {
    here console
    awk '/^```console$/ {on = 1; next} /^```$/ {on = 0} on' "$BATS_TEST_DIRNAME/../README.md" >shown
    [ -s shown ]
    awk '/^\$ / {if (n++) print cmd > "cmds"; cmd = substr($0, 3); next} /^> / {cmd = cmd "\n" substr($0, 3)} END {print cmd > "cmds"}' shown
    while IFS= read -r line; do
        echo "\$ $line"
        bash -euo pipefail -c "$line"
    done <cmds >got
    diff shown got
}
