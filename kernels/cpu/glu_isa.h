/* glu_isa.h - nonlinearities of one row: the feed-forward's, and soft caps. Included by isa_*.c. */
#ifndef GLU_ISA_H
#define GLU_ISA_H

#include "vec.h"

/* num_gelu_erf, lane by lane. */
INLINE struct v16 glu_erf(struct v16 x)
{
    struct v16 a = v16_max(x, v16_sub(v16_set(-0.0f), x)), t, p;

    a = v16_min(v16_set(NUM_ERF_MAX), a);
    t = v16_div(v16_set(1.0f), v16_fma(a, v16_set(NUM_ERF_T), v16_set(1.0f)));
    p = v16_fma(v16_set(NUM_ERF_C8), t, v16_set(NUM_ERF_C7));
    p = v16_fma(p, t, v16_set(NUM_ERF_C6));
    p = v16_fma(p, t, v16_set(NUM_ERF_C5));
    p = v16_fma(p, t, v16_set(NUM_ERF_C4));
    p = v16_fma(p, t, v16_set(NUM_ERF_C3));
    p = v16_fma(p, t, v16_set(NUM_ERF_C2));
    p = v16_fma(p, t, v16_set(NUM_ERF_C1));
    p = v16_fma(p, t, v16_set(NUM_ERF_C0));
    t = v16_exp(v16_mul(v16_mul(a, a), v16_set(-0.5f)));
    return v16_sub(v16_max(v16_set(0.0f), x), v16_mul(v16_mul(p, t), a));
}

/* num_silu, num_gelu, num_gelu_erf and num_relu2, lane by lane. */
INLINE struct v16 glu_act(struct v16 x, enum ffn_act act)
{
    struct v16 e;

    if (act == FFN_GELU_ERF)
        return glu_erf(x);
    if (act == FFN_RELU2) {
        x = v16_max(v16_set(0.0f), x);
        return v16_mul(x, x);
    }
    e = v16_sub(v16_set(-0.0f), x);
    if (act == FFN_GELU)
        e = v16_mul(x, v16_fma(v16_mul(x, x), v16_set(NUM_GELU_C3), v16_set(NUM_GELU_C1)));
    return v16_div(x, v16_add(v16_set(1.0f), v16_exp(e)));
}

/* up NULL: not gated. */
INLINE void glu_values(float *y, const float *x, const float *up, int dim, enum ffn_act act)
{
    int i = 0;

    for (; i + 16 <= dim; i += 16) {
        struct v16 v = glu_act(v16_load(x + i), act);

        v16_store(y + i, up ? v16_mul(v, v16_load(up + i)) : v);
    }
    if (i < dim) {
        int n = dim - i;
        struct v16 v = glu_act(v16_load_n(x + i, n), act);

        v16_store_n(y + i, up ? v16_mul(v, v16_load_n(up + i, n)) : v, n);
    }
}

static void glu_row(float *y, const float *gu, const struct ffn_shape *f)
{
    const float *up = f->gated ? gu + f->dim : NULL;

    if (f->act == FFN_SILU)
        glu_values(y, gu, up, f->dim, FFN_SILU);
    else if (f->act == FFN_GELU)
        glu_values(y, gu, up, f->dim, FFN_GELU);
    else if (f->act == FFN_GELU_ERF)
        glu_values(y, gu, up, f->dim, FFN_GELU_ERF);
    else
        glu_values(y, gu, up, f->dim, FFN_RELU2);
}

/* cap * tanh(x / cap) of sixteen values; inverse = 1 / cap. */
INLINE struct v16 glu_cap(struct v16 x, float cap, float inverse)
{
    return v16_mul(v16_tanh(v16_mul(x, v16_set(inverse))), v16_set(cap));
}

static void glu_softcap(float *x, float cap, int n)
{
    float inverse = 1.0f / cap;
    int i = 0;

    for (; i + 16 <= n; i += 16)
        v16_store(x + i, glu_cap(v16_load(x + i), cap, inverse));
    if (i < n)
        v16_store_n(x + i, glu_cap(v16_load_n(x + i, n - i), cap, inverse), n - i);
}

#endif
