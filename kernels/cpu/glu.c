/* glu.c - nonlinearities on the CPU: the feed-forward's are split over tokens, soft caps over
 * values.
 */
#include "cpu.h"

enum { PIECE = 1024 }; // values of a soft cap that are handed out together

struct run {
    struct cpu *c;
    float *y;
    const float *gu;
    const struct ffn_shape *f;
};

static void rows(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct run *r = ctx;
    int dim = r->f->dim;

    (void)worker;
    for (int64_t i = begin; i < end; i++)
        r->c->k->glu(r->y + i * dim, r->gu + i * dim * (r->f->gated ? 2 : 1), r->f);
}

void cpu_glu(struct backend *b, float *y, const float *gu, const struct ffn_shape *f, int n)
{
    struct run r = {cpu_of(b), y, gu, f};

    thread_run(r.c->pool, rows, &r, n, cpu_grain((int64_t)f->dim * 8));
}

struct cap {
    struct cpu *c;
    float *x, cap;
    int64_t n;
};

static void pieces(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct cap *r = ctx;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        int64_t n = r->n - i * PIECE;

        r->c->k->softcap(r->x + i * PIECE, r->cap, n < PIECE ? (int)n : PIECE);
    }
}

void cpu_softcap(struct backend *b, float *x, float cap, int n, int dim)
{
    struct cap r = {cpu_of(b), x, cap, (int64_t)n * dim};

    thread_run(r.c->pool, pieces, &r, (r.n + PIECE - 1) / PIECE, cpu_grain(PIECE * 8));
}
