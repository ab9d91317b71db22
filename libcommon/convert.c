/* convert.c - write a model as GGUF or as a Hugging Face directory. */
#include "convert.h"

#include "hparam_put.h"
#include "quant.h"
#include "roles.h"
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

/* Does a tensor change between the files: is one Hugging Face's, the other not? */
static bool crosses(const struct source *s, bool to_gguf)
{
    return to_gguf == (s->kind == SOURCE_HF);
}

/* The shape that a tensor is written with. */
static void shape_of(const struct source *s, const struct source_part *p, bool to_gguf,
                     int64_t shape[TENSOR_DIMS])
{
    bool swap = p->what->how == ARCH_TRANSPOSED && crosses(s, to_gguf);

    memcpy(shape, p->t->shape, TENSOR_DIMS * sizeof(*shape));
    if (swap) {
        shape[0] = p->t->shape[1];
        shape[1] = p->t->shape[0];
    }
    if (p->what->slot == ARCH_POSITIONS)
        shape[0] -= s->h.first_position;
}

struct rows {
    const struct source_part *part;
    enum tensor_type type; // to write
    int64_t n, cols;       // a vector is one row, or when it is permuted a column
    int head_dim;          // of a permutation, or 0
    bool to_pairs;
    float plus;
    int first; // row to begin with
};

/* One row of x into a type, or as it lies in src when it stays what it is. */
static int put_row(const struct rows *r, float *x, const uint8_t *src, uint8_t *dst, int64_t n,
                   struct err *e)
{
    bool stays = src && r->part->t->type == r->type && r->plus == 0.0f;

    for (int64_t i = 0; r->plus != 0.0f && i < n; i++)
        x[i] += r->plus;
    if (check_values(x, n, stays ? T_F32 : r->type, e))
        return -1;
    if (stays)
        memcpy(dst, src, tensor_row_bytes(r->type, n));
    else
        quant_write(r->type, x, dst, n);
    return 0;
}

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
            int64_t row = r->head_dim ? arch_rope_row(k2, r->head_dim, r->to_pairs) : k2 + r->first;
            const uint8_t *src = (const uint8_t *)t->data + (size_t)row * from;

            quant_read(t->type, src, x, r->cols);
            rc = put_row(r, x, src, out + (size_t)(k2 - i) * to, r->cols, e);
        }
        if (!rc)
            rc = k->put(k->to, out, (size_t)(end - i) * to, e);
        file_release(r->part->map, t->data, t->bytes);
    }
    free(out);
    free(x);
    return rc;
}

/* The rows of the result are the columns of the tensor: as many at a time as a block
 * of any type has. */
static int put_columns(const struct rows *r, const struct sink *k, struct err *e)
{
    const struct tensor *t = r->part->t;
    size_t row = tensor_row_bytes(t->type, r->cols), to = tensor_row_bytes(r->type, r->n);
    int64_t wide = r->cols < QUANT_K ? r->cols : QUANT_K;
    float *x = mem_new((size_t)(r->n * wide) * sizeof(*x)), read[QUANT_K];
    uint8_t *out = mem_new(to);
    int rc = 0;

    for (int64_t c = 0; c < r->cols && !rc; c += QUANT_K) {
        int64_t n = r->cols - c < QUANT_K ? r->cols - c : QUANT_K;
        const uint8_t *src = (const uint8_t *)t->data + tensor_row_bytes(t->type, c);

        for (int64_t i = 0; i < r->n; i++, src += row) {
            quant_read(t->type, src, read, n);
            for (int64_t j = 0; j < n; j++)
                x[j * r->n + i] = read[j];
        }
        for (int64_t j = 0; j < n && !rc; j++)
            rc = put_row(r, x + j * r->n, NULL, out, r->n, e) || k->put(k->to, out, to, e);
    }
    file_release(r->part->map, t->data, t->bytes);
    free(out);
    free(x);
    return rc;
}

/* One tensor's values in the output's type and order. */
static int put_part(const struct source *s, const struct source_part *p, enum tensor_type type,
                    bool to_gguf, const struct sink *k, struct err *e)
{
    int first = p->what->slot == ARCH_POSITIONS ? s->h.first_position : 0;
    struct rows r = {.part = p,
                     .type = type,
                     .n = tensor_rows(p->t) - first,
                     .cols = tensor_cols(p->t),
                     .to_pairs = to_gguf,
                     .first = first};
    enum arch_how how = crosses(s, to_gguf) ? p->what->how : ARCH_AS_IS;
    int rc;

    if (how == ARCH_ROPE) {
        r.head_dim = s->h.head_dim;
        if (p->t->n_dims == 1) {
            r.n = r.cols;
            r.cols = 1;
        }
    }
    if (how == ARCH_PLUS_ONE)
        r.plus = to_gguf ? 1.0f : -1.0f;
    if (how == ARCH_ROPE && r.cols % tensor_block(p->t->type))
        rc = err_set(e, ERR_DATA, "values of type %s cannot be permuted",
                     tensor_type_name(p->t->type));
    else
        rc = how == ARCH_TRANSPOSED ? put_columns(&r, k, e) : put_rows(&r, k, e);
    return rc ? err_wrap(e, "%s: tensor '%s'", s->path, p->t->name) : 0;
}

/* ---- types ---- */

/* The type of a matrix whose rows have `cols` values in the output. */
static enum tensor_type matrix_type(enum convert_type type, const struct tensor *t, int64_t cols)
{
    static const enum tensor_type of[] = {T_F16, T_F32, T_F16, T_BF16, T_Q8_0};

    if (type == CONVERT_AUTO)
        return t->type == T_F64 ? T_F32 : t->type;
    if (of[type] == T_Q8_0 && cols % QUANT_32)
        return T_F16;
    return of[type];
}

static enum tensor_type gguf_type_of(const struct source *s, enum convert_type type,
                                     const struct source_part *p)
{
    int64_t shape[TENSOR_DIMS];

    if (p->t->n_dims < 2 || (p->what->slot == ARCH_CLASS && type == CONVERT_Q8_0))
        return T_F32; // a classifier's few rows are not worth what they would lose
    shape_of(s, p, true, shape);
    return matrix_type(type, p->t, shape[1]);
}

/* The type of a checkpoint as a whole. */
static enum tensor_type dir_type(const struct source *s, enum convert_type type)
{
    enum tensor_type t = matrix_type(type, s->part[0].t, 0);

    return t == T_F32 || t == T_BF16 ? t : T_F16;
}

/* Auto: a GGUF's vectors were widened to F32; they get the checkpoint's type
 * back where that loses nothing. */
static enum tensor_type dir_type_of(const struct source *s, enum convert_type type,
                                    const struct source_part *p)
{
    enum tensor_type all = dir_type(s, type);
    const struct tensor *t = p->t;
    float plus = p->what->how == ARCH_PLUS_ONE && crosses(s, false) ? -1.0f : 0.0f;

    if (type != CONVERT_AUTO || t->type != T_F32)
        return all;
    for (int64_t i = 0, n = tensor_rows(t) * tensor_cols(t); i < n; i++) {
        float x, y;
        uint16_t h;

        quant_read(T_F32, (const uint8_t *)t->data + 4 * i, &x, 1);
        x += plus;
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

        count[gguf_type_of(s, type, &s->part[i])] += tensor_rows(t) * tensor_cols(t);
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
    int64_t shape[TENSOR_DIMS];

    for (int i = 0; i < s->n_parts; i++) {
        const struct source_part *p = &s->part[i];

        arch_gguf_name(s->arch, p->what, p->layer, name);
        shape_of(s, p, true, shape);
        if (gguf_put_tensor(w, name, gguf_type_of(s, type, p), p->t->n_dims, shape, e))
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

        source_at(s, i);
        if (put_part(s, p, gguf_type_of(s, type, p), true, &k, e) || gguf_end_tensor(w, e))
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
        hparam_put_gguf(&w, s);
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

/* All of the weights; their file has no name yet. */
static int write_weights(struct st_writer *w, const struct source *s, const char *path,
                         enum convert_type type, bool force, struct err *e)
{
    struct sink k = {put_st, w};
    char name[ARCH_NAME];
    int64_t shape[TENSOR_DIMS];
    int rc = 0;

    if (st_create(w, path, force, e))
        return -1;
    for (int i = 0; i < s->n_parts && !rc; i++) {
        const struct source_part *p = &s->part[i];

        arch_hf_name(s->arch, p->what, p->layer, name);
        shape_of(s, p, false, shape);
        rc = st_put_tensor(w, name, dir_type_of(s, type, p), p->t->n_dims, shape, e);
    }
    if (!rc)
        rc = st_start_data(w, e);
    for (int i = 0; i < s->n_parts && !rc; i++) {
        source_at(s, i);
        rc = put_part(s, &s->part[i], dir_type_of(s, type, &s->part[i]), false, &k, e);
    }
    return rc;
}

/* How vectors are made of the model's states, where it is known. */
static int write_pooling(const struct source *s, const char *dir, bool force, struct err *e)
{
    char *sub = file_join(dir, "1_Pooling");
    struct buf b = {0};
    int rc = 0;

    if (s->h.pool != HIDDEN_NONE) {
        if (mkdir(sub, 0777) && errno != EEXIST)
            rc = err_set(e, ERR_IO, "cannot create '%s': %s", sub, strerror(errno));
        hparam_put_pooling(&s->h, &b);
        if (!rc)
            rc = write_text(sub, "config.json", &b, force, e);
    }
    buf_free(&b);
    free(sub);
    return rc;
}

/* Take a model out of a directory, its weights first: what is left is none. Files that this one
 * does not have would otherwise be taken for its own. Other files stay. */
static int remove_model(const char *dir, struct err *e)
{
    static const char *const weights[] = {"model.safetensors", "model.safetensors.index.json",
                                          NULL};
    const char *const *list[] = {weights, roles_model_files};
    int rc = 0;

    for (int k = 0; k < 2; k++)
        for (int i = 0; list[k][i] && !rc; i++) {
            char *path = file_join(dir, list[k][i]);

            if (unlink(path) && errno != ENOENT && errno != ENOTDIR)
                rc = err_set(e, ERR_IO, "cannot remove '%s': %s", path, strerror(errno));
            free(path);
        }
    return rc;
}

static int write_dir(const struct source *s, const struct tok *tok, const char *dir,
                     enum convert_type type, bool force, struct err *e)
{
    char *weights = file_join(dir, "model.safetensors");
    struct st_writer w = {0};
    struct buf b = {0};
    int rc = hparam_put_config(s, tok, dir_type(s, type), &b, e);

    if (!rc)
        rc = write_weights(&w, s, weights, type, force, e) || remove_model(dir, e) ||
             write_text(dir, "config.json", &b, force, e) || tokload_put_dir(tok, dir, e) ||
             write_pooling(s, dir, force, e) || st_finish(&w, e);
    if (rc)
        st_abandon(&w);
    buf_free(&b);
    free(weights);
    return rc ? -1 : 0;
}

/* Take back what a failed conversion wrote into a directory that it made. */
static void remove_dir(const char *dir)
{
    char *sub = file_join(dir, "1_Pooling");
    struct err why;

    remove_model(dir, &why);
    rmdir(sub);
    rmdir(dir);
    free(sub);
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
