/* quant_isa.h - activations into int8, and blocks of weights into int8 and
 * scales. Included by isa_*.c.
 *
 * Activations: d = max|x| / 127 of a block, q = x * (127 / max|x|) to the nearest,
 * ties to even. A block whose largest value is below 1e-30 is all zeros. */
#ifndef QUANT_ISA_H
#define QUANT_ISA_H

#include "vec.h"

/* Scale and q of one block; q at stride bytes. */
INLINE float quant_block(const float *x, int block, int8_t q[QUANT_K])
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

static void quant_token(struct cpu_act *a, const float *x, int cols, int token)
{
    size_t row = (size_t)token * (size_t)cols;
    int8_t *q = a->q + row;
    float *d = a->d + row / (size_t)a->block;
    int32_t *s = a->s + row / QUANT_32;

    x += row;
    for (int i = 0; i < cols; i += a->block)
        *d++ = quant_block(x + i, a->block, q + i);
    for (int i = 0; i < cols; i += QUANT_32) {
        int32_t sum = 0;

        for (int j = 0; j < QUANT_32; j++)
            sum += q[i + j];
        *s++ = sum;
    }
}

/* Values of one token of a tile, four by four; plus 128 for VNNI. */
INLINE void quant_interleave(int8_t *to, const int8_t *q, int n)
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
static void quant_tile(struct cpu_act *a, const float *x, int n, int cols, int tile)
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
                d = quant_block(row + i, a->block, q);
            else
                memset(q, 0, sizeof(q));
            a->d[block / (size_t)a->block + (size_t)k] = d;
            for (int j = 0; j < a->block; j += QUANT_32) {
                int32_t sum = 0;

                for (int c = 0; c < QUANT_32; c++)
                    sum += q[j + c];
                a->s[(block + (size_t)j * 16) / QUANT_32 + (size_t)k] = sum;
            }
            quant_interleave(a->q + block + (size_t)k * 4, q, a->block);
        }
    }
}

static void quant_act(struct cpu_act *a, const float *x, int n, int cols, int i)
{
    if (a->tiled)
        quant_tile(a, x, n, cols, i);
    else
        quant_token(a, x, cols, i);
}

/* One row of weights, unpacked. Value i of block b is d q[i] + m, and in blocks of
 * 256 it is d scale[g] q[i] + m min[i / 32], g counting groups of 32 (Q6_K: 16).
 * m is there only in types that have a minimum; K types subtract theirs, so m < 0. */
struct quant_row {
    int8_t *q;            // (cols)
    float *d, *m;         // (cols / block)
    int32_t *start;       // (groups) where dots with tiled activations start
    int16_t *scale, *min; // (cols / 16), (cols / 32)
};

/* Lay a row out over scratch; returns where the next one goes. */
static uint8_t *quant_place(struct quant_row *r, uint8_t *scratch, int cols)
{
    size_t n = (size_t)cols;

    r->start = (int32_t *)scratch;
    r->d = (float *)(scratch + n / 4);
    r->m = (float *)(scratch + n / 4 + n / 8);
    r->scale = (int16_t *)(scratch + n / 2);
    r->min = (int16_t *)(scratch + n / 2 + n / 8);
    r->q = (int8_t *)(scratch + n / 2 + n / 8 + n / 16);
    return scratch + (n / 2 + n / 8 + n / 16 + n + 63) / 64 * 64;
}

/* Bytes of a block. */
INLINE size_t quant_bytes(enum tensor_type t)
{
    switch ((int)t) {
    case T_Q8_0:
        return 34;
    case T_Q4_0:
        return 18;
    case T_Q4_1:
        return 20;
    case T_Q5_0:
        return 22;
    case T_Q5_1:
        return 24;
    case T_Q4_K:
        return 144;
    case T_Q5_K:
        return 176;
    default:
        return 210;
    }
}

INLINE float quant_half(const uint8_t *p)
{
    uint16_t h;

    memcpy(&h, p, sizeof(h));
#if defined(__F16C__)
    return _cvtsh_ss(h);
#else
    return quant_f16(h);
#endif
}

INLINE void quant_unpack_32(enum tensor_type t, const uint8_t *p, struct quant_row *r, int b)
{
    int8_t *q = r->q + (size_t)b * QUANT_32;
    bool has_min = t == T_Q4_1 || t == T_Q5_1, five = t == T_Q5_0 || t == T_Q5_1;
    uint32_t high = 0;
    int8_t zero = t == T_Q4_0 ? 8 : t == T_Q5_0 ? 16 : 0;

    r->d[b] = quant_half(p);
    p += 2;
    if (has_min) {
        r->m[b] = quant_half(p);
        p += 2;
    }
    if (t == T_Q8_0) {
        memcpy(q, p, QUANT_32);
        return;
    }
    if (five) {
        memcpy(&high, p, sizeof(high));
        p += 4;
    }
    for (int i = 0; i < 16; i++) {
        int lo = p[i] & 15, hi = p[i] >> 4;

        if (five) {
            lo |= (int)(high >> i & 1) << 4;
            hi |= (int)(high >> (i + 16) & 1) << 4;
        }
        q[i] = (int8_t)(lo - zero);
        q[i + 16] = (int8_t)(hi - zero);
    }
}

/* The eight 6-bit scales and minimums of Q4_K and Q5_K, out of 12 bytes. */
INLINE void quant_scales(const uint8_t *p, int16_t *scale, int16_t *min)
{
    for (int j = 0; j < 4; j++) {
        scale[j] = p[j] & 63;
        min[j] = p[j + 4] & 63;
        scale[j + 4] = (int16_t)((p[j + 8] & 15) | p[j] >> 6 << 4);
        min[j + 4] = (int16_t)(p[j + 8] >> 4 | p[j + 4] >> 6 << 4);
    }
}

INLINE void quant_unpack_45k(bool five, const uint8_t *p, struct quant_row *r, int b)
{
    int8_t *q = r->q + (size_t)b * QUANT_K;
    const uint8_t *high = p + 16, *low = five ? p + 48 : p + 16;

    r->d[b] = quant_half(p);
    r->m[b] = -quant_half(p + 2);
    quant_scales(p + 4, r->scale + b * 8, r->min + b * 8);
    for (int j = 0; j < 4; j++, low += 32, q += 64)
        for (int i = 0; i < 32; i++) {
            int h0 = five ? (high[i] >> (2 * j) & 1) << 4 : 0;
            int h1 = five ? (high[i] >> (2 * j + 1) & 1) << 4 : 0;

            q[i] = (int8_t)((low[i] & 15) | h0);
            q[i + 32] = (int8_t)(low[i] >> 4 | h1);
        }
}

INLINE void quant_unpack_6k(const uint8_t *p, struct quant_row *r, int b)
{
    int8_t *q = r->q + (size_t)b * QUANT_K;
    const uint8_t *low = p, *high = p + 128;

    for (int i = 0; i < 16; i++)
        r->scale[b * 16 + i] = (int8_t)p[192 + i];
    r->d[b] = quant_half(p + 208);
    for (int j = 0; j < 2; j++, low += 64, high += 32, q += 128)
        for (int i = 0; i < 32; i++) {
            q[i] = (int8_t)(((low[i] & 15) | (high[i] & 3) << 4) - 32);
            q[i + 32] = (int8_t)(((low[i + 32] & 15) | (high[i] >> 2 & 3) << 4) - 32);
            q[i + 64] = (int8_t)((low[i] >> 4 | (high[i] >> 4 & 3) << 4) - 32);
            q[i + 96] = (int8_t)((low[i + 32] >> 4 | high[i] >> 6 << 4) - 32);
        }
}

/* Tiled activations are stored plus 128 for VNNI, which multiplies unsigned by
 * signed bytes: what that adds to a group's sum is taken off at its start. */
INLINE void quant_start(struct quant_row *r, int cols, int group)
{
    for (int i = 0; i < cols; i += group) {
        int32_t sum = 0;

#if defined(__AVX512VNNI__)
        for (int j = 0; j < group; j++)
            sum += r->q[i + j];
#endif
        r->start[i / group] = -128 * sum;
    }
}

INLINE void quant_unpack_as(enum tensor_type t, const uint8_t *row, int cols, struct quant_row *r)
{
    const int block = t >= T_Q4_K ? QUANT_K : QUANT_32;

    for (int b = 0; b < cols / block; b++, row += quant_bytes(t)) {
        if (block == QUANT_32)
            quant_unpack_32(t, row, r, b);
        else if (t == T_Q6_K)
            quant_unpack_6k(row, r, b);
        else
            quant_unpack_45k(t == T_Q5_K, row, r, b);
    }
    quant_start(r, cols, t == T_Q6_K ? 16 : QUANT_32);
}

static void quant_unpack(enum tensor_type t, const uint8_t *row, int cols, struct quant_row *r)
{
    switch ((int)t) {
    case T_Q8_0:
        quant_unpack_as(T_Q8_0, row, cols, r);
        break;
    case T_Q4_0:
        quant_unpack_as(T_Q4_0, row, cols, r);
        break;
    case T_Q4_1:
        quant_unpack_as(T_Q4_1, row, cols, r);
        break;
    case T_Q5_0:
        quant_unpack_as(T_Q5_0, row, cols, r);
        break;
    case T_Q5_1:
        quant_unpack_as(T_Q5_1, row, cols, r);
        break;
    case T_Q4_K:
        quant_unpack_as(T_Q4_K, row, cols, r);
        break;
    case T_Q5_K:
        quant_unpack_as(T_Q5_K, row, cols, r);
        break;
    default:
        quant_unpack_as(T_Q6_K, row, cols, r);
        break;
    }
}

#endif
