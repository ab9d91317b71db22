/* lanes_isa.h - sixteen rows of weights in sixteen lanes, AVX2 and AVX-512. Included by
 * panel_isa.h.
 *
 * A lane is an int32, two int16 or four bytes, as the function says. Row r of a
 * panel is lane r. */
#ifndef LANES_ISA_H
#define LANES_ISA_H

#include "vec.h"

/* Whether products of unsigned and signed bytes are summed in one instruction. */
#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)
enum { LANES_VNNI = 1 };
#else
enum { LANES_VNNI = 0 };
#endif

typedef int32_t lanes_int __attribute__((aligned(1), may_alias)); // at any byte
typedef int16_t lanes_short __attribute__((aligned(1), may_alias));

/* C's operators on vectors: shifts by a constant become one instruction. */
#if defined(__AVX512F__)
typedef uint32_t lanes_u32 __attribute__((vector_size(64), may_alias));
typedef int32_t lanes_i32 __attribute__((vector_size(64), may_alias));
typedef uint8_t lanes_u8 __attribute__((vector_size(64), may_alias));

struct n16 {
    lanes_u32 v;
};

#define LANES_OP(name, type, op)                                  \
    INLINE struct n16 n16_##name(struct n16 a, struct n16 b)      \
    {                                                             \
        return (struct n16){(lanes_u32)((type)a.v op(type) b.v)}; \
    }
#define LANES_SHIFT(name, type, op)                       \
    INLINE struct n16 n16_##name(struct n16 a, int k)     \
    {                                                     \
        return (struct n16){(lanes_u32)((type)a.v op k)}; \
    }
#else
typedef uint32_t lanes_u32 __attribute__((vector_size(32), may_alias));
typedef int32_t lanes_i32 __attribute__((vector_size(32), may_alias));
typedef uint8_t lanes_u8 __attribute__((vector_size(32), may_alias));

struct n16 {
    lanes_u32 v, w; // lanes 0..7 and 8..15
};

#define LANES_OP(name, type, op)                                  \
    INLINE struct n16 n16_##name(struct n16 a, struct n16 b)      \
    {                                                             \
        return (struct n16){(lanes_u32)((type)a.v op(type) b.v),  \
                            (lanes_u32)((type)a.w op(type) b.w)}; \
    }
#define LANES_SHIFT(name, type, op)                                                    \
    INLINE struct n16 n16_##name(struct n16 a, int k)                                  \
    {                                                                                  \
        return (struct n16){(lanes_u32)((type)a.v op k), (lanes_u32)((type)a.w op k)}; \
    }
#endif

LANES_OP(add, lanes_u32, +)
LANES_OP(sub, lanes_u32, -)
LANES_OP(sub_bytes, lanes_u8, -)
LANES_OP(mul, lanes_u32, *)
LANES_OP(and, lanes_u32, &)
LANES_OP(or, lanes_u32, |)
LANES_OP(xor, lanes_u32, ^)
LANES_OP(equal, lanes_u32, ==) // all ones or zero
LANES_OP(less, lanes_i32, <)
LANES_SHIFT(shl, lanes_u32, <<)
LANES_SHIFT(shr, lanes_u32, >>)
LANES_SHIFT(sra, lanes_i32, >>)

/* Panels are walked by two bases and four strides, which is all that x86's
 * addresses need to name sixteen rows. */
struct rows {
    const uint8_t *low, *high; // rows 0 and 8
    size_t s, s3, s5, s7;      // row_bytes times 1, 3, 5, 7
};

/* Compilers that know how the strides relate keep sixteen pointers, and spill them. */
#define ROWS_FORGET(r) __asm__("" : "+r"((r)->low), "+r"((r)->high))

INLINE struct rows rows_at(const uint8_t *p, size_t row_bytes)
{
    struct rows r = {p, p + 8 * row_bytes, row_bytes, 3 * row_bytes, 5 * row_bytes, 7 * row_bytes};

    __asm__("" : "+r"(r.s3), "+r"(r.s5), "+r"(r.s7));
    return r;
}

INLINE void rows_next(struct rows *r, size_t bytes)
{
    r->low += bytes;
    r->high += bytes;
}

INLINE const uint8_t *rows_row(const struct rows *r, int i)
{
    const uint8_t *p = i < 8 ? r->low : r->high;

    switch (i % 8) {
    case 0:
        return p;
    case 1:
        return p + r->s;
    case 2:
        return p + 2 * r->s;
    case 3:
        return p + r->s3;
    case 4:
        return p + 4 * r->s;
    case 5:
        return p + r->s5;
    case 6:
        return p + 2 * r->s3;
    default:
        return p + r->s7;
    }
}

/* Sixteen bytes of rows i and i + 4. */
INLINE __m256i rows_load(const struct rows *r, int i, int at)
{
    const __m128i *a = (const __m128i *)(rows_row(r, i) + at);
    const __m128i *b = (const __m128i *)(rows_row(r, i + 4) + at);

    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(a)), _mm_loadu_si128(b),
                                   1);
}

/* An int16 of rows i .. i + 7; and an int32 of rows i .. i + 3. */
INLINE __m128i rows_shorts(const struct rows *r, int i, int at)
{
    __m128i v = _mm_cvtsi32_si128(*(const lanes_short *)(rows_row(r, i) + at));

#define ROWS_PUT(k) v = _mm_insert_epi16(v, *(const lanes_short *)(rows_row(r, i + (k)) + at), (k))
    ROWS_PUT(1);
    ROWS_PUT(2);
    ROWS_PUT(3);
    ROWS_PUT(4);
    ROWS_PUT(5);
    ROWS_PUT(6);
    ROWS_PUT(7);
#undef ROWS_PUT
    return v;
}

/* The byte or the int16 at byte `at` of the rows, one after the other. */
INLINE void rows_bytes(const struct rows *r, int at, uint8_t *to)
{
    UNROLL
    for (int i = 0; i < 16; i++)
        to[i] = rows_row(r, i)[at];
}

INLINE void rows_halves(const struct rows *r, int at, uint8_t *to)
{
    _mm_storeu_si128((__m128i *)to, rows_shorts(r, 0, at));
    _mm_storeu_si128((__m128i *)to + 1, rows_shorts(r, 8, at));
}

INLINE __m128i rows_ints(const struct rows *r, int i, int at)
{
    __m128i v = _mm_cvtsi32_si128(*(const lanes_int *)(rows_row(r, i) + at));

    v = _mm_insert_epi32(v, *(const lanes_int *)(rows_row(r, i + 1) + at), 1);
    v = _mm_insert_epi32(v, *(const lanes_int *)(rows_row(r, i + 2) + at), 2);
    return _mm_insert_epi32(v, *(const lanes_int *)(rows_row(r, i + 3) + at), 3);
}

#if defined(__AVX512F__)
#define LANES_512(x) ((struct n16){(lanes_u32)(x)})
#define LANES_V(a)   ((__m512i)(a).v)

INLINE struct n16 n16_set(int32_t x)
{
    return LANES_512(_mm512_set1_epi32(x));
}

INLINE struct n16 n16_load(const void *p)
{
    return LANES_512(_mm512_loadu_si512(p));
}

INLINE void n16_store(void *p, struct n16 a)
{
    _mm512_storeu_si512(p, LANES_V(a));
}

/* The same sixteen bytes for four lanes, four times. */
INLINE struct n16 n16_quad(const void *p)
{
    return LANES_512(_mm512_broadcast_i32x4(_mm_loadu_si128(p)));
}

/* Byte i of the result is byte a[i] of the quad's sixteen, or zero from 128 on. */
INLINE struct n16 n16_pick(struct n16 quad, struct n16 a)
{
    return LANES_512(_mm512_shuffle_epi8(LANES_V(quad), LANES_V(a)));
}

/* Shift int16 right with their sign. */
INLINE struct n16 n16_sra_16(struct n16 a, int k)
{
    typedef int16_t shorts __attribute__((vector_size(64), may_alias));

    return (struct n16){(lanes_u32)((shorts)a.v >> k)};
}

INLINE struct v16 n16_float(struct n16 a)
{
    return (struct v16){_mm512_cvtepi32_ps(LANES_V(a))};
}

INLINE struct v16 n16_as_float(struct n16 a)
{
    return (struct v16){(__m512)a.v};
}

/* The low int16 of a lane as a half float. */
INLINE struct v16 n16_half(struct n16 a)
{
    return (struct v16){_mm512_cvtph_ps(_mm512_cvtepi32_epi16(LANES_V(a)))};
}

/* Sixteen bytes, one a lane. */
INLINE struct n16 n16_bytes(const uint8_t *p)
{
    return LANES_512(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p)));
}

/* The int32 at byte `at` of the rows. */
INLINE struct n16 rows_words(const struct rows *r, int at)
{
    __m256i low = _mm256_set_m128i(rows_ints(r, 4, at), rows_ints(r, 0, at));
    __m256i high = _mm256_set_m128i(rows_ints(r, 12, at), rows_ints(r, 8, at));

    return LANES_512(_mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1));
}

/* Sixteen bytes of the rows from byte `at` on: c[j] = their j-th four. Pairs of
 * rows are joined in 256 bits, where that is cheapest, then transposed. */
INLINE void rows_columns(const struct rows *r, int at, struct n16 c[4])
{
    __m512i a[4], t[4];

    UNROLL
    for (int i = 0; i < 4; i++)
        a[i] = _mm512_inserti64x4(_mm512_castsi256_si512(rows_load(r, i, at)),
                                  rows_load(r, i + 8, at), 1);
    t[0] = _mm512_unpacklo_epi32(a[0], a[1]);
    t[1] = _mm512_unpackhi_epi32(a[0], a[1]);
    t[2] = _mm512_unpacklo_epi32(a[2], a[3]);
    t[3] = _mm512_unpackhi_epi32(a[2], a[3]);
    c[0] = LANES_512(_mm512_unpacklo_epi64(t[0], t[2]));
    c[1] = LANES_512(_mm512_unpackhi_epi64(t[0], t[2]));
    c[2] = LANES_512(_mm512_unpacklo_epi64(t[1], t[3]));
    c[3] = LANES_512(_mm512_unpackhi_epi64(t[1], t[3]));
}

/* sum + the products of four weights w of each row with the four activations at
 * x. w is unsigned, below 64 unless VNNI is there; with `wide` it is signed. */
INLINE struct n16 n16_dot(struct n16 sum, struct n16 w, const int8_t *x, bool wide)
{
    __m512i b = _mm512_set1_epi32(*(const lanes_int *)x);
#if defined(__AVX512VNNI__)
    (void)wide;
    return LANES_512(_mm512_dpbusd_epi32(LANES_V(sum), LANES_V(w), b));
#else
    __m512i a = LANES_V(w);

    if (wide) {
        b = _mm512_mask_sub_epi8(b, _mm512_movepi8_mask(a), _mm512_setzero_si512(), b);
        a = _mm512_abs_epi8(a);
    }
    a = _mm512_madd_epi16(_mm512_maddubs_epi16(a, b), _mm512_set1_epi16(1));
    return LANES_512(_mm512_add_epi32(LANES_V(sum), a));
#endif
}

/* sum + the products of the two int16 of w with the two at x. */
INLINE struct n16 n16_dot_16(struct n16 sum, struct n16 w, const int16_t *x)
{
    __m512i b = _mm512_set1_epi32(*(const lanes_int *)x);

    return LANES_512(_mm512_add_epi32(LANES_V(sum), _mm512_madd_epi16(LANES_V(w), b)));
}

#else
#define LANES_256(x, y) ((struct n16){(lanes_u32)(x), (lanes_u32)(y)})
#define LANES_V(a)      ((__m256i)(a).v)
#define LANES_W(a)      ((__m256i)(a).w)

INLINE struct n16 n16_set(int32_t x)
{
    return LANES_256(_mm256_set1_epi32(x), _mm256_set1_epi32(x));
}

INLINE struct n16 n16_load(const void *p)
{
    const __m256i *q = p;

    return LANES_256(_mm256_loadu_si256(q), _mm256_loadu_si256(q + 1));
}

INLINE void n16_store(void *p, struct n16 a)
{
    __m256i *q = p;

    _mm256_storeu_si256(q, LANES_V(a));
    _mm256_storeu_si256(q + 1, LANES_W(a));
}

INLINE struct n16 n16_quad(const void *p)
{
    __m256i v = _mm256_broadcastsi128_si256(_mm_loadu_si128(p));

    return LANES_256(v, v);
}

INLINE struct n16 n16_pick(struct n16 quad, struct n16 a)
{
    return LANES_256(_mm256_shuffle_epi8(LANES_V(quad), LANES_V(a)),
                     _mm256_shuffle_epi8(LANES_W(quad), LANES_W(a)));
}

INLINE struct n16 n16_sra_16(struct n16 a, int k)
{
    typedef int16_t shorts __attribute__((vector_size(32), may_alias));

    return LANES_256((shorts)a.v >> k, (shorts)a.w >> k);
}

INLINE struct v16 n16_float(struct n16 a)
{
    return (struct v16){_mm256_cvtepi32_ps(LANES_V(a)), _mm256_cvtepi32_ps(LANES_W(a))};
}

INLINE struct v16 n16_as_float(struct n16 a)
{
    return (struct v16){(__m256)a.v, (__m256)a.w};
}

INLINE struct v16 n16_half(struct n16 a)
{
    const struct n16 low = n16_set(0xffff);
    struct n16 b = n16_and(a, low);
    /* halves of v and w side by side in each 128 bits, then in order */
    __m256i h = _mm256_packus_epi32(LANES_V(b), LANES_W(b));

    h = _mm256_permute4x64_epi64(h, 0xd8);
    return (struct v16){_mm256_cvtph_ps(_mm256_castsi256_si128(h)),
                        _mm256_cvtph_ps(_mm256_extracti128_si256(h, 1))};
}

INLINE struct n16 n16_bytes(const uint8_t *p)
{
    const __m128i v = _mm_loadu_si128((const __m128i *)p);

    return LANES_256(_mm256_cvtepu8_epi32(v), _mm256_cvtepu8_epi32(_mm_srli_si128(v, 8)));
}

INLINE struct n16 rows_words(const struct rows *r, int at)
{
    return LANES_256(_mm256_set_m128i(rows_ints(r, 4, at), rows_ints(r, 0, at)),
                     _mm256_set_m128i(rows_ints(r, 12, at), rows_ints(r, 8, at)));
}

/* Four columns of rows i .. i + 7. */
INLINE void rows_columns_8(const struct rows *r, int i, int at, __m256i c[4])
{
    __m256i a[4], t[4];

    UNROLL
    for (int k = 0; k < 4; k++)
        a[k] = rows_load(r, i + k, at);
    t[0] = _mm256_unpacklo_epi32(a[0], a[1]);
    t[1] = _mm256_unpackhi_epi32(a[0], a[1]);
    t[2] = _mm256_unpacklo_epi32(a[2], a[3]);
    t[3] = _mm256_unpackhi_epi32(a[2], a[3]);
    c[0] = _mm256_unpacklo_epi64(t[0], t[2]);
    c[1] = _mm256_unpackhi_epi64(t[0], t[2]);
    c[2] = _mm256_unpacklo_epi64(t[1], t[3]);
    c[3] = _mm256_unpackhi_epi64(t[1], t[3]);
}

INLINE void rows_columns(const struct rows *r, int at, struct n16 c[4])
{
    __m256i v[4], w[4];

    rows_columns_8(r, 0, at, v);
    rows_columns_8(r, 8, at, w);
    UNROLL
    for (int j = 0; j < 4; j++)
        c[j] = LANES_256(v[j], w[j]);
}

INLINE __m256i lanes_dot(__m256i sum, __m256i w, __m256i x, bool wide)
{
#if defined(__AVXVNNI__)
    (void)wide;
    return _mm256_dpbusd_avx_epi32(sum, w, x);
#else
    if (wide) {
        x = _mm256_sign_epi8(x, w);
        w = _mm256_abs_epi8(w);
    }
    w = _mm256_madd_epi16(_mm256_maddubs_epi16(w, x), _mm256_set1_epi16(1));
    return _mm256_add_epi32(sum, w);
#endif
}

INLINE struct n16 n16_dot(struct n16 sum, struct n16 w, const int8_t *x, bool wide)
{
    __m256i b = _mm256_set1_epi32(*(const lanes_int *)x);

    return LANES_256(lanes_dot(LANES_V(sum), LANES_V(w), b, wide),
                     lanes_dot(LANES_W(sum), LANES_W(w), b, wide));
}

INLINE struct n16 n16_dot_16(struct n16 sum, struct n16 w, const int16_t *x)
{
    __m256i b = _mm256_set1_epi32(*(const lanes_int *)x);

    return LANES_256(_mm256_add_epi32(LANES_V(sum), _mm256_madd_epi16(LANES_V(w), b)),
                     _mm256_add_epi32(LANES_W(sum), _mm256_madd_epi16(LANES_W(w), b)));
}
#endif

/* Bytes 0 and 1 (high: 2 and 3) of a lane, signed, as two int16. */
INLINE struct n16 n16_pair(struct n16 a, bool high)
{
    static const uint32_t at[2][4] = {{0x01800080, 0x05800480, 0x09800880, 0x0d800c80},
                                      {0x03800280, 0x07800680, 0x0b800a80, 0x0f800e80}};

    return n16_sra_16(n16_pick(a, n16_quad(at[high])), 8);
}

/* Byte k of a lane, signed. */
INLINE struct n16 n16_byte(struct n16 a, int k)
{
    return n16_sra(n16_shl(a, 24 - 8 * k), 24);
}

/* Four bits of each lane, from bit k on, as bytes of 0 or `one` (a power of two). */
INLINE struct n16 n16_spread(struct n16 a, int k, int one)
{
    a = n16_and(n16_shr(a, k), n16_set(15));
    return n16_and(n16_mul(a, n16_set(0x00204081 * one)), n16_set(0x01010101 * one));
}

#endif
