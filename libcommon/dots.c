/* dots.c - rows against a growing set of rows: dot products by the backend's kernels. */
#include "dots.h"

#include "mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void dots_init(struct dots *d, const struct backend *b, int dim)
{
    *d = (struct dots){.b = b, .dim = dim};
}

void dots_free(struct dots *d)
{
    free(d->panel);
    *d = (struct dots){0};
}

void dots_clear(struct dots *d)
{
    if (d->panel)
        memset(d->panel, 0, d->cap * (size_t)d->dim * sizeof(float));
    d->n = 0;
}

static void put(struct dots *d, int i, const float *row)
{
    float *to = d->panel + (size_t)(i / DOTS_LANES) * DOTS_LANES * (size_t)d->dim + i % DOTS_LANES;

    for (size_t k = 0; k < (size_t)d->dim; k++)
        to[k * DOTS_LANES] = row[k];
}

void dots_add(struct dots *d, const float *row)
{
    size_t had = d->cap, bytes = (size_t)d->dim * sizeof(float);

    if ((size_t)d->n == d->cap) {
        d->cap = d->cap ? 2 * d->cap : 4 * DOTS_LANES;
        d->panel = mem_resize(d->panel, d->cap, bytes);
        memset((char *)d->panel + had * bytes, 0, (d->cap - had) * bytes);
    }
    put(d, d->n++, row);
}

void dots_set(struct dots *d, int i, const float *row)
{
    put(d, i, row);
}

void dots_all(const struct dots *d, int from, const float *x, int n, float *y)
{
    const float *c = d->panel + (size_t)from * (size_t)d->dim;

    if (n > 0 && d->n > from)
        d->b->ops->dots(d->b, y, x, n, c, d->n - from, d->dim);
}

void dots_nearest(const struct dots *d, int from, const float *x, int64_t n, float *best,
                  int32_t *at)
{
    enum { ROWS = 1 << 20 };

    from = from / DOTS_LANES * DOTS_LANES;
    for (int64_t i = 0; i < n && d->n > from; i += ROWS)
        d->b->ops->nearest(d->b, best + i, at + i, x + i * d->dim,
                           (int)(n - i < ROWS ? n - i : ROWS),
                           d->panel + (size_t)from * (size_t)d->dim, d->n - from, d->dim, from);
}

float dots_one(const float *a, const float *b, int dim)
{
    float s = 0;

    for (int i = 0; i < dim; i++)
        s = fmaf(a[i], b[i], s);
    return s;
}
