/* plain_isa.h - y = W x with quantized weights in plain C, the oracle. Included by dot_isa.h.
 *
 * A row is unpacked into int8 and scales, whatever its type, and multiplied with
 * one token at a time. Integers inside a block, then one fma a block:
 *
 *   blocks of 16, 32   acc = fma((float)sum q x, d_w * d_x, acc)
 *                      acc = fma((float)sum x, m_w * d_x, acc)          with a minimum
 *   blocks of 256      acc = fma((float)sum over groups scale * sum q x, d_w * d_x, acc)
 *                      acc = fma((float)sum over groups min * sum x, m_w * d_x, acc)
 *
 * K types subtract their minimum, so m_w < 0. NVFP4's blocks are 16 values. */
#ifndef PLAIN_ISA_H
#define PLAIN_ISA_H

#include "vec.h"

/* One row of weights. Groups are 16 values; types with groups of 32 say theirs twice. */
struct plain_row {
    int block; // values that share a d: 16, 32 or 256
    bool has_min;
    int8_t *q;            // (cols)
    float *d, *m;         // (cols / block)
    int16_t *scale, *min; // (cols / 16)
};

/* Lay a row out over cpu_scratch_bytes. */
static void plain_place(struct plain_row *r, uint8_t *scratch, int cols)
{
    size_t groups = (size_t)cols / 16;

    r->d = (float *)scratch;
    r->m = r->d + groups;
    r->scale = (int16_t *)(r->m + groups);
    r->min = r->scale + groups;
    r->q = (int8_t *)(r->min + groups);
}

static float plain_half(const uint8_t *p)
{
    uint16_t h;

    memcpy(&h, p, sizeof(h));
    return quant_f16(h);
}

/* Low nibbles of n bytes, then high ones, as the levels say; or, without levels, less zero. */
static void plain_nibbles(int8_t *q, const uint8_t *p, int n, const int8_t *level, int zero)
{
    for (int i = 0; i < n; i++) {
        q[i] = (int8_t)(level ? level[p[i] & 15] : (p[i] & 15) - zero);
        q[i + n] = (int8_t)(level ? level[p[i] >> 4] : (p[i] >> 4) - zero);
    }
}

/* Add a fifth bit to 32 values. */
static void plain_fifth(int8_t *q, const uint8_t *h)
{
    for (int i = 0; i < 32; i++)
        q[i] = (int8_t)(q[i] + (h[i / 8] >> (i % 8) & 1) * 16);
}

static void plain_32(enum tensor_type t, const uint8_t *p, struct plain_row *r, int b)
{
    int8_t *q = r->q + (size_t)b * QUANT_32;

    if (t == T_MXFP4)
        r->d[b] = quant_e8m0(p[0]);
    else
        r->d[b] = plain_half(p);
    if (r->has_min)
        r->m[b] = plain_half(p + 2);
    switch ((int)t) {
    case T_Q8_0:
        memcpy(q, p + 2, QUANT_32);
        break;
    case T_Q4_0:
        plain_nibbles(q, p + 2, 16, NULL, 8);
        break;
    case T_Q4_1:
        plain_nibbles(q, p + 4, 16, NULL, 0);
        break;
    case T_Q5_0:
        plain_nibbles(q, p + 6, 16, NULL, 16);
        plain_fifth(q, p + 2);
        break;
    case T_Q5_1:
        plain_nibbles(q, p + 8, 16, NULL, 0);
        plain_fifth(q, p + 4);
        break;
    case T_IQ4_NL:
        plain_nibbles(q, p + 2, 16, quant_iq4, 0);
        break;
    default:
        plain_nibbles(q, p + 1, 16, quant_fp4, 0);
        break;
    }
}

static void plain_nvfp4(const uint8_t *p, struct plain_row *r, int b)
{
    for (int g = 0; g < 4; g++) {
        r->d[b * 4 + g] = quant_e4m3(p[g]);
        plain_nibbles(r->q + (size_t)b * 64 + g * 16, p + 4 + g * 8, 8, quant_fp4, 0);
    }
}

static void plain_2k(const uint8_t *p, struct plain_row *r, int b)
{
    int8_t *q = r->q + (size_t)b * QUANT_K;

    r->d[b] = plain_half(p + 80);
    r->m[b] = -plain_half(p + 82);
    for (int g = 0; g < 16; g++) {
        r->scale[b * 16 + g] = p[g] & 15;
        r->min[b * 16 + g] = p[g] >> 4;
    }
    for (int i = 0; i < QUANT_K; i++)
        q[i] = (int8_t)(p[16 + i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3);
}

static void plain_3k(const uint8_t *p, struct plain_row *r, int b)
{
    int8_t *q = r->q + (size_t)b * QUANT_K, scale[16];

    r->d[b] = plain_half(p + 108);
    quant_q3_scales(p + 96, scale);
    for (int g = 0; g < 16; g++)
        r->scale[b * 16 + g] = scale[g];
    for (int i = 0; i < QUANT_K; i++) {
        int low = p[32 + i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;

        q[i] = (int8_t)(low + (p[i % 32] >> (i / 32) & 1) * 4 - 4);
    }
}

static void plain_45k(bool five, const uint8_t *p, struct plain_row *r, int b)
{
    int8_t *q = r->q + (size_t)b * QUANT_K;
    const uint8_t *s = p + 4, *high = p + 16, *low = five ? p + 48 : p + 16;

    r->d[b] = plain_half(p);
    r->m[b] = -plain_half(p + 2);
    for (int j = 0; j < 8; j++) { // 6 bits each, packed into 12 bytes
        int16_t scale = (int16_t)(j < 4 ? s[j] & 63 : (s[j + 4] & 15) | s[j - 4] >> 6 << 4);
        int16_t min = (int16_t)(j < 4 ? s[j + 4] & 63 : s[j + 4] >> 4 | s[j] >> 6 << 4);

        for (int g = b * 16 + 2 * j; g < b * 16 + 2 * j + 2; g++) {
            r->scale[g] = scale;
            r->min[g] = min;
        }
    }
    for (int j = 0; j < 4; j++, low += 32, q += 64) {
        plain_nibbles(q, low, 32, NULL, 0);
        for (int i = 0; five && i < 64; i++)
            q[i] = (int8_t)(q[i] + (high[i % 32] >> (2 * j + i / 32) & 1) * 16);
    }
}

static void plain_6k(const uint8_t *p, struct plain_row *r, int b)
{
    int8_t *q = r->q + (size_t)b * QUANT_K;

    r->d[b] = plain_half(p + 208);
    for (int g = 0; g < 16; g++)
        r->scale[b * 16 + g] = (int8_t)p[192 + g];
    for (int i = 0; i < QUANT_K; i++) {
        int half = i / 128, quarter = i % 128 / 32, l = i % 32;
        int low = p[64 * half + 32 * (quarter % 2) + l] >> (quarter / 2 * 4) & 15;
        int high = p[128 + 32 * half + l] >> (2 * quarter) & 3;

        q[i] = (int8_t)((low | high << 4) - 32);
    }
}

static void plain_unpack(enum tensor_type t, const uint8_t *p, int cols, struct plain_row *r)
{
    int n = tensor_block(t);

    r->block = t == T_NVFP4 ? QUANT_16 : n;
    r->has_min = t == T_Q4_1 || t == T_Q5_1 || t == T_Q2_K || t == T_Q4_K || t == T_Q5_K;
    for (int b = 0; b < cols / n; b++, p += tensor_block_bytes(t))
        if (n == QUANT_32)
            plain_32(t, p, r, b);
        else if (t == T_NVFP4)
            plain_nvfp4(p, r, b);
        else if (t == T_Q2_K)
            plain_2k(p, r, b);
        else if (t == T_Q3_K)
            plain_3k(p, r, b);
        else if (t == T_Q6_K)
            plain_6k(p, r, b);
        else
            plain_45k(t == T_Q5_K, p, r, b);
}

/* One row with one token: x (cols) int8, d_x (cols / x_block). */
static float plain_dot(const struct plain_row *r, const int8_t *x, const float *d_x, int x_block,
                       int cols)
{
    float acc = 0.0f;

    for (int b = 0; b < cols / r->block; b++) {
        int32_t sum = 0, min = 0;
        float d = d_x[b * r->block / x_block];

        for (int g = b * r->block / 16; g < (b + 1) * r->block / 16; g++) {
            int32_t dot = 0, s = 0;

            for (int i = g * 16; i < (g + 1) * 16; i++) {
                dot += r->q[i] * x[i];
                s += x[i];
            }
            sum += r->block == QUANT_K ? r->scale[g] * dot : dot;
            if (r->has_min)
                min += r->block == QUANT_K ? r->min[g] * s : s;
        }
        acc = fmaf((float)sum, r->d[b] * d, acc);
        if (r->has_min)
            acc = fmaf((float)min, r->m[b] * d, acc);
    }
    return acc;
}

static void plain_linear(const struct cpu_linear *l, int begin, int end, void *scratch)
{
    struct plain_row r;
    size_t cols = (size_t)l->cols;

    plain_place(&r, scratch, l->cols);
    for (int row = begin; row < end; row++) {
        plain_unpack(l->type, l->w + (size_t)row * l->row_bytes, l->cols, &r);
        for (int t = 0; t < l->n; t++)
            dot_put(l, row, t,
                    plain_dot(&r, l->act.q + (size_t)t * cols,
                              l->act.d + (size_t)t * cols / (size_t)l->act.block, l->act.block,
                              l->cols));
    }
}

#endif
