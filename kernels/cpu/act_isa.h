/* act_isa.h - activations into int8. Included by isa_*.c.
 *
 * d = max|x| / 127 of a block, q = x * (127 / max|x|) to the nearest, ties to
 * even. A block whose largest value is below 1e-30 is all zeros. */
#ifndef ACT_ISA_H
#define ACT_ISA_H

#include "vec.h"

/* Scale and q of one block. */
INLINE float act_block(const float *x, int block, int8_t q[QUANT_K])
{
    struct v16 top = v16_set(0.0f), scale;
    float max;

    for (int i = 0; i < block; i += 16) {
        struct v16 v = v16_load(x + i);

        top = v16_max(v16_max(v, v16_sub(v16_set(0.0f), v)), top);
    }
    max = v16_max_lane(top);
    scale = v16_set(max >= 1e-30f ? 127.0f / max : 0.0f);
    for (int i = 0; i < block; i += 16)
        v16_low_bytes(q + i, v16_add(v16_mul(v16_load(x + i), scale), v16_set(NUM_ROUND)));
    return max >= 1e-30f ? max / 127.0f : 0.0f;
}

/* Sums of two times 16 values. */
INLINE void act_sums(const int8_t *q, int16_t s[2])
{
#if defined(__AVX2__)
    __m256i v = _mm256_loadu_si256((const __m256i *)q), zero = _mm256_setzero_si256();
    __m256i t = _mm256_sad_epu8(_mm256_xor_si256(v, _mm256_set1_epi8(-128)), zero);
    __m128i a = _mm256_castsi256_si128(t), b = _mm256_extracti128_si256(t, 1);

    s[0] = (int16_t)(_mm_cvtsi128_si32(a) + _mm_extract_epi16(a, 4) - 16 * 128);
    s[1] = (int16_t)(_mm_cvtsi128_si32(b) + _mm_extract_epi16(b, 4) - 16 * 128);
#else
    for (int k = 0; k < 2; k++, q += 16) {
        int sum = 0;

        for (int i = 0; i < 16; i++)
            sum += q[i];
        s[k] = (int16_t)sum;
    }
#endif
}

static void act_quantize(struct cpu_act *a, const float *x, int n, int cols, int token)
{
    int first, of = cpu_act_group(n, token, a->group, &first), k = token - first;
    size_t t = (size_t)first, width = (size_t)cols;
    int8_t *to = a->q + t * width, q[QUANT_K];
    float *d = a->d + t * (width / (size_t)a->block) + k;
    int16_t *s16 = a->s16 + t * (width / 16) + 2 * k, s[2];
    int16_t *s32 = a->s32 + t * ((width / 32 + 1) / 2 * 2) + 2 * k;

    x += (size_t)token * width;
    for (int i = 0; i < cols; i += a->block) {
        *d = act_block(x + i, a->block, q);
        d += of;
        for (int j = 0; j < a->block; j += QUANT_32) {
            int group = (i + j) / QUANT_32;

            act_sums(q + j, s);
            memcpy(s16 + (size_t)group * 2 * (size_t)of, s, sizeof(s));
            s32[(size_t)(group / 2) * 2 * (size_t)of + (size_t)(group % 2)] =
                (int16_t)(s[0] + s[1]);
        }
        for (int j = 0; j < a->block; j += 4)
            memcpy(to + ((size_t)(i + j) * (size_t)of + (size_t)(4 * k)), q + j, 4);
    }
}

#endif
