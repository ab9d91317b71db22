/* llm-diversify.c - choose records that cover the topics. See llm-diversify(1).
 *
 * The choice needs all records at once: they are read, turned into vectors,
 * clustered and chosen from; then they are written or dropped in input order. Outputs are
 * written under "FILE.part" and renamed at the end, so that a run that was
 * stopped leaves nothing that looks whole. */
#include "choose.h"
#include "cli.h"
#include "mem.h"
#include "num.h"
#include "words.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GRAMS = 3 };

static const char *const balances[] = {"uniform", "sqrt", "proportional", NULL};

/* A record at rest: its line only, so that many fit. */
struct item {
    char *line; // (n)
    size_t n;
    char *id;
    const char *file;
    long line_no;
    int64_t seq;
    double score;    // -infinity without one
    struct buf text; // what it is compared by
};

struct diversify {
    struct stream_opt io;
    struct cli_notes notes;
    const char *count_text, *field, *by;
    int clusters, max_iter, balance, threads;
    float max_sim;
    bool no_idf;
    const struct cli *cli;
    struct stream *s;
    char *part[2];     // of output and rejects; NULL: standard output, none
    struct item *item; // (n) in input order
    size_t n, cap;
    float *x;      // (n, CLUSTER_DIM)
    double *score; // (n)
    struct cluster_set set;
    struct choose_verdict *verdict; // (n)
    int64_t count, kept;
};

/* ---- outputs that appear when they are whole ---- */

static int hide(const char **file, char **part, struct err *e)
{
    struct buf b = {0};

    if (!*file)
        return 0;
    if (!access(*file, F_OK))
        return err_set(e, ERR_ARG, "'%s' exists", *file);
    buf_fmt(&b, "%s.part", *file);
    *part = mem_dup(b.p, b.n);
    buf_str(&b, ".meta");
    unlink(*part); // what a stopped run left
    unlink(b.p);
    buf_free(&b);
    *file = *part;
    return 0;
}

/* "FILE.part" -> "FILE", and the fingerprint beside it. */
static int reveal(const char *part, struct err *e)
{
    size_t n = part ? strlen(part) : 0;
    char *file, from[4096], to[4096];
    int rc;

    if (!n)
        return 0;
    file = mem_dup(part, n - 5);
    snprintf(from, sizeof(from), "%s.meta", part);
    snprintf(to, sizeof(to), "%s.meta", file);
    rc = rename(part, file);
    if (!rc && rename(from, to) && errno != ENOENT)
        rc = -1;
    if (rc)
        err_set(e, ERR_OUT, "cannot rename '%s' to '%s': %s", part, file, strerror(errno));
    free(file);
    return rc;
}

/* ---- reading ---- */

/* The text that a record is compared by: one field, or the task and its input. */
static struct buf text_of(const struct diversify *g, struct record *r)
{
    static const char *const task[] = {"instruction", "input", "prompt", NULL};
    const char *const one[] = {g->field, NULL};
    struct buf out = {0};
    size_t n;

    for (const char *const *f = g->field ? one : task; *f; f++) {
        const char *s = record_str(r, *f, &n);

        if (s && n) {
            buf_add(&out, s, n);
            buf_char(&out, '\n');
        }
    }
    if (!out.n && !g->field) { // chat form: its JSON text has the words
        const char *s = record_raw(r, "messages", &n);

        s = s ? s : record_raw(r, "conversations", &n);
        if (s)
            buf_add(&out, s, n);
    }
    return out;
}

static void put_away(struct diversify *g, struct record *r, struct buf text)
{
    struct item it = {.file = r->file, .line_no = r->line_no, .seq = r->seq, .text = text};
    struct buf line = {0};

    record_write(r, &line);
    it.line = line.p;
    it.n = line.n - 1; // without the newline
    it.id = mem_dup(r->id, strlen(r->id));
    if (record_num(r, g->by, &it.score))
        it.score = -INFINITY;
    mem_grow(&g->item, &g->cap, g->n + 1, sizeof(*g->item));
    g->item[g->n++] = it;
}

static int take_out(const struct item *it, struct record *r, struct err *e)
{
    if (record_parse(r, it->line, it->n, e))
        return -1;
    record_set_id(r, it->id);
    r->file = it->file;
    r->line_no = it->line_no;
    r->seq = it->seq;
    return 0;
}

static int read_all(struct diversify *g, struct err *e)
{
    struct cli_progress p;
    struct record r;
    int rc;

    cli_progress_begin(&p, g->cli);
    while ((rc = stream_read(g->s, &r, true, e)) == 1) {
        struct buf text = text_of(g, &r);

        if (!text.n) {
            struct err why;

            err_set(&why, ERR_DATA, "no field '%s'", g->field ? g->field : "instruction");
            rc = stream_reject(g->s, &r, "field", NULL, NULL, why.msg, e);
        } else {
            put_away(g, &r, text);
            rc = 0;
        }
        record_reset(&r);
        if (rc)
            break;
        cli_progress(&p, g->cli, stream_counts(g->s), 0);
    }
    cli_progress_end(&p);
    if (!rc && stream_stopped(g->s))
        return err_set(e, ERR_STOP, "stopped before all was read; nothing was written");
    return rc ? -1 : 0;
}

/* ---- choosing ---- */

struct vector_work {
    const struct diversify *g;
    const struct cluster_df *df;
};

static void make_vectors(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct vector_work *w = ctx;
    const struct item *it = w->g->item;

    (void)worker;
    for (int64_t i = begin; i < end; i++)
        cluster_vector(it[i].text.p, it[i].text.n, w->df, w->g->x + i * CLUSTER_DIM);
}

/* N, or P% of the records read. */
static int want(struct diversify *g, struct err *e)
{
    const char *s = g->count_text ? g->count_text : "";
    char *end;
    double x;

    errno = 0;
    x = strtod(s, &end);
    if (end == s || errno || !(x >= 0) || x > 1e15 ||
        (*end == '%' ? end[1] || x > 100 : *end || floor(x) != x))
        return err_set(e, ERR_ARG,
                       "--count: '%s' is not a number of records or a share such as 20%%", s);
    g->count = *end ? (int64_t)floor(x / 100 * (double)g->n + 0.5) : (int64_t)x;
    return 0;
}

static int best_first(const void *a, const void *b)
{
    const struct item *const *x = a, *const *y = b;

    if ((*x)->score != (*y)->score)
        return (*x)->score > (*y)->score ? -1 : 1;
    return (*x > *y) - (*x < *y); // input order
}

/* All records, the best first, equals in input order; without a score a record stands last. */
static int64_t *ranking(const struct diversify *g)
{
    const struct item **all = mem_zero(g->n, sizeof(struct item *));
    int64_t *order = mem_zero(g->n, sizeof(*order));

    for (size_t i = 0; i < g->n; i++)
        all[i] = &g->item[i];
    qsort(all, g->n, sizeof(struct item *), best_first);
    for (size_t i = 0; i < g->n; i++)
        order[i] = all[i] - g->item;
    free(all);
    return order;
}

static int choose(struct diversify *g, struct err *e)
{
    struct thread_pool *pool = thread_open(g->threads, e);
    struct cluster_opt co = {.k = g->clusters, .max_iter = g->max_iter, .seed = g->io.seed};
    const struct choose_opt ch = {(enum choose_balance)g->balance, g->count, g->max_sim};
    struct cluster_df df = {0};
    struct vector_work w = {g, g->no_idf ? NULL : &df};
    int64_t *order;

    if (!pool)
        return -1;
    for (size_t i = 0; i < g->n && !g->no_idf; i++)
        cluster_df_add(&df, g->item[i].text.p, g->item[i].text.n);
    g->x = mem_zero(g->n * CLUSTER_DIM, sizeof(*g->x));
    g->verdict = mem_zero(g->n, sizeof(*g->verdict));
    thread_run(pool, make_vectors, &w, (int64_t)g->n, 64);
    co.pool = pool;
    if (!co.k) // as many topics as a square root has, up to 50
        for (co.k = 1; co.k < 50 && (int64_t)co.k * co.k < (int64_t)g->n; co.k++)
            continue;
    cluster_run(&co, g->x, (int64_t)g->n, CLUSTER_DIM, &g->set);
    order = ranking(g);
    g->kept = choose_rows(&ch, &g->set, g->x, (int64_t)g->n, CLUSTER_DIM, order, g->verdict);
    thread_close(pool);
    cluster_df_free(&df);
    free(order);
    return 0;
}

/* ---- writing ---- */

static int drop_similar(struct diversify *g, const struct choose_verdict *v, struct record *r,
                        struct err *e)
{
    const char *near = g->item[v->near].id;
    struct buf value = {0}, limit = {0};
    int rc;

    buf_str(&value, "{\"id\":");
    json_put_str(&value, near, strlen(near));
    buf_str(&value, ",\"cosine\":");
    json_put_float(&value, v->sim);
    buf_char(&value, '}');
    json_put_float(&limit, g->max_sim);
    rc = stream_drop(g->s, r, "max-sim", value.p, limit.p, e);
    buf_free(&value);
    buf_free(&limit);
    return rc;
}

static int write_one(struct diversify *g, size_t i, struct record *r, struct err *e)
{
    char cluster[16], limit[24];

    snprintf(cluster, sizeof(cluster), "%d", (int)g->set.of[i]);
    snprintf(limit, sizeof(limit), "%lld", (long long)g->count);
    if (g->verdict[i].fate == CHOOSE_SIMILAR)
        return drop_similar(g, &g->verdict[i], r, e);
    if (g->verdict[i].fate == CHOOSE_LEFT)
        return stream_drop(g->s, r, "count", cluster, limit, e);
    record_set_meta(r, "cluster", cluster, strlen(cluster));
    return stream_write(g->s, r, e);
}

static int write_all(struct diversify *g, struct err *e)
{
    for (size_t i = 0; i < g->n; i++) {
        struct record r;
        int rc;

        if (take_out(&g->item[i], &r, e))
            return -1;
        rc = write_one(g, i, &r, e);
        record_reset(&r);
        if (rc)
            return -1;
    }
    return 0;
}

/* ---- what was gained ---- */

/* distinct-1..3: different runs of n words over all runs of n words. */
static void distinct(const struct diversify *g, bool kept_only, double out[GRAMS])
{
    struct hash_table seen[GRAMS] = {{0}};
    double total[GRAMS] = {0};
    struct buf fold = {0};

    for (size_t i = 0; i < g->n; i++) {
        size_t start[GRAMS] = {0}, k = 0;

        if (kept_only && g->verdict[i].fate != CHOOSE_KEPT)
            continue;
        buf_reset(&fold);
        words_fold(g->item[i].text.p, g->item[i].text.n, &fold);
        for (size_t at = 0; at + 1 < fold.n; at++) {
            const char *end;

            if (fold.p[at] != ' ')
                continue;
            start[k++ % GRAMS] = at;
            end = strchr(fold.p + at + 1, ' ');
            for (size_t m = 1; m <= GRAMS && m <= k; m++) {
                size_t from = start[(k - m) % GRAMS];

                hash_put(&seen[m - 1], fold.p + from, (size_t)(end - (fold.p + from)), 0);
                total[m - 1]++;
            }
        }
    }
    for (int m = 0; m < GRAMS; m++) {
        out[m] = total[m] > 0 ? (double)seen[m].n / total[m] : 0;
        hash_free(&seen[m]);
    }
    buf_free(&fold);
}

static void put_side(struct diversify *g, bool kept_only, const int64_t *size, struct buf *b)
{
    double d[GRAMS], h = choose_entropy(size, g->set.k);

    distinct(g, kept_only, d);
    buf_fmt(
        b,
        "{\"topic_entropy\":%.4f,\"topics\":%.2f,\"distinct_1\":%.4f,\"distinct_2\":%.4f,\"distinct_3\":%.4f}",
        h, num_exp_d(h), d[0], d[1], d[2]);
}

static void put_stats(struct diversify *g, struct buf *b)
{
    int64_t *size = mem_zero((size_t)g->set.k, sizeof(*size)), similar = 0;

    for (size_t i = 0; i < g->n; i++) {
        size[g->set.of[i]] += g->verdict[i].fate == CHOOSE_KEPT;
        similar += g->verdict[i].fate == CHOOSE_SIMILAR;
    }
    buf_fmt(
        b,
        "\"wanted\":%lld,\"too_similar\":%lld,\"clusters\":%d,\"iterations\":%d,\"inertia\":%.4f,\"before\":",
        (long long)g->count, (long long)similar, g->set.k, g->set.iterations, g->set.inertia);
    put_side(g, false, g->set.size, b);
    buf_str(b, ",\"after\":");
    put_side(g, true, size, b);
    free(size);
    cli_note(g->cli, "%lld of %zu records kept, %lld too similar; %s", (long long)g->kept, g->n,
             (long long)similar, b->p);
    if (g->kept < g->count && g->kept < (int64_t)g->n && !g->notes.quiet)
        cli_warn(g->cli,
                 "only %lld of %lld records could be kept: the others are more similar than %g",
                 (long long)g->kept, (long long)g->count, (double)g->max_sim);
}

static int run(struct diversify *g, int n, char **file, int *status, struct err *e)
{
    static const char *const fields[] = {"messages", "conversations", "system", "instruction",
                                         "input",    "prompt",        "output", NULL};
    struct stream_conf conf = {
        .stage = g->cli->name, .fields = fields, .group = 1, .quiet = g->notes.quiet};
    struct buf b = {0};
    size_t lines = 0;
    int rc;

    if (want(g, e) || hide(&g->io.output, &g->part[0], e) || hide(&g->io.rejects, &g->part[1], e))
        return -1;
    cli_fingerprint(g->cli, NULL, NULL, &b);
    conf.fingerprint = b.p;
    g->s = stream_open(&g->io, &conf, n, file, e);
    buf_free(&b);
    if (!g->s || read_all(g, e) || want(g, e))
        return -1;
    for (size_t i = 0; i < g->n; i++)
        lines += g->item[i].n + g->item[i].text.cap + sizeof(struct item);
    cli_note(g->cli, "memory: %zu records %.1f MiB, vectors %.1f MiB (%d dimensions)", g->n,
             (double)lines / (1 << 20), (double)(g->n * CLUSTER_DIM * sizeof(float)) / (1 << 20),
             CLUSTER_DIM);
    if (choose(g, e) || write_all(g, e))
        return -1;
    put_stats(g, &b);
    *status = stream_close(g->s, b.p, e);
    g->s = NULL;
    buf_free(&b);
    rc = *status < 0 ? -1 : reveal(g->part[1], e) || reveal(g->part[0], e);
    return rc ? -1 : 0;
}

static void release(struct diversify *g)
{
    stream_abandon(g->s);
    for (size_t i = 0; i < g->n; i++) {
        free(g->item[i].line);
        free(g->item[i].id);
        buf_free(&g->item[i].text);
    }
    cluster_set_free(&g->set);
    free(g->item);
    free(g->x);
    free(g->verdict);
    free(g->part[0]);
    free(g->part[1]);
}

int main(int argc, char **argv)
{
    struct diversify g = {.io = cli_io_default,
                          .notes = cli_notes_default,
                          .count_text = "50%",
                          .by = "score",
                          .max_iter = 100,
                          .balance = CHOOSE_SQRT,
                          .max_sim = 0.9f};
    // clang-format off
    const struct opt opts[] = {
        OPT_HEAD("Choice"),
        OPT_STR(0, "count", &g.count_text, "n", "records to keep, or a share such as 20%"),
        OPT_INT(0, "clusters", &g.clusters, "k", 0, 100000, "topics, 0 for the square root of the records, at most 50"),
        OPT_ENUM(0, "balance", &g.balance, balances, "how", "records of a topic: uniform, sqrt or proportional to its size"),
        OPT_FLOAT(0, "max-sim", &g.max_sim, "x", 0, 1, "keep nothing with a higher cosine to what is kept, 1 for no limit"),
        OPT_STR(0, "by", &g.by, "field", "number that says which of a topic come first"),
        OPT_STR(0, "field", &g.field, "name", "field to compare records by instead of instruction and input"),
        OPT_FLAG(0, "no-idf", &g.no_idf, "do not weigh rare words more than common ones"),
        OPT_INT(0, "max-iter", &g.max_iter, "n", 0, 100000, "iterations of k-means at most"),
        OPT_INT('j', "threads", &g.threads, "n", 0, 1024, "threads, 0 for as many as may be used"),
        OPT_HEAD("Records"),
        OPT_STR('o', "output", &g.io.output, "file", "write here instead of standard output"),
        OPT_STR(0, "rejects", &g.io.rejects, "file", "write records that are not kept here"),
        OPT_U64('s', "seed", &g.io.seed, "n", "seed of all random choices"),
        OPT_STR(0, "stats", &g.io.stats, "file", "write counts as a JSON object"),
        CLI_NOTES(&g.notes), OPT_END(),
    };
    // clang-format on
    const struct cli cli = {"llm-diversify", "[file ...]", "choose records that cover the topics",
                            opts, &g.notes};
    int n = cli_begin(&cli, argc, argv), status = CLI_OK;
    struct err e;

    g.io.no_attempt = true;
    g.cli = &cli;
    if (run(&g, n, argv, &status, &e))
        status = cli_fail(&cli, &e);
    release(&g);
    return cli_end(&cli, status);
}
