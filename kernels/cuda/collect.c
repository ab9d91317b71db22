/* collect.c - ops of a step of one token that are whole layers, for the kernel that does all of
 * them (layers.h).
 *
 * Ops are kept as they come while they are those of a layer, in order and on the same four buffers;
 * the first other one, or whoever waits for a result, has the whole layers queued as one kernel and
 * what is left of the next one op by op. What each op leaves in its buffer is there in the end, but
 * for values that are overwritten. Layers of other kinds, shapes that do not fit, trees and long
 * contexts take the way of queue.c: this is the one place that decides. */
#include "device.h"
#include "tensor.h"

#include <stdlib.h>
#include <string.h>

/* Steps of up to so many tokens: 0 or 1. It has not been measured yet, so it is off but for
 * measurements and tests. */
enum { LAYERS_TOKENS = 0 };

__attribute__((visibility("default"))) int llm_cuda_layers(struct backend *b, int most);

/* For measurements and tests: as LAYERS_TOKENS; -1: as that says. How many layers have been queued
 * so since it was called last. */
int llm_cuda_layers(struct backend *b, int most)
{
    struct cuda *c = cuda_of(b);
    int n;

    cuda_flush(c, NULL);
    cuda_graphs_drop(c);
    n = c->collect.layers;
    c->collect.layers = 0;
    c->collect.most = most;
    return n;
}

/* A layer's ops, and which buffers they write and read. */
enum { X, H, QKV, GU };
static const struct {
    int kind;
    bool add;
    int y, x;
} layer_op[CUDA_LAYER_OPS] = {
    {CUDA_NORM, false, H, X},    {CUDA_LINEAR, false, QKV, H}, {CUDA_ROPE, false, QKV, QKV},
    {CUDA_ATTN, false, H, QKV},  {CUDA_LINEAR, true, X, H},    {CUDA_NORM, false, H, X},
    {CUDA_LINEAR, false, GU, H}, {CUDA_GLU, false, H, GU},     {CUDA_LINEAR, true, X, H},
};
enum { OP_NORM, OP_QKV, OP_ROPE, OP_ATTN, OP_O, OP_NORM_2, OP_GATE_UP, OP_GLU, OP_DOWN };
static const int product_op[LAYER_PRODUCTS] = {OP_QKV, OP_O, OP_GATE_UP, OP_DOWN};

/* The one matrix of a weight; NULL: it has several, or of a type that the kernel does not have. */
static const struct cuda_matrix *matrix_of(const struct weight *w)
{
    const struct cuda_rows *r = w->part[0].w_d;

    for (int i = 1; i < w->n_parts; i++)
        if (w->part[i].w_d)
            return NULL;
    return r && r->m.type != T_F32 && r->m.cols % MATRIX_TILE == 0 && r->m.rows % MATRIX_ROWS == 0
               ? &r->m
               : NULL;
}

/* Is op the next of the layer at hand? */
static bool next_op(const struct cuda_collect *k, const struct cuda_op *op)
{
    float *const y = k->buf[layer_op[k->at].y];
    const float *const x = k->buf[layer_op[k->at].x];

    return op->n == 1 && (int)op->kind == layer_op[k->at].kind && op->add == layer_op[k->at].add &&
           (!y || y == op->y) && (!x || x == op->x) && (op->kind != CUDA_GLU || op->gated) &&
           (op->kind != CUDA_LINEAR || matrix_of(&op->w));
}

static bool same_norm(const struct cuda_norm *a, const struct cuda_norm *b)
{
    return a->kind == b->kind && a->eps == b->eps && a->w == b->w && a->b == b->b;
}

static bool same_attn(const struct cuda_attn *a, const struct cuda_attn *b)
{
    return a->n_heads == b->n_heads && a->n_kv_heads == b->n_kv_heads &&
           a->head_dim == b->head_dim && a->rope_dims == b->rope_dims &&
           a->rope_pairs_apart == b->rope_pairs_apart && a->scale == b->scale &&
           a->softcap == b->softcap;
}

static bool apart(const float *a, int n, const float *b, int m)
{
    uintptr_t p = (uintptr_t)a, q = (uintptr_t)b;

    return p + (size_t)n * sizeof(float) <= q || q + (size_t)m * sizeof(float) <= p;
}

/* What the layer's ops have in common with each other, and buffers that do not touch. */
static bool whole(const struct cuda_collect *k)
{
    const struct cuda_op *o = k->op;
    const struct cuda_attn *a = &o[OP_ROPE].attn, *b = &o[OP_ATTN].attn;
    const int dim = o[OP_NORM].dim, ffn = o[OP_GLU].dim, heads = a->n_heads * a->head_dim;
    const int rows[LAYER_PRODUCTS] = {heads + 2 * a->n_kv_heads * a->head_dim, dim, 2 * ffn, dim};
    const int cols[LAYER_PRODUCTS] = {dim, heads, dim, ffn};
    const int size[4] = {dim, ffn > heads ? ffn : heads, rows[LAYER_QKV], 2 * ffn};

    for (int i = 0; i < LAYER_PRODUCTS; i++)
        if (o[product_op[i]].w.rows != rows[i] || o[product_op[i]].w.cols != cols[i] ||
            matrix_of(&o[product_op[i]].w)->type != matrix_of(&o[OP_QKV].w)->type)
            return false;
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < i; j++)
            if (!apart(k->buf[i], size[i], k->buf[j], size[j]))
                return false;
    return o[OP_NORM_2].dim == dim && ffn >= dim && ffn % MATRIX_ROWS == 0 && same_attn(a, b) &&
           a->window == b->window && a->inv_freq == b->inv_freq &&
           same_norm(&a->q_norm, &b->q_norm) && same_norm(&a->k_norm, &b->k_norm) &&
           o[OP_ROPE].kv.data == o[OP_ATTN].kv.data && o[OP_ROPE].layer == o[OP_ATTN].layer;
}

/* What all layers of a kernel have in common. */
static struct cuda_layers common(const struct cuda *c)
{
    const struct cuda_collect *k = &c->collect;
    struct cuda_layers l = {.type = matrix_of(&k->op[OP_QKV].w)->type,
                            .act = k->op[OP_GLU].act,
                            .attn = k->op[OP_ATTN].attn,
                            .kv_type = k->op[OP_ATTN].kv.type,
                            .st = c->now,
                            .x = k->buf[X],
                            .h = k->buf[H],
                            .qkv = k->buf[QKV],
                            .gu = k->buf[GU]};

    for (int i = 0; i < LAYER_PRODUCTS; i++) {
        l.rows[i] = k->op[product_op[i]].w.rows;
        l.cols[i] = k->op[product_op[i]].w.cols;
    }
    return l;
}

static bool alike(const struct cuda_layers *a, const struct cuda_layers *b)
{
    return a->type == b->type && a->act == b->act && a->kv_type == b->kv_type &&
           same_attn(&a->attn, &b->attn) && !memcmp(a->rows, b->rows, sizeof(a->rows)) &&
           !memcmp(a->cols, b->cols, sizeof(a->cols));
}

/* The same layers in device memory, which stay for as long as it is open. */
static const struct cuda_layer *table(struct cuda *c, const struct cuda_layer *layer, int n)
{
    size_t bytes = (size_t)n * sizeof(*layer);
    struct cuda_laid *t = c->collect.laid;

    while (t && (t->n != n || memcmp(t->layer, layer, bytes)))
        t = t->next;
    if (t)
        return t->layer_d;
    if (c->recording) {
        c->broken = true;
        return NULL;
    }
    t = calloc(1, sizeof(*t) + bytes);
    if (!t || !cuda_ok(c, cudaMalloc((void **)&t->layer_d, bytes), "layers")) {
        free(t);
        return NULL;
    }
    t->n = n;
    memcpy(t->layer, layer, bytes);
    t->next = c->collect.laid;
    c->collect.laid = t;
    return cuda_ok(c, cudaMemcpyAsync(t->layer_d, layer, bytes, cudaMemcpyHostToDevice, c->stream),
                   "layers") &&
                   cuda_ok(c, cudaStreamSynchronize(c->stream), "layers")
               ? t->layer_d
               : NULL;
}

/* Two words where blocks meet. */
static bool meeting(struct cuda *c)
{
    bool there = c->collect.met.p != NULL;

    return cuda_grow(c, &c->collect.met, 256) &&
           (there || cuda_ok(c, cudaMemsetAsync(c->collect.met.p, 0, 256, c->stream), "layers"));
}

/* The whole layers are queued. */
static void run(struct cuda *c)
{
    struct cuda_collect *k = &c->collect;
    struct cuda_layers *l = &k->l;
    const int ffn = l->cols[LAYER_DOWN];

    l->n = k->n;
    k->n = 0;
    if (!cuda_grow(c, &c->attn, cuda_attn_bytes(&l->attn, 1, c->now.n_ranges)) || !meeting(c) ||
        (l->type == T_BF16 && !cuda_grow(c, &c->act[CUDA_ACT_NEXT], cuda_act_bytes(1, ffn, 1))))
        return;
    l->layer = table(c, k->layer, l->n);
    if (!l->layer)
        return;
    l->st = c->now;
    l->part = c->attn.p;
    l->met = c->collect.met.p;
    if (l->type == T_BF16)
        l->next = cuda_act_place(c->act[CUDA_ACT_NEXT].p, 1, ffn, 1);
    cuda_layers_run(l, c->sms, c->stream);
    k->layers += l->n;
}

/* Ops of a layer that are there go the other way. */
static void give_back(struct cuda *c)
{
    struct cuda_collect *k = &c->collect;
    int n = k->at;

    k->at = 0;
    k->busy = true;
    for (int i = 0; i < n; i++)
        cuda_push(c, &k->op[i]);
    k->busy = false;
}

void cuda_collected(struct cuda *c)
{
    struct cuda_collect *k = &c->collect;

    if (k->busy || (!k->n && !k->at))
        return;
    k->busy = true;
    if (k->n)
        run(c);
    give_back(c);
    memset(k->buf, 0, sizeof(k->buf));
}

/* The layer whose ops are all there is one more. */
static void add_layer(struct cuda *c)
{
    struct cuda_collect *k = &c->collect;
    const struct cuda_op *o = k->op;
    const struct cuda_attn *a = &o[OP_ATTN].attn;
    struct cuda_layers l;
    struct cuda_layer *to;

    if (whole(k)) {
        l = common(c);
        if (k->n && (k->n == LAYERS_MOST || !alike(&l, &k->l)))
            run(c);
        if (k->n || cuda_layers_fit(&l, c->sms)) {
            to = &k->layer[k->n++];
            memset(to, 0, sizeof(*to));
            for (int i = 0; i < LAYER_PRODUCTS; i++)
                to->w[i] = *matrix_of(&o[product_op[i]].w);
            to->norm[0] = o[OP_NORM].norm;
            to->norm[1] = o[OP_NORM_2].norm;
            to->q_norm = a->q_norm;
            to->k_norm = a->k_norm;
            to->inv_freq = a->inv_freq;
            to->window = a->window;
            to->kv = cuda_layer_pages(&o[OP_ATTN].kv, o[OP_ATTN].layer);
            k->l = l;
            k->at = 0;
            return;
        }
    }
    cuda_collected(c);
}

static bool wanted(const struct cuda *c)
{
    const struct cuda_collect *k = &c->collect;

    return (k->most >= 0 ? k->most : (int)LAYERS_TOKENS) > 0 && !k->busy && c->now.n == 1 &&
           c->now.n_ranges <= LAYERS_RANGES && !c->now.n_tails && !c->now.bend;
}

bool cuda_collect(struct cuda *c, const struct cuda_op *op)
{
    struct cuda_collect *k = &c->collect;

    if (!wanted(c))
        return false;
    if (!next_op(k, op))
        cuda_collected(c);
    if (!next_op(k, op))
        return false;
    if (!k->n && !k->at)
        cuda_flush(c, NULL); // what came before
    k->buf[layer_op[k->at].y] = op->y;
    k->buf[layer_op[k->at].x] = (float *)(uintptr_t)op->x;
    k->op[k->at++] = *op;
    if (k->at == CUDA_LAYER_OPS)
        add_layer(c);
    return true;
}

void cuda_collect_close(struct cuda *c)
{
    for (struct cuda_laid *t = c->collect.laid, *next; t; t = next) {
        next = t->next;
        cudaFree(t->layer_d);
        free(t);
    }
    cudaFree(c->collect.met.p);
}
