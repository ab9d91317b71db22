#!/usr/bin/env python3
"""minhash.py - pairs of texts with their exact Jaccard similarity, and what datasketch finds of them.

    python3 tests/goldens/minhash.py            (needs datasketch)

Writes tests/data/minhash.jsonl: a line per pair, {"a", "b", "j", "lsh"}: two texts, the
similarity of their sets of runs of three words (an independent count), and whether datasketch's
MinHashLSH with the bands and rows of --near 0.8 (14 x 5) met b after a. Pairs lie on both sides of
0.8; words are ASCII and Hangul, so that words.h's one word a syllable is written again here.
"""

import json
import pathlib
import random
import re
import sys

from datasketch import MinHash, MinHashLSH

OUT = pathlib.Path(__file__).resolve().parent.parent / "data" / "minhash.jsonl"
BANDS, ROWS = 14, 5


def words(text):
    return re.findall(r"[\uac00-\ud7a3]|[a-z0-9]+", text.lower())


def runs(text):
    w = words(text)
    return {" ".join(w[i:i + 3]) for i in range(len(w) - 2)}


def main():
    rng = random.Random(11)
    vocab = ["".join(rng.choice("bcdfgklmnprstvz") + rng.choice("aeiou") for _ in range(rng.randint(1, 3)))
             for _ in range(3000)]
    vocab += ["".join(chr(rng.randrange(0xAC00, 0xD7A4)) for _ in range(rng.randint(1, 2))) for _ in range(300)]
    n = over = met = 0
    with OUT.open("w", encoding="utf-8") as f:
        while n < 400:
            size = rng.choice((12, 20, 40, 80))
            a = [rng.choice(vocab) for _ in range(size)]
            b = list(a)
            for _ in range(rng.randint(0, max(1, size // 12))):
                i = rng.randrange(len(b))
                if rng.random() < 0.5:
                    b[i] = rng.choice(vocab)
                else:
                    b.insert(rng.choice((0, len(b), i)), rng.choice(vocab))
            a, b = " ".join(a).capitalize() + ".", ", ".join(" ".join(b).split(" ", 1))
            x, y = runs(a), runs(b)
            j = len(x & y) / len(x | y)
            if j < 0.6 or j == 1 and rng.random() < 0.8:
                continue
            lsh = MinHashLSH(num_perm=BANDS * ROWS, params=(BANDS, ROWS))
            m = [MinHash(num_perm=BANDS * ROWS, seed=7) for _ in range(2)]
            for k, s in enumerate((x, y)):
                for run in sorted(s):
                    m[k].update(run.encode())
            lsh.insert("a", m[0])
            found = bool(lsh.query(m[1]))
            f.write(json.dumps(dict(a=a, b=b, j=j, lsh=int(found)), ensure_ascii=False) + "\n")
            n += 1
            over += j >= 0.8
            met += j >= 0.8 and found
    print(f"{over} of {n} pairs at 0.8 and above; datasketch meets {met}, {met / over:.4f}", file=sys.stderr)


if __name__ == "__main__":
    main()
