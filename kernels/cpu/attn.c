/* attn.c - attention over the pages on the CPU: work is split over blocks of
 * neighbouring tokens x KV heads and, where these are few, over ranges of keys. Tokens of a block
 * are of one sequence, or of several that begin with the same page: what they have in
 * common is read once (Juravsky et al. 2024, Hydragen; Ye et al. 2024, cascade inference);
 * attn_isa.h does the sums. Tail pages of trees (tree.h) are put together first. */
#include "cpu.h"

#include <string.h>

enum { PARTS_BYTES = 8 << 20 }; // of ranges that wait to be joined, at most

struct block {
    int32_t t0, n;
};

struct run {
    struct cpu *c;
    struct cpu_attn j;
    const struct block *block;
    int n_blocks;
    size_t scratch; // bytes of a worker
};

/* Item i is KV head i % n_kv_heads of a tail page: what stands behind the path stays. */
static void tails(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct run *r = ctx;
    const struct kv_pages *kv = r->j.kv;
    size_t bytes = kv_value_bytes(kv->type), dim = (size_t)kv->head_dim;
    int heads = kv->n_kv_heads;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        int tail = (int)(i / heads), head = (int)(i % heads);
        const int32_t *row = r->j.tree->row + (size_t)tail * BACKEND_PAGE;
        uint8_t *key = cpu_attn_page(&r->j, kv->n_pages + tail, head, 0);
        uint8_t *value = cpu_attn_page(&r->j, kv->n_pages + tail, head, 1);

        for (int k = 0; k < BACKEND_PAGE && row[k] >= 0; k++, key += bytes, value += dim * bytes) {
            struct kv_place from = {row[k] / BACKEND_PAGE, row[k] % BACKEND_PAGE};

            cpu_kv_move(kv, key, value, cpu_key(kv, r->j.layer, from, head),
                        cpu_value(kv, r->j.layer, from, head));
        }
    }
}

/* The tail pages of this layer; false when memory is out. */
static bool make_tails(struct run *r)
{
    struct cpu *c = r->c;
    int64_t items = (int64_t)c->tree.n * r->j.a->n_kv_heads;
    size_t bytes = 2 * cpu_kv_bytes(r->j.kv);

    r->j.tree = &c->tree;
    if (!items)
        return true;
    if (!cpu_buf_grow(c, &c->attn[3], (size_t)items * bytes))
        return false;
    r->j.tails = c->attn[3].p;
    thread_run(c->pool, tails, r, items, cpu_grain((int64_t)bytes));
    return true;
}

/* Do two tokens see the same page first? */
static bool shared(const struct step *s, const struct attn_shape *a, int t, int u)
{
    size_t i = (size_t)s->seq[t] * (size_t)s->max_pages,
           k = (size_t)s->seq[u] * (size_t)s->max_pages;
    int first = cpu_attn_first(a, s->pos[t]) / BACKEND_PAGE;

    return s->seq[t] == s->seq[u] || (first == cpu_attn_first(a, s->pos[u]) / BACKEND_PAGE &&
                                      s->page[i + (size_t)first] == s->page[k + (size_t)first]);
}

/* Cut the step into blocks of at most `most` tokens; the number of them. */
static int make_blocks(struct block *b, const struct step *s, const struct attn_shape *a, int most)
{
    int n = 0;

    for (int t = 0; t < s->n; t += b[n++].n) {
        b[n] = (struct block){t, 1};
        while (b[n].n < most && t + b[n].n < s->n && shared(s, a, t, t + b[n].n))
            b[n].n++;
    }
    return n;
}

static void *scratch_of(const struct run *r, int worker)
{
    return (char *)r->c->attn[0].p + (size_t)worker * r->scratch;
}

/* Item i is KV head i % n_kv_heads of a block; late blocks see more keys and go first. */
static void whole(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct run *r = ctx;
    int heads = r->j.a->n_kv_heads;

    for (int64_t i = begin; i < end; i++) {
        const struct block *b = &r->block[r->n_blocks - 1 - i / heads];

        r->c->k->attn(&r->j, b->t0, b->n, (int)(i % heads), -1, scratch_of(r, worker));
    }
}

/* The same, one range of keys at a time, into parts. */
static void ranges(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct run *r = ctx;
    int heads = r->j.a->n_kv_heads;

    for (int64_t i = begin; i < end; i++) {
        int range = (int)(i % r->j.n_ranges), head = (int)(i / r->j.n_ranges % heads);
        const struct block *b = &r->block[i / r->j.n_ranges / heads];
        bool seen = false;

        for (int t = b->t0; t < b->t0 + b->n; t++)
            seen = seen || (range >= cpu_attn_first(r->j.a, r->j.s->pos[t]) / CPU_RANGE &&
                            range <= cpu_attn_last(r->j.s, t) / CPU_RANGE);
        if (seen)
            r->c->k->attn(&r->j, b->t0, b->n, head, range, scratch_of(r, worker));
    }
}

static void join(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct run *r = ctx;
    int heads = r->j.a->n_heads;

    (void)worker;
    for (int64_t i = begin; i < end; i++)
        r->c->k->attn_parts(&r->j, (int)(i / heads), (int)(i % heads));
}

/* Whether the blocks are too few to share fairly and the parts small enough to keep. */
static bool split(const struct run *r, size_t *bytes)
{
    const struct attn_shape *a = r->j.a;

    *bytes = (size_t)r->j.s->n * (size_t)a->n_heads * (size_t)r->j.n_ranges *
             (size_t)(a->head_dim + 2) * sizeof(float);
    return r->c->n_threads > 1 && r->j.n_ranges > 1 && *bytes <= PARTS_BYTES &&
           (int64_t)r->n_blocks * a->n_kv_heads < (int64_t)8 * r->c->n_threads;
}

void cpu_attn(struct backend *b, float *y, const float *qkv, const struct attn_shape *a,
              const struct kv_pages *kv, int layer, const struct step *s)
{
    struct cpu *c = cpu_of(b);
    struct run r = {.c = c, .j = {.a = a, .kv = kv, .s = s, .qkv = qkv, .y = y, .layer = layer}};
    int group = a->n_heads / a->n_kv_heads, most = group < CPU_QUERIES ? CPU_QUERIES / group : 1;
    int64_t keys = 0, items, work;
    size_t bytes;
    int last = 0;

    r.scratch = cpu_attn_bytes(kv);
    if (c->failed.code != ERR_NONE || s->n < 1 ||
        !cpu_buf_grow(c, &c->attn[0], r.scratch * (size_t)c->n_threads) ||
        !cpu_buf_grow(c, &c->attn[1], (size_t)s->n * sizeof(*r.block)) || !make_tails(&r))
        return;
    r.block = c->attn[1].p;
    r.n_blocks = make_blocks(c->attn[1].p, s, a, most);
    for (int i = 0; i < s->n; i++) {
        int to = cpu_attn_last(s, i);

        keys += to + 1 - cpu_attn_first(a, s->pos[i]);
        last = to > last ? to : last;
    }
    r.j.n_ranges = last / CPU_RANGE + 1;
    items = (int64_t)r.n_blocks * a->n_kv_heads;
    work = keys * a->n_heads * a->head_dim * 2 / items;
    if (!split(&r, &bytes)) {
        thread_run(c->pool, whole, &r, items, cpu_grain(work));
        return;
    }
    if (!cpu_buf_grow(c, &c->attn[2], bytes))
        return;
    r.j.part = c->attn[2].p;
    thread_run(c->pool, ranges, &r, items * r.j.n_ranges, cpu_grain(work / r.j.n_ranges));
    thread_run(c->pool, join, &r, (int64_t)s->n * a->n_heads,
               cpu_grain((int64_t)r.j.n_ranges * a->head_dim));
}
