/* llm-diversify.c - choose records that cover the topics. See llm-diversify(1).
 *
 * The choice needs all records at once: they are read and put away, turned into
 * vectors, clustered and chosen from; then they are written or dropped in input order. Outputs
 * are written under "FILE.part", synced and renamed at the end, so that a run that was
 * stopped leaves nothing that looks whole. */
#include "chart.h"
#include "choose.h"
#include "cli.h"
#include "corpus.h"
#include "eigen.h"
#include "gain.h"
#include "keyword.h"
#include "kmeans.h"
#include "label.h"
#include "mem.h"
#include "ram.h"
#include "recipe.h"
#include "resume.h"
#include "session.h"
#include "twins.h"
#include "whole.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WORDS = 3, DEFAULT_TOPICS = 50 };
enum { LABEL_NONE, LABEL_WORDS, LABEL_MODEL };

static const char *const balances[] = {"uniform",      "sqrt", "temperature",
                                       "proportional", "none", NULL};
static const char *const methods[] = {"score", "mmr", "kcenter", "facility", NULL};
static const char *const labels[] = {"none", "words", "model", NULL};
static const char *const fields[] = {"messages", "conversations", "system", "instruction",
                                     "input",    "prompt",        "output", NULL};

struct diversify {
    struct stream_opt io;
    struct cli_notes notes;
    struct cli_model model;
    struct cli_sample sample;
    struct corpus_opt from;
    const char *count_text, *prompts, *plot;
    int clusters, max_iter, batch, balance, method, label;
    float tol, max_sim, lambda, temp, semdedup;
    bool greedy, resume;
    const struct cli *cli;
    struct cli_progress progress;
    struct session ses;
    struct recipe recipe;
    struct stream *s;
    char *part[2]; // of output and rejects; NULL: standard output, none
    struct corpus c;
    struct backend *b;
    struct thread_pool *pool;
    struct kmeans set;
    double *score;                  // (n)
    struct choose_verdict *verdict; // (n)
    float *sim;                     // (n) cosine to the nearest kept record
    int32_t *near;                  // (n) and which
    char **name;                    // (set.k) labels of topics, or NULLs
    int unnamed;                    // topics that the model had no usable label for
    int64_t count, kept, twins, unusable;
    struct gain gain;
};

/* ---- reading ---- */

static int read_all(struct diversify *g, struct err *e)
{
    struct record r;
    int rc;

    while ((rc = stream_read(g->s, &r, true, e)) == 1) {
        struct err why;

        rc = corpus_add(&g->c, &r, &why, e);
        g->unusable += !rc;
        if (!rc)
            rc = stream_reject(g->s, &r, g->c.cause, NULL, NULL, why.msg, e);
        record_reset(&r);
        if (rc < 0)
            break;
        cli_progress(&g->progress, g->cli, stream_counts(g->s), 0);
    }
    if (rc < 0)
        return -1;
    return stream_stopped(g->s)
               ? err_set(e, ERR_STOP, "stopped before all was read; nothing was written")
               : 0;
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
    g->count = *end ? (int64_t)floor(x / 100 * (double)g->c.n + 0.5) : (int64_t)x;
    return 0;
}

/* ---- choosing ---- */

static int stopped(const struct diversify *g, struct err *e)
{
    return stream_stopped(g->s) ? err_set(e, ERR_STOP, "stopped; nothing was written") : 0;
}

static bool clustered(void *with, int iteration, double x)
{
    struct diversify *g = with;

    if (iteration)
        cli_progress_say(&g->progress, g->cli, "topics: iteration %d, inertia %.4f", iteration, x);
    else
        cli_progress_say(&g->progress, g->cli, "topics: %.0f centres", x);
    return stream_stopped(g->s);
}

static bool chosen(void *with, int64_t kept)
{
    struct diversify *g = with;

    cli_progress_say(&g->progress, g->cli, "%lld records chosen", (long long)kept);
    return stream_stopped(g->s);
}

static bool named(void *with, int done)
{
    struct diversify *g = with;

    cli_progress_say(&g->progress, g->cli, "%d topics named", done);
    return stream_stopped(g->s);
}

/* What lies where, said with -v; refused when what must be in memory does not fit. */
static int plan(struct diversify *g, struct err *e)
{
    struct corpus_size size = corpus_size(&g->c);
    double mib = 1 << 20;
    uint64_t row = (uint64_t)g->c.dim * sizeof(float), kept = (uint64_t)g->count;
    int k = (size_t)g->clusters < g->c.n ? g->clusters : (int)g->c.n;
    uint64_t work = kmeans_bytes((int64_t)g->c.n, g->c.dim, k) + g->c.n * 64;
    int64_t ram = ram_available("");

    kept = kept < g->c.n ? kept : g->c.n;
    work += 2 * kept * row; // kept rows in lanes, with room to grow
    work += size.vectors_on_disk ? 0 : size.vectors_to_come;
    cli_note(g->cli,
             "memory: %zu records, lines %.1f MiB%s, vectors %.1f MiB%s (%d values), work %.1f MiB",
             g->c.n, (double)(size.lines + size.items) / mib, size.lines_on_disk ? " on disk" : "",
             (double)size.vectors / mib, size.vectors_on_disk ? " on disk" : "", g->c.dim,
             (double)work / mib);
    if (size.vectors_on_disk && !g->batch)
        cli_note(g->cli, "every iteration reads the vectors from the disk: --mini-batch is faster");
    if (ram >= 0 && work > (uint64_t)ram)
        return err_set(e, ERR_MEM,
                       "%zu records need %.0f MiB of memory and there are %.0f: give a smaller "
                       "--memory, so that vectors go to the disk, or fewer --clusters",
                       g->c.n, (double)work / mib, (double)ram / mib);
    return 0;
}

static int cluster(struct diversify *g, struct err *e)
{
    struct kmeans_opt o = {.k = g->clusters,
                           .max_iter = g->max_iter,
                           .tol = g->tol,
                           .batch = g->batch,
                           .seed = g->io.seed,
                           .b = g->b,
                           .pool = g->pool,
                           .tick = clustered,
                           .with = g};

    kmeans_run(&o, g->c.x, (int64_t)g->c.n, g->c.dim, &g->set);
    return stopped(g, e);
}

static int choose(struct diversify *g, struct err *e)
{
    struct twins_opt t = {g->semdedup, g->greedy, g->b, g->pool};
    struct choose_opt o = {.method = (enum choose_method)g->method,
                           .balance = (enum quota_balance)g->balance,
                           .temp = (double)g->temp,
                           .count = g->count,
                           .max_sim = g->max_sim,
                           .lambda = g->lambda,
                           .b = g->b,
                           .pool = g->pool,
                           .tick = chosen,
                           .with = g};
    struct choose_rows r = {g->c.x, (int64_t)g->c.n, g->c.dim, g->set.k, g->set.of, g->score, NULL};
    int64_t *order = mem_zero(g->c.n, sizeof(*order)), *kept = mem_zero(g->c.n, sizeof(*kept));

    g->verdict = mem_zero(g->c.n, sizeof(*g->verdict));
    g->score = mem_zero(g->c.n, sizeof(*g->score));
    r.score = g->score;
    for (size_t i = 0; i < g->c.n; i++) {
        g->score[i] = g->c.item[i].score;
        g->verdict[i].near = -1;
    }
    choose_rank(g->score, r.n, order);
    r.order = order;
    if (g->semdedup > 0)
        g->twins = twins_find(&t, &g->set, g->c.x, r.n, g->c.dim, g->verdict);
    g->kept = choose_run(&o, &r, g->verdict, kept);
    if (g->kept >= 0 && (g->io.rejects || g->io.stats || g->notes.verbose)) {
        g->sim = mem_zero(g->c.n, sizeof(*g->sim));
        g->near = mem_zero(g->c.n, sizeof(*g->near));
        choose_nearest(&o, &r, kept, g->kept, g->sim, g->near);
    }
    free(order);
    free(kept);
    return stopped(g, e);
}

/* ---- labels ---- */

static int name_topics(struct diversify *g, struct err *e)
{
    struct keyword *k;
    struct buf b = {0};

    g->name = mem_zero((size_t)g->set.k, sizeof(*g->name));
    if (g->label == LABEL_NONE)
        return 0;
    if (g->label == LABEL_MODEL && label_topics(&g->ses, &g->recipe, &g->c, &g->set, g->io.seed,
                                                g->name, &g->unnamed, named, g, e))
        return -1;
    if (stopped(g, e))
        return -1;
    if (g->label == LABEL_MODEL && !g->unnamed)
        return 0;
    k = keyword_open(g->set.k);
    for (size_t i = 0; i < g->c.n; i++) {
        buf_reset(&b);
        corpus_text(&g->c, i, &b);
        keyword_add(k, g->set.of[i], buf_cstr(&b), b.n);
    }
    for (int t = 0; t < g->set.k; t++) {
        buf_reset(&b);
        keyword_top(k, t, WORDS, &b);
        if (!g->name[t] && b.n)
            g->name[t] = mem_dup(b.p, b.n);
    }
    keyword_close(k);
    buf_free(&b);
    return 0;
}

/* ---- writing ---- */

static int put_dropped(struct diversify *g, size_t i, struct record *r, struct err *e)
{
    static const char *const rule[] = {
        [CHOOSE_LEFT] = "count", [CHOOSE_SIMILAR] = "max-sim", [CHOOSE_TWIN] = "semdedup"};
    struct choose_verdict v = g->verdict[i];
    struct buf value = {0}, limit = {0}, b = {0};
    int rc;

    if (v.fate == CHOOSE_LEFT) {
        v.near = g->near ? g->near[i] : -1;
        v.sim = g->near ? g->sim[i] : 0;
        json_put_int(&limit, g->count);
        json_put_float(&value, v.sim);
    } else {
        json_put_float(&value, v.sim);
        json_put_float(&limit, v.fate == CHOOSE_SIMILAR ? g->max_sim : 1.0f - g->semdedup);
    }
    if (v.near >= 0) {
        record_set_meta_str(r, "nn_id", corpus_id(&g->c, (size_t)v.near));
        json_put_float(&b, v.sim);
        record_set_meta(r, "nn_sim", b.p, b.n);
    }
    rc = stream_drop(g->s, r, rule[v.fate], v.near >= 0 ? value.p : NULL, limit.p, e);
    buf_free(&value);
    buf_free(&limit);
    buf_free(&b);
    return rc;
}

static int write_all(struct diversify *g, struct err *e)
{
    for (size_t i = 0; i < g->c.n; i++) {
        struct record r;
        char topic[16];
        int rc;

        if (corpus_take(&g->c, i, &r, e))
            return -1;
        snprintf(topic, sizeof(topic), "%d", (int)g->set.of[i]);
        record_set_meta(&r, "topic", topic, strlen(topic));
        if (g->name[g->set.of[i]])
            record_set_meta_str(&r, "topic_label", g->name[g->set.of[i]]);
        rc = g->verdict[i].fate == CHOOSE_KEPT ? stream_write(g->s, &r, e)
                                               : put_dropped(g, i, &r, e);
        record_reset(&r);
        if (rc)
            return -1;
    }
    return 0;
}

static int draw(struct diversify *g, struct err *e)
{
    float *xy = mem_zero(g->c.n, 2 * sizeof(*xy));
    bool *kept = mem_zero(g->c.n, sizeof(*kept));
    char title[96], axis[2][64];
    double share[2];
    bool means;
    struct chart c = {.title = title,
                      .x_label = axis[0],
                      .y_label = axis[1],
                      .xy = xy,
                      .topic = g->set.of,
                      .kept = kept,
                      .n = (int64_t)g->c.n,
                      .topics = g->set.k,
                      .label = (const char *const *)g->name};
    int rc;

    means = eigen_map(g->pool, g->c.x, c.n, g->c.dim, g->set.of, g->set.k, xy, share);
    snprintf(title, sizeof(title), "%lld of %zu records kept, %d topics", (long long)g->kept,
             g->c.n, g->set.k);
    for (int a = 0; a < 2; a++)
        snprintf(axis[a], sizeof(axis[a]), "axis %d (%.1f %% of the variance%s)", a + 1,
                 100 * share[a], means ? " between topics" : "");
    for (size_t i = 0; i < g->c.n; i++)
        kept[i] = g->verdict[i].fate == CHOOSE_KEPT;
    rc = chart_draw(&c, g->plot, e);
    free(xy);
    free(kept);
    return rc;
}

/* ---- what was gained ---- */

static void figures(void *with, struct buf *b)
{
    const struct diversify *g = with;
    int64_t similar = 0;

    for (size_t i = 0; g->verdict && i < g->c.n; i++)
        similar += g->verdict[i].fate == CHOOSE_SIMILAR;
    buf_fmt(b, "\"wanted\":%lld,\"too_similar\":%lld,\"semantic_duplicates\":%lld",
            (long long)g->count, (long long)similar, (long long)g->twins);
    buf_fmt(b, ",\"clusters\":%d,\"iterations\":%d,\"inertia\":%.4f", g->set.k, g->set.iterations,
            g->set.inertia);
    if (g->label == LABEL_MODEL) {
        buf_fmt(b, ",\"unnamed\":%d,", g->unnamed);
        session_stats(&g->ses, b);
    }
    if (g->gain.size) {
        buf_char(b, ',');
        gain_json(&g->gain, b);
        buf_str(b, ",\"topics\":[");
        for (int t = 0; t < g->set.k; t++) {
            buf_fmt(b, "%s{\"topic\":%d", t ? "," : "", t);
            if (g->name[t]) {
                buf_str(b, ",\"label\":");
                json_put_str(b, g->name[t], strlen(g->name[t]));
            }
            buf_fmt(b, ",\"records\":%lld,\"kept\":%lld}", (long long)g->set.size[t],
                    (long long)g->gain.size[t]);
        }
        buf_char(b, ']');
    }
}

/* For people. */
static void report(const struct diversify *g)
{
    struct buf b = {0};
    char *line, *rest;

    if (!corpus_scored(&g->c) && strcmp(g->from.by, "score") && !g->notes.quiet)
        cli_warn(g->cli, "no record has a number in field '%s'", g->from.by);
    if (g->kept < g->count && g->kept < (int64_t)g->c.n - g->twins && !g->notes.quiet)
        cli_warn(g->cli,
                 "only %lld of %lld records could be kept: the others are more similar than %g",
                 (long long)g->kept, (long long)g->count, (double)g->max_sim);
    if (!g->notes.verbose)
        return;
    gain_table(&g->gain, &b);
    for (line = strtok_r(b.p, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        cli_note(g->cli, "%s", line);
    for (int t = 0; t < g->set.k; t++)
        cli_note(g->cli, "topic %-5d %6lld of %6lld  %s", t, (long long)g->gain.size[t],
                 (long long)g->set.size[t], g->name[t] ? g->name[t] : "");
    buf_free(&b);
}

/* ---- the whole ---- */

/* Model, prompts, stream. 1: an earlier run of the same command has made the output. */
static int open_all(struct diversify *g, int n, char **file, struct err *e)
{
    struct stream_conf conf = {
        .stage = g->cli->name, .fields = fields, .group = 1, .quiet = g->notes.quiet};
    struct buf print = {0}, more = {0}, note = {0}, ours = {0};
    struct hash128 model = {0};
    bool done = false;
    int rc = 0;

    if (g->label == LABEL_MODEL) {
        if (label_open(&g->recipe, g->prompts, &g->sample, e) ||
            session_open(&g->ses, g->cli, &g->model, true, e) ||
            session_takes(&g->ses, &g->recipe.sample, e))
            return -1;
        recipe_print(&g->recipe, &more);
        model = session_hash(&g->ses);
    }
    cli_fingerprint(g->cli, g->label == LABEL_MODEL ? &model : NULL, more.p, &print);
    conf.fingerprint = buf_cstr(&print);
    if (g->resume && g->io.output && !access(g->io.output, F_OK)) {
        buf_reset(&more);
        buf_fmt(&more, "%s.meta", g->io.output);
        rc = stream_meta(&g->io, &conf, &ours, e) ||
             resume_meta(more.p, ours.p, ours.n, true, &note, e);
        done = !rc;
    }
    if (!rc && !done &&
        (whole_hide(&g->io.output, &g->part[0], false, e) ||
         whole_hide(&g->io.rejects, &g->part[1], g->resume, e) ||
         (g->plot && chart_check(g->plot, g->resume, e))))
        rc = -1;
    if (!rc && !done) {
        g->io.field = g->from.field;
        g->s = stream_open(&g->io, &conf, n, file, e);
        g->ses.stream = g->s;
        rc = g->s ? 0 : -1;
    }
    buf_free(&print);
    buf_free(&more);
    buf_free(&note);
    buf_free(&ours);
    return rc ? -1 : done;
}

static int open_work(struct diversify *g, struct err *e)
{
    if (!g->clusters) // as many topics as a square root has, up to 50
        for (g->clusters = 1;
             g->clusters < DEFAULT_TOPICS && (int64_t)g->clusters * g->clusters < (int64_t)g->c.n;
             g->clusters++)
            continue;
    g->pool = thread_open(g->model.threads, e);
    g->b = g->pool ? backend_cpu_open(1, (enum backend_isa)g->model.isa, e) : NULL;
    return g->b ? 0 : -1;
}

static int run(struct diversify *g, int n, char **file, int *status, struct err *e)
{
    const struct stats *counts;
    int rc;

    if (want(g, e))
        return -1;
    if (g->label == LABEL_MODEL && !g->model.path)
        return err_set(e, ERR_ARG, "--label model needs a model (-m)");
    if (!g->from.memory) {
        int64_t ram = ram_available("");

        g->from.memory = ram > 0 ? (uint64_t)ram / 4 * 3 : (uint64_t)4 << 30;
    }
    rc = open_all(g, n, file, e);
    if (rc > 0)
        cli_note(g->cli, "%s: made by an earlier run", g->io.output);
    if (rc)
        return rc < 0 ? -1 : 0;
    cli_progress_begin(&g->progress, g->cli);
    g->from.dir = cli_tmp_dir(g->from.dir);
    if (corpus_open(&g->c, &g->from, e) || read_all(g, e) || want(g, e) || open_work(g, e))
        return -1;
    counts = stream_counts(g->s);
    if (plan(g, e) ||
        corpus_vectors(&g->c, g->pool, counts->read + counts->rejected - g->unusable, e) ||
        cluster(g, e) || choose(g, e) || name_topics(g, e) || write_all(g, e) ||
        (g->plot && draw(g, e)))
        return -1;
    if (g->io.stats || g->notes.verbose)
        gain_measure(&g->gain, &g->c, &g->set, g->verdict, g->sim, g->pool);
    cli_progress_end(&g->progress);
    report(g);
    *status = stream_close(g->s, e);
    g->s = NULL;
    if (*status < 0)
        return -1;
    return whole_reveal(g->part[1], e) || whole_reveal(g->part[0], e) ? -1 : 0;
}

static void release(struct diversify *g)
{
    session_close(&g->ses);
    recipe_close(&g->recipe);
    for (int t = 0; t < g->set.k && g->name; t++)
        free(g->name[t]);
    free(g->name);
    gain_free(&g->gain);
    kmeans_free(&g->set);
    corpus_close(&g->c);
    if (g->b)
        backend_close(g->b);
    thread_close(g->pool);
    free(g->score);
    free(g->verdict);
    free(g->sim);
    free(g->near);
    free(g->part[0]);
    free(g->part[1]);
}

int main(int argc, char **argv)
{
    struct diversify g = {.io = cli_io_default,
                          .notes = cli_notes_default,
                          .model = cli_model_default,
                          .sample = cli_sample_unset,
                          .from = {.by = "score"},
                          .count_text = "50%",
                          .prompts = "general",
                          .max_iter = 100,
                          .tol = 1e-4f,
                          .balance = QUOTA_SQRT,
                          .label = LABEL_WORDS,
                          .lambda = 0.5f,
                          .temp = 3,
                          .max_sim = 0.9f};
    // clang-format off
    const struct opt opts[] = {
        OPT_HEAD("Choice"),
        OPT_STR(0, "count", &g.count_text, "n", "records to keep, or a share such as 20%"),
        OPT_ENUM(0, "method", &g.method, methods, "name", "which of a topic first: score (the best), mmr (score against likeness to what is kept), kcenter (the farthest from what is kept) or facility (what covers most)"),
        OPT_FLOAT(0, "max-sim", &g.max_sim, "x", 0, 1, "keep nothing with a higher cosine to what is kept, 1 for no limit"),
        OPT_FLOAT(0, "semdedup", &g.semdedup, "x", 0, 2, "first drop what has a cosine above 1 - x to an earlier record of its topic, 0 for none"),
        OPT_FLAG(0, "greedy", &g.greedy, "with --semdedup, look only at earlier records that stay"),
        OPT_STR(0, "by", &g.from.by, "field", "number that is a record's score"),
        OPT_FLOAT(0, "lambda", &g.lambda, "x", 0, 1, "mmr: weight of the score, 1 - x that of likeness"),
        OPT_ENUM(0, "balance", &g.balance, balances, "how", "records of a topic: uniform, sqrt, temperature or proportional to its size, or none for no quotas"),
        OPT_FLOAT(0, "balance-temp", &g.temp, "x", 0.1, 1000, "temperature: quotas by the size to the power of 1/x"),
        OPT_HEAD("Topics"),
        OPT_INT(0, "clusters", &g.clusters, "k", 0, 1000000, "topics, 0 for the square root of the records, at most 50"),
        OPT_INT(0, "max-iter", &g.max_iter, "n", 0, 100000, "iterations of k-means at most, or batches"),
        OPT_FLOAT(0, "tol", &g.tol, "x", 0, 1, "stop when an iteration gains less than this share, 0 to go on until nothing changes"),
        OPT_INT(0, "mini-batch", &g.batch, "n", 0, 1 << 24, "records of a batch of k-means, 0 for all in each iteration"),
        OPT_ENUM(0, "label", &g.label, labels, "how", "names of topics: none, their words, or of the model (-m)"),
        OPT_FILE(0, "prompts", &g.prompts, "set|file", OPT_READS, "prompt set (general, korean, tiny) or YAML file, for --label model"),
        OPT_HEAD("Vectors"),
        OPT_STR(0, "field", &g.from.field, "name", "field to compare records by instead of instruction and input"),
        OPT_FLAG(0, "no-idf", &g.from.no_idf, "do not weigh rare words more than common ones"),
        OPT_FLAG(0, "embedding", &g.from.embedding, "compare by the records' own vectors, field embedding"),
        OPT_FILE(0, "vectors", &g.from.vectors, "file", OPT_READS, "compare by the rows of a .npy file, one for each record"),
        OPT_SIZE(0, "memory", &g.from.memory, "size", "memory for records and vectors, what is more goes to the disk; 0 for three quarters of what is free"),
        OPT_STR(0, "tmp-dir", &g.from.dir, "dir", "where it goes, instead of TMPDIR or /var/tmp"),
        CLI_MODEL_FOR(&g.model, "GGUF file, Hugging Face directory or server for --label model"),
        CLI_SERVER(&g.model),
        CLI_MODEL_NEEDS("label=model"), OPT_NEED("model", "label=model"), OPT_NEED("chat-template", "label=model"), OPT_NEED("prompts", "label=model"), OPT_NEED("greedy", "semdedup"), OPT_NEED("lambda", "method=mmr"), OPT_NEED("balance-temp", "balance=temperature"),
        OPT_HEAD("Records"),
        OPT_FILE('o', "output", &g.io.output, "file", OPT_WHOLE, "write here instead of standard output"),
        OPT_FILE(0, "rejects", &g.io.rejects, "file", OPT_WHOLE, "write records that are not kept here"),
        OPT_FLAG(0, "resume", &g.resume, "do nothing when the output is there, made with the same options"),
        OPT_U64('s', "seed", &g.io.seed, "n", "seed of all random choices"),
        OPT_FILE(0, "stats", &g.io.stats, "file", OPT_AT_LAST, "write counts and figures as a JSON object"),
        OPT_FILE(0, "plot", &g.plot, "file", OPT_WHOLE, "draw a map of the records: .png or .svg with gnuplot, .gp its script"),
        CLI_NOTES(&g.notes), OPT_END(),
    };
    // clang-format on
    const struct cli cli = {"llm-diversify", "[file ...]", "choose records that cover the topics",
                            opts, &g.notes};
    int n = cli_begin(&cli, argc, argv), status = CLI_OK;
    struct err e;

    g.io.no_attempt = g.model.computes = true;
    g.io.figures = figures;
    g.io.with = &g;
    g.cli = &cli;
    if (run(&g, n, argv, &status, &e)) {
        cli_progress_end(&g.progress);
        status = cli_fail(&cli, &e);
    }
    stream_abandon(g.s, &e);
    release(&g);
    return cli_end(&cli, status);
}
