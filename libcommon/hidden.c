/* hidden.c - one vector out of the hidden states of a text's tokens. */
#include "hidden.h"

#include "mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const hidden_pools[] = {"none", "last", "mean", "cls", NULL};

void hidden_open(struct hidden *h, enum hidden_pool pool, int dim)
{
    *h = (struct hidden){.pool = pool, .dim = dim};
    h->v = mem_zero((size_t)dim, sizeof(*h->v));
    if (pool == HIDDEN_MEAN)
        h->sum = mem_zero((size_t)dim, sizeof(*h->sum));
}

void hidden_free(struct hidden *h)
{
    free(h->v);
    free(h->sum);
    *h = (struct hidden){0};
}

void hidden_add(struct hidden *h, const float *x, int n)
{
    size_t dim = (size_t)h->dim;

    if (n < 1)
        return;
    if (h->pool == HIDDEN_LAST)
        memcpy(h->v, x + (size_t)(n - 1) * dim, dim * sizeof(*x));
    else if (h->pool == HIDDEN_FIRST && !h->n)
        memcpy(h->v, x, dim * sizeof(*x));
    for (int i = 0; h->sum && i < n; i++)
        for (size_t k = 0; k < dim; k++)
            h->sum[k] += (double)x[(size_t)i * dim + k];
    h->n += n;
}

bool hidden_end(struct hidden *h)
{
    bool finite = h->n > 0;

    for (int k = 0; k < h->dim; k++) {
        if (h->sum && h->n)
            h->v[k] = (float)(h->sum[k] / h->n);
        finite = finite && isfinite(h->v[k]);
    }
    return finite;
}
