/* queue.c - products, and ops that wait for those behind them.
 *
 * Of few tokens, what an op computes is soon read by the next one, and what counts is how many
 * kernels there are. So some wait: a norm, a product, then its nonlinearity or its positions; as
 * soon as an op comes that does not belong there, all that wait are queued, as few kernels. Norms
 * of many tokens, and attention, wait alone, for a product that they may leave activations for. A
 * product of pairs of rows waits for their nonlinearity, whatever the tokens; for positions, of
 * steps that are recorded. Every op's result is written, whether anybody reads it or not, but what
 * a nonlinearity takes. */
#include "device.h"
#include "tensor.h"

#include <string.h>

/* What is done in one kernel ahead of a product with half floats: its norm, or its activations; up
 * to so many tokens and of rows up to FUSED_COLS, no byte depends on it. By gpu_bench on an H200,
 * which runs the same step with and without: it saves 5 % of a step of the 1B shape with one token,
 * 1 % with two, and costs 4 to 7 % with more; of the 8B shape it costs 5 % with one token and
 * nothing with more. (With quantized weights it cost 10 to 35 %, and is not done: what each block
 * does again costs more than the kernel that it stands for.) */
enum { FUSED_COLS = 2048, FUSED_TOKENS = 2 };

__attribute__((visibility("default"))) void llm_cuda_fuse(struct backend *b, int most);

/* For measurements and tests: up to so many tokens; 0: nothing; -1: as the table says. */
void llm_cuda_fuse(struct backend *b, int most)
{
    cuda_flush(cuda_of(b), NULL);
    cuda_graphs_drop(cuda_of(b));
    cuda_of(b)->most = most;
}

enum { FEW_TOKENS = 8, HEAD_BYTES = 48 << 10 }; // shared memory of a head

static bool half(int type)
{
    return type == T_F16 || type == T_BF16;
}

/* May the blocks of products by w make the activations of n tokens? */
static bool fused(const struct cuda *c, const struct weight *w, int n)
{
    int most = c->most >= 0 ? c->most : w->cols > FUSED_COLS ? 0 : FUSED_TOKENS;

    for (int i = 0; i < w->n_parts; i++) {
        const struct cuda_rows *r = w->part[i].w_d;

        if (r && (!half(r->m.type) || n > most || n > FEW_TOKENS))
            return false;
    }
    return true;
}

static bool idle(const struct cuda *c, int n)
{
    return c->failed.code != ERR_NONE || c->broken || n < 1;
}

bool cuda_ready(struct cuda *c, int n)
{
    cuda_flush(c, NULL);
    return !idle(c, n);
}

/* ---- activations ---- */

static int block_of(int type)
{
    int block = matrix_format(type).block;

    return block == 16 ? 32 : block;
}

/* Can what waits leave x as activations of a type? A norm or a nonlinearity by itself can, and one
 * behind a product for BF16; and attention of few tokens, each of its own sequence. */
static bool leaves(const struct cuda *c, int type, const float *x, int n, int cols)
{
    const struct cuda_op *last = c->n_ops ? &c->op[c->n_ops - 1] : NULL;

    if (!last || last->y != x || last->n != n || last->dim != cols || type == T_F16 ||
        cols % (matrix_format(type).block == 256 ? 256 : 64))
        return false;
    if (last->kind == CUDA_ATTN) // a block has a head's values, or those of neighbouring heads
        return c->most && n <= CUDA_GRAPH_TOKENS && !c->now.runs && block_of(type) != 256 &&
               last->attn.head_dim % 32 == 0;
    if (c->n_ops > 1) // the product in between does not read them
        return last->kind == CUDA_GLU && type == T_BF16 && !last[-1].acts[CUDA_ACT_NEXT].n;
    return (last->kind == CUDA_NORM || last->kind == CUDA_GLU) && cols <= CUDA_FUSED;
}

/* x as activations for a type, once an op and kind; acts[k].n 0: not there yet. */
static const struct cuda_act *prepare(struct cuda *c, struct cuda_act acts[CUDA_ACTS], int type,
                                      const float *x, int n, int cols)
{
    int block = block_of(type), k = type == T_F16    ? CUDA_ACT_F16
                                    : type == T_BF16 ? CUDA_ACT_BF16
                                                     : (block == 256 ? CUDA_ACT_256 : CUDA_ACT_32);

    if (k == CUDA_ACT_BF16 && c->n_ops > 1 && leaves(c, type, x, n, cols))
        k = CUDA_ACT_NEXT; // that product may be reading the other one
    if (acts[CUDA_ACT_NEXT].n && k == CUDA_ACT_BF16)
        k = CUDA_ACT_NEXT;
    if (acts[k].n)
        return &acts[k];
    if (!leaves(c, type, x, n, cols))
        cuda_flush(c, NULL); // a product that waits reads activations that may have to move
    if (!cuda_grow(c, &c->act[k], cuda_act_bytes(n, cols, block)))
        return NULL;
    acts[k] = cuda_act_place(c->act[k].p, n, cols, block);
    if (c->n_ops) {
        cuda_flush(c, &acts[k]);
        return &acts[k];
    }
    if (block == 1)
        cuda_act_half(&acts[k], x, type, c->stream);
    else
        cuda_act_quantize(&acts[k], x, c->stream);
    return &acts[k];
}

/* ---- products ---- */

/* The type of the first rows of a weight. */
static int type_of(const struct weight *w)
{
    return ((const struct cuda_rows *)w->part[0].w_d)->m.type;
}

/* Do (n, dim) values at a and (n, of) at b touch? */
static bool touch(const float *a, int dim, const float *b, int of, int n)
{
    uintptr_t p = (uintptr_t)a, q = (uintptr_t)b;

    return p < q + (size_t)n * (size_t)of * sizeof(float) &&
           q < p + (size_t)n * (size_t)dim * sizeof(float);
}

/* With half floats, half_wide.cu is as fast as cuBLAS, which needs them laid out anew. */
static bool by_blas(const struct cuda *c, const struct cuda_op *p)
{
    if (!c->blas || p->n <= CUDA_GRAPH_TOKENS)
        return false;
    for (int i = 0; i < p->w.n_parts; i++) {
        const struct cuda_rows *r = p->w.part[i].w_d;

        if (r && !(half(r->m.type) && cuda_linear_is_wide(&r->m, p->n, c->sms)))
            return true;
    }
    return false;
}

/* Do gate and up stand in pairs in p's matrix, and may p leave their nonlinearity in their place?
 */
static bool paired(const struct cuda *c, const struct cuda_op *p)
{
    const struct cuda_rows *r = p->w.part[0].w_d;

    return c->most && !p->add && matrix_halves(&r->m) && r->m.rows == p->w.rows && !by_blas(c, p);
}

/* May the blocks of product p make its activations? norm: of the norm that waits. */
static bool head_fits(const struct cuda *c, const struct cuda_op *p, const struct cuda_op *norm)
{
    const int cols = p->w.cols;

    if (!fused(c, &p->w, p->n))
        return false;
    if (norm &&
        (norm->kind != CUDA_NORM || norm->add || norm->y == norm->x || norm->y != p->x ||
         norm->n != p->n || norm->dim != cols || touch(norm->x, cols, p->y, p->w.rows, p->n) ||
         touch(norm->y, cols, p->y, p->w.rows, p->n)))
        return false;
    return cols % MATRIX_TILE == 0 &&
           cuda_act_bytes(p->n, cols, 1) +
                   (norm ? (size_t)(p->n + 1) * (size_t)cols * sizeof(float) : 0) <=
               HEAD_BYTES;
}

/* Blocks of one kernel are in no order: what some of them write behind product p no other may read
 * or write ahead of it. A norm's values that are overwritten need not be written. */
static bool tail_safe(const struct cuda_op *p, const struct cuda_op *norm, const struct cuda_op *op)
{
    if (op->kind == CUDA_ROPE)
        return true; // its results stand where the product's do
    if (touch(op->y, op->dim, p->y, p->w.rows, p->n))
        return false;
    if (norm)
        return !touch(op->y, op->dim, norm->x, norm->dim, p->n) &&
               (!touch(op->y, op->dim, norm->y, norm->dim, p->n) ||
                (op->y == norm->y && op->dim >= norm->dim));
    return !p->head || !touch(op->y, op->dim, p->x, p->w.cols, p->n);
}

/* May op stand behind the product that waits? */
static bool tail_fits(const struct cuda *c, const struct cuda_op *op)
{
    const struct cuda_op *p = c->n_ops ? &c->op[c->n_ops - 1] : NULL;
    const struct cuda_attn *a = &op->attn;

    if (!p || p->kind != CUDA_LINEAR || p->add || p->y != op->x || p->n != op->n ||
        !tail_safe(p, c->n_ops > 1 ? &c->op[0] : NULL, op))
        return false;
    if (op->kind == CUDA_GLU)
        return op->gated && 2 * op->dim == p->w.rows && paired(c, p);
    const int apart = a->rope_pairs_apart ? a->rope_dims / 2 : 1;
    if (!c->most || p->n > CUDA_GRAPH_TOKENS || !a->rope_dims || a->q_norm.w || a->k_norm.w ||
        a->head_dim % (2 * apart) || (a->n_heads + 2 * a->n_kv_heads) * a->head_dim != p->w.rows)
        return false;
    for (int i = 0, row = 0; i < p->w.n_parts; row += p->w.part[i++].rows) {
        const struct cuda_rows *r = p->w.part[i].w_d;

        // registers of the kernels for more tokens do not suffice, but with half floats
        if (r && (r->m.apart != apart || r->m.rows % a->head_dim || row % a->head_dim ||
                  (p->n > FEW_TOKENS && !half(r->m.type))))
            return false;
    }
    return true;
}

/* The angles of the step for an op of positions, behind all that is queued; NULL: no room. */
static void *angles(struct cuda *c, const struct cuda_op *op)
{
    const struct cuda_attn *a = &op->attn;
    struct cuda_angles *g = c->angles;
    struct cuda_turn t;

    while (g->inv_freq && (g->inv_freq != a->inv_freq || g->rope_dims != a->rope_dims) &&
           g < c->angles + CUDA_TURNS - 1)
        g++;
    if (g->inv_freq == a->inv_freq && g->rope_dims == a->rope_dims)
        return g->room.p;
    if (!cuda_grow(c, &g->room, cuda_turn_bytes(c->now.n, a->rope_dims)))
        return NULL;
    g->inv_freq = a->inv_freq; // the last one may have been another's
    g->rope_dims = a->rope_dims;
    cuda_turn_of(&t, g->room.p, a, &op->kv, op->layer, &c->now);
    cuda_turn_fill(&t, a, &c->now, c->stream);
    return g->room.p;
}

/* A product by one matrix of its weight, for few tokens. */
static void multiply_few(struct cuda *c, const struct cuda_op *p, const struct cuda_matrix *m,
                         const struct cuda_act *a, const struct cuda_head *head)
{
    if (half(m->type))
        cuda_linear_half_few(p->y, p->w.rows, p->add, m, a, head, c->sms, c->stream);
    else if (a->block == 256)
        cuda_linear_few_k(p->y, p->w.rows, p->add, m, a, c->sms, c->stream);
    else
        cuda_linear_few(p->y, p->w.rows, p->add, m, a, c->sms, c->stream);
}

static void multiply_many(struct cuda *c, const struct cuda_op *p, const struct cuda_matrix *m,
                          const struct cuda_act *a)
{
    if (half(m->type)) {
        size_t part = cuda_linear_part_bytes(m, p->n, c->sms);

        if (!part || cuda_grow(c, &c->part, part))
            cuda_linear_half(p->y, p->w.rows, p->add, m, a, c->part.p, c->sms, c->stream);
    } else {
        cuda_linear_many(p->y, p->w.rows, p->add, m, a, c->sms, c->stream);
    }
}

/* Product p, with a norm ahead and an op behind it where these are not NULL. */
static void multiply(struct cuda *c, struct cuda_op *p, const struct cuda_op *norm,
                     const struct cuda_op *op, const struct cuda_act *out)
{
    struct cuda_head head = {.kind = CUDA_HEAD_NONE};
    struct cuda_turn turn = {.by = NULL};
    struct cuda_glu glu = {NULL, 0, {0}};

    if (p->head)
        head = norm ? (struct cuda_head){CUDA_HEAD_NORM, norm->x, norm->y, norm->norm}
                    : (struct cuda_head){.kind = CUDA_HEAD_ROWS, .x = p->x};
    if (op && op->kind == CUDA_GLU)
        glu = (struct cuda_glu){.y = op->y, .act = op->act};
    if (op && norm && op->kind == CUDA_GLU && op->y == norm->y)
        head.y = NULL; // it is overwritten
    if (op && op->kind == CUDA_GLU && out)
        glu.a = *out;
    if (op && op->kind == CUDA_ROPE) {
        void *room = angles(c, op);

        if (!room)
            return;
        cuda_turn_of(&turn, room, &op->attn, &op->kv, op->layer, &c->now);
    }
    for (int i = 0, row = 0; i < p->w.n_parts && !idle(c, p->n); row += p->w.part[i++].rows) {
        struct cuda_rows *r = p->w.part[i].w_d;
        const struct cuda_act *a = NULL;
        struct cuda_act own = {.n = p->n, .cols = p->w.cols};
        struct cuda_matrix m;

        if (!r)
            continue;
        m = r->m;
        m.row0 = row;
        m.glu = glu;
        m.turn = turn;
        own.block = block_of(m.type);
        if (by_blas(c, p))
            cuda_blas_product(c, p->y, p->w.rows, p->add, &m, p->n);
        else if (m.type == T_F32)
            cuda_linear_float(p->y, p->w.rows, p->add, &m, p->x, p->n, c->stream);
        else if (!(a = p->head ? &own : prepare(c, p->acts, m.type, p->x, p->n, p->w.cols)))
            return;
        else if (p->n <= FEW_TOKENS)
            multiply_few(c, p, &m, a, &head);
        else
            multiply_many(c, p, &m, a);
        head.y = NULL; // it is written
    }
}

/* What waits is queued, and what product p reads is there: its activations too, unless its blocks
 * make them. */
static bool inputs(struct cuda *c, struct cuda_op *p)
{
    if (by_blas(c, p)) {
        cuda_flush(c, NULL);
        return cuda_blas_act(c, p->x, p->n, p->w.cols);
    }
    for (int i = 0; i < p->w.n_parts && !p->head; i++) {
        const struct cuda_rows *r = p->w.part[i].w_d;

        if (r && r->m.type != T_F32 && !prepare(c, p->acts, r->m.type, p->x, p->n, p->w.cols))
            return false;
    }
    cuda_flush(c, NULL);
    return true;
}

/* ---- the queue ---- */

void cuda_flush(struct cuda *c, const struct cuda_act *a)
{
    struct cuda_op op[CUDA_OPS];
    int n = c->n_ops, p = n > 1 && c->op[0].kind != CUDA_LINEAR; // of the product, if there is one

    if (!n)
        return;
    memcpy(op, c->op, (size_t)n * sizeof(*op));
    c->n_ops = 0;
    if (op[p].kind == CUDA_LINEAR)
        multiply(c, &op[p], p ? &op[0] : NULL, p + 1 < n ? &op[p + 1] : NULL, a);
    else if (op[0].kind == CUDA_NORM)
        cuda_norm(op[0].y, op[0].x, &op[0].norm, op[0].n, op[0].dim, op[0].add, a, c->stream);
    else if (op[0].kind == CUDA_GLU)
        cuda_glu(op[0].y, op[0].x, op[0].n, op[0].dim, op[0].gated, op[0].act, a, c->stream);
    else if (op[0].kind == CUDA_ATTN)
        cuda_attn(op[0].y, op[0].x, &op[0].attn, &op[0].kv, op[0].layer, &c->now, c->attn.p, a,
                  c->stream);
    else
        cuda_rope_kv(op[0].y, &op[0].attn, &op[0].kv, op[0].layer, &c->now, c->stream);
}

static void add(struct cuda *c, const struct cuda_op *op)
{
    c->op[c->n_ops++] = *op;
    if (op->kind == CUDA_ROPE ||
        (op->kind == CUDA_LINEAR && (op->add || (op->n > CUDA_GRAPH_TOKENS && !paired(c, op)))))
        cuda_flush(c, NULL); // nothing is done with it
}

static void push_product(struct cuda *c, const struct cuda_op *op)
{
    struct cuda_op p = *op;

    p.head = c->n_ops == 1 && head_fits(c, &p, &c->op[0]);
    if (p.head) {
        add(c, &p);
        return;
    }
    p.head = !leaves(c, type_of(&p.w), p.x, p.n, p.w.cols) && head_fits(c, &p, NULL);
    if (!inputs(c, &p) || idle(c, p.n))
        return;
    add(c, &p);
}

void cuda_push(struct cuda *c, const struct cuda_op *op)
{
    if (idle(c, op->n)) {
        cuda_flush(c, NULL);
        return;
    }
    if (op->kind == CUDA_LINEAR) {
        push_product(c, op);
        return;
    }
    if (op->kind == CUDA_NORM || op->kind == CUDA_ATTN || !tail_fits(c, op))
        cuda_flush(c, NULL);
    if (!idle(c, op->n))
        add(c, op);
}
