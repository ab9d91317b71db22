/* norm.c - RMSNorm and LayerNorm on the CPU: tokens are split over threads. */
#include "cpu.h"

struct run {
    struct cpu *c;
    float *y;
    const float *x;
    const struct norm_weight *w;
    int dim;
    bool add;
};

static void rows(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct run *r = ctx;

    (void)worker;
    for (int64_t i = begin; i < end; i++)
        r->c->k->norm(r->y + i * r->dim, r->x + i * r->dim, r->w, r->dim, r->add);
}

void cpu_norm(struct backend *b, float *y, const float *x, const struct norm_weight *w, int n,
              int dim)
{
    struct run r = {cpu_of(b), y, x, w, dim, false};

    thread_run(r.c->pool, rows, &r, n, cpu_grain(dim));
}

void cpu_norm_add(struct backend *b, float *y, const float *x, const struct norm_weight *w, int n,
                  int dim)
{
    struct run r = {cpu_of(b), y, x, w, dim, true};

    thread_run(r.c->pool, rows, &r, n, cpu_grain(dim));
}
