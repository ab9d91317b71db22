/* kv_isa.h - floats to and from what the cache keeps. Included by isa_*.c.
 *
 * Rounded to nearest even; what is too large is infinite in F16 and BF16, and the largest value,
 * 448, in E4M3 (Micikevicius et al. 2022, FP8 Formats for Deep Learning, section 3). There is one
 * NaN. Reading is exact. Without branches, so that sixteen lanes are done at once. */
#ifndef KV_ISA_H
#define KV_ISA_H

#include "vec.h"

/* The halves of f32's bits. */
INLINE uint32_t kv_to_f16(uint32_t u)
{
    uint32_t sign = u >> 16 & 0x8000, a = u & 0x7fffffff;
    uint32_t small = num_bits(num_float(a) + 0.5f) - num_bits(0.5f); // units of 2^-24
    uint32_t h = (a + 0x0fff + (a >> 13 & 1) - 0x38000000) >> 13;

    h = a < 0x38800000 ? small : h;
    h = a >= 0x477ff000 ? 0x7c00 : h; // from half way to what would be the next on
    h = a > 0x7f800000 ? 0x7e00 : h;
    return sign | h;
}

INLINE uint32_t kv_to_bf16(uint32_t u)
{
    uint32_t h = (u + 0x7fff + (u >> 16 & 1)) >> 16;

    return (u & 0x7fffffff) > 0x7f800000 ? 0x7fc0 | (u >> 16 & 0x8000) : h;
}

INLINE uint32_t kv_to_fp8(uint32_t u)
{
    uint32_t sign = u >> 24 & 0x80, a = u & 0x7fffffff;
    uint32_t small = num_bits(num_float(a) + 0x1p14f) - num_bits(0x1p14f); // units of 2^-9
    uint32_t b = (a + 0x7ffff + (a >> 20 & 1) - 0x3c000000) >> 20;

    b = a < 0x3c800000 ? small : b; // 2^-6
    b = a >= 0x43e00000 ? 0x7e : b; // 448
    b = a > 0x7f800000 ? 0x7f : b;
    return sign | b;
}

/* Call f with a type as a constant. */
#define KV_OF(type, f, ...)                        \
    ((type) == KV_F32    ? f(__VA_ARGS__, KV_F32)  \
     : (type) == KV_F16  ? f(__VA_ARGS__, KV_F16)  \
     : (type) == KV_BF16 ? f(__VA_ARGS__, KV_BF16) \
                         : f(__VA_ARGS__, KV_FP8))

/* Sixteen values. */
INLINE void kv_put16(void *p, const float *x, enum kv_type type)
{
    uint32_t u[16];
    uint16_t h[16];
    uint8_t b[16];

    if (type == KV_F32) {
        memcpy(p, x, sizeof(u));
        return;
    }
    memcpy(u, x, sizeof(u));
    for (int i = 0; i < 16; i++)
        u[i] = type == KV_F16    ? kv_to_f16(u[i])
               : type == KV_BF16 ? kv_to_bf16(u[i])
                                 : kv_to_fp8(u[i]);
    for (int i = 0; i < 16; i++)
        h[i] = (uint16_t)u[i], b[i] = (uint8_t)u[i];
    if (type == KV_FP8)
        memcpy(p, b, sizeof(b));
    else
        memcpy(p, h, sizeof(h));
}

/* Sixteen values from the i-th on; the i-th. */
INLINE struct v16 kv_get(const uint8_t *p, size_t i, enum kv_type type)
{
    p += i * kv_value_bytes(type);
    return type == KV_F32    ? v16_load_bytes(p)
           : type == KV_F16  ? v16_f16(p)
           : type == KV_BF16 ? v16_bf16(p)
                             : v16_fp8(p);
}

INLINE float kv_get1(const uint8_t *p, size_t i, enum kv_type type)
{
    uint16_t h;
    float x;

    p += i * kv_value_bytes(type);
    if (type == KV_FP8)
        return v16_fp8_lane(*p);
    memcpy(&h, p, sizeof(h));
    if (type == KV_F32)
        memcpy(&x, p, sizeof(x));
    else
        x = type == KV_F16 ? quant_f16(h) : num_float((uint32_t)h << 16);
    return x;
}

/* The key and the value of a position to where they lie in a page, keys PAGE values apart. */
INLINE void kv_append_of(uint8_t *key, uint8_t *value, const float *k, const float *v, int dim,
                         enum kv_type type)
{
    const size_t bytes = kv_value_bytes(type);
    float rest[16] = {0};
    uint8_t t[64];

    for (int i = 0; i < dim; i += 16) {
        int n = dim - i < 16 ? dim - i : 16;

        if (n < 16)
            k = memcpy(rest, k, (size_t)n * sizeof(*k));
        kv_put16(t, k, type);
        for (int j = 0; j < n; j++)
            memcpy(key + (size_t)(i + j) * BACKEND_PAGE * bytes, t + (size_t)j * bytes, bytes);
        if (n < 16)
            v = memcpy(rest, v, (size_t)n * sizeof(*v));
        kv_put16(t, v, type);
        memcpy(value + (size_t)i * bytes, t, (size_t)n * bytes);
        k += 16;
        v += 16;
    }
}

static void kv_append(uint8_t *key, uint8_t *value, const float *k, const float *v, int dim,
                      enum kv_type type)
{
    KV_OF(type, kv_append_of, key, value, k, v, dim);
}

/* x[at .. at + n) = the values of the same numbers, whole vectors of them. */
INLINE void kv_floats(float *x, const uint8_t *p, int at, int n, enum kv_type type)
{
    for (int i = at; i < at + n; i += 16)
        v16_store(x + i, kv_get(p, (size_t)i, type));
}

#endif
