/* dot_tile_isa.h - quantized rows with tiles of 16 tokens. Included by dot_isa.h.
 *
 * Tokens are lanes: a vector holds four neighbouring values of each of 16
 * tokens, and four weights of a row are broadcast against it, so no sum is ever
 * taken across lanes. A panel of rows is unpacked once and used by all tiles. */
#ifndef DOT_TILE_ISA_H
#define DOT_TILE_ISA_H

#include "quant_isa.h"

/* Sixteen int32, a token each. */
#if defined(__AVX512F__)
enum { DOT_TILE_ROWS = 4 };

struct n16 {
    __m512i v;
};

INLINE struct n16 n16_set(int32_t x)
{
    return (struct n16){_mm512_set1_epi32(x)};
}

INLINE struct n16 n16_load(const void *p)
{
    return (struct n16){_mm512_loadu_si512(p)};
}

/* a + b * c */
INLINE struct n16 n16_muladd(struct n16 a, struct n16 b, int32_t c)
{
    return (struct n16){_mm512_add_epi32(a.v, _mm512_mullo_epi32(b.v, _mm512_set1_epi32(c)))};
}

INLINE struct v16 n16_float(struct n16 a)
{
    return (struct v16){_mm512_cvtepi32_ps(a.v)};
}

/* sum + the dots of four values x of each token with the four weights at w. With
 * VNNI x is stored plus 128, and sum began at -128 times the sum of the weights. */
INLINE struct n16 n16_dot(struct n16 sum, struct n16 x, const int8_t *w)
{
    int32_t four;
    __m512i b;

    memcpy(&four, w, sizeof(four));
    b = _mm512_set1_epi32(four);
#if defined(__AVX512VNNI__)
    return (struct n16){_mm512_dpbusd_epi32(sum.v, x.v, b)};
#else
    __m512i a = _mm512_mask_sub_epi8(x.v, _mm512_movepi8_mask(b), _mm512_setzero_si512(), x.v);

    a = _mm512_madd_epi16(_mm512_maddubs_epi16(_mm512_abs_epi8(b), a), _mm512_set1_epi16(1));
    return (struct n16){_mm512_add_epi32(sum.v, a)};
#endif
}

#else
enum { DOT_TILE_ROWS = 2 };

struct n16 {
    __m256i v, w;
};

INLINE struct n16 n16_set(int32_t x)
{
    return (struct n16){_mm256_set1_epi32(x), _mm256_set1_epi32(x)};
}

INLINE struct n16 n16_load(const void *p)
{
    const __m256i *q = p;

    return (struct n16){_mm256_loadu_si256(q), _mm256_loadu_si256(q + 1)};
}

INLINE struct n16 n16_muladd(struct n16 a, struct n16 b, int32_t c)
{
    __m256i k = _mm256_set1_epi32(c);

    return (struct n16){_mm256_add_epi32(a.v, _mm256_mullo_epi32(b.v, k)),
                        _mm256_add_epi32(a.w, _mm256_mullo_epi32(b.w, k))};
}

INLINE struct v16 n16_float(struct n16 a)
{
    return (struct v16){_mm256_cvtepi32_ps(a.v), _mm256_cvtepi32_ps(a.w)};
}

INLINE __m256i n16_dot_half(__m256i sum, __m256i x, __m256i w)
{
    __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));

    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

INLINE struct n16 n16_dot(struct n16 sum, struct n16 x, const int8_t *w)
{
    int32_t four;
    __m256i b;

    memcpy(&four, w, sizeof(four));
    b = _mm256_set1_epi32(four);
    return (struct n16){n16_dot_half(sum.v, x.v, b), n16_dot_half(sum.w, x.w, b)};
}
#endif

/* A tile's activations. */
struct dot_tile {
    const int8_t *q;  // (cols / 4, 16, 4)
    const float *d;   // (cols / block, 16)
    const int32_t *s; // (cols / 32, 16)
};

INLINE void dot_tile_32(const struct quant_row *r, const struct dot_tile *x, int b, int kind,
                        int n_rows, struct v16 *acc)
{
    struct v16 d = v16_load(x->d + (size_t)b * 16);
    struct n16 sum[DOT_TILE_ROWS];

    UNROLL
    for (int k = 0; k < n_rows; k++)
        sum[k] = n16_set(r[k].start[b]);
    UNROLL
    for (int g = 0; g < QUANT_32; g += 4) {
        struct n16 a = n16_load(x->q + ((size_t)b * QUANT_32 + (size_t)g) * 16);

        UNROLL
        for (int k = 0; k < n_rows; k++)
            sum[k] = n16_dot(sum[k], a, r[k].q + (size_t)b * QUANT_32 + g);
    }
    UNROLL
    for (int k = 0; k < n_rows; k++)
        acc[k] = v16_fma(n16_float(sum[k]), v16_mul(v16_set(r[k].d[b]), d), acc[k]);
    if (kind & DOT_MIN) {
        struct v16 s = n16_float(n16_load(x->s + (size_t)b * 16));

        UNROLL
        for (int k = 0; k < n_rows; k++)
            acc[k] = v16_fma(s, v16_mul(v16_set(r[k].m[b]), d), acc[k]);
    }
}

INLINE void dot_tile_k(const struct quant_row *r, const struct dot_tile *x, int b, int kind,
                       int n_rows, struct v16 *acc)
{
    const int group = kind & DOT_16 ? 16 : QUANT_32;
    struct v16 d = v16_load(x->d + (size_t)b * 16);
    struct n16 all[DOT_TILE_ROWS], min[DOT_TILE_ROWS], sum[DOT_TILE_ROWS];

    UNROLL
    for (int k = 0; k < n_rows; k++)
        all[k] = min[k] = n16_set(0);
    for (int i = b * QUANT_K; i < (b + 1) * QUANT_K; i += group) {
        UNROLL
        for (int k = 0; k < n_rows; k++)
            sum[k] = n16_set(r[k].start[i / group]);
        UNROLL
        for (int g = 0; g < group; g += 4) {
            struct n16 a = n16_load(x->q + (size_t)(i + g) * 16);

            UNROLL
            for (int k = 0; k < n_rows; k++)
                sum[k] = n16_dot(sum[k], a, r[k].q + i + g);
        }
        UNROLL
        for (int k = 0; k < n_rows; k++) {
            all[k] = n16_muladd(all[k], sum[k], r[k].scale[i / group]);
            if (kind & DOT_MIN)
                min[k] = n16_muladd(min[k], n16_load(x->s + (size_t)(i / QUANT_32) * 16),
                                    r[k].min[i / QUANT_32]);
        }
    }
    UNROLL
    for (int k = 0; k < n_rows; k++) {
        acc[k] = v16_fma(n16_float(all[k]), v16_mul(v16_set(r[k].d[b]), d), acc[k]);
        if (kind & DOT_MIN)
            acc[k] = v16_fma(n16_float(min[k]), v16_mul(v16_set(r[k].m[b]), d), acc[k]);
    }
}

/* n_rows unpacked rows, the first of which is `row`, with tile t. */
INLINE void dot_tile(const struct cpu_linear *l, const struct quant_row *r, int row, int t,
                     int kind, int n_rows)
{
    const int block = kind & DOT_K ? QUANT_K : QUANT_32;
    size_t at = (size_t)t * 16 * (size_t)l->cols;
    struct dot_tile x = {l->act.q + at, l->act.d + at / (size_t)block, l->act.s + at / QUANT_32};
    struct v16 acc[DOT_TILE_ROWS];
    float y[16];

    UNROLL
    for (int k = 0; k < n_rows; k++)
        acc[k] = v16_set(0.0f);
    for (int b = 0; b < l->cols / block; b++) {
        if (kind & DOT_K)
            dot_tile_k(r, &x, b, kind, n_rows, acc);
        else
            dot_tile_32(r, &x, b, kind, n_rows, acc);
    }
    for (int k = 0; k < n_rows; k++) {
        v16_store(y, acc[k]);
        for (int i = 0; i < 16 && t * 16 + i < l->n; i++)
            dot_put(l, row + k, t * 16 + i, y[i]);
    }
}

INLINE void dot_panel(const struct cpu_linear *l, const struct quant_row *r, int row, int n_rows,
                      int kind)
{
    for (int t = 0; t * 16 < l->n; t++) {
        int k = 0;

        for (; k + DOT_TILE_ROWS <= n_rows; k += DOT_TILE_ROWS)
            dot_tile(l, r + k, row + k, t, kind, DOT_TILE_ROWS);
        for (; k < n_rows; k++)
            dot_tile(l, r + k, row + k, t, kind, 1);
    }
}

static void dot_tiles(const struct cpu_linear *l, int begin, int end, uint8_t *scratch)
{
    struct quant_row r[CPU_PANEL_ROWS];

    for (int k = 0; k < CPU_PANEL_ROWS; k++)
        scratch = quant_place(&r[k], scratch, l->cols);
    for (int row = begin; row < end; row += CPU_PANEL_ROWS) {
        int n = end - row < CPU_PANEL_ROWS ? end - row : CPU_PANEL_ROWS;

        for (int k = 0; k < n; k++)
            quant_unpack(l->type, l->w + (size_t)(row + k) * l->row_bytes, l->cols, &r[k]);
        switch (dot_kind(l->type)) {
        case 0:
            dot_panel(l, r, row, n, 0);
            break;
        case DOT_MIN:
            dot_panel(l, r, row, n, DOT_MIN);
            break;
        case DOT_MIN | DOT_K:
            dot_panel(l, r, row, n, DOT_MIN | DOT_K);
            break;
        default:
            dot_panel(l, r, row, n, DOT_K | DOT_16);
            break;
        }
    }
}

#endif
