#!/usr/bin/env python3
"""sample.py - what each truncation keeps, by Hugging Face transformers' warpers, and DRY
and Mirostat 2 by a literal reading of their definitions.

    python3 tests/goldens/sample.py            (needs torch and transformers)

Writes tests/data/sample/golden.json.
"""

import json
import math
import pathlib
import random

import torch
from transformers import (MinPLogitsWarper, TemperatureLogitsWarper, TopKLogitsWarper,
                          TopPLogitsWarper, TypicalLogitsWarper)

OUT = pathlib.Path(__file__).resolve().parent.parent / "data" / "sample"
VOCAB = 330  # more than two blocks, the last one short


def rows():
    g = torch.Generator().manual_seed(11)
    flat = torch.randn(VOCAB, generator=g)
    peaked = torch.randn(VOCAB, generator=g) * 4
    few = torch.randn(VOCAB, generator=g) * 1.5 - 8
    few[torch.randperm(VOCAB, generator=g)[:6]] += torch.tensor([9.0, 8.7, 8.1, 7.7, 7.0, 5.0])
    return [torch.tensor([float(f"{x:.4f}") for x in row.tolist()]) for row in (flat, peaked, few)]


def sigma(scores, n):
    """Tang et al. 2024, as its authors write it in torch."""
    return scores.masked_fill(scores < scores.max() - n * scores.std(), -math.inf)


def kept(row, temp=1.0, top_n_sigma=0.0, top_k=0, top_p=1.0, min_p=0.0, typical_p=1.0):
    x = row.double()[None]
    if top_n_sigma:
        x = sigma(x, top_n_sigma)
    x = TemperatureLogitsWarper(temp)(None, x) if temp != 1 else x
    x = TopKLogitsWarper(top_k)(None, x) if top_k else x
    x = TopPLogitsWarper(top_p)(None, x) if top_p < 1 else x
    x = MinPLogitsWarper(min_p)(None, x) if min_p else x
    x = TypicalLogitsWarper(typical_p)(None, x) if typical_p < 1 else x
    return [i for i, v in enumerate(x[0].tolist()) if v > -math.inf]


def mirostat(row, mu, tau, eta):
    """Basu et al. 2020, version 2: kept tokens, and mu after each of them."""
    p = torch.softmax(row.double(), -1)
    keep = [i for i in range(VOCAB) if -math.log2(p[i]) <= mu] or [int(p.argmax())]
    total = sum(float(p[i]) for i in keep)
    return [[i, round(mu - eta * (-math.log2(float(p[i]) / total) - tau), 9)] for i in keep]


def dry(tokens, multiplier, base, allowed, window, breakers):
    """For every place before the end, the tokens before it compared with the end's, one by one."""
    t = tokens[-window:] if window else tokens
    longest = {}
    for i in range(1, len(t)):
        k = 0
        while k < i and t[i - 1 - k] == t[-1 - k] and t[-1 - k] not in breakers:
            k += 1
        if k >= max(allowed, 1) and t[i] not in breakers:
            longest[t[i]] = max(longest.get(t[i], 0), k)
    return sorted([i, k, round(min(multiplier * base ** (k - allowed), 1e6), 4)]
                  for i, k in longest.items())


ROWS = rows()
CASES = [dict(top_k=1), dict(top_k=7), dict(top_k=200), dict(top_p=0.1), dict(top_p=0.5),
         dict(top_p=0.95), dict(top_p=0.999), dict(min_p=0.05), dict(min_p=0.3),
         dict(typical_p=0.1), dict(typical_p=0.5), dict(typical_p=0.95), dict(top_n_sigma=0.5),
         dict(top_n_sigma=1.0), dict(top_n_sigma=2.0), dict(temp=0.6, top_p=0.9),
         dict(temp=1.7, top_k=50, top_p=0.8), dict(temp=1.3, top_n_sigma=1.5, top_p=0.9),
         dict(temp=0.8, top_k=100, top_p=0.97, min_p=0.02, typical_p=0.9),
         dict(temp=2.0, typical_p=0.6), dict(temp=2.0, min_p=0.1, typical_p=0.7)]

cuts = [dict(case, row=r, kept=kept(row, **case)) for case in CASES for r, row in enumerate(ROWS)]
miro = [dict(row=r, mu=mu, tau=tau, eta=eta, after=mirostat(ROWS[r], mu, tau, eta))
        for r in range(3) for mu, tau, eta in [(6.0, 3.0, 0.1), (3.5, 5.0, 0.5), (0.01, 1.0, 0.1)]]
rng = random.Random(5)
repeats = []
for letters, n in [(2, 12), (2, 60), (3, 40), (1, 30), (4, 200), (6, 90)]:
    for allowed, window, breakers in [(2, 0, []), (1, 20, []), (2, 0, [1]), (3, 0, [0, 2]), (0, 0, [])]:
        tokens = [rng.randrange(letters) for _ in range(n)]
        if rng.random() < 0.5:
            tokens += tokens[n // 3:n // 3 + 9]
        repeats.append(dict(tokens=tokens, multiplier=0.8, base=1.75, allowed=allowed,
                            window=window, breakers=breakers,
                            hits=dry(tokens, 0.8, 1.75, allowed, window, breakers)))
OUT.mkdir(parents=True, exist_ok=True)
golden = dict(rows=[[round(x, 4) for x in row.tolist()] for row in ROWS], cuts=cuts,
              mirostat=miro, dry=repeats)
path = OUT / "golden.json"
path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")
print(f"{path.stat().st_size} bytes, {len(cuts)} cuts, {len(miro)} mirostat, {len(repeats)} dry")
