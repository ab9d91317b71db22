/* linear.c - y = W x and y += W x on the CPU: quantize activations, split rows.
 *
 * Work is split over rows of W only; every chunk sees all tokens, so that a row
 * of weights is read and unpacked once. float_isa.h and dot_isa.h do the sums. */
#include "cpu.h"

#include <string.h>

/* How rows are cut: three quarters in one piece for each worker, so that it reads
 * far in one direction, and the rest in small pieces for who is done first. */
struct cut {
    int large, small, n_large, n; // sizes in rows; numbers of pieces
};

struct run {
    struct cpu *c;
    const struct weight *w;
    const float *x;
    float *y;
    int n;
    bool add;
    struct cut cut;
    struct cpu_act act[2];          // for blocks of 32, of 256
    uint8_t *panels[BACKEND_PARTS]; // of the parts, or NULL
    bool pack[BACKEND_PARTS];       // they are being filled
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

static int round_up(int rows)
{
    return rows <= 0 ? 0 : (rows + CPU_PANEL_ROWS - 1) / CPU_PANEL_ROWS * CPU_PANEL_ROWS;
}

static struct cut cut(int rows, int workers, int64_t least)
{
    const int panel = CPU_PANEL_ROWS;
    struct cut c = {0};
    int rest;

    least = (least + panel - 1) / panel * panel;
    c.large = rows / 4 * 3 / workers / panel * panel;
    if (c.large >= least)
        c.n_large = workers;
    rest = rows - c.large * c.n_large;
    c.small = (rest / (2 * workers) + panel - 1) / panel * panel;
    if (c.small < least)
        c.small = least < rest ? (int)least : rest;
    c.n = c.n_large + (c.small ? (rest + c.small - 1) / c.small : 0);
    return c;
}

/* Rows [begin, end) of all parts; sixteen rows of a part that lie in two pieces are the first's. */
static void rows(const struct run *r, int begin, int end, int worker)
{
    const struct weight *w = r->w;
    void *scratch = r->c->scratch + (size_t)worker * r->c->scratch_bytes;
    int first = 0;

    for (int i = 0; i < w->n_parts; first += w->part[i++].rows) {
        const struct weight_part *p = &w->part[i];
        int from = round_up(begin - first), to = round_up(end - first);
        struct cpu_linear l = {.type = p->type,
                               .w = p->host,
                               .rows = p->rows,
                               .cols = w->cols,
                               .n = r->n,
                               .bias = p->bias_d,
                               .x = r->x,
                               .ldy = w->rows,
                               .add = r->add,
                               .panels = r->panels[i],
                               .pack = r->pack[i]};

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

static void pieces(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct run *r = ctx;
    const struct cut *c = &r->cut;

    for (int i = (int)begin; i < end; i++) {
        int from =
            i < c->n_large ? i * c->large : c->n_large * c->large + (i - c->n_large) * c->small;
        int to = from + (i < c->n_large ? c->large : c->small);

        rows(r, from, to < r->w->rows ? to : r->w->rows, worker);
    }
}

struct quantize {
    struct cpu *c;
    const struct cpu_act *act;
    const float *x;
    int n, cols, groups, pieces; // of tokens, of columns
};

static void quantize(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct quantize *q = ctx;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        int64_t token = i / q->pieces * q->n / q->groups;
        int from = (int)(i % q->pieces) * CPU_ACT_COLS, to = from + CPU_ACT_COLS, first;
        int of = cpu_act_group(q->n, (int)token, q->act->group, &first);

        q->c->k->quantize(q->act, q->x, q->cols, first, of, from, to < q->cols ? to : q->cols);
    }
}

/* Activations as int8 in blocks of `block`, unless they are there already. */
static bool prepare(struct run *r, int block)
{
    struct cpu *c = r->c;
    struct cpu_act *a = &r->act[block == 256];
    struct cpu_buf *buf = &c->act[block == 256];
    int most = c->k->group, groups = (r->n + most - 1) / most;
    struct quantize q = {
        c, a, r->x, r->n, r->w->cols, groups, (r->w->cols + CPU_ACT_COLS - 1) / CPU_ACT_COLS};
    size_t cols = (size_t)r->w->cols, n = (size_t)r->n, s32 = n * ((cols / 32 + 1) / 2 * 2);

    if (a->q)
        return true;
    if (!cpu_buf_grow(c, buf,
                      n * cols + n * cols / (size_t)block * 4 + n * cols / 16 * 2 + s32 * 2))
        return false;
    a->block = block;
    a->group = most;
    a->d = buf->p;
    a->s16 = (int16_t *)(a->d + n * cols / (size_t)block);
    a->s32 = a->s16 + n * cols / 16;
    a->q = (int8_t *)(a->s32 + s32);
    thread_run(c->pool, quantize, &q, (int64_t)groups * q.pieces,
               cpu_grain((int64_t)CPU_ACT_COLS * most));
    return true;
}

static void run(struct backend *b, float *y, const struct weight *w, const float *x, int n,
                bool add)
{
    struct cpu *c = cpu_of(b);
    struct run r = {.c = c, .w = w, .x = x, .y = y, .n = n, .add = add};

    if (c->failed.code != ERR_NONE || n < 1)
        return;
    for (int i = 0, block; i < w->n_parts; i++) {
        block = act_block(w->part[i].type);
        if (block && !prepare(&r, block))
            return;
    }
    for (int i = 0; i < w->n_parts; i++) {
        struct cpu_matrix *m = w->part[i].w_d;

        r.panels[i] = m->panels ? m->panels : cpu_panels(c, m);
        r.pack[i] = r.panels[i] && !m->panels;
    }
    r.cut = cut(w->rows, c->n_threads, cpu_grain((int64_t)w->cols * n));
    cpu_ahead(c, w->part[0].w_d,
              (size_t)(r.cut.n_large ? r.cut.large : r.cut.small) *
                  tensor_row_bytes(w->part[0].type, w->cols));
    thread_run(c->pool, pieces, &r, r.cut.n, 1);
    for (int i = 0; i < w->n_parts; i++)
        if (r.pack[i])
            cpu_panels_filled(w->part[i].w_d, r.panels[i]);
}

void cpu_linear(struct backend *b, float *y, const struct weight *w, const float *x, int n)
{
    run(b, y, w, x, n, false);
}

void cpu_linear_add(struct backend *b, float *y, const struct weight *w, const float *x, int n)
{
    run(b, y, w, x, n, true);
}
