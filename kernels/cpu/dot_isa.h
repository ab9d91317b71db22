/* dot_isa.h - y = W x with quantized weights. Included by isa_*.c.
 *
 * Per block of 32 or 256 values the products and sums are integers, so their
 * order is free; then acc = fma((float)sum, d_w * d_x, acc), and for types with a
 * minimum acc = fma((float)sum_of_minimums, m_w * d_x, acc), in block order. */
#ifndef DOT_ISA_H
#define DOT_ISA_H

#include "quant_isa.h"

enum { DOT_TILE_FROM = INT32_MAX };
enum { DOT_MIN = 1, DOT_K = 2, DOT_16 = 4 }; // has a minimum; blocks of 256; groups of 16

INLINE int dot_kind(enum tensor_type t)
{
    switch ((int)t) {
    case T_Q4_1:
    case T_Q5_1:
        return DOT_MIN;
    case T_Q4_K:
    case T_Q5_K:
        return DOT_MIN | DOT_K;
    case T_Q6_K:
        return DOT_K | DOT_16;
    default:
        return 0;
    }
}

static void dot_put(const struct cpu_linear *l, int row, int token, float dot)
{
    float *y = l->y + (size_t)token * (size_t)l->ldy + row;

    if (l->bias)
        dot += l->bias[row];
    *y = l->add ? *y + dot : dot;
}

/* Lay `n_rows` unpacked rows out over scratch. */
static uint8_t *dot_rowset(struct quant_rowset *r, uint8_t *scratch, int cols)
{
    size_t n = (size_t)cols;

    r->d = (float *)scratch;
    r->m = (float *)(scratch + n / 8);
    r->scale = (int16_t *)(scratch + n / 4);
    r->min = (int16_t *)(scratch + n / 4 + n / 8);
    r->q = (int8_t *)(scratch + n / 4 + n / 8 + n / 16);
    return scratch + n / 4 + n / 8 + n / 16 + n;
}

INLINE int32_t dot_int(const int8_t *a, const int8_t *b, int n)
{
    int32_t sum = 0;

    for (int i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* One row with one token, whatever the type: the oracle. */
static float dot_one(const struct quant_rowset *r, const int8_t *q, const float *d,
                     const int32_t *s, int cols, int kind)
{
    int block = kind & DOT_K ? QUANT_K : QUANT_32, group = kind & DOT_16 ? 16 : QUANT_32;
    float acc = 0.0f;

    for (int b = 0; b < cols / block; b++) {
        int32_t sum = 0, min = 0;

        for (int i = b * block; i < (b + 1) * block; i += group) {
            int32_t dot = dot_int(r->q + i, q + i, group);

            sum += kind & DOT_K ? r->scale[i / group] * dot : dot;
            if (kind & DOT_MIN && i % QUANT_32 == 0)
                min += kind & DOT_K ? r->min[i / QUANT_32] * s[i / QUANT_32] : s[i / QUANT_32];
        }
        acc = fmaf((float)sum, r->d[b] * d[b], acc);
        if (kind & DOT_MIN)
            acc = fmaf((float)min, r->m[b] * d[b], acc);
    }
    return acc;
}

static void dot_linear(const struct cpu_linear *l, int begin, int end, void *scratch)
{
    struct quant_rowset r;
    int kind = dot_kind(l->type);

    dot_rowset(&r, scratch, l->cols);
    for (int row = begin; row < end; row++) {
        quant_unpack_any(l->type, l->w + (size_t)row * l->row_bytes, l->cols, &r);
        for (int t = 0; t < l->n; t++) {
            size_t at = (size_t)t * (size_t)l->cols;
            float dot = dot_one(&r, l->act.q + at, l->act.d + at / (size_t)l->act.block,
                                l->act.s + at / QUANT_32, l->cols, kind);

            dot_put(l, row, t, dot);
        }
    }
}

#endif
