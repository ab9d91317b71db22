#!/usr/bin/env python3
"""calibrate.py - labelled scores, and what numpy and scipy make of them, for llm-score calibrate.

    python3 tests/goldens/calibrate.py     (needs numpy, scipy and xxhash)

Writes tests/data/calibrate.jsonl, 160 made-up records with five axes and a label of 0 to 4, and
tests/data/calibrate.json: weights by numpy's solver and scipy's nnls for some penalties, and the
figures of cross-validation in 5 folds, recomputed fold by fold.
"""
import json
import pathlib

import numpy
import xxhash
from scipy.optimize import nnls
from scipy.stats import spearmanr

OUT = pathlib.Path(__file__).resolve().parent.parent / "data"
AXES = ["helpfulness", "correctness", "coherence", "complexity", "verbosity"]
FOLDS = 5


def records():
    rng = numpy.random.default_rng(4)
    for i in range(160):
        x = rng.uniform(0, 4, 5)
        x[1] = .7 * x[0] + .3 * x[1]
        y = .35 * x[0] + .5 * x[1] + .2 * x[2] - .25 * x[4] + .6 + rng.normal(0, .5)
        yield {"id": "r%d" % i, **{a: round(v, 4) for a, v in zip(AXES, x)},
               "label": int(min(4, max(0, round(y))))}


def fit(x, y, penalty, above):
    mx, my = x.mean(0), y.mean()
    d, n = x - mx, len(x)
    # the penalty as further rows, so that a solver of least squares fits both
    a = numpy.vstack([d, (penalty * n) ** .5 * numpy.eye(5)])
    b = numpy.concatenate([y - my, numpy.zeros(5)])
    w = nnls(a, b)[0] if above else numpy.linalg.lstsq(a, b, rcond=None)[0]
    return w, my - w @ mx


def pairs(said, y):
    right = total = 0.
    for i in range(len(y)):
        for j in range(i):
            if y[i] != y[j]:
                total += 1
                d = (said[i] - said[j]) * (y[i] - y[j])
                right += 1 if d > 0 else .5 if d == 0 else 0
    return right / total


rows = list(records())
(OUT / "calibrate.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
rows.sort(key=lambda r: xxhash.xxh3_128_intdigest(r["id"].encode()))  # folds go by the ids' hashes
X = numpy.array([[r[a] for a in AXES] for r in rows]) / 4
Y = numpy.array([r["label"] for r in rows]) / 4.
out = {}
for name, penalty, above in [("plain", 0, False), ("ridge", .05, False), ("above", 0, True)]:
    w, offset = fit(X, Y, penalty, above)
    said = numpy.zeros(len(Y))
    for k in range(FOLDS):
        rest = numpy.arange(len(Y)) % FOLDS != k
        fw, fo = fit(X[rest], Y[rest], penalty, above)
        said[~rest] = X[~rest] @ fw + fo
    out[name] = {"weights": [round(v, 6) for v in w], "offset": round(offset, 6),
                 "spearman": round(spearmanr(said, Y).statistic, 4),
                 "pairs": round(pairs(said, Y), 4),
                 "rmse": round(float(((said - Y) ** 2).mean() ** .5), 4)}
base = X @ numpy.array([.3, .3, .2, .1, .1])
out["default"] = {"spearman": round(spearmanr(base, Y).statistic, 4),
                  "pairs": round(pairs(base, Y), 4)}
(OUT / "calibrate.json").write_text(json.dumps(out, indent=1) + "\n")
