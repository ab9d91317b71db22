/* attn.c - attention over the pages on the CPU: work is split over runs of
 * tokens of one sequence x KV heads; attn_isa.h does the sums. */
#include "cpu.h"

struct run {
    struct cpu *c;
    struct cpu_attn j;
};

/* Tokens from t0 on that share its sequence, at most to `stop`. */
static int run_length(const struct step *s, int t0, int stop)
{
    int n = 1;

    while (t0 + n < stop && s->seq[t0 + n] == s->seq[t0])
        n++;
    return n;
}

/* Item i is KV head i % n_kv_heads of the run of tokens i / n_kv_heads. */
static void items(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct run *r = ctx;
    int heads = r->j.a->n_kv_heads;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        int t = (int)(i / heads) * r->j.run, stop = t + r->j.run;

        stop = stop > r->j.s->n ? r->j.s->n : stop;
        while (t < stop) {
            int n = run_length(r->j.s, t, stop);

            r->c->k->attn(&r->j, t, n, (int)(i % heads));
            t += n;
        }
    }
}

/* Neighbouring tokens of a prompt share a pass over the pages; where every token
 * is of its own sequence, each is an item. */
void cpu_attn(struct backend *b, float *y, const float *qkv, const struct attn_shape *a,
              const struct kv_pages *kv, int layer, const struct step *s)
{
    struct run r = {cpu_of(b), {a, kv, s, qkv, y, layer, s->n_seq < s->n ? CPU_GROUP : 1}};
    int64_t runs = (s->n + r.j.run - 1) / r.j.run, keys = 0;

    if (r.c->failed.code != ERR_NONE || s->n < 1)
        return;
    for (int i = 0; i < s->n; i++)
        keys += s->pos[i] + 1;
    thread_run(r.c->pool, items, &r, runs * a->n_kv_heads,
               cpu_grain(keys * a->n_heads * a->head_dim * 2 / (runs * a->n_kv_heads)));
}
