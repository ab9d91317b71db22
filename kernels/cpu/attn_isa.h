/* attn_isa.h - attention of a block of queries to the keys of one KV head. Included by isa_*.c.
 *
 * Dao 2023 (FlashAttention-2), algorithm 1, over pages of 64 keys, in ranges of
 * 512 keys counted from position 0. Per query (a head of a token):
 *
 *   score     one fma chain over head_dim; keys are lanes, so pages hold them transposed
 *   range     running maximum m, sum l (16 strided parts and v16_sum's tree), output o; a page
 *             that raises m scales l and o by e^(m_old - m), then its keys are added in order
 *   query     ranges joined in order, each scaled by e^(m_range - m); last, o / l
 *
 * A query's keys of a page are [from, to): those before its window and after itself are no
 * part of any sum, and pages and ranges without any of them are skipped. So neither which
 * queries share a pass nor who takes which range shows in the result. */
#ifndef ATTN_ISA_H
#define ATTN_ISA_H

#include "glu_isa.h"
#include "kv_isa.h"
#include "vec.h"

/* Sums at a time: of up to four queries with up to four vectors of keys or of values. */
#if defined(__AVX512F__)
enum { ATTN_SUMS = 16 }; // with 4 vectors and 1 query in 32 registers
enum { ATTN_APART = 8 }; // queries of a pass that make floats of what they read, each for itself
#else
enum { ATTN_SUMS = 4 }; // 8 registers, with a query in 16; what it meets are operands
enum { ATTN_APART = 4 };
#endif
enum { ATTN_TILE = 4 };  // queries, and vectors, that share sums at most
enum { ATTN_PASS = 16 }; // queries of a pass over a page: their scores fit the nearest cache

struct attn_block {
    const struct attn_shape *a;
    int n;
    int first[CPU_QUERIES], pos[CPU_QUERIES]; // keys that a query sees: from, to
    const int32_t *page[CPU_QUERIES];         // of its sequence
    int bend[CPU_QUERIES], tail[CPU_QUERIES]; // page k >= bend has the number tail + k
    float m[CPU_QUERIES];
    float *l; // (n, 16)
    float *q; // (n, head_dim), scaled
    float *o; // (n, head_dim)
    float *p; // (ATTN_PASS, PAGE) scores, then their exponentials
    enum kv_type type;
    float *keys, *values; // of a page, (head_dim, PAGE) and (PAGE, head_dim); not of type F32
    const uint8_t *held;  // the page; of its keys and values [held_from, held_to) are there
    int held_from, held_to;
};

/* Call f with n, of queries or vectors 1 to ATTN_TILE, as a constant. */
#define ATTN_OF(n, f, ...) \
    switch (n) {           \
    case 1:                \
        f(__VA_ARGS__, 1); \
        break;             \
    case 2:                \
        f(__VA_ARGS__, 2); \
        break;             \
    case 3:                \
        f(__VA_ARGS__, 3); \
        break;             \
    default:               \
        f(__VA_ARGS__, 4); \
    }

/* What is read next, keys or values of a page, is asked for while sums are computed. It has as many
 * lines as there are steps of the sums times `bytes`; the groups of queries that take these steps
 * one after the other share them, `lines` a step each: at once they would be too many. */
struct attn_ahead {
    const uint8_t *p;
    int bytes, lines;
};

INLINE struct attn_ahead attn_share(struct attn_ahead a, int group, int groups)
{
    int lines = (a.bytes + groups - 1) / groups, first = group * lines;

    return (struct attn_ahead){a.p + 64 * first, a.bytes, first < a.bytes ? lines : 0};
}

INLINE void attn_ask(struct attn_ahead a, int step)
{
    for (int i = 0; i < a.lines; i++)
        __builtin_prefetch(a.p + (step * a.bytes + i) * 64, 0, 2);
}

/* Scores of n_q queries with 16 * n_v keys; both counts are constants. */
INLINE void attn_scores(float *p, const float *q, const uint8_t *key, int dim,
                        struct attn_ahead next, enum kv_type type, int n_v, int n_q)
{
    struct v16 s[ATTN_TILE * 4], k[4];

    UNROLL
    for (int i = 0; i < n_q * n_v; i++)
        s[i] = v16_set(0.0f);
    for (int d = 0; d < dim; d++) {
        attn_ask(next, d);
        UNROLL
        for (int v = 0; v < n_v; v++)
            k[v] = kv_get(key, (size_t)d * BACKEND_PAGE + (size_t)(16 * v), type);
        UNROLL
        for (int i = 0; i < n_q; i++) {
            struct v16 x = v16_set(q[(size_t)i * (size_t)dim + (size_t)d]);

            UNROLL
            for (int v = 0; v < n_v; v++)
                s[i * n_v + v] = v16_fma(x, k[v], s[i * n_v + v]);
        }
    }
    UNROLL
    for (int i = 0; i < n_q; i++)
        UNROLL
    for (int v = 0; v < n_v; v++)
        v16_store(p + i * BACKEND_PAGE + 16 * v, s[i * n_v + v]);
}

/* The same of n queries. */
INLINE void attn_all_scores(float *p, const float *q, const uint8_t *key, int dim, int n,
                            struct attn_ahead next, enum kv_type type, int n_v)
{
    const int most = ATTN_SUMS / n_v < ATTN_TILE ? ATTN_SUMS / n_v : ATTN_TILE;

    for (int i = 0, n_q; i < n; i += n_q, p += n_q * BACKEND_PAGE, q += n_q * dim) {
        n_q = n - i < most ? n - i : most;
        ATTN_OF(n_q, attn_scores, p, q, key, dim, attn_share(next, i / most, (n + most - 1) / most),
                type, n_v);
    }
}

/* Scores of n queries with keys [from, to) of a page, whole vectors of them. */
INLINE void attn_page_scores(float *p, const float *q, const uint8_t *key, int dim, int n, int from,
                             int to, struct attn_ahead next, enum kv_type type)
{
    int first = from / 16;

    p += 16 * first;
    key += (size_t)(16 * first) * kv_value_bytes(type);
    ATTN_OF((to + 15) / 16 - first, attn_all_scores, p, q, key, dim, n, next, type);
}

/* o += p V of n_q queries over the keys [from, to), 16 * n_v values each. */
INLINE void attn_values(float *o, const float *p, const uint8_t *value, int from, int to, int dim,
                        struct attn_ahead next, enum kv_type type, int n_v, int n_q)
{
    struct v16 s[ATTN_TILE * 4], x[4];

    UNROLL
    for (int i = 0; i < n_q; i++)
        UNROLL
    for (int v = 0; v < n_v; v++)
        s[i * n_v + v] = v16_load(o + (size_t)i * (size_t)dim + 16 * v);
    for (int j = from; j < to; j++) {
        if (n_v == 4)
            attn_ask(next, j);
        UNROLL
        for (int v = 0; v < n_v; v++)
            x[v] = kv_get(value, (size_t)j * (size_t)dim + (size_t)(16 * v), type);
        UNROLL
        for (int i = 0; i < n_q; i++) {
            struct v16 w = v16_set(p[i * BACKEND_PAGE + j]);

            UNROLL
            for (int v = 0; v < n_v; v++)
                s[i * n_v + v] = v16_fma(w, x[v], s[i * n_v + v]);
        }
    }
    UNROLL
    for (int i = 0; i < n_q; i++)
        UNROLL
    for (int v = 0; v < n_v; v++)
        v16_store(o + (size_t)i * (size_t)dim + 16 * v, s[i * n_v + v]);
}

/* The same of all values. */
INLINE void attn_all_values(float *o, const float *p, const uint8_t *value, int from, int to,
                            int dim, struct attn_ahead next, enum kv_type type, int n_q)
{
    size_t bytes = kv_value_bytes(type);
    int d = 0;

    for (; d + 64 <= dim; d += 64, next.p += 64 * BACKEND_PAGE * next.bytes)
        attn_values(o + d, p, value + (size_t)d * bytes, from, to, dim, next, type, 4, n_q);
    for (; d + 16 <= dim; d += 16)
        attn_values(o + d, p, value + (size_t)d * bytes, from, to, dim, next, type, 1, n_q);
    for (; d < dim; d++)
        for (int i = 0; i < n_q; i++)
            for (int j = from; j < to; j++)
                o[i * dim + d] =
                    fmaf(p[i * BACKEND_PAGE + j],
                         kv_get1(value, (size_t)j * (size_t)dim + (size_t)d, type), o[i * dim + d]);
}

/* The same of n <= ATTN_TILE queries with keys [from[i], to[i]): together where all of them see
 * one, each by itself before and after that. */
INLINE void attn_page_values(float *o, const float *p, const uint8_t *value, const int *from,
                             const int *to, int dim, int n, struct attn_ahead next,
                             enum kv_type type)
{
    const struct attn_ahead nothing = {value, 0, 0};
    int begin = from[0], end = to[0];

    for (int i = 1; i < n; i++) {
        begin = from[i] > begin ? from[i] : begin;
        end = to[i] < end ? to[i] : end;
    }
    end = end > begin ? end : begin;
    for (int i = 0; i < n; i++)
        if (from[i] < begin)
            attn_all_values(o + i * dim, p + i * BACKEND_PAGE, value, from[i],
                            to[i] < begin ? to[i] : begin, dim, nothing, type, 1);
    if (begin < end)
        ATTN_OF(n, attn_all_values, o, p, value, begin, end, dim, next, type);
    for (int i = 0; i < n; i++)
        if (to[i] > end)
            attn_all_values(o + i * dim, p + i * BACKEND_PAGE, value, from[i] > end ? from[i] : end,
                            to[i], dim, nothing, type, 1);
}

static void attn_scale(float *x, float by, int n)
{
    int i = 0;

    for (; i + 16 <= n; i += 16)
        v16_store(x + i, v16_mul(v16_load(x + i), v16_set(by)));
    for (; i < n; i++)
        x[i] *= by;
}

/* Scores p[from, to) of query i to e^(score - m); l and o follow m. Vectors without a key that
 * the query sees are left out: of -infinity the exponentials are 0, and l is the same without. */
static void attn_softmax(struct attn_block *b, int i, float *p, int from, int to)
{
    int begin = from / 16 * 16, end = (to + 15) / 16 * 16;
    float *l = b->l + i * 16, m;
    struct v16 top = v16_set(-INFINITY), sum;

    if (b->a->softcap > 0.0f)
        glu_softcap(p + from, b->a->softcap, to - from);
    for (int j = begin; j < from; j++)
        p[j] = -INFINITY;
    for (int j = to; j < end; j++)
        p[j] = -INFINITY;
    for (int j = begin; j < end; j += 16)
        top = v16_max(top, v16_load(p + j));
    if (end < BACKEND_PAGE)
        top = v16_max(top, v16_set(-INFINITY)); // so that NaN gives way as to a vector of them
    m = v16_max_lane(top);
    if (m > b->m[i]) {
        float by = num_exp(b->m[i] - m);

        attn_scale(l, by, 16);
        attn_scale(b->o + (size_t)i * (size_t)b->a->head_dim, by, b->a->head_dim);
        b->m[i] = m;
    }
    m = b->m[i];
    sum = v16_load(l);
    for (int j = begin; j < end; j += 16) {
        struct v16 e = v16_exp(v16_sub(v16_load(p + j), v16_set(m)));

        v16_store(p + j, e);
        sum = v16_add(sum, e);
    }
    v16_store(l, sum);
}

/* Keys [from, to) of the page at `start` that query i sees; false when there is none. */
static inline bool attn_sees(const struct attn_block *b, int i, int start, int *from, int *to)
{
    *from = b->first[i] > start ? b->first[i] - start : 0;
    *to = b->pos[i] - start + 1 < BACKEND_PAGE ? b->pos[i] - start + 1 : BACKEND_PAGE;
    return *from < *to;
}

/* A page's keys and values, and what is read behind it or NULL. Of a page that is the first and the
 * last one nothing is asked for: beside its own keys, which nobody asked for, that only slows. */
struct attn_place {
    const uint8_t *keys, *values, *then;
    bool alone;
};

/* Many queries of a pass make floats of what they share of a page once; E4M3 costs twice as much.
 */
static inline bool attn_many(const struct attn_block *b, int n)
{
    return b->type != KV_F32 && n > (b->type == KV_FP8 ? ATTN_APART / 2 : ATTN_APART);
}

/* Whether that is yet to be done. */
static bool attn_hold(struct attn_block *b, const uint8_t *page, int from, int to)
{
    if (b->held == page && b->held_from <= from && b->held_to >= to)
        return false;
    b->held = page;
    b->held_from = from;
    b->held_to = to;
    return true;
}

static void attn_hold_keys(struct attn_block *b, const uint8_t *key, int from, int to)
{
    int first = from / 16 * 16, n = (to + 15) / 16 * 16 - first, dim = b->a->head_dim;

    if (n == BACKEND_PAGE)
        KV_OF(b->type, kv_floats, b->keys, key, 0, dim * n);
    for (int d = 0; n < BACKEND_PAGE && d < dim; d++)
        KV_OF(b->type, kv_floats, b->keys, key, d * BACKEND_PAGE + first, n);
}

static void attn_hold_values(struct attn_block *b, const uint8_t *value, int from, int to)
{
    int dim = b->a->head_dim, first = from * dim / 16 * 16;

    KV_OF(b->type, kv_floats, b->values, value, first, (to * dim + 15) / 16 * 16 - first);
}

/* Add the page at position `start` to queries [i0, i0 + n), n <= ATTN_PASS. */
static void attn_page(struct attn_block *b, const struct attn_place *at, int start, int i0, int n)
{
    struct attn_ahead next = {at->values, at->alone ? 0 : (int)kv_value_bytes(b->type), 0};
    int dim = b->a->head_dim, from[ATTN_PASS], to[ATTN_PASS], begin = BACKEND_PAGE, end = 0;
    float *p = b->p, *o = b->o + (size_t)i0 * (size_t)dim;
    const uint8_t *key = at->keys, *value = at->values;
    const int most = ATTN_SUMS / 4;
    enum kv_type type = b->type;
    bool fresh = false;

    for (int i = 0; i < n; i++) {
        if (!attn_sees(b, i0 + i, start, &from[i], &to[i])) {
            to[i] = from[i];
            continue;
        }
        begin = from[i] < begin ? from[i] : begin;
        end = to[i] > end ? to[i] : end;
    }
    if (begin >= end)
        return;
    if (attn_many(b, n)) {
        type = KV_F32;
        key = (const uint8_t *)b->keys;
        value = (const uint8_t *)b->values;
        fresh = attn_hold(b, at->keys, begin, end);
        if (fresh)
            attn_hold_keys(b, at->keys, begin, end);
    }
    KV_OF(type, attn_page_scores, p, b->q + (size_t)i0 * (size_t)dim, key, dim, n, begin, end,
          next);
    for (int i = 0; i < n; i++)
        if (from[i] < to[i])
            attn_softmax(b, i0 + i, p + i * BACKEND_PAGE, from[i], to[i]);
    if (fresh)
        attn_hold_values(b, at->values, begin, end);
    next = (struct attn_ahead){at->then ? at->then : at->keys, at->then ? next.bytes : 0, 0};
    for (int i = 0, k; i < n; i += k) {
        k = n - i < most ? n - i : most;
        KV_OF(type, attn_page_values, o + i * dim, p + i * BACKEND_PAGE, value, from + i, to + i,
              dim, k, attn_share(next, i / most, (n + most - 1) / most));
    }
}

/* The page of query i that holds its path's positions from k * BACKEND_PAGE on. */
static inline int attn_at(const struct attn_block *b, int i, int k)
{
    return k < b->bend[i] ? b->page[i][k] : b->tail[i] + k;
}

/* m, l and o of all queries over the keys of one range. */
static void attn_range(const struct cpu_attn *j, struct attn_block *b, int kv_head, int range)
{
    int begin = range * CPU_RANGE, end = begin + CPU_RANGE, first = end, last = 0;

    memset(b->l, 0, (size_t)b->n * 16 * sizeof(*b->l));
    memset(b->o, 0, (size_t)b->n * (size_t)b->a->head_dim * sizeof(*b->o));
    for (int i = 0; i < b->n; i++) {
        b->m[i] = -INFINITY;
        first = b->first[i] < first ? b->first[i] : first;
        last = b->pos[i] > last ? b->pos[i] : last;
    }
    begin = first > begin ? first - first % BACKEND_PAGE : begin;
    end = last < end ? last + 1 : end;
    for (int start = begin; start < end; start += BACKEND_PAGE) {
        int k = start / BACKEND_PAGE;

        for (int i = 0, n; i < b->n; i += n) { // neighbours with the same page share a pass
            int page = attn_at(b, i, k);
            struct attn_place at = {cpu_attn_page(j, page, kv_head, 0),
                                    cpu_attn_page(j, page, kv_head, 1), NULL, false};

            at.alone = start == begin && start + BACKEND_PAGE > b->pos[i];
            if (start + BACKEND_PAGE <= b->pos[i])
                at.then = cpu_attn_page(j, attn_at(b, i, k + 1), kv_head, 0);
            for (n = 1; n < ATTN_PASS && i + n < b->n && attn_at(b, i + n, k) == page;)
                n++;
            attn_page(b, &at, start, i, n);
        }
    }
}

/* What is known of a query after some ranges; o is its output. */
struct attn_sum {
    float m, l;
};

/* Join the next range's m, l, o. */
static void attn_join(struct attn_sum *t, float *y, float m, float l, const float *o, int dim)
{
    float top = m > t->m ? m : t->m, old = num_exp(t->m - top), new = num_exp(m - top);
    int i = 0;

    t->m = top;
    t->l = fmaf(l, new, t->l * old);
    for (; i + 16 <= dim; i += 16)
        v16_store(y + i,
                  v16_fma(v16_load(o + i), v16_set(new), v16_mul(v16_load(y + i), v16_set(old))));
    for (; i < dim; i++)
        y[i] = fmaf(o[i], new, y[i] * old);
}

/* y /= l */
static void attn_divide(float *y, float l, int dim)
{
    int i = 0;

    for (; i + 16 <= dim; i += 16)
        v16_store(y + i, v16_div(v16_load(y + i), v16_set(l)));
    for (; i < dim; i++)
        y[i] /= l;
}

/* The queries of tokens [t0, t0 + n) and of heads [h0, h0 + heads). */
static void attn_gather(const struct cpu_attn *j, struct attn_block *b, int t0, int n, int h0,
                        int heads, float *scratch)
{
    const struct attn_shape *a = j->a;
    size_t dim = (size_t)a->head_dim, room = CPU_QUERIES * dim;
    size_t row = (size_t)(a->n_heads + 2 * a->n_kv_heads) * dim;

    b->a = a;
    b->n = 0;
    b->p = scratch;
    b->l = b->p + ATTN_PASS * BACKEND_PAGE;
    b->q = b->l + CPU_QUERIES * 16;
    b->o = b->q + room;
    b->type = j->kv->type;
    b->keys = b->o + room;
    b->values = b->keys + BACKEND_PAGE * dim;
    b->held = NULL;
    for (int t = t0; t < t0 + n; t++)
        for (int h = h0; h < h0 + heads; h++, b->n++) {
            float *q = b->q + (size_t)b->n * dim;

            memcpy(q, j->qkv + (size_t)t * row + (size_t)h * dim, dim * sizeof(*q));
            attn_scale(q, a->scale, a->head_dim);
            b->pos[b->n] = cpu_attn_last(j->s, t);
            b->page[b->n] = j->s->page + (size_t)j->s->seq[t] * (size_t)j->s->max_pages;
            b->bend[b->n] = j->tree->n ? j->tree->bend[t] : TREE_NO_BEND;
            b->tail[b->n] = j->tree->n ? j->kv->n_pages + j->tree->tail[t] : 0;
            b->first[b->n] = cpu_attn_first(a, j->s->pos[t]);
        }
}

/* One range into its place among the parts. */
static void attn_part(const struct cpu_attn *j, struct attn_block *b, int t0, int h0, int heads,
                      int kv_head, int range)
{
    attn_range(j, b, kv_head, range);
    for (int i = 0; i < b->n; i++) {
        float *part = cpu_attn_part(j, t0 + i / heads, h0 + i % heads, range);

        part[0] = b->m[i];
        part[1] = v16_sum(v16_load(b->l + i * 16));
        memcpy(part + 2, b->o + (size_t)i * (size_t)b->a->head_dim,
               (size_t)b->a->head_dim * sizeof(*part));
    }
}

/* All ranges, joined. */
static void attn_whole(const struct cpu_attn *j, struct attn_block *b, int t0, int h0, int heads,
                       int kv_head)
{
    int dim = b->a->head_dim, first = INT32_MAX, last = 0;
    struct attn_sum sum[CPU_QUERIES];

    for (int i = 0; i < b->n; i++) {
        sum[i] = (struct attn_sum){-INFINITY, 0.0f};
        first = b->first[i] < first ? b->first[i] : first;
        last = b->pos[i] > last ? b->pos[i] : last;
    }
    for (int range = first / CPU_RANGE; range <= last / CPU_RANGE; range++) {
        attn_range(j, b, kv_head, range);
        for (int i = 0; i < b->n; i++) {
            float *y = cpu_attn_y(j, t0 + i / heads, h0 + i % heads);
            float l = v16_sum(v16_load(b->l + i * 16));
            const float *o = b->o + i * dim;

            if (range < b->first[i] / CPU_RANGE || range > b->pos[i] / CPU_RANGE)
                continue;
            if (range > b->first[i] / CPU_RANGE)
                attn_join(&sum[i], y, b->m[i], l, o, dim);
            else
                sum[i] = (struct attn_sum){b->m[i], l}, memcpy(y, o, (size_t)dim * sizeof(*y));
            if (range == b->pos[i] / CPU_RANGE)
                attn_divide(y, sum[i].l, dim);
        }
    }
}

static void attn_tokens(const struct cpu_attn *j, int t0, int n, int kv_head, int range,
                        void *scratch)
{
    int group = j->a->n_heads / j->a->n_kv_heads, most = CPU_QUERIES / n;
    struct attn_block b;

    for (int g = 0; g < group; g += most) {
        int heads = group - g < most ? group - g : most, h0 = kv_head * group + g;

        attn_gather(j, &b, t0, n, h0, heads, scratch);
        if (range >= 0)
            attn_part(j, &b, t0, h0, heads, kv_head, range);
        else
            attn_whole(j, &b, t0, h0, heads, kv_head);
    }
}

/* y of one token's head out of its ranges' parts. */
static void attn_parts(const struct cpu_attn *j, int t, int head)
{
    int pos = cpu_attn_last(j->s, t), dim = j->a->head_dim;
    int range = cpu_attn_first(j->a, j->s->pos[t]) / CPU_RANGE;
    const float *part = cpu_attn_part(j, t, head, range);
    struct attn_sum sum = {part[0], part[1]};
    float *y = cpu_attn_y(j, t, head);

    memcpy(y, part + 2, (size_t)dim * sizeof(*y));
    while (++range <= pos / CPU_RANGE) {
        part = cpu_attn_part(j, t, head, range);
        attn_join(&sum, y, part[0], part[1], part + 2, dim);
    }
    attn_divide(y, sum.l, dim);
}

#endif
