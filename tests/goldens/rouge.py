#!/usr/bin/env python3
"""rouge.py - ROUGE-L of 1,000 pairs of instructions, and what Self-Instruct's filter decides, by
the package rouge-score.

    python3 tests/goldens/rouge.py            (needs rouge-score)

Writes tests/data/rouge.jsonl: the pieces, then a pair a line, each text as a list of pieces, with
the F-measure as Python prints a double and whether it exceeds 0.7, as bootstrap_instructions.py
asks. The pieces are ASCII, for which rouge-score's tokenizer is defined without loss; among them
are signs, digits, capitals, apostrophes and hyphens. Half of the pairs are a text and what a few
edits made of it; every fifth is built to share exactly seven words in ten, where the rounding of
precision and recall decides.
"""

import json
import pathlib
import random

from rouge_score import rouge_scorer

OUT = pathlib.Path(__file__).resolve().parent.parent / "data" / "rouge.jsonl"

PIECES = """write a an the short long poem list of five words about rivers describe how to bake bread
without yeast explain why sky is blue in two sentences name one city that begins with letter B sort
these numbers from small large 17 4 2024 3.14 1,000 translate sentence into French don't it's
co-operate well-known e-mail user's (in brackets) "quoted" [list] A.B.C. U.S. C++ C# x=y+1 50% $20
what's Who WHERE when? first, second; third: end. yes! no... -- / \\ & @name #tag under_score
make change give reason for against summary table plan recipe story children adults compare
contrast difference between cat dog""".split()


def text(rng, words):
    return [rng.randrange(len(PIECES)) for _ in range(words)]


def edit(rng, a):
    b = list(a)
    for _ in range(rng.randint(0, max(1, len(a) // 2))):
        k = rng.randrange(3)
        at = rng.randrange(len(b) + 1)
        if k == 0:
            b.insert(at, rng.randrange(len(PIECES)))
        elif b and k == 1:
            del b[min(at, len(b) - 1)]
        elif b:
            b[min(at, len(b) - 1)] = rng.randrange(len(PIECES))
    return b


PLAIN = [i for i, p in enumerate(PIECES) if p.isalpha() and p.islower()]


def tie(rng):
    """Two texts of different plain words, a common subsequence of 7 in 10."""
    while True:
        m, n = rng.randint(2, 40), rng.randint(2, 40)
        if 7 * (m + n) % 20 or 7 * (m + n) // 20 > min(m, n):
            continue
        common = 7 * (m + n) // 20
        words = rng.sample(PLAIN, min(len(PLAIN), m + n - common))
        if len(words) < m + n - common:
            continue
        a = words[:m]
        own = words[m:]
        kept = sorted(rng.sample(range(m), common))
        b = [a[i] for i in kept]
        for w in own:
            b.insert(rng.randrange(len(b) + 1), w)
        return a, b


def main():
    rng = random.Random(7)
    scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)
    dropped = ties = 0
    with open(OUT, "w") as out:
        print(json.dumps({"pieces": PIECES}), file=out)
        for i in range(1000):
            if i % 5 == 4:
                a, b = tie(rng)
            else:
                a = text(rng, rng.choice([0, 1, 2, 3, 5, 8, 13, 21, 34, 70]))
                b = edit(rng, a) if i % 5 < 3 else text(rng, rng.randint(0, 40))
            texts = [" ".join(PIECES[k] for k in t) for t in (a, b)]
            f = scorer.score(texts[0], texts[1])["rougeL"].fmeasure
            dropped += f > 0.7
            ties += abs(f - 0.7) < 1e-12
            print(json.dumps({"a": a, "b": b, "f": f, "drop": int(f > 0.7)},
                             separators=(",", ":")), file=out)
    print("%d of 1000 above 0.7, %d at it" % (dropped, ties))


main()
