bats_require_minimum_version 1.5.0
load server

# Records, options and ways of working that are drawn, the same ones in every run: whatever the way,
# the same bytes and rejects. exact.bats has the chosen cases.

setup() {
    TINY="$BATS_TEST_DIRNAME/../examples/models/tiny.gguf"
    cd "$BATS_TEST_TMPDIR" || return 1
    seed=$BATS_TEST_NUMBER
    batch=0
    server_open
}

teardown() {
    server_close
}

# One of the arguments, which may be empty or several options, is appended to `drawn`.
draw() {
    seed=$((seed * 16807 % 2147483647))
    shift $((seed / 7 % $#))
    # shellcheck disable=SC2206 # several options
    drawn+=($1)
}

# records N [WORDS]: of all forms, long and short, with a common beginning, without ids, twice, broken,
# blank; with these words among others.
records() {
    awk -v n="$1" -v s="$seed" -v more="$2" '
    function r(k) { s = s * 16807 % 2147483647; return int(s / 7) % k }
    function words(k,    t) {
        while (k-- > 0) t = t (t == "" ? "" : " ") w[1 + r(n_words)]
        return t
    }
    BEGIN {
        n_words = split("fox plum goat river list é 한국어 \\ud83e\\udd8a \\n \\u0000 <|im_end|> joe@example.org " more, w, " ")
        begin = words(70)
        for (i = 0; i < n; i++) {
            t = (r(2) ? substr(begin, 1, 1 + r(30)) " fox " : "") words(r(5) ? r(12) : 150)
            gsub(/\\ /, "x ", t)
            gsub(/\\(u[0-9a-f]*)? /, " ", t)
            id = r(3) ? "" : "\"id\":\"r" r(n) "\","
            x = r(16)
            o = ",\"output\":\"" words(r(20)) "\""
            line = x < 6 ? "\"instruction\":\"Reverse the list.\",\"input\":\"" t "\"" o : x < 9 ? "\"prompt\":\"" t "\"" o \
                : x < 11 ? "\"messages\":[{\"role\":\"user\",\"content\":\"" t "\"}]" \
                : x < 13 ? "\"conversations\":[{\"from\":\"human\",\"value\":\"" t "\"},{\"from\":\"gpt\",\"value\":\"a\"}]" \
                : x < 14 ? "\"text\":\"" t "\",\"prompt\":null" : "\"n\":" i
            line = x == 15 ? (r(2) ? "{bad " r(3) : "") : "{" id line "}"
            if (r(8) == 0 && last != "") line = last
            print line
            last = line
        }
    }'
}

# Options that say how the work is done, into `drawn`. engine: 0 no model, 1 one here, 2 a server.
way() {
    drawn=()
    batch=$((batch % 18 + 1)) # every number, one after the other
    [ "$engine" = 0 ] || drawn=(--batch $((batch == 18 ? 64 : batch)))
    [ "$engine" = 2 ] || draw "" "-j 1" "-j 2" "-j 3"
    if [ "$engine" = 1 ]; then
        draw "" "--batch-tokens 1" "--batch-tokens 7" "--batch-tokens 64" "--batch-tokens 4096"
        draw "" "" "--no-prefix-cache"
        draw "" "--repack always" "--repack never"
    fi
}

# same COMMAND...: the plain run of it over `in`, and three drawn ways: whole, in shards, stopped and resumed.
same() {
    local rc=0 again i
    rm -f ref rej out out.meta outrej part.* prej.*
    "$@" -q --rejects rej in >ref || rc=$?
    echo "$* : $rc" # shown when it fails
    [ $rc -le 1 ]
    way
    again=0
    "$@" -q "${drawn[@]}" --rejects outrej <in >out || again=$?
    [ $again = $rc ]
    cmp ref out
    cmp <(cat rej) <(cat outrej)
    way
    for i in 1 2 3; do
        "$@" -q "${drawn[@]}" --shard $i/3 --rejects prej.$i -o part.$i in || [ $? = 1 ]
    done
    cmp <(sort ref) <(cat part.? | sort)
    cmp <(sort rej) <(cat prej.? | sort)
    # what is there when it was killed: some lines, and a part of one
    rm -f out out.meta outrej
    "$@" -q --rejects outrej -o out in || [ $? = 1 ]
    draw 10 300 2000 9000
    head -c "${drawn[-1]}" ref >out
    head -c $((${drawn[-1]} / 3)) rej >outrej
    unset "drawn[-1]"
    "$@" -q "${drawn[@]}" --resume --rejects outrej -o out in || [ $? = 1 ]
    cmp ref out
    cmp rej outrej
}

@test "drawn: llm-generate" {
    engine=1
    for _ in $(seq 6); do # 18 ways
        records 20 >in
        drawn=(-m "$TINY" --ctx 256)
        draw "-n 1" "-n 5" "-n 12" "-n 20"
        draw "" "-t 0" "-t 0.8" "-t 2"
        draw "" "" "-k 5" "-p 0.9" "--min-p 0.05" "--typical-p 0.9" "--top-n-sigma 1"
        draw "" "" "--repeat-penalty 1.2" "--presence-penalty 0.5" "--dry-multiplier 0.8"
        draw "" "" "--stop fox" "--samples 2" "--logprobs 2" "--ignore-eos" "--score"
        draw "--seed 1" "--seed 2"
        same llm-generate "${drawn[@]}"
    done
}

@test "drawn: llm-embed" {
    engine=1
    for _ in $(seq 6); do
        records 20 >in
        drawn=(-m "$TINY" --dim 4)
        draw "" "--pooling mean" "--pooling cls"
        draw "" "--type int8" "--normalize"
        draw "" "--ctx 64" "--ctx 64 --truncate"
        draw "" "--field output" "--field text" "--field input"
        same llm-embed "${drawn[@]}"
    done
}

@test "drawn: llm-filter" {
    engine=0
    for _ in $(seq 8); do
        records 150 >in
        drawn=()
        draw "" "--min-words 2" "--max-chars 60" "--max-repeat 0.1"
        draw "" "--pii mask" "--pii drop" "--lang en" "--script Latin>=0.5"
        draw "" "--field input" "--field text" "--preset gopher-repetition"
        same llm-filter "${drawn[@]}"
    done
}

@test "drawn: over a server" {
    engine=2
    server
    for _ in $(seq 4); do
        records 20 "fault=400 fault=filter" >in
        drawn=(-m "$URL" --retries 0 -n 8)
        draw "" "--samples 2" "--samples 3"
        draw "" "--logprobs 2" "--chat-template chatml" "--stop fox"
        same llm-generate "${drawn[@]}"
        same llm-embed -m "$URL" --retries 0
        drawn=(-m "$URL" --retries 0)
        draw "" "--rounds 2" "--tries 2" "--answer" "--what response"
        same llm-evol "${drawn[@]}"
    done
}
