/* hparam_put.c - hyperparameters into GGUF keys and config.json. */
#include "hparam_put.h"

#include "json_put.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- GGUF ---- */

struct keys {
    struct gguf_writer *w;
    const char *arch;
    char full[ARCH_NAME];
};

/* "ARCH.name", until the next call. */
static const char *key(struct keys *k, const char *name)
{
    snprintf(k->full, sizeof(k->full), "%s.%s", k->arch, name);
    return k->full;
}

static void put_rope_keys(struct keys *k, const struct hparam *h)
{
    if (!h->rope_dims)
        return;
    gguf_put_int(k->w, key(k, "rope.dimension_count"), GGUF_U32, h->rope_dims);
    gguf_put_float(k->w, key(k, "rope.freq_base"), h->rope_base);
    if (h->scaling == HPARAM_LINEAR) {
        gguf_put_str(k->w, key(k, "rope.scaling.type"), "linear", 6);
        gguf_put_float(k->w, key(k, "rope.scaling.factor"), h->factor);
    }
    if (h->scaling == HPARAM_LLAMA3) { // what rope_freqs.weight was made from
        gguf_put_float(k->w, "llmutils.rope.factor", h->factor);
        gguf_put_float(k->w, "llmutils.rope.low_freq_factor", h->low_freq);
        gguf_put_float(k->w, "llmutils.rope.high_freq_factor", h->high_freq);
        gguf_put_int(k->w, "llmutils.rope.original_context_length", GGUF_U32, h->original_ctx);
    }
}

static bool default_pattern(const struct hparam *h)
{
    for (int i = 0; i < h->n_layers; i++)
        if (h->windowed[i] != hparam_window_default(h, i))
            return false;
    return true;
}

/* Without the key, Gemma 2 has a window of 4096 and the others none. */
static void put_window_keys(struct keys *k, const struct hparam *h)
{
    bool gemma = !strcmp(h->arch, "gemma2");

    if (h->window || gemma)
        gguf_put_int(k->w, key(k, "attention.sliding_window"), GGUF_U32, h->window);
    if (h->window && !default_pattern(h)) {
        gguf_put_array(k->w, key(k, "attention.sliding_window_pattern"), GGUF_BOOL,
                       (uint64_t)h->n_layers);
        for (int i = 0; i < h->n_layers; i++)
            gguf_add_bool(k->w, h->windowed[i]);
    }
    if (gemma) {
        gguf_put_float(k->w, key(k, "attn_logit_softcapping"), h->attn_cap);
        gguf_put_float(k->w, key(k, "final_logit_softcapping"), h->logit_cap);
        gguf_put_float(k->w, key(k, "attention.scale"), h->attn_scale);
    }
}

/* llama.cpp's numbers of poolings. */
static void put_encoder_keys(struct keys *k, const struct hparam *h)
{
    static const int pooling[] = {
        [HIDDEN_NONE] = 0, [HIDDEN_MEAN] = 1, [HIDDEN_FIRST] = 2, [HIDDEN_LAST] = 3};

    if (h->pool != HIDDEN_NONE)
        gguf_put_int(k->w, key(k, "pooling_type"), GGUF_U32, pooling[h->pool]);
    if (!h->whole)
        return;
    gguf_put_bool(k->w, key(k, "attention.causal"), false);
    gguf_put_int(k->w, "tokenizer.ggml.token_type_count", GGUF_U32, h->n_types);
}

void hparam_put_gguf(struct gguf_writer *w, const struct source *s)
{
    const struct hparam *h = &s->h;
    const struct {
        const char *name;
        int v;
    } row[] = {
        {"vocab_size", s->vocab},
        {"context_length", h->ctx},
        {"embedding_length", h->dim},
        {"block_count", h->n_layers},
        {"feed_forward_length", h->ffn_dim},
        {"attention.head_count", h->n_heads},
        {"attention.head_count_kv", h->n_kv_heads},
        {"attention.key_length", h->head_dim},
        {"attention.value_length", h->head_dim},
    };
    struct keys k = {.w = w, .arch = h->arch};

    gguf_put_str(w, "general.architecture", h->arch, strlen(h->arch));
    for (size_t i = 0; i < sizeof(row) / sizeof(*row); i++)
        gguf_put_int(w, key(&k, row[i].name), GGUF_U32, row[i].v);
    gguf_put_float(w,
                   key(&k, h->norm == NORM_LAYER ? "attention.layer_norm_epsilon"
                                                 : "attention.layer_norm_rms_epsilon"),
                   h->eps);
    put_rope_keys(&k, h);
    put_window_keys(&k, h);
    put_encoder_keys(&k, h);
}

/* ---- config.json ---- */

/* Find Llama-3's parameters behind a GGUF's factors: from the keys that
 * convert_gguf adds, or the published ones. They must give the same factors. */
static int find_llama3(const struct source *s, struct hparam *h, struct err *e)
{
    int n = h->rope_dims / 2;
    float *factor = mem_new((size_t)n * sizeof(*factor)), top = 1;
    int64_t original = 8192;
    int rc = 0;

    for (int i = 0; i < n; i++)
        top = s->rope_factors[i] > top ? s->rope_factors[i] : top;
    *h = s->h;
    h->scaling = HPARAM_LLAMA3;
    h->factor = top;
    h->low_freq = 1;
    h->high_freq = 4;
    if (gguf_float(&s->g, "llmutils.rope.factor", &h->factor, e) < 0 ||
        gguf_float(&s->g, "llmutils.rope.low_freq_factor", &h->low_freq, e) < 0 ||
        gguf_float(&s->g, "llmutils.rope.high_freq_factor", &h->high_freq, e) < 0 ||
        gguf_int(&s->g, "llmutils.rope.original_context_length", 1, HPARAM_CTX, &original, e) < 0)
        rc = -1;
    h->original_ctx = (int)original;
    source_llama3(h, factor);
    for (int i = 0; i < n && !rc; i++)
        if (!(fabsf(factor[i] - s->rope_factors[i]) <= 1e-4f * factor[i]))
            rc = err_set(e, ERR_DATA,
                         "%s: rope_freqs.weight is not Llama-3's scaling, and "
                         "config.json has no other form for it",
                         s->path);
    free(factor);
    return rc;
}

/* A float that also looks like one: transformers warns of "factor": 8. */
static void put_real(struct buf *b, const char *name, float v)
{
    size_t at;

    json_put_key(b, name);
    at = b->n;
    json_put_float(b, v);
    if (!strpbrk(b->p + at, ".e"))
        buf_str(b, ".0");
}

/* -1 is null. */
static void put_int(struct buf *b, const char *name, int v)
{
    json_put_key(b, name);
    if (v < 0)
        buf_str(b, "null");
    else
        json_put_int(b, v);
}

static void put_flag(struct buf *b, const char *name, bool v)
{
    json_put_key(b, name);
    buf_str(b, v ? "true" : "false");
}

/* Readers multiply and cut off: what is written gives the part again. */
static void put_share(struct buf *b, const char *name, int part, int whole)
{
    double share = (double)part / whole;

    if ((int)(whole * share) < part)
        share = nextafter(share, 2.0);
    json_put_key(b, name);
    json_put_num(b, share);
}

static int put_rope(const struct source *s, struct buf *b, struct err *e)
{
    struct hparam h = s->h;

    if (h.rope_dims != h.head_dim && strcmp(h.arch, "nemotron"))
        return err_set(e, ERR_DATA,
                       "%s: %d of %d dimensions of a head rotate, which a config.json of %s cannot "
                       "say",
                       s->path, h.rope_dims, h.head_dim, h.arch);
    if (s->rope_factors && find_llama3(s, &h, e))
        return -1;
    if (!strcmp(h.arch, "nemotron"))
        put_share(b, "partial_rotary_factor", h.rope_dims, h.head_dim);
    put_real(b, "rope_theta", h.rope_base);
    json_put_key(b, "rope_scaling");
    if (h.scaling == HPARAM_PLAIN) {
        buf_str(b, "null");
        return 0;
    }
    buf_str(b, "{\"rope_type\":");
    buf_str(b, h.scaling == HPARAM_LINEAR ? "\"linear\"" : "\"llama3\"");
    put_real(b, "factor", h.factor);
    if (h.scaling == HPARAM_LLAMA3) {
        put_real(b, "low_freq_factor", h.low_freq);
        put_real(b, "high_freq_factor", h.high_freq);
        put_int(b, "original_max_position_embeddings", h.original_ctx);
    }
    buf_char(b, '}');
    return 0;
}

/* transformers' class of each family. */
static const struct kind {
    const char *arch, *type, *hf_class, *act_name, *act, *eps_name;
} kinds[] = {
    {"llama", "llama", "LlamaForCausalLM", "hidden_act", "silu", "rms_norm_eps"},
    {"qwen2", "qwen2", "Qwen2ForCausalLM", "hidden_act", "silu", "rms_norm_eps"},
    {"qwen3", "qwen3", "Qwen3ForCausalLM", "hidden_act", "silu", "rms_norm_eps"},
    {"gpt2", "gpt2", "GPT2LMHeadModel", "activation_function", "gelu_new", "layer_norm_epsilon"},
    {"gemma2", "gemma2", "Gemma2ForCausalLM", "hidden_activation", "gelu_pytorch_tanh",
     "rms_norm_eps"},
    {"nemotron", "nemotron", "NemotronForCausalLM", "hidden_act", "relu2", "norm_eps"},
    {"bert", "bert", "BertModel", "hidden_act", "gelu", "layer_norm_eps"},
    {"llama", "mistral", "MistralForCausalLM", "hidden_act", "silu", "rms_norm_eps"}, // last
};

enum { N_KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static const struct kind *kind_of(const struct hparam *h)
{
    int i = 0;

    if (h->window && !strcmp(h->arch, "llama"))
        return &kinds[N_KINDS - 1];
    while (strcmp(kinds[i].arch, h->arch))
        i++; // every family is in the table
    return &kinds[i];
}

static int put_windows(const struct source *s, const struct kind *k, struct buf *b, struct err *e)
{
    const struct hparam *h = &s->h;

    if (!strcmp(k->type, "mistral") && !default_pattern(h))
        return err_set(e, ERR_DATA, "%s: only some layers have a window, which %s cannot say",
                       s->path, k->hf_class);
    if (!strcmp(k->arch, "nemotron") || !strcmp(k->arch, "gpt2"))
        return h->window ? err_set(e, ERR_DATA, "%s: a window of %d, which %s cannot say", s->path,
                                   h->window, k->hf_class)
                         : 0;
    if (!strcmp(k->type, "llama"))
        return 0;
    put_int(b, "sliding_window", h->window ? h->window : -1);
    if (!strcmp(k->type, "mistral"))
        return 0;
    if (strcmp(k->type, "gemma2"))
        put_flag(b, "use_sliding_window", h->window > 0);
    if (!h->window)
        return 0;
    json_put_key(b, "layer_types");
    for (int i = 0; i < h->n_layers; i++)
        buf_fmt(b, "%c\"%s_attention\"", i ? ',' : '[', h->windowed[i] ? "sliding" : "full");
    buf_char(b, ']');
    return 0;
}

/* transformers' classes have all biases of attention or none (Qwen 2: of q, k and v;
 * Mistral: none), and all of the feed-forward or none (Qwen 3, Gemma 2: none). */
static int put_biases(const struct source *s, const struct kind *k, struct buf *b, struct err *e)
{
    const unsigned qkv = 1u << ARCH_Q | 1u << ARCH_K | 1u << ARCH_V, attn = qkv | 1u << ARCH_O;
    const unsigned mlp = (s->h.gated ? 1u << ARCH_GATE : 0) | 1u << ARCH_UP | 1u << ARCH_DOWN;
    bool can_mlp = !strcmp(k->type, "llama") || !strcmp(k->type, "nemotron"), ok = true;
    unsigned has[HPARAM_LAYERS] = {0};

    for (int i = 0; i < s->n_parts; i++)
        if (s->part[i].what->bias && s->part[i].what->need == ARCH_MAY)
            has[s->part[i].layer] |= 1u << s->part[i].what->slot;
    for (int i = 1; i < s->h.n_layers; i++)
        ok = ok && has[i] == has[0];
    if (!strcmp(k->type, "qwen2"))
        ok = ok && has[0] == qkv;
    else if (!strcmp(k->type, "mistral"))
        ok = ok && !has[0];
    else
        ok = ok && (!(has[0] & attn) || (has[0] & attn) == attn) &&
             (!(has[0] & mlp) || (can_mlp && (has[0] & mlp) == mlp));
    if (!ok)
        return err_set(e, ERR_DATA, "%s: other matrices have biases than those of %s", s->path,
                       k->hf_class);
    if (!strcmp(k->type, "qwen2") || !strcmp(k->type, "mistral"))
        return 0;
    put_flag(b, "attention_bias", has[0] & attn);
    if (can_mlp)
        put_flag(b, "mlp_bias", has[0] & mlp);
    return 0;
}

static int put_gpt2(const struct source *s, struct buf *b, struct err *e)
{
    const struct hparam *h = &s->h;

    if (h->n_kv_heads != h->n_heads || h->n_heads * h->head_dim != h->dim)
        return err_set(e, ERR_DATA,
                       "%s: %d heads of %d values, %d of them of keys, which GPT-2's config.json "
                       "cannot say",
                       s->path, h->n_heads, h->head_dim, h->n_kv_heads);
    put_int(b, "n_ctx", h->ctx);
    put_int(b, "n_embd", h->dim);
    put_int(b, "n_head", h->n_heads);
    put_int(b, "n_inner", h->ffn_dim);
    put_int(b, "n_layer", h->n_layers);
    put_int(b, "n_positions", h->ctx);
    return put_windows(s, kind_of(h), b, e);
}

static int put_bert(const struct source *s, struct buf *b, struct err *e)
{
    const struct hparam *h = &s->h;

    if (h->n_kv_heads != h->n_heads || h->n_heads * h->head_dim != h->dim || h->window)
        return err_set(e, ERR_DATA,
                       "%s: %d heads of %d values, %d of them of keys, or a window, which BERT's "
                       "config.json cannot say",
                       s->path, h->n_heads, h->head_dim, h->n_kv_heads);
    put_int(b, "hidden_size", h->dim);
    put_int(b, "intermediate_size", h->ffn_dim);
    put_int(b, "max_position_embeddings", h->ctx);
    put_int(b, "num_attention_heads", h->n_heads);
    put_int(b, "num_hidden_layers", h->n_layers);
    put_int(b, "type_vocab_size", h->n_types);
    json_put_key(b, "position_embedding_type");
    buf_str(b, "\"absolute\"");
    return 0;
}

/* 0 is null: none. */
static void put_cap(struct buf *b, const char *name, float v)
{
    if (v > 0.0f)
        put_real(b, name, v);
    else
        put_int(b, name, -1);
}

/* The scale of q.k as the whole number that Gemma 2's config.json has. */
static int put_gemma2(const struct source *s, struct buf *b, struct err *e)
{
    float scalar = 1.0f / (s->h.attn_scale * s->h.attn_scale), whole = rintf(scalar);

    if (!(fabsf(scalar - whole) <= 1e-3f * whole) || whole < 1.0f || whole > 1e9f)
        return err_set(e, ERR_DATA,
                       "%s: attention scale %g is not that of a whole query_pre_attn_scalar",
                       s->path, (double)s->h.attn_scale);
    put_int(b, "query_pre_attn_scalar", (int)whole);
    put_cap(b, "attn_logit_softcapping", s->h.attn_cap);
    put_cap(b, "final_logit_softcapping", s->h.logit_cap);
    return 0;
}

static int put_others(const struct source *s, const struct kind *k, struct buf *b, struct err *e)
{
    const struct hparam *h = &s->h;

    put_int(b, "head_dim", h->head_dim);
    put_int(b, "hidden_size", h->dim);
    put_int(b, "intermediate_size", h->ffn_dim);
    put_int(b, "max_position_embeddings", h->ctx);
    put_int(b, "num_attention_heads", h->n_heads);
    put_int(b, "num_hidden_layers", h->n_layers);
    put_int(b, "num_key_value_heads", h->n_kv_heads);
    if (put_biases(s, k, b, e) || put_windows(s, k, b, e) || put_rope(s, b, e))
        return -1;
    return strcmp(h->arch, "gemma2") ? 0 : put_gemma2(s, b, e);
}

/* transformers' class, and how many labels a classifier has. */
static void put_class(const struct source *s, const struct kind *k, struct buf *b)
{
    // "LMHeadModel" is as long
    int n = (int)strlen(k->hf_class) - (s->h.n_labels ? (int)strlen("ForCausalLM") : 0);

    buf_fmt(b, "{\"architectures\":[\"%.*s%s\"]", n, k->hf_class,
            s->h.n_labels ? "ForSequenceClassification" : "");
    for (int way = 0; way < 2 && s->h.n_labels; way++) {
        json_put_key(b, way ? "label2id" : "id2label");
        buf_char(b, '{');
        for (int i = 0; i < s->h.n_labels; i++)
            buf_fmt(b, way ? "%s\"LABEL_%d\":%d" : "%s\"%d\":\"LABEL_%d\"", i ? "," : "", i, i);
        buf_char(b, '}');
    }
}

void hparam_put_pooling(const struct hparam *h, struct buf *b)
{
    buf_fmt(b, "{\"word_embedding_dimension\":%d", h->dim);
    put_flag(b, "pooling_mode_cls_token", h->pool == HIDDEN_FIRST);
    put_flag(b, "pooling_mode_mean_tokens", h->pool == HIDDEN_MEAN);
    put_flag(b, "pooling_mode_lasttoken", h->pool == HIDDEN_LAST);
    buf_str(b, "}\n");
}

int hparam_put_config(const struct source *s, const struct tok *tok, enum tensor_type type,
                      struct buf *b, struct err *e)
{
    const struct hparam *h = &s->h;
    const struct kind *k = kind_of(h);

    put_class(s, k, b);
    buf_fmt(b, ",\"model_type\":\"%s\",\"%s\":\"%s\"", k->type, k->act_name, k->act);
    put_int(b, "bos_token_id", tok_bos(tok));
    put_int(b, "eos_token_id", tok_eos(tok));
    put_int(b, "vocab_size", s->vocab);
    put_real(b, k->eps_name, h->eps);
    if (!strcmp(h->arch, "gpt2") ? put_gpt2(s, b, e)
        : h->whole               ? put_bert(s, b, e)
                                 : put_others(s, k, b, e))
        return -1;
    put_flag(b, "tie_word_embeddings", h->tied);
    buf_fmt(b, ",\"torch_dtype\":\"%s\"}\n",
            type == T_F32    ? "float32"
            : type == T_BF16 ? "bfloat16"
                             : "float16");
    return 0;
}
