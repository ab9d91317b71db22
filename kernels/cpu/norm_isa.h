/* norm_isa.h - RMSNorm and SwiGLU of one row. Included by isa_*.c. */
#ifndef NORM_ISA_H
#define NORM_ISA_H

#include "vec.h"

/* Zhang & Sennrich 2019, eq. 4: sum of squares as 16 partial sums and their tree. */
static void norm_row(float *y, const float *x, const float *w, int dim, float eps)
{
    struct v16 s = v16_set(0.0f), r;
    int i = 0, tail = dim % 16;

    for (; i + 16 <= dim; i += 16) {
        struct v16 v = v16_load(x + i);

        s = v16_fma(v, v, s);
    }
    if (tail) {
        struct v16 v = v16_load_n(x + i, tail);

        s = v16_fma(v, v, s);
    }
    r = v16_set(num_rsqrt(v16_sum(s) / (float)dim + eps));
    for (i = 0; i + 16 <= dim; i += 16)
        v16_store(y + i, v16_mul(v16_mul(v16_load(x + i), r), v16_load(w + i)));
    if (tail) {
        struct v16 v = v16_mul(v16_load_n(x + i, tail), r);

        v16_store_n(y + i, v16_mul(v, v16_load_n(w + i, tail)), tail);
    }
}

/* Shazeer 2020: silu(gate) * up. */
INLINE struct v16 glu_16(struct v16 gate, struct v16 up)
{
    struct v16 e = v16_exp(v16_sub(v16_set(-0.0f), gate));

    return v16_mul(v16_div(gate, v16_add(v16_set(1.0f), e)), up);
}

static void glu_row(float *y, const float *gu, int dim)
{
    const float *up = gu + dim;
    int i = 0;

    for (; i + 16 <= dim; i += 16)
        v16_store(y + i, glu_16(v16_load(gu + i), v16_load(up + i)));
    if (i < dim) {
        int n = dim - i;

        v16_store_n(y + i, glu_16(v16_load_n(gu + i, n), v16_load_n(up + i, n)), n);
    }
}

#endif
