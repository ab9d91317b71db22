/* hparam_dir.c - hyperparameters out of an HF directory's config.json. */
#include "hparam_dir.h"

#include "arena.h"
#include "file.h"
#include "json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONFIG_BYTES = 1 << 20 };

/* How a model_type's config.json differs: its family, its defaults, its names. */
static const struct type {
    const char *name, *arch;
    int ctx, head_dim; // when absent; head_dim 0: the width by the heads
    bool tied;
    const char *eps_name;
    float eps;
    const char *act_name, *act; // what the family computes
    float rotary_share;         // when absent; 1: the only one there is
} types[] = {
    {"llama", "llama", 2048, 0, false, "rms_norm_eps", 1e-6f, "hidden_act", "silu", 1},
    {"mistral", "llama", 131072, 0, false, "rms_norm_eps", 1e-6f, "hidden_act", "silu", 1},
    {"qwen2", "qwen2", 32768, 0, false, "rms_norm_eps", 1e-6f, "hidden_act", "silu", 1},
    {"qwen3", "qwen3", 32768, 128, false, "rms_norm_eps", 1e-6f, "hidden_act", "silu", 1},
    {"gpt2", "gpt2", 1024, 0, true, "layer_norm_epsilon", 1e-5f, "activation_function", "gelu_new",
     1},
    {"gemma2", "gemma2", 8192, 256, true, "rms_norm_eps", 1e-6f, "hidden_activation",
     "gelu_pytorch_tanh", 1},
    {"nemotron", "nemotron", 4096, 0, false, "norm_eps", 1e-5f, "hidden_act", "relu2", 0.5f},
    {"bert", "bert", 512, 0, true, "layer_norm_eps", 1e-12f, "hidden_act", "gelu", 1},
    {"roberta", "bert", 512, 0, true, "layer_norm_eps", 1e-12f, "hidden_act", "gelu", 1},
    {"xlm-roberta", "bert", 512, 0, true, "layer_norm_eps", 1e-12f, "hidden_act", "gelu", 1},
};

enum { N_TYPES = sizeof(types) / sizeof(types[0]) };

struct config {
    struct json j;
    struct arena mem;
    const struct type *type;
};

/* ---- fields ---- */

static bool absent(const struct config *c, int node)
{
    return node < 0 || json_is(&c->j, node, JSON_NULL);
}

static int wrong(const struct config *c, int node, const char *name, const char *what,
                 struct err *e)
{
    size_t n;
    const char *raw = json_raw(&c->j, node, &n);

    return err_set(e, ERR_DATA, "field '%s': %.*s is not %s", name, n > 40 ? 40 : (int)n, raw,
                   what);
}

/* none 0: the field must be there. */
static int config_int(const struct config *c, const char *name, int lo, int hi, int none, int *out,
                      struct err *e)
{
    int node = json_get(&c->j, 0, name);
    int64_t v = none;

    if (absent(c, node)) {
        if (!none)
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

static int config_float(const struct config *c, int object, const char *name, float none,
                        float *out, struct err *e)
{
    int node = json_get(&c->j, object, name);
    double v = (double)none;

    if (absent(c, node)) {
        if (none == 0.0f)
            return err_set(e, ERR_DATA, "field '%s' is missing", name);
    } else if (json_num(&c->j, node, &v)) {
        return err_set(e, ERR_DATA, "field '%s' is not a number", name);
    }
    *out = (float)v;
    return 0;
}

/* A flag that must be what the family computes. */
static int config_flag(const struct config *c, const char *name, bool want, struct err *e)
{
    int node = json_get(&c->j, 0, name);

    if (absent(c, node) || json_true(&c->j, node) == want)
        return 0;
    return wrong(c, node, name, want ? "supported (true is)" : "supported (false is)", e);
}

/* ---- rotary positions ---- */

/* Where transformers looks for the original context of Llama 3's scaling: beside the object, in
 * it, and at the context itself. */
static int config_original(struct hparam *h, struct config *c, int rope, struct err *e)
{
    static const char name[] = "original_max_position_embeddings";
    int node = json_get(&c->j, 0, name);
    double original = (double)h->ctx;

    node = absent(c, node) ? json_get(&c->j, rope, name) : node;
    if (!absent(c, node) &&
        (json_num(&c->j, node, &original) || !(original >= 1.0 && original <= HPARAM_CTX)))
        return err_set(e, ERR_DATA, "field '%s' is not in 1..%d", name, HPARAM_CTX);
    h->original_ctx = (int)original;
    return 0;
}

/* "default", "linear" or "llama3" in object node `rope`; other kinds are refused. */
static int config_scaling(struct hparam *h, struct config *c, int rope, struct err *e)
{
    int type = json_get(&c->j, rope, "rope_type");
    bool linear;

    type = type < 0 ? json_get(&c->j, rope, "type") : type;
    if (type < 0 || json_str_is(&c->j, type, "default"))
        return 0;
    linear = json_str_is(&c->j, type, "linear");
    if (!linear && !json_str_is(&c->j, type, "llama3")) {
        size_t n;
        const char *raw = json_raw(&c->j, type, &n);

        return err_set(e, ERR_DATA, "rope scaling %.*s is not supported", n > 40 ? 40 : (int)n,
                       raw);
    }
    h->scaling = linear ? HPARAM_LINEAR : HPARAM_LLAMA3;
    if (config_float(c, rope, "factor", 0.0f, &h->factor, e))
        return -1;
    if (linear)
        return 0;
    return config_float(c, rope, "low_freq_factor", 0.0f, &h->low_freq, e) ||
                   config_float(c, rope, "high_freq_factor", 0.0f, &h->high_freq, e) ||
                   config_original(h, c, rope, e)
               ? -1
               : 0;
}

/* How many dimensions of a head rotate. The product is transformers' own, in double: 0.7 of 20 are
 * 14, and 13 in float. */
static int config_rotating(struct hparam *h, const struct config *c, int rope, struct err *e)
{
    static const char name[] = "partial_rotary_factor";
    int node = json_get(&c->j, rope, name);
    double whole = (double)c->type->rotary_share, share = whole;

    node = node < 0 ? json_get(&c->j, 0, name) : node;
    if (!absent(c, node) && json_num(&c->j, node, &share))
        return err_set(e, ERR_DATA, "field '%s' is not a number", name);
    if (whole == 1.0 ? share != 1.0 : !(share > 0.0 && share <= 1.0))
        return err_set(e, ERR_DATA, "%s %g is not supported", name, share);
    h->rope_dims = (int)(h->head_dim * share);
    if (h->rope_dims < 1)
        return err_set(e, ERR_DATA, "%s %g of %d dimensions is none", name, share, h->head_dim);
    return 0;
}

/* transformers 5 writes rope_parameters, before it rope_theta and rope_scaling; where both are, the
 * latter counts. What either says of the base and of the share stands before what is beside it. */
static int config_rope(struct hparam *h, struct config *c, struct err *e)
{
    int rope = json_get(&c->j, 0, "rope_scaling");

    if (!json_is(&c->j, rope, JSON_OBJECT) || !c->j.node[rope].size)
        rope = json_get(&c->j, 0, "rope_parameters");
    if (!json_is(&c->j, rope, JSON_OBJECT))
        rope = -1;
    if (json_get(&c->j, rope, "full_attention") >= 0 ||
        json_get(&c->j, rope, "sliding_attention") >= 0)
        return err_set(e, ERR_DATA, "rotary positions that differ by layer are not supported");
    if (config_rotating(h, c, rope, e) ||
        config_float(c, json_get(&c->j, rope, "rope_theta") >= 0 ? rope : 0, "rope_theta", 10000.0f,
                     &h->rope_base, e))
        return -1;
    return rope < 0 ? 0 : config_scaling(h, c, rope, e);
}

/* ---- windows ---- */

/* "layer_types": a name a layer. */
static int config_layers(struct hparam *h, const struct config *c, int list, struct err *e)
{
    if (!json_is(&c->j, list, JSON_ARRAY) || c->j.node[list].size != (uint32_t)h->n_layers)
        return err_set(e, ERR_DATA, "field 'layer_types' is not an array of %d names", h->n_layers);
    for (int i = 0; i < h->n_layers; i++) {
        int node = json_at(&c->j, list, (uint32_t)i);

        h->windowed[i] = json_str_is(&c->j, node, "sliding_attention");
        if (!h->windowed[i] && !json_str_is(&c->j, node, "full_attention"))
            return wrong(c, node, "layer_types", "supported", e);
    }
    return 0;
}

/* Those that layer_types names; without it of Mistral all layers are windowed, of Gemma 2 every
 * second one, of Qwen those from max_window_layers on if use_sliding_window says so. */
static int config_window(struct hparam *h, const struct config *c, struct err *e)
{
    bool mistral = !strcmp(c->type->name, "mistral"), gemma = !strcmp(h->arch, "gemma2");
    bool qwen = !strncmp(h->arch, "qwen", 4);
    int node = json_get(&c->j, 0, "sliding_window"), list = json_get(&c->j, 0, "layer_types");
    int from = 0;

    if (!mistral && !gemma && !(qwen && json_true(&c->j, json_get(&c->j, 0, "use_sliding_window"))))
        return 0;
    if (node >= 0 && json_is(&c->j, node, JSON_NULL))
        return 0;
    if (config_int(c, "sliding_window", 1, INT32_MAX, 4096, &h->window, e) ||
        (qwen && config_int(c, "max_window_layers", 0, INT32_MAX, 28, &from, e)))
        return -1;
    if (!absent(c, list))
        return config_layers(h, c, list, e);
    for (int i = 0; i < h->n_layers; i++)
        h->windowed[i] = i >= from && hparam_window_default(h, i);
    return 0;
}

/* ---- the rest ---- */

/* Is a field the function that a family computes? Some have two names in transformers' ACT2FN. */
static bool same_act(const struct json *j, int node, const char *act)
{
    static const char *const names[][2] = {{"gelu_new", "gelu_pytorch_tanh"}, {"silu", "swish"}};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (!strcmp(act, names[i][0]) || !strcmp(act, names[i][1]))
            return json_str_is(j, node, names[i][0]) || json_str_is(j, node, names[i][1]);
    return json_str_is(j, node, act);
}

/* Known model_type, and nothing that would change the computation and is not done here. */
static int config_type(struct config *c, struct err *e)
{
    static const char *const quantized[] = {"quantization_config", "compression_config"};
    int type = json_get(&c->j, 0, "model_type"), act;
    const char *raw;
    size_t n = 4;

    for (int i = 0; i < N_TYPES && !c->type; i++)
        if (json_str_is(&c->j, type, types[i].name))
            c->type = &types[i];
    if (!c->type) {
        raw = type < 0 ? "none" : json_raw(&c->j, type, &n);
        return err_set(e, ERR_DATA,
                       "model_type %.*s is not supported (llama, mistral, qwen2, qwen3, gpt2, "
                       "gemma2, nemotron, bert, roberta and xlm-roberta are)",
                       n > 40 ? 40 : (int)n, raw);
    }
    act = json_get(&c->j, 0, c->type->act_name);
    if (!absent(c, act) && !same_act(&c->j, act, c->type->act))
        return err_set(e, ERR_DATA, "%s is not \"%s\"", c->type->act_name, c->type->act);
    for (int i = 0; i < 2; i++) // the second is what compressed-tensors wrote first
        if (json_is(&c->j, json_get(&c->j, 0, quantized[i]), JSON_OBJECT))
            return err_set(e, ERR_DATA,
                           "a quantized checkpoint (%s) is not supported; take the model that it "
                           "was made of",
                           quantized[i]);
    return 0;
}

static int config_sizes(struct hparam *h, const struct config *c, struct err *e)
{
    int head = c->type->head_dim ? c->type->head_dim : -1;

    if (!strcmp(c->type->name, "gpt2")) {
        if (config_int(c, "n_embd", 1, HPARAM_DIM, 0, &h->dim, e) ||
            config_int(c, "n_layer", 1, HPARAM_LAYERS, 0, &h->n_layers, e) ||
            config_int(c, "n_inner", 1, HPARAM_FFN, 4 * h->dim, &h->ffn_dim, e) ||
            config_int(c, "n_positions", 1, HPARAM_CTX, c->type->ctx, &h->ctx, e) ||
            config_int(c, "n_head", 1, HPARAM_DIM, 0, &h->n_heads, e) ||
            config_flag(c, "scale_attn_weights", true, e) ||
            config_flag(c, "scale_attn_by_inverse_layer_idx", false, e) ||
            config_flag(c, "add_cross_attention", false, e))
            return -1;
        h->n_kv_heads = h->n_heads;
        return 0;
    }
    return config_int(c, "hidden_size", 1, HPARAM_DIM, 0, &h->dim, e) ||
                   config_int(c, "num_hidden_layers", 1, HPARAM_LAYERS, 0, &h->n_layers, e) ||
                   config_int(c, "intermediate_size", 1, HPARAM_FFN, 0, &h->ffn_dim, e) ||
                   config_int(c, "max_position_embeddings", 1, HPARAM_CTX, c->type->ctx, &h->ctx,
                              e) ||
                   config_int(c, "num_attention_heads", 1, HPARAM_DIM, 0, &h->n_heads, e) ||
                   config_int(c, "num_key_value_heads", 1, h->n_heads, h->n_heads, &h->n_kv_heads,
                              e) ||
                   config_int(c, "head_dim", 1, HPARAM_HEAD, head, &h->head_dim, e)
               ? -1
               : 0;
}

/* null is no cap, absence the default. */
static int config_cap(const struct config *c, const char *name, float none, float *out,
                      struct err *e)
{
    int node = json_get(&c->j, 0, name);

    *out = 0.0f;
    return node >= 0 && json_is(&c->j, node, JSON_NULL) ? 0
                                                        : config_float(c, 0, name, none, out, e);
}

static int config_gemma2(struct hparam *h, const struct config *c, struct err *e)
{
    float scalar;

    if (config_cap(c, "attn_logit_softcapping", 50.0f, &h->attn_cap, e) ||
        config_cap(c, "final_logit_softcapping", 30.0f, &h->logit_cap, e) ||
        config_float(c, 0, "query_pre_attn_scalar", 256.0f, &scalar, e) ||
        config_flag(c, "use_bidirectional_attention", false, e))
        return -1;
    if (!(scalar > 0.0f) || !isfinite(scalar))
        return err_set(e, ERR_DATA, "query_pre_attn_scalar: %g is not a number above 0",
                       (double)scalar);
    h->attn_scale = 1.0f / sqrtf(scalar);
    return 0;
}

/* The one way of pooling that is true. The greatest values, or several vectors in a row, would be
 * other vectors than those that are made here. */
static int take_pooling(struct hparam *h, const struct json *j, struct arena *mem, struct err *e)
{
    static const struct {
        const char *name;
        enum hidden_pool pool;
    } modes[] = {{"pooling_mode_mean_tokens", HIDDEN_MEAN},
                 {"pooling_mode_cls_token", HIDDEN_FIRST},
                 {"pooling_mode_lasttoken", HIDDEN_LAST}};

    if (!json_is(j, 0, JSON_OBJECT))
        return err_set(e, ERR_DATA, "not a JSON object");
    for (uint32_t k = 1; k < j->node[0].next; k = j->node[k + 1].next) {
        const char *name = json_str(j, (int)k, mem, NULL);
        int i = 0;

        if (strncmp(name, "pooling_mode_", 13) != 0 || !json_true(j, (int)k + 1))
            continue;
        while (i < 3 && strcmp(name, modes[i].name) != 0)
            i++;
        if (i == 3)
            return err_set(e, ERR_DATA, "%s is not supported (one of %s, %s and %s is)", name,
                           modes[0].name, modes[1].name, modes[2].name);
        if (h->pool != HIDDEN_NONE && h->pool != modes[i].pool)
            return err_set(e, ERR_DATA, "%s is not supported beside another one", name);
        h->pool = modes[i].pool;
    }
    return 0;
}

/* What vectors go through, in order; another layer behind the model would make others of them. */
static int take_modules(struct hparam *h, const struct json *j, struct arena *mem, struct err *e)
{
    static const char *const known[] = {"Transformer", "Pooling", "Normalize"};

    (void)h;
    if (!json_is(j, 0, JSON_ARRAY))
        return err_set(e, ERR_DATA, "not a JSON array");
    for (uint32_t k = 1; k < j->node[0].next; k = j->node[k].next) {
        const char *type = json_str(j, json_get(j, (int)k, "type"), mem, NULL), *name;
        int i = 0;

        if (!type)
            return err_set(e, ERR_DATA, "a module without a type");
        name = strrchr(type, '.') ? strrchr(type, '.') + 1 : type;
        while (i < 3 && strcmp(name, known[i]) != 0)
            i++;
        if (i == 3)
            return err_set(e, ERR_DATA, "%s is not supported (%s, %s and %s are)", type, known[0],
                           known[1], known[2]);
    }
    return 0;
}

/* A file of the directory, if it is there. */
static int read_beside(struct hparam *h, const char *dir, const char *name,
                       int (*take)(struct hparam *h, const struct json *j, struct arena *mem,
                                   struct err *e),
                       struct err *e)
{
    char *path = file_join(dir, name), *text = NULL;
    struct arena mem = {0};
    struct json j;
    size_t n;
    int rc = 0;

    if (!access(path, F_OK)) {
        text = file_text(path, CONFIG_BYTES, &n, e);
        if (!text || json_parse(&j, &mem, text, n, e) || take(h, &j, &mem, e))
            rc = err_wrap(e, "%s", path);
    }
    arena_free(&mem);
    free(text);
    free(path);
    return rc;
}

/* What sentence-transformers keeps beside a model: how its vectors are made. */
static int read_pooling(struct hparam *h, const char *dir, struct err *e)
{
    return read_beside(h, dir, "modules.json", take_modules, e) ||
                   read_beside(h, dir, "1_Pooling/config.json", take_pooling, e)
               ? -1
               : 0;
}

/* RoBERTa's positions begin behind that of the padding token. */
static int config_encoder(struct hparam *h, const struct config *c, struct err *e)
{
    int kind = json_get(&c->j, 0, "position_embedding_type"), pad = 1;

    if (!absent(c, kind) && !json_str_is(&c->j, kind, "absolute"))
        return wrong(c, kind, "position_embedding_type", "supported (\"absolute\" is)", e);
    if (config_flag(c, "is_decoder", false, e) || config_flag(c, "add_cross_attention", false, e) ||
        config_int(c, "type_vocab_size", 1, HPARAM_TYPES, 2, &h->n_types, e))
        return -1;
    if (!strcmp(c->type->name, "bert"))
        return 0;
    if (config_int(c, "pad_token_id", 0, 1 << 16, 1, &pad, e))
        return -1;
    h->first_position = pad + 1;
    h->ctx -= h->first_position;
    return h->ctx > 0 ? 0 : err_set(e, ERR_DATA, "no positions are left behind the padding's");
}

static int config_read(struct hparam *h, struct config *c, struct err *e)
{
    int tied;

    if (!json_is(&c->j, 0, JSON_OBJECT))
        return err_set(e, ERR_DATA, "not a JSON object");
    if (config_type(c, e))
        return -1;
    hparam_family(h, c->type->arch, strlen(c->type->arch));
    if (config_sizes(h, c, e) || config_float(c, 0, c->type->eps_name, c->type->eps, &h->eps, e))
        return -1;
    tied = json_get(&c->j, 0, "tie_word_embeddings");
    h->tied = absent(c, tied) ? c->type->tied : json_true(&c->j, tied);
    h->rope_pairs_apart = true;
    if (h->head_dim < 1) { // config_rope needs it
        if (h->dim % h->n_heads)
            return hparam_finish(h, e);
        h->head_dim = h->dim / h->n_heads;
    }
    if (h->whole ? config_encoder(h, c, e) : config_flag(c, "is_causal", true, e))
        return -1;
    if ((strcmp(h->arch, "gpt2") && !h->whole && config_rope(h, c, e)) || config_window(h, c, e) ||
        (!strcmp(h->arch, "gemma2") && config_gemma2(h, c, e)))
        return -1;
    return hparam_finish(h, e);
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
    if (!rc)
        rc = read_pooling(h, dir, e);
    arena_free(&c.mem);
    free(text);
    free(path);
    return rc;
}
