# The recipes of examples/synthetic for preference data, code and Korean.
bats_require_minimum_version 1.5.0
load server

setup() {
    SYN="$BATS_TEST_DIRNAME/../examples/synthetic"
    TINY="$BATS_TEST_DIRNAME/../examples/models/tiny.gguf"
    cd "$BATS_TEST_TMPDIR" || return 1
    server_open
}

teardown() {
    server_close
}

@test "recipe: preference data: the better and the worse of several answers" {
    # arithmetic, where the model errs when it is drawn hot
    for i in $(seq 20); do
        echo "{\"id\":\"$i\",\"instruction\":\"Count the words. Then add $i to it. Then double the result.\",\"input\":\"fox goat plum lamp\"}"
    done >in
    SAMPLES=6 TEMP=1.3 "$SYN/preference.sh" in >pairs
    [ "$(wc -l <pairs)" -ge 5 ]
    jq -se 'all(.score_chosen - .score_rejected >= 0.1 and .chosen != .rejected
        and (.chosen | type) == "string" and .prompt == .instruction + "\n\n" + .input and (has("output") | not))' pairs
    jq -se '(map(.instruction) | unique | length) == length' pairs # one pair for each
    # what the scores are worth is known here: (4 + i) * 2
    right() { jq -r "select((.$1 | ltrimstr(\"Answer: \") | rtrimstr(\".\")) == ((4 + (.id | split(\"#\")[0] | tonumber)) * 2 | tostring)) | .id" pairs | wc -l; }
    [ "$(right chosen)" -gt "$(right rejected)" ]
    "$SYN/preference.sh" in >again
    SAMPLES=4 TEMP=1 "$SYN/preference.sh" in | cmp - again # these are the defaults
    MARGIN=5 "$SYN/preference.sh" in >none
    [ ! -s none ]
    # by comparing: the same fields, though the embedded model does not know what to prefer
    METHOD=pairwise MARGIN=0 SAMPLES=6 TEMP=1.3 "$SYN/preference.sh" in >compared
    [ "$(wc -l <compared)" -ge 5 ]
    jq -se 'all(.score_chosen > .score_rejected and (.chosen | type) == "string" and has("prompt"))' compared
}

@test "recipe: bad usage ends with 2 before anything is done" {
    run -2 --separate-stderr "$SYN/preference.sh"
    [ -z "$output" ]
    [[ "$stderr" == usage:* ]]
    echo '{"id":"1","instruction":"Say yes."}' >in
    run -2 --separate-stderr env METHOD=judges "$SYN/preference.sh" in
    [ -z "$output" ]
    [[ "$stderr" == usage:* ]]
    for script in parallel slurm; do
        for shards in no 0 2x -1; do
            run -2 --separate-stderr env OUT="$PWD/out" "$SYN/$script.sh" "$shards"
            [ "$stderr" = "usage: $script.sh [SHARDS]" ]
            [ ! -e out ]
        done
    done
}

@test "recipe: code: what the parser refuses is out, with its status" {
    run -0 --separate-stderr "$SYN/code.sh"
    [ "${#lines[@]}" -gt 8 ]
    while IFS= read -r line; do
        jq -r .output <<<"$line" | sh -n
    done <<<"$output"
    [[ "$stderr" == *"kept"* ]]
    # answers that are code, of a model that writes some
    mkdir bin
    cat >bin/llm-generate <<'EOT'
#!/bin/sh
cat <<'ANSWERS'
{"id":"1","instruction":"a","output":"for i in 1 2; do echo $i; done"}
{"id":"2","instruction":"b","output":"for i in 1 2; do echo $i"}
{"id":"3","instruction":"c","output":"Here:\n```sh\nls (x\n```"}
{"id":"4","instruction":"d","output":"Here:\n```sh\nls x\n```\nand ) more"}
{"id":"5","instruction":"e","output":"Sorry, I can not do that."}
ANSWERS
EOT
    chmod +x bin/llm-generate
    PATH="$PWD/bin:$PATH"
    REJECTS=bad "$SYN/code.sh" >kept 2>table
    [ "$(jq -r .id kept | tr '\n' ' ')" = "1 " ]
    [ "$(jq -c '[.id, .reject.rule, .reject.value]' bad | tr '\n' ' ')" = '["2","check",2] ["3","check",2] ["4","check",2] ' ]
    REJECTS=fenced CHECK_LANG=sh "$SYN/code.sh" >kept 2>table
    [ "$(jq -r .id kept | tr '\n' ' ')" = "4 " ]
    [ "$(jq -r .id fenced | tr '\n' ' ')" = "3 " ]
}

@test "recipe: Korean: an unsuitable model leaves the seeds, a Korean one makes records" {
    ROUNDS=3 REJECTS=bad "$SYN/korean.sh" >out
    cmp out "$SYN/korean.jsonl"
    [ "$(wc -l <bad.1)" -gt 10 ]
    [ "$(jq -r .reject.rule bad.1 | sort -u)" = script ]
    [ "$(jq -r .reject.limit bad.1 | sort -u)" = "Hangul >= 0.5" ]
    server korean
    printf %s "$(cat "$SYN/korean.jsonl")" >seeds # no newline at the end
    COUNT=20 ROUNDS=20 REJECTS=ko "$SYN/korean.sh" seeds "$URL" general >out
    [ "$(grep -c '"source":"selfinstruct"' out)" -ge 10 ]
    jq -se 'all(.instruction + .output | test("[가-힣]"))' out
    head -8 out | cmp - "$SYN/korean.jsonl"
}
