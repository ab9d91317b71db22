/* hparam.c - hyperparameters of a model: what a family fixes, GGUF keys, checks. */
#include "hparam.h"

#include "num.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- families ---- */

// clang-format off
static const struct family {
    const char *arch;
    enum norm_kind norm;
    enum ffn_act act;
    bool gated;
    bool pairs_apart; // q and k rows of GGUF files lie as Hugging Face's
    bool rotates;
    bool capped;      // Gemma 2's soft caps, scale of the embedding and of q.k
    bool whole;       // an encoder
} families[] = {
    {"llama",    NORM_RMS,   FFN_SILU,  true,  false, true,  false, false},
    {"qwen2",    NORM_RMS,   FFN_SILU,  true,  true,  true,  false, false},
    {"qwen3",    NORM_RMS,   FFN_SILU,  true,  true,  true,  false, false},
    {"gpt2",     NORM_LAYER, FFN_GELU,  false, true,  false, false, false},
    {"gemma2",   NORM_RMS,   FFN_GELU,  true,  true,  true,  true, false},
    {"nemotron", NORM_LAYER, FFN_RELU2, false, true,  true,  false, false},
    {"bert",     NORM_LAYER, FFN_GELU_ERF, false, true, false, false, true},
};
// clang-format on

enum { N_FAMILIES = sizeof(families) / sizeof(families[0]) };

static bool same(const char *s, size_t n, const char *word)
{
    return n == strlen(word) && !memcmp(s, word, n);
}

static const struct family *find(const char *arch, size_t n)
{
    for (int i = 0; i < N_FAMILIES; i++)
        if (same(arch, n, families[i].arch))
            return &families[i];
    return NULL;
}

int hparam_family(struct hparam *h, const char *arch, size_t n)
{
    const struct family *f = find(arch, n);

    *h = (struct hparam){0};
    if (!f)
        return -1;
    memcpy(h->arch, f->arch, strlen(f->arch));
    h->norm = f->norm;
    h->act = f->act;
    h->gated = f->gated;
    h->rope_pairs_apart = f->pairs_apart;
    h->whole = f->whole;
    h->n_types = f->whole ? 1 : 0;
    h->rope_base = 10000.0f;
    h->embed_scale = 1.0f;
    return 0;
}

void hparam_families(char out[128])
{
    int n = 0;

    for (int i = 0; i < N_FAMILIES; i++)
        n += snprintf(out + n, 128 - (size_t)n, "%s%s", i ? ", " : "", families[i].arch);
}

bool hparam_window_default(const struct hparam *h, int layer)
{
    return strcmp(h->arch, "gemma2") || layer % 2 == 0;
}

/* ---- checks that hold for either source ---- */

static int check_float(const char *name, float v, struct err *e)
{
    if (!(v > 0.0f) || !isfinite(v))
        return err_set(e, ERR_DATA, "%s: %g is not a number above 0", name, (double)v);
    return 0;
}

static int check_cap(const char *name, float v, struct err *e)
{
    if (!(v >= 0.0f) || !isfinite(v))
        return err_set(e, ERR_DATA, "%s: %g is not a number from 0 up", name, (double)v);
    return 0;
}

static int check_rope(const struct hparam *h, struct err *e)
{
    if (h->rope_dims % 2 || h->rope_dims > h->head_dim)
        return err_set(e, ERR_DATA, "%d rotating dimensions: not an even number up to %d",
                       h->rope_dims, h->head_dim);
    if (check_float("rope base", h->rope_base, e))
        return -1;
    if (h->scaling == HPARAM_PLAIN)
        return 0;
    if (check_float("rope scaling factor", h->factor, e))
        return -1;
    if (h->scaling == HPARAM_LINEAR)
        return 0;
    if (check_float("low_freq_factor", h->low_freq, e) ||
        check_float("high_freq_factor", h->high_freq, e))
        return -1;
    if (!(h->high_freq > h->low_freq))
        return err_set(e, ERR_DATA, "high_freq_factor %g is not above low_freq_factor %g",
                       (double)h->high_freq, (double)h->low_freq);
    return 0;
}

/* Heads of equal size when the file does not say how large they are. */
static int divide(struct hparam *h, struct err *e)
{
    if (h->dim % h->n_heads)
        return err_set(e, ERR_DATA, "%d dimensions are not divided by %d heads", h->dim,
                       h->n_heads);
    h->head_dim = h->dim / h->n_heads;
    if (h->head_dim > HPARAM_HEAD)
        return err_set(e, ERR_DATA, "heads of %d values: more than %d", h->head_dim, HPARAM_HEAD);
    return 0;
}

int hparam_finish(struct hparam *h, struct err *e)
{
    const struct family *f = find(h->arch, strlen(h->arch));

    if (h->head_dim < 1 && divide(h, e))
        return -1;
    if (f->rotates && h->rope_dims < 1)
        h->rope_dims = h->head_dim;
    if (!f->rotates)
        h->rope_dims = 0;
    if (f->capped)
        h->embed_scale = sqrtf((float)h->dim);
    if (h->attn_scale == 0.0f)
        h->attn_scale = 1.0f / sqrtf((float)h->head_dim);
    if (h->n_heads % h->n_kv_heads)
        return err_set(e, ERR_DATA, "%d heads cannot share %d key/value heads", h->n_heads,
                       h->n_kv_heads);
    if ((int64_t)h->n_heads * h->head_dim > HPARAM_DIM)
        return err_set(e, ERR_DATA, "%d heads of %d values: more than %d together", h->n_heads,
                       h->head_dim, HPARAM_DIM);
    if (check_rope(h, e) || check_float("norm epsilon", h->eps, e) ||
        check_float("attention scale", h->attn_scale, e) ||
        check_cap("soft cap of scores", h->attn_cap, e) ||
        check_cap("soft cap of logits", h->logit_cap, e))
        return -1;
    return 0;
}

/* ---- GGUF ---- */

struct keys {
    const struct gguf *g;
    const char *arch;
};

/* "ARCH.name" in out. */
static const char *key(const struct keys *k, const char *name, char out[128])
{
    size_t a = strlen(k->arch), n = strlen(name);

    memcpy(out, k->arch, a);
    out[a] = '.';
    memcpy(out + a + 1, name, n + 1);
    return out;
}

/* As gguf_int; what is absent is an error when `absent` is 0, else takes its value. */
static int key_int(const struct keys *k, const char *name, int lo, int hi, int absent, int *out,
                   struct err *e)
{
    char full[128];
    int64_t v = absent;
    int rc = gguf_int(k->g, key(k, name, full), lo, hi, &v, e);

    if (rc < 0)
        return -1;
    if (!rc && !absent)
        return err_set(e, ERR_DATA, "%s: key '%s' is missing", k->g->map.path, full);
    *out = (int)v;
    return 0;
}

static int key_float(const struct keys *k, const char *name, float absent, float *out,
                     struct err *e)
{
    char full[128];
    int rc;

    *out = absent;
    rc = gguf_float(k->g, key(k, name, full), out, e);
    if (!rc && absent == 0.0f)
        return err_set(e, ERR_DATA, "%s: key '%s' is missing", k->g->map.path, full);
    return rc < 0 ? -1 : 0;
}

static int gguf_scaling(struct hparam *h, const struct keys *k, struct err *e)
{
    char full[128];
    const char *s = "none";
    size_t n = 4;
    int rc = gguf_str(k->g, key(k, "rope.scaling.type", full), &s, &n, e);

    if (rc < 0 || key_float(k, "rope.scaling.factor", 1.0f, &h->factor, e))
        return -1;
    if (!rc) {
        /* files from before the type was written hold a bare linear factor */
        if (key_float(k, "rope.scale_linear", h->factor, &h->factor, e))
            return -1;
        h->scaling = h->factor == 1.0f ? HPARAM_PLAIN : HPARAM_LINEAR;
        return 0;
    }
    if (same(s, n, "none"))
        return 0;
    if (!same(s, n, "linear"))
        return err_set(e, ERR_DATA, "%s: %s: scaling '%.*s' is not supported", k->g->map.path, full,
                       n > 40 ? 40 : (int)n, s);
    h->scaling = HPARAM_LINEAR;
    return 0;
}

/* attention.sliding_window_pattern: a flag a layer, or a number n: every n-th
 * layer sees the whole past (0: none does). */
static int gguf_pattern(struct hparam *h, const struct keys *k, struct err *e)
{
    char full[128];
    const struct gguf_kv *kv = gguf_find(k->g, key(k, "attention.sliding_window_pattern", full));
    int64_t n = 0;

    for (int i = 0; i < h->n_layers; i++)
        h->windowed[i] = hparam_window_default(h, i);
    if (!kv)
        return 0;
    if (kv->type != GGUF_ARR) {
        if (gguf_int(k->g, full, 0, HPARAM_LAYERS, &n, e) < 0)
            return -1;
        for (int i = 0; i < h->n_layers; i++)
            h->windowed[i] = n == 0 || i % n < n - 1;
        return 0;
    }
    if (kv->n != (uint64_t)h->n_layers || kv->elem == GGUF_STR || kv->elem == GGUF_F32 ||
        kv->elem == GGUF_F64)
        return err_set(e, ERR_DATA, "%s: key '%s' is not an array of %d flags", k->g->map.path,
                       full, h->n_layers);
    for (int i = 0; i < h->n_layers; i++)
        h->windowed[i] = gguf_item_int(kv, (uint64_t)i) != 0;
    return 0;
}

/* What Gemma 2's files say besides. Published ones leave out the scale of q.k: it is
 * that of a head's size, but for the model of 46 layers, whose heads are larger
 * than their share of the width. */
static int gguf_capped(struct hparam *h, const struct keys *k, struct err *e)
{
    int share = h->n_layers == 46 ? h->dim / h->n_heads : h->head_dim;

    share = share < 1 ? 1 : share;
    return key_float(k, "attn_logit_softcapping", 50.0f, &h->attn_cap, e) ||
                   key_float(k, "final_logit_softcapping", 30.0f, &h->logit_cap, e) ||
                   key_float(k, "attention.scale", 1.0f / sqrtf((float)share), &h->attn_scale, e)
               ? -1
               : 0;
}

/* The sizes, which every family has. */
static int gguf_sizes(struct hparam *h, const struct keys *k, struct err *e)
{
    const char *path = k->g->map.path;
    int experts, value_dim;

    if (key_int(k, "embedding_length", 1, HPARAM_DIM, 0, &h->dim, e) ||
        key_int(k, "block_count", 1, HPARAM_LAYERS, 0, &h->n_layers, e) ||
        key_int(k, "feed_forward_length", 1, HPARAM_FFN, 0, &h->ffn_dim, e) ||
        key_int(k, "context_length", 1, HPARAM_CTX, 0, &h->ctx, e) ||
        key_int(k, "attention.head_count", 1, HPARAM_DIM, 0, &h->n_heads, e) ||
        key_int(k, "attention.head_count_kv", 1, h->n_heads, h->n_heads, &h->n_kv_heads, e) ||
        key_int(k, "attention.key_length", 1, HPARAM_HEAD, -1, &h->head_dim, e) ||
        key_int(k, "expert_count", 0, 1 << 16, -1, &experts, e))
        return -1;
    if (experts > 0)
        return err_set(e, ERR_DATA, "%s: mixtures of experts are not supported", path);
    if (h->head_dim < 0 && divide(h, e))
        return err_wrap(e, "%s", path);
    if (key_int(k, "attention.value_length", 1, HPARAM_HEAD, h->head_dim, &value_dim, e))
        return -1;
    if (value_dim != h->head_dim)
        return err_set(e, ERR_DATA, "%s: values of %d beside keys of %d are not supported", path,
                       value_dim, h->head_dim);
    return 0;
}

/* llama.cpp's numbers: 1 mean, 2 of the first token, 3 of the last. */
static int gguf_encoder(struct hparam *h, const struct keys *k, struct err *e)
{
    static const enum hidden_pool pool[] = {HIDDEN_NONE, HIDDEN_MEAN, HIDDEN_FIRST, HIDDEN_LAST,
                                            HIDDEN_NONE};
    char full[128];
    bool causal = false;
    int64_t types = 1;
    int how;

    if (key_int(k, "pooling_type", 0, 4, -1, &how, e))
        return -1;
    h->pool = how < 0 ? HIDDEN_NONE : pool[how];
    if (!h->whole)
        return 0;
    if (gguf_int(k->g, "tokenizer.ggml.token_type_count", 1, HPARAM_TYPES, &types, e) < 0 ||
        gguf_bool(k->g, key(k, "attention.causal", full), &causal, e) < 0)
        return -1;
    h->n_types = (int)types;
    if (causal)
        return err_set(e, ERR_DATA, "%s: %s: true is not supported for an encoder", k->g->map.path,
                       full);
    return 0;
}

int hparam_gguf(struct hparam *h, const struct gguf *g, struct err *e)
{
    struct keys k = {g, h->arch};
    const struct family *f;
    const char *arch = NULL;
    char names[128];
    size_t n = 0;
    int rc = gguf_str(g, "general.architecture", &arch, &n, e);

    *h = (struct hparam){0};
    if (rc < 0)
        return -1;
    if (!rc)
        return err_set(e, ERR_DATA, "%s: key 'general.architecture' is missing", g->map.path);
    if (hparam_family(h, arch, n)) {
        hparam_families(names);
        return err_set(e, ERR_DATA, "%s: architecture '%.*s' is not supported (%s are)",
                       g->map.path, n > 40 ? 40 : (int)n, arch, names);
    }
    f = find(arch, n);
    if (gguf_sizes(h, &k, e) ||
        key_float(&k,
                  f->norm == NORM_LAYER ? "attention.layer_norm_epsilon"
                                        : "attention.layer_norm_rms_epsilon",
                  0.0f, &h->eps, e) ||
        (f->rotates &&
         (key_int(&k, "rope.dimension_count", 1, HPARAM_HEAD, h->head_dim, &h->rope_dims, e) ||
          key_float(&k, "rope.freq_base", 10000.0f, &h->rope_base, e) || gguf_scaling(h, &k, e))) ||
        key_int(&k, "attention.sliding_window", 0, INT32_MAX, f->capped ? 4096 : -1, &h->window,
                e) ||
        gguf_pattern(h, &k, e) || (f->capped && gguf_capped(h, &k, e)) || gguf_encoder(h, &k, e))
        return -1;
    h->window = h->window < 0 ? 0 : h->window;
    return hparam_finish(h, e) ? err_wrap(e, "%s", g->map.path) : 0;
}

/* ---- rotary frequencies ---- */

static float llama3(const struct hparam *h, float freq)
{
    float wave = 6.28318530717958647692f / freq, original = (float)h->original_ctx, blend;

    if (wave < original / h->high_freq)
        return freq;
    if (wave > original / h->low_freq)
        return freq / h->factor;
    blend = (original / wave - h->low_freq) / (h->high_freq - h->low_freq);
    return (1.0f - blend) * (freq / h->factor) + blend * freq;
}

void hparam_freqs(const struct hparam *h, const float *factors, float *inv_freq)
{
    for (int i = 0; i < h->rope_dims / 2; i++) {
        float freq = num_pow(h->rope_base, -2.0 * (double)i / (double)h->rope_dims);

        if (h->scaling == HPARAM_LINEAR)
            freq /= h->factor;
        else if (h->scaling == HPARAM_LLAMA3)
            freq = llama3(h, freq);
        inv_freq[i] = factors ? freq / factors[i] : freq;
    }
}
