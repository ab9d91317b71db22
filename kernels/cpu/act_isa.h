/* act_isa.h - activations into int8. Included by isa_*.c.
 *
 * d = max|x| / 127 of a block, q = x * (127 / max|x|) to the nearest, ties to
 * even. A block whose largest value is below 1e-30 is all zeros. */
#ifndef ACT_ISA_H
#define ACT_ISA_H

#include "vec.h"

/* Scale and q of one block; q at stride bytes. */
INLINE float act_block(const float *x, int block, int8_t q[QUANT_K])
{
    struct v16 top = v16_set(0.0f), scale;
    float t[16], max;

    for (int i = 0; i < block; i += 16) {
        struct v16 v = v16_load(x + i);

        top = v16_max(v16_max(v, v16_sub(v16_set(0.0f), v)), top);
    }
    max = v16_max_lane(top);
    scale = v16_set(max >= 1e-30f ? 127.0f / max : 0.0f);
    for (int i = 0; i < block; i += 16) {
        v16_store(t, v16_add(v16_mul(v16_load(x + i), scale), v16_set(NUM_ROUND)));
        for (int j = 0; j < 16; j++)
            q[i + j] = (int8_t)(uint8_t)num_bits(t[j]);
    }
    return max >= 1e-30f ? max / 127.0f : 0.0f;
}

static void act_token(struct cpu_act *a, const float *x, int cols, int token)
{
    size_t row = (size_t)token * (size_t)cols;
    int8_t *q = a->q + row;
    float *d = a->d + row / (size_t)a->block;
    int32_t *s = a->s + row / QUANT_32;

    x += row;
    for (int i = 0; i < cols; i += a->block)
        *d++ = act_block(x + i, a->block, q + i);
    for (int i = 0; i < cols; i += QUANT_32) {
        int32_t sum = 0;

        for (int j = 0; j < QUANT_32; j++)
            sum += q[i + j];
        *s++ = sum;
    }
}

/* Values of one token of a tile, four by four; plus 128 for VNNI. */
INLINE void act_interleave(int8_t *to, const int8_t *q, int n)
{
    for (int j = 0; j < n; j += 4) {
        uint32_t four;

        memcpy(&four, q + j, sizeof(four));
#if defined(__AVX512VNNI__)
        four ^= 0x80808080u;
#endif
        memcpy(to + (size_t)j * 16, &four, sizeof(four));
    }
}

/* Sixteen tokens into a tile; tokens from n on are zeros. */
static void act_tile(struct cpu_act *a, const float *x, int n, int cols, int tile)
{
    size_t at = (size_t)tile * 16 * (size_t)cols;
    int8_t q[QUANT_K];

    for (int k = 0; k < 16; k++) {
        int token = tile * 16 + k;
        const float *row = x + (size_t)token * (size_t)cols;

        for (int i = 0; i < cols; i += a->block) {
            size_t block = at + (size_t)i * 16;
            float d = 0.0f;

            if (token < n)
                d = act_block(row + i, a->block, q);
            else
                memset(q, 0, sizeof(q));
            a->d[block / (size_t)a->block + (size_t)k] = d;
            for (int j = 0; j < a->block; j += QUANT_32) {
                int32_t sum = 0;

                for (int c = 0; c < QUANT_32; c++)
                    sum += q[j + c];
                a->s[(block + (size_t)j * 16) / QUANT_32 + (size_t)k] = sum;
            }
            act_interleave(a->q + block + (size_t)k * 4, q, a->block);
        }
    }
}

static void act_quantize(struct cpu_act *a, const float *x, int n, int cols, int i)
{
    if (a->tiled)
        act_tile(a, x, n, cols, i);
    else
        act_token(a, x, cols, i);
}

#endif
