/* league.c - who meets whom in a tournament, and strengths from its matches. */
#include "league.h"

#include "mem.h"
#include "num.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 100 }; // of Newton's method at most; it takes about six
static const double PRIOR = 1.0 / 25;

/* ---- the schedule ---- */

/* n - 1 of the distances 2 .. half of a ring, drawn by moving the chosen ones to the front. */
static int *draw_distances(int half, int n, const struct rng *r)
{
    int *d = mem_new((size_t)half * sizeof(*d));

    for (int i = 0; i < half; i++)
        d[i] = i + 1;
    for (int i = 1; i < n; i++) { // d[0] is 1, which connects all
        int k = i + (int)rng_below(r, (uint64_t)i, 0, (uint32_t)(half - i)), x = d[i];

        d[i] = d[k];
        d[k] = x;
    }
    return d;
}

int league_plan(int n, int opponents, const struct rng *r, struct league_match **m)
{
    int half = (n - 1) / 2, sides = opponents / 2, k = 0;
    int *d;

    if (n - 1 <= opponents) {
        *m = mem_new(((size_t)n * (size_t)(n - 1) / 2 + 1) * sizeof(**m));
        for (int a = 0; a < n; a++)
            for (int b = a + 1; b < n; b++)
                (*m)[k++] = (struct league_match){a, b, 0.5};
        return k;
    }
    d = draw_distances(half, sides, r);
    *m = mem_new((size_t)n * (size_t)sides * sizeof(**m));
    for (int i = 0; i < sides; i++)
        for (int a = 0; a < n; a++) {
            int b = (a + d[i]) % n;

            (*m)[k++] = (struct league_match){a < b ? a : b, a < b ? b : a, 0.5};
        }
    free(d);
    return k;
}

/* ---- strengths ---- */

double league_share(double strength)
{
    if (strength < 0)
        return 1 - league_share(-strength);
    return 1 / (1 + (strength < 700 ? num_exp_d(-strength) : 0));
}

/* The negative log-likelihood's gradient g and second derivatives h (n, n), lower half. */
static void derive(const struct league_match *m, int n_matches, int n, const double *x, double *g,
                   double *h)
{
    memset(h, 0, (size_t)n * (size_t)n * sizeof(*h));
    for (int i = 0; i < n; i++) {
        g[i] = PRIOR * x[i];
        h[i * n + i] = PRIOR;
    }
    for (int k = 0; k < n_matches; k++) {
        int a = m[k].a, b = m[k].b;
        double q = league_share(x[a] - x[b]), w = q * (1 - q);

        g[a] += q - m[k].p;
        g[b] -= q - m[k].p;
        h[a * n + a] += w;
        h[b * n + b] += w;
        h[b * n + a] -= w; // a < b
    }
}

/* Cholesky's L of a positive definite matrix, in its place. */
static void factor(double *h, int n)
{
    for (int j = 0; j < n; j++) {
        double *row = h + (size_t)j * (size_t)n;

        for (int k = 0; k < j; k++) {
            const double *other = h + (size_t)k * (size_t)n;
            double s = row[k];

            for (int i = 0; i < k; i++)
                s -= row[i] * other[i];
            row[k] = s / other[k];
        }
        for (int i = 0; i < j; i++)
            row[j] -= row[i] * row[i];
        row[j] = sqrt(row[j]);
    }
}

/* x = L^-1 x, from element `first` on, before which x is 0. */
static void forward(const double *l, int n, int first, double *x)
{
    for (int i = first; i < n; i++) {
        for (int k = first; k < i; k++)
            x[i] -= l[(size_t)i * (size_t)n + (size_t)k] * x[k];
        x[i] /= l[(size_t)i * (size_t)n + (size_t)i];
    }
}

static void backward(const double *l, int n, double *x)
{
    for (int i = n - 1; i >= 0; i--) {
        for (int k = i + 1; k < n; k++)
            x[i] -= l[(size_t)k * (size_t)n + (size_t)i] * x[k];
        x[i] /= l[(size_t)i * (size_t)n + (size_t)i];
    }
}

void league_strengths(const struct league_match *m, int n_matches, int n, double *strength,
                      double *sd)
{
    double *h = mem_new((size_t)n * (size_t)n * sizeof(*h) + 1);
    double *g = mem_new((size_t)n * sizeof(*g) + 1), step = 1;

    memset(strength, 0, (size_t)n * sizeof(*strength));
    for (int round = 0; round < ROUNDS && step > 1e-12; round++) {
        derive(m, n_matches, n, strength, g, h);
        factor(h, n);
        forward(h, n, 0, g);
        backward(h, n, g);
        step = 0;
        for (int i = 0; i < n; i++)
            step = fabs(g[i]) > step ? fabs(g[i]) : step;
        for (int i = 0; i < n; i++) // no leap beyond where the second derivatives hold
            strength[i] -= step > 1 ? g[i] / step : g[i];
    }
    derive(m, n_matches, n, strength, g, h);
    factor(h, n);
    for (int i = 0; i < n; i++) {
        memset(g, 0, (size_t)n * sizeof(*g));
        g[i] = 1;
        forward(h, n, i, g);
        sd[i] = 0;
        for (int k = i; k < n; k++)
            sd[i] += g[k] * g[k];
        sd[i] -= 1 / (PRIOR * n); // all together may not move: their mean is 0
        sd[i] = sd[i] > 0 ? sqrt(sd[i]) : 0;
    }
    free(h);
    free(g);
}
