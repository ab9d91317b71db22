/* corpus.c - records at rest, with their texts and their vectors. */
#include "corpus.h"

#include "mem.h"
#include "said.h"
#include "where.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GRAIN = 32 };

int corpus_open(struct corpus *c, const struct corpus_opt *o, struct err *e)
{
    *c = (struct corpus){.o = *o};
    if (o->embedding && o->vectors)
        return err_set(e, ERR_ARG, "--embedding and --vectors: records have one vector");
    spool_open(&c->lines, o->memory / 2, o->dir);
    spool_open(&c->rows, o->memory / 2, o->dir);
    if (o->vectors && embed_open(&c->file, o->vectors, e))
        return -1;
    c->dim = o->vectors ? c->file.dim : o->embedding ? 0 : CLUSTER_DIM;
    if (o->vectors && c->dim < 1)
        return err_set(e, ERR_DATA, "%s: vectors of 0 values", o->vectors);
    return 0;
}

void corpus_close(struct corpus *c)
{
    spool_close(&c->lines);
    spool_close(&c->rows);
    embed_close(&c->file);
    free(c->item);
    *c = (struct corpus){0};
}

/* ---- texts ---- */

static int text_of(const struct corpus *c, struct record *r, struct buf *out, struct err *e)
{
    static const char *const task[] = {"instruction", "input", "prompt", NULL};
    const char *const one[] = {c->o.field, NULL};
    size_t n, before = out->n;

    for (const char *const *f = c->o.field ? one : task; *f; f++) {
        const char *s;

        if (record_text(r, *f, &s, &n, e) < 0)
            return -1;
        if (n) {
            buf_add(out, s, n);
            buf_char(out, '\n');
        }
    }
    if (out->n == before && !c->o.field)
        said_text(r, out);
    if (out->n > before)
        return 0;
    return err_set(e, ERR_DATA, "no field '%s'", c->o.field ? c->o.field : "instruction");
}

void corpus_text(const struct corpus *c, size_t i, struct buf *out)
{
    struct record r;
    struct err e;

    if (corpus_take(c, i, &r, &e))
        return;                    // it was parsed when it was read
    (void)text_of(c, &r, out, &e); // it had a text then
    record_reset(&r);
}

/* ---- records ---- */

/* Has a vector a direction? */
static int sound(const float *v, int dim, const char *what, struct err *why)
{
    double len = 0;

    for (int i = 0; i < dim; i++)
        len += (double)v[i] * (double)v[i];
    if (len > 0 && isfinite(len))
        return 1;
    err_set(why, ERR_DATA, "%s of length %s", what,
            isnan(len) ? "NaN"
            : len > 0  ? "infinity"
                       : "0");
    return 0;
}

/* The record's row of the file, which is read again when all of them are known. */
static int check_row(struct corpus *c, const struct record *r, struct err *why)
{
    float *x;
    int rc;

    c->cause = "vectors";
    if (r->seq > c->file.rows)
        return 1; // corpus_vectors says so
    x = mem_new((size_t)c->dim * sizeof(*x));
    embed_row(&c->file, r->seq - 1, x);
    rc = sound(x, c->dim, "a vector", why);
    free(x);
    return rc;
}

/* The record's own vector, at the end of the rows. */
static int add_vector(struct corpus *c, struct record *r, struct err *why, struct err *e)
{
    const float *v;
    uint64_t at;
    int dim;

    c->cause = "embedding";
    if (embed_get(r, &v, &dim, why))
        return 0;
    if (dim < 1 || (c->dim && dim != c->dim)) {
        err_set(why, ERR_DATA, "an embedding of %d values, the first one had %d", dim, c->dim);
        return 0;
    }
    if (!sound(v, dim, "an embedding", why))
        return 0;
    c->dim = dim;
    if (spool_add(&c->rows, v, (size_t)dim * sizeof(*v), &at, e))
        return -1;
    embed_shape(spool_at(&c->rows, at), dim, 0, true);
    return 1;
}

int corpus_add(struct corpus *c, struct record *r, struct err *why, struct err *e)
{
    struct corpus_item it = {.file = r->file, .line_no = r->line_no, .seq = r->seq};
    struct buf b = {0};
    int rc = 1;

    if (!c->o.embedding && !c->o.vectors) {
        if (text_of(c, r, &b, why)) {
            c->cause = "field";
            rc = 0;
        }
    } else {
        rc = c->o.embedding ? add_vector(c, r, why, e) : check_row(c, r, why);
    }
    if (rc == 1 && c->n >= INT32_MAX)
        rc = err_set(e, ERR_ARG, "more than %d records", INT32_MAX);
    if (rc == 1) {
        buf_reset(&b);
        it.n_id = (uint32_t)strlen(r->id);
        buf_add(&b, r->id, it.n_id + 1);
        record_write(r, &b);
        it.n = (uint32_t)(b.n - it.n_id - 2); // without the newline
        if (spool_add(&c->lines, b.p, b.n - 1, &it.at, e))
            rc = -1;
    }
    if (rc == 1) {
        if (where_num(r, c->o.by, &it.score))
            it.score = -INFINITY;
        mem_grow(&c->item, &c->cap, c->n + 1, sizeof(*c->item));
        c->item[c->n++] = it;
    }
    buf_free(&b);
    return rc;
}

bool corpus_scored(const struct corpus *c)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->item[i].score > -INFINITY)
            return true;
    return false;
}

const char *corpus_id(const struct corpus *c, size_t i)
{
    return spool_at(&c->lines, c->item[i].at);
}

int corpus_take(const struct corpus *c, size_t i, struct record *r, struct err *e)
{
    const struct corpus_item *it = &c->item[i];
    const char *id = corpus_id(c, i);

    if (record_parse(r, id + it->n_id + 1, it->n, e) || record_identify(r, NULL, e))
        return -1; // the line has the id, as it was written
    r->file = it->file;
    r->line_no = it->line_no;
    r->seq = it->seq;
    return 0;
}

/* ---- vectors ---- */

struct work {
    struct corpus *c;
    struct cluster_df *df; // (threads) while features are counted, then one
    bool count;
};

static void hash_rows(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct work *w = ctx;
    struct buf text = {0};

    for (int64_t i = begin; i < end; i++) {
        buf_reset(&text);
        corpus_text(w->c, (size_t)i, &text);
        if (w->count)
            cluster_df_add(&w->df[worker], text.p, text.n);
        else
            cluster_vector(text.p, text.n, w->df, w->c->x + i * CLUSTER_DIM);
    }
    buf_free(&text);
}

/* In how many texts each feature stands: counts of workers add up to the same whatever they did. */
static void hash_all(struct corpus *c, struct thread_pool *pool)
{
    int threads = thread_count(pool);
    struct work w = {c, mem_zero((size_t)threads, sizeof(*w.df)), true};

    if (!c->o.no_idf)
        thread_run(pool, hash_rows, &w, (int64_t)c->n, GRAIN);
    for (int t = 1; t < threads; t++) {
        cluster_df_join(&w.df[0], &w.df[t]);
        cluster_df_free(&w.df[t]);
    }
    w.count = false;
    thread_run(pool, hash_rows, &w, (int64_t)c->n, GRAIN);
    cluster_df_free(&w.df[0]);
    free(w.df);
}

/* Rows of the file, made of length 1. */
static void file_rows(void *ctx, int64_t begin, int64_t end, int worker)
{
    struct corpus *c = ctx;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        embed_row(&c->file, c->item[i].seq - 1, c->x + i * c->dim);
        embed_shape(c->x + i * c->dim, c->dim, 0, true);
    }
}

int corpus_vectors(struct corpus *c, struct thread_pool *pool, int64_t total, struct err *e)
{
    size_t bytes = c->n * (size_t)c->dim * sizeof(float);
    uint64_t at;

    if (c->o.vectors && c->file.rows != total)
        return err_set(e, ERR_DATA, "%s: %lld vectors for %lld records", c->o.vectors,
                       (long long)c->file.rows, (long long)total);
    if (!c->o.embedding && spool_room(&c->rows, bytes, &at, e))
        return -1;
    c->x = c->n ? spool_at(&c->rows, 0) : NULL;
    if (c->o.vectors)
        thread_run(pool, file_rows, c, (int64_t)c->n, GRAIN);
    else if (!c->o.embedding)
        hash_all(c, pool);
    return 0;
}

struct corpus_size corpus_size(const struct corpus *c)
{
    uint64_t vectors = c->n * (uint64_t)c->dim * sizeof(float);

    return (struct corpus_size){.lines = c->lines.n,
                                .items = c->n * sizeof(*c->item),
                                .vectors = vectors,
                                .vectors_to_come = vectors > c->rows.n ? vectors - c->rows.n : 0,
                                .lines_on_disk = spool_on_disk(&c->lines),
                                .vectors_on_disk =
                                    spool_on_disk(&c->rows) || vectors > c->rows.g.limit};
}
