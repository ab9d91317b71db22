/* quant.c - reference dequantizers and quantizers, a type each.
 *
 * Blocks are copied out before they are read: a row in a file may stand at any
 * byte. Products and sums are written in the published order, a rounding each.
 * Source: ggml's block formats (ggml-common.h) and ggml-quants.c reference rows. */
#include "quant.h"

#include <math.h>
#include <string.h>

/* ---- half floats ---- */

static float float_of(uint32_t u)
{
    float x;

    memcpy(&x, &u, sizeof(x));
    return x;
}

static uint32_t bits_of(float x)
{
    uint32_t u;

    memcpy(&u, &x, sizeof(u));
    return u;
}

float quant_f16(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, rest = (uint32_t)(h & 0x7FFF) << 13;

    if (rest >= 0x0F800000) // infinity and NaN
        return float_of(sign | 0x7F800000 | rest);
    // 2^112 moves the exponent's bias; exact, for subnormals too
    return float_of(sign | bits_of(float_of(rest) * 0x1p112f));
}

uint16_t quant_to_f16(float x)
{
    uint32_t u = bits_of(x), sign = u >> 16 & 0x8000, a = u & 0x7FFFFFFF;

    if (a > 0x7F800000)
        return (uint16_t)(sign | 0x7E00);
    if (a >= 0x477FF000) // 65520, half way between 65504 and what would be the next
        return (uint16_t)(sign | 0x7C00);
    if (a < 0x38800000) // below 2^-14: adding 0.5 leaves units of 2^-24, rounded by the machine
        return (uint16_t)(sign | (bits_of(float_of(a) + 0.5f) - bits_of(0.5f)));
    a += 0x0FFF + (a >> 13 & 1);
    return (uint16_t)(sign | (a - 0x38000000) >> 13);
}

float quant_bf16(uint16_t h)
{
    return float_of((uint32_t)h << 16);
}

uint16_t quant_to_bf16(float x)
{
    uint32_t u = bits_of(x);

    if ((u & 0x7FFFFFFF) > 0x7F800000)
        return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7FFF + (u >> 16 & 1)) >> 16);
}

/* ---- scales and levels ---- */

const int8_t quant_iq4[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                              1,    13,   25,  38,  53,  69,  89,  113};
const int8_t quant_fp4[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

float quant_e8m0(uint8_t e)
{
    return float_of(e < 2 ? 0x00200000u << e : (uint32_t)(e - 1) << 23);
}

float quant_e4m3(uint8_t d)
{
    int exponent = d >> 3 & 15, fraction = d & 7;

    if (d == 0x7F)
        return 0;
    if (!exponent)
        return (float)fraction * 0x1p-10f;
    return float_of((uint32_t)(exponent + 119) << 23 | (uint32_t)fraction << 20);
}

/* Low four bits in bytes 0..7, low and high nibbles; high two in bytes 8..11. */
void quant_q3_scales(const uint8_t s[12], int8_t scale[16])
{
    for (int g = 0; g < 16; g++) {
        int low = s[g % 8] >> (g / 8 * 4) & 15, high = s[8 + g % 4] >> (g / 4 * 2) & 3;

        scale[g] = (int8_t)((low | high << 4) - 32);
    }
}

/* ---- reading a block each ---- */

static void read_q8_0(const uint8_t *p, float *y)
{
    struct quant_q8_0 b;

    memcpy(&b, p, sizeof(b));
    for (int i = 0; i < 32; i++)
        y[i] = (float)b.q[i] * quant_f16(b.d);
}

/* Low nibbles are the first 16 values, high ones the last 16. */
static void read_q4_0(const uint8_t *p, float *y)
{
    struct quant_q4_0 b;

    memcpy(&b, p, sizeof(b));
    for (int i = 0; i < 16; i++) {
        y[i] = (float)((b.q[i] & 15) - 8) * quant_f16(b.d);
        y[i + 16] = (float)((b.q[i] >> 4) - 8) * quant_f16(b.d);
    }
}

static void read_q4_1(const uint8_t *p, float *y)
{
    struct quant_q4_1 b;

    memcpy(&b, p, sizeof(b));
    for (int i = 0; i < 16; i++) {
        y[i] = (float)(b.q[i] & 15) * quant_f16(b.d) + quant_f16(b.m);
        y[i + 16] = (float)(b.q[i] >> 4) * quant_f16(b.d) + quant_f16(b.m);
    }
}

/* The fifth bit of value i of 32. */
static int fifth(const uint8_t *h, int i)
{
    return (h[i / 8] >> (i % 8) & 1) << 4;
}

static void read_q5_0(const uint8_t *p, float *y)
{
    struct quant_q5_0 b;

    memcpy(&b, p, sizeof(b));
    for (int i = 0; i < 16; i++) {
        y[i] = (float)(((b.q[i] & 15) | fifth(b.h, i)) - 16) * quant_f16(b.d);
        y[i + 16] = (float)((b.q[i] >> 4 | fifth(b.h, i + 16)) - 16) * quant_f16(b.d);
    }
}

static void read_q5_1(const uint8_t *p, float *y)
{
    struct quant_q5_1 b;

    memcpy(&b, p, sizeof(b));
    for (int i = 0; i < 16; i++) {
        y[i] = (float)((b.q[i] & 15) | fifth(b.h, i)) * quant_f16(b.d) + quant_f16(b.m);
        y[i + 16] = (float)(b.q[i] >> 4 | fifth(b.h, i + 16)) * quant_f16(b.d) + quant_f16(b.m);
    }
}

/* Scale and minimum of group g of 8: 6 bits each, packed into 12 bytes. */
static void k_scale(const uint8_t *s, int g, int *scale, int *min)
{
    if (g < 4) {
        *scale = s[g] & 63;
        *min = s[g + 4] & 63;
    } else {
        *scale = (s[g + 4] & 15) | (s[g - 4] >> 6) << 4;
        *min = s[g + 4] >> 4 | (s[g] >> 6) << 4;
    }
}

/* Two halves of 128 = four quarters of 32, two bits each of the half's 32 bytes. */
static void read_q2_k(const uint8_t *p, float *y)
{
    struct quant_q2_k b;

    memcpy(&b, p, sizeof(b));
    for (int i = 0; i < 256; i++) {
        float d = quant_f16(b.d) * (float)(b.scale[i / 16] & 15);
        float m = quant_f16(b.dmin) * (float)(b.scale[i / 16] >> 4);

        y[i] = d * (float)(b.q[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3) - m;
    }
}

/* As q2_k; 4 less where bit i / 32 of h[i % 32] is clear. */
static void read_q3_k(const uint8_t *p, float *y)
{
    struct quant_q3_k b;
    int8_t scale[16];

    memcpy(&b, p, sizeof(b));
    quant_q3_scales(b.scale, scale);
    for (int i = 0; i < 256; i++) {
        int low = b.q[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
        int high = b.h[i % 32] >> (i / 32) & 1;

        y[i] = quant_f16(b.d) * (float)scale[i / 16] * (float)(low - 4 + 4 * high);
    }
}

/* Groups 2k and 2k + 1 share 32 bytes: low nibbles, high nibbles. */
static void read_q4_k(const uint8_t *p, float *y)
{
    struct quant_q4_k b;

    memcpy(&b, p, sizeof(b));
    for (int g = 0; g < 8; g++) {
        int scale, min;

        k_scale(b.scale, g, &scale, &min);
        float d = quant_f16(b.d) * (float)scale, m = quant_f16(b.dmin) * (float)min;
        for (int i = 0; i < 32; i++)
            y[32 * g + i] = d * (float)(b.q[g / 2 * 32 + i] >> (g % 2 * 4) & 15) - m;
    }
}

/* As q4_k; bit g of h[i] is the fifth bit of value i of group g. */
static void read_q5_k(const uint8_t *p, float *y)
{
    struct quant_q5_k b;

    memcpy(&b, p, sizeof(b));
    for (int g = 0; g < 8; g++) {
        int scale, min;

        k_scale(b.scale, g, &scale, &min);
        float d = quant_f16(b.d) * (float)scale, m = quant_f16(b.dmin) * (float)min;
        for (int i = 0; i < 32; i++) {
            int low = b.q[g / 2 * 32 + i] >> (g % 2 * 4) & 15, high = b.h[i] >> g & 1;

            y[32 * g + i] = d * (float)(low | high << 4) - m;
        }
    }
}

/* Two halves of 128 = four quarters of 32: quarter k takes the low nibbles of ql
 * (k < 2) or the high ones, from byte 32 * (k % 2), and bits 2k of qh. */
static void read_q6_k(const uint8_t *p, float *y)
{
    struct quant_q6_k b;

    memcpy(&b, p, sizeof(b));
    for (int i = 0; i < 256; i++) {
        int half = i / 128, k = i % 128 / 32, l = i % 32;
        int low = b.ql[64 * half + 32 * (k % 2) + l] >> (k / 2 * 4) & 15;
        int high = b.qh[32 * half + l] >> (2 * k) & 3;

        y[i] = quant_f16(b.d) * (float)b.scale[i / 16] * (float)((low | high << 4) - 32);
    }
}

static void read_iq4_nl(const uint8_t *p, float *y)
{
    struct quant_iq4_nl b;

    memcpy(&b, p, sizeof(b));
    for (int i = 0; i < 16; i++) {
        y[i] = quant_f16(b.d) * (float)quant_iq4[b.q[i] & 15];
        y[i + 16] = quant_f16(b.d) * (float)quant_iq4[b.q[i] >> 4];
    }
}

static void read_mxfp4(const uint8_t *p, float *y)
{
    for (int i = 0; i < 16; i++) {
        y[i] = quant_e8m0(p[0]) * (float)quant_fp4[p[1 + i] & 15];
        y[i + 16] = quant_e8m0(p[0]) * (float)quant_fp4[p[1 + i] >> 4];
    }
}

/* Four blocks of 16 = 8 bytes: low nibbles, high nibbles. */
static void read_nvfp4(const uint8_t *p, float *y)
{
    for (int g = 0; g < 4; g++)
        for (int i = 0; i < 8; i++) {
            y[16 * g + i] = quant_e4m3(p[g]) * (float)quant_fp4[p[4 + 8 * g + i] & 15];
            y[16 * g + i + 8] = quant_e4m3(p[g]) * (float)quant_fp4[p[4 + 8 * g + i] >> 4];
        }
}

static void (*reader(enum tensor_type t))(const uint8_t *, float *)
{
    switch (t) {
    case T_Q8_0:
        return read_q8_0;
    case T_Q4_0:
        return read_q4_0;
    case T_Q4_1:
        return read_q4_1;
    case T_Q5_0:
        return read_q5_0;
    case T_Q5_1:
        return read_q5_1;
    case T_Q2_K:
        return read_q2_k;
    case T_Q3_K:
        return read_q3_k;
    case T_Q4_K:
        return read_q4_k;
    case T_Q5_K:
        return read_q5_k;
    case T_Q6_K:
        return read_q6_k;
    case T_IQ4_NL:
        return read_iq4_nl;
    case T_MXFP4:
        return read_mxfp4;
    case T_NVFP4:
        return read_nvfp4;
    default:
        return NULL;
    }
}

static void read_half(enum tensor_type t, const uint8_t *p, float *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        uint16_t h;

        memcpy(&h, p + 2 * i, 2);
        y[i] = t == T_F16 ? quant_f16(h) : quant_bf16(h);
    }
}

bool quant_read(enum tensor_type t, const void *row, float *y, int64_t n)
{
    void (*block)(const uint8_t *, float *) = reader(t);
    const uint8_t *p = row;
    int size = tensor_block(t);

    if (n <= 0)
        return block || t == T_F32 || t == T_F16 || t == T_BF16 || t == T_F64;
    if (t == T_F32) {
        memcpy(y, p, (size_t)n * sizeof(*y));
    } else if (t == T_F16 || t == T_BF16) {
        read_half(t, p, y, n);
    } else if (t == T_F64) {
        for (int64_t i = 0; i < n; i++) {
            double x;

            memcpy(&x, p + 8 * i, 8);
            y[i] = (float)x;
        }
    } else if (block) {
        for (int64_t i = 0; i < n / size; i++)
            block(p + (size_t)i * tensor_block_bytes(t), y + i * size);
    } else {
        return false;
    }
    return true;
}

/* ---- writing ---- */

/* Nearest integer, ties away from zero, without a call of the C library. */
static int nearest(float x)
{
    int i = (int)x;
    float rest = x - (float)i;

    return i + (rest >= 0.5f) - (rest <= -0.5f);
}

static void write_q8_0(const float *x, uint8_t *p)
{
    struct quant_q8_0 b;
    float max = 0, d, inverse;
    bool finite = true;

    for (int i = 0; i < 32; i++) {
        finite &= isfinite(x[i]) != 0;
        max = fabsf(x[i]) > max ? fabsf(x[i]) : max;
    }
    d = finite ? max / 127 : NAN; // a bad value makes a bad block, never undefined behaviour
    inverse = finite && d > 0 ? 1 / d : 0;
    if (isinf(inverse)) // d is far below the smallest half: the block is zero
        inverse = 0;
    b.d = quant_to_f16(d);
    for (int i = 0; i < 32; i++)
        b.q[i] = inverse > 0 ? (int8_t)nearest(x[i] * inverse) : 0;
    memcpy(p, &b, sizeof(b));
}

bool quant_write(enum tensor_type t, const float *x, void *row, int64_t n)
{
    uint8_t *p = row;

    if (t == T_F32) {
        if (n > 0)
            memcpy(p, x, (size_t)n * sizeof(*x));
    } else if (t == T_F16 || t == T_BF16) {
        for (int64_t i = 0; i < n; i++) {
            uint16_t h = t == T_F16 ? quant_to_f16(x[i]) : quant_to_bf16(x[i]);

            memcpy(p + 2 * i, &h, 2);
        }
    } else if (t == T_Q8_0) {
        for (int64_t i = 0; i < n / 32; i++)
            write_q8_0(x + 32 * i, p + sizeof(struct quant_q8_0) * (size_t)i);
    } else {
        return false;
    }
    return true;
}
