/* norm.c - RMSNorm on the CPU: tokens are split over threads. */
#include "cpu.h"

struct run {
    struct cpu *c;
    float *y;
    const float *x, *w;
    int dim;
    float eps;
};

static void rows(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct run *r = ctx;

    (void)worker;
    for (int64_t i = begin; i < end; i++)
        r->c->k->norm(r->y + i * r->dim, r->x + i * r->dim, r->w, r->dim, r->eps);
}

void cpu_norm(struct backend *b, float *y, const float *x, const float *w, int n, int dim,
              float eps)
{
    struct run r = {cpu_of(b), y, x, w, dim, eps};

    thread_run(r.c->pool, rows, &r, n, cpu_grain(dim));
}
