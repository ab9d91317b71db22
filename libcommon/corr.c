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

static int by_second(const void *a, const void *b)
{
    const double *p = a, *q = b;

    return (p[1] > q[1]) - (p[1] < q[1]);
}

/* How many of the ranks 1..at were added: a Fenwick tree. */
static double below(const double *tree, size_t at)
{
    double n = 0;

    for (; at; at &= at - 1)
        n += tree[at];
    return n;
}

double corr_concordance(const struct corr *c)
{
    double *rank = mem_new((c->n + 1) * sizeof(*rank)), right = 0, all = 0;
    double(*v)[2] = mem_new((c->n + 1) * sizeof(*v)), *tree;
    size_t most = 2 * c->n + 2; // ranks are doubled

    ranks(c->x, c->n, rank);
    tree = mem_zero(most, sizeof(*tree));
    for (size_t i = 0; i < c->n; i++) {
        v[i][0] = rank[i];
        v[i][1] = c->y[i];
    }
    qsort(v, c->n, sizeof(*v), by_second);
    for (size_t i = 0, j; i < c->n; i = j) { // those of equal y, against those of smaller y
        for (j = i; j < c->n && !(v[j][1] > v[i][1]); j++) {
            size_t r = (size_t)v[j][0];
            double less = below(tree, r - 1), equal = below(tree, r) - less;

            right += less + equal / 2;
            all += (double)i;
        }
        for (size_t k = i; k < j; k++)
            for (size_t r = (size_t)v[k][0]; r < most; r += r & -r)
                tree[r]++;
    }
    free(rank);
    free(v);
    free(tree);
    return all > 0 ? right / all : 0.5;
}
