/* corr.c - how two measures of the same things agree: ranks and pairs. */
#include "corr.h"

#include "mem.h"

#include <math.h>
#include <stdlib.h>

void corr_add(struct corr *c, double x, double y)
{
    mem_grow(&c->x, &c->cap_x, c->n + 1, sizeof(*c->x));
    mem_grow(&c->y, &c->cap_y, c->n + 1, sizeof(*c->y));
    c->x[c->n] = x;
    c->y[c->n++] = y;
}

void corr_free(struct corr *c)
{
    free(c->x);
    free(c->y);
    *c = (struct corr){0};
}

struct item {
    double x;
    size_t at;
};

static int by_value(const void *a, const void *b)
{
    const struct item *p = a, *q = b;

    return (p->x > q->x) - (p->x < q->x);
}

/* Twice the rank of each value: whole numbers, so that their sums are exact in any order. */
static void ranks(const double *x, size_t n, double *out)
{
    struct item *v = mem_new(n * sizeof(*v));

    for (size_t i = 0; i < n; i++)
        v[i] = (struct item){x[i], i};
    qsort(v, n, sizeof(*v), by_value);
    for (size_t i = 0, j; i < n; i = j) {
        for (j = i + 1; j < n && !(v[j].x > v[i].x); j++)
            ;
        for (size_t k = i; k < j; k++)
            out[v[k].at] = (double)(i + j + 1);
    }
    free(v);
}

double corr_spearman(const struct corr *c)
{
    size_t n = c->n;
    double *a = mem_new((n + 1) * sizeof(*a)), *b = mem_new((n + 1) * sizeof(*b));
    double mid = (double)n + 1, up = 0, va = 0, vb = 0;

    ranks(c->x, n, a);
    ranks(c->y, n, b);
    for (size_t i = 0; i < n; i++) {
        up += (a[i] - mid) * (b[i] - mid);
        va += (a[i] - mid) * (a[i] - mid);
        vb += (b[i] - mid) * (b[i] - mid);
    }
    free(a);
    free(b);
    return va > 0 && vb > 0 ? up / sqrt(va * vb) : 0;
}

double corr_concordance(const struct corr *c)
{
    double right = 0, all = 0;

    for (size_t i = 0; i < c->n; i++)
        for (size_t j = 0; j < i; j++) {
            double dy = c->y[i] - c->y[j], dx = c->x[i] - c->x[j];

            if (dy < 0 || dy > 0) {
                all++;
                right += dx * dy > 0 ? 1 : dx < 0 || dx > 0 ? 0 : 0.5;
            }
        }
    return all > 0 ? right / all : 0.5;
}
