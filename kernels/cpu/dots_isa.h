/* dots_isa.h - rows against rows in lanes: dot products and their maxima. Included by isa_*.c.
 *
 * A dot is one fma chain over dim in ascending order, sixteen rows side by side in
 * the lanes of a vector. Tiles share loads and touch no order. A chain that cannot end above what
 * is sought, by Cauchy and Schwarz of what is left of its rows, is left off between two fourths;
 * one that ends is the same chain. */
#ifndef DOTS_ISA_H
#define DOTS_ISA_H

#include "vec.h"

#if defined(__AVX512F__)
enum { DOTS_ROWS = 14, DOTS_PANELS = 2 }; // 28 sums, 2 panels and 1 input in 32 registers
#else
enum { DOTS_ROWS = 6, DOTS_PANELS = 1 }; // 12 sums, 2 halves of a panel, 1 input in 16 registers
#endif
enum { DOTS_WIDE = 4 * DOTS_PANELS }; // panels for a row alone
enum { DOTS_PARTS = 4, DOTS_RESTS = DOTS_PARTS - 1 };

/* s (n_rows, n_panels) += products `from` to `to` of rows x, dim apart, with panels c; both counts
 * are constants. */
INLINE void dots_tile(struct v16 *s, const float *x, const float *c, int dim, size_t from,
                      size_t to, int n_rows, int n_panels)
{
    struct v16 a[DOTS_WIDE], b;
    const size_t row = (size_t)dim, panel = 16 * (size_t)dim;

    for (size_t i = from; i < to; i++) {
        UNROLL
        for (int p = 0; p < n_panels; p++)
            a[p] = v16_load(c + (size_t)p * panel + i * 16);
        UNROLL
        for (int r = 0; r < n_rows; r++) {
            b = v16_set(x[(size_t)r * row + i]);
            UNROLL
            for (int p = 0; p < n_panels; p++)
                s[r * n_panels + p] = v16_fma(a[p], b, s[r * n_panels + p]);
        }
    }
}

/* What becomes of the dots: written to y, or the largest of a row kept. */
struct dots_out {
    float *y; // (n, m), or NULL
    int m;
    float *best; // (n)
    int32_t *at; // (n)
    int first;
    const float *x_rest, *c_rest; // backend.h
};

/* May any dot of a tile be above the best of its row, when `part` and those before are in s? A
 * chain of n steps and this bound are off by no more than n + 4 roundings of numbers up to 1, each
 * half of 2^-23. */
INLINE bool dots_may(const struct dots_out *o, const struct v16 *s, int dim, int part, int r,
                     int col, int n_rows, int n_panels)
{
    const float slack = (float)(dim + 16) * 0x1p-23f, *x = o->x_rest + r * DOTS_RESTS + part,
                *c = o->c_rest + (size_t)col * DOTS_RESTS + 16 * part;
    struct v16 over = v16_set(-1.0f);

    UNROLL
    for (int i = 0; i < n_rows; i++) {
        struct v16 rest = v16_set(x[i * DOTS_RESTS]), floor = v16_set(o->best[r + i] - slack);

        UNROLL
        for (int p = 0; p < n_panels; p++) {
            struct v16 most = v16_fma(rest, v16_load(c + p * 16 * DOTS_RESTS), s[i * n_panels + p]);

            over = v16_max(v16_sub(most, floor), over);
        }
    }
    return v16_max_lane(over) > 0;
}

/* Dots of row r with the rows [c, c + 16) that exist. */
INLINE void dots_take(const struct dots_out *o, struct v16 s, int r, int c)
{
    int n = o->m - c < 16 ? o->m - c : 16;
    float t[16], top;

    if (o->y && n == 16) {
        v16_store(o->y + (size_t)r * (size_t)o->m + c, s);
        return;
    }
    if (o->y) {
        v16_store_n(o->y + (size_t)r * (size_t)o->m + c, s, n);
        return;
    }
    if (n < 16) {
        v16_store(t, s);
        for (int i = n; i < 16; i++)
            t[i] = -INFINITY;
        s = v16_load(t);
    }
    top = v16_max_lane(s);
    if (!(top > o->best[r]))
        return;
    v16_store(t, s);
    for (int i = 15; i >= 0; i--)
        if (t[i] == top)
            o->at[r] = o->first + c + i;
    o->best[r] = top;
}

INLINE void dots_block(const struct dots_out *o, const float *x, const float *c, int dim, int r,
                       int col, int n_rows, int n_panels)
{
    struct v16 s[DOTS_ROWS * DOTS_PANELS > DOTS_WIDE ? DOTS_ROWS * DOTS_PANELS : DOTS_WIDE];

    x += (size_t)r * (size_t)dim;
    c += (size_t)col * (size_t)dim;
    UNROLL
    for (int i = 0; i < n_rows * n_panels; i++)
        s[i] = v16_set(0.0f);
    if (!o->x_rest)
        dots_tile(s, x, c, dim, 0, (size_t)dim, n_rows, n_panels);
    for (int part = 0; o->x_rest && part < DOTS_PARTS; part++) {
        size_t from = (size_t)dim * (size_t)part / DOTS_PARTS,
               to = (size_t)dim * (size_t)(part + 1) / DOTS_PARTS;

        dots_tile(s, x, c, dim, from, to, n_rows, n_panels);
        if (part < DOTS_RESTS && !dots_may(o, s, dim, part, r, col, n_rows, n_panels))
            return;
    }
    UNROLL
    for (int i = 0; i < n_rows; i++) {
        UNROLL
        for (int p = 0; p < n_panels; p++)
            dots_take(o, s[i * n_panels + p], r + i, col + 16 * p);
    }
}

static void dots_all(const struct dots_out *o, const float *x, int n, const float *c, int dim)
{
    int r = 0;

    for (; r + DOTS_ROWS <= n; r += DOTS_ROWS) {
        int col = 0;

        for (; DOTS_PANELS > 1 && col + 16 < o->m; col += 16 * DOTS_PANELS)
            dots_block(o, x, c, dim, r, col, DOTS_ROWS, DOTS_PANELS);
        for (; col < o->m; col += 16)
            dots_block(o, x, c, dim, r, col, DOTS_ROWS, 1);
    }
    for (; r < n; r++) {
        int col = 0;

        for (; col + 16 * (DOTS_WIDE - 1) < o->m; col += 16 * DOTS_WIDE)
            dots_block(o, x, c, dim, r, col, 1, DOTS_WIDE);
        for (; col < o->m; col += 16)
            dots_block(o, x, c, dim, r, col, 1, 1);
    }
}

static void dots_write(float *y, const float *x, int n, const float *c, int m, int dim)
{
    const struct dots_out o = {.y = y, .m = m};

    dots_all(&o, x, n, c, dim);
}

static void dots_nearest(float *best, int32_t *at, const float *x, int n, const float *c, int m,
                         int dim, int first, const float *x_rest, const float *c_rest)
{
    const struct dots_out o = {
        .m = m, .best = best, .at = at, .first = first, .x_rest = x_rest, .c_rest = c_rest};

    dots_all(&o, x, n, c, dim);
}

#endif
