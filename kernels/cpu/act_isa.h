/* act_isa.h - activations into int8. Included by isa_*.c.
 *
 * d = max|x| / 127 of a block, q = x * (127 / max|x|) to the nearest, ties to
 * even. A block whose largest value is below 1e-30 is all zeros. Where tokens are computed in
 * groups, all of a group are quantized together: a token is a lane then, of four bytes. */
#ifndef ACT_ISA_H
#define ACT_ISA_H

#include "vec.h"

#define ACT_LEAST 1e-30f

/* Where the values of a group from column `col` on go. */
struct act_at {
    int8_t *q;
    float *d;
    int16_t *s16, *s32;
};

static struct act_at act_at(const struct cpu_act *a, int cols, int first, int of, int col)
{
    size_t t = (size_t)first, n = (size_t)of, c = (size_t)col, width = (size_t)cols;
    size_t block = (size_t)a->block;

    return (struct act_at){a->q + t * width + c * n, a->d + t * (width / block) + c / block * n,
                           a->s16 + t * (width / 16) + c / 16 * n,
                           a->s32 + t * ((width / 32 + 1) / 2 * 2) + c / 32 * n};
}

#if defined(__AVX2__)
#if defined(__AVX512F__)
enum { ACT_TOKENS = 8 }; // their sums and what they share: 32 registers
#else
enum { ACT_TOKENS = 4 };
#endif

/* Each token's largest magnitude in a block of n tokens; NaN is none. */
INLINE __m256 act_tops(const float *x, size_t cols, int block, int n)
{
    __m256 t[8];

    UNROLL
    for (int k = 0; k < 8; k++) {
        struct v16 top = v16_set(0.0f);

        for (int i = 0; k < n && i < block; i += 16) {
            struct v16 v = v16_load(x + (size_t)k * cols + i);

            top = v16_max(v16_max(v, v16_sub(v16_set(0.0f), v)), top);
        }
        t[k] = v16_max_half(top);
    }
    UNROLL
    for (int k = 0; k < 4; k++)
        t[k] = _mm256_max_ps(_mm256_unpacklo_ps(t[2 * k], t[2 * k + 1]),
                             _mm256_unpackhi_ps(t[2 * k], t[2 * k + 1]));
    UNROLL
    for (int k = 0; k < 2; k++) {
        __m256d a = _mm256_castps_pd(t[2 * k]), b = _mm256_castps_pd(t[2 * k + 1]);

        t[k] = _mm256_max_ps(_mm256_castpd_ps(_mm256_unpacklo_pd(a, b)),
                             _mm256_castpd_ps(_mm256_unpackhi_pd(a, b)));
    }
    return _mm256_max_ps(_mm256_permute2f128_ps(t[0], t[1], 0x20),
                         _mm256_permute2f128_ps(t[0], t[1], 0x31));
}

/* r[u] of token k <- r[k]'s four bytes u. */
INLINE void act_turn(__m256i r[8])
{
    __m256i t[8], u[8];

    UNROLL
    for (int k = 0; k < 8; k += 2) {
        t[k] = _mm256_unpacklo_epi32(r[k], r[k + 1]);
        t[k + 1] = _mm256_unpackhi_epi32(r[k], r[k + 1]);
    }
    UNROLL
    for (int k = 0; k < 8; k += 4)
        UNROLL
    for (int i = 0; i < 2; i++) {
        u[k + 2 * i] = _mm256_unpacklo_epi64(t[k + i], t[k + i + 2]);
        u[k + 2 * i + 1] = _mm256_unpackhi_epi64(t[k + i], t[k + i + 2]);
    }
    UNROLL
    for (int i = 0; i < 4; i++) {
        r[i] = _mm256_permute2x128_si256(u[i], u[i + 4], 0x20);
        r[i + 4] = _mm256_permute2x128_si256(u[i], u[i + 4], 0x31);
    }
}

/* The first n lanes. */
INLINE void act_put(void *to, __m256i v, int n)
{
    if (n == 8) {
        _mm256_storeu_si256(to, v);
    } else if (n == 4) {
        _mm_storeu_si128(to, _mm256_castsi256_si128(v));
    } else {
#if defined(__AVX512F__)
        _mm256_mask_storeu_epi32(to, (__mmask8)((1 << n) - 1), v);
#else
        int32_t t[8];

        _mm256_storeu_si256((__m256i *)t, v);
        memcpy(to, t, (size_t)n * sizeof(*t));
#endif
    }
}

/* Sums of four bytes of each token, four times. */
INLINE __m256i act_sums(const __m256i r[4])
{
    const __m256i one = _mm256_set1_epi8(1);
    __m256i s = _mm256_maddubs_epi16(one, r[0]);

    UNROLL
    for (int u = 1; u < 4; u++)
        s = _mm256_add_epi16(s, _mm256_maddubs_epi16(one, r[u]));
    return _mm256_madd_epi16(s, _mm256_set1_epi16(1));
}

/* Two int16 of each token. */
INLINE __m256i act_pair(__m256i low, __m256i high)
{
    return _mm256_blend_epi16(low, _mm256_slli_epi32(high, 16), 0xaa);
}

/* Columns [begin, end) of n tokens; n is a constant. */
INLINE void act_tokens(struct act_at to, const float *x, size_t cols, int block, int begin, int end,
                       int n)
{
    const __m256 least = _mm256_set1_ps(ACT_LEAST), all = _mm256_set1_ps(127.0f);
    __m256i even = _mm256_setzero_si256();

    for (int i = begin; i < end; i += block, to.d += n) {
        __m256 top = act_tops(x + i, cols, block, n), is = _mm256_cmp_ps(top, least, _CMP_GE_OQ);
        float scale[8];

        act_put(to.d, _mm256_castps_si256(_mm256_and_ps(is, _mm256_div_ps(top, all))), n);
        _mm256_storeu_ps(scale, _mm256_and_ps(is, _mm256_div_ps(all, top)));
        for (int j = i; j < i + block; j += QUANT_32, to.q += 32 * n, to.s16 += 2 * n) {
            const struct v16 round = v16_set(NUM_ROUND);
            __m256i r[8], s[2], sum;

            UNROLL
            for (int k = 0; k < 8; k++) {
                const float *p = x + (size_t)(k < n ? k : 0) * cols + j;
                struct v16 by = v16_set(scale[k < n ? k : 0]);

                if (k < n)
                    r[k] = _mm256_set_m128i(v16_low(v16_add(v16_mul(v16_load(p + 16), by), round)),
                                            v16_low(v16_add(v16_mul(v16_load(p), by), round)));
                else
                    r[k] = _mm256_setzero_si256();
            }
            if (n == 1)
                _mm256_storeu_si256((__m256i *)to.q, r[0]);
            act_turn(r);
            UNROLL
            for (int u = 0; n > 1 && u < 8; u++)
                act_put(to.q + 4 * n * u, r[u], n);
            s[0] = act_sums(r);
            s[1] = act_sums(r + 4);
            act_put(to.s16, act_pair(s[0], s[1]), n);
            sum = _mm256_add_epi32(s[0], s[1]);
            if (j / QUANT_32 % 2 == 0) {
                even = sum;
                if (j + QUANT_32 < end)
                    continue;
                sum = _mm256_setzero_si256();
            }
            act_put(to.s32, act_pair(even, sum), n);
            to.s32 += 2 * n;
        }
    }
}

static void act_quantize(const struct cpu_act *a, const float *x, int cols, int first, int of,
                         int begin, int end)
{
    struct act_at to = act_at(a, cols, first, of, begin);

    x += (size_t)first * (size_t)cols;
    switch (of) {
#define ACT_OF(n)                                                 \
    case n:                                                       \
        act_tokens(to, x, (size_t)cols, a->block, begin, end, n); \
        break
        ACT_OF(1);
        ACT_OF(2);
        ACT_OF(3);
        ACT_OF(4);
#if defined(__AVX512F__)
        ACT_OF(5);
        ACT_OF(6);
        ACT_OF(7);
        ACT_OF(8);
#endif
#undef ACT_OF
    }
}

#else
enum { ACT_TOKENS = 1 };

/* Scale and q of one block. */
static float act_block(const float *x, int block, int8_t *q)
{
    struct v16 top = v16_set(0.0f), scale;
    float max;

    for (int i = 0; i < block; i += 16) {
        struct v16 v = v16_load(x + i);

        top = v16_max(v16_max(v, v16_sub(v16_set(0.0f), v)), top);
    }
    max = v16_max_lane(top);
    scale = v16_set(max >= ACT_LEAST ? 127.0f / max : 0.0f);
    for (int i = 0; i < block; i += 16)
        v16_low_bytes(q + i, v16_add(v16_mul(v16_load(x + i), scale), v16_set(NUM_ROUND)));
    return max >= ACT_LEAST ? max / 127.0f : 0.0f;
}

static int16_t act_sum(const int8_t *q, int n)
{
    int sum = 0;

    for (int i = 0; i < n; i++)
        sum += q[i];
    return (int16_t)sum;
}

/* A group is one token. */
static void act_quantize(const struct cpu_act *a, const float *x, int cols, int first, int of,
                         int begin, int end)
{
    struct act_at to = act_at(a, cols, first, of, begin);

    x += (size_t)first * (size_t)cols;
    for (int i = begin; i < end; i += a->block)
        *to.d++ = act_block(x + i, a->block, to.q + (i - begin));
    for (int i = 0; i < end - begin; i += QUANT_32, to.q += QUANT_32) {
        *to.s16++ = act_sum(to.q, 16);
        *to.s16++ = act_sum(to.q + 16, 16);
        *to.s32++ = act_sum(to.q, QUANT_32);
    }
}
#endif

#endif
