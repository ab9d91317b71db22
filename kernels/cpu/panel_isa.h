/* panel_isa.h - sixteen rows of quantized weights into lanes. Included by dot_isa.h.
 *
 * In the file a row lies in one piece; to compute with them, sixteen rows lie together, packed:
 * first the one field of one or two bytes that blocks may have, of all blocks and sixteen times
 * each, for the rows in order; then every four bytes of the blocks, sixteen times as well. So a
 * panel is as large as its rows, is read in one direction, and is loaded as aligned vectors.
 *
 * Weights come as vectors of four neighbouring values of each row, so a sum over
 * values never crosses lanes. They are unsigned: panel_zero above what they mean,
 * which the dots take off again by the activations' sums. */
#ifndef PANEL_ISA_H
#define PANEL_ISA_H

#include "lanes_isa.h"

/* Values and bytes of a block: constants, for loops to be unrolled by. */
INLINE int panel_block(enum tensor_type t)
{
    switch ((int)t) {
    case T_Q2_K:
    case T_Q3_K:
    case T_Q4_K:
    case T_Q5_K:
    case T_Q6_K:
        return QUANT_K;
    default:
        return t == T_NVFP4 ? 64 : QUANT_32;
    }
}

INLINE int panel_bytes(enum tensor_type t)
{
    switch ((int)t) {
    case T_Q8_0:
        return sizeof(struct quant_q8_0);
    case T_Q4_0:
        return sizeof(struct quant_q4_0);
    case T_Q4_1:
        return sizeof(struct quant_q4_1);
    case T_Q5_0:
        return sizeof(struct quant_q5_0);
    case T_Q5_1:
        return sizeof(struct quant_q5_1);
    case T_IQ4_NL:
        return sizeof(struct quant_iq4_nl);
    case T_MXFP4:
        return sizeof(struct quant_mxfp4);
    case T_NVFP4:
        return sizeof(struct quant_nvfp4);
    case T_Q2_K:
        return sizeof(struct quant_q2_k);
    case T_Q3_K:
        return sizeof(struct quant_q3_k);
    case T_Q4_K:
        return sizeof(struct quant_q4_k);
    case T_Q5_K:
        return sizeof(struct quant_q5_k);
    default:
        return sizeof(struct quant_q6_k);
    }
}

INLINE bool panel_has_min(enum tensor_type t)
{
    return t == T_Q4_1 || t == T_Q5_1 || t == T_Q2_K || t == T_Q4_K || t == T_Q5_K;
}

/* Weights that need all eight bits stay signed where VNNI is missing. */
INLINE bool panel_wide(enum tensor_type t)
{
    return !LANES_VNNI && (t == T_Q8_0 || t == T_IQ4_NL);
}

/* What a vector's weights are above their values. */
INLINE int panel_zero(enum tensor_type t)
{
    switch ((int)t) {
    case T_Q8_0:
    case T_IQ4_NL:
        return LANES_VNNI ? 128 : 0;
    case T_Q3_K:
        return 4;
    case T_Q4_0:
        return 8;
    case T_Q5_0:
    case T_MXFP4:
    case T_NVFP4:
        return 16;
    case T_Q6_K:
        return 32;
    default:
        return 0;
    }
}

INLINE struct n16 panel_low(struct n16 a)
{
    return n16_and(a, n16_set(0x0f0f0f0f));
}

INLINE struct n16 panel_high(struct n16 a)
{
    return n16_and(n16_shr(a, 4), n16_set(0x0f0f0f0f));
}

/* Nibbles into weights, by the type's table if it has one. */
INLINE struct n16 panel_level(enum tensor_type t, struct n16 nibbles)
{
    static const int8_t fp4[16] = {16, 17, 18, 19, 20, 22, 24, 28, 16, 15, 14, 13, 12, 10, 8, 4};
    static const uint8_t iq4[16] = {1,   24,  45,  63,  79,  93,  106, 118,
                                    129, 141, 153, 166, 181, 197, 217, 241};

    if (t == T_MXFP4 || t == T_NVFP4)
        return n16_pick(n16_quad(fp4), nibbles);
    if (t == T_IQ4_NL)
        return n16_pick(n16_quad(LANES_VNNI ? (const void *)iq4 : quant_iq4), nibbles);
    return nibbles;
}

/* ---- from the file ---- */

/* Where a block has a field of fewer than four bytes, and of how many (0: it has none). */
INLINE int panel_small_at(enum tensor_type t)
{
    return t == T_Q3_K ? 108 : t == T_Q6_K ? 208 : 0;
}

INLINE int panel_small(enum tensor_type t)
{
    switch ((int)t) {
    case T_Q8_0:
    case T_Q4_0:
    case T_Q5_0:
    case T_IQ4_NL:
    case T_Q3_K:
    case T_Q6_K:
        return 2;
    case T_MXFP4:
        return 1;
    default:
        return 0;
    }
}

/* A block in a panel: what the file has at byte `at` of it, in fours, is at `quads` + 16 * at. */
struct panel {
    const uint8_t *quads, *small;
};

INLINE struct panel panel_first(enum tensor_type t, const uint8_t *p, int cols)
{
    size_t small = (size_t)(cols / panel_block(t)) * (size_t)(16 * panel_small(t));
    int before = panel_small_at(t) ? 0 : panel_small(t);

    return (struct panel){p + small - 16 * before, p};
}

INLINE void panel_next(enum tensor_type t, struct panel *p)
{
    p->quads += 16 * (panel_bytes(t) - panel_small(t));
    p->small += 16 * panel_small(t);
}

enum { PANEL_AHEAD = 64 << 10 }; // bytes of the file

/* Sixteen rows of the file into a panel. */
INLINE void panel_pack(enum tensor_type t, const uint8_t *w, size_t row_bytes, int cols,
                       uint8_t *to)
{
    const int bytes = panel_bytes(t), small = panel_small(t);
    const int first = small && !panel_small_at(t) ? small : 0, last = first + bytes - small;
    struct panel p = panel_first(t, to, cols);
    struct rows r = rows_at(w, row_bytes);

    for (int b = 0; b < cols / panel_block(t); b++, w += 16 * bytes) {
        uint8_t *quads = to + (p.quads - to), *field = to + (p.small - to);

        UNROLL
        for (int i = 0; i < (16 * bytes + 63) / 64; i++) // rows are short: not seen through
            _mm_prefetch((const char *)w + PANEL_AHEAD + 64 * i, _MM_HINT_T1);
        for (int at = first; at < last;) {
            struct n16 c[4];

            if (at + 16 <= last) {
                rows_columns(&r, at, c);
                UNROLL
                for (int j = 0; j < 4; j++)
                    n16_store(quads + 16 * at + 64 * j, c[j]);
                at += 16;
            } else {
                n16_store(quads + 16 * at, rows_words(&r, at));
                at += 4;
            }
        }
        if (small == 2)
            rows_halves(&r, panel_small_at(t), field);
        if (small == 1)
            rows_bytes(&r, panel_small_at(t), field);
        rows_next(&r, (size_t)bytes);
        panel_next(t, &p);
    }
}

/* ---- blocks of 32 ---- */

/* The n vectors of four bytes of each row from byte `at` of a block on. */
INLINE void panel_columns(struct panel p, int at, struct n16 *c, int n)
{
    UNROLL
    for (int j = 0; j < n; j++)
        c[j] = n16_load(p.quads + 16 * at + 64 * j);
}

/* w[j] = values 4j .. 4j + 3 of a block. NVFP4: of half `half` of a block of 64,
 * whose nibbles are low and high by eights. */
INLINE void panel_32(enum tensor_type t, struct panel p, int half, struct n16 w[8])
{
    const int at = t == T_Q8_0 || t == T_Q4_0 || t == T_IQ4_NL ? 2
                   : t == T_Q4_1 || t == T_NVFP4               ? 4
                   : t == T_Q5_0                               ? 6
                   : t == T_Q5_1                               ? 8
                                                               : 1;
    struct n16 c[4], h;

    if (t == T_Q8_0) {
        panel_columns(p, at, w, 8);
        UNROLL
        for (int j = 0; LANES_VNNI && j < 8; j++)
            w[j] = n16_xor(w[j], n16_set((int32_t)0x80808080u));
        return;
    }
    panel_columns(p, at + 16 * half, c, 4);
    UNROLL
    for (int j = 0; j < 4; j++) {
        const int k = t == T_NVFP4 ? j / 2 * 4 + j % 2 : j;

        w[k] = panel_level(t, panel_low(c[j]));
        w[t == T_NVFP4 ? k + 2 : k + 4] = panel_level(t, panel_high(c[j]));
    }
    if (t == T_Q5_0 || t == T_Q5_1) {
        panel_columns(p, at - 4, &h, 1);
        UNROLL
        for (int j = 0; j < 8; j++)
            w[j] = n16_or(w[j], n16_spread(h, 4 * j, 16));
    }
}

/* quant_e8m0 and quant_e4m3, lane by lane. */
INLINE struct v16 panel_e8m0(struct n16 e)
{
    struct n16 small = n16_shl(n16_add(e, n16_set(1)), 21);
    struct n16 usual = n16_shl(n16_sub(e, n16_set(1)), 23), is = n16_less(e, n16_set(2));

    return n16_as_float(n16_xor(usual, n16_and(is, n16_xor(small, usual))));
}

INLINE struct v16 panel_e4m3(struct n16 d)
{
    struct n16 bits = n16_shl(n16_and(d, n16_set(0x7f)), 20), none = n16_equal(d, n16_set(0x7f));

    bits = n16_xor(bits, n16_and(none, bits));
    return v16_mul(n16_as_float(bits), v16_set(0x1p119f)); // moves the exponent's bias
}

/* Scales of a block; NVFP4: of half a block, for 16 values each. */
INLINE void panel_scales(enum tensor_type t, struct panel p, int half, struct v16 d[2],
                         struct v16 *m)
{
    struct n16 c;

    if (t == T_NVFP4) {
        panel_columns(p, 0, &c, 1);
        c = n16_shr(c, 16 * half);
        d[0] = panel_e4m3(n16_and(c, n16_set(255)));
        d[1] = panel_e4m3(n16_and(n16_shr(c, 8), n16_set(255)));
    } else if (t == T_MXFP4) {
        d[0] = panel_e8m0(n16_bytes(p.small));
    } else if (panel_has_min(t)) {
        panel_columns(p, 0, &c, 1);
        d[0] = n16_half(c);
        *m = n16_half(n16_shr(c, 16));
    } else {
        d[0] = v16_f16(p.small);
    }
}

/* ---- blocks of 256 ---- */

/* Whether groups of 16 have a scale each, not of 32. */
INLINE bool panel_by_16(enum tensor_type t)
{
    return t == T_Q2_K || t == T_Q3_K || t == T_Q6_K;
}

/* A block is taken in four steps of four groups of 16: which group is the q-th of step i. */
INLINE int panel_group(enum tensor_type t, int i, int q)
{
    return panel_by_16(t) ? i / 2 * 8 + q * 2 + i % 2 : 4 * i + q;
}

/* Step i: w[4q + j] = values 4j .. 4j + 3 of group panel_group(t, i, q). */
INLINE void panel_k(enum tensor_type t, struct panel p, int i, struct n16 w[16])
{
    const struct n16 three = n16_set(0x03030303), one = n16_set(0x01010101);
    struct n16 a[8], b[8];
    int half = i / 2, side = i % 2 * 16;

    if (t == T_Q4_K || t == T_Q5_K) {
        panel_columns(p, (t == T_Q5_K ? 48 : 16) + 32 * i, a, 8);
        if (t == T_Q5_K)
            panel_columns(p, 16, b, 8);
        UNROLL
        for (int j = 0; j < 8; j++) {
            w[j] = panel_low(a[j]);
            w[j + 8] = panel_high(a[j]);
            if (t == T_Q5_K) {
                w[j] = n16_or(w[j], n16_shl(n16_and(n16_shr(b[j], 2 * i), one), 4));
                w[j + 8] = n16_or(w[j + 8], n16_shl(n16_and(n16_shr(b[j], 2 * i + 1), one), 4));
            }
        }
        return;
    }
    panel_columns(p, t == T_Q6_K ? 64 * half + side : (t == T_Q2_K ? 16 : 32) + 32 * half + side, a,
                  4);
    if (t == T_Q6_K)
        panel_columns(p, 64 * half + 32 + side, a + 4, 4);
    if (t != T_Q2_K)
        panel_columns(p, t == T_Q6_K ? 128 + 32 * half + side : side, b, 4);
    UNROLL
    for (int j = 0; j < 4; j++) {
        UNROLL
        for (int q = 0; q < 4; q++) {
            struct n16 *to = &w[4 * q + j], h;

            if (t == T_Q6_K) {
                *to = q < 2 ? panel_low(a[4 * q + j]) : panel_high(a[4 * (q - 2) + j]);
                h = q < 2 ? n16_shl(b[j], 4 - 2 * q) : n16_shr(b[j], 2 * (q - 2));
                *to = n16_or(*to, n16_and(h, n16_set(0x30303030)));
            } else {
                *to = n16_and(n16_shr(a[j], 2 * q), three);
                if (t == T_Q3_K) {
                    h = n16_and(n16_shr(b[j], 4 * half + q), one);
                    *to = n16_or(*to, n16_shl(h, 2));
                }
            }
        }
    }
}

/* What the groups of a block are scaled by. */
struct panel_head {
    struct n16 scale[4]; // four signed bytes each: groups 4k .. 4k + 3 of 16, or of 32
    /* Two int16 each, against the activations' sums of groups 2k and 2k + 1: minimums,
     * or scales again in types with a zero. */
    struct n16 pair[8];
    struct v16 d, m; // m < 0: K types subtract their minimum
};

INLINE void panel_pairs(struct panel_head *h, const struct n16 *bytes, int n)
{
    UNROLL
    for (int k = 0; k < n; k++) {
        h->pair[2 * k] = n16_pair(bytes[k], false);
        h->pair[2 * k + 1] = n16_pair(bytes[k], true);
    }
}

/* The 6-bit scales and minimums of Q4_K and Q5_K out of 12 bytes. */
INLINE void panel_head_45k(struct panel p, struct panel_head *h)
{
    const struct n16 six = n16_set(0x3f3f3f3f), two = n16_set(0x30303030);
    struct n16 c[4], min[2];

    panel_columns(p, 0, c, 4);
    h->d = n16_half(c[0]);
    h->m = n16_half(n16_shr(c[0], 16));
    h->scale[0] = n16_and(c[1], six);
    h->scale[1] = n16_or(panel_low(c[3]), n16_and(n16_shr(c[1], 2), two));
    min[0] = n16_and(c[2], six);
    min[1] = n16_or(panel_high(c[3]), n16_and(n16_shr(c[2], 2), two));
    panel_pairs(h, min, 2);
}

/* Q3_K's 6-bit scales less 32, out of 12 bytes. */
INLINE void panel_head_3k(struct panel p, struct panel_head *h)
{
    const struct n16 two = n16_set(0x30303030), zero = n16_set(0x20202020);
    struct n16 v[3];

    panel_columns(p, 96, v, 3);
    h->d = v16_f16(p.small);
    h->scale[0] = n16_or(panel_low(v[0]), n16_and(n16_shl(v[2], 4), two));
    h->scale[1] = n16_or(panel_low(v[1]), n16_and(n16_shl(v[2], 2), two));
    h->scale[2] = n16_or(panel_high(v[0]), n16_and(v[2], two));
    h->scale[3] = n16_or(panel_high(v[1]), n16_and(n16_shr(v[2], 2), two));
    UNROLL
    for (int k = 0; k < 4; k++)
        h->scale[k] = n16_sub_bytes(h->scale[k], zero);
    panel_pairs(h, h->scale, 4);
}

INLINE void panel_head(enum tensor_type t, struct panel p, struct panel_head *h)
{
    struct n16 c[4], min[4];

    switch ((int)t) {
    case T_Q2_K:
        panel_columns(p, 0, c, 4);
        UNROLL
        for (int k = 0; k < 4; k++) {
            h->scale[k] = panel_low(c[k]);
            min[k] = panel_high(c[k]);
        }
        panel_pairs(h, min, 4);
        panel_columns(p, 80, c, 1);
        h->d = n16_half(c[0]);
        h->m = n16_half(n16_shr(c[0], 16));
        break;
    case T_Q3_K:
        panel_head_3k(p, h);
        break;
    case T_Q6_K:
        panel_columns(p, 192, h->scale, 4);
        panel_pairs(h, h->scale, 4);
        h->d = v16_f16(p.small);
        break;
    default:
        panel_head_45k(p, h);
        break;
    }
    if (panel_has_min(t))
        h->m = v16_sub(v16_set(-0.0f), h->m);
}

#endif
