/* dot_isa.h - y = W x with quantized weights. Included by isa_*.c.
 *
 * Per block of 32 or 256 values the products and sums are integers, so their
 * order is free; then acc = fma((float)sum, d_w * d_x, acc), and for types with a
 * minimum acc = fma((float)sum_of_minimums, m_w * d_x, acc), in block order.
 * Three ways to the same bytes: plain_isa.h is the oracle and all of scalar C;
 * dot_rows_isa.h does 8 rows for one token, dot_tile_isa.h 16 tokens at a time. */
#ifndef DOT_ISA_H
#define DOT_ISA_H

#include "vec.h"

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

#include "plain_isa.h"

#if defined(__AVX2__)
#include "quant_isa.h"

/* Activations of token t, in rows. */
struct dot_token {
    const int8_t *q;
    const float *d;
    const int32_t *s;
};

INLINE struct dot_token dot_token(const struct cpu_linear *l, int t)
{
    size_t at = (size_t)t * (size_t)l->cols;

    return (struct dot_token){l->act.q + at, l->act.d + at / (size_t)l->act.block,
                              l->act.s + at / QUANT_32};
}

#include "dot_rows_isa.h"
#include "dot_tile_isa.h"

/* Where a tile of 16, part of it empty, costs less than a token at a time. */
#if defined(__AVX512VNNI__)
enum { DOT_TILE_FROM = 8 };
#else
enum { DOT_TILE_FROM = 12 };
#endif

static void dot_linear(const struct cpu_linear *l, int begin, int end, void *scratch)
{
    if (cpu_is_plain(l->type))
        plain_linear(l, begin, end, scratch);
    else if (l->act.tiled)
        dot_tiles(l, begin, end, scratch);
    else
        dot_rows(l, begin, end);
}

#else
enum { DOT_TILE_FROM = INT32_MAX };

static void dot_linear(const struct cpu_linear *l, int begin, int end, void *scratch)
{
    plain_linear(l, begin, end, scratch);
}
#endif

#endif
