/* dot_rows_isa.h - 8 quantized rows with one token, AVX2. Included by dot_isa.h.
 *
 * Rows are lanes: each row's products of a block stay in eight int32 of their
 * own register, a tree of horizontal additions leaves one sum a lane, and one
 * fma does the float step of eight rows. Weights come straight from the file. */
#ifndef DOT_ROWS_ISA_H
#define DOT_ROWS_ISA_H

#include "quant_isa.h"

INLINE __m256i rows_load(const void *p)
{
    return _mm256_loadu_si256(p);
}

/* Lane r = the sum of the eight lanes of p[r]. */
INLINE __m256i rows_sums(const __m256i p[8])
{
    __m256i a = _mm256_hadd_epi32(_mm256_hadd_epi32(p[0], p[1]), _mm256_hadd_epi32(p[2], p[3]));
    __m256i b = _mm256_hadd_epi32(_mm256_hadd_epi32(p[4], p[5]), _mm256_hadd_epi32(p[6], p[7]));

    return _mm256_add_epi32(_mm256_permute2x128_si256(a, b, 0x20),
                            _mm256_permute2x128_si256(a, b, 0x31));
}

/* The half floats at offset `at` of eight blocks, as floats. */
INLINE __m256 rows_halves(const uint8_t *const p[8], int at)
{
    uint16_t h[8];

    for (int r = 0; r < 8; r++)
        memcpy(&h[r], p[r] + at, sizeof(h[r]));
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)h));
}

/* Sums of four products of unsigned w and signed x. |w| <= 63 unless VNNI is there. */
INLINE __m256i rows_dot(__m256i w, __m256i x)
{
#if defined(__AVX512VNNI__)
    return _mm256_dpbusd_epi32(_mm256_setzero_si256(), w, x);
#else
    return _mm256_madd_epi16(_mm256_maddubs_epi16(w, x), _mm256_set1_epi16(1));
#endif
}

/* Pairs of products of signed w and signed x. */
INLINE __m256i rows_pairs(__m256i w, __m256i x)
{
    return _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
}

/* 32 nibbles of 16 bytes: low ones first. */
INLINE __m256i rows_nibbles(const uint8_t *p)
{
    __m128i q = _mm_loadu_si128((const __m128i *)p);
    __m256i both = _mm256_set_m128i(_mm_srli_epi16(q, 4), q);

    return _mm256_and_si256(both, _mm256_set1_epi8(15));
}

/* 16 in each byte whose bit of the 32 at p is set. */
INLINE __m256i rows_fifth(const uint8_t *p)
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

/* What an unsigned weight of the type is above its value, and the bytes of a block. */
INLINE int rows_zero(enum tensor_type t)
{
#if defined(__AVX512VNNI__)
    if (t == T_Q8_0)
        return 128;
#endif
    return t == T_Q4_0 ? 8 : t == T_Q5_0 ? 16 : 0;
}

/* A block's products with x, as eight partial sums. */
INLINE __m256i rows_block_32(enum tensor_type t, const uint8_t *p, __m256i x)
{
    switch ((int)t) {
    case T_Q8_0:
#if defined(__AVX512VNNI__)
        return rows_dot(_mm256_xor_si256(rows_load(p + 2), _mm256_set1_epi8(-128)), x);
#else
        return _mm256_madd_epi16(rows_pairs(rows_load(p + 2), x), _mm256_set1_epi16(1));
#endif
    case T_Q4_0:
        return rows_dot(rows_nibbles(p + 2), x);
    case T_Q4_1:
        return rows_dot(rows_nibbles(p + 4), x);
    case T_Q5_0:
        return rows_dot(_mm256_or_si256(rows_nibbles(p + 6), rows_fifth(p + 2)), x);
    default:
        return rows_dot(_mm256_or_si256(rows_nibbles(p + 8), rows_fifth(p + 4)), x);
    }
}

INLINE __m256 rows_32(enum tensor_type t, const uint8_t *row[8], struct dot_token x, int cols)
{
    const size_t bytes = quant_bytes(t);
    const int zero = rows_zero(t);
    __m256 acc = _mm256_setzero_ps();

    for (int b = 0; b < cols / QUANT_32; b++) {
        __m256i q = rows_load(x.q + (size_t)b * QUANT_32), p[8], sum;
        __m256 d = _mm256_set1_ps(x.d[b]);

        UNROLL
        for (int r = 0; r < 8; r++)
            p[r] = rows_block_32(t, row[r], q);
        sum = rows_sums(p);
        if (zero)
            sum = _mm256_sub_epi32(sum, _mm256_set1_epi32(zero * x.s[b]));
        acc = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), _mm256_mul_ps(rows_halves(row, 0), d), acc);
        if (dot_kind(t) & DOT_MIN)
            acc = _mm256_fmadd_ps(_mm256_set1_ps((float)x.s[b]),
                                  _mm256_mul_ps(rows_halves(row, 2), d), acc);
        UNROLL
        for (int r = 0; r < 8; r++)
            row[r] += bytes;
    }
    return acc;
}

/* Q4_K, Q5_K: eight partial sums of scale * product; min gets four of min * sum of x. */
INLINE __m256i rows_block_45k(bool five, const uint8_t *p, const int8_t *x, __m128i sums,
                              __m128i *min)
{
    const __m256i low = _mm256_set1_epi8(15), one = _mm256_set1_epi8(1);
    const uint8_t *q = five ? p + 48 : p + 16;
    __m256i high = five ? rows_load(p + 16) : low, all = _mm256_setzero_si256();
    int16_t scale[8], mins[8];

    quant_scales(p + 4, scale, mins);
    *min = _mm_madd_epi16(_mm_loadu_si128((const __m128i *)mins), sums);
    UNROLL
    for (int j = 0; j < 4; j++) {
        __m256i w = rows_load(q + j * 32), a = _mm256_and_si256(w, low);
        __m256i b = _mm256_and_si256(_mm256_srli_epi16(w, 4), low);

        if (five) {
            __m256i h = _mm256_srli_epi16(high, 2 * j);

            a = _mm256_or_si256(a, _mm256_slli_epi16(_mm256_and_si256(h, one), 4));
            h = _mm256_and_si256(_mm256_srli_epi16(h, 1), one);
            b = _mm256_or_si256(b, _mm256_slli_epi16(h, 4));
        }
        a = _mm256_maddubs_epi16(a, rows_load(x + j * 64));
        b = _mm256_maddubs_epi16(b, rows_load(x + j * 64 + 32));
        a = _mm256_madd_epi16(a, _mm256_set1_epi16(scale[2 * j]));
        b = _mm256_madd_epi16(b, _mm256_set1_epi16(scale[2 * j + 1]));
        all = _mm256_add_epi32(all, _mm256_add_epi32(a, b));
    }
    return all;
}

INLINE __m256i rows_block_6k(const uint8_t *p, const int8_t *x)
{
    const __m256i low = _mm256_set1_epi8(15), two = _mm256_set1_epi8(3);
    const __m256i zero = _mm256_set1_epi8(32);
    const int8_t *scale = (const int8_t *)p + 192;
    __m256i all = _mm256_setzero_si256();

    UNROLL
    for (int j = 0; j < 8; j++) { // 32 values: quarter j % 4 of half j / 4
        __m256i l = rows_load(p + j / 4 * 64 + j % 2 * 32), h = rows_load(p + 128 + j / 4 * 32);
        __m256i w, s;

        l = _mm256_and_si256(j % 4 < 2 ? l : _mm256_srli_epi16(l, 4), low);
        h = _mm256_and_si256(_mm256_srli_epi16(h, j % 4 * 2), two);
        w = _mm256_sub_epi8(_mm256_or_si256(l, _mm256_slli_epi16(h, 4)), zero);
        s = _mm256_set_m128i(_mm_set1_epi16(scale[2 * j + 1]), _mm_set1_epi16(scale[2 * j]));
        w = _mm256_madd_epi16(rows_pairs(w, rows_load(x + j * 32)), s);
        all = _mm256_add_epi32(all, w);
    }
    return all;
}

INLINE __m256 rows_k(enum tensor_type t, const uint8_t *row[8], struct dot_token x, int cols)
{
    const size_t bytes = quant_bytes(t);
    const int at = t == T_Q6_K ? 208 : 0;
    __m256 acc = _mm256_setzero_ps();

    for (int b = 0; b < cols / QUANT_K; b++) {
        const int8_t *q = x.q + (size_t)b * QUANT_K;
        __m256i p[8], s = rows_load(x.s + (size_t)b * 8);
        /* sums of 32 activations fit in 16 bits */
        __m128i sums = _mm_packs_epi32(_mm256_castsi256_si128(s), _mm256_extracti128_si256(s, 1));
        __m128i min[8];
        __m256 d = _mm256_set1_ps(x.d[b]);

        for (int r = 0; r < 8; r++)
            p[r] = t == T_Q6_K ? rows_block_6k(row[r], q)
                               : rows_block_45k(t == T_Q5_K, row[r], q, sums, &min[r]);
        acc = _mm256_fmadd_ps(_mm256_cvtepi32_ps(rows_sums(p)),
                              _mm256_mul_ps(rows_halves(row, at), d), acc);
        if (dot_kind(t) & DOT_MIN) {
            __m256 m = _mm256_sub_ps(_mm256_set1_ps(-0.0f), rows_halves(row, 2));

            for (int r = 0; r < 8; r++)
                p[r] = _mm256_set_m128i(_mm_setzero_si128(), min[r]);
            acc = _mm256_fmadd_ps(_mm256_cvtepi32_ps(rows_sums(p)), _mm256_mul_ps(m, d), acc);
        }
        UNROLL
        for (int r = 0; r < 8; r++)
            row[r] += bytes;
    }
    return acc;
}

INLINE void rows_all(const struct cpu_linear *l, enum tensor_type t, int begin, int end)
{
    for (int row = begin; row < end; row += 8)
        for (int k = 0; k < l->n; k++) {
            const uint8_t *p[8];
            float y[8];

            for (int r = 0; r < 8; r++) // past the end, the last row again
                p[r] = l->w + (size_t)(row + r < end ? row + r : end - 1) * l->row_bytes;
            _mm256_storeu_ps(y, t >= T_Q4_K ? rows_k(t, p, dot_token(l, k), l->cols)
                                            : rows_32(t, p, dot_token(l, k), l->cols));
            for (int r = 0; r < 8 && row + r < end; r++)
                dot_put(l, row + r, k, y[r]);
        }
}

static void dot_rows(const struct cpu_linear *l, int begin, int end)
{
    switch ((int)l->type) {
    case T_Q8_0:
        rows_all(l, T_Q8_0, begin, end);
        break;
    case T_Q4_0:
        rows_all(l, T_Q4_0, begin, end);
        break;
    case T_Q4_1:
        rows_all(l, T_Q4_1, begin, end);
        break;
    case T_Q5_0:
        rows_all(l, T_Q5_0, begin, end);
        break;
    case T_Q5_1:
        rows_all(l, T_Q5_1, begin, end);
        break;
    case T_Q4_K:
        rows_all(l, T_Q4_K, begin, end);
        break;
    case T_Q5_K:
        rows_all(l, T_Q5_K, begin, end);
        break;
    default:
        rows_all(l, T_Q6_K, begin, end);
        break;
    }
}

#endif
