# Commands as parts of a shell pipeline: what flows, what ends it, what it says at the end.
bats_require_minimum_version 1.5.0

setup() {
    TINY="$BATS_TEST_DIRNAME/../examples/models/tiny.gguf"
    cd "$BATS_TEST_TMPDIR" || return 1
    task='{"instruction":"Reverse the list.","input":"plum fox goat"}'
}

gen() {
    llm-generate -m "$TINY" -t 0 -n 4 "$@"
}

@test "pipe: head ends the command, not an error message" {
    run -0 timeout 60 bash -c 'yes "$1" | llm-generate -m "$2" -t 0 -n 2 | head -n 1; echo "${PIPESTATUS[*]}"' - \
        "$task" "$TINY"
    [ "${#lines[@]}" = 2 ]
    [ "${lines[1]}" = "141 141 0" ]
    jq -e .output <<<"${lines[0]}"
}

@test "pipe: a record goes out before the next one comes in" {
    mkfifo to from
    gen <to >from 3>&- &
    exec 5>to 6<from
    for i in 1 2 3; do
        printf '{"id":%d,"prompt":"fox"}\n' $i >&5
        read -r -t 30 line <&6
        [ "$(jq .id <<<"$line")" = $i ]
    done
    exec 5>&-
    run -0 cat <&6
    [ -z "$output" ]
    wait $!
}

@test "pipe: a field that is null counts as absent, for every command" {
    null='"messages":null,"conversations":null,"system":null,"text":null'
    printf '%s\n' '{"id":"a","instruction":"Say yes.","output":"yes"}' >plain
    printf '%s\n' "{\"id\":\"a\",$null,\"instruction\":\"Say yes.\",\"input\":null,\"prompt\":null,\"output\":\"yes\"}" >nulls
    for cmd in "llm-generate -n 4" "llm-score --prompts tiny" "llm-evol --prompts tiny" "llm-embed" \
        "llm-selfinstruct --prompts tiny --count 1 --max-rounds 1"; do
        $cmd -q -m "$TINY" plain | jq -c 'del(.[] | nulls)' >want || :
        $cmd -q -m "$TINY" nulls | jq -c 'del(.[] | nulls)' >got || :
        [ -s want ]
        cmp <(jq -cS . want) <(jq -cS . got)
    done
    cat plain nulls | llm-score pairwise -m "$TINY" --prompts tiny | jq -s -e 'map(.score) | length == 2 and all(. != null)'
    llm-diversify --count 1 nulls >/dev/null
    cat plain nulls | llm-filter --exact | cmp plain -
    run -0 gen <<<'{"instruction":null,"messages":null,"prompt":"Once"}'
    # an id is made and stands where the null was
    run -0 gen <<<'{"id":null,"prompt":"Once"}'
    jq -e 'keys_unsorted[0] == "id" and (.id | test("^[0-9a-f]{32}$"))' <<<"$output"
    # of what an id is made of, a null is a part, if the command reads the field
    for null in '' ',"input":null' ',"other":null'; do
        llm-filter --field instruction --min-words 1 <<<"{\"instruction\":\"a\"$null}" | jq -r .id
    done >ids
    [ "$(tr '\n' ' ' <ids)" = "ffd7a081cfd4e26a243e8e75176cbe09 40c5e6db0372c3f4f8d28e7cf68c03e7 ffd7a081cfd4e26a243e8e75176cbe09 " ]
    run -1 llm-filter --min-words 1 <<<'{"id":"a","output":null}'
    [ "$output" = "llm-filter: <stdin>:1: no field 'output'" ]
    run -1 --separate-stderr gen <<<'{"messages":null,"conversations":null,"instruction":null,"prompt":null}'
    [ "$stderr" = "llm-generate: <stdin>:1: no field 'prompt'" ]
    # a comparison sees it
    run -0 llm-filter --where 'input == null' nulls
    [ -n "$output" ]
}

@test "pipe: a text that is of another type is a reject, not left away" {
    for cmd in "llm-generate -n 4 -m $TINY" "llm-score --prompts tiny -m $TINY" "llm-evol --prompts tiny -m $TINY" "llm-embed -m $TINY" \
        "llm-score pairwise --prompts tiny -m $TINY" "llm-diversify --count 9"; do
        for value in '["9","4"]' 5 '{"a":"b"}' true; do
            rm -f bad
            run -1 --separate-stderr $cmd --rejects bad <<<"{\"id\":1,\"instruction\":\"Sort the numbers.\",\"input\":$value,\"output\":\"4\"}"
            [ -z "$output" ]
            [[ "$stderr" == *": <stdin>:1: field 'input' is not a string"* ]]
            jq -e '.id == 1 and .reject.line == 1' bad
        done
    done
    run -2 llm-selfinstruct --prompts tiny -m "$TINY" <<<'{"instruction":"Sort the numbers.","input":5}'
    [[ "$output" == *"<stdin>:1: field 'input' is not a string"* ]]
    run -1 gen <<<'{"instruction":"Sort.","system":{"role":"x"}}'
    [ "$output" = "llm-generate: <stdin>:1: field 'system' is not a string" ]
    run -1 llm-score --prompts tiny -m "$TINY" <<<'{"prompt":["x"],"output":"4"}'
    [ "$output" = "llm-score: <stdin>:1: field 'prompt' is not a string" ]
    run -1 llm-score --prompts tiny -m "$TINY" --reference gold <<<'{"instruction":"Sort.","output":"4","gold":4}'
    [ "$output" = "llm-score: <stdin>:1: field 'gold' is not a string" ]
}

@test "pipe: a producer of one byte at a time, and one that pauses in a character" {
    printf '\xef\xbb\xbf{"prompt":"f\xc3\xa9 fox"}\r\n\n{"prompt":"goat"}\n{"prompt":"plum"}' >in.jsonl
    gen in.jsonl >ref
    [ "$(wc -l <ref)" = 3 ]
    while IFS= LC_ALL=C read -r -n 1 -d '' c || [ -n "$c" ]; do
        printf %s "$c"
        case $c in $'\xc3') sleep 0.2 ;; esac
    done <in.jsonl | gen >out
    cmp out ref
    { head -c 30 in.jsonl; sleep 0.3; tail -c +31 in.jsonl; } | gen --batch 1 >out
    cmp out ref
}

@test "pipe: standard output holds records and nothing else" {
    printf '%s\n' "$task" '{bad' '{"id":1}' '' "$task" >in.jsonl
    run -1 --separate-stderr gen -v --progress always in.jsonl
    [ "${#lines[@]}" = 2 ]
    for l in "${lines[@]}"; do
        jq -e 'type == "object"' <<<"$l"
    done
    [[ "$stderr" == *"in.jsonl:2: "* ]]
    run -1 --separate-stderr gen -q --progress never in.jsonl
    [ -z "$stderr" ]
}

@test "pipe: what a file is called may be no UTF-8; what is written is" {
    local m=$'m\xff.gguf' t=$'t\xff' p=$'p\xff.yaml'
    llm-bench make --synthetic nano --write "$m"
    cp "$BATS_TEST_DIRNAME/../examples/prompts/tiny/judge.yaml" "$p"
    echo fox >"$t"
    llm-convert --info "$m" >info
    llm-tokenize -m "$m" -c --raw "$t" >raw
    llm-bench latency -m "$m" --input 2 --output 2 --repeat 1 --no-probe >bench
    llm-score -q -m "$TINY" --prompts "$p" -o scored <<<'{"instruction":"Say yes.","output":"yes"}'
    gen --stop $'\xff' -o out <<<"$task"
    # jq takes everything, iconv does not
    iconv -f UTF-8 -t UTF-8 info raw bench scored.meta out.meta >/dev/null
    [ "$(jq -r .path info)" = 'm\xff.gguf' ]
    [ "$(jq -r .file raw)" = 't\xff' ]
    [ "$(jq -r .model bench)" = 'm\xff.gguf' ]
    jq -e '.options.prompts == "p\\xff.yaml"' scored.meta
    jq -e '.options.stop == ["\\xff"]' out.meta
    gen --stop $'\xff' --resume -o out <<<"$task"
    run -2 gen --stop $'\xfe' --resume -o out <<<"$task"
    [[ "$output" == *stop* ]]
}

@test "pipe: --progress always says how far work is, where there are no records too" {
    run -0 --separate-stderr bash -c '{ echo "{\"text\":\"a\"}"; sleep 0.3; echo "{\"text\":\"b\"}"; } |
        llm-tokenize -m "$1" --progress always' - "$TINY"
    [[ "$stderr" == *"llm-tokenize: 1 written"* ]]
    run -0 --separate-stderr llm-bench throughput --synthetic nano --isa scalar --records 4 --input 64 --output 16 --no-probe --progress always
    [[ "$stderr" == *"llm-bench: tokens: "*" of prompts, "*" generated"* ]]
    jq -e .tok_s <<<"$output"
    llm-bench make --synthetic 135m --type f16 --write big.gguf
    run -0 --separate-stderr llm-convert --check --progress always big.gguf
    [[ "$stderr" == *"llm-convert: tensor "*" of 272"* ]]
    [ -z "$output" ]
}

@test "pipe: lost output is status 1: /dev/full, closed, a file system's end" {
    run -1 bash -c 'printf "%s\n" "$1" | llm-generate -m "$2" -n 2 >/dev/full' - "$task" "$TINY"
    [ "$output" = "llm-generate: cannot write 'standard output': No space left on device" ]
    run -1 bash -c 'printf "%s\n" "$1" | llm-generate -m "$2" -n 2 >&-' - "$task" "$TINY"
    [ "$output" = "llm-generate: standard output is closed" ]
    run -1 gen -o /dev/full <<<"$task"
    printf '{"id":1}\n' >in.jsonl
    run -1 gen --rejects /dev/full in.jsonl
    [[ "$output" == *"cannot write '/dev/full'"* ]]
    (ulimit -f 1 && trap '' XFSZ && yes "$task" | head -n 40 | gen -n 30 --ignore-eos >big 2>err) && return 1
    grep "cannot write 'standard output': File too large" err
}

@test "pipe: inputs that are none: closed, a directory, its own output, absent" {
    run -2 bash -c 'llm-generate -m "$1" <&-' - "$TINY"
    [[ "$output" == *"standard input is closed" ]]
    run -2 gen .
    [[ "$output" == *"'.' is a directory" ]]
    run -2 gen <.
    [[ "$output" == *"is a directory" ]]
    run -2 gen absent.jsonl
    [[ "$output" == *"cannot open 'absent.jsonl': No such file or directory" ]]
    printf '%s\n' "$task" >io
    run -2 bash -c 'llm-generate -m "$1" -n 2 <io >>io' - "$TINY"
    [ "$output" = "llm-generate: '<stdin>' is both input and output" ]
    [ "$(cat io)" = "$task" ]
    run -2 gen -o io --resume io
    [ "$(cat io)" = "$task" ]
    run -2 gen -o new --stats io io
    [ "$(cat io)" = "$task" ]
}

# Refused with one line and status 2, nothing written or lost: MESSAGE COMMAND ...
refused() {
    local message=$1

    shift
    sum=$(find . -type f -exec cksum {} + | sort)
    run -2 "$@"
    [ "$output" = "$message" ]
    [ "$(find . -type f -exec cksum {} + | sort)" = "$sum" ]
}

@test "pipe: no file has two parts to play" {
    cp "$TINY" tiny.gguf
    printf '%s\n' "$task" >in.jsonl
    echo 'root ::= "a"' >g.gbnf
    printf 'rules:\n  - blacklist: bad words\n' >rules.yaml
    echo fox >'bad words'
    echo '{"id":1}' >seen
    refused "llm-generate: --stats: 'tiny.gguf' is also a file of --model" \
        llm-generate -m tiny.gguf --stats tiny.gguf in.jsonl
    refused "llm-generate: --stats: './in.jsonl' is the input" \
        llm-generate -m tiny.gguf --stats ./in.jsonl in.jsonl
    refused "llm-generate: --stats: 'g.gbnf' is also a file of --grammar" \
        llm-generate -m tiny.gguf --grammar g.gbnf --stats g.gbnf in.jsonl
    refused "llm-generate: --stats: 'new' is the output" llm-generate -m tiny.gguf -o new --stats new in.jsonl
    refused "llm-generate: --stats: 'new.meta' is also a file of --output" \
        llm-generate -m tiny.gguf -o new --stats new.meta in.jsonl
    refused "llm-generate: --rejects: './new' is the output" \
        llm-generate -m tiny.gguf -o new --rejects ./new in.jsonl
    refused "llm-generate: --stats: 'bad' is also a file of --rejects" \
        llm-generate -m tiny.gguf --rejects bad --stats bad in.jsonl
    refused "llm-generate: --stats: 'new.a2' is the output" \
        llm-generate -m tiny.gguf -o new --attempt 2 --stats new.a2 in.jsonl
    refused "llm-generate: --output: 'tiny.gguf' is also a file of --model" \
        llm-generate -m tiny.gguf -o tiny.gguf --resume in.jsonl
    refused "llm-filter: --stats: 'rules.yaml' is also a file of --rules" \
        llm-filter --rules rules.yaml --stats rules.yaml in.jsonl
    refused "llm-filter: --stats: 'bad words' is also a file of --rules" \
        llm-filter --rules rules.yaml --stats 'bad words' in.jsonl
    refused "llm-filter: --stats: 'seen' is also a file of --decontaminate" \
        llm-filter --decontaminate seen --stats seen in.jsonl
    refused "llm-filter: --rules: 'rules.yaml' is the output" \
        bash -c 'llm-filter --rules rules.yaml in.jsonl >>rules.yaml'
    refused "llm-embed: --output: 'v.npy' is also a file of --npy" llm-embed --npy v.npy -o v.npy in.jsonl
    refused "llm-diversify: --plot: 'z.gp' is the output" llm-diversify -o z.gp --plot z.gp in.jsonl
    refused "llm-diversify: --plot: 'z.gp' is also a file of --stats" llm-diversify --plot z.gp --stats z.gp in.jsonl
    refused "llm-diversify: --plot: 'z.gp' is also a file of --rejects" \
        llm-diversify --plot z.gp --rejects z.gp in.jsonl
    cp in.jsonl z.part # which the output z is written to first
    refused "llm-diversify: --output: 'z.part' is the input" llm-diversify -o z z.part
    llm-embed --npy v.npy in.jsonl >out
    refused "llm-diversify: --stats: 'v.npy' is also a file of --vectors" \
        llm-diversify --vectors v.npy --stats v.npy in.jsonl
    mkdir model && echo '{}' >model/config.json
    refused "llm-generate: --stats: 'model/config.json' is also a file of --model" \
        llm-generate -m model --stats model/config.json in.jsonl
    echo x >model/model-00001-of-00002.safetensors
    refused "llm-generate: --stats: 'model/model-00001-of-00002.safetensors' is also a file of --model" \
        llm-generate -m model --stats model/model-00001-of-00002.safetensors in.jsonl
    mkdir model/1_Pooling && echo '{}' >model/1_Pooling/config.json
    refused "llm-embed: --stats: 'model/1_Pooling/config.json' is also a file of --model" \
        llm-embed -m model --stats model/1_Pooling/config.json in.jsonl
    mkdir blobs && echo x >blobs/b && ln -s ../blobs/b model/model-00002-of-00002.safetensors # as a hub's cache
    refused "llm-generate: --stats: 'blobs/b' is also a file of --model" \
        llm-generate -m model --stats blobs/b in.jsonl
    # parts of a GGUF model that was split; another model's may be written
    for i in 1 2 3; do cp tiny.gguf m-0000$i-of-00003.gguf; done
    refused "llm-tokenize: --stats: './m-00003-of-00003.gguf' is also a file of --model" \
        llm-tokenize -m m-00001-of-00003.gguf --stats ./m-00003-of-00003.gguf in.jsonl
    refused "llm-tokenize: --output: 'm-00002-of-00003.gguf' is also a file of --model" \
        llm-tokenize -m ./m-00001-of-00003.gguf -o m-00002-of-00003.gguf --resume in.jsonl
    echo '{"id":1,"text":"a"}' >text
    for other in n-00002-of-00003.gguf m-00002-of-00004.gguf m-2-of-00003.gguf; do
        llm-tokenize -m m-00001-of-00003.gguf -o $other text
    done
    # files of an index, there or not yet
    mkdir idx
    for file in head table ids; do
        refused "llm-filter: --stats: 'idx/$file' is also a file of --near-index" \
            llm-filter --near 0.5 --near-index idx/ --stats idx/$file in.jsonl
    done
    refused "llm-filter: --output: 'idx/words' is also a file of --near-index" \
        llm-filter --near 0.5 --near-index idx -o idx/words in.jsonl
    printf 'near-index: idx\nrules: [{near: 0.5}]\n' >near.yaml
    refused "llm-filter: --stats: 'idx/head' is also a file of --near-index" \
        llm-filter --rules near.yaml --stats idx/head in.jsonl
    echo '{"id":1,"output":"a"}' >idx/texts
    refused "llm-filter: --near-index: 'idx/texts' is the input" llm-filter --near 0.5 --near-index idx idx/texts
    ln tiny.gguf another
    refused "llm-generate: --stats: 'another' is also a file of --model" \
        llm-generate -m tiny.gguf --stats another in.jsonl
    # devices have many, and a file may be read twice
    gen -o new --rejects /dev/null --stats /dev/null in.jsonl in.jsonl
    [ "$(wc -l <new)" = 2 ]
}

@test "pipe: an option that has no effect without another is refused without it" {
    printf '%s\n' "$task" >in.jsonl
    while read -r cmd option need; do
        run -2 --separate-stderr "llm-$cmd" "$option" 1 in.jsonl
        [ -z "$output" ]
        [ "$stderr" = "llm-$cmd: $option needs $need
llm-$cmd: try 'llm-$cmd -h'" ]
    done <<'O'
generate --mirostat-eta --mirostat-tau
generate --dry-base --dry-multiplier
generate --dry-breaker --dry-multiplier
generate --length-penalty --beams
embed --ctx --model
embed --threads --model
embed --timeout --model
embed --truncate --model
score --ctx --model
diversify --model --label model
diversify --ctx --label model
diversify --lambda --method mmr
diversify --balance-temp --balance temperature
score --margin --pairs
score --max-tokens --reference self
O
    run -2 llm-selfinstruct --style magpie --examples 3
    [[ "$output" == *"--examples needs --style selfinstruct or --style alpaca"* ]]
    for option in "retries 1" "retries 5" "timeout 600"; do # the last two are the defaults
        run -2 llm-selfinstruct -m tiny.gguf --$option
        [ "$output" = "llm-selfinstruct: --${option% *}: -m is not the address of a server" ]
    done
    run -2 llm-tokenize -m tiny.gguf --raw in.jsonl --stats x
    [ "$output" = "llm-tokenize: --raw writes one record, without options for records" ]
    run -2 llm-tokenize -m tiny.gguf --decode --count in.jsonl
    [ "$output" = "llm-tokenize: --count: nothing is encoded with --decode" ]
    run -2 llm-bench throughput --synthetic nano --unpadded
    [[ "$output" == *"--unpadded needs --static"* ]]
    run -2 llm-diversify --greedy in.jsonl
    [[ "$output" == *"--greedy needs --semdedup"* ]]
}

@test "pipe: --stats that cannot be written is seen at the beginning, or is output that is lost" {
    printf '%s\n' "$task" >in.jsonl
    run -2 gen -o new --stats no/dir in.jsonl
    [ "$output" = "llm-generate: --stats: cannot write 'no/dir': No such file or directory" ]
    run -2 gen -o new --stats . in.jsonl
    [ "$output" = "llm-generate: --stats: cannot write '.': Is a directory" ]
    run -2 gen -o new --stats - in.jsonl
    [ "$output" = "llm-generate: --stats needs a file: standard output is for records" ]
    run -2 llm-merge --stats no/dir -o new in.jsonl
    [ ! -e new ]
    mkdir gone
    run -1 --separate-stderr bash -c '
        { until [ -e new ]; do sleep 0.05; done; rmdir gone; cat in.jsonl; } |
        llm-generate -m "$1" -n 2 -o new --stats gone/s' - "$TINY"
    [ "$stderr" = "llm-generate: cannot write 'gone/s': No such file or directory" ]
    [ "$(wc -l <new)" = 1 ]
}

@test "pipe: several files, standard input among them, in their order" {
    printf '{"id":1,"prompt":"a"}\n{"id":2,"prompt":"a"}' >one
    printf '\xef\xbb\xbf{"id":4,"prompt":"a"}\n{bad\n' >two
    run -1 --separate-stderr gen one - two <<<'{"id":3,"prompt":"a"}'
    [ "$(jq -s -c 'map(.id)' <<<"$output")" = '[1,2,3,4]' ]
    [ "$stderr" = "llm-generate: two:2: byte 1: expected a key in double quotes" ]
}

@test "pipe: a FIFO that nobody writes can be interrupted" {
    mkfifo silent
    llm-generate -m "$TINY" silent 3>&- &
    sleep 0.5
    kill -TERM $!
    rc=0
    wait $! || rc=$?
    [ $rc = 75 ]
}

@test "pipe: two stages with resume only at the last: nothing lost, nothing twice" {
    seq 60 | sed 's/.*/{"instruction":"Reverse the list.","input":"plum fox &"}/' >in.jsonl
    gen in.jsonl | llm-generate -m "$TINY" -t 0.8 -n 6 -o ref.jsonl
    for i in 1 2 3; do
        gen in.jsonl | (llm-generate -m "$TINY" -t 0.8 -n 6 --resume -o out.jsonl & sleep 0.$((i * 2)); kill -9 $!; wait $!) || :
    done 2>/dev/null
    gen in.jsonl | llm-generate -m "$TINY" -t 0.8 -n 6 --resume -o out.jsonl
    cmp out.jsonl ref.jsonl
}

@test "pipe: rejects are records: mended, they go in again" {
    printf '%s\n' '{"id":"a","prompt":"fox"}' '{"id":"b","text":"fox"}' >in.jsonl
    run -1 gen -o out.jsonl --rejects rejects.jsonl in.jsonl
    jq -c '{id, prompt: .text}' rejects.jsonl | gen >>out.jsonl
    [ "$(jq -s -c 'map(.id)' out.jsonl)" = '["a","b"]' ]
}

@test "pipe: long lines pass, too long ones do not stop what follows" {
    { printf '{"id":1,"note":"'; head -c 5000000 /dev/zero | tr '\0' x; printf '","prompt":"fox"}\n'
      head -c 68000000 /dev/zero | tr '\0' '['; printf '\n{"id":3,"prompt":"fox"}\n'; } |
        gen --rejects rejects.jsonl >out.jsonl 2>err && return 1
    [ "$(jq -s -c 'map(.id)' out.jsonl)" = '[1,3]' ]
    [ "$(cat err)" = "llm-generate: <stdin>:2: line of 68000000 bytes exceeds 67108864" ]
    [ "$(jq -c '[.reject.rule, .reject.value, .reject.limit, .reject.line, (.raw | length)]' rejects.jsonl)" = \
        '["line-length",68000000,67108864,2,4096]' ]
}

@test "pipe: a reject says why, in UTF-8 whatever was cut" {
    echo '{"instruction":["no text"]}' >in
    for k in 1 2 3; do # a key of long characters, from three places
        pad=$(printf 'a%.0s' $(seq $k))
        printf '{"%s%s":1,"%s%s":2}\n' "$pad" "$(printf '가%.0s' $(seq 100))" "$pad" "$(printf '가%.0s' $(seq 100))"
    done >>in
    run -1 --separate-stderr llm-generate -m "$BATS_TEST_DIRNAME/../examples/models/tiny.gguf" --rejects bad in
    [ "$(jq -r .reject.value bad | head -1)" = "field 'instruction' is not a string" ]
    [ "$(jq -r .reject.value bad | grep -c "duplicate key 'a")" = 3 ]
    iconv -f utf-8 -t utf-8 bad >/dev/null
}
