#!/usr/bin/env python3
"""diversify.py - choices of rows and figures of variety, from plain code and published packages.

    python3 tests/goldens/diversify.py tests/data/diversify        (needs numpy, vendi-score, nltk)

Writes x.npy (rows in clusters, some of them near copies), texts.txt and golden.txt, which
tests/unit/{choose,twins,eigen,variety}_test.c and llm-diversify.bats read. The choices are the
methods' definitions in numpy, in double precision, without any shortcut; ties do not occur.
"""

import math
import random
import sys

import numpy as np
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from vendi_score import vendi

OUT = sys.argv[1]
N, DIM, K, COUNT = 240, 32, 6, 40

rng = np.random.default_rng(4)
centre = rng.normal(size=(K, DIM))
of = np.array([i % K for i in range(N)])
x = centre[of] + 0.9 * rng.normal(size=(N, DIM))
for i in range(5, N, 5):  # near copies, and copies of those: chains
    x[i] = x[i - 5 if i % 3 else i - K if i >= K else 0] + 0.25 * rng.normal(size=DIM)
x = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)
of = np.array([int(np.argmax(centre @ row / np.linalg.norm(centre, axis=1))) for row in x])
score = np.round(rng.random(N), 4)
np.save(f"{OUT}/x.npy", x)
X = x.astype(np.float64)
S = X @ X.T

golden = {"of": of, "score": score}


def deita(limit):
    kept = []
    for i in sorted(range(N), key=lambda i: (-score[i], i)):
        if all(S[i, j] <= limit for j in kept):
            kept.append(i)
    return kept


def k_center(first):
    kept = [first]
    while len(kept) < COUNT:
        far = S[:, kept].max(axis=1)
        far[kept] = np.inf
        kept.append(int(np.argmin(far)))
    return kept


def mmr(weight):
    rel = (score - score.min()) / (score.max() - score.min())
    kept = [int(np.argmax(rel))]
    while len(kept) < COUNT:
        value = weight * rel - (1 - weight) * S[:, kept].max(axis=1)
        value[kept] = -np.inf
        kept.append(int(np.argmax(value)))
    return kept


def facility():
    cover, kept = np.zeros(N), []
    while len(kept) < COUNT:
        gain = np.maximum(S - cover, 0).sum(axis=1)
        gain[kept] = -np.inf
        first, second = np.sort(gain)[:-3:-1]
        if first - second < 1e-6:  # floats need not agree on what comes next
            break
        kept.append(int(np.argmax(gain)))
        cover = np.maximum(cover, S[kept[-1]])
    return kept


def semdedup(eps, greedy):
    """Pairs (twin, the earlier row it is nearest to)."""
    out = []
    for k in range(K):
        rows = np.where(of == k)[0]
        mean = X[rows].sum(axis=0)
        mean /= np.linalg.norm(mean)
        before = []
        for i in sorted(rows, key=lambda i: X[i] @ mean):
            near = max(before, key=lambda j: S[i, j], default=None)
            twin = near is not None and S[i, near] > 1 - eps
            if twin:
                out.append((int(i), int(near)))
            if not (twin and greedy):
                before.append(i)
    return sorted(out)


golden["deita"] = deita(0.9)
golden["deita_all"] = deita(0.6)
golden["kcenter_score"] = k_center(int(np.argmax(score)))
golden["kcenter_mean"] = k_center(int(np.argmax(X @ X.sum(axis=0))))
golden["mmr"] = mmr(0.5)
golden["mmr_novel"] = mmr(0.2)
golden["facility"] = facility()
golden["semdedup"] = [v for pair in semdedup(0.3, False) for v in pair]
golden["semdedup_greedy"] = [v for pair in semdedup(0.3, True) for v in pair]
golden["vendi"] = [vendi.score_dual(X, normalize=False), vendi.score_dual(X[:20], normalize=False),
                   vendi.score_X(X[:20], normalize=False), vendi.score_K(S)]

# Texts: sentences of a small grammar, some alike, some short.
draw = random.Random(7)
words = "name the first second last animal of list color and count how many birds are in it why".split()
texts = [" ".join(draw.choice(words) for _ in range(draw.choice([1, 2, 3, 4, 6, 9, 14]))) for _ in range(60)]
texts += [texts[i] + " " + draw.choice(words) for i in range(0, 20, 2)]
texts += [texts[3], texts[3], "nothing alike anywhere else"]
open(f"{OUT}/texts.txt", "w").write("".join(t + "\n" for t in texts))


def variety(texts):
    split = [t.split() for t in texts]
    bleu = [sentence_bleu(split[:i] + split[i + 1:], t, smoothing_function=SmoothingFunction().method1)
            for i, t in enumerate(split)]
    distinct = []
    for n in (1, 2, 3):
        runs = [tuple(t[i:i + n]) for t in split for i in range(len(t) - n + 1)]
        distinct.append(len(set(runs)) / len(runs))
    return [sum(bleu) / len(bleu)] + distinct


golden["variety_all"] = variety(texts)
golden["variety_third"] = variety(texts[::3])

with open(f"{OUT}/golden.txt", "w") as f:
    for name, values in golden.items():
        f.write(name + " " + " ".join(repr(float(v)) if isinstance(v, float) else str(v) for v in values) + "\n")
