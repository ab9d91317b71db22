/* values.h - what the types of the cache's values mean, by the words of their definitions. */
#ifndef VALUES_H
#define VALUES_H

#include "backend.h"
#include "quant.h"

#include <math.h>
#include <string.h>

/* The value of an E4M3; all but its NaN. */
static inline float values_e4m3(int b)
{
    int e = b >> 3 & 15;
    float x = e ? ldexpf(1.0f + (float)(b & 7) / 8.0f, e - 7) : ldexpf((float)(b & 7), -9);

    return b & 128 ? -x : x;
}

/* The nearest of them, of two the even one; at most 448. */
static inline int values_to_e4m3(float x)
{
    float a = fabsf(x) < 448.0f ? fabsf(x) : 448.0f;
    int e, b;

    frexpf(a, &e);
    e = a == 0.0f || e - 1 < -6 ? -6 : e - 1;
    b = (int)rintf(ldexpf(a, 3 - e)) + (e + 6) * 8;
    return signbit(x) ? b | 128 : b;
}

static inline void values_pack(uint8_t *to, const float *x, size_t n, enum kv_type type)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t h = type == KV_F16 ? quant_to_f16(x[i]) : quant_to_bf16(x[i]);

        if (type == KV_F32)
            memcpy(to + 4 * i, x + i, 4);
        else if (type == KV_FP8)
            to[i] = (uint8_t)values_to_e4m3(x[i]);
        else
            memcpy(to + 2 * i, &h, 2);
    }
}

static inline void values_unpack(float *x, const uint8_t *from, size_t n, enum kv_type type)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t h;

        memcpy(&h, from + (type == KV_FP8 ? i : 2 * i), type == KV_FP8 ? 1 : 2);
        if (type == KV_F32)
            memcpy(x + i, from + 4 * i, 4);
        else if (type == KV_FP8)
            x[i] = values_e4m3(from[i]);
        else
            x[i] = type == KV_F16 ? quant_f16(h) : quant_bf16(h);
    }
}

#endif
