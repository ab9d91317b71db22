/* vec.h - sixteen floats, in the instruction set that the file is compiled for.
 *
 * The kernels are written once over struct v16. Every function here has one
 * result for its sixteen lanes whatever the instruction set, so every kernel has. */
#ifndef VEC_H
#define VEC_H

#include "cpu.h"
#include "num.h"
#include "quant.h"

#include <string.h>

/* What must end up in one loop over registers: inlined whole, and loops of
 * constant length unrolled. Not in builds that check every access, where it
 * would only multiply the checks. */
#if defined(__has_feature)
#define CHECKED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CHECKED 1
#else
#define CHECKED 0
#endif
#if CHECKED
#if defined(__AVX2__)
#define INLINE static inline
#else
#define INLINE static __attribute__((noinline, unused))
#endif
#define UNROLL
#else
#define INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
#endif

#if defined(__AVX512F__)
#include <immintrin.h>

struct v16 {
    __m512 v;
};

INLINE struct v16 v16_set(float x)
{
    return (struct v16){_mm512_set1_ps(x)};
}

INLINE struct v16 v16_load(const float *p)
{
    return (struct v16){_mm512_loadu_ps(p)};
}

INLINE void v16_store(float *p, struct v16 a)
{
    _mm512_storeu_ps(p, a.v);
}

INLINE struct v16 v16_add(struct v16 a, struct v16 b)
{
    return (struct v16){_mm512_add_ps(a.v, b.v)};
}

INLINE struct v16 v16_sub(struct v16 a, struct v16 b)
{
    return (struct v16){_mm512_sub_ps(a.v, b.v)};
}

INLINE struct v16 v16_mul(struct v16 a, struct v16 b)
{
    return (struct v16){_mm512_mul_ps(a.v, b.v)};
}

INLINE struct v16 v16_div(struct v16 a, struct v16 b)
{
    return (struct v16){_mm512_div_ps(a.v, b.v)};
}

/* a * b + c, rounded once. */
INLINE struct v16 v16_fma(struct v16 a, struct v16 b, struct v16 c)
{
    return (struct v16){_mm512_fmadd_ps(a.v, b.v, c.v)};
}

/* a > b ? a : b, so b where one of them is NaN. v16_min: a < b ? a : b. */
INLINE struct v16 v16_max(struct v16 a, struct v16 b)
{
    return (struct v16){_mm512_max_ps(a.v, b.v)};
}

INLINE struct v16 v16_min(struct v16 a, struct v16 b)
{
    return (struct v16){_mm512_min_ps(a.v, b.v)};
}

INLINE struct v16 v16_halves(__m256i h)
{
    return (struct v16){_mm512_cvtph_ps(h)};
}

INLINE struct v16 v16_bf16(const void *p)
{
    __m512i u = _mm512_cvtepu16_epi32(_mm256_loadu_si256(p));

    return (struct v16){_mm512_castsi512_ps(_mm512_slli_epi32(u, 16))};
}

/* 2^k for the integer k that v16_exp's addition of NUM_ROUND left in t, in two factors. */
INLINE struct v16 v16_scale(struct v16 p, struct v16 t)
{
    const __m512i bias = _mm512_set1_epi32(127);
    __m512i k = _mm512_sub_epi32(_mm512_castps_si512(t.v), _mm512_set1_epi32(0x4b400000));
    __m512i half = _mm512_srai_epi32(k, 1), rest = _mm512_sub_epi32(k, half);

    half = _mm512_slli_epi32(_mm512_add_epi32(half, bias), 23);
    rest = _mm512_slli_epi32(_mm512_add_epi32(rest, bias), 23);
    p.v = _mm512_mul_ps(p.v, _mm512_castsi512_ps(half));
    return (struct v16){_mm512_mul_ps(p.v, _mm512_castsi512_ps(rest))};
}

INLINE float v16_sum(struct v16 a)
{
    __m256 t = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(t), _mm256_extractf128_ps(t, 1));

    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}

/* The lowest byte of each lane's bits. */
INLINE __m128i v16_low(struct v16 a)
{
    return _mm512_cvtepi32_epi8(_mm512_castps_si512(a.v));
}

INLINE __m256 v16_max_half(struct v16 a)
{
    return _mm256_max_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
}

#elif defined(__AVX2__)
#include <immintrin.h>

struct v16 {
    __m256 v, w; // lanes 0..7 and 8..15
};

INLINE struct v16 v16_set(float x)
{
    return (struct v16){_mm256_set1_ps(x), _mm256_set1_ps(x)};
}

INLINE struct v16 v16_load(const float *p)
{
    return (struct v16){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}

INLINE void v16_store(float *p, struct v16 a)
{
    _mm256_storeu_ps(p, a.v);
    _mm256_storeu_ps(p + 8, a.w);
}

INLINE struct v16 v16_add(struct v16 a, struct v16 b)
{
    return (struct v16){_mm256_add_ps(a.v, b.v), _mm256_add_ps(a.w, b.w)};
}

INLINE struct v16 v16_sub(struct v16 a, struct v16 b)
{
    return (struct v16){_mm256_sub_ps(a.v, b.v), _mm256_sub_ps(a.w, b.w)};
}

INLINE struct v16 v16_mul(struct v16 a, struct v16 b)
{
    return (struct v16){_mm256_mul_ps(a.v, b.v), _mm256_mul_ps(a.w, b.w)};
}

INLINE struct v16 v16_div(struct v16 a, struct v16 b)
{
    return (struct v16){_mm256_div_ps(a.v, b.v), _mm256_div_ps(a.w, b.w)};
}

INLINE struct v16 v16_fma(struct v16 a, struct v16 b, struct v16 c)
{
    return (struct v16){_mm256_fmadd_ps(a.v, b.v, c.v), _mm256_fmadd_ps(a.w, b.w, c.w)};
}

INLINE struct v16 v16_max(struct v16 a, struct v16 b)
{
    return (struct v16){_mm256_max_ps(a.v, b.v), _mm256_max_ps(a.w, b.w)};
}

INLINE struct v16 v16_min(struct v16 a, struct v16 b)
{
    return (struct v16){_mm256_min_ps(a.v, b.v), _mm256_min_ps(a.w, b.w)};
}

INLINE struct v16 v16_halves(__m256i h)
{
    return (struct v16){_mm256_cvtph_ps(_mm256_castsi256_si128(h)),
                        _mm256_cvtph_ps(_mm256_extracti128_si256(h, 1))};
}

INLINE __m256 v16_bf16_half(const __m128i *h)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(h)), 16));
}

INLINE struct v16 v16_bf16(const void *p)
{
    const __m128i *h = p;

    return (struct v16){v16_bf16_half(h), v16_bf16_half(h + 1)};
}

INLINE __m256 v16_scale_half(__m256 p, __m256 t)
{
    const __m256i bias = _mm256_set1_epi32(127);
    __m256i k = _mm256_sub_epi32(_mm256_castps_si256(t), _mm256_set1_epi32(0x4b400000));
    __m256i half = _mm256_srai_epi32(k, 1), rest = _mm256_sub_epi32(k, half);

    half = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23);
    rest = _mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23);
    p = _mm256_mul_ps(p, _mm256_castsi256_ps(half));
    return _mm256_mul_ps(p, _mm256_castsi256_ps(rest));
}

INLINE struct v16 v16_scale(struct v16 p, struct v16 t)
{
    return (struct v16){v16_scale_half(p.v, t.v), v16_scale_half(p.w, t.w)};
}

INLINE float v16_sum(struct v16 a)
{
    __m256 t = _mm256_add_ps(a.v, a.w);
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(t), _mm256_extractf128_ps(t, 1));

    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}

/* The lowest byte of each lane's bits. */
INLINE __m128i v16_low(struct v16 a)
{
    const __m256i low = _mm256_set1_epi32(255);
    __m256i v = _mm256_and_si256(_mm256_castps_si256(a.v), low);
    __m256i w = _mm256_and_si256(_mm256_castps_si256(a.w), low);

    v = _mm256_permute4x64_epi64(_mm256_packus_epi32(v, w), 0xd8);
    return _mm_packus_epi16(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
}

INLINE __m256 v16_max_half(struct v16 a)
{
    return _mm256_max_ps(a.v, a.w);
}

#else /* scalar C: what the others must equal */

struct v16 {
    float x[16];
};

/* Set x[i] of the result r to an expression of lane i. */
#define V16_LANES(expression)    \
    struct v16 r;                \
    for (int i = 0; i < 16; i++) \
        r.x[i] = (expression);   \
    return r

INLINE struct v16 v16_set(float x)
{
    V16_LANES(x);
}

INLINE struct v16 v16_load(const float *p)
{
    V16_LANES(p[i]);
}

INLINE void v16_store(float *p, struct v16 a)
{
    memcpy(p, a.x, sizeof(a.x));
}

INLINE struct v16 v16_add(struct v16 a, struct v16 b)
{
    V16_LANES(a.x[i] + b.x[i]);
}

INLINE struct v16 v16_sub(struct v16 a, struct v16 b)
{
    V16_LANES(a.x[i] - b.x[i]);
}

INLINE struct v16 v16_mul(struct v16 a, struct v16 b)
{
    V16_LANES(a.x[i] * b.x[i]);
}

INLINE struct v16 v16_div(struct v16 a, struct v16 b)
{
    V16_LANES(a.x[i] / b.x[i]);
}

INLINE struct v16 v16_fma(struct v16 a, struct v16 b, struct v16 c)
{
    V16_LANES(fmaf(a.x[i], b.x[i], c.x[i]));
}

INLINE struct v16 v16_max(struct v16 a, struct v16 b)
{
    V16_LANES(a.x[i] > b.x[i] ? a.x[i] : b.x[i]);
}

INLINE struct v16 v16_min(struct v16 a, struct v16 b)
{
    V16_LANES(a.x[i] < b.x[i] ? a.x[i] : b.x[i]);
}

INLINE struct v16 v16_bf16(const void *p)
{
    uint16_t h[16];

    memcpy(h, p, sizeof(h));
    V16_LANES(num_float((uint32_t)h[i] << 16));
}

INLINE float v16_scale_lane(float p, float t)
{
    int32_t k = (int32_t)(num_bits(t) - num_bits(NUM_ROUND));
    int32_t half = (int32_t)((uint32_t)k & 0xfffffffeu) / 2;

    p *= num_float((uint32_t)(half + 127) << 23);
    return p * num_float((uint32_t)(k - half + 127) << 23);
}

INLINE struct v16 v16_scale(struct v16 p, struct v16 t)
{
    V16_LANES(v16_scale_lane(p.x[i], t.x[i]));
}

INLINE float v16_sum(struct v16 a)
{
    float t[8];

    for (int i = 0; i < 8; i++)
        t[i] = a.x[i] + a.x[i + 8];
    for (int i = 0; i < 4; i++)
        t[i] = t[i] + t[i + 4];
    return (t[0] + t[2]) + (t[1] + t[3]);
}

/* The lowest byte of each lane's bits. */
INLINE void v16_low_bytes(int8_t *p, struct v16 a)
{
    for (int i = 0; i < 16; i++)
        p[i] = (int8_t)(uint8_t)num_bits(a.x[i]);
}

#endif

INLINE struct v16 v16_f16(const void *p)
{
#if defined(__AVX2__)
    return v16_halves(_mm256_loadu_si256(p));
#else
    uint16_t h[16];

    memcpy(h, p, sizeof(h));
    V16_LANES(quant_f16(h[i]));
#endif
}

/* E4M3: the bits of an F16 256 times smaller, moved; 0x7f is NaN. */
INLINE float v16_fp8_lane(uint8_t b)
{
    int h = (b & 0x7f) << 7 | (b & 0x80) << 8 | ((b & 0x7f) == 0x7f ? 0x7c00 : 0);

    return quant_f16((uint16_t)h) * 256.0f;
}

INLINE struct v16 v16_fp8(const void *p)
{
#if defined(__AVX2__)
    const __m256i top = _mm256_set1_epi16(0x3f80);
    __m256i b = _mm256_slli_epi16(_mm256_cvtepi8_epi16(_mm_loadu_si128(p)), 7);
    __m256i h = _mm256_and_si256(b, top);
    __m256i nan = _mm256_and_si256(_mm256_cmpeq_epi16(h, top), _mm256_set1_epi16(0x7c00));

    h = _mm256_or_si256(_mm256_or_si256(h, nan),
                        _mm256_and_si256(b, _mm256_set1_epi16((short)0x8000)));
    return v16_mul(v16_halves(h), v16_set(256.0f));
#else
    const uint8_t *b = p;

    V16_LANES(v16_fp8_lane(b[i]));
#endif
}

/* Sixteen floats that may stand at any byte. */
INLINE struct v16 v16_load_bytes(const void *p)
{
#if defined(__AVX2__)
    return v16_load(p);
#else
    float t[16];

    memcpy(t, p, sizeof(t));
    return v16_load(t);
#endif
}

/* The first n lanes from p, zero beyond; and back. */
INLINE struct v16 v16_load_n(const float *p, int n)
{
    float t[16] = {0};

    memcpy(t, p, (size_t)n * sizeof(*t));
    return v16_load(t);
}

INLINE void v16_store_n(float *p, struct v16 a, int n)
{
    float t[16];

    v16_store(t, a);
    memcpy(p, t, (size_t)n * sizeof(*t));
}

/* Largest lane: v16_max over the same pairs as v16_sum's additions. */
INLINE float v16_max_lane(struct v16 a)
{
#if defined(__AVX2__)
    __m256 h = v16_max_half(a);
    __m128 q = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));

    q = _mm_max_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_max_ss(q, _mm_movehdup_ps(q)));
#else
    for (int n = 8; n; n /= 2)
        for (int i = 0; i < n; i++)
            a.x[i] = a.x[i] > a.x[i + n] ? a.x[i] : a.x[i + n];
    return a.x[0];
#endif
}

/* num_exp, lane by lane. */
INLINE struct v16 v16_exp(struct v16 x)
{
    struct v16 t, n, r, p;

    x = v16_min(v16_set(NUM_EXP_MAX), x);
    x = v16_max(v16_set(NUM_EXP_MIN), x);
    t = v16_fma(x, v16_set(NUM_LOG2E), v16_set(NUM_ROUND));
    n = v16_sub(t, v16_set(NUM_ROUND));
    r = v16_fma(n, v16_set(-NUM_LN2_HI), x);
    r = v16_fma(n, v16_set(-NUM_LN2_LO), r);
    p = v16_fma(v16_set(NUM_EXP_C6), r, v16_set(NUM_EXP_C5));
    p = v16_fma(p, r, v16_set(NUM_EXP_C4));
    p = v16_fma(p, r, v16_set(NUM_EXP_C3));
    p = v16_fma(p, r, v16_set(NUM_EXP_C2));
    p = v16_add(v16_fma(v16_mul(p, r), r, r), v16_set(1.0f));
    return v16_scale(p, t);
}

/* num_tanh, lane by lane. */
INLINE struct v16 v16_tanh(struct v16 x)
{
    struct v16 t, n, r, p, scale;

    x = v16_min(v16_set(NUM_TANH_MAX), x);
    x = v16_max(v16_set(-NUM_TANH_MAX), x);
    x = v16_add(x, x);
    t = v16_fma(x, v16_set(NUM_LOG2E), v16_set(NUM_ROUND));
    n = v16_sub(t, v16_set(NUM_ROUND));
    r = v16_fma(n, v16_set(-NUM_LN2_HI), x);
    r = v16_fma(n, v16_set(-NUM_LN2_LO), r);
    p = v16_fma(v16_set(NUM_EXP_C6), r, v16_set(NUM_EXP_C5));
    p = v16_fma(p, r, v16_set(NUM_EXP_C4));
    p = v16_fma(p, r, v16_set(NUM_EXP_C3));
    p = v16_fma(p, r, v16_set(NUM_EXP_C2));
    p = v16_fma(v16_mul(p, r), r, r);
    scale = v16_scale(v16_set(1.0f), t);
    p = v16_fma(p, scale, v16_sub(scale, v16_set(1.0f)));
    return v16_div(p, v16_add(p, v16_set(2.0f)));
}

#endif
