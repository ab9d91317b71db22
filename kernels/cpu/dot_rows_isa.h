/* dot_rows_isa.h - 8 quantized rows with one token, AVX2. Included by dot_isa.h.
 *
 * Rows are lanes: each row's products of a block stay in eight int32 of their
 * own register, a tree of horizontal additions leaves one sum a lane, and one
 * fma does the float step of eight rows. Weights come straight from the file. */
#ifndef DOT_ROWS_ISA_H
#define DOT_ROWS_ISA_H

#include "quant_isa.h"

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
    short v[8];

    UNROLL
    for (int r = 0; r < 8; r++)
        memcpy(&v[r], p[r] + at, sizeof(v[r]));
    return _mm256_cvtph_ps(_mm_setr_epi16(v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7]));
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

/* A block's products with x, as eight partial sums, rows_zero * sum(x) too high. */
INLINE __m256i rows_block_32(enum tensor_type t, const uint8_t *p, __m256i x)
{
    __m256i w = quant_values_32(t, p);

    if (t != T_Q8_0)
        return rows_dot(w, x);
#if defined(__AVX512VNNI__)
    return rows_dot(_mm256_xor_si256(w, _mm256_set1_epi8(-128)), x);
#else
    return _mm256_madd_epi16(rows_pairs(w, x), _mm256_set1_epi16(1));
#endif
}

INLINE int rows_zero(enum tensor_type t)
{
#if defined(__AVX512VNNI__)
    if (t == T_Q8_0)
        return 128;
#endif
    return quant_zero(t);
}

/* Blocks of the rows 8 further on, which the hardware does not see coming: rows
 * are short streams. */
INLINE void rows_ahead(const uint8_t *const row[8], size_t row_bytes, size_t bytes)
{
    UNROLL
    for (int r = 0; r < 8; r++)
        for (size_t i = 0; i < bytes; i += 64)
            _mm_prefetch((const char *)row[r] + 8 * row_bytes + i, _MM_HINT_T1);
}

INLINE __m256 rows_32(enum tensor_type t, const uint8_t *row[8], struct dot_token x, int cols,
                      size_t row_bytes)
{
    const size_t bytes = quant_bytes(t);
    const int zero = rows_zero(t);
    __m256 acc = _mm256_setzero_ps();

    for (int b = 0; b < cols / QUANT_32; b++) {
        __m256i q = quant_load(x.q + (size_t)b * QUANT_32), p[8], sum;
        __m256 d = _mm256_set1_ps(x.d[b]);

        rows_ahead(row, row_bytes, bytes);
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

/* The 6-bit scales and minimums of Q4_K and Q5_K, a byte each. */
INLINE void rows_scales(const uint8_t *p, uint64_t *scale, uint64_t *min)
{
    const uint32_t six = 0x3f3f3f3f, four = 0x0f0f0f0f, two = 0x03030303;
    uint32_t u[3];

    memcpy(u, p, sizeof(u));
    *scale = (uint64_t)((u[2] & four) | (u[0] >> 6 & two) << 4) << 32 | (u[0] & six);
    *min = (uint64_t)((u[2] >> 4 & four) | (u[1] >> 6 & two) << 4) << 32 | (u[1] & six);
}

/* Q4_K, Q5_K: eight partial sums of scale * product; min gets four of min * sum of x. */
INLINE __m256i rows_block_45k(bool five, const uint8_t *p, const int8_t *x, __m128i sums,
                              __m128i *min)
{
    __m256i all = _mm256_setzero_si256(), a, b;
    uint64_t scale, mins;

    rows_scales(p + 4, &scale, &mins);
    *min = _mm_madd_epi16(_mm_cvtepu8_epi16(_mm_cvtsi64_si128((long long)mins)), sums);
    UNROLL
    for (int j = 0; j < 4; j++) {
        short s0 = (short)(scale >> (16 * j) & 255), s1 = (short)(scale >> (16 * j + 8) & 255);

        quant_values_45k(five, p, j, &a, &b);
        a = _mm256_maddubs_epi16(a, quant_load(x + j * 64));
        b = _mm256_maddubs_epi16(b, quant_load(x + j * 64 + 32));
        a = _mm256_madd_epi16(a, _mm256_set1_epi16(s0));
        b = _mm256_madd_epi16(b, _mm256_set1_epi16(s1));
        all = _mm256_add_epi32(all, _mm256_add_epi32(a, b));
    }
    return all;
}

INLINE __m256i rows_block_6k(const uint8_t *p, const int8_t *x)
{
    const int8_t *scale = (const int8_t *)p + 192;
    __m256i all = _mm256_setzero_si256();

    UNROLL
    for (int j = 0; j < 8; j++) {
        __m256i s =
            _mm256_set_m128i(_mm_set1_epi16(scale[2 * j + 1]), _mm_set1_epi16(scale[2 * j]));
        __m256i w = rows_pairs(quant_values_6k(p, j), quant_load(x + j * 32));

        all = _mm256_add_epi32(all, _mm256_madd_epi16(w, s));
    }
    return all;
}

INLINE __m256 rows_k(enum tensor_type t, const uint8_t *row[8], struct dot_token x, int cols,
                     size_t row_bytes)
{
    const size_t bytes = quant_bytes(t);
    const int at = t == T_Q6_K ? 208 : 0;
    __m256 acc = _mm256_setzero_ps();

    for (int b = 0; b < cols / QUANT_K; b++) {
        const int8_t *q = x.q + (size_t)b * QUANT_K;
        __m256i p[8], s = quant_load(x.s + (size_t)b * 8);
        /* sums of 32 activations fit in 16 bits */
        __m128i sums = _mm_packs_epi32(_mm256_castsi256_si128(s), _mm256_extracti128_si256(s, 1));
        __m128i min[8];
        __m256 d = _mm256_set1_ps(x.d[b]);

        rows_ahead(row, row_bytes, bytes);
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
            if (t >= T_Q4_K)
                _mm256_storeu_ps(y, rows_k(t, p, dot_token(l, k), l->cols, l->row_bytes));
            else
                _mm256_storeu_ps(y, rows_32(t, p, dot_token(l, k), l->cols, l->row_bytes));
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
