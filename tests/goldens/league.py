#!/usr/bin/env python3
"""league.py - Bradley-Terry strengths by another way than ours, for tests/unit/league_test.c.

    python3 tests/goldens/league.py        (needs numpy and scipy)

Prints tables in C: outcomes of matches, and the strengths that scipy's general minimizer finds for
their penalized likelihood (normal prior of deviation 5), with deviations from the pseudo-inverse
of the second derivatives where the strengths sum to 0.
"""
import numpy
from scipy.optimize import minimize

PRIOR = 1 / 25.

CASES = [
    (2, [(0, 1, .9)]),
    (3, [(0, 1, .7), (0, 2, .6), (1, 2, .8)]),
    (5, [(0, 1, .99), (1, 2, .2), (2, 3, .5), (3, 4, 1.), (0, 4, .6)]),
    (4, [(0, 1, 1.), (1, 2, 1.), (2, 3, 1.), (0, 3, 1.)]),
]


def loss(x, matches):
    total = PRIOR / 2 * (x @ x)
    for a, b, p in matches:
        d = x[a] - x[b]
        total += p * numpy.logaddexp(0, -d) + (1 - p) * numpy.logaddexp(0, d)
    return total


for n, matches in CASES:
    x = minimize(loss, numpy.zeros(n), (matches,), method="BFGS", options={"gtol": 1e-10}).x
    h = PRIOR * numpy.eye(n)
    for a, b, _ in matches:
        q = 1 / (1 + numpy.exp(x[b] - x[a]))
        e = numpy.zeros(n)
        e[a], e[b] = 1, -1
        h += q * (1 - q) * numpy.outer(e, e)
    center = numpy.eye(n) - 1. / n
    sd = numpy.sqrt(numpy.diag(numpy.linalg.pinv(center @ h @ center)))
    print("{%d, %d, {%s}, {%s}, {%s}}," % (
        n, len(matches), ", ".join("{%d, %d, %g}" % m for m in matches),
        ", ".join("%.5f" % v for v in x), ", ".join("%.5f" % v for v in sd)))
