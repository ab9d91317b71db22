# examples/synthetic/report.sh: what the page says is what the files hold, and nothing in a record gets out of its place.
bats_require_minimum_version 1.5.0

setup() {
    SYN="$BATS_TEST_DIRNAME/../examples/synthetic"
    cd "$BATS_TEST_TMPDIR" || return 1
}

# Elements of a page, each once.
elements() {
    grep -o '<[^ >]*' "$1" | sort -u | tr '\n' ' '
}

@test "report: of a run: yield, reasons, cost, novelty as the files have them" {
    make -s -C "$SYN" BIN="$BUILD/" OUT="$PWD/run" COUNT=60 report >/dev/null 2>&1
    page=run/report.html
    n=$(wc -l <run/dataset.jsonl)
    grep -F "<b>$n</b><span>records</span>" $page
    share=$(jq -s '100 * (map(select(.meta.source != "seed")) | length) / length' run/dataset.jsonl)
    grep -F "<b>$(printf %.1f "$share") %</b><span>synthetic</span>" $page
    tokens=$(cat run/*.stats.json | jq -s 'map((.prompt_tokens // 0) + (.generated_tokens // 0)) | add')
    grep -F "<b>$tokens</b><span>tokens</span>" $page
    grep -F "<b>$((tokens / n))</b><span>tokens per accepted record</span>" $page
    for s in instructions evolved clean sound good dataset; do
        grep -F "<tr><th>$s<td>$(wc -l <run/$s.jsonl)<td" $page
        jq -r .reject.rule run/$s.rejects.jsonl | sort | uniq -c | while read -r k rule; do
            grep -F "<span class=\"chip\">$rule <b>$k</b></span>" $page
        done
    done
    made=$(cat run/instructions.jsonl run/instructions.rejects.jsonl | wc -l)
    grep -F "$(wc -l <run/instructions.jsonl) accepted of $made" $page
    grep -F "<tr><td>$made<td>$(wc -l <run/instructions.jsonl)<td>" $page
    # every axis, as many topics as there are
    for a in helpfulness correctness coherence complexity verbosity; do grep -F "<figcaption>$a</figcaption>" $page; done
    grep -F ">$(jq .meta.topic run/dataset.jsonl | sort -u | wc -l) topics, by size" $page
    # shards, interrupted runs: the same numbers where the same was done
    make -s -C "$SYN" BIN="$BUILD/" OUT="$PWD/shards" COUNT=60 SHARDS=3 report >/dev/null 2>&1
    for r in run shards; do # but for the name, and what is counted a process
        sed '/dataset.jsonl</d; /class="tile"/d; /<h2>Cost/,/<h2>Novelty/d' $r/report.html >$r.rest
    done
    cmp run.rest shards.rest
    run ! grep -F "were interrupted" $page
    mkdir begun # a run that was stopped in the first stage, and went on
    cp run/instructions.jsonl begun/
    jq -c '.accepted_before = 20' run/instructions.stats.json >begun/instructions.stats.json
    sh "$SYN/report.sh" begun | grep -F "Some stages were interrupted and went on"
    # nothing is loaded, nothing runs
    run ! grep -E 'src=|href=|url\(|@import|<script|https?:' $page
}

@test "report: the same page twice, and records of no stage are an error" {
    mkdir d
    echo '{"id":"1","instruction":"Say yes.","output":"Yes."}' >d/dataset.jsonl
    sh "$SYN/report.sh" d >a
    sh "$SYN/report.sh" d >b
    cmp a b
    grep -F '<b>1</b><span>records</span>' a
    grep -F '<b>0.0 %</b><span>synthetic</span>' a
    mkdir none
    run -2 --separate-stderr sh "$SYN/report.sh" none
    [[ "$stderr" == *"no records of any stage in 'none'"* ]]
    [ -z "$output" ]
    for sh in sh bash; do
        run -2 $sh "$SYN/report.sh"
        [ "$output" = "usage: report.sh DIR [STAGE ...]" ]
    done
}

@test "report: hostile texts, names, numbers and types stay text" {
    mkdir d
    evil='</p></style></svg><script>alert(1)</script><img src=x onerror=\"alert(2)\">&amp;'
    bidi=$'\u202e'
    {
        for field in id instruction input output score helpfulness; do echo "{\"$field\":\"$evil\"}"; done
        echo "{\"instruction\":\"$evil$bidi\\u0000\\u001b[31m\\u009b\",\"output\":\"$evil\",\"meta\":{\"source\":\"$evil\",\"op\":\"$evil\",\"topic\":1,\"topic_label\":\"$evil\",\"nn_rouge\":\"$evil\"}}"
        echo "{\"instruction\":{\"a\":[\"$evil\"]},\"output\":[\"$evil\"],\"meta\":\"$evil\",\"score\":[1],\"reject\":5}"
        echo '{"instruction":"x","score":1e999,"correctness":-5,"coherence":1e6,"meta":{"topic":1e300,"item":"<b>","round":{}}}'
        echo 'no JSON <script>'
        echo '"a string"'
        echo "{\"instruction\":\"$(head -c 5000 /dev/zero | tr '\0' x)\"}"
        printf '{"instruction":"\xff\xfe<script>"}\n'
    } >d/dataset.jsonl
    jq -cR "fromjson? | select(type == \"object\") | . + {reject:{stage:\"$evil\",rule:\"$evil\",value:\"$evil\",limit:{a:\"$evil\"}}}" d/dataset.jsonl >d/good.rejects.jsonl
    cp d/dataset.jsonl d/good.jsonl
    cp d/dataset.jsonl d/instructions.jsonl
    cp d/good.rejects.jsonl d/instructions.rejects.jsonl
    echo "{\"prompt_tokens\":\"$evil\",\"generated_tokens\":7,\"seconds\":[]}" >d/good.stats.json
    sh "$SYN/report.sh" d >page
    mkdir plain
    sed 's/[<>&]//g' d/dataset.jsonl >plain/dataset.jsonl
    for f in good instructions; do
        sed 's/[<>&]//g' d/$f.jsonl >plain/$f.jsonl
        sed 's/[<>&]//g' d/$f.rejects.jsonl >plain/$f.rejects.jsonl
    done
    sh "$SYN/report.sh" plain >plain.html
    # no element that a page of harmless texts would not have, as often
    [ "$(elements page)" = "$(elements plain.html)" ]
    [ "$(grep -o '<[a-z/!]' page | wc -l)" = "$(grep -o '<[a-z/!]' plain.html | wc -l)" ]
    grep -F '&lt;script&gt;alert(1)' page
    [ "$(LC_ALL=C grep -c -P '[\x00-\x08\x0b-\x1f]|\xe2\x80\xae|\xc2\x9b' page)" = 0 ]
    [ "$(LC_ALL=C grep -o -P '\xef\xbf\xbd' page | wc -l)" -gt 0 ]
    [ "$(wc -L <page)" -lt 6000 ]
}
