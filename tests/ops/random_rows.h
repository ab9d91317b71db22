/* random_rows.h - random rows of every type of weights, for tests of products. */
#ifndef RANDOM_ROWS_H
#define RANDOM_ROWS_H

#include "ops.h"
#include "quant.h"
#include "tensor.h"

static inline void put_half(uint8_t *p, float x)
{
    uint16_t h = quant_to_f16(x);

    memcpy(p, &h, sizeof(h));
}

/* Where the half floats of a block begin, and how many bytes of them there are. */
static inline size_t halves(enum tensor_type t, size_t *at)
{
    *at = t == T_Q6_K ? 208 : t == T_Q2_K ? 80 : t == T_Q3_K ? 108 : 0;
    if (t == T_MXFP4 || t == T_NVFP4)
        return 0;
    return t == T_Q4_1 || t == T_Q5_1 || t == T_Q2_K || t == T_Q4_K || t == T_Q5_K ? 4 : 2;
}

/* A matrix of random blocks with scales of a sane size, one byte off alignment. */
static inline uint8_t *random_rows(struct ops *o, enum tensor_type t, int rows, int cols)
{
    size_t row = tensor_row_bytes(t, cols), n = row * (size_t)rows;
    size_t block = tensor_block_bytes(t), at, half = halves(t, &at);
    uint8_t *p = mem_new(n + 1), *w = p + 1;

    for (size_t i = 0; i < n; i++)
        w[i] = (uint8_t)ops_bits(o);
    if (tensor_block(t) == 1) {
        for (size_t i = 0; i < n; i += block) {
            float x = ops_float(o);
            uint16_t h = t == T_F16 ? quant_to_f16(x) : quant_to_bf16(x);

            memcpy(w + i, t == T_F32 ? (void *)&x : (void *)&h, block);
        }
        return p;
    }
    for (size_t i = 0; i < n; i += block) {
        if (half)
            put_half(w + i + at, ops_float(o) / 64);
        if (half == 4)
            put_half(w + i + at + 2, ops_float(o) / 8);
        for (size_t k = 0; t == T_MXFP4 ? k < 1 : t == T_NVFP4 && k < 4; k++)
            w[i + k] = (uint8_t)(t == T_MXFP4 ? ops_pick(o, 112, 124) : ops_pick(o, 0, 80));
    }
    return p;
}

#endif
