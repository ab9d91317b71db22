/* model.c - hyperparameters and weights of a model, out of GGUF or an HF directory.
 *
 * source.c finds the tensors and checks their shapes; here they become what
 * forward reads. */
#include "model.h"

#include "arena.h"
#include "file.h"
#include "mem.h"
#include "quant.h"
#include "roles.h"
#include "source.h"

#include <stdlib.h>
#include <string.h>

enum { ENDS = 4096 }; // bytes at either end of a tensor that go into the hash

struct model_file {
    struct source s;
    struct arena mem; // biases, and matrices that lie transposed in the file
    float *norm_d;    // all norms' weights and biases, one below the other
    size_t norm_bytes;
};

struct load {
    struct model *m;
    struct model_file *f;
};

/* ---- where parts go ---- */

static bool is_norm(enum arch_slot slot)
{
    return slot == ARCH_ATTN_NORM || slot == ARCH_ATTN_POST || slot == ARCH_FFN_NORM ||
           slot == ARCH_FFN_POST || slot == ARCH_Q_NORM || slot == ARCH_K_NORM ||
           slot == ARCH_OUT_NORM || slot == ARCH_EMBED_NORM || slot == ARCH_ATTN_SUM ||
           slot == ARCH_FFN_SUM;
}

static struct norm_weight *norm_of(struct model *m, enum arch_slot slot, int layer)
{
    struct layer *l = layer < 0 ? NULL : &m->layer[layer];

    switch ((int)slot) {
    case ARCH_ATTN_NORM:
        return &l->attn_norm;
    case ARCH_ATTN_POST:
        return &l->attn_post;
    case ARCH_FFN_NORM:
        return &l->ffn_norm;
    case ARCH_FFN_POST:
        return &l->ffn_post;
    case ARCH_ATTN_SUM:
        return &l->attn_sum;
    case ARCH_FFN_SUM:
        return &l->ffn_sum;
    case ARCH_EMBED_NORM:
        return &m->embed_norm;
    case ARCH_Q_NORM:
        return &l->attn.q_norm;
    case ARCH_K_NORM:
        return &l->attn.k_norm;
    default:
        return &m->out_norm;
    }
}

static struct weight *weight_of(struct model *m, enum arch_slot slot, int layer)
{
    struct layer *l = layer < 0 ? NULL : &m->layer[layer];

    switch ((int)slot) {
    case ARCH_EMBED:
        return &m->embed;
    case ARCH_POSITIONS:
        return &m->positions;
    case ARCH_Q:
    case ARCH_K:
    case ARCH_V:
    case ARCH_QKV:
        return &l->qkv;
    case ARCH_O:
        return &l->o;
    case ARCH_GATE:
    case ARCH_UP:
        return &l->gate_up;
    case ARCH_DOWN:
        return &l->down;
    default:
        return &m->head;
    }
}

/* ---- binding ---- */

/* A vector as floats, in memory of the model. */
static float *floats(struct load *l, const struct source_part *p, struct err *e)
{
    int64_t n = p->t->shape[0];
    float *w = arena_new(&l->f->mem, (size_t)n * sizeof(*w));

    if (!quant_read(p->t->type, p->t->data, w, n)) {
        err_set(e, ERR_DATA, "tensor '%s' is not of a type of numbers", p->t->name);
        return NULL;
    }
    if (p->what->how == ARCH_PLUS_ONE && l->f->s.kind == SOURCE_HF)
        for (int64_t i = 0; i < n; i++)
            w[i] += 1.0f;
    return w;
}

/* The next norm goes to `at` of the device. */
static int place_norm(struct load *l, const struct source_part *p, float *at, struct err *e)
{
    const struct hparam *h = &l->f->s.h;
    struct backend *b = l->m->backend;
    struct norm_weight *w = norm_of(l->m, p->what->slot, p->layer);
    size_t n = (size_t)p->t->shape[0];
    float *host = floats(l, p, e);

    if (!host)
        return -1;
    w->kind = h->norm;
    w->eps = h->eps;
    if (p->what->bias)
        w->b_d = at;
    else
        w->w_d = at;
    return b->ops->upload(b, at, host, n * sizeof(*host), e);
}

/* A matrix of doubles, for which no backend has kernels, as floats. */
static void narrow(struct load *l, struct tensor *t)
{
    int64_t n = tensor_rows(t) * tensor_cols(t);
    float *w = arena_new(&l->f->mem, (size_t)n * sizeof(*w));

    quant_read(t->type, t->data, w, n);
    t->type = T_F32;
    t->data = (void *)w;
    t->bytes = (size_t)n * sizeof(*w);
    l->m->copy_bytes += t->bytes;
}

/* The bytes of an (in, out) matrix as (out, in). */
static void *transposed(struct load *l, const struct tensor *t)
{
    size_t size = tensor_block_bytes(t->type), rows = (size_t)t->shape[0];
    size_t cols = (size_t)t->shape[1];
    const uint8_t *from = t->data;
    uint8_t *to = arena_new(&l->f->mem, t->bytes);

    l->m->copy_bytes += t->bytes;
    for (size_t r0 = 0; r0 < rows; r0 += 64) // so that both sides stay in the cache
        for (size_t c = 0; c < cols; c++)
            for (size_t r = r0; r < rows && r < r0 + 64; r++)
                memcpy(to + (c * rows + r) * size, from + (r * cols + c) * size, size);
    return to;
}

/* A matrix below the parts that its weight has already, or the bias of the last one. */
static int bind_matrix(struct load *l, const struct source_part *p, struct err *e)
{
    struct weight *w = weight_of(l->m, p->what->slot, p->layer);
    bool swap = p->what->how == ARCH_TRANSPOSED && l->f->s.kind == SOURCE_HF;
    struct weight_part *part = &w->part[w->n_parts];
    struct tensor t = *p->t;

    if (p->what->bias) {
        part[-1].bias = floats(l, p, e);
        return part[-1].bias ? 0 : -1;
    }
    if (t.type == T_F64)
        narrow(l, &t);
    *part = (struct weight_part){.type = t.type,
                                 .rows = (int)t.shape[swap],
                                 .host = swap ? transposed(l, &t) : t.data,
                                 .mapped = !swap && t.data == p->t->data};
    w->n_parts++;
    w->rows += part->rows;
    w->cols = (int)t.shape[!swap];
    return 0;
}

/* A classifier has few rows and is asked once a request: it stays on the host. */
static int bind_class(struct load *l, const struct source_part *p, struct err *e)
{
    int64_t rows = tensor_rows(p->t), cols = tensor_cols(p->t);
    size_t row = tensor_row_bytes(p->t->type, cols);
    float *w;

    if (p->what->bias) {
        l->m->label_bias = floats(l, p, e);
        return l->m->label_bias ? 0 : -1;
    }
    w = arena_new(&l->f->mem, (size_t)(rows * cols) * sizeof(*w));
    for (int64_t i = 0; i < rows; i++)
        quant_read(p->t->type, (const uint8_t *)p->t->data + (size_t)i * row, w + i * cols, cols);
    l->m->label = w;
    l->m->n_labels = (int)rows;
    return 0;
}

static int bind_part(struct load *l, const struct source_part *p, struct err *e)
{
    if (p->what->slot == ARCH_CLASS)
        return bind_class(l, p, e);
    if (is_norm(p->what->slot)) // until the model is placed
        l->f->norm_bytes += (size_t)p->t->shape[0] * sizeof(float);
    return is_norm(p->what->slot) ? 0 : bind_matrix(l, p, e);
}

/* Each matrix once. */
static int each_weight(struct model *m, int (*f)(void *, struct weight *, const char *, int),
                       void *ctx)
{
    if (f(ctx, &m->embed, "embedding", -1) || f(ctx, &m->head, "head", -1) ||
        f(ctx, &m->positions, "positions", -1))
        return -1;
    for (int i = 0; i < m->n_layers; i++) {
        struct layer *w = &m->layer[i];

        if (f(ctx, &w->qkv, "attention's q, k and v", i) ||
            f(ctx, &w->o, "attention's output", i) ||
            f(ctx, &w->gate_up, "feed-forward's gate and up", i) ||
            f(ctx, &w->down, "feed-forward's down", i))
            return -1;
    }
    return 0;
}

struct placing {
    struct model *m;
    const struct backend *b;
    struct err *e;
    uint64_t bytes;
};

static int place_weight(void *ctx, struct weight *w, const char *what, int layer)
{
    struct placing *p = ctx;
    struct backend *b = p->m->backend;

    if (!w->n_parts || !b->ops->weight(b, w, p->e))
        return 0;
    if (layer < 0)
        return err_wrap(p->e, "%s", what);
    return err_wrap(p->e, "layer %d, %s", layer, what);
}

static int add_bytes(void *ctx, struct weight *w, const char *what, int layer)
{
    struct placing *p = ctx;
    bool tied = w == &p->m->head && w->part[0].host == p->m->embed.part[0].host;

    (void)what;
    (void)layer;
    if (w->n_parts && !tied)
        p->bytes += p->b->ops->weight_bytes(p->b, w);
    return 0;
}

static int place_norms(struct load *l, struct err *e)
{
    struct backend *b = l->m->backend;
    const struct source *s = &l->f->s;
    float *at;
    void *norm;

    if (b->ops->alloc(b, l->f->norm_bytes, &norm, e))
        return -1;
    at = l->f->norm_d = norm;
    for (int i = 0; i < s->n_parts; i++) {
        const struct source_part *p = &s->part[i];

        if (!is_norm(p->what->slot))
            continue;
        if (place_norm(l, p, at, e))
            return -1;
        at += p->t->shape[0];
    }
    return 0;
}

/* What the hyperparameters say, for the model and each of its layers. */
static void set_shapes(struct load *l)
{
    const struct hparam *h = &l->f->s.h;
    struct model *m = l->m;
    float *freq = arena_new(&l->f->mem, ((size_t)h->rope_dims / 2 + 1) * sizeof(*freq));

    hparam_freqs(h, l->f->s.kind == SOURCE_GGUF ? l->f->s.rope_factors : NULL, freq);
    memcpy(m->arch = arena_new(&l->f->mem, sizeof(h->arch)), h->arch, sizeof(h->arch));
    m->dim = h->dim;
    m->n_layers = h->n_layers;
    m->vocab = l->f->s.vocab;
    m->ctx = h->ctx;
    m->whole = h->whole;
    m->pool = h->pool;
    m->embed_scale = h->embed_scale;
    m->logit_cap = h->logit_cap;
    m->ffn = (struct ffn_shape){h->ffn_dim, h->gated, h->act};
    m->attn = (struct attn_shape){.n_heads = h->n_heads,
                                  .n_kv_heads = h->n_kv_heads,
                                  .head_dim = h->head_dim,
                                  .rope_dims = h->rope_dims,
                                  .rope_pairs_apart = h->rope_pairs_apart,
                                  .inv_freq = freq,
                                  .scale = h->attn_scale,
                                  .softcap = h->attn_cap};
    m->layer = mem_zero((size_t)h->n_layers, sizeof(*m->layer));
    m->window = h->window;
    for (int i = 0; i < h->n_layers; i++) {
        m->layer[i].attn = m->attn;
        m->layer[i].gate_up.pairs = h->gated ? h->ffn_dim : 0;
        m->layer[i].qkv.pairs = h->rope_pairs_apart ? h->rope_dims / 2 : h->rope_dims > 0;
        m->layer[i].attn.window = h->windowed[i] ? h->window : 0;
        if (!m->layer[i].attn.window)
            m->window = 0;
    }
}

/* An encoder's positions, from that of a text's first token on, with the row of the only type of
 * token that a single text has. */
static int join_positions(struct load *l, struct err *e)
{
    const struct hparam *h = &l->f->s.h;
    const struct source_part *p = source_part(&l->f->s, ARCH_POSITIONS, false, -1);
    const struct source_part *t = source_part(&l->f->s, ARCH_TYPES, false, -1);
    size_t dim = (size_t)h->dim, row = tensor_row_bytes(p->t->type, h->dim);
    float *x = arena_new(&l->f->mem, (size_t)h->ctx * dim * sizeof(*x));
    float *type = arena_new(&l->f->mem, dim * sizeof(*type));

    if (!quant_read(t->t->type, t->t->data, type, h->dim))
        return err_set(e, ERR_DATA, "tensor '%s' is not of a type of numbers", t->t->name);
    for (int i = 0; i < h->ctx; i++) {
        float *to = x + (size_t)i * dim;
        const uint8_t *from = (const uint8_t *)p->t->data + (size_t)(i + h->first_position) * row;

        if (!quant_read(p->t->type, from, to, h->dim))
            return err_set(e, ERR_DATA, "tensor '%s' is not of a type of numbers", p->t->name);
        for (size_t k = 0; k < dim; k++)
            to[k] += type[k];
    }
    l->m->copy_bytes += (size_t)h->ctx * dim * sizeof(*x);
    l->m->positions = (struct weight){.rows = h->ctx, .cols = h->dim, .n_parts = 1};
    l->m->positions.part[0] = (struct weight_part){.type = T_F32, .rows = h->ctx, .host = x};
    return 0;
}

static int bind(struct load *l, struct err *e)
{
    const struct source *s = &l->f->s;

    set_shapes(l);
    for (int i = 0; i < s->n_parts; i++) {
        const struct source_part *p = &s->part[i];

        bool joined =
            s->h.whole && (p->what->slot == ARCH_POSITIONS || p->what->slot == ARCH_TYPES);

        if (!joined && bind_part(l, p, e))
            return -1;
        l->m->n_params += tensor_rows(p->t) * tensor_cols(p->t);
    }
    l->m->no_head = l->m->n_labels && !l->m->head.n_parts;
    if (!l->m->head.n_parts)
        l->m->head = l->m->embed; // tied
    return s->h.whole ? join_positions(l, e) : 0;
}

/* ---- identity ---- */

static struct hash128 hash_tensor(struct hash128 h, const struct tensor *t)
{
    const uint8_t *p = t->data;
    size_t n = t->bytes < ENDS ? t->bytes : ENDS;

    h = hash_add(h, t->name, strlen(t->name));
    h = hash_add(h, &t->type, sizeof(t->type));
    h = hash_add(h, t->shape, sizeof(t->shape));
    h = hash_add(h, p, n);
    return hash_add(h, p + (t->bytes - n), n);
}

static struct hash128 hash_text(struct hash128 h, const char *dir, const char *name)
{
    char *path = file_join(dir, name), *text;
    struct err ignored;
    size_t n = 0;

    text = file_text(path, 1u << 30, &n, &ignored); // absent counts as empty
    h = hash_add(h, text ? text : "", n);
    free(text);
    free(path);
    return h;
}

static void identify(struct load *l)
{
    const struct source *s = &l->f->s;
    struct hash128 h = {0};

    if (s->kind == SOURCE_HF) {
        for (int i = 0; roles_model_files[i]; i++)
            h = hash_text(h, l->m->path, roles_model_files[i]);
    } else {
        h = hash_add(h, s->g.map.p, s->g.data_start);
    }
    for (int i = 0; i < s->n_tensors; i++)
        h = hash_tensor(h, &s->tensor[i]);
    l->m->file_bytes = s->bytes;
    l->m->hash = h;
}

/* ---- opening ---- */

static int load(struct load *l, struct err *e)
{
    struct model *m = l->m;
    struct source *s = &l->f->s;

    if (source_open(s, m->path, e))
        return -1;
    if (s->kind == SOURCE_LLAMA2C)
        return err_set(e, ERR_ARG, "%s: a llama2.c checkpoint; make a GGUF of it with llm-convert",
                       m->path);
    if (source_parts(s, e))
        return -1;
    m->tok = source_tok(s, NULL, e);
    if (!m->tok)
        return -1;
    if (s->vocab < tok_size(m->tok))
        return err_set(e, ERR_DATA, "%s: %d tokens, but the embedding has %d rows", m->path,
                       tok_size(m->tok), s->vocab);
    return bind(l, e) ? err_wrap(e, "%s", m->path) : 0;
}

struct model *model_read(const char *path, struct err *e)
{
    struct model *m = mem_zero(1, sizeof(*m));
    struct load l = {.m = m, .f = mem_zero(1, sizeof(*l.f))};

    m->file = l.f;
    m->path = mem_dup(path, strlen(path));
    if (load(&l, e)) {
        model_close(m);
        return NULL;
    }
    identify(&l);
    return m;
}

int model_place(struct model *m, struct backend *b, struct err *e)
{
    struct load l = {.m = m, .f = m->file};
    struct placing p = {.m = m, .b = b, .e = e};

    m->backend = b;
    if (place_norms(&l, e) || each_weight(m, place_weight, &p))
        return err_wrap(e, "%s", m->path);
    return 0;
}

uint64_t model_place_bytes(const struct model *m, const struct backend *b)
{
    struct placing p = {.m = (struct model *)(uintptr_t)m, .b = b, .bytes = m->file->norm_bytes};

    each_weight(p.m, add_bytes, &p);
    return p.bytes;
}

static int is_half(void *ctx, struct weight *w, const char *what, int layer)
{
    (void)ctx;
    (void)what;
    (void)layer;
    for (int i = 0; i < w->n_parts; i++)
        if (w->part[i].type == T_F16 || w->part[i].type == T_BF16)
            return -1;
    return 0;
}

bool model_halves(const struct model *m)
{
    return each_weight((struct model *)(uintptr_t)m, is_half, NULL) != 0;
}

struct model *model_open(const char *path, struct backend *b, struct err *e)
{
    struct model *m = model_read(path, e);

    if (m && model_place(m, b, e)) {
        model_close(m);
        return NULL;
    }
    return m;
}

void model_leave(struct model *m)
{
    if (m->file->norm_d)
        m->backend->ops->free(m->backend, m->file->norm_d, m->file->norm_bytes);
    m->file->norm_d = NULL;
    m->backend = NULL;
}

void model_close(struct model *m)
{
    if (!m)
        return;
    model_leave(m);
    tok_close(m->tok);
    source_close(&m->file->s);
    arena_free(&m->file->mem);
    free(m->file);
    free(m->layer);
    free(m->path);
    free(m);
}
