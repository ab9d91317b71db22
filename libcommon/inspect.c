/* inspect.c - say what a model file is, and verify one in full. */
#include "inspect.h"

#include "chat.h"
#include "json.h"
#include "quant.h"
#include "say.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- description ---- */

/* Paths and messages may hold any bytes. */
static void put_text(struct buf *b, const char *key, const char *s)
{
    json_put_key(b, key);
    if (s)
        say_json(b, s);
    else
        buf_str(b, "null");
}

static void put_int(struct buf *b, const char *key, int64_t v)
{
    json_put_key(b, key);
    json_put_int(b, v);
}

static void put_float(struct buf *b, const char *key, float v)
{
    json_put_key(b, key);
    json_put_float(b, v);
}

static void put_bool(struct buf *b, const char *key, bool v)
{
    json_put_key(b, key);
    buf_str(b, v ? "true" : "false");
}

/* Number of tensors, values and bytes of each type, in the types' order. */
static void put_types(struct buf *b, const struct source *s)
{
    static const char foreign[] = "other";

    json_put_key(b, "types");
    buf_char(b, '{');
    for (int type = 0; type <= T_NTYPES; type++) {
        int64_t n = 0, values = 0, bytes = 0;

        for (int i = 0; i < s->n_tensors; i++) {
            const struct tensor *t = &s->tensor[i];

            if ((int)t->type != type)
                continue;
            n++;
            values += tensor_rows(t) * tensor_cols(t);
            bytes += (int64_t)t->bytes;
        }
        if (!n)
            continue;
        json_put_key(b, type == T_NTYPES ? foreign : tensor_type_name((enum tensor_type)type));
        buf_char(b, '{');
        put_int(b, "tensors", n);
        put_int(b, "values", values);
        put_int(b, "bytes", bytes);
        buf_char(b, '}');
    }
    buf_char(b, '}');
}

/* Bytes of the weights with every matrix in one type: vectors stay F32, rows
 * that a type's block does not divide become F16. */
static int64_t weights_in(const struct source *s, enum tensor_type type)
{
    int64_t sum = 0;

    for (int i = 0; i < s->n_parts; i++) {
        const struct tensor *t = s->part[i].t;
        int64_t rows = tensor_rows(t), cols = tensor_cols(t);
        enum tensor_type in = t->n_dims < 2 ? T_F32 : cols % tensor_block(type) ? T_F16 : type;

        sum += rows * (int64_t)tensor_row_bytes(in, cols);
    }
    return sum;
}

static void put_memory(struct buf *b, const struct source *s)
{
    static const enum tensor_type type[] = {T_F32,  T_F16,  T_BF16, T_Q8_0, T_Q6_K,
                                            T_Q5_K, T_Q4_K, T_Q4_0, T_Q3_K, T_Q2_K};

    json_put_key(b, "memory");
    buf_str(b, "{\"weights\":{");
    for (size_t i = 0; i < sizeof(type) / sizeof(*type); i++)
        put_int(b, tensor_type_name(type[i]), weights_in(s, type[i]));
    buf_char(b, '}');
    // keys and values of one position in F32
    put_int(b, "cache_per_position", (int64_t)s->h.n_layers * s->h.n_kv_heads * s->h.head_dim * 8);
    buf_char(b, '}');
}

static void put_parts(struct buf *b, const struct source *s)
{
    static const char *const scaling[] = {"none", "linear", "llama3"};
    const struct hparam *h = &s->h;
    int64_t values = 0;

    for (int i = 0; i < s->n_parts; i++)
        values += tensor_rows(s->part[i].t) * tensor_cols(s->part[i].t);
    put_int(b, "parameters", values);
    put_int(b, "layers", h->n_layers);
    put_int(b, "dim", h->dim);
    put_int(b, "ffn_dim", h->ffn_dim);
    put_int(b, "heads", h->n_heads);
    put_int(b, "kv_heads", h->n_kv_heads);
    put_int(b, "head_dim", h->head_dim);
    put_int(b, "vocab", s->vocab);
    put_int(b, "context", h->ctx);
    put_int(b, "window", h->window);
    put_bool(b, "tied", h->tied);
    put_float(b, "norm_eps", h->eps);
    put_int(b, "rope_dims", h->rope_dims);
    put_float(b, "rope_base", h->rope_base);
    put_text(b, "rope_scaling",
             s->rope_factors && h->scaling == HPARAM_PLAIN ? "factors" : scaling[h->scaling]);
    put_memory(b, s);
}

static void put_tok(struct buf *b, const struct source *s, const char *path)
{
    static const char *const kind[] = {"bpe", "sentencepiece", "unigram", "wordpiece"};
    enum chat_kind chat = CHAT_NONE;
    struct err e = {0};
    struct tok *t;

    json_put_key(b, "tokenizer");
    if (s->kind == SOURCE_LLAMA2C && !path) { // the checkpoint itself has none
        buf_str(b, "null");
        return;
    }
    t = source_tok(s, path, &e);
    buf_char(b, '{');
    if (!t) {
        put_text(b, "error", e.msg);
        buf_char(b, '}');
        return;
    }
    put_text(b, "kind", kind[tok_kind(t)]);
    put_int(b, "size", tok_size(t));
    put_int(b, "bos", tok_bos(t));
    put_int(b, "eos", tok_eos(t));
    put_bool(b, "adds_bos", tok_adds_bos(t));
    put_text(b, "pre", tok_pre(t));
    if (tok_template(t) && chatkind_recognize(tok_template(t), &chat, &e))
        put_text(b, "chat_template", "unknown");
    else
        put_text(b, "chat_template", tok_template(t) ? chatkind_names[chat] : NULL);
    buf_char(b, '}');
    tok_close(t);
}

/* The architecture and the name as the file says them, whether known here or not. */
static void put_names(struct buf *b, const struct source *s, struct err *e)
{
    const char *v;
    size_t n;

    if (s->kind != SOURCE_GGUF)
        return;
    if (gguf_str(&s->g, "general.architecture", &v, &n, e) == 1) {
        json_put_key(b, "architecture");
        json_put_str(b, v, n);
    }
    if (gguf_str(&s->g, "general.name", &v, &n, e) == 1) {
        json_put_key(b, "name");
        json_put_str(b, v, n);
    }
}

int inspect_info(const char *path, const char *tokenizer, struct buf *out, struct err *e)
{
    struct source s;
    struct err why = {0};
    int bad;

    if (source_open(&s, path, e))
        return -1;
    bad = source_parts(&s, &why);
    buf_char(out, '{');
    put_text(out, "path", path);
    put_text(out, "format", source_kinds[s.kind]);
    if (s.kind == SOURCE_GGUF)
        put_names(out, &s, &(struct err){0});
    else if (!bad)
        put_text(out, "architecture", s.h.arch);
    put_bool(out, "supported", !bad);
    if (bad)
        put_text(out, "reason", why.msg);
    put_int(out, "file_bytes", (int64_t)s.bytes);
    put_int(out, "tensors", s.n_tensors);
    put_types(out, &s);
    if (!bad)
        put_parts(out, &s);
    put_tok(out, &s, tokenizer);
    buf_char(out, '}');
    source_close(&s);
    return 0;
}

/* ---- verification ---- */

static int check_tensor(const struct tensor *t, const struct file_map *map, struct err *e)
{
    int64_t rows = tensor_rows(t), cols = tensor_cols(t);
    float *x = mem_new((size_t)cols * sizeof(*x));
    const uint8_t *row = t->data;
    size_t bytes = tensor_row_bytes(t->type, cols);
    int rc = 0;

    for (int64_t r = 0; r < rows && !rc; r++, row += bytes) {
        quant_read(t->type, row, x, cols);
        for (int64_t i = 0; i < cols && !rc; i++)
            if (!isfinite(x[i]))
                rc = err_set(e, ERR_DATA, "tensor '%s': value %lld of row %lld is not finite",
                             t->name, (long long)i, (long long)r);
        if (r % 64 == 63)
            file_release(map, t->data, (size_t)(row + bytes - (const uint8_t *)t->data));
    }
    file_release(map, t->data, t->bytes);
    free(x);
    return rc;
}

static int check_tok(const struct source *s, const char *tokenizer, struct err *e)
{
    struct tok *t = source_tok(s, tokenizer, e);
    int n;

    if (!t)
        return -1;
    n = tok_size(t);
    tok_close(t);
    // an embedding may be padded; a GGUF's arrays say its size exactly
    if (n > s->vocab || (s->kind != SOURCE_HF && n != s->vocab))
        return err_set(e, ERR_DATA, "%s: the tokenizer has %d tokens, the embedding %d rows",
                       s->path, n, s->vocab);
    return 0;
}

int inspect_check(const char *path, const char *tokenizer, const struct source_watch *watch,
                  struct inspect_count *n, struct err *e)
{
    struct source s;
    int rc;

    *n = (struct inspect_count){0};
    if (source_open(&s, path, e))
        return -1;
    if (watch)
        s.watch = *watch;
    rc = source_parts(&s, e) || check_tok(&s, tokenizer, e) ? -1 : 0;
    for (int i = 0; i < s.n_parts && !rc; i++) {
        const struct source_part *p = &s.part[i];

        source_at(&s, i);
        rc = check_tensor(p->t, p->map, e) ? err_wrap(e, "%s", path) : 0;
        n->values += tensor_rows(p->t) * tensor_cols(p->t);
    }
    n->tensors = s.n_parts;
    n->unknown = s.n_unknown;
    source_close(&s);
    return rc;
}
