/* norm_isa.h - RMSNorm and LayerNorm of one row. Included by isa_*.c. */
#ifndef NORM_ISA_H
#define NORM_ISA_H

#include "vec.h"

/* Sixteen values, or the last n of a row with zeros beyond; and back. */
INLINE struct v16 norm_load(const float *p, int n)
{
    return n >= 16 ? v16_load(p) : v16_load_n(p, n);
}

INLINE void norm_store(float *p, struct v16 a, int n)
{
    if (n >= 16)
        v16_store(p, a);
    else
        v16_store_n(p, a, n);
}

/* x - mean, with zeros beyond the end of the row. */
INLINE struct v16 norm_centred(const float *x, struct v16 mean, int n)
{
    float t[16] = {0};

    if (n >= 16)
        return v16_sub(v16_load(x), mean);
    v16_store_n(t, v16_sub(v16_load_n(x, n), mean), n);
    return v16_load(t);
}

/* Zhang & Sennrich 2019, eq. 4; Ba et al. 2016, eq. 3: sums as 16 partial sums and
 * their tree. RMSNorm is the case of a mean of 0, whose subtraction changes no bit. */
static void norm_row(float *y, const float *x, const struct norm_weight *w, int dim, bool add)
{
    struct v16 s = v16_set(0.0f), mean = s, r;

    if (w->kind == NORM_LAYER) {
        for (int i = 0; i < dim; i += 16)
            s = v16_add(s, norm_load(x + i, dim - i));
        mean = v16_set(v16_sum(s) / (float)dim);
        s = v16_set(0.0f);
    }
    for (int i = 0; i < dim; i += 16) {
        struct v16 v = norm_centred(x + i, mean, dim - i);

        s = v16_fma(v, v, s);
    }
    r = v16_set(num_rsqrt(v16_sum(s) / (float)dim + w->eps));
    for (int i = 0; i < dim; i += 16) {
        int n = dim - i;
        struct v16 v = v16_mul(norm_centred(x + i, mean, n), r);

        v = v16_mul(v, norm_load(w->w_d + i, n));
        if (w->b_d)
            v = v16_add(v, norm_load(w->b_d + i, n));
        if (add)
            v = v16_add(norm_load(y + i, n), v);
        norm_store(y + i, v, n);
    }
}

#endif
