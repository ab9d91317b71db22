/* dots.c - rows against a growing set of rows: dot products by the backend's kernels. */
#include "dots.h"

#include "mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 126 }; // that are sought at once: whole tiles

void dots_init(struct dots *d, const struct backend *b, int dim)
{
    *d = (struct dots){.b = b, .dim = dim};
}

void dots_free(struct dots *d)
{
    free(d->panel);
    free(d->rest);
    *d = (struct dots){0};
}

void dots_clear(struct dots *d)
{
    if (d->panel)
        memset(d->panel, 0, d->cap * (size_t)d->dim * sizeof(float));
    d->n = 0;
}

void dots_seek(struct dots *d)
{
    d->seeks = true;
}

/* Upper bounds of a row's length behind one, two and three fourths of it. */
static void measure(const float *row, int dim, float rest[DOTS_RESTS])
{
    double sum = 0;

    for (int k = DOTS_RESTS, i = dim; k > 0; k--) {
        while (i > (int64_t)dim * k / (DOTS_RESTS + 1)) {
            i--;
            sum += (double)row[i] * (double)row[i];
        }
        rest[k - 1] = (float)(sqrt(sum) * (1 + 1e-6));
    }
}

static void put(struct dots *d, int i, const float *row)
{
    float *to = d->panel + (size_t)(i / DOTS_LANES) * DOTS_LANES * (size_t)d->dim + i % DOTS_LANES,
          rest[DOTS_RESTS];

    for (size_t k = 0; k < (size_t)d->dim; k++)
        to[k * DOTS_LANES] = row[k];
    if (!d->seeks)
        return;
    measure(row, d->dim, rest);
    to = d->rest + (size_t)(i / DOTS_LANES) * DOTS_LANES * DOTS_RESTS + i % DOTS_LANES;
    for (size_t k = 0; k < DOTS_RESTS; k++)
        to[k * DOTS_LANES] = rest[k];
}

void dots_add(struct dots *d, const float *row)
{
    size_t had = d->cap, bytes = (size_t)d->dim * sizeof(float);

    if ((size_t)d->n == d->cap) {
        d->cap = d->cap ? 2 * d->cap : 4 * DOTS_LANES;
        d->panel = mem_resize(d->panel, d->cap, bytes);
        memset((char *)d->panel + had * bytes, 0, (d->cap - had) * bytes);
        if (d->seeks) {
            bytes = DOTS_RESTS * sizeof(float);
            d->rest = mem_resize(d->rest, d->cap, bytes);
            memset((char *)d->rest + had * bytes, 0, (d->cap - had) * bytes);
        }
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

/* The rows of the set from `from` on, so many at once as stay in the processor's cache. */
static void nearest(const struct dots *d, int from, const float *x, int n, float *best, int32_t *at)
{
    enum { BYTES = 1 << 18, MANY = 256 };
    int part = (int)(BYTES / ((size_t)d->dim * sizeof(float))) / DOTS_LANES * DOTS_LANES;
    float rest[ROWS * DOTS_RESTS], *c_rest = NULL;

    part = n == 1 ? d->n : part > 4 * DOTS_LANES ? part : 4 * DOTS_LANES;
    if (d->seeks && d->n - from >= MANY) { // fewer are sooner done than measured
        c_rest = d->rest;
        for (int i = 0; i < n; i++)
            measure(x + (size_t)i * (size_t)d->dim, d->dim, rest + i * DOTS_RESTS);
    }
    for (; from < d->n; from += part)
        d->b->ops->nearest(d->b, best, at, x, n, d->panel + (size_t)from * (size_t)d->dim,
                           d->n - from < part ? d->n - from : part, d->dim, from,
                           c_rest ? rest : NULL,
                           c_rest ? c_rest + (size_t)from * DOTS_RESTS : NULL);
}

void dots_nearest(const struct dots *d, int from, const float *x, int64_t n, float *best,
                  int32_t *at)
{
    from = from / DOTS_LANES * DOTS_LANES;
    for (int64_t i = 0; i < n; i += ROWS)
        nearest(d, from, x + i * d->dim, (int)(n - i < ROWS ? n - i : ROWS), best + i, at + i);
}

float dots_one(const float *a, const float *b, int dim)
{
    float s = 0;

    for (int i = 0; i < dim; i++)
        s = fmaf(a[i], b[i], s);
    return s;
}
