/* linear.c - y = W x and y += W x on the CPU: quantize activations, split rows.
 *
 * Work is split over rows of W only; every chunk sees all tokens, so that a row
 * of weights is read and unpacked once. float_isa.h and dot_isa.h do the sums. */
#include "cpu.h"

#include <string.h>

struct run {
    struct cpu *c;
    const struct weight *w;
    const float *x;
    float *y;
    int n;
    bool add;
    bool rows;             // activations in rows, never in tiles
    struct cpu_act act[2]; // for blocks of 32, of 256
};

/* Values that share a scale in the activations for a type: 0 for float weights. */
static int act_block(enum tensor_type t)
{
    int block = tensor_block(t);

    return block == 1 ? 0 : block == 256 ? 256 : 32;
}

size_t cpu_scratch_bytes(int cols)
{
    size_t panel = (size_t)CPU_PANEL_ROWS * (size_t)cols * sizeof(float);

    return (panel + 64 + 63) / 64 * 64;
}

static void rows(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct run *r = ctx;
    const struct weight *w = r->w;
    void *scratch = r->c->scratch + (size_t)worker * r->c->scratch_bytes;
    int first = 0;

    for (int i = 0; i < w->n_parts; first += w->part[i++].rows) {
        const struct weight_part *p = &w->part[i];
        int from = (int)begin - first, to = (int)end - first;
        struct cpu_linear l = {.type = p->type,
                               .w = p->w_d,
                               .rows = p->rows,
                               .cols = w->cols,
                               .n = r->n,
                               .bias = p->bias_d,
                               .x = r->x,
                               .ldy = w->rows,
                               .add = r->add};

        from = from < 0 ? 0 : from;
        to = to > p->rows ? p->rows : to;
        if (from >= to)
            continue;
        l.row_bytes = tensor_row_bytes(p->type, w->cols);
        l.y = r->y + first;
        if (!act_block(p->type)) {
            r->c->k->linear_float(&l, from, to, scratch);
        } else {
            l.act = r->act[act_block(p->type) == 256];
            r->c->k->linear_quant(&l, from, to, scratch);
        }
    }
}

struct quantize {
    struct cpu *c;
    struct cpu_act *act;
    const float *x;
    int n, cols;
};

static void quantize(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct quantize *q = ctx;

    (void)worker;
    for (int64_t i = begin; i < end; i++)
        q->c->k->quantize(q->act, q->x, q->n, q->cols, (int)i);
}

/* Activations as int8 in blocks of `block`, unless they are there already. */
static bool prepare(struct run *r, int block)
{
    struct cpu *c = r->c;
    struct cpu_act *a = &r->act[block == 256];
    struct cpu_buf *buf = &c->act[block == 256];
    struct quantize q = {c, a, r->x, r->n, r->w->cols};
    bool tiled = !r->rows && r->n >= c->k->tile_from;
    int items = tiled ? (r->n + CPU_LANES - 1) / CPU_LANES : r->n;
    size_t n = (size_t)items * (tiled ? CPU_LANES : 1) * (size_t)r->w->cols;

    if (a->q)
        return true;
    if (!cpu_buf_grow(c, buf, n + n / (size_t)block * sizeof(float) + n / 32 * sizeof(int32_t)))
        return false;
    a->block = block;
    a->tiled = tiled;
    a->s = buf->p;
    a->d = (float *)(a->s + n / 32);
    a->q = (int8_t *)(a->d + n / (size_t)block);
    thread_run(c->pool, quantize, &q, items, cpu_grain((int64_t)r->w->cols * (tiled ? 64 : 4)));
    return true;
}

static void run(struct backend *b, float *y, const struct weight *w, const float *x, int n,
                bool add)
{
    struct cpu *c = cpu_of(b);
    struct run r = {.c = c, .w = w, .x = x, .y = y, .n = n, .add = add};
    int64_t grain;

    if (c->failed.code != ERR_NONE || n < 1)
        return;
    for (int i = 0; i < w->n_parts; i++)
        r.rows |= cpu_is_plain(w->part[i].type);
    for (int i = 0, block; i < w->n_parts; i++) {
        block = act_block(w->part[i].type);
        if (block && !prepare(&r, block))
            return;
    }
    grain = cpu_grain((int64_t)w->cols * n) + CPU_PANEL_ROWS - 1;
    grain -= grain % CPU_PANEL_ROWS;
    thread_run(c->pool, rows, &r, w->rows, grain);
}

void cpu_linear(struct backend *b, float *y, const struct weight *w, const float *x, int n)
{
    run(b, y, w, x, n, false);
}

void cpu_linear_add(struct backend *b, float *y, const struct weight *w, const float *x, int n)
{
    run(b, y, w, x, n, true);
}
