#!/bin/sh
# report.sh DIR [STAGE ...] - one HTML page about a run of the pipeline, on standard output: what each
# stage kept and dropped and why, the novelty curve, scores, lengths, topics, samples.
#
# DIR is the Makefile's OUT; the stages are its files, in their order. Needs jq and awk. The page loads
# nothing, runs nothing and is the same for the same files; texts of records are escaped, whatever they hold.
set -eu
LC_ALL=C
export LC_ALL
dir=${1:-}
[ -n "$dir" ] || {
	echo "usage: report.sh DIR [STAGE ...]" >&2
	exit 2
}
shift
[ $# -gt 0 ] || set -- instructions evolved clean answered sound scored good dataset
final=
for stage; do
	[ ! -s "$dir/$stage.jsonl" ] || final=$dir/$stage.jsonl
done
[ -n "$final" ] || {
	echo "report.sh: no records of any stage in '$dir'" >&2
	exit 2
}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# What jq programs share. text: of a record, for the page: control characters and those that turn the
# direction of writing are shown as U+FFFD, long ones are cut.
defs='def shown: explode | map(if . == 9 or . == 10 then 32 elif . < 32 or (. >= 127 and . < 160) or (. >= 8234 and . <= 8238) or (. >= 8294 and . <= 8297)
		or (. >= 55296 and . < 57344) then 65533 else . end) | if length > 400 then .[:400] + [8230] else . end | implode | @html;
	def text: if type == "string" then shown elif . == null then "" else tojson | shown end;
	def number: if type == "number" then . else empty end;
	def words: if type == "string" then [splits("\\s+")] | map(select(length > 0)) | length else empty end;
	def meta: if (.meta | type) == "object" then .meta else {} end;
	def reject: if (.reject | type) == "object" then .reject else {} end;'
records() { # FILE PROGRAM: over its lines, one at a time; a line that is no object is left out
	[ ! -s "$1" ] || jq -rR "$defs fromjson? | select(type == \"object\") | $2" "$1"
}
lines() { # FILE ...
	cat "$@" 2>/dev/null | wc -l
}
# Counts of all processes of a stage.
stats() { # STAGE KEY
	cat "$dir/$1".stats.json "$dir/$1".*of*.stats.json 2>/dev/null | jq -n --arg k "$2" '[inputs[$k] | numbers] | add // 0'
}
rejects() { # STAGE: all its files, whole or of shards and attempts, each line once
	for f in "$dir/$1".rejects.jsonl "$dir/$1".*of*.rejects.jsonl*; do
		case $f in *.meta) continue ;; esac
		[ ! -s "$f" ] || cat "$f"
	done | awk '!seen[$0]++'
}

# ---- numbers for the charts: METRIC, 0 for all and 1 for kept, value ----
axes="helpfulness correctness coherence complexity verbosity"
for stage; do
	rejects "$stage" >"$tmp/$stage.rejects"
done
scored=$final
[ ! -s "$dir/scored.jsonl" ] || scored=$dir/scored.jsonl
numbers() { # FILE SERIES
	records "$1" "\"s\\t$2\\t\" + ((.score | number | tostring),
		empty), ($(for a in $axes; do printf '"%s\\t%s\\t\\(.%s | number)", ' "$a" "$2" "$a"; done) empty),
		\"iw\\t$2\\t\\(.instruction | words)\", \"ow\\t$2\\t\\(.output | words)\""
}
{
	numbers "$scored" 0
	numbers "$final" 1
	if [ -s "$dir/instructions.jsonl" ]; then
		records "$dir/instructions.jsonl" '"nn\t0\t\(meta.nn_rouge | number)", "nn\t1\t\(meta.nn_rouge | number)"'
		records "$tmp/instructions.rejects" 'select(reject.rule == "rouge") | "nn\t0\t\(reject.value | number)"'
	fi
} >"$tmp/numbers"
# Accepted (1) or not (0), in the order in which they were made.
if [ -s "$dir/instructions.jsonl" ]; then
	for f in "$dir/instructions.jsonl 1" "$tmp/instructions.rejects 0"; do
		records "${f% ?}" "select(meta.item | type == \"number\" and . >= 0) | meta
			| \"\\(.round | number)\\t\\(.prompt | number)\\t\\(.item)\\t${f##* }\""
	done | sort -n -k1,1 -k2,2 -k3,3 | cut -f4 >"$tmp/curve"
fi
records "$final" 'select(meta.topic | type == "number") | "\(meta.topic)\t\(meta.topic_label // "" | text)\t\([.instruction, .input] | map(text) | join(" "))"' >"$tmp/topics"

# ---- the charts: inline SVG, coloured by the page's style ----
cat >"$tmp/chart.awk" <<'AWK'
function top(n,    p) { # a round number not below n
	for (p = 1; p * 10 <= n; p *= 10)
		;
	return n <= p ? p : n <= 2 * p ? 2 * p : n <= 5 * p ? 5 * p : 10 * p
}
function begin(title, w, h) {
	printf "<figure><figcaption>%s</figcaption><svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">\n", title, w, h, title
}
function rule(x1, y1, x2, y2, class) {
	printf "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>", class, x1, y1, x2, y2
}
function label(x, y, anchor, s) {
	printf "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>", x, y, anchor, s
}
function bar(x, y, w, h, class, tip) {
	if (h > 0)
		printf "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"><title>%s</title></rect>", class, x, y, w, h, tip
}
function grid(W, H, L, T, max,    i, y) {
	for (i = 0; i <= 4; i++) {
		y = T + (H - T - 30) * (1 - i / 4)
		rule(L, y, W - 6, y, "grid")
		if (max * i / 4 == int(max * i / 4) || max < 4)
			label(L - 5, y + 4, "end", max * i / 4)
	}
}
# A histogram of metric m in n bins from lo to hi; what lies above is in the last.
function hist(m, title, unit, lo, hi, n,    i, k, v, max, W, H, L, T, bw, y, ph, all, kept, every) {
	W = 420; H = 200; L = 44; T = 10; ph = H - T - 30
	split("", all); split("", kept)
	if (!(m in count))
		return
	for (i = 1; i <= count[m]; i++) {
		k = int((value[m, i] - lo) / (hi - lo) * n + 1e-9)
		k = k < 0 ? 0 : k >= n ? n - 1 : k
		if (series[m, i]) kept[k]++
		else all[k]++
	}
	for (k = 0; k < n; k++)
		max = all[k] > max ? all[k] : kept[k] > max ? kept[k] : max
	max = top(max)
	begin(title, W, H)
	grid(W, H, L, T, max)
	bw = (W - L - 6) / n
	for (k = 0; k < n; k++) {
		v = sprintf("%g to %g: %d of %d kept", lo + k * (hi - lo) / n, lo + (k + 1) * (hi - lo) / n, kept[k], all[k])
		bar(L + k * bw + 1, T + ph * (1 - all[k] / max), bw - 2, ph * all[k] / max, "all", v)
		bar(L + k * bw + 1, T + ph * (1 - kept[k] / max), bw - 2, ph * kept[k] / max, "kept", v)
	}
	every = n % 5 ? n / 4 : n / 5
	for (k = 0; k <= n; k += every)
		label(L + k * bw, H - 16, "middle", sprintf("%g", lo + k * (hi - lo) / n) (k >= n && over[m] ? "+" : ""))
	label(L + (W - L) / 2, H - 2, "middle", unit)
	print "</svg></figure>"
}
AWK
histograms() {
	awk -F'\t' -v which="$1" "$(cat "$tmp/chart.awk")"'
	{ value[$1, ++count[$1]] = $3 + 0; series[$1, count[$1]] = $2 + 0; if ($3 > most[$1]) most[$1] = $3 }
	# A range for lengths: a round number that nearly all are below.
	function range(m,    i, h, n, k) {
		for (i = 1; i <= count[m]; i++) h[int(value[m, i])]++
		for (k = 0; k <= most[m] && n + h[k] <= 0.995 * count[m]; k++) n += h[k]
		over[m] = most[m] >= top(k + 1)
		return top(k + 1)
	}
	END {
		if (which == "novelty") {
			hist("nn", "Likeness to the nearest instruction before", "ROUGE-L F-measure", 0, 1, 20)
		} else if (which == "scores") {
			over["s"] = most["s"] > 1
			hist("s", "Score", "weighted, 0 to 1", 0, 1, 20)
			n = split("helpfulness correctness coherence complexity verbosity", a, " ")
			for (i = 1; i <= n; i++) hist(a[i], a[i], "0 to 4", 0, 4, 16)
		} else {
			hist("iw", "Words of the instruction", "words", 0, range("iw"), 20)
			hist("ow", "Words of the answer", "words", 0, range("ow"), 20)
		}
	}' "$tmp/numbers"
}
curve() {
	awk "$(cat "$tmp/chart.awk")"'
	{ made = NR; accepted += $1; y[NR] = accepted }
	END {
		W = 860; H = 320; L = 60; T = 10; ph = H - T - 30; pw = W - L - 16
		max = top(made); half = int(made / 10)
		begin("Accepted against generated: the straight line is novelty without end", W, H)
		grid(W, H, L, T, max)
		rule(L, T + ph, L + pw * made / max, T + ph * (1 - made / max), "ideal")
		printf "<polyline class=\"curve\" points=\"%.1f,%.1f", L, T + ph
		step = made > 400 ? made / 400 : 1
		for (i = step; i <= made; i += step)
			printf " %.1f,%.1f", L + pw * int(i) / max, T + ph * (1 - y[int(i)] / max)
		printf " %.1f,%.1f\"/>", L + pw * made / max, T + ph * (1 - accepted / max)
		for (i = 0; i <= 4; i++)
			label(L + pw * i / 4, H - 16, "middle", max * i / 4)
		label(L + pw / 2, H - 2, "middle", "instructions generated")
		label(L + pw * made / max - 8, T + ph * (1 - accepted / max) + 44, "end", sprintf("%d accepted of %d", accepted, made))
		print "</svg></figure>"
		printf "<div class=\"two\"><table class=\"num\"><tr><th>generated<th>accepted<th>of these<th>of the tenth before</tr>\n"
		for (k = 1; k <= 10; k++) {
			i = int(made * k / 10); b = int(made * (k - 1) / 10)
			if (i > b)
				printf "<tr><td>%d<td>%d<td>%.1f %%<td>%.1f %%</tr>\n", i, y[i], 100 * y[i] / i, 100 * (y[i] - y[b]) / (i - b)
		}
		print "</table>"
	}' "$tmp/curve"
}
# Topics with their most telling words: how often in the topic, times how rare among topics.
topics() {
	awk -F'\t' '
	{
		n[$1]++
		if ($2 != "") name[$1] = $2
		gsub(/&[a-z#0-9]*;/, " ", $3)
		m = split(tolower($3), w, /[][ .,;:!?()"'"'"'`]+/)
		for (i = 1; i <= m; i++)
			if (length(w[i]) > 2) {
				if (!(($1, w[i]) in tf))
					df[w[i]]++
				tf[$1, w[i]]++
			}
	}
	END {
		for (c in n) { k++; if (n[c] > max) max = n[c] }
		for (key in tf) {
			split(key, p, SUBSEP)
			if (length(p[2]) > 2 && df[p[2]]) {
				s = tf[key] * log((k + 0.5) / df[p[2]])
				if (s > s1[p[1]]) { s3[p[1]] = s2[p[1]]; w3[p[1]] = w2[p[1]]; s2[p[1]] = s1[p[1]]; w2[p[1]] = w1[p[1]]; s1[p[1]] = s; w1[p[1]] = p[2] }
				else if (s > s2[p[1]]) { s3[p[1]] = s2[p[1]]; w3[p[1]] = w2[p[1]]; s2[p[1]] = s; w2[p[1]] = p[2] }
				else if (s > s3[p[1]]) { s3[p[1]] = s; w3[p[1]] = p[2] }
			}
		}
		for (c in n)
			printf "%d\t%s\t%s\t%.1f\n", n[c], c, name[c] != "" ? name[c] : w1[c] " " w2[c] " " w3[c], 100 * n[c] / max
	}' "$tmp/topics" | sort -t"$(printf '\t')" -k1,1nr -k2,2n |
		awk -F'\t' '{ printf "<tr><td>%s<td class=\"wide\">%s<td class=\"bars\"><i class=\"kept\" style=\"width:%s%%\"></i><td>%d</tr>\n", $2, $3, $4, $1 }'
}

# ---- the funnel ----
most=1
for stage; do
	n=$(($(lines "$dir/$stage.jsonl") + $(lines "$tmp/$stage.rejects")))
	[ "$n" -le "$most" ] || most=$n
done
funnel() {
	for stage; do
		[ -e "$dir/$stage.jsonl" ] || continue
		out=$(lines "$dir/$stage.jsonl")
		dropped=$(lines "$tmp/$stage.rejects")
		printf '<tr><th>%s<td>%d<td class="bars">' "$stage" "$out"
		awk -v o="$out" -v d="$dropped" -v m="$most" 'BEGIN { printf "<i class=\"kept\" style=\"width:%.2f%%\"></i><i class=\"gone\" style=\"width:%.2f%%\"></i>", 100 * o / m, 100 * d / m }'
		printf '<td>%d<td class="wide">' "$dropped"
		records "$tmp/$stage.rejects" 'reject.rule | text' | sort | uniq -c | sort -k1,1nr -k2 |
			sed 's/^ *\([0-9]*\) \(.*\)/<span class="chip">\2 <b>\1<\/b><\/span>/'
		echo '</tr>'
	done
}
costs() {
	for stage; do
		p=$(stats "$stage" prompt_tokens) g=$(stats "$stage" generated_tokens) s=$(stats "$stage" seconds)
		# what earlier runs did: records that were there, and those that selfinstruct had made
		printf '%s %s %s %s %s\n' "$stage" "$p" "$g" "$s" $(($(stats "$stage" skipped) + $(stats "$stage" accepted_before)))
	done
}
costs "$@" >"$tmp/costs"
records_final=$(lines "$final")
tokens_total=$(awk '{ n += $2 + $3 } END { printf "%d", n }' "$tmp/costs")
resumed=$(awk '{ n += $5 } END { printf "%d", n }' "$tmp/costs")

sample() { # FILE HOW-MANY: records spread evenly
	n=$(lines "$1")
	awk -v n="$n" -v k="$2" 'int(NR * k / n) > int((NR - 1) * k / n)' "$1"
}
card='"<div class=\"card\"><p class=\"from\">" + ([meta.source, meta.op] | map(select(. != null) | text) | join(", "))
		+ (if (.score | type) == "number" then ", score \(.score)" else "" end) + "</p>"
	+ (if has("reject") then "<p class=\"why\">" + ([reject.stage, reject.rule] | map(text) | join(": "))
		+ (if reject.value != null then ", <q>" + (reject.value | text) + "</q>" else "" end)
		+ (if reject.limit != null then " (limit " + (reject.limit | text) + ")" else "" end) + "</p>" else "" end)
	+ "<p><bdi>" + ((.instruction // .prompt // .raw // .messages // .conversations) | text) + "</bdi></p>"
	+ (if (.input | type) == "string" and .input != "" then "<p class=\"in\"><bdi>" + (.input | text) + "</bdi></p>" else "" end)
	+ (if .output != null then "<p class=\"out\"><bdi>" + (.output | text) + "</bdi></p>" else "" end) + "</div>"'

# ---- the page ----
tile() {
	printf '<div class="tile"><b>%s</b><span>%s</span></div>\n' "$1" "$2"
}
cat <<'EOT'
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Synthetic data: report</title>
<style>
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --paper: #ffffff; --panel: #f4f6f9; --line: #d9dee6; --kept: #1f6fb5; --all: #a9c8e4; --gone: #d98a5b; }
@media (prefers-color-scheme: dark) {
	:root { --ink: #e4e9f0; --soft: #98a4b3; --paper: #14181e; --panel: #1d232b; --line: #333c48; --kept: #58a6e8; --all: #2f4a63; --gone: #c9764a; }
}
body { margin: 0 auto; max-width: 1000px; padding: 24px 20px 60px; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 19px; margin: 38px 0 8px; border-bottom: 1px solid var(--line); padding-bottom: 4px; } h3 { font-size: 15px; margin: 18px 0 6px; }
p { margin: 4px 0; } .note, .from { color: var(--soft); font-size: 13px; }
.tiles { display: flex; flex-wrap: wrap; gap: 10px; margin: 18px 0; }
.tile { background: var(--panel); border-radius: 8px; padding: 10px 16px; min-width: 110px; } .tile b { display: block; font-size: 22px; } .tile span { color: var(--soft); font-size: 13px; }
table { border-collapse: collapse; width: 100%; font-size: 14px; } th { text-align: left; font-weight: 600; } th, td { padding: 4px 8px; border-bottom: 1px solid var(--line); vertical-align: middle; }
th + th { text-align: right; } th.wide { text-align: left; } td { text-align: right; font-variant-numeric: tabular-nums; } td.wide { text-align: left; } td.bars { width: 34%; text-align: left; white-space: nowrap; font-size: 0; }
.num { width: auto; } .two { display: grid; grid-template-columns: repeat(auto-fit, minmax(380px, 1fr)); gap: 20px; align-items: start; margin-top: 10px; } .num th { text-align: right; }
i { display: inline-block; height: 14px; } i.kept { background: var(--kept); } i.gone { background: var(--gone); }
.chip { display: inline-block; background: var(--panel); border: 1px solid var(--line); border-radius: 10px; padding: 0 8px; margin: 1px 4px 1px 0; font-size: 13px; }
.key i { width: 12px; height: 12px; margin: 0 5px 0 12px; vertical-align: -1px; } .key i.all { background: var(--all); }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); gap: 14px; } figure { margin: 0; } figcaption { font-size: 13px; color: var(--soft); margin-bottom: 2px; }
svg { width: 100%; height: auto; display: block; } svg text { font-size: 13px; fill: var(--soft); } .grid { stroke: var(--line); } .ideal { stroke: var(--soft); stroke-dasharray: 5 4; } .curve { fill: none; stroke: var(--kept); stroke-width: 2.5; }
rect.all { fill: var(--all); } rect.kept { fill: var(--kept); }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(290px, 1fr)); gap: 10px; }
.card { background: var(--panel); border-radius: 8px; padding: 8px 12px; overflow-wrap: anywhere; } .in { color: var(--soft); } .out { border-left: 3px solid var(--kept); padding-left: 8px; } .why { color: var(--gone); font-size: 13px; font-weight: 600; }
</style>
</head>
<body>
<h1>Synthetic data: report</h1>
EOT
printf '<p class="note">%s</p>\n<div class="tiles">\n' "$(printf '%s' "$final" | jq -sRr "$defs text")"
tile "$records_final" records
records "$final" 'if meta.source == null then 2 elif meta.source == "seed" then 1 else 0 end' |
	awk '{ n[$1]++ } END { printf "%.1f %%\n", NR ? 100 * n[0] / NR : 0 }' >"$tmp/share"
tile "$(cat "$tmp/share")" synthetic
tile "$(records "$final" '.score | number' | awk '{ s += $1 } END { printf NR ? "%.3f" : "-", NR ? s / NR : 0 }')" 'mean score'
tile "$tokens_total" 'tokens'
tile $((tokens_total / (records_final ? records_final : 1))) 'tokens per accepted record'
tile "$(awk '{ s += $4 } END { printf "%.0f", s }' "$tmp/costs")" 'seconds in the commands'
echo '</div>'
[ "$resumed" = 0 ] || echo '<p class="note">Some stages were interrupted and went on; tokens and seconds are those of the runs that ended.</p>'
echo '<h2>Yield</h2><p class="key note"><i class="kept"></i>kept<i class="gone"></i>dropped</p>'
echo '<table><tr><th>stage<th>kept<th><th>dropped<th class="wide">by rule</tr>'
funnel "$@"
echo '</table><h2>Cost</h2><table><tr><th>stage<th>prompt tokens<th>generated tokens<th>tokens per accepted record<th>seconds</tr>'
awk -v n="$records_final" '{ printf "<tr><th>%s<td>%d<td>%d<td>%.1f<td>%.1f</tr>\n", $1, $2, $3, n ? ($2 + $3) / n : 0, $4 }' "$tmp/costs"
echo '</table>'
if [ -s "$tmp/curve" ]; then
	echo '<h2>Novelty</h2>'
	curve
	echo '<div>'
	histograms novelty
	echo '<p class="key note"><i class="all"></i>all that came to the rule<i class="kept"></i>accepted</p></div></div>'
fi
echo '<h2>Scores</h2><p class="key note"><i class="all"></i>all that were scored<i class="kept"></i>in the data set</p><div class="charts">'
histograms scores
echo '</div><h2>Lengths</h2><div class="charts">'
histograms lengths
echo '</div><h2>Sources</h2><table class="num"><tr><th class="wide">source<th class="wide">operator<th>records</tr>'
records "$final" '[meta.source // "unknown", meta.op // ""] | map(text) | join("\t")' | sort | uniq -c |
	sed 's/^ *\([0-9]*\) \(.*\)\t\(.*\)/<tr><td class="wide">\2<td class="wide">\3<td>\1<\/tr>/'
echo '</table>'
if [ -s "$tmp/topics" ]; then
	printf '<h2>Topics</h2><p class="note">%d topics, by size, with their most telling words.</p><table><tr><th>topic<th class="wide">words<th><th>records</tr>\n' \
		"$(cut -f1 "$tmp/topics" | sort -u | wc -l)"
	topics
	echo '</table>'
fi
echo '<h2>Some of the records kept</h2><div class="cards">'
sample "$final" 12 >"$tmp/sample"
records "$tmp/sample" "$card"
echo '</div><h2>Some of the records dropped</h2>'
for stage; do
	[ -s "$tmp/$stage.rejects" ] || continue
	printf '<h3>%s</h3><div class="cards">\n' "$stage"
	# two of each rule, the first and one from the middle
	records "$tmp/$stage.rejects" '"\(reject.rule | text)"' | sort | uniq | head -n 8 >"$tmp/rules"
	while IFS= read -r rule; do
		jq -cR --arg r "$rule" "$defs fromjson? | select(type == \"object\" and (reject.rule | text) == \$r)" "$tmp/$stage.rejects" >"$tmp/of"
		sample "$tmp/of" 2 >"$tmp/sample"
		records "$tmp/sample" "$card"
	done <"$tmp/rules"
	echo '</div>'
done
echo '</body></html>'
