bats_require_minimum_version 1.5.0

setup() {
    T="$BATS_TEST_DIRNAME/data/tok"
    cd "$BATS_TEST_TMPDIR" || return 1
}

ids() {
    jq -c .tokens
}

@test "llm-tokenize: text to tokens and back, fields kept" {
    echo '{"id":"a","text":"the fox 3.14","z":1.00}' >in
    run -0 --separate-stderr llm-tokenize -m "$T/llama2.json" in
    [ -z "$stderr" ]
    [[ "$output" == '{"id":"a","text":"the fox 3.14","z":1.00,"tokens":['* ]]
    [ "$(ids <<<"$output" | tr -d '[]' | cut -d, -f1)" = 1 ] # BOS
    jq -c 'del(.text)' <<<"$output" >tokens
    run -0 llm-tokenize -m "$T/llama2.json" -d tokens
    [ "$(jq -r .text <<<"$output")" = "the fox 3.14" ]
}

@test "llm-tokenize: goldens of every tokenizer through the command" {
    for t in gpt2 gpt2-holes llama3 llama2 gemma chars unigram unigram-bytes t5; do
        jq -c "select(.tokenizer == \"$t\") | {id: (input_line_number | tostring), text, want: .special}" "$T/expect.jsonl" >in
        [ -s in ]
        llm-tokenize -m "$T/$t.json" --no-bos --special in >out
        jq -es 'length > 40 and all(.tokens == .want)' out
        jq -c "select(.tokenizer == \"$t\") | {id: (input_line_number | tostring), text, want: (.plain // .special)}" "$T/expect.jsonl" >in
        llm-tokenize -m "$T/$t.json" --no-bos in >out
        jq -es 'all(.tokens == .want)' out
    done
}

@test "llm-tokenize: special tokens only when asked for, never two BOS" {
    echo '{"text":"<s>the</s>"}' >in
    [ "$(llm-tokenize -m "$T/llama2.json" --special in | jq -c '[.tokens[0, -1]]')" = '[1,2]' ]
    [ "$(llm-tokenize -m "$T/llama2.json" --special in | jq '[.tokens[] | select(. == 1)] | length')" = 1 ]
    [ "$(llm-tokenize -m "$T/llama2.json" --no-bos in | jq '[.tokens[] | select(. < 3)] | length')" = 0 ]
    llm-tokenize -m "$T/llama2.json" --special in >out
    [ "$(llm-tokenize -m "$T/llama2.json" -d out | jq -r .text)" = the ]
    [ "$(llm-tokenize -m "$T/llama2.json" -d --special out | jq -r .text)" = '<s>the</s>' ]
}

@test "llm-tokenize: counts" {
    echo '{"text":"the fox"}' >in
    n=$(llm-tokenize -m "$T/gpt2.json" in | jq '.tokens | length')
    run -0 llm-tokenize -m "$T/gpt2.json" --count in
    jq -e ".n_tokens == $n and (has(\"tokens\") | not)" <<<"$output"
    printf 'the fox' >raw
    run -0 --separate-stderr llm-tokenize -m "$T/gpt2.json" --count -v --raw raw
    jq -e ".n_tokens == $n and .bytes == 7" <<<"$output"
    [[ "$stderr" == *"MB/s"* ]]
}

@test "llm-tokenize: other field names" {
    run -0 llm-tokenize -m "$T/gpt2.json" --field a --tokens b <<<'{"a":"x"}'
    [ "$(jq -c 'keys' <<<"$output")" = '["a","b","id"]' ]
}

@test "llm-tokenize: records that cannot be done are rejected with a reason" {
    printf '%s\n' '{"id":1}' '{"id":2,"text":7}' '{"id":3,"text":"ok"}' >in
    run -1 --separate-stderr llm-tokenize -m "$T/gpt2.json" --rejects r in
    [ "$(jq -s length <<<"$output")" = 1 ]
    [ "$(jq -s 'map(.id)' -c r)" = '[1,2]' ]
    run -1 --separate-stderr llm-tokenize -m "$T/gpt2.json" -d <<<'{"tokens":[1,99999]}'
    [[ "$stderr" == *"item 1 of 'tokens' is no token id in 0.."* ]]
    run -1 --separate-stderr llm-tokenize -m "$T/gpt2.json" -d <<<'{"tokens":[1.5]}'
    run -1 --separate-stderr llm-tokenize -m "$T/gpt2.json" -d <<<'{"tokens":"x"}'
    printf '\377bad' >raw
    run -2 --separate-stderr llm-tokenize -m "$T/gpt2.json" --raw raw
    [[ "$stderr" == *"raw: byte 0 is not valid UTF-8"* ]]
}

@test "llm-tokenize: bad usage" {
    run -2 --separate-stderr llm-tokenize </dev/null
    [[ "$stderr" == *"--model"* ]]
    run -2 llm-tokenize -m nowhere.gguf
    # standard input is a text too, from where it stands
    printf 'a\nthe fox' >raw
    printf 'the fox' | llm-tokenize -m "$T/gpt2.json" --raw - >piped
    [ "$(jq -c '[.file,.bytes]' piped)" = '["<stdin>",7]' ]
    (read -r _ && cat) <raw >rest
    llm-tokenize -m "$T/gpt2.json" --raw rest | jq -c .tokens >want
    jq -c .tokens piped | cmp - want
    (read -r _ && llm-tokenize -m "$T/gpt2.json" --raw -) <raw | cmp - piped
    [ "$(llm-tokenize -m "$T/gpt2.json" --raw - </dev/null | jq -c .tokens)" = "[]" ]
    run -2 bash -c 'llm-tokenize -m "$1" --raw - <&-' - "$T/gpt2.json"
    [[ "$output" == *"cannot read '<stdin>': Bad file descriptor"* ]]
    run -2 llm-tokenize -m "$T/gpt2.json" --raw x in
    run -2 llm-tokenize -m "$T/gpt2.json" --raw x -d
    run -2 llm-tokenize -m "$T/gpt2.json" --nonsense
}

@test "llm-tokenize: a tokenizer.json that is no good ends in one line that says why" {
    j="$T/llama2.json"
    check() { # jq program, expected message
        jq -c "$1" "$j" >bad.json
        run -2 --separate-stderr llm-tokenize -m bad.json </dev/null
        [ "$(wc -l <<<"$stderr")" = 1 ]
        [[ "$stderr" == *"$2"* ]] || { echo "$1: $stderr"; return 1; }
    }
    check '.model.type = "WordLevel"' "'WordLevel' is not supported"
    check '.model.vocab["<s>"] = -1' "no integer in 0.."
    check '.model.vocab["<s>"] = 2147483648' "no integer in 0.."
    check '.model.vocab["<s>"] = 16000000' "but only"
    check '.model.vocab["<s>"] = 2' "two tokens have id 2"
    check '.model.vocab["<s>"] = 1.5' "no integer"
    check '.model.vocab[""] = 9000' "token 9000 is empty"
    check '.model.merges[7] = ["nope","nope"]' "merge 7: 'nope' is not in the vocabulary"
    check '.model.merges[7] = "a b c"' "merge 7"
    check '.model.merges[7] = ["a"]' "merge 7"
    check '.model.merges = null' "'merges'"
    check '.model.unk_token = "nope"' "unk_token 'nope'"
    check '.model.end_of_word_suffix = "</w>"' "'end_of_word_suffix' is not supported"
    check '.added_tokens[0].content = ""' "added_tokens"
    check '.added_tokens[0].id = 5' "added_tokens: id 5"
    check '.normalizer = {"type":"Bert"}' "normalizer: unsupported type 'Bert'"
    check '.normalizer = {"type":"Sequence","normalizers":[range(100) | {"type":"NFC"}]}' "normalizer: more than"
    check '.normalizer = {"type":"Replace","pattern":{"Regex":"("},"content":""}' "unsupported pattern '('"
    check '.normalizer = {"type":"Precompiled","precompiled_charsmap":"AAAA"}' "charsmap"
    check '.normalizer = {"type":"Precompiled","precompiled_charsmap":"!!!!"}' "base64"
    check '.pre_tokenizer = {"type":"Magic"}' "pre_tokenizer: unsupported type 'Magic'"
    check '.pre_tokenizer = {"type":"Split","pattern":{"Regex":"[a&&b]"},"behavior":"Isolated"}' "unsupported pattern"
    check '.pre_tokenizer = {"type":"Split","pattern":{"Regex":"a"},"behavior":"Sideways"}' "'behavior'"
    check '.post_processor.special_tokens["<s>"].ids = [70000]' "token id 70000 out of range"
    check '.post_processor.single[0].SpecialToken.id = "x"' "'x' has no ids"
    check '.decoder = {"type":"CTC","pad_token":"<pad>","word_delimiter_token":"|"}' "decoder: 'CTC'"
    check '.decoder = {"type":"BPEDecoder","suffix":"</w>"}' "decoder: 'BPEDecoder'"
    check '.decoder = {"type":"ByteLevel"}' "decoder: 'ByteLevel'"
    check '.decoder = {"type":"WordPiece","prefix":"##","cleanup":false}' "decoder: 'WordPiece'"
    check '.decoder = {"type":"Metaspace","replacement":"_"}' "decoder: 'Metaspace'"
    check '.decoder.decoders[0].content = "_"' "decoder: 'Replace'"
    check '.decoder.decoders[0].pattern = {"Regex":"▁"}' "decoder: 'Replace'"
    check '.decoder.decoders[3].stop = 1' "decoder: 'Strip'"
    check 'del(.decoder.decoders[2])' "decoder: 'Strip'"
    check '.decoder = {"type":"Sequence","decoders":[{"type":"Fuse"},{}]}' "decoder: ''"
    check '.decoder = "Fuse"' "decoder: ''"
    check 'del(.model)' "no object 'model'"
    check '[]' "no object 'model'"
    : >bad.json
    run -2 llm-tokenize -m bad.json </dev/null
}

@test "llm-tokenize: what has no meaning or costs the id is refused" {
    echo fox >raw
    for o in "--raw raw --rejects r" "--raw raw --resume" "--raw raw --shard 1/2" "--raw raw --stats s" "-d -c" "--tokens id" "-d --field id"; do
        # shellcheck disable=SC2086 # several words
        run -2 llm-tokenize -m "$T/gpt2.json" $o </dev/null
    done
    [ "$output" = "llm-tokenize: --field id: the id of a record would be lost" ]
    llm-tokenize -m "$T/gpt2.json" --field id <<<'{"id":"fox"}' | jq -e '.id == "fox" and (.tokens | length) > 0' # may be read
}

@test "llm-tokenize: an expression that would hang fails instead" {
    jq -c '.pre_tokenizer = {"type":"Split","pattern":{"Regex":"(a+)+$"},"behavior":"Isolated"}' "$T/llama2.json" >bad.json
    jq -nc '{text: (("a" * 40) + "!")}' >in
    run -1 --separate-stderr timeout 20 llm-tokenize -m bad.json in
    [[ "$stderr" == *"pattern fails on this text"* ]]
}

@test "llm-tokenize: huge words take linear time" {
    for t in gpt2 llama2 unigram; do
        for c in a ' ' '😀' 7; do
            jq -nc --arg c "$c" '{text: ($c * 500000)}' >in
            timeout 30 llm-tokenize -m "$T/$t.json" -c in >out
            jq -e '.n_tokens > 0' out
        done
    done
}

@test "llm-tokenize: the vocabularies of others: every id, and back" {
    [ -d "$LLM_TEST_DATA/vocab" ] || skip "no $LLM_TEST_DATA/vocab"
    for f in "$LLM_TEST_DATA"/vocab/*.gguf; do
        jq -Rsc 'split("\n__ggml_vocab_test__\n")[:-1][] | {text: .}' "$f.inp" >in
        llm-tokenize -m "$f" --no-bos in >out
        [ "$(wc -l <out)" = "$(wc -l <"$f.out")" ]
        jq -r '.tokens | map(" \(.)") | join("")' out | cmp - "$f.out"
        jq -c '.want = .text | del(.text)' out | llm-tokenize -m "$f" -d >back
        jq -es 'all(.text == .want)' back
    done
}
