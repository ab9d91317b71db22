/* attn.c - attention over the pages on the CPU: work is split over runs of
 * tokens of one sequence x KV heads; attn_isa.h does the sums. */
#include "cpu.h"

struct run {
    struct cpu *c;
    struct cpu_attn j;
};

/* Tokens t0 .. that share a sequence, at most CPU_GROUP and within a run of CPU_GROUP. */
static int run_length(const struct step *s, int t0)
{
    int n = 1;

    while (t0 + n < s->n && (t0 + n) % CPU_GROUP && s->seq[t0 + n] == s->seq[t0])
        n++;
    return n;
}

/* Item i is KV head i % n_kv_heads of the CPU_GROUP tokens from i / n_kv_heads on. */
static void items(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct run *r = ctx;
    int heads = r->j.a->n_kv_heads;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        int t = (int)(i / heads) * CPU_GROUP, stop = t + CPU_GROUP;

        stop = stop > r->j.s->n ? r->j.s->n : stop;
        while (t < stop) {
            int n = run_length(r->j.s, t);

            r->c->k->attn(&r->j, t, n, (int)(i % heads));
            t += n;
        }
    }
}

void cpu_attn(struct backend *b, float *y, const float *qkv, const struct attn_shape *a,
              const struct kv_pages *kv, int layer, const struct step *s)
{
    struct run r = {cpu_of(b), {a, kv, s, qkv, y, layer}};

    if (r.c->failed.code != ERR_NONE)
        return;
    thread_run(r.c->pool, items, &r, (int64_t)((s->n + CPU_GROUP - 1) / CPU_GROUP) * a->n_kv_heads,
               1);
}
