/* float_isa.h - y = W x with F32, F16 and BF16 weights. Included by isa_*.c.
 *
 * A dot is 16 strided partial sums, one fma chain a lane, and v16_sum's tree.
 * Rows and tokens are tiled so that loads are shared; half floats of several
 * tokens are widened once, into the panel. Neither touches the order of a dot. */
#ifndef FLOAT_ISA_H
#define FLOAT_ISA_H

#include "vec.h"

#if defined(__AVX512F__)
enum { FLOAT_ROWS = 4, FLOAT_TOKENS = 6 }; // 24 sums, 4 weights and 1 input in 32 registers
#else
enum { FLOAT_ROWS = 2, FLOAT_TOKENS = 2 }; // 8 sums, 4 weights and 2 inputs in 16 registers
#endif

INLINE struct v16 float_load(enum tensor_type t, const uint8_t *row, int i)
{
    if (t == T_F16)
        return v16_f16(row + (size_t)i * 2);
    if (t == T_BF16)
        return v16_bf16(row + (size_t)i * 2);
    return v16_load_bytes(row + (size_t)i * 4);
}

INLINE struct v16 float_load_n(enum tensor_type t, const uint8_t *row, int i, int n)
{
    uint8_t tail[64] = {0};
    size_t size = t == T_F32 ? 4 : 2;

    memcpy(tail, row + (size_t)i * size, (size_t)n * size);
    return float_load(t, tail, 0);
}

static void float_put(const struct cpu_linear *l, int row, int token, float dot)
{
    float *y = l->y + (size_t)token * (size_t)l->ldy + row;

    if (l->bias)
        dot += l->bias[row];
    *y = l->add ? *y + dot : dot;
}

/* Dots of n_rows rows, row_bytes apart, with n_tokens tokens; both counts are constants. */
INLINE void float_tile(const struct cpu_linear *l, enum tensor_type t, const uint8_t *w,
                       size_t row_bytes, int row, int token, int n_rows, int n_tokens)
{
    struct v16 s[FLOAT_ROWS * FLOAT_TOKENS], a[FLOAT_ROWS], b;
    const float *x = l->x + (size_t)token * (size_t)l->cols;
    size_t ldx = (size_t)l->cols;
    int i = 0, tail = l->cols % 16;

    UNROLL
    for (int k = 0; k < n_rows * n_tokens; k++)
        s[k] = v16_set(0.0f);
    for (; i + 16 <= l->cols; i += 16) {
        UNROLL
        for (int r = 0; n_tokens == 1 && r < n_rows; r++) // rows are short streams: look ahead
            __builtin_prefetch(w + (size_t)(r + n_rows) * row_bytes + i * (t == T_F32 ? 4 : 2), 0,
                               2);
        UNROLL
        for (int r = 0; r < n_rows; r++)
            a[r] = float_load(t, w + (size_t)r * row_bytes, i);
        UNROLL
        for (int k = 0; k < n_tokens; k++) {
            b = v16_load(x + (size_t)k * ldx + i);
            UNROLL
            for (int r = 0; r < n_rows; r++)
                s[k * n_rows + r] = v16_fma(a[r], b, s[k * n_rows + r]);
        }
    }
    for (int r = 0; tail && r < n_rows; r++) {
        a[0] = float_load_n(t, w + (size_t)r * row_bytes, i, tail);
        for (int k = 0; k < n_tokens; k++) {
            b = v16_load_n(x + (size_t)k * ldx + i, tail);
            s[k * n_rows + r] = v16_fma(a[0], b, s[k * n_rows + r]);
        }
    }
    for (int k = 0; k < n_tokens; k++)
        for (int r = 0; r < n_rows; r++)
            float_put(l, row + r, token + k, v16_sum(s[k * n_rows + r]));
}

/* Rows [row, end) of a panel that lies at w, all tokens. */
INLINE void float_rows(const struct cpu_linear *l, enum tensor_type t, const uint8_t *w,
                       size_t row_bytes, int row, int end)
{
    int full = (end - row) / FLOAT_ROWS * FLOAT_ROWS, token = 0;

    for (; token + FLOAT_TOKENS <= l->n; token += FLOAT_TOKENS) {
        for (int r = 0; r < full; r += FLOAT_ROWS)
            float_tile(l, t, w + (size_t)r * row_bytes, row_bytes, row + r, token, FLOAT_ROWS,
                       FLOAT_TOKENS);
        for (int r = full; r < end - row; r++)
            float_tile(l, t, w + (size_t)r * row_bytes, row_bytes, row + r, token, 1, FLOAT_TOKENS);
    }
    for (; token < l->n; token++) {
        for (int r = 0; r < full; r += FLOAT_ROWS)
            float_tile(l, t, w + (size_t)r * row_bytes, row_bytes, row + r, token, FLOAT_ROWS, 1);
        for (int r = full; r < end - row; r++)
            float_tile(l, t, w + (size_t)r * row_bytes, row_bytes, row + r, token, 1, 1);
    }
}

/* Widen a panel of half-float rows; a pass over it serves all tokens. */
static void float_widen(const struct cpu_linear *l, const uint8_t *w, int n_rows, float *panel)
{
    for (int r = 0; r < n_rows; r++, w += l->row_bytes, panel += l->cols) {
        int i = 0;

        for (; i + 16 <= l->cols; i += 16)
            v16_store(panel + i, float_load(l->type, w, i));
        if (i < l->cols)
            v16_store_n(panel + i, float_load_n(l->type, w, i, l->cols - i), l->cols - i);
    }
}

static void float_linear(const struct cpu_linear *l, int begin, int end, void *scratch)
{
    size_t wide = (size_t)l->cols * sizeof(float);

    for (int row = begin; row < end; row += CPU_PANEL_ROWS) {
        int stop = end - row < CPU_PANEL_ROWS ? end : row + CPU_PANEL_ROWS;
        const uint8_t *w = l->w + (size_t)row * l->row_bytes;

        if (l->type == T_F32) {
            float_rows(l, T_F32, w, l->row_bytes, row, stop);
        } else if (l->n >= FLOAT_TOKENS) {
            float_widen(l, w, stop - row, scratch);
            float_rows(l, T_F32, scratch, wide, row, stop);
        } else if (l->type == T_F16) {
            float_rows(l, T_F16, w, l->row_bytes, row, stop);
        } else {
            float_rows(l, T_BF16, w, l->row_bytes, row, stop);
        }
    }
}

#endif
