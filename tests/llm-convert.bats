bats_require_minimum_version 1.5.0

setup() {
    TINY="$BATS_TEST_DIRNAME/../examples/models/tiny.gguf"
    cd "$BATS_TEST_TMPDIR" || return 1
}

# Nothing but what is named lies here: no half-written file was left.
only() {
    [ "$(find . -mindepth 1 -maxdepth 1 -printf '%f ' | tr ' ' '\n' | sort | xargs)" = "$(printf '%s\n' "$@" | sort | xargs)" ]
}

@test "llm-convert: a description has the sizes, types, tokenizer and memory of a model" {
    run -0 --separate-stderr llm-convert --info "$TINY"
    [ -z "$stderr" ]
    [ "${#lines[@]}" = 1 ]
    jq -e '.format == "gguf" and .architecture == "llama" and .supported and .tied
        and .parameters > 1000000 and .heads % .kv_heads == 0
        and .types.F16.tensors + .types.F32.tensors == .tensors
        and .memory.weights.F32 > .memory.weights.F16 and .memory.weights.F16 > .memory.weights.Q8_0
        and .memory.cache_per_position == .layers * .kv_heads * .head_dim * 8
        and .tokenizer.size == .vocab and .tokenizer.chat_template == "alpaca"' <<<"$output"
    run -0 llm-convert --info "$TINY" "$TINY"
    [ "${#lines[@]}" = 2 ]
}

@test "llm-convert: GGUF to a directory and back loses nothing" {
    llm-convert "$TINY" -o dir
    [ "$(find dir -type f | wc -l)" -ge 4 ]
    jq -e '.model_type == "llama" and .architectures == ["LlamaForCausalLM"]' dir/config.json
    llm-convert dir -o again.gguf
    llm-convert again.gguf -o dir2
    for f in config.json tokenizer.json tokenizer_config.json model.safetensors; do
        cmp "dir/$f" "dir2/$f"
    done
    [ "$(llm-convert --info "$TINY" | jq -c 'del(.path, .name, .file_bytes)')" = \
        "$(llm-convert --info again.gguf | jq -c 'del(.path, .name, .file_bytes)')" ]
    llm-convert --check dir again.gguf
}

@test "llm-convert: a directory is described and verified like a file" {
    llm-convert "$TINY" -o dir
    a=$(llm-convert --info "$TINY" | jq -c '[.parameters, .layers, .dim, .context, .memory, .tokenizer.size]')
    b=$(llm-convert --info dir | jq -c '[.parameters, .layers, .dim, .context, .memory, .tokenizer.size]')
    [ "$a" = "$b" ]
    [ "$(llm-convert --info dir | jq -r .format)" = huggingface ]
}

@test "llm-convert: query and key rows are permuted, the others are not" {
    llm-convert "$TINY" -o dir
    llm-convert dir --type f32 -o a.gguf
    llm-convert "$TINY" --type f32 -o b.gguf
    cmp <(tail -c 100000 a.gguf) <(tail -c 100000 b.gguf)
    echo '{"instruction":"Reverse the list.","input":"plum fox goat"}' >in
    for m in "$TINY" a.gguf b.gguf dir; do
        llm-generate -m "$m" -t 0 in | jq -r .output
    done >out
    [ "$(sort -u out | wc -l)" = 1 ]
}

@test "llm-convert: types" {
    for t in f32 f16 bf16 q8_0; do
        llm-convert "$TINY" --type $t -o $t.gguf
        T=$(echo $t | tr a-z A-Z)
        llm-convert --info $t.gguf | jq -e --arg t "$T" '.types[$t].values > 1000000 and (.types | keys - [$t, "F32", "F16"]) == []'
        llm-convert --check $t.gguf
        [ "$(stat -c %s $t.gguf)" -lt $(($(llm-convert --info "$TINY" | jq ".memory.weights.$T") + 300000)) ]
    done
    run -2 llm-convert "$TINY" --type q8_0 -o dir
    [ "$output" = "llm-convert: a Hugging Face directory cannot hold q8_0" ]
    [ ! -e dir ]
}

@test "llm-convert: the output is a function of the input's bytes" {
    cp "$TINY" other-name.gguf
    llm-convert "$TINY" --type q8_0 -o a.gguf
    llm-convert other-name.gguf --type q8_0 -o b.gguf
    cmp a.gguf b.gguf
    llm-convert "$TINY" -o d1
    llm-convert other-name.gguf -o d2
    diff -r d1 d2
}

@test "llm-convert: an output that exists is refused, and replaced with --force" {
    echo precious >out.gguf
    run -2 llm-convert "$TINY" -o out.gguf
    [ "$output" = "llm-convert: 'out.gguf' exists; use --force" ]
    [ "$(cat out.gguf)" = precious ]
    llm-convert "$TINY" --force -o out.gguf
    llm-convert --check out.gguf
    mkdir d
    run -2 llm-convert "$TINY" -o d
    [ "$output" = "llm-convert: 'd' exists; use --force" ]
    llm-convert "$TINY" --force -o d
    llm-convert --check d
    run -2 llm-convert d --force -o d
    run -2 llm-convert "$TINY" --force -o out.gguf/x.gguf
    only out.gguf d
}

@test "llm-convert: with --force nothing of the model before is left to be taken for a part of the new one" {
    llm-convert "$TINY" -o ref
    llm-convert "$BATS_TEST_DIRNAME/data/bert" -o bert.gguf # has a 1_Pooling
    llm-convert bert.gguf -o d
    [ -e d/1_Pooling/config.json ]
    echo '{{ messages[0].content }} of another model' >d/chat_template.jinja
    echo '{"eos_token_id":[5,6]}' >d/generation_config.json
    echo '{"pad_token":"<stale>"}' >d/special_tokens_map.json
    echo '{"weight_map":{}}' >d/model.safetensors.index.json
    echo mine >d/notes.txt
    llm-convert "$TINY" --force -o d
    [ "$(cat d/notes.txt)" = mine ]
    rm d/notes.txt
    rmdir d/1_Pooling
    diff -r ref d
}

@test "llm-convert: until the new model is whole, a directory holds the old one or none" {
    llm-convert "$TINY" -o d
    find d -type f -exec cksum {} + | sort >before
    run -1 sh -c "trap '' XFSZ; ulimit -f 1000; llm-convert '$TINY' --force --type f32 -o d"
    find d -type f -exec cksum {} + | sort | cmp - before
    # what ends between the files leaves no weights beside those of another model
    rm d/tokenizer.json
    mkdir -p d/tokenizer.json/x
    run -2 llm-convert "$TINY" --force --type f32 -o d
    [ "$output" = "llm-convert: cannot remove 'd/tokenizer.json': Is a directory" ]
    [ -z "$(find . -name '*.safetensors*')" ]
}

@test "llm-convert: a disk that is full leaves nothing behind" {
    run -1 sh -c "trap '' XFSZ; ulimit -f 100; llm-convert '$TINY' -o out.gguf"
    [[ "$output" == *"cannot write 'out.gguf': File too large" ]]
    run -1 sh -c "trap '' XFSZ; ulimit -f 100; llm-convert '$TINY' -o dir"
    only
    run -1 sh -c "llm-convert --info '$TINY' >/dev/full"
}

@test "llm-convert: stories260K converts, and says what it is" {
    [ -e "$LLM_TEST_DATA/stories260K.bin" ] || skip "no LLM_TEST_DATA"
    run -0 --separate-stderr llm-convert "$LLM_TEST_DATA/stories260K.bin" --tokenizer "$LLM_TEST_DATA/tok512.bin" -o s.gguf
    [ -z "$output$stderr" ]
    llm-convert --check s.gguf
    llm-convert --info s.gguf | jq -e '.parameters == 260032 and .layers == 5 and .heads == 8 and .kv_heads == 4 and .vocab == 512
        and .context == 512 and .tied and .tokenizer.kind == "sentencepiece" and .tokenizer.bos == 1 and .tokenizer.eos == 2'
    llm-convert --info "$LLM_TEST_DATA/stories260K.bin" | jq -e '.format == "llama2c" and .parameters == 260032 and .tokenizer == null'
    llm-convert --check --tokenizer "$LLM_TEST_DATA/tok512.bin" "$LLM_TEST_DATA/stories260K.bin"
    run -2 llm-convert "$LLM_TEST_DATA/stories260K.bin" -o t.gguf
    [[ "$output" == *"name its tokenizer with --tokenizer" ]]
    run -2 llm-convert s.gguf --tokenizer "$LLM_TEST_DATA/tok512.bin" -o t.gguf
    [ "$output" = "llm-convert: --tokenizer is for a llama2.c checkpoint; 's.gguf' has its own" ]
    llm-convert s.gguf -o dir
    llm-convert dir -o t.gguf
    for m in s.gguf t.gguf dir; do
        printf '{"prompt":"Once upon a time"}\n' | llm-generate -m $m -t 0 -n 50 | jq -r .output
    done >out
    [ "$(sort -u out | wc -l)" = "$(($(wc -l <out) / 3))" ]
    llm-convert "$TINY" -o tiny
    cp tiny/tokenizer*.json dir # more tokens than this embedding has rows
    for args in "--check dir" "-o u.gguf dir"; do
        # shellcheck disable=SC2086
        run -2 llm-convert $args
        [[ "$output" == *"dir: the tokenizer has "*" tokens, the embedding 512 rows" ]]
    done
    [ ! -e u.gguf ]
}

@test "llm-convert: what this program cannot run is described, not refused" {
    [ -d "$LLM_TEST_DATA/vocab" ] || skip "no LLM_TEST_DATA"
    run -0 --separate-stderr llm-convert --info "$LLM_TEST_DATA/vocab/ggml-vocab-gpt-2.gguf"
    [ -z "$stderr" ]
    jq -e '.architecture == "gpt2" and .supported == false and (.reason | contains("missing")) and .tokenizer.size == 50257' <<<"$output"
}

@test "llm-convert: a tensor type that is not read is named, and described" {
    cp "$TINY" m.gguf
    at=$(LC_ALL=C grep -Fabo blk.0.ffn_down.weight m.gguf | cut -d: -f1)
    # behind the name and two dimensions: F16 becomes IQ4_XS, which needs fewer bytes
    printf '\027' | dd of=m.gguf bs=1 seek=$((at + 21 + 4 + 16)) conv=notrunc status=none
    no="m.gguf: tensor 'blk.0.ffn_down.weight': weights of type IQ4_XS are not supported"
    run -0 --separate-stderr llm-convert --info m.gguf
    jq -e --arg no "$no" '.supported == false and .reason == $no
        and .types.IQ4_XS == {tensors: 1, values: 98304, bytes: 52224}' <<<"$output"
    for args in "--check m.gguf" "--type f16 -o u.gguf m.gguf"; do
        # shellcheck disable=SC2086
        run -2 llm-convert $args
        [ "$output" = "llm-convert: $no" ]
    done
}

@test "llm-convert: every family, to GGUF and back: the same weights, the same description" {
    D=$BATS_TEST_DIRNAME/data/logits
    for m in bias window qwen2 qwen2window qwen3 gpt2 gemma2 gemma2scale nemotron nemotronbias nemotronshare; do
        llm-convert "$D/$m" -o $m.gguf
        llm-convert --check $m.gguf
        llm-convert $m.gguf -o $m
        llm-convert --check $m
        for a in "$D/$m" $m.gguf $m; do
            llm-convert --info "$a" | jq -c 'del(.path, .format, .name, .file_bytes, .types, .tokenizer)'
        done >info
        [ "$(sort -u info | wc -l)" = 1 ] || { cat info; false; }
        llm-convert $m -o again.gguf --force
        cmp $m.gguf again.gguf
        [ ! -e "$D/$m/peer.gguf" ] || llm-convert --check "$D/$m/peer.gguf"
    done
    llm-convert --info qwen2window | jq -e '.window == 70 and .rope_dims == 4'
    llm-convert --info gpt2 | jq -e '.architecture == "gpt2" and .rope_dims == 0'
    llm-convert gpt2 --type q8_0 -o q.gguf
    llm-convert --check q.gguf
    llm-convert q.gguf -o q
    llm-convert --check q
}

@test "llm-convert: a model whose names lack the class's prefix is the same model" {
    for m in bias window qwen2 qwen3 gpt2 gemma2 nemotron; do
        cp -r "$BATS_TEST_DIRNAME/data/logits/$m" bare
        LC_ALL=C sed -i 's/"transformer\./            "/g; s/"model\./      "/g' bare/model.safetensors # JSON takes the spaces
        run ! grep -q -e transformer.h -e model.layers bare/model.safetensors
        llm-convert "$BATS_TEST_DIRNAME/data/logits/$m" -o a.gguf --force
        llm-convert bare -o b.gguf --force
        cmp a.gguf b.gguf
        rm -r bare
    done
    cp -r "$BATS_TEST_DIRNAME/data/logits/qwen3" bare
    LC_ALL=C sed -i 's/"model\.embed/"other.embed/' bare/model.safetensors
    run -2 llm-convert bare -o b.gguf --force
    [[ "$output" == *"missing tensor 'model.embed_tokens.weight'" ]]
}

@test "llm-convert: a tokenizer that merges nothing goes through GGUF" {
    cp -r "$BATS_TEST_DIRNAME/data/logits/mha" bytes
    jq -c '.model.merges = []' bytes/tokenizer.json >t.json
    mv t.json bytes/tokenizer.json
    llm-convert bytes -o b.gguf
    llm-convert --check b.gguf
    llm-convert b.gguf -o back
    jq -e '.model.merges == []' back/tokenizer.json
    [ "$(echo '{"text":"the the"}' | llm-tokenize -m bytes | md5sum)" = "$(echo '{"text":"the the"}' | llm-tokenize -m b.gguf | md5sum)" ]
}

@test "llm-convert: what transformers' class cannot say is an error" {
    D=$BATS_TEST_DIRNAME/data/logits
    llm-convert "$D/bias" -o b.gguf
    sed 's/blk.1.attn_output.bias/blk.1.attn_xxxxxx.bias/' b.gguf >c.gguf
    run -2 llm-convert c.gguf -o c
    [[ "$output" == *"'blk.1.attn_xxxxxx.bias' is not one that family 'llama' has" ]]
    sed 's/blk.1.attn_output.bias/xxx.1.attn_output.bias/' b.gguf >d.gguf
    run -2 llm-convert -q d.gguf -o d
    [[ "$output" == *"d.gguf: other matrices have biases than those of LlamaForCausalLM" ]]
    [ ! -e d ]
}

@test "llm-convert: --check finds a value that is not finite, and names its tensor" {
    cp "$TINY" bad.gguf
    printf '\x00\x00\xc0\x7f' | dd of=bad.gguf bs=1 seek=$(($(stat -c %s bad.gguf) - 4)) conv=notrunc status=none
    run -2 llm-convert --check "$TINY" bad.gguf "$TINY"
    [[ "$output" =~ ^"llm-convert: bad.gguf: tensor '"[a-z_.]+"': value "[0-9]+" of row "[0-9]+" is not finite"$ ]]
    run -2 llm-convert bad.gguf -o dir
    [[ "$output" == *"a value is not finite" ]]
    only bad.gguf
}

@test "llm-convert: a file cut at every 1 % is refused in one line, whatever is asked" {
    size=$(stat -c %s "$TINY")
    for i in $(seq 0 99); do
        head -c $((size * i / 100)) "$TINY" >cut.gguf
        run -2 llm-convert --info cut.gguf
        [ "${#lines[@]}" = 1 ]
        [[ "$output" == "llm-convert: cut.gguf: "* ]]
        run -2 llm-convert cut.gguf -o out.gguf
        [ "${#lines[@]}" = 1 ]
    done
    only cut.gguf
}

@test "llm-convert: changed bytes in a header end in status 0 or 2, never in a signal" {
    for i in $(seq 1 60); do
        cp "$TINY" flip.gguf
        printf "\\x$(printf %02x $((i * 37 % 256)))" | dd of=flip.gguf bs=1 seek=$((i * i * 13 % 3000)) conv=notrunc status=none
        run llm-convert --check flip.gguf
        [ "$status" = 0 ] || [ "$status" = 2 ]
        [ "${#lines[@]}" -le 2 ]
    done
}

@test "llm-convert: damaged directories" {
    llm-convert "$TINY" -o good
    try() { # what is expected in the message
        run -2 llm-convert --check d
        [ "${#lines[@]}" = 1 ]
        [[ "$output" == *"$1"* ]] || { echo "want $1: $output"; return 1; }
        rm -r d
    }
    cp -r good d && rm d/config.json && try "cannot open 'd/config.json'"
    cp -r good d && rm d/tokenizer.json && try tokenizer.json
    cp -r good d && rm d/model.safetensors && try "no model.safetensors"
    cp -r good d && truncate -s -4 d/model.safetensors && try "d/model.safetensors: "
    cp -r good d && truncate -s 1000 d/model.safetensors && try "header length"
    cp -r good d && echo '{"model_type":"llama",' >d/config.json && try "config.json: byte"
    for kv in num_hidden_layers:0 num_hidden_layers:1000000000 num_attention_heads:7 head_dim:0 hidden_size:64 \
        rope_theta:-1 rms_norm_eps:0 'rope_scaling:{"rope_type":"linear","factor":0}' 'model_type:"gpt9"'; do
        cp -r good d
        jq -c --arg k "${kv%%:*}" --argjson v "${kv#*:}" '.[$k] = $v' good/config.json >d/config.json
        try "d"
    done
    cp -r good d && jq -c '.quantization_config = {bits:4}' good/config.json >d/config.json && try "is not supported; take the model that it was made of"
    cp -r good d && jq -c '.num_hidden_layers += 1' good/config.json >d/config.json && try "missing tensor 'model.layers."
    cp -r good d && jq -c '.num_hidden_layers -= 1' good/config.json >d/config.json && try "is not one that family 'llama' has"
    mkdir d && touch d/pytorch_model.bin && try pickle
}

@test "llm-convert: usage" {
    run -2 llm-convert
    [[ "$output" == "llm-convert: name an output with -o, or use --info or --check" ]]
    run -2 llm-convert -o x
    [[ "$output" == "llm-convert: no model: "* ]]
    run -2 llm-convert --info --check "$TINY"
    [ "$output" = "llm-convert: one of -o, --info and --check at a time" ]
    run -2 llm-convert -o - "$TINY"
    [[ "$output" == "llm-convert: a model cannot go to standard output"* ]]
    [ ! -e ./- ]
    run -2 llm-convert --info --type f16 "$TINY"
    [ "$output" = "llm-convert: --type is for an output (-o)" ]
    run -2 llm-convert --info -o x "$TINY"
    run -2 llm-convert -o x.gguf "$TINY" "$TINY"
    [ "$output" = "llm-convert: 2 models for one output" ]
    run -2 llm-convert --type q9 -o x.gguf "$TINY"
    [[ "$output" == *q9* ]]
    run -2 llm-convert --info /nonexistent
    [[ "$output" == *"cannot open '/nonexistent'"* ]]
    printf 'PK\003\004aaaaaaaaaaaaaaaaaaaaaaaa' >p.bin
    run -2 llm-convert --info p.bin
    [[ "$output" == *pickle* ]]
    : >empty.gguf
    run -2 llm-convert --info empty.gguf
    mkfifo fifo.gguf
    run -2 llm-convert --info fifo.gguf
    [ "$output" = "llm-convert: 'fifo.gguf' is not a regular file" ]
    run -2 llm-convert --info x.safetensors
    [[ "$output" == *"name the directory"* ]]
}
