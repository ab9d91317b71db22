/* model.c - hyperparameters and weights of a model, out of GGUF or an HF directory.
 *
 * A file of either kind is a set of named tensors here; only the names differ. */
#include "model.h"

#include "arena.h"
#include "file.h"
#include "gguf.h"
#include "hparam.h"
#include "mem.h"
#include "quant.h"
#include "st.h"
#include "tokload.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ENDS = 4096, // bytes at either end of a tensor that go into the hash
    NAME = 96,   // of a tensor
};

enum slot { EMBED, OUT_NORM, HEAD, ATTN_NORM, Q, K, V, O, FFN_NORM, GATE, UP, DOWN, N_SLOTS };

/* What a tensor is called in either kind of file; those of layers follow
 * "blk.N." and "model.layers.N.". */
static const struct {
    const char *gguf, *hf;
} slot_names[N_SLOTS] = {
    [EMBED] = {"token_embd", "model.embed_tokens"},
    [OUT_NORM] = {"output_norm", "model.norm"},
    [HEAD] = {"output", "lm_head"},
    [ATTN_NORM] = {"attn_norm", "input_layernorm"},
    [Q] = {"attn_q", "self_attn.q_proj"},
    [K] = {"attn_k", "self_attn.k_proj"},
    [V] = {"attn_v", "self_attn.v_proj"},
    [O] = {"attn_output", "self_attn.o_proj"},
    [FFN_NORM] = {"ffn_norm", "post_attention_layernorm"},
    [GATE] = {"ffn_gate", "mlp.gate_proj"},
    [UP] = {"ffn_up", "mlp.up_proj"},
    [DOWN] = {"ffn_down", "mlp.down_proj"},
};

struct model_file {
    bool is_dir;
    struct gguf gguf;
    struct st st;
    struct arena mem;
    float *norm_d; // all norm weights, one below the other
    size_t norm_bytes;
};

struct load {
    struct model *m;
    struct model_file *f;
    struct hparam h;
    size_t n_norm; // floats of norm_d in use
};

/* ---- tensors by name ---- */

static void slot_name(const struct load *l, enum slot slot, int layer, const char *end,
                      char out[NAME])
{
    const char *base = l->f->is_dir ? slot_names[slot].hf : slot_names[slot].gguf;

    if (slot < ATTN_NORM)
        snprintf(out, NAME, "%s.%s", base, end);
    else
        snprintf(out, NAME, "%s.%d.%s.%s", l->f->is_dir ? "model.layers" : "blk", layer, base, end);
}

static const struct tensor *find(const struct load *l, const char *name)
{
    return l->f->is_dir ? st_tensor(&l->f->st, name) : gguf_tensor(&l->f->gguf, name);
}

static int wrong_shape(const struct load *l, const struct tensor *t, int rows, int cols,
                       struct err *e)
{
    char is[96] = "";
    int n = 0;

    for (int i = 0; i < t->n_dims && n < 64; i++)
        n += snprintf(is + n, sizeof(is) - (size_t)n, "%s%lld", i ? "x" : "",
                      (long long)t->shape[i]);
    if (rows)
        return err_set(e, ERR_DATA, "%s: tensor '%s' has the shape %s, not %dx%d", l->m->path,
                       t->name, is, rows, cols);
    return err_set(e, ERR_DATA, "%s: tensor '%s' has the shape %s, not %d", l->m->path, t->name, is,
                   cols);
}

/* The tensor of a slot with exactly this shape (rows 0: one dimension); NULL and
 * no error when it is absent and optional. */
static int take(struct load *l, enum slot slot, int layer, const char *end, int rows, int cols,
                bool optional, const struct tensor **out, struct err *e)
{
    char name[NAME];
    const struct tensor *t;
    int dims = rows ? 2 : 1;

    slot_name(l, slot, layer, end, name);
    *out = t = find(l, name);
    if (!t)
        return optional ? 0 : err_set(e, ERR_DATA, "%s: tensor '%s' is missing", l->m->path, name);
    if (t->n_dims != dims || t->shape[dims - 1] != cols || (rows && t->shape[0] != rows))
        return wrong_shape(l, t, rows, cols, e);
    l->m->n_params += (rows ? (int64_t)rows : 1) * cols;
    return 0;
}

/* A vector as floats, in memory of the model; NULL when absent and optional. */
static int take_floats(struct load *l, enum slot slot, int layer, const char *end, int n,
                       bool optional, float **out, struct err *e)
{
    const struct tensor *t;

    *out = NULL;
    if (take(l, slot, layer, end, 0, n, optional, &t, e))
        return -1;
    if (!t)
        return 0;
    *out = arena_new(&l->f->mem, (size_t)n * sizeof(**out));
    if (!quant_read(t->type, t->data, *out, n))
        return err_set(e, ERR_DATA, "%s: tensor '%s' is not of a type of numbers", l->m->path,
                       t->name);
    return 0;
}

/* ---- binding ---- */

static int bind_norm(struct load *l, enum slot slot, int layer, struct norm_weight *out,
                     struct err *e)
{
    struct backend *b = l->m->backend;
    size_t dim = (size_t)l->m->dim;
    float *w;

    if (take_floats(l, slot, layer, "weight", l->m->dim, false, &w, e))
        return -1;
    *out = (struct norm_weight){NORM_RMS, l->h.eps, l->f->norm_d + l->n_norm, NULL};
    l->n_norm += dim;
    return b->ops->upload(b, out->w_d, w, dim * sizeof(*w), e);
}

/* One matrix below the parts that w has already. */
static int add_part(struct load *l, struct weight *w, enum slot slot, int layer, int rows, int cols,
                    bool optional, struct err *e)
{
    struct weight_part *p = &w->part[w->n_parts];
    const struct tensor *t;
    float *bias;

    if (take(l, slot, layer, "weight", rows, cols, optional, &t, e))
        return -1;
    if (!t)
        return 0;
    if (slot != EMBED && take_floats(l, slot, layer, "bias", rows, true, &bias, e))
        return -1;
    *p = (struct weight_part){.type = t->type, .rows = rows, .host = t->data};
    p->bias = slot == EMBED ? NULL : bias;
    w->n_parts++;
    w->rows += rows;
    w->cols = cols;
    return 0;
}

static int to_backend(struct load *l, struct weight *w, enum slot slot, int layer, struct err *e)
{
    struct backend *b = l->m->backend;
    char name[NAME];

    if (!b->ops->weight(b, w, e))
        return 0;
    slot_name(l, slot, layer, "weight", name);
    return err_wrap(e, "%s: tensor '%s'", l->m->path, name);
}

static int bind_layer(struct load *l, int i, struct err *e)
{
    const struct model *m = l->m;
    struct layer *w = &m->layer[i];
    int q = m->attn.n_heads * m->attn.head_dim, kv = m->attn.n_kv_heads * m->attn.head_dim;

    w->attn = m->attn;
    if (bind_norm(l, ATTN_NORM, i, &w->attn_norm, e) ||
        add_part(l, &w->qkv, Q, i, q, m->dim, false, e) ||
        add_part(l, &w->qkv, K, i, kv, m->dim, false, e) ||
        add_part(l, &w->qkv, V, i, kv, m->dim, false, e) || to_backend(l, &w->qkv, Q, i, e) ||
        add_part(l, &w->o, O, i, m->dim, q, false, e) || to_backend(l, &w->o, O, i, e) ||
        bind_norm(l, FFN_NORM, i, &w->ffn_norm, e) ||
        add_part(l, &w->gate_up, GATE, i, m->ffn.dim, m->dim, false, e) ||
        add_part(l, &w->gate_up, UP, i, m->ffn.dim, m->dim, false, e) ||
        to_backend(l, &w->gate_up, GATE, i, e) ||
        add_part(l, &w->down, DOWN, i, m->dim, m->ffn.dim, false, e) ||
        to_backend(l, &w->down, DOWN, i, e))
        return -1;
    return 0;
}

/* The embedding says how large the vocabulary is; the tokenizer must fit in it. */
static int bind_vocab(struct load *l, struct err *e)
{
    struct model *m = l->m;
    char name[NAME];
    const struct tensor *t;

    slot_name(l, EMBED, 0, "weight", name);
    t = find(l, name);
    if (!t)
        return err_set(e, ERR_DATA, "%s: tensor '%s' is missing", m->path, name);
    if (t->n_dims != 2 || t->shape[0] < 1 || t->shape[0] > HPARAM_VOCAB)
        return err_set(e, ERR_DATA, "%s: tensor '%s' is no matrix of 1..%d rows", m->path, name,
                       HPARAM_VOCAB);
    m->vocab = (int)t->shape[0];
    if (m->vocab < tok_size(m->tok))
        return err_set(e, ERR_DATA, "%s: %d tokens, but tensor '%s' has %d rows", m->path,
                       tok_size(m->tok), name, m->vocab);
    if (add_part(l, &m->embed, EMBED, 0, m->vocab, m->dim, false, e) ||
        to_backend(l, &m->embed, EMBED, 0, e))
        return -1;
    if (!l->h.tied && add_part(l, &m->head, HEAD, 0, m->vocab, m->dim, true, e))
        return -1;
    if (!m->head.n_parts)
        m->head = m->embed; // tied
    return to_backend(l, &m->head, HEAD, 0, e);
}

static int bind_rope(struct load *l, struct err *e)
{
    const struct tensor *t = l->f->is_dir ? NULL : find(l, "rope_freqs.weight");
    float *freq, *factors = NULL;
    int n = l->h.rope_dims / 2;

    if (t) {
        if (t->n_dims != 1 || t->shape[0] != n)
            return wrong_shape(l, t, 0, n, e);
        factors = arena_new(&l->f->mem, (size_t)n * sizeof(*factors));
        if (!quant_read(t->type, t->data, factors, n))
            return err_set(e, ERR_DATA, "%s: tensor '%s' is not of a type of numbers", l->m->path,
                           t->name);
        for (int i = 0; i < n; i++)
            if (!(factors[i] > 0.0f) || !isfinite(factors[i]))
                return err_set(e, ERR_DATA, "%s: tensor '%s': value %d is %g, not above 0",
                               l->m->path, t->name, i, (double)factors[i]);
    }
    freq = arena_new(&l->f->mem, (size_t)(n ? n : 1) * sizeof(*freq));
    hparam_freqs(&l->h, factors, freq);
    l->m->attn.inv_freq = freq;
    return 0;
}

static int bind(struct load *l, struct err *e)
{
    const struct hparam *h = &l->h;
    struct model *m = l->m;
    struct backend *b = m->backend;
    void *norm;

    memcpy(m->arch = arena_new(&l->f->mem, sizeof(h->arch)), h->arch, sizeof(h->arch));
    m->dim = h->dim;
    m->n_layers = h->n_layers;
    m->ctx = h->ctx;
    m->embed_scale = 1.0f;
    m->ffn = (struct ffn_shape){h->ffn_dim, 1, FFN_SILU};
    m->attn = (struct attn_shape){.n_heads = h->n_heads,
                                  .n_kv_heads = h->n_kv_heads,
                                  .head_dim = h->head_dim,
                                  .rope_dims = h->rope_dims,
                                  .rope_pairs_apart = h->rope_pairs_apart,
                                  .scale = 1.0f / sqrtf((float)h->head_dim)};
    if (bind_rope(l, e) || bind_vocab(l, e))
        return -1;
    l->f->norm_bytes = (2 * (size_t)h->n_layers + 1) * (size_t)h->dim * sizeof(float);
    if (b->ops->alloc(b, l->f->norm_bytes, &norm, e))
        return -1;
    l->f->norm_d = norm;
    if (bind_norm(l, OUT_NORM, 0, &m->out_norm, e))
        return -1;
    m->layer = mem_zero((size_t)h->n_layers, sizeof(*m->layer));
    for (int i = 0; i < h->n_layers; i++)
        if (bind_layer(l, i, e))
            return -1;
    return 0;
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
    const struct model_file *f = l->f;
    const struct tensor *t = f->is_dir ? f->st.tensor : f->gguf.tensor;
    int n = f->is_dir ? f->st.n_tensors : f->gguf.n_tensors;
    struct hash128 h = {0};

    if (f->is_dir) {
        h = hash_text(h, l->m->path, "config.json");
        h = hash_text(h, l->m->path, "tokenizer.json");
        for (int i = 0; i < f->st.n_maps; i++)
            l->m->file_bytes += f->st.map[i].n;
    } else {
        h = hash_add(h, f->gguf.map.p, f->gguf.data_start);
        l->m->file_bytes = f->gguf.map.n;
    }
    for (int i = 0; i < n; i++)
        h = hash_tensor(h, &t[i]);
    l->m->hash = h;
}

/* ---- opening ---- */

static int load_dir(struct load *l, struct err *e)
{
    struct model *m = l->m;

    if (hparam_dir(&l->h, m->path, e) || st_open(&l->f->st, m->path, e))
        return -1;
    m->tok = tokload_dir(m->path, e);
    return m->tok ? 0 : -1;
}

static int load_gguf(struct load *l, struct err *e)
{
    struct model *m = l->m;

    if (gguf_open(&l->f->gguf, m->path, e) || hparam_gguf(&l->h, &l->f->gguf, e))
        return -1;
    m->tok = tokload_gguf(&l->f->gguf, e);
    return m->tok ? 0 : -1;
}

struct model *model_open(const char *path, struct backend *b, struct err *e)
{
    struct model *m = mem_zero(1, sizeof(*m));
    struct load l = {.m = m, .f = mem_zero(1, sizeof(*l.f))};

    m->file = l.f;
    m->backend = b;
    m->path = mem_dup(path, strlen(path));
    l.f->is_dir = file_is_dir(path);
    if ((l.f->is_dir ? load_dir(&l, e) : load_gguf(&l, e)) || bind(&l, e)) {
        model_close(m);
        return NULL;
    }
    identify(&l);
    return m;
}

void model_close(struct model *m)
{
    if (!m)
        return;
    if (m->file->norm_d)
        m->backend->ops->free(m->backend, m->file->norm_d, m->file->norm_bytes);
    tok_close(m->tok);
    if (m->file->is_dir)
        st_close(&m->file->st);
    else
        gguf_close(&m->file->gguf);
    arena_free(&m->file->mem);
    free(m->file);
    free(m->layer);
    free(m->path);
    free(m);
}
