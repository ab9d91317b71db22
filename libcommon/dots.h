/* dots.h - rows against a growing set of rows: dot products by the backend's kernels.
 *
 * The set lies in lanes of 16 rows, as the backend wants it. A dot is one fma chain over
 * dim, whatever the instruction set, so it is the same number wherever it is computed:
 * dots_one gives the bytes that the kernels give. */
#ifndef DOTS_H
#define DOTS_H

#include "backend.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DOTS_LANES = 16, DOTS_RESTS = 3 };

struct dots {
    const struct backend *b;
    int dim, n;
    float *panel; // (n / 16 rounded up, dim, 16), zeros beyond n
    size_t cap;   // rows that there is room for
    bool seeks;   // dots_seek
    float *rest;  // (n / 16 rounded up, DOTS_RESTS, 16) then: how long is what is left of a row
};

void dots_init(struct dots *d, const struct backend *b, int dim); // empty
/* Of an empty set: its rows and those that dots_nearest is asked for are of length 1 or 0, but for
 * rounding. It then finds the same and leaves most dots off early where best[i] is high. */
void dots_seek(struct dots *d);
void dots_free(struct dots *d);  // zeroed is free
void dots_clear(struct dots *d); // empty, memory kept
void dots_add(struct dots *d, const float *row);
void dots_set(struct dots *d, int i, const float *row); // i < n

/* Value j of row i. */
static inline float dots_get(const struct dots *d, int i, int j)
{
    size_t panel = (size_t)(i / DOTS_LANES) * DOTS_LANES * (size_t)d->dim;

    return d->panel[panel + (size_t)j * DOTS_LANES + (size_t)(i % DOTS_LANES)];
}

/* y (n, d->n - from) = dots of rows x (n, dim) with those of the set from `from` on, a
 * multiple of DOTS_LANES. */
void dots_all(const struct dots *d, int from, const float *x, int n, float *y);

/* For each of n rows x the largest dot and its place in the set from row `from` on (the lowest of
 * equals), where it is above best[i]. Rows of the set below `from` are not looked at, or
 * looked at again when from is no multiple of DOTS_LANES. */
void dots_nearest(const struct dots *d, int from, const float *x, int64_t n, float *best,
                  int32_t *at);

float dots_one(const float *a, const float *b, int dim);

#endif
