/* embed.c - rows in and out of the stream on the CPU: embed and gather. */
#include "cpu.h"
#include "quant.h"

#include <string.h>

struct run {
    float *y;
    const struct weight *w;
    const struct step *s;
};

static void rows(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct run *r = ctx;
    const struct weight_part *p = &r->w->part[0];
    const uint8_t *table = p->w_d;
    size_t bytes = tensor_row_bytes(p->type, r->w->cols);

    (void)worker;
    for (int64_t i = begin; i < end; i++)
        quant_read(p->type, table + (size_t)r->s->token[i] * bytes, r->y + i * r->w->cols,
                   r->w->cols);
}

void cpu_embed(struct backend *b, float *y, const struct weight *w, const struct step *s)
{
    struct run r = {y, w, s};

    thread_run(cpu_of(b)->pool, rows, &r, s->n, cpu_grain(w->cols));
}

void cpu_gather(struct backend *b, float *y, const float *x, const struct step *s, int dim)
{
    (void)b;
    for (int i = 0; i < s->n_out; i++)
        memcpy(y + (size_t)i * (size_t)dim, x + (size_t)s->out[i] * (size_t)dim,
               (size_t)dim * sizeof(*y));
}
