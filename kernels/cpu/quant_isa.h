/* quant_isa.h - rows of quantized weights into int8 and scales. Included by isa_*.c. */
#ifndef QUANT_ISA_H
#define QUANT_ISA_H

#include "vec.h"

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

/* What a stored weight is above its value. */
INLINE int quant_zero(enum tensor_type t)
{
    return t == T_Q4_0 ? 8 : t == T_Q5_0 ? 16 : 0;
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

INLINE __m256i quant_load(const void *p)
{
    return _mm256_loadu_si256(p);
}

INLINE void quant_store(void *p, __m256i v)
{
    _mm256_storeu_si256(p, v);
}

/* 32 nibbles of 16 bytes: low ones first. */
INLINE __m256i quant_nibbles(const uint8_t *p)
{
    __m128i q = _mm_loadu_si128((const __m128i *)p);

    return _mm256_and_si256(_mm256_set_m128i(_mm_srli_epi16(q, 4), q), _mm256_set1_epi8(15));
}

/* 16 in each byte whose bit of the 32 at p is set. */
INLINE __m256i quant_fifth(const uint8_t *p)
{
    const __m256i byte =
        _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i bit = _mm256_set1_epi64x((long long)0x8040201008040201u);
    int32_t h;
    __m256i x;

    memcpy(&h, p, sizeof(h));
    x = _mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi32(h), byte), bit);
    return _mm256_and_si256(_mm256_cmpeq_epi8(x, bit), _mm256_set1_epi8(16));
}

/* The values of a block of 32, quant_zero above what they mean. */
INLINE __m256i quant_values_32(enum tensor_type t, const uint8_t *p)
{
    switch ((int)t) {
    case T_Q8_0:
        return quant_load(p + 2);
    case T_Q4_0:
        return quant_nibbles(p + 2);
    case T_Q4_1:
        return quant_nibbles(p + 4);
    case T_Q5_0:
        return _mm256_or_si256(quant_nibbles(p + 6), quant_fifth(p + 2));
    default:
        return _mm256_or_si256(quant_nibbles(p + 8), quant_fifth(p + 4));
    }
}

/* Groups 2j and 2j + 1 of a block of Q4_K or Q5_K. */
INLINE void quant_values_45k(bool five, const uint8_t *p, int j, __m256i *a, __m256i *b)
{
    const __m256i low = _mm256_set1_epi8(15), one = _mm256_set1_epi8(1);
    __m256i q = quant_load(p + (five ? 48 : 16) + j * 32), h;

    *a = _mm256_and_si256(q, low);
    *b = _mm256_and_si256(_mm256_srli_epi16(q, 4), low);
    if (five) {
        h = _mm256_srli_epi16(quant_load(p + 16), 2 * j);
        *a = _mm256_or_si256(*a, _mm256_slli_epi16(_mm256_and_si256(h, one), 4));
        h = _mm256_and_si256(_mm256_srli_epi16(h, 1), one);
        *b = _mm256_or_si256(*b, _mm256_slli_epi16(h, 4));
    }
}

/* 32 values of Q6_K: quarter j % 4 of half j / 4. */
INLINE __m256i quant_values_6k(const uint8_t *p, int j)
{
    __m256i l = quant_load(p + j / 4 * 64 + j % 2 * 32), h = quant_load(p + 128 + j / 4 * 32);

    l = _mm256_and_si256(j % 4 < 2 ? l : _mm256_srli_epi16(l, 4), _mm256_set1_epi8(15));
    h = _mm256_and_si256(_mm256_srli_epi16(h, j % 4 * 2), _mm256_set1_epi8(3));
    return _mm256_sub_epi8(_mm256_or_si256(l, _mm256_slli_epi16(h, 4)), _mm256_set1_epi8(32));
}

INLINE void quant_unpack_32(enum tensor_type t, const uint8_t *p, struct quant_row *r, int b)
{
    __m256i q = quant_values_32(t, p);

    r->d[b] = quant_half(p);
    if (t == T_Q4_1 || t == T_Q5_1)
        r->m[b] = quant_half(p + 2);
    q = _mm256_sub_epi8(q, _mm256_set1_epi8((char)quant_zero(t)));
    quant_store(r->q + (size_t)b * QUANT_32, q);
}

INLINE void quant_unpack_45k(bool five, const uint8_t *p, struct quant_row *r, int b)
{
    int8_t *q = r->q + (size_t)b * QUANT_K;
    __m256i lo, hi;

    r->d[b] = quant_half(p);
    r->m[b] = -quant_half(p + 2);
    quant_scales(p + 4, r->scale + b * 8, r->min + b * 8);
    UNROLL
    for (int j = 0; j < 4; j++) {
        quant_values_45k(five, p, j, &lo, &hi);
        quant_store(q + j * 64, lo);
        quant_store(q + j * 64 + 32, hi);
    }
}

INLINE void quant_unpack_6k(const uint8_t *p, struct quant_row *r, int b)
{
    for (int i = 0; i < 16; i++)
        r->scale[b * 16 + i] = (int8_t)p[192 + i];
    r->d[b] = quant_half(p + 208);
    UNROLL
    for (int j = 0; j < 8; j++)
        quant_store(r->q + (size_t)b * QUANT_K + j * 32, quant_values_6k(p, j));
}

/* Tiled activations are stored plus 128 for VNNI, which multiplies unsigned by
 * signed bytes: what that adds to a group's sum is taken off at its start. */
INLINE void quant_start(struct quant_row *r, int cols, int group)
{
#if defined(__AVX512VNNI__)
    const __m256i one = _mm256_set1_epi8(1);

    for (int i = 0; i < cols; i += QUANT_32) {
        __m256i q = quant_load(r->q + i), s = _mm256_dpbusd_epi32(_mm256_setzero_si256(), one, q);
        __m128i lo = _mm256_castsi256_si128(s), hi = _mm256_extracti128_si256(s, 1);

        if (group == 16) {
            lo = _mm_hadd_epi32(lo, hi);
            lo = _mm_hadd_epi32(lo, lo);
            r->start[i / 16] = -128 * _mm_cvtsi128_si32(lo);
            r->start[i / 16 + 1] = -128 * _mm_extract_epi32(lo, 1);
            continue;
        }
        lo = _mm_add_epi32(lo, hi);
        lo = _mm_hadd_epi32(lo, lo);
        lo = _mm_hadd_epi32(lo, lo);
        r->start[i / QUANT_32] = -128 * _mm_cvtsi128_si32(lo);
    }
#else
    memset(r->start, 0, (size_t)(cols / group) * sizeof(*r->start));
#endif
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
