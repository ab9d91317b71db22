#!/bin/sh
# table.sh samples.jsonl ... - the samples of peer.sh as a table.
#
# Of each side the median (least to greatest) and, in brackets, its part of what the machine can
# do, measured right after it: of the read bandwidth for generation, of the rate of int8 products
# (of floats for float weights) for prompts. The ratio is ours to the best of the others': above
# 1 ours is faster, sooner or smaller. "others" is the most that foreign processes had of the processors.
set -eu
for f; do
	[ -r "$f" ] || {
		echo "table.sh: cannot read '$f'" >&2
		exit 2
	}
done
cat -- "$@" | jq -rs '
	def median: sort | if length % 2 == 1 then .[(length - 1) / 2] else (.[length / 2 - 1] + .[length / 2]) / 2 end;
	def short: if . >= 100 then round | tostring elif . >= 10 then (. * 10 | round) / 10 | tostring
		else (. * 1000 | round) / 1000 | tostring end;
	# our own samples say which rate is the limit, and what a token costs of it
	def cost: map(select(.percent) | {peak, cost: (.percent * .[.peak] / .tok_s)})
		| if length > 0 then {peak: .[0].peak, cost: (map(.cost) | median)} else null end;
	def cell($what; $cost): (map(.[$what]) | "\(median | short) (\(min | short)-\(max | short))")
		+ if $cost then " [\(map(.tok_s * $cost.cost / .[$cost.peak]) | median | short) %]" else "" end;
	def row($what; $unit; $less):
		(if $what == "tok_s" then cost else null end) as $cost
		| [.[0].model, .[0].test + $unit]
		+ ([map(select(.side == "ours"))] + (map(select(.side != "ours")) | group_by(.side)) | map("\(.[0].side) " + cell($what; $cost)))
		+ ((map(select(.side == "ours")[$what]) | median) as $a
			| (map(select(.side != "ours")) | group_by(.side) | map(map(.[$what]) | median)) as $m
			| [(if $less then ($m | min) / $a else $a / ($m | max) end) | "x " + short])
		+ ["\(map(.other_percent) | max | short) %"];
	["model", "test", "", "", "", "ratio", "others"][:(map(.side) | unique | length) + 2] + ["ratio", "others"],
	(group_by([.model, .test])[]
		| if .[0].test == "start"
			then row("seconds"; " s"; true), (map(.peak_rss_bytes /= 1e6) | row("peak_rss_bytes"; " MB"; true))
			else row("tok_s"; ""; false) end) | @tsv' | column -t -s "$(printf '\t')"
