/* hparam.c - hyperparameters of a model, out of GGUF keys or config.json. */
#include "hparam.h"

#include "arena.h"
#include "file.h"
#include "json.h"
#include "num.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CONFIG_BYTES = 1 << 20 };

/* ---- checks that hold for either source ---- */

static int check_float(const char *name, float v, struct err *e)
{
    if (!(v > 0.0f) || !isfinite(v))
        return err_set(e, ERR_DATA, "%s: %g is not a number above 0", name, (double)v);
    return 0;
}

static int check(const struct hparam *h, struct err *e)
{
    if (h->n_heads % h->n_kv_heads)
        return err_set(e, ERR_DATA, "%d heads cannot share %d key/value heads", h->n_heads,
                       h->n_kv_heads);
    if ((int64_t)h->n_heads * h->head_dim > HPARAM_DIM)
        return err_set(e, ERR_DATA, "%d heads of %d values: more than %d together", h->n_heads,
                       h->head_dim, HPARAM_DIM);
    if (h->rope_dims % 2 || h->rope_dims > h->head_dim)
        return err_set(e, ERR_DATA, "%d rotating dimensions: not an even number up to %d",
                       h->rope_dims, h->head_dim);
    if (check_float("norm epsilon", h->eps, e) || check_float("rope base", h->rope_base, e))
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

static bool same(const char *s, size_t n, const char *word)
{
    return n == strlen(word) && !memcmp(s, word, n);
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

int hparam_gguf(struct hparam *h, const struct gguf *g, struct err *e)
{
    struct keys k = {g, h->arch};
    const char *arch = NULL;
    size_t n = 0;
    int rc = gguf_str(g, "general.architecture", &arch, &n, e), experts, value_dim;

    *h = (struct hparam){0};
    if (rc < 0)
        return -1;
    if (!rc)
        return err_set(e, ERR_DATA, "%s: key 'general.architecture' is missing", g->map.path);
    if (!same(arch, n, "llama"))
        return err_set(e, ERR_DATA, "%s: architecture '%.*s' is not supported (llama is)",
                       g->map.path, n > 40 ? 40 : (int)n, arch);
    memcpy(h->arch, "llama", 6);
    if (key_int(&k, "embedding_length", 1, HPARAM_DIM, 0, &h->dim, e) ||
        key_int(&k, "block_count", 1, HPARAM_LAYERS, 0, &h->n_layers, e) ||
        key_int(&k, "feed_forward_length", 1, HPARAM_FFN, 0, &h->ffn_dim, e) ||
        key_int(&k, "context_length", 1, HPARAM_CTX, 0, &h->ctx, e) ||
        key_int(&k, "attention.head_count", 1, HPARAM_DIM, 0, &h->n_heads, e) ||
        key_int(&k, "attention.head_count_kv", 1, h->n_heads, h->n_heads, &h->n_kv_heads, e) ||
        key_int(&k, "attention.key_length", 1, HPARAM_HEAD, -1, &h->head_dim, e) ||
        key_int(&k, "expert_count", 0, 1 << 16, -1, &experts, e) ||
        key_float(&k, "attention.layer_norm_rms_epsilon", 0.0f, &h->eps, e) ||
        key_float(&k, "rope.freq_base", 10000.0f, &h->rope_base, e) || gguf_scaling(h, &k, e))
        return -1;
    if (experts > 0)
        return err_set(e, ERR_DATA, "%s: mixtures of experts are not supported", g->map.path);
    if (h->head_dim < 0 && divide(h, e))
        return err_wrap(e, "%s", g->map.path);
    if (key_int(&k, "attention.value_length", 1, HPARAM_HEAD, h->head_dim, &value_dim, e) ||
        key_int(&k, "rope.dimension_count", 1, HPARAM_HEAD, h->head_dim, &h->rope_dims, e))
        return -1;
    if (value_dim != h->head_dim)
        return err_set(e, ERR_DATA, "%s: values of %d beside keys of %d are not supported",
                       g->map.path, value_dim, h->head_dim);
    return check(h, e) ? err_wrap(e, "%s", g->map.path) : 0;
}

/* ---- config.json ---- */

struct config {
    struct json j;
    struct arena mem;
};

static int config_int(const struct config *c, const char *name, int lo, int hi, int absent,
                      int *out, struct err *e)
{
    int node = json_get(&c->j, 0, name);
    int64_t v = absent;

    if (node < 0 || json_is(&c->j, node, JSON_NULL)) {
        if (!absent)
            return err_set(e, ERR_DATA, "field '%s' is missing", name);
    } else if (json_int(&c->j, node, &v) || v < lo || v > hi) {
        size_t n;
        const char *raw = json_raw(&c->j, node, &n);

        return err_set(e, ERR_DATA, "field '%s': %.*s is not an integer in %d..%d", name,
                       n > 40 ? 40 : (int)n, raw, lo, hi);
    }
    *out = (int)v;
    return 0;
}

static int config_float(const struct config *c, int object, const char *name, float absent,
                        float *out, struct err *e)
{
    int node = json_get(&c->j, object, name);
    double v = (double)absent;

    if (node < 0 || json_is(&c->j, node, JSON_NULL)) {
        if (absent == 0.0f)
            return err_set(e, ERR_DATA, "field '%s' is missing", name);
    } else if (json_num(&c->j, node, &v)) {
        return err_set(e, ERR_DATA, "field '%s' is not a number", name);
    }
    *out = (float)v;
    return 0;
}

/* "default", "linear" or "llama3" in object node `rope`; other kinds are refused. */
static int config_scaling(struct hparam *h, struct config *c, int rope, struct err *e)
{
    int type = json_get(&c->j, rope, "rope_type");
    double original = 0.0;

    type = type < 0 ? json_get(&c->j, rope, "type") : type;
    if (type < 0 || json_str_is(&c->j, type, "default"))
        return 0;
    if (config_float(c, rope, "factor", 0.0f, &h->factor, e))
        return -1;
    if (json_str_is(&c->j, type, "linear")) {
        h->scaling = HPARAM_LINEAR;
        return 0;
    }
    if (!json_str_is(&c->j, type, "llama3")) {
        size_t n;
        const char *raw = json_raw(&c->j, type, &n);

        return err_set(e, ERR_DATA, "rope scaling %.*s is not supported", n > 40 ? 40 : (int)n,
                       raw);
    }
    h->scaling = HPARAM_LLAMA3;
    if (config_float(c, rope, "low_freq_factor", 0.0f, &h->low_freq, e) ||
        config_float(c, rope, "high_freq_factor", 0.0f, &h->high_freq, e))
        return -1;
    if (json_num(&c->j, json_get(&c->j, rope, "original_max_position_embeddings"), &original) ||
        !(original >= 1.0 && original <= HPARAM_CTX))
        return err_set(e, ERR_DATA, "field 'original_max_position_embeddings' is not in 1..%d",
                       HPARAM_CTX);
    h->original_ctx = (int)original;
    return 0;
}

/* transformers 5 writes rope_parameters; before it, rope_theta and rope_scaling. */
static int config_rope(struct hparam *h, struct config *c, struct err *e)
{
    int rope = json_get(&c->j, 0, "rope_parameters"), partial;
    float share;

    partial = json_get(&c->j, rope, "partial_rotary_factor") >= 0 ? rope : 0;
    if (config_float(c, partial, "partial_rotary_factor", 1.0f, &share, e))
        return -1;
    if (share != 1.0f)
        return err_set(e, ERR_DATA, "partial_rotary_factor %g is not supported", (double)share);
    if (config_float(c, json_get(&c->j, rope, "rope_theta") >= 0 ? rope : 0, "rope_theta", 10000.0f,
                     &h->rope_base, e))
        return -1;
    if (!json_is(&c->j, rope, JSON_OBJECT))
        rope = json_get(&c->j, 0, "rope_scaling");
    return json_is(&c->j, rope, JSON_OBJECT) ? config_scaling(h, c, rope, e) : 0;
}

/* What would change the computation and is not done here. */
static int config_refuse(const struct config *c, struct err *e)
{
    static const char *const known[] = {"llama", "mistral", NULL};
    int type = json_get(&c->j, 0, "model_type"), act = json_get(&c->j, 0, "hidden_act");
    bool found = false;
    size_t n = 4;

    for (int i = 0; known[i]; i++)
        found = found || json_str_is(&c->j, type, known[i]);
    if (!found) {
        const char *raw = type < 0 ? "none" : json_raw(&c->j, type, &n);

        return err_set(e, ERR_DATA, "model_type %.*s is not supported (llama and mistral are)",
                       n > 40 ? 40 : (int)n, raw);
    }
    if (act >= 0 && !json_str_is(&c->j, act, "silu"))
        return err_set(e, ERR_DATA, "hidden_act is not \"silu\"");
    if (json_is(&c->j, json_get(&c->j, 0, "quantization_config"), JSON_OBJECT))
        return err_set(e, ERR_DATA,
                       "a quantized checkpoint (quantization_config) cannot be run "
                       "as it is; convert it first");
    return 0;
}

static int config_read(struct hparam *h, struct config *c, struct err *e)
{
    int window;

    if (!json_is(&c->j, 0, JSON_OBJECT))
        return err_set(e, ERR_DATA, "not a JSON object");
    if (config_refuse(c, e) || config_int(c, "hidden_size", 1, HPARAM_DIM, 0, &h->dim, e) ||
        config_int(c, "num_hidden_layers", 1, HPARAM_LAYERS, 0, &h->n_layers, e) ||
        config_int(c, "intermediate_size", 1, HPARAM_FFN, 0, &h->ffn_dim, e) ||
        config_int(c, "max_position_embeddings", 1, HPARAM_CTX, 2048, &h->ctx, e) ||
        config_int(c, "num_attention_heads", 1, HPARAM_DIM, 0, &h->n_heads, e) ||
        config_int(c, "num_key_value_heads", 1, h->n_heads, h->n_heads, &h->n_kv_heads, e) ||
        config_int(c, "head_dim", 1, HPARAM_HEAD, -1, &h->head_dim, e) ||
        config_int(c, "sliding_window", 1, INT32_MAX, -1, &window, e) ||
        config_float(c, 0, "rms_norm_eps", 1e-6f, &h->eps, e) || config_rope(h, c, e))
        return -1;
    if (h->head_dim < 0 && divide(h, e))
        return -1;
    if (window > 0 && window < h->ctx)
        h->ctx = window;
    h->rope_dims = h->head_dim;
    h->rope_pairs_apart = true;
    h->tied = json_true(&c->j, json_get(&c->j, 0, "tie_word_embeddings"));
    memcpy(h->arch, "llama", 6);
    return check(h, e);
}

int hparam_dir(struct hparam *h, const char *dir, struct err *e)
{
    char *path = file_join(dir, "config.json"), *text;
    struct config c = {0};
    size_t n;
    int rc = -1;

    *h = (struct hparam){0};
    text = file_text(path, CONFIG_BYTES, &n, e);
    if (text) {
        rc = json_parse(&c.j, &c.mem, text, n, e) || config_read(h, &c, e) ? err_wrap(e, "%s", path)
                                                                           : 0;
    }
    arena_free(&c.mem);
    free(text);
    free(path);
    return rc;
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
