/* row_isa.h - a row of logits in blocks: maxima, and sums of exponentials. Included by isa_*.c. */
#ifndef ROW_ISA_H
#define ROW_ISA_H

#include "vec.h"

/* Sixteen values from p, -infinity beyond the first n. */
INLINE struct v16 row_load(const float *p, int n)
{
    float t[16];

    if (n >= 16)
        return v16_load(p);
    for (int i = 0; i < 16; i++)
        t[i] = i < n ? p[i] : -INFINITY;
    return v16_load(t);
}

static void row_max(float *max, const float *x, int n)
{
    for (int b = 0; b < n; b += BACKEND_ROW, max++) {
        struct v16 top = v16_set(-INFINITY);
        int end = n - b < BACKEND_ROW ? n : b + BACKEND_ROW;

        for (int i = b; i < end; i += 16)
            top = v16_max(row_load(x + i, end - i), top);
        *max = v16_max_lane(top);
    }
}

static void row_exp(float *e, float *sum, const float *x, int n, float temp, float shift)
{
    const struct v16 t = v16_set(temp), s = v16_set(shift);

    for (int b = 0; b < n; b += BACKEND_ROW, sum++) {
        struct v16 all = v16_set(0.0f);
        int end = n - b < BACKEND_ROW ? n : b + BACKEND_ROW;

        for (int i = b; i < end; i += 16) {
            struct v16 y = v16_exp(v16_sub(v16_div(row_load(x + i, end - i), t), s));

            all = v16_add(all, y);
            if (end - i >= 16)
                v16_store(e + i, y);
            else
                v16_store_n(e + i, y, end - i);
        }
        *sum = v16_sum(all);
    }
}

#endif
