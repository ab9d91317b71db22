# make install and uninstall.
bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
    DEST="$PWD/a place"
}

place() { # TARGET [VARIABLE=VALUE ...]
    local cuda=0
    [ ! -e "$BUILD/llm-cuda.so" ] || cuda=1
    make -s -C "$BATS_TEST_DIRNAME/.." B="$BUILD" CUDA=$cuda PREFIX=/opt DESTDIR="$DEST" "$@" >/dev/null
}

@test "install: a place with spaces gets all, and what is there runs without the sources" {
    place install
    [ "$(ls)" = "a place" ] && [ "$(ls "$DEST")" = opt ]
    for c in "$BATS_TEST_DIRNAME"/../cmd/*.c; do
        c=$(basename "$c" .c)
        "$DEST/opt/bin/$c" -h >/dev/null
        [ -s "$DEST/opt/share/man/man1/$c.1" ]
    done
    [ -s "$DEST/opt/share/man/man5/llm-jsonl.5" ] && [ -s "$DEST/opt/share/man/man7/llm.7" ]
    cp "$BATS_TEST_DIRNAME/../examples/synthetic/seeds.jsonl" .
    "$DEST/opt/bin/llm-selfinstruct" -m "$DEST/opt/share/llmutils/models/tiny.gguf" --prompts tiny --count 2 --no-seeds seeds.jsonl >out
    [ "$(wc -l <out)" = 2 ]
}

@test "install: commands in another place find what was installed with them" {
    place install BINDIR=/opt/games/bin
    cp "$BATS_TEST_DIRNAME/../examples/synthetic/seeds.jsonl" .
    [ "$(find "$DEST" -path '*/tiny/evol.yaml')" = "$DEST/opt/games/share/llmutils/prompts/tiny/evol.yaml" ]
    "$DEST/opt/games/bin/llm-selfinstruct" -m "$DEST/opt/games/share/llmutils/models/tiny.gguf" --prompts tiny \
        --count 2 --no-seeds seeds.jsonl >out
    [ "$(wc -l <out)" = 2 ]
    place uninstall BINDIR=/opt/games/bin
    [ -z "$(find "$DEST" -type f -not -path '*/man/*')" ]
}

@test "install: a place where commands would not find their files is refused, not passed over" {
    run -2 place install BINDIR=/opt/games/bin DATADIR=/elsewhere
    [[ "$output" == *"DATADIR cannot be set: "*" follows from BINDIR"* ]]
    LIBDIR=/elsewhere run -2 place install
    [[ "$output" == *"LIBDIR cannot be set: "*" follows from BINDIR"* ]]
    run -2 place uninstall LIBDIR=
    [ ! -e "$DEST" ]
    # who does not install may have such a variable
    DATADIR=/elsewhere place -n all
}

@test "install: uninstall removes what was installed, and nothing else" {
    place install
    touch "$DEST/opt/bin/other" "$DEST/opt/share/llmutils/prompts/mine.yaml"
    place uninstall
    [ "$(cd "$DEST" && find . -type f | sort | xargs)" = "./opt/bin/other ./opt/share/llmutils/prompts/mine.yaml" ]
    [ ! -e "$DEST/opt/share/llmutils/models" ]
    rm "$DEST/opt/share/llmutils/prompts/mine.yaml"
    place uninstall # again, and there is nothing
    [ ! -e "$DEST/opt/share/llmutils" ]
}
