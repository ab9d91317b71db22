/* rope.c - norms of heads, rotary positions and the append to the cache, on the CPU.
 *
 * Cosines and sines depend on positions alone: the first layer of a step
 * computes them, the others reuse them. */
#include "cpu.h"
#include "num.h"

struct run {
    struct cpu *c;
    float *qkv;
    const struct attn_shape *a;
    const struct kv_pages *kv;
    const struct step *s;
    int layer;
};

static void angles(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct run *r = ctx;
    int half = r->a->rope_dims / 2;

    (void)worker;
    for (int64_t t = begin; t < end; t++) {
        float *cs = (float *)r->c->rope.p + t * r->a->rope_dims;

        for (int i = 0; i < half; i++)
            num_sincos((float)r->s->pos[t] * r->a->inv_freq[i], cs + half + i, cs + i);
    }
}

/* Norm the heads of q and k that have norms. */
static void norm_heads(const struct run *r, float *q)
{
    const struct attn_shape *a = r->a;

    for (int h = 0; h < a->n_heads + a->n_kv_heads; h++, q += a->head_dim) {
        const struct norm_weight *w = h < a->n_heads ? &a->q_norm : &a->k_norm;

        if (w->w_d)
            r->c->k->norm(q, q, w, a->head_dim, false);
    }
}

static void tokens(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct run *r = ctx;
    const struct attn_shape *a = r->a;
    const struct step *s = r->s;
    size_t dim = (size_t)a->head_dim;
    int heads = a->n_heads + a->n_kv_heads;

    (void)worker;
    for (int64_t t = begin; t < end; t++) {
        float *q = r->qkv + (size_t)t * (size_t)(heads + a->n_kv_heads) * dim;
        const float *k = q + (size_t)a->n_heads * dim, *v = q + (size_t)heads * dim;
        int slot = step_slot(s, (int)t);
        const int32_t *page = s->page + (size_t)s->seq[t] * (size_t)s->max_pages;
        struct kv_place at = {page[slot / BACKEND_PAGE], slot % BACKEND_PAGE};

        norm_heads(r, q);
        if (a->rope_dims)
            r->c->k->rope(q, (const float *)r->c->rope.p + t * a->rope_dims, a, heads);
        for (int h = 0; h < a->n_kv_heads; h++, k += dim, v += dim)
            r->c->k->append(cpu_key(r->kv, r->layer, at, h), cpu_value(r->kv, r->layer, at, h), k,
                            v, a->head_dim, r->kv->type);
    }
}

void cpu_rope_kv(struct backend *b, float *qkv, const struct attn_shape *a,
                 const struct kv_pages *kv, int layer, const struct step *s)
{
    struct run r = {cpu_of(b), qkv, a, kv, s, layer};
    size_t bytes = (size_t)s->n * (size_t)a->rope_dims * sizeof(float);

    if (r.c->failed.code != ERR_NONE || !cpu_buf_grow(r.c, &r.c->rope, bytes))
        return;
    if (a->rope_dims && r.c->rope_of != a->inv_freq) {
        thread_run(r.c->pool, angles, &r, s->n, cpu_grain((int64_t)a->rope_dims * 32));
        r.c->rope_of = a->inv_freq;
    }
    thread_run(r.c->pool, tokens, &r, s->n,
               cpu_grain((int64_t)(a->n_heads + a->n_kv_heads) * a->head_dim * 4));
}
