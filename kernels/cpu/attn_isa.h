/* attn_isa.h - attention of a few tokens and one KV head. Included by isa_*.c.
 *
 * Dao 2023 (FlashAttention-2), algorithm 1, with tiles of one page of 64 keys
 * counted from position 0. Per (token, head): running maximum m, sum l, and
 * output o; a tile rescales l and o by e^(m_old - m_new), then adds its keys in
 * ascending order. Which tokens share a pass over a page does not show. A token's
 * keys of a tile are [from, to): those before its window and after itself are no
 * part of any sum, and a tile without any of them is skipped. */
#ifndef ATTN_ISA_H
#define ATTN_ISA_H

#include "glu_isa.h"
#include "vec.h"

struct attn_row { // one query: a head of a token
    const float *q;
    float *o;
    int first, pos; // keys that it sees
    float m, l;
};

INLINE float attn_dot(const float *a, const float *b, int n)
{
    struct v16 s = v16_set(0.0f);
    int i = 0;

    for (; i + 16 <= n; i += 16)
        s = v16_fma(v16_load(a + i), v16_load(b + i), s);
    if (i < n)
        s = v16_fma(v16_load_n(a + i, n - i), v16_load_n(b + i, n - i), s);
    return v16_sum(s);
}

/* p[0..64) = e^(score - m) of the keys [from, to) of a tile, 0 for the others. */
static void attn_scores(struct attn_row *r, const float *key, int from, int to,
                        const struct attn_shape *a, float p[BACKEND_PAGE])
{
    float m = r->m, rescale;
    struct v16 sum = v16_set(0.0f), top;

    for (int j = from; j < to; j++)
        p[j] = attn_dot(r->q, key + (size_t)j * (size_t)a->head_dim, a->head_dim) * a->scale;
    if (a->softcap > 0.0f)
        glu_softcap(p + from, a->softcap, to - from);
    for (int j = 0; j < from; j++)
        p[j] = -INFINITY;
    for (int j = to; j < BACKEND_PAGE; j++)
        p[j] = -INFINITY;
    top = v16_load(p);
    for (int j = 16; j < BACKEND_PAGE; j += 16)
        top = v16_max(top, v16_load(p + j));
    m = v16_max_lane(top);
    m = m > r->m ? m : r->m;
    rescale = num_exp(r->m - m);
    for (int j = 0; j < BACKEND_PAGE; j += 16) {
        struct v16 e = v16_exp(v16_sub(v16_load(p + j), v16_set(m)));

        v16_store(p + j, e);
        sum = v16_add(sum, e);
    }
    r->l = fmaf(r->l, rescale, v16_sum(sum));
    r->m = m;
    for (int i = 0; i < a->head_dim; i++)
        r->o[i] *= rescale;
}

INLINE void attn_values_16(float *o, const float *p, const float *value, int from, int to, int dim,
                           int chunks)
{
    struct v16 s[4];

    UNROLL
    for (int c = 0; c < chunks; c++)
        s[c] = v16_load(o + 16 * c);
    for (int j = from; j < to; j++) {
        const float *v = value + (size_t)j * (size_t)dim;

        UNROLL
        for (int c = 0; c < chunks; c++)
            s[c] = v16_fma(v16_set(p[j]), v16_load(v + 16 * c), s[c]);
    }
    UNROLL
    for (int c = 0; c < chunks; c++)
        v16_store(o + 16 * c, s[c]);
}

/* o += p V over the keys [from, to) of a tile, in order. */
static void attn_values(float *o, const float *p, const float *value, int from, int to, int dim)
{
    int i = 0;

    for (; i + 64 <= dim; i += 64)
        attn_values_16(o + i, p, value + i, from, to, dim, 4);
    for (; i + 16 <= dim; i += 16)
        attn_values_16(o + i, p, value + i, from, to, dim, 1);
    for (; i < dim; i++)
        for (int j = from; j < to; j++)
            o[i] = fmaf(p[j], value[(size_t)j * (size_t)dim + (size_t)i], o[i]);
}

static void attn_rows(const struct cpu_attn *j, struct attn_row *row, int n, int seq, int kv_head)
{
    const struct attn_shape *a = j->a;
    const int32_t *page = j->s->page + (size_t)seq * (size_t)j->s->max_pages;
    float p[BACKEND_PAGE];
    int first = row[0].first, last = row[0].pos;

    for (int i = 0; i < n; i++) {
        first = row[i].first < first ? row[i].first : first;
        last = row[i].pos > last ? row[i].pos : last;
        memset(row[i].o, 0, (size_t)a->head_dim * sizeof(*row[i].o));
    }
    for (int start = first - first % BACKEND_PAGE; start <= last; start += BACKEND_PAGE) {
        int at = page[start / BACKEND_PAGE];
        const float *key = cpu_page(j->kv, j->layer, at, kv_head, 0);
        const float *value = cpu_page(j->kv, j->layer, at, kv_head, 1);

        for (int i = 0; i < n; i++) {
            int from = row[i].first - start, to = row[i].pos - start + 1;

            from = from < 0 ? 0 : from;
            to = to > BACKEND_PAGE ? BACKEND_PAGE : to;
            if (from >= to)
                continue;
            attn_scores(&row[i], key, from, to, a, p);
            attn_values(row[i].o, p, value, from, to, a->head_dim);
        }
    }
    for (int i = 0; i < n; i++)
        for (int d = 0; d < a->head_dim; d++)
            row[i].o[d] /= row[i].l;
}

/* The first position that a token at `pos` sees. */
static inline int attn_first(const struct attn_shape *a, int pos)
{
    return a->window > 0 && pos >= a->window ? pos - a->window + 1 : 0;
}

static void attn_tokens(const struct cpu_attn *j, int t0, int n, int kv_head)
{
    const struct attn_shape *a = j->a;
    int group = a->n_heads / a->n_kv_heads;
    size_t dim = (size_t)a->head_dim, q_row = (size_t)a->n_heads * dim;
    size_t qkv_row = q_row + 2 * (size_t)a->n_kv_heads * dim;
    struct attn_row row[CPU_GROUP * CPU_GROUP];

    for (int g0 = 0; g0 < group; g0 += CPU_GROUP) {
        int heads = group - g0 < CPU_GROUP ? group - g0 : CPU_GROUP, k = 0;

        for (int t = t0; t < t0 + n; t++)
            for (int g = g0; g < g0 + heads; g++) {
                int pos = j->s->pos[t];
                size_t head = (size_t)(kv_head * group + g) * dim;

                row[k++] = (struct attn_row){.q = j->qkv + (size_t)t * qkv_row + head,
                                             .o = j->y + (size_t)t * q_row + head,
                                             .first = attn_first(a, pos),
                                             .pos = pos,
                                             .m = -INFINITY};
            }
        attn_rows(j, row, k, j->s->seq[t0], kv_head);
    }
}

#endif
