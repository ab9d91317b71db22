/* source.c - a model in any of the forms that are read, as one list of tensors. */
#include "source.h"

#include "arena.h"
#include "quant.h"
#include "tokload.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const source_kinds[] = {"gguf", "huggingface", "llama2c", NULL};

static const char rope_freqs[] = "rope_freqs.weight";

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), k = strlen(end);

    return n >= k && !strcmp(s + n - k, end);
}

/* ---- llama2.c ---- */

/* Header of seven int32, then float32 tensors, each kind for all layers. */
enum { BIN_HEADER = 28 };

/* NULL: the tables of rotary cosines and sines, which are skipped. */
static const char *const bin_order[] = {
    "token_embd.weight", "attn_norm.weight",   "attn_q.weight",      "attn_k.weight",
    "attn_v.weight",     "attn_output.weight", "ffn_norm.weight",    "ffn_gate.weight",
    "ffn_down.weight",   "ffn_up.weight",      "output_norm.weight", NULL,
    "output.weight",
};

/* A row of the family's table. */
static const struct arch_tensor *row_of(const struct arch *a, const char *gguf)
{
    int i = 0;

    while (strcmp(a->tensor[i].gguf, gguf))
        i++; // every name of bin_order is in the table
    return &a->tensor[i];
}

static int bin_hparam(struct source *s, struct err *e)
{
    static const char *const name[] = {"dim",        "hidden_dim", "n_layers", "n_heads",
                                       "n_kv_heads", "vocab_size", "seq_len"};
    static const int limit[] = {HPARAM_DIM, HPARAM_FFN,   HPARAM_LAYERS, HPARAM_DIM,
                                HPARAM_DIM, HPARAM_VOCAB, HPARAM_CTX};
    struct hparam *h = &s->h;
    int32_t v[7];
    bool tied;

    if (s->bin.n < sizeof(v))
        return err_set(e, ERR_DATA, "%s: truncated: %zu bytes hold no header", s->path, s->bin.n);
    memcpy(v, s->bin.p, sizeof(v));
    tied = v[5] > 0; // a negative size says that the head is a tensor of its own
    if (v[5] < 0 && v[5] > -HPARAM_VOCAB)
        v[5] = -v[5];
    for (int i = 0; i < 7; i++)
        if (v[i] < 1 || v[i] > limit[i])
            return err_set(e, ERR_DATA, "%s: byte %d: %s %d is not in 1..%d", s->path, 4 * i,
                           name[i], v[i], limit[i]);
    if (v[0] % v[3] || v[3] % v[4] || v[0] / v[3] % 2 || v[0] / v[3] > HPARAM_HEAD)
        return err_set(e, ERR_DATA, "%s: dim %d, n_heads %d and n_kv_heads %d do not fit together",
                       s->path, v[0], v[3], v[4]);
    hparam_family(h, "llama", 5);
    h->dim = v[0];
    h->ffn_dim = v[1];
    h->n_layers = v[2];
    h->n_heads = v[3];
    h->n_kv_heads = v[4];
    h->ctx = v[6];
    h->tied = tied;
    h->eps = 1e-5f;
    s->vocab = v[5];
    return hparam_finish(h, e) ? err_wrap(e, "%s", s->path) : 0;
}

/* Bytes of one tensor of a kind; at most 2^24 * 2^18 * 4. NULL is the skipped tables. */
static uint64_t bin_bytes(const struct source *s, const struct arch_tensor *what, int64_t *shape,
                          int *n_dims)
{
    uint64_t bytes = 4;

    if (!what)
        return (uint64_t)s->h.ctx * (uint64_t)s->h.head_dim * 4; // cos and sin of half a head each
    *n_dims = arch_shape(what, &s->h, s->vocab, shape);
    for (int i = 0; i < *n_dims; i++)
        bytes *= (uint64_t)shape[i];
    return bytes;
}

static int open_bin(struct source *s, struct err *e)
{
    enum { N = sizeof(bin_order) / sizeof(*bin_order) };
    const struct arch_tensor *what[N];
    int64_t shape[TENSOR_DIMS];
    uint64_t at = BIN_HEADER, need = BIN_HEADER;
    struct tensor *t;
    int n_dims = 0;

    if (bin_hparam(s, e))
        return -1;
    s->arch = arch_find(s->h.arch);
    for (int i = 0; i < N; i++) {
        what[i] = bin_order[i] ? row_of(s->arch, bin_order[i]) : NULL;
        if (!what[i] || what[i]->need != ARCH_TIED || !s->h.tied)
            need += bin_bytes(s, what[i], shape, &n_dims) *
                    (what[i] && what[i]->place == ARCH_LAYER ? (uint64_t)s->h.n_layers : 1);
    }
    if (need != s->bin.n)
        return err_set(e, ERR_DATA, "%s: the header asks for %llu bytes, the file has %zu", s->path,
                       (unsigned long long)need, s->bin.n);
    s->tensor = t = arena_new(&s->mem, (size_t)(N * s->h.n_layers) * sizeof(*t));
    for (int i = 0; i < N; i++) {
        int n = what[i] && what[i]->place == ARCH_LAYER ? s->h.n_layers : 1;

        for (int l = 0; l < n && at < need; l++) {
            struct tensor *x = &t[s->n_tensors];
            uint64_t bytes = bin_bytes(s, what[i], shape, &n_dims);
            char name[ARCH_NAME];

            if (what[i]) {
                arch_gguf_name(s->arch, what[i], l, name);
                *x = (struct tensor){arena_dup(&s->mem, name, strlen(name)),
                                     T_F32,
                                     n_dims,
                                     {1, 1, 1, 1},
                                     s->bin.p + at,
                                     (size_t)bytes};
                memcpy(x->shape, shape, (size_t)n_dims * sizeof(*shape));
                s->n_tensors++;
            }
            at += bytes;
        }
    }
    return 0;
}

/* ---- opening ---- */

/* What a file is: by its name when that says so, else by its first bytes. */
static int open_file(struct source *s, struct err *e)
{
    if (ends_with(s->path, ".safetensors"))
        return err_set(e, ERR_ARG, "'%s': name the directory that holds it and its config.json",
                       s->path);
    if (file_map(&s->bin, s->path, e))
        return -1;
    s->bytes = s->bin.n;
    if (s->bin.n >= 4 &&
        (!memcmp(s->bin.p, "PK\3\4", 4) || (s->bin.p[0] == 0x80 && s->bin.p[1] < 6)))
        return err_set(e, ERR_DATA, "%s: pickle checkpoints are not read; save as safetensors",
                       s->path);
    if (ends_with(s->path, ".bin") && (s->bin.n < 4 || memcmp(s->bin.p, "GGUF", 4))) {
        s->kind = SOURCE_LLAMA2C;
        return open_bin(s, e);
    }
    file_unmap(&s->bin);
    s->kind = SOURCE_GGUF;
    if (gguf_open(&s->g, s->path, e))
        return -1;
    s->tensor = s->g.tensor;
    s->n_tensors = s->g.n_tensors;
    return 0;
}

int source_open(struct source *s, const char *path, struct err *e)
{
    int rc;

    *s = (struct source){.path = mem_dup(path, strlen(path))};
    if (file_is_dir(path)) {
        s->kind = SOURCE_HF;
        rc = st_open(&s->st, path, e);
        s->tensor = s->st.tensor;
        s->n_tensors = s->st.n_tensors;
        for (int i = 0; i < s->st.n_maps; i++)
            s->bytes += s->st.map[i].n;
    } else {
        rc = open_file(s, e);
    }
    if (rc)
        source_close(s);
    return rc;
}

void source_close(struct source *s)
{
    if (!s)
        return;
    gguf_close(&s->g);
    st_close(&s->st);
    file_unmap(&s->bin);
    arena_free(&s->mem);
    free(s->path);
    *s = (struct source){0};
}

/* ---- the family's tensors ---- */

/* Give a name the prefix that this directory has. */
static void instead(const struct source *s, char name[ARCH_NAME])
{
    size_t skip = s->instead ? strlen(s->arch->hf_prefix) : 0;
    char rest[ARCH_NAME];

    if (!skip || strncmp(name, s->arch->hf_prefix, skip))
        return;
    snprintf(rest, sizeof(rest), "%s", name + skip);
    snprintf(name, ARCH_NAME, "%s%s", s->instead, rest);
}

/* The oldest files call weight and bias of a LayerNorm as TensorFlow did. */
static const struct tensor *find_old(const struct source *s, const char *name)
{
    static const char *const now[] = {"LayerNorm.weight", "LayerNorm.bias"};
    static const char *const then[] = {"LayerNorm.gamma", "LayerNorm.beta"};
    char old[ARCH_NAME];

    for (int i = 0; i < 2; i++)
        if (ends_with(name, now[i])) {
            snprintf(old, sizeof(old), "%.*s%s", (int)(strlen(name) - strlen(now[i])), name,
                     then[i]);
            return st_tensor(&s->st, old);
        }
    return NULL;
}

static const struct tensor *find(const struct source *s, const struct arch_tensor *what, int layer,
                                 char name[ARCH_NAME])
{
    const struct tensor *t;

    if (s->kind == SOURCE_HF) {
        arch_hf_name(s->arch, what, layer, name);
        instead(s, name);
        t = st_tensor(&s->st, name);
        return t ? t : find_old(s, name);
    }
    arch_gguf_name(s->arch, what, layer, name);
    if (s->kind == SOURCE_GGUF)
        return gguf_tensor(&s->g, name);
    for (int i = 0; i < s->n_tensors; i++)
        if (!strcmp(s->tensor[i].name, name))
            return &s->tensor[i];
    return NULL;
}

static int check_shape(const struct source *s, const struct arch_tensor *what,
                       const struct tensor *t, struct err *e)
{
    int64_t shape[TENSOR_DIMS], rows;
    int n = arch_shape(what, &s->h, s->vocab, shape);
    char want[100] = "", got[100] = "";

    if (!quant_read(t->type, NULL, NULL, 0))
        return err_set(e, ERR_DATA, "tensor '%s': weights of type %s are not supported", t->name,
                       tensor_type_name(t->type) ? tensor_type_name(t->type) : "unknown");
    if (what->how == ARCH_TRANSPOSED && s->kind == SOURCE_HF) {
        rows = shape[0];
        shape[0] = shape[1];
        shape[1] = rows;
        if (tensor_block(t->type) != 1)
            return err_set(e, ERR_DATA, "tensor '%s': blocks of %s cannot be transposed", t->name,
                           tensor_type_name(t->type));
    }
    if (n == t->n_dims && !memcmp(shape, t->shape, (size_t)n * sizeof(*shape)))
        return 0;
    for (int i = 0; i < TENSOR_DIMS; i++) {
        size_t w = strlen(want), g = strlen(got);

        if (i < n)
            snprintf(want + w, sizeof(want) - w, "%s%lld", i ? ", " : "", (long long)shape[i]);
        if (i < t->n_dims)
            snprintf(got + g, sizeof(got) - g, "%s%lld", i ? ", " : "", (long long)t->shape[i]);
    }
    return err_set(e, ERR_DATA, "tensor '%s': shape (%s), expected (%s)", t->name, got, want);
}

/* How many rows a classifier has, only it says itself. */
static int read_labels(struct source *s, const struct tensor *t, struct err *e)
{
    if (t->n_dims != 2 || t->shape[0] < 1 || t->shape[0] > HPARAM_LABELS)
        return err_set(e, ERR_DATA, "tensor '%s': not a matrix of 1 to %d rows", t->name,
                       HPARAM_LABELS);
    s->h.n_labels = (int)t->shape[0];
    return 0;
}

static int add_part(struct source *s, const struct arch_tensor *what, int layer, bool *used,
                    struct err *e)
{
    char name[ARCH_NAME];
    const struct tensor *t = find(s, what, layer, name);

    if (t)
        used[t - s->tensor] = true;
    if (what->need == ARCH_TIED && s->h.tied)
        return 0;
    if (!t && what->need == ARCH_TIED)
        s->h.tied = true;
    if (!t && what->need != ARCH_MUST)
        return 0;
    if (!t)
        return err_set(e, ERR_DATA, "missing tensor '%s'", name);
    if (what->slot == ARCH_CLASS && !what->bias && read_labels(s, t, e))
        return -1;
    if (check_shape(s, what, t, e))
        return -1;
    s->part[s->n_parts++] =
        (struct source_part){what, layer, t,
                             s->kind == SOURCE_HF     ? &s->st.map[s->st.shard[t - s->tensor]]
                             : s->kind == SOURCE_GGUF ? &s->g.map
                                                      : &s->bin};
    return 0;
}

/* What old checkpoints hold besides weights: angles, GPT-2's masks. */
static bool is_constant(const char *name)
{
    return ends_with(name, ".rotary_emb.inv_freq") || ends_with(name, ".attn.masked_bias") ||
           ends_with(name, ".attn.bias");
}

/* A tensor in a layer that the family does not know would be left out of the
 * computation: an error. One elsewhere is only counted. */
static int check_unknown(struct source *s, const bool *used, struct err *e)
{
    char prefix[ARCH_NAME];

    snprintf(prefix, sizeof(prefix), "%s",
             s->kind == SOURCE_HF ? s->arch->hf_layer : s->arch->gguf_layer);
    instead(s, prefix);
    for (int i = 0; i < s->n_tensors; i++) {
        const char *name = s->tensor[i].name;

        if (used[i] || is_constant(name) || !strcmp(name, rope_freqs))
            continue;
        if (!strncmp(name, prefix, strlen(prefix)))
            return err_set(e, ERR_DATA, "tensor '%s' is not one that family '%s' has", name,
                           s->arch->name);
        if (!s->n_unknown++)
            s->unknown = name;
    }
    return 0;
}

static int find_parts(struct source *s, struct err *e)
{
    const struct arch_tensor *row = s->arch->tensor;
    int n = s->arch->n_tensors, rc = 0;
    bool *used = mem_zero((size_t)s->n_tensors, sizeof(*used));

    s->part = arena_new(&s->mem, (size_t)(n * s->h.n_layers) * sizeof(*s->part));
    for (int i = 0; i < n && !rc; i++)
        if (row[i].place == ARCH_FIRST)
            rc = add_part(s, &row[i], -1, used, e);
    for (int l = 0; l < s->h.n_layers && !rc; l++)
        for (int i = 0; i < n && !rc; i++)
            if (row[i].place == ARCH_LAYER)
                rc = add_part(s, &row[i], l, used, e);
    for (int i = 0; i < n && !rc; i++)
        if (row[i].place == ARCH_LAST)
            rc = add_part(s, &row[i], -1, used, e);
    if (!rc)
        rc = check_unknown(s, used, e);
    free(used);
    return rc;
}

/* ---- rotary scaling ---- */

void source_llama3(const struct hparam *h, float *factor)
{
    struct hparam plain = *h;

    plain.scaling = HPARAM_PLAIN;
    hparam_freqs(&plain, NULL, factor);
    for (int i = 0; i < h->rope_dims / 2; i++) {
        double wave = 2 * 3.14159265358979323846 / (double)factor[i], original = h->original_ctx;
        double low = (double)h->low_freq, high = (double)h->high_freq;
        double blend = (original / wave - low) / (high - low);

        if (wave < original / high)
            factor[i] = 1;
        else if (wave > original / low)
            factor[i] = h->factor;
        else
            factor[i] = (float)(1 / ((1 - blend) / (double)h->factor + blend));
    }
}

static int read_factors(struct source *s, struct err *e)
{
    const struct tensor *t = s->kind == SOURCE_GGUF ? gguf_tensor(&s->g, rope_freqs) : NULL;
    int n = s->h.rope_dims / 2;

    if (!t && s->h.scaling != HPARAM_LLAMA3)
        return 0;
    s->rope_factors = arena_new(&s->mem, (size_t)n * sizeof(float));
    if (!t) {
        source_llama3(&s->h, s->rope_factors);
        return 0;
    }
    if (t->type != T_F32 || t->n_dims != 1 || t->shape[0] != n)
        return err_set(e, ERR_DATA, "tensor '%s': not %d values of F32", rope_freqs, n);
    quant_read(T_F32, t->data, s->rope_factors, n);
    for (int i = 0; i < n; i++)
        if (!(s->rope_factors[i] > 0) || !isfinite(s->rope_factors[i]))
            return err_set(e, ERR_DATA, "tensor '%s': value %d is not a number above 0", rope_freqs,
                           i);
    return 0;
}

/* Part of a model that was cut into several files: its tensors are not all here. */
static int check_split(const struct gguf *g, struct err *e)
{
    int64_t n = 1;

    if (gguf_int(g, "split.count", 0, 65535, &n, e) < 0)
        return -1;
    if (n > 1)
        return err_set(e, ERR_DATA, "%s: one of %lld parts of a model; join them first",
                       g->map.path, (long long)n);
    return 0;
}

int source_parts(struct source *s, struct err *e)
{
    char name[ARCH_NAME], own[ARCH_NAME];
    const struct tensor *t;

    if (s->kind == SOURCE_GGUF && (check_split(&s->g, e) || hparam_gguf(&s->h, &s->g, e)))
        return -1;
    if (s->kind == SOURCE_HF && hparam_dir(&s->h, s->path, e))
        return -1;
    s->arch = arch_find(s->h.arch);
    if (!s->arch)
        return err_set(e, ERR_DATA, "%s: family '%s' has no table of tensors", s->path, s->h.arch);
    t = find(s, &s->arch->tensor[0], -1, name);
    snprintf(own, sizeof(own), "%s", name);
    if (!t && s->kind == SOURCE_HF && s->arch->hf_other) {
        s->instead = s->arch->hf_other;
        t = find(s, &s->arch->tensor[0], -1, name);
    }
    if (!t && s->kind == SOURCE_HF && s->arch->hf_prefix) {
        s->instead = "";
        t = find(s, &s->arch->tensor[0], -1, name);
    }
    if (!t)
        return err_set(e, ERR_DATA, "%s: missing tensor '%s'", s->path, own);
    if (t->shape[0] < 1 || t->shape[0] > HPARAM_VOCAB)
        return err_set(e, ERR_DATA, "%s: tensor '%s': %lld rows, not in 1..%d", s->path, name,
                       (long long)t->shape[0], HPARAM_VOCAB);
    s->vocab = (int)t->shape[0];
    if (find_parts(s, e) || read_factors(s, e))
        return err_wrap(e, "%s", s->path);
    return 0;
}

void source_at(const struct source *s, int i)
{
    if (s->watch.part)
        s->watch.part(s->watch.arg, i, s->n_parts);
}

const struct source_part *source_part(const struct source *s, enum arch_slot slot, bool bias,
                                      int layer)
{
    for (int i = 0; i < s->n_parts; i++) {
        const struct source_part *p = &s->part[i];

        if (p->what->slot == slot && p->what->bias == bias && p->layer == layer)
            return p;
    }
    return NULL;
}

struct tok *source_tok(const struct source *s, const char *path, struct err *e)
{
    if (path && s->kind != SOURCE_LLAMA2C) {
        err_set(e, ERR_ARG, "--tokenizer is for a llama2.c checkpoint; '%s' has its own", s->path);
        return NULL;
    }
    if (s->kind == SOURCE_GGUF)
        return tokload_gguf(&s->g, e);
    if (s->kind == SOURCE_HF)
        return tokload_dir(s->path, e);
    if (path)
        return tokload_llama2c(path, s->vocab, e);
    err_set(e, ERR_ARG, "'%s' is a llama2.c checkpoint; name its tokenizer with --tokenizer",
            s->path);
    return NULL;
}
