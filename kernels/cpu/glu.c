/* glu.c - SwiGLU's gate on the CPU: tokens are split over threads. */
#include "cpu.h"

struct run {
    struct cpu *c;
    float *y;
    const float *gu;
    int dim;
};

static void rows(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct run *r = ctx;

    (void)worker;
    for (int64_t i = begin; i < end; i++)
        r->c->k->glu(r->y + i * r->dim, r->gu + i * 2 * r->dim, r->dim);
}

void cpu_glu(struct backend *b, float *y, const float *gu, int n, int dim)
{
    struct run r = {cpu_of(b), y, gu, dim};

    thread_run(r.c->pool, rows, &r, n, cpu_grain((int64_t)dim * 8));
}
