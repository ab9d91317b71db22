/* dot_isa.h - y = W x with quantized weights, AVX2 and AVX-512. Included by isa_*.c.
 *
 * A panel is sixteen rows, a lane each; panel_isa.h says how it lies in memory, plain_isa.h what is
 * computed, and in which order the floats are. Up to DOT_FEW tokens take the weights from the panel
 * through registers. More share a panel that is unpacked into scratch once, block by block, and
 * stays in the second-level cache:
 *
 *   blocks of 32    w (8, 16, 4) bytes, d (16), m (16) floats; NVFP4: d twice
 *   blocks of 256   w (64, 16, 4) bytes, scales (16, 16), pairs (8, 16) int32, d (16), m (16)
 *
 * Panels lie packed in memory, or are packed into scratch just before. */
#ifndef DOT_ISA_H
#define DOT_ISA_H

#include "act_isa.h"
#include "vec.h"

enum { DOT_TOKENS = ACT_TOKENS };

static void dot_put(const struct cpu_linear *l, int row, int token, float dot)
{
    float *y = l->y + (size_t)token * (size_t)l->ldy + row;

    if (l->bias)
        dot += l->bias[row];
    *y = l->add ? *y + dot : dot;
}

#if !defined(__AVX2__)
#include "plain_isa.h"

static void dot_linear(const struct cpu_linear *l, int begin, int end, void *scratch)
{
    plain_linear(l, begin, end, scratch);
}

#else
#include "panel_isa.h"

#if defined(__AVX512F__)
enum { DOT_FEW = 4 };
#else
enum { DOT_FEW = 2 };
#endif

enum { DOT_AHEAD = 8 << 10 }; // bytes that a panel asks for before it reads them

/* Activations of a group of n tokens: see struct cpu_act. */
struct dot_x {
    const int8_t *q;
    const float *d;
    const int16_t *s16, *s32;
    const uint8_t *ahead; // of weights, to prefetch `bytes` of in each step
    size_t bytes;
};

INLINE struct dot_x dot_x(const struct cpu_linear *l, int first)
{
    const struct cpu_act *a = &l->act;
    size_t t = (size_t)first, cols = (size_t)l->cols;

    return (struct dot_x){a->q + t * cols,
                          a->d + t * (cols / (size_t)a->block),
                          a->s16 + t * (cols / 16),
                          a->s32 + t * ((cols / 32 + 1) / 2 * 2),
                          NULL,
                          0};
}

/* Ask for `bytes` at p. */
INLINE void dot_ahead(const uint8_t *p, int bytes)
{
    UNROLL
    for (int i = 0; i < (bytes + 63) / 64; i++)
        _mm_prefetch((const char *)p + 64 * i, _MM_HINT_T1);
}

INLINE void dot_x_ahead(struct dot_x *x)
{
    for (size_t i = 0; i < x->bytes; i += 64)
        _mm_prefetch((const char *)x->ahead + i, _MM_HINT_T1);
    x->ahead += x->bytes;
}

/* Sixteen rows (n_rows of them real) of one token. */
INLINE void dot_put_16(const struct cpu_linear *l, int row, int n_rows, int token, struct v16 dot)
{
    float *y = l->y + (size_t)token * (size_t)l->ldy + row;

    if (n_rows < 16) {
        float t[16];

        v16_store(t, dot);
        for (int i = 0; i < n_rows; i++)
            dot_put(l, row + i, token, t[i]);
        return;
    }
    if (l->bias)
        dot = v16_add(dot, v16_load(l->bias + row));
    v16_store(y, l->add ? v16_add(v16_load(y), dot) : dot);
}

/* ---- straight from the panel: n tokens, n a constant ---- */

/* Value and minimum of 32 values (NVFP4: 16 from value 16 * part on) into the sums. */
INLINE void dot_step_32(enum tensor_type t, const struct n16 *w, int n_w, struct v16 d,
                        struct v16 m, const int8_t *q, const int16_t *s, const float *dx, int n,
                        struct v16 *acc)
{
    const int zero = panel_zero(t);

    UNROLL
    for (int k = 0; k < n; k++) {
        struct n16 sum = n16_set(-zero * s[2 * k]);
        struct v16 scale = v16_set(dx[k]);

        UNROLL
        for (int j = 0; j < n_w; j++)
            sum = n16_dot(sum, w[j], q + (j * n + k) * 4, panel_wide(t));
        acc[k] = v16_fma(n16_float(sum), v16_mul(d, scale), acc[k]);
        if (panel_has_min(t))
            acc[k] = v16_fma(v16_set((float)s[2 * k]), v16_mul(m, scale), acc[k]);
    }
}

INLINE void dot_few_32(enum tensor_type t, struct panel p, struct dot_x x, int cols, int n,
                       const uint8_t *ahead, struct v16 *acc)
{
    const int halves = t == T_NVFP4 ? 2 : 1;

    for (int b = 0; b < cols / QUANT_32; panel_next(t, &p), ahead += 16 * panel_bytes(t)) {
        dot_ahead(ahead, 16 * panel_bytes(t));
        UNROLL
        for (int half = 0; half < halves; half++, b++) {
            const int16_t *s = x.s32 + b / 2 * 2 * n + b % 2;
            struct v16 d[2], m;
            struct n16 w[8];

            m = v16_set(0);
            panel_32(t, p, half, w);
            panel_scales(t, p, half, d, &m);
            if (t == T_NVFP4) {
                s = x.s16 + 2 * b * n;
                dot_step_32(t, w, 4, d[0], m, x.q, s, x.d, n, acc);
                dot_step_32(t, w + 4, 4, d[1], m, x.q + 16 * n, s + 1, x.d, n, acc);
            } else {
                dot_step_32(t, w, 8, d[0], m, x.q, s, x.d, n, acc);
            }
            x.q += 32 * n;
            x.d += n;
        }
    }
}

/* What is left of a block of 256 once its sums are there. */
INLINE void dot_finish_k(bool min, int n_pairs, int zero, const struct n16 *pair, struct v16 d,
                         struct v16 m, const int16_t *s, const float *dx, const struct n16 *all,
                         int n, struct v16 *acc)
{
    UNROLL
    for (int k = 0; k < n; k++) {
        struct n16 sum = all[k], other = n16_set(0);
        struct v16 scale = v16_set(dx[k]);

        UNROLL
        for (int i = 0; i < n_pairs; i++)
            other = n16_dot_16(other, pair[i], s + (i * n + k) * 2);
        if (!min)
            sum = n16_sub(sum, n16_mul(other, n16_set(zero)));
        acc[k] = v16_fma(n16_float(sum), v16_mul(d, scale), acc[k]);
        if (min)
            acc[k] = v16_fma(n16_float(other), v16_mul(m, scale), acc[k]);
    }
}

INLINE void dot_few_k(enum tensor_type t, struct panel p, struct dot_x x, int cols, int n,
                      const uint8_t *ahead, struct v16 *acc)
{
    const bool by_16 = panel_by_16(t);
    const int n_w = by_16 ? 4 : 8;

    for (int b = 0; b < cols / QUANT_K; b++, panel_next(t, &p)) {
        struct n16 all[DOT_FEW];
        struct panel_head h;

        panel_head(t, p, &h);
        for (int k = 0; k < n; k++)
            all[k] = n16_set(0);
        UNROLL
        for (int i = 0; i < 4; i++) {
            struct n16 w[16];

            dot_ahead(ahead, 4 * panel_bytes(t));
            ahead += 4 * panel_bytes(t);
            panel_k(t, p, i, w);
            UNROLL
            for (int q = 0; q < 4; q += n_w / 4) {
                const int g = panel_group(t, i, q), at = by_16 ? g : g / 2;
                struct n16 scale = n16_byte(h.scale[at / 4], at % 4);
                UNROLL
                for (int k = 0; k < n; k++) {
                    struct n16 sum = n16_set(0);

                    UNROLL
                    for (int j = 0; j < n_w; j++)
                        sum = n16_dot(sum, w[4 * q + j], x.q + ((4 * g + j) * n + k) * 4, false);
                    all[k] = n16_add(all[k], n16_mul(sum, scale));
                }
            }
        }
        dot_finish_k(panel_has_min(t), by_16 ? 8 : 4, panel_zero(t), h.pair, h.d, h.m,
                     by_16 ? x.s16 : x.s32, x.d, all, n, acc);
        x.q += QUANT_K * n;
        x.d += n;
        x.s16 += 16 * n;
        x.s32 += 8 * n;
    }
}

INLINE void dot_few(enum tensor_type t, const struct cpu_linear *l, const uint8_t *panel, int row,
                    int n_rows, int n)
{
    struct panel p = panel_first(t, panel, l->cols);
    struct v16 acc[DOT_FEW];

    for (int k = 0; k < n; k++)
        acc[k] = v16_set(0.0f);
    if (panel_block(t) == QUANT_K)
        dot_few_k(t, p, dot_x(l, 0), l->cols, n, panel + DOT_AHEAD, acc);
    else
        dot_few_32(t, p, dot_x(l, 0), l->cols, n, panel + DOT_AHEAD, acc);
    for (int k = 0; k < n; k++)
        dot_put_16(l, row, n_rows, k, acc[k]);
}

/* ---- through scratch ---- */

enum { DOT_32 = 512 + 128, DOT_K = 4096 + 1024 + 512 + 128 }; // bytes of a block there

INLINE void dot_unpack(enum tensor_type t, const uint8_t *panel, int cols, uint8_t *to)
{
    const int size = panel_block(t), scales = panel_by_16(t) ? 16 : 8;
    const int halves = size < QUANT_K ? size / QUANT_32 : 0;

    struct panel p = panel_first(t, panel, cols);

    for (int b = 0; b < cols / size; b++, panel_next(t, &p)) {
        struct v16 d[2], m = v16_set(0.0f);
        struct panel_head h;
        struct n16 w[16];

        UNROLL
        for (int half = 0; half < halves; half++, to += DOT_32) {
            panel_32(t, p, half, w);
            panel_scales(t, p, half, d, &m);
            UNROLL
            for (int j = 0; j < 8; j++)
                n16_store(to + 64 * j, w[j]);
            v16_store((float *)(to + 512), d[0]);
            v16_store((float *)(to + 576), t == T_NVFP4 ? d[1] : m);
        }
        if (size < QUANT_K)
            continue;
        UNROLL
        for (int i = 0; i < 4; i++) {
            panel_k(t, p, i, w);
            UNROLL
            for (int j = 0; j < 16; j++)
                n16_store(to + 64 * (4 * panel_group(t, i, j / 4) + j % 4), w[j]);
        }
        panel_head(t, p, &h);
        UNROLL
        for (int g = 0; g < scales; g++)
            n16_store(to + 4096 + 64 * g, n16_byte(h.scale[g / 4], g % 4));
        UNROLL
        for (int i = 0; i < scales / 2; i++)
            n16_store(to + 5120 + 64 * i, h.pair[i]);
        v16_store((float *)(to + 5632), h.d);
        v16_store((float *)(to + 5696), panel_has_min(t) ? h.m : v16_set(0.0f));
        to += DOT_K;
    }
}

/* What tells the inner loops of the types apart. */
struct dot_kind {
    bool k, by_16, min, wide;
    int zero; // what weights are above their values
};

INLINE void dot_tile_32(struct dot_kind kind, const uint8_t *p, struct dot_x x, int cols, int n,
                        struct v16 *acc)
{
    const int n_w = kind.by_16 ? 4 : 8;

    for (int b = 0; b < cols / QUANT_32; b++, p += DOT_32, x.d += n) {
        dot_x_ahead(&x);
        UNROLL
        for (int part = 0; part < 8 / n_w; part++) {
            const int16_t *s =
                kind.by_16 ? x.s16 + 2 * b * n + part : x.s32 + b / 2 * 2 * n + b % 2;
            struct v16 d = v16_load((const float *)(p + 512 + 64 * part)), m;
            struct n16 sum[DOT_TOKENS], w;

            UNROLL
            for (int k = 0; k < n; k++)
                sum[k] = n16_set(-kind.zero * s[2 * k]);
            UNROLL
            for (int j = 0; j < n_w; j++, x.q += 4 * n) {
                w = n16_load(p + 64 * (part * n_w + j));
                UNROLL
                for (int k = 0; k < n; k++)
                    sum[k] = n16_dot(sum[k], w, x.q + 4 * k, kind.wide);
            }
            UNROLL
            for (int k = 0; k < n; k++)
                acc[k] = v16_fma(n16_float(sum[k]), v16_mul(d, v16_set(x.d[k])), acc[k]);
            if (!kind.min)
                continue;
            m = v16_load((const float *)(p + 576));
            UNROLL
            for (int k = 0; k < n; k++)
                acc[k] = v16_fma(v16_set((float)s[2 * k]), v16_mul(m, v16_set(x.d[k])), acc[k]);
        }
    }
}

INLINE void dot_tile_k(struct dot_kind kind, const uint8_t *p, struct dot_x x, int cols, int n,
                       struct v16 *acc)
{
    const int n_w = kind.by_16 ? 4 : 8, groups = 64 / n_w;

    for (int b = 0; b < cols / QUANT_K; b++, p += DOT_K, x.d += n) {
        struct n16 all[DOT_TOKENS], sum[DOT_TOKENS], w, pair[8];

        UNROLL
        for (int k = 0; k < n; k++)
            all[k] = n16_set(0);
        for (int g = 0; g < groups; g++) {
            dot_x_ahead(&x);
            UNROLL
            for (int k = 0; k < n; k++)
                sum[k] = n16_set(0);
            UNROLL
            for (int j = 0; j < n_w; j++, x.q += 4 * n) {
                w = n16_load(p + 64 * (g * n_w + j));
                UNROLL
                for (int k = 0; k < n; k++)
                    sum[k] = n16_dot(sum[k], w, x.q + 4 * k, false);
            }
            w = n16_load(p + 4096 + 64 * g);
            UNROLL
            for (int k = 0; k < n; k++)
                all[k] = n16_add(all[k], n16_mul(sum[k], w));
        }
        UNROLL
        for (int i = 0; i < groups / 2; i++)
            pair[i] = n16_load(p + 5120 + 64 * i);
        dot_finish_k(kind.min, groups / 2, kind.zero, pair, v16_load((const float *)(p + 5632)),
                     v16_load((const float *)(p + 5696)), kind.by_16 ? x.s16 : x.s32, x.d, all, n,
                     acc);
        x.s16 += 16 * n;
        x.s32 += 8 * n;
    }
}

/* A panel in scratch with n tokens from `first` on. */
INLINE void dot_tile(struct dot_kind kind, const struct cpu_linear *l, const uint8_t *panel,
                     const uint8_t *next, int row, int n_rows, int first, int n)
{
    struct v16 acc[DOT_TOKENS];
    struct dot_x x = dot_x(l, first);

    if (first == 0) { // while the arithmetic leaves memory idle
        x.ahead = next;
        x.bytes = 16 * l->row_bytes / (size_t)(l->cols / (kind.k && kind.by_16 ? 16 : QUANT_32));
    }
    UNROLL
    for (int k = 0; k < n; k++)
        acc[k] = v16_set(0.0f);
    if (kind.k)
        dot_tile_k(kind, panel, x, l->cols, n, acc);
    else
        dot_tile_32(kind, panel, x, l->cols, n, acc);
    for (int k = 0; k < n; k++)
        dot_put_16(l, row, n_rows, first + k, acc[k]);
}

INLINE void dot_tiles(struct dot_kind kind, const struct cpu_linear *l, const uint8_t *panel,
                      const uint8_t *next, int row, int n_rows)
{
    for (int first = 0, n; first < l->n; first += n) {
        n = cpu_act_group(l->n, first, DOT_TOKENS, NULL);
        switch (n) {
#define DOT_TILE(n)                                            \
    case n:                                                    \
        dot_tile(kind, l, panel, next, row, n_rows, first, n); \
        break
            DOT_TILE(1);
            DOT_TILE(2);
            DOT_TILE(3);
            DOT_TILE(4);
#if defined(__AVX512F__)
            DOT_TILE(5);
            DOT_TILE(6);
            DOT_TILE(7);
            DOT_TILE(8);
#endif
#undef DOT_TILE
        }
    }
}

/* ---- by type ---- */

static void dot_tiles_32(const struct cpu_linear *l, const uint8_t *panel, const uint8_t *next,
                         int row, int n_rows)
{
    dot_tiles((struct dot_kind){.zero = panel_zero(l->type)}, l, panel, next, row, n_rows);
}

static void dot_tiles_32_wide(const struct cpu_linear *l, const uint8_t *panel, const uint8_t *next,
                              int row, int n_rows)
{
    dot_tiles((struct dot_kind){.wide = true}, l, panel, next, row, n_rows);
}

static void dot_tiles_32_min(const struct cpu_linear *l, const uint8_t *panel, const uint8_t *next,
                             int row, int n_rows)
{
    dot_tiles((struct dot_kind){.min = true}, l, panel, next, row, n_rows);
}

static void dot_tiles_16(const struct cpu_linear *l, const uint8_t *panel, const uint8_t *next,
                         int row, int n_rows)
{
    dot_tiles((struct dot_kind){.by_16 = true, .zero = 16}, l, panel, next, row, n_rows);
}

static void dot_tiles_k_min(const struct cpu_linear *l, const uint8_t *panel, const uint8_t *next,
                            int row, int n_rows)
{
    dot_tiles((struct dot_kind){.k = true, .min = true}, l, panel, next, row, n_rows);
}

static void dot_tiles_k_16_min(const struct cpu_linear *l, const uint8_t *panel,
                               const uint8_t *next, int row, int n_rows)
{
    dot_tiles((struct dot_kind){.k = true, .min = true, .by_16 = true}, l, panel, next, row,
              n_rows);
}

static void dot_tiles_k_16(const struct cpu_linear *l, const uint8_t *panel, const uint8_t *next,
                           int row, int n_rows)
{
    dot_tiles((struct dot_kind){.k = true, .by_16 = true, .zero = panel_zero(l->type)}, l, panel,
              next, row, n_rows);
}

struct dot_type {
    void (*pack)(const uint8_t *w, size_t row_bytes, int cols, uint8_t *to);
    void (*few[DOT_FEW])(const struct cpu_linear *l, const uint8_t *panel, int row,
                         int n_rows); // 1, 2 ... tokens
    void (*unpack)(const uint8_t *panel, int cols, uint8_t *to);
    /* What unpack made of a panel; `next` will be read after it. */
    void (*tiles)(const struct cpu_linear *l, const uint8_t *panel, const uint8_t *next, int row,
                  int n_rows);
};

#define DOT_FEW_OF(t, n)                                                                     \
    static void dot_few_##n##_##t(const struct cpu_linear *l, const uint8_t *panel, int row, \
                                  int n_rows)                                                \
    {                                                                                        \
        dot_few(T_##t, l, panel, row, n_rows, n);                                            \
    }
#if defined(__AVX512F__)
#define DOT_FEWS(t) DOT_FEW_OF(t, 1) DOT_FEW_OF(t, 2) DOT_FEW_OF(t, 3) DOT_FEW_OF(t, 4)
#define DOT_FEW_NAMES(t)                                           \
    {                                                              \
        dot_few_1_##t, dot_few_2_##t, dot_few_3_##t, dot_few_4_##t \
    }
#else
#define DOT_FEWS(t) DOT_FEW_OF(t, 1) DOT_FEW_OF(t, 2)
#define DOT_FEW_NAMES(t)             \
    {                                \
        dot_few_1_##t, dot_few_2_##t \
    }
#endif
#define DOT_TYPE(t)                                                                     \
    DOT_FEWS(t)                                                                         \
    static void dot_pack_##t(const uint8_t *w, size_t row_bytes, int cols, uint8_t *to) \
    {                                                                                   \
        panel_pack(T_##t, w, row_bytes, cols, to);                                      \
    }                                                                                   \
    static void dot_unpack_##t(const uint8_t *panel, int cols, uint8_t *to)             \
    {                                                                                   \
        dot_unpack(T_##t, panel, cols, to);                                             \
    }

DOT_TYPE(Q8_0)
DOT_TYPE(Q4_0)
DOT_TYPE(Q4_1)
DOT_TYPE(Q5_0)
DOT_TYPE(Q5_1)
DOT_TYPE(IQ4_NL)
DOT_TYPE(MXFP4)
DOT_TYPE(NVFP4)
DOT_TYPE(Q2_K)
DOT_TYPE(Q3_K)
DOT_TYPE(Q4_K)
DOT_TYPE(Q5_K)
DOT_TYPE(Q6_K)

static const struct dot_type *dot_type(enum tensor_type t)
{
#define DOT_WIDE          (LANES_VNNI ? dot_tiles_32 : dot_tiles_32_wide)
#define DOT_ROW(t, tiles) [T_##t] = { dot_pack_##t, DOT_FEW_NAMES(t), dot_unpack_##t, tiles }
    static const struct dot_type type[T_NTYPES] = {
        DOT_ROW(Q8_0, DOT_WIDE),           DOT_ROW(Q4_0, dot_tiles_32),
        DOT_ROW(Q4_1, dot_tiles_32_min),   DOT_ROW(Q5_0, dot_tiles_32),
        DOT_ROW(Q5_1, dot_tiles_32_min),   DOT_ROW(IQ4_NL, DOT_WIDE),
        DOT_ROW(MXFP4, dot_tiles_32),      DOT_ROW(NVFP4, dot_tiles_16),
        DOT_ROW(Q2_K, dot_tiles_k_16_min), DOT_ROW(Q3_K, dot_tiles_k_16),
        DOT_ROW(Q4_K, dot_tiles_k_min),    DOT_ROW(Q5_K, dot_tiles_k_min),
        DOT_ROW(Q6_K, dot_tiles_k_16),
    };
#undef DOT_WIDE
#undef DOT_ROW

    return &type[t];
}

/* Sixteen rows from `row` on into a panel; the file may have fewer. */
static void dot_pack_rows(const struct cpu_linear *l, int row, uint8_t *last, uint8_t *to)
{
    const uint8_t *w = l->w + (size_t)row * l->row_bytes;
    size_t n = l->rows - row < 16 ? (size_t)(l->rows - row) : 16;

    if (n < 16) { // a panel is read whole
        memcpy(last, w, n * l->row_bytes);
        memset(last + n * l->row_bytes, 0, (16 - n) * l->row_bytes);
        w = last;
    }
    dot_type(l->type)->pack(w, l->row_bytes, l->cols, to);
}

static void dot_linear(const struct cpu_linear *l, int begin, int end, void *scratch)
{
    const struct dot_type *t = dot_type(l->type);
    const size_t size = 16 * l->row_bytes;
    uint8_t *last = scratch, *own = last + (size + 63) / 64 * 64;
    uint8_t *bytes = own + (size + 63) / 64 * 64;

    for (int row = begin; row < end; row += 16) {
        uint8_t *panel = l->panels ? l->panels + (size_t)row * l->row_bytes : own;
        int n_rows = l->rows - row < 16 ? l->rows - row : 16;

        if (!l->panels || l->pack)
            dot_pack_rows(l, row, last, panel);
        if (l->n <= DOT_FEW) {
            t->few[l->n - 1](l, panel, row, n_rows);
        } else {
            t->unpack(panel, l->cols, bytes);
            t->tiles(l, bytes, l->panels ? panel + size : l->w + (size_t)(row + 16) * l->row_bytes,
                     row, n_rows);
        }
    }
}
#endif

#endif
