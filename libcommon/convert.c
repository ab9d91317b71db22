/* convert.c - write a model as GGUF or as a Hugging Face directory. */
#include "convert.h"

#include "json.h"
#include "quant.h"
#include "tokload.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = 1 << 20 };   // values converted at a time, if a row is not longer
enum { QUANT_VERSION = 2 }; // of ggml's block formats

const char *const convert_types[] = {"auto", "f32", "f16", "bf16", "q8_0", NULL};

/* ---- values ---- */

/* Where a tensor's bytes go. */
struct sink {
    int (*put)(void *to, const void *p, size_t n, struct err *e);
    void *to;
};

static int put_gguf(void *to, const void *p, size_t n, struct err *e)
{
    return gguf_data(to, p, n, e);
}

static int put_st(void *to, const void *p, size_t n, struct err *e)
{
    return st_data(to, p, n, e);
}

/* What the type cannot hold must not be written silently. */
static int check_values(const float *x, int64_t n, enum tensor_type type, struct err *e)
{
    float max = type == T_F16 ? 65504.0f : type == T_Q8_0 ? 65504.0f * 127 : 3.3895e38f;

    if (type == T_F32)
        max = INFINITY;
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(x[i]))
            return err_set(e, ERR_DATA, "a value is not finite");
        if (fabsf(x[i]) > max)
            return err_set(e, ERR_DATA, "value %g is too large for %s", (double)x[i],
                           tensor_type_name(type));
    }
    return 0;
}

struct rows {
    const struct source_part *part;
    enum tensor_type type; // to write
    int64_t n, cols;       // a vector is one row
    int head_dim;          // of a permutation, or 0
    bool to_pairs;
};

static int put_rows(const struct rows *r, const struct sink *k, struct err *e)
{
    const struct tensor *t = r->part->t;
    size_t from = tensor_row_bytes(t->type, r->cols), to = tensor_row_bytes(r->type, r->cols);
    int64_t piece = r->cols < PIECE ? PIECE / r->cols : 1;
    uint8_t *out = mem_new((size_t)piece * to);
    float *x = mem_new((size_t)r->cols * sizeof(*x));
    int rc = 0;

    for (int64_t i = 0; i < r->n && !rc; i += piece) {
        int64_t end = r->n - i < piece ? r->n : i + piece;

        for (int64_t k2 = i; k2 < end && !rc; k2++) {
            int64_t row = r->head_dim ? arch_rope_row(k2, r->head_dim, r->to_pairs) : k2;
            const uint8_t *src = (const uint8_t *)t->data + (size_t)row * from;
            uint8_t *dst = out + (size_t)(k2 - i) * to;

            quant_read(t->type, src, x, r->cols);
            rc = check_values(x, r->cols, t->type == r->type ? T_F32 : r->type, e);
            if (t->type == r->type)
                memcpy(dst, src, to);
            else
                quant_write(r->type, x, dst, r->cols);
        }
        if (!rc)
            rc = k->put(k->to, out, (size_t)(end - i) * to, e);
        file_release(r->part->map, t->data, t->bytes);
    }
    free(out);
    free(x);
    return rc;
}

/* One tensor's values in the output's type and row order. */
static int put_part(const struct source *s, const struct source_part *p, enum tensor_type type,
                    bool to_pairs, const struct sink *k, struct err *e)
{
    struct rows r = {p, type, tensor_rows(p->t), tensor_cols(p->t), 0, to_pairs};

    if (p->what->how != ARCH_AS_IS && to_pairs == s->h.rope_pairs_apart)
        r.head_dim = s->h.head_dim;
    return put_rows(&r, k, e) ? err_wrap(e, "%s: tensor '%s'", s->path, p->t->name) : 0;
}

/* ---- types ---- */

static enum tensor_type matrix_type(enum convert_type type, const struct tensor *t)
{
    static const enum tensor_type of[] = {T_F16, T_F32, T_F16, T_BF16, T_Q8_0};

    if (type == CONVERT_AUTO)
        return t->type == T_F64 ? T_F32 : t->type;
    if (of[type] == T_Q8_0 && tensor_cols(t) % QUANT_32)
        return T_F16;
    return of[type];
}

static enum tensor_type gguf_type_of(enum convert_type type, const struct tensor *t)
{
    return t->n_dims < 2 ? T_F32 : matrix_type(type, t);
}

/* The type of a checkpoint as a whole. */
static enum tensor_type dir_type(const struct source *s, enum convert_type type)
{
    enum tensor_type t = matrix_type(type, s->part[0].t);

    return t == T_F32 || t == T_BF16 ? t : T_F16;
}

/* Auto: a GGUF's vectors were widened to F32; they get the checkpoint's type
 * back where that loses nothing. */
static enum tensor_type dir_type_of(const struct source *s, enum convert_type type,
                                    const struct tensor *t)
{
    enum tensor_type all = dir_type(s, type);

    if (type != CONVERT_AUTO || t->type != T_F32)
        return all;
    for (int64_t i = 0, n = tensor_rows(t) * tensor_cols(t); i < n; i++) {
        float x, y;
        uint16_t h;

        quant_read(T_F32, (const uint8_t *)t->data + 4 * i, &x, 1);
        if (all == T_F32 || !quant_write(all, &x, &h, 1) || !quant_read(all, &h, &y, 1) || x != y)
            return T_F32;
    }
    return all;
}

/* ---- GGUF ---- */

/* general.file_type by llama.cpp's numbers: the type of most values. */
static int file_type(const struct source *s, enum convert_type type)
{
    static const struct {
        enum tensor_type type;
        int number;
    } known[] = {{T_F32, 0},     {T_F16, 1},   {T_Q4_0, 2},   {T_Q4_1, 3},
                 {T_Q8_0, 7},    {T_Q5_0, 8},  {T_Q5_1, 9},   {T_Q2_K, 10},
                 {T_Q3_K, 11},   {T_Q4_K, 15}, {T_Q5_K, 17},  {T_Q6_K, 18},
                 {T_IQ4_NL, 25}, {T_BF16, 32}, {T_MXFP4, 38}, {T_NVFP4, 39}};
    int64_t count[T_NTYPES] = {0};
    int best = 0;

    for (int i = 0; i < s->n_parts; i++) {
        const struct tensor *t = s->part[i].t;

        count[gguf_type_of(type, t)] += tensor_rows(t) * tensor_cols(t);
    }
    for (size_t i = 1; i < sizeof(known) / sizeof(*known); i++)
        if (count[known[i].type] > count[known[best].type])
            best = (int)i;
    return known[best].number;
}

static void put_file_type(struct gguf_writer *w, const struct source *s, enum convert_type type)
{
    int number = file_type(s, type);

    gguf_put_int(w, "general.file_type", GGUF_U32, number);
    if (number > 1 && number != 32)
        gguf_put_int(w, "general.quantization_version", GGUF_U32, QUANT_VERSION);
}

static void put_hparam(struct gguf_writer *w, const struct source *s)
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
        {"rope.dimension_count", h->rope_dims},
    };
    char key[ARCH_NAME];

    gguf_put_str(w, "general.architecture", h->arch, strlen(h->arch));
    for (size_t i = 0; i < sizeof(row) / sizeof(*row); i++) {
        snprintf(key, sizeof(key), "%s.%s", h->arch, row[i].name);
        gguf_put_int(w, key, GGUF_U32, row[i].v);
    }
    snprintf(key, sizeof(key), "%s.attention.layer_norm_rms_epsilon", h->arch);
    gguf_put_float(w, key, h->eps);
    snprintf(key, sizeof(key), "%s.rope.freq_base", h->arch);
    gguf_put_float(w, key, h->rope_base);
    if (h->scaling == HPARAM_LINEAR) {
        snprintf(key, sizeof(key), "%s.rope.scaling.type", h->arch);
        gguf_put_str(w, key, "linear", 6);
        snprintf(key, sizeof(key), "%s.rope.scaling.factor", h->arch);
        gguf_put_float(w, key, h->factor);
    }
    if (h->scaling == HPARAM_LLAMA3) { // what rope_freqs.weight was made from
        gguf_put_float(w, "llmutils.rope.factor", h->factor);
        gguf_put_float(w, "llmutils.rope.low_freq_factor", h->low_freq);
        gguf_put_float(w, "llmutils.rope.high_freq_factor", h->high_freq);
        gguf_put_int(w, "llmutils.rope.original_context_length", GGUF_U32, h->original_ctx);
    }
}

/* The keys of a GGUF stay as they are, but for those that say the types. */
static void copy_keys(struct gguf_writer *w, const struct gguf *g)
{
    for (int i = 0; i < g->n_kv; i++)
        if (strcmp(g->kv[i].key, "general.file_type") &&
            strcmp(g->kv[i].key, "general.quantization_version"))
            gguf_put_kv(w, &g->kv[i]);
}

static int put_infos(struct gguf_writer *w, const struct source *s, enum convert_type type,
                     struct err *e)
{
    char name[ARCH_NAME];

    for (int i = 0; i < s->n_parts; i++) {
        const struct source_part *p = &s->part[i];

        arch_gguf_name(s->arch, p->what, p->layer, name);
        if (gguf_put_tensor(w, name, gguf_type_of(type, p->t), p->t->n_dims, p->t->shape, e))
            return -1;
    }
    if (!s->rope_factors)
        return 0;
    return gguf_put_tensor(w, "rope_freqs.weight", T_F32, 1, (const int64_t[]){s->h.rope_dims / 2},
                           e);
}

static int put_values(struct gguf_writer *w, const struct source *s, enum convert_type type,
                      struct err *e)
{
    struct sink k = {put_gguf, w};

    for (int i = 0; i < s->n_parts; i++) {
        const struct source_part *p = &s->part[i];

        if (put_part(s, p, gguf_type_of(type, p->t), true, &k, e) || gguf_end_tensor(w, e))
            return -1;
    }
    if (!s->rope_factors)
        return 0;
    return gguf_data(w, s->rope_factors, (size_t)(s->h.rope_dims / 2) * sizeof(float), e) ||
                   gguf_end_tensor(w, e)
               ? -1
               : 0;
}

/* The token arrays of a GGUF are as long as the embedding has rows. */
static int check_vocab(const struct source *s, const struct tok *tok, struct err *e)
{
    if (tok_size(tok) <= s->vocab)
        return 0;
    return err_set(e, ERR_DATA, "%s: the tokenizer has %d tokens, the embedding %d rows", s->path,
                   tok_size(tok), s->vocab);
}

int convert_gguf(const struct source *s, const struct tok *tok, const char *path,
                 enum convert_type type, bool force, struct err *e)
{
    struct gguf_writer w;

    if (check_vocab(s, tok, e) || gguf_create(&w, path, force, e))
        return -1;
    if (s->kind == SOURCE_GGUF) {
        copy_keys(&w, &s->g);
    } else {
        put_hparam(&w, s);
        tokload_put_gguf(tok, s->vocab, &w);
    }
    put_file_type(&w, s, type);
    if (put_infos(&w, s, type, e) || gguf_start_data(&w, e) || put_values(&w, s, type, e) ||
        gguf_finish(&w, e)) {
        gguf_abandon(&w);
        return -1;
    }
    return 0;
}

/* ---- Hugging Face ---- */

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
static void put_real(struct buf *b, const char *key, float v)
{
    size_t at;

    json_put_key(b, key);
    at = b->n;
    json_put_float(b, v);
    if (!strpbrk(b->p + at, ".e"))
        buf_str(b, ".0");
}

static int put_rope(const struct source *s, struct buf *b, struct err *e)
{
    struct hparam h = s->h;

    if (h.rope_dims != h.head_dim)
        return err_set(e, ERR_DATA, "%s: %d of %d dimensions of a head rotate, which %s cannot say",
                       s->path, h.rope_dims, h.head_dim, s->arch->hf_class);
    if (s->rope_factors && find_llama3(s, &h, e))
        return -1;
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
        json_put_key(b, "original_max_position_embeddings");
        json_put_int(b, h.original_ctx);
    }
    buf_char(b, '}');
    return 0;
}

static int put_config(const struct source *s, const struct tok *tok, enum tensor_type type,
                      struct buf *b, struct err *e)
{
    const struct hparam *h = &s->h;
    const struct {
        const char *name;
        int v;
    } row[] = {
        {"bos_token_id", tok_bos(tok)},
        {"eos_token_id", tok_eos(tok)},
        {"head_dim", h->head_dim},
        {"hidden_size", h->dim},
        {"intermediate_size", h->ffn_dim},
        {"max_position_embeddings", h->ctx},
        {"num_attention_heads", h->n_heads},
        {"num_hidden_layers", h->n_layers},
        {"num_key_value_heads", h->n_kv_heads},
        {"vocab_size", s->vocab},
    };

    buf_fmt(b,
            "{\"architectures\":[\"%s\"],\"model_type\":\"%s\",\"hidden_act\":\"silu\","
            "\"attention_bias\":false,\"mlp_bias\":false",
            s->arch->hf_class, h->arch);
    for (size_t i = 0; i < sizeof(row) / sizeof(*row); i++) {
        json_put_key(b, row[i].name);
        if (row[i].v < 0)
            buf_str(b, "null");
        else
            json_put_int(b, row[i].v);
    }
    put_real(b, "rms_norm_eps", h->eps);
    if (put_rope(s, b, e))
        return -1;
    buf_fmt(b, ",\"tie_word_embeddings\":%s,\"torch_dtype\":\"%s\"}\n", h->tied ? "true" : "false",
            type == T_F32    ? "float32"
            : type == T_BF16 ? "bfloat16"
                             : "float16");
    return 0;
}

static int write_text(const char *dir, const char *name, const struct buf *b, bool force,
                      struct err *e)
{
    char *path = file_join(dir, name);
    struct file_out o;
    int rc = file_create(&o, path, force, e);

    free(path);
    if (rc)
        return -1;
    if (file_write(&o, b->p, b->n, e)) {
        file_abandon(&o);
        return -1;
    }
    return file_commit(&o, e);
}

static int write_weights(const struct source *s, const char *path, enum convert_type type,
                         bool force, struct err *e)
{
    struct st_writer w;
    struct sink k = {put_st, &w};
    char name[ARCH_NAME];
    int rc = 0;

    if (st_create(&w, path, force, e))
        return -1;
    for (int i = 0; i < s->n_parts && !rc; i++) {
        const struct source_part *p = &s->part[i];

        arch_hf_name(s->arch, p->what, p->layer, name);
        rc = st_put_tensor(&w, name, dir_type_of(s, type, p->t), p->t->n_dims, p->t->shape, e);
    }
    if (!rc)
        rc = st_start_data(&w, e);
    for (int i = 0; i < s->n_parts && !rc; i++)
        rc = put_part(s, &s->part[i], dir_type_of(s, type, s->part[i].t), false, &k, e);
    if (!rc)
        rc = st_finish(&w, e);
    if (rc)
        st_abandon(&w);
    return rc;
}

static int write_dir(const struct source *s, const struct tok *tok, const char *dir,
                     enum convert_type type, bool force, struct err *e)
{
    char *weights = file_join(dir, "model.safetensors");
    struct buf b = {0};
    int rc = put_config(s, tok, dir_type(s, type), &b, e);

    if (!rc)
        rc = write_text(dir, "config.json", &b, force, e);
    if (!rc)
        rc = tokload_put_dir(tok, dir, e);
    if (!rc)
        rc = write_weights(s, weights, type, force, e);
    buf_free(&b);
    free(weights);
    return rc;
}

/* Take back what a failed conversion wrote into a directory that it made. */
static void remove_dir(const char *dir)
{
    static const char *const name[] = {"config.json",
                                       "tokenizer.json",
                                       "tokenizer_config.json",
                                       "special_tokens_map.json",
                                       "generation_config.json",
                                       NULL};

    for (int i = 0; name[i]; i++) {
        char *path = file_join(dir, name[i]);

        unlink(path);
        free(path);
    }
    rmdir(dir);
}

int convert_dir(const struct source *s, const struct tok *tok, const char *path,
                enum convert_type type, bool force, struct err *e)
{
    bool made;

    if (type == CONVERT_Q8_0)
        return err_set(e, ERR_ARG, "a Hugging Face directory cannot hold q8_0");
    if (check_vocab(s, tok, e))
        return -1;
    made = !mkdir(path, 0777);
    if (!made && errno != EEXIST)
        return err_set(e, ERR_IO, "cannot create '%s': %s", path, strerror(errno));
    if (!made && !file_is_dir(path))
        return err_set(e, ERR_ARG, "'%s' exists and is not a directory", path);
    if (!made && !force)
        return err_set(e, ERR_ARG, "'%s' exists; use --force", path);
    if (write_dir(s, tok, path, type, force, e)) {
        if (made)
            remove_dir(path);
        return -1;
    }
    return 0;
}
