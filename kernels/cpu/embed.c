/* embed.c - rows in and out of the stream on the CPU: embed and gather. */
#include "cpu.h"
#include "quant.h"

#include <string.h>

enum { PIECE = 256 }; // values that are added at a time: a multiple of every block

struct run {
    float *y;
    const struct weight *w, *positions;
    float scale;
    const struct step *s;
};

/* y += a row. */
static void add_row(const struct weight *w, int32_t row, float *y)
{
    const struct weight_part *p = &w->part[0];
    const uint8_t *at = (const uint8_t *)p->host + (size_t)row * tensor_row_bytes(p->type, w->cols);
    float t[PIECE];

    for (int i = 0; i < w->cols; i += PIECE) {
        int n = w->cols - i < PIECE ? w->cols - i : PIECE;

        quant_read(p->type, at + tensor_row_bytes(p->type, i), t, n);
        for (int j = 0; j < n; j++)
            y[i + j] += t[j];
    }
}

static void rows(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct run *r = ctx;
    const struct weight_part *p = &r->w->part[0];
    const uint8_t *table = p->host;
    size_t bytes = tensor_row_bytes(p->type, r->w->cols);

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        float *y = r->y + i * r->w->cols;

        quant_read(p->type, table + (size_t)r->s->token[i] * bytes, y, r->w->cols);
        for (int j = 0; j < r->w->cols; j++)
            y[j] *= r->scale;
        if (r->positions)
            add_row(r->positions, r->s->pos[i], y);
    }
}

void cpu_embed(struct backend *b, float *y, const struct weight *w, const struct weight *positions,
               float scale, const struct step *s)
{
    struct run r = {y, w, positions, scale, s};

    thread_run(cpu_of(b)->pool, rows, &r, s->n, cpu_grain(w->cols));
}

void cpu_gather(struct backend *b, float *y, const float *x, const struct step *s, int dim)
{
    (void)b;
    for (int i = 0; i < s->n_out; i++)
        memcpy(y + (size_t)i * (size_t)dim, x + (size_t)s->out[i] * (size_t)dim,
               (size_t)dim * sizeof(*y));
}
