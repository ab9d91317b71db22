/* llm-filter.c - drop records by rules, each drop with its reason. See llm-filter(1). */
#include "batch.h"
#include "cli.h"
#include "dupes.h"
#include "judge.h"
#include "mem.h"
#include "past.h"
#include "roles.h"
#include "rules.h"
#include "thread.h"
#include "where.h"
#include "words.h"

#include <stdlib.h>
#include <string.h>

struct filter {
    struct stream_opt io;
    struct cli_notes notes;
    struct rules rules;
    bool explain;
    const struct cli *cli;
    struct stream *s;
    struct judge *judge;
    struct thread_pool *pool;
    struct judge_desk **desk; // (n_desks) one a thread
    int threads, n_desks;
    struct judge_case *cases; // (BATCH_ITEMS)
    struct source {
        char *name; // meta.source of what is kept
        int64_t n;
    } * source; // (n_sources)
    size_t n_sources, cap_sources;
    int64_t n_scores, n_out;
    double scores, words;
};

static void count_source(struct filter *g, const char *s, size_t n)
{
    size_t i = 0;

    while (i < g->n_sources && (strlen(g->source[i].name) != n || memcmp(g->source[i].name, s, n)))
        i++;
    if (i == g->n_sources) {
        mem_grow(&g->source, &g->cap_sources, i + 1, sizeof(*g->source));
        g->source[g->n_sources++] = (struct source){mem_dup(s, n), 0};
    }
    g->source[i].n++;
}

/* What --stats and --explain say about the kept records. */
static void count_kept(struct filter *g, struct record *r, int words)
{
    size_t n = 0;
    const char *s = where_get(r, "meta.source", &n);
    double x;

    if (s && n > 2 && n < 100 && *s == '"' && !memchr(s + 1, '\\', n - 1))
        count_source(g, s + 1, n - 2);
    else
        count_source(g, "none", 4);
    if (!record_num(r, "score", &x)) {
        g->scores += x;
        g->n_scores++;
    }
    s = g->io.stats && words < 0 ? record_str(r, g->rules.set.field, &n) : NULL;
    g->words += s ? words_count(s, n) : words > 0 ? words : 0;
    g->n_out++;
}

static void look(void *with, struct record *r, int item, int worker)
{
    struct filter *g = with;

    judge_alone(g->judge, g->desk[worker], r, &g->cases[item]);
}

static int finish(void *with, struct record *r, int item, struct err *e)
{
    struct filter *g = with;
    struct judge_case *c = &g->cases[item];
    const struct trial_reason *v = &c->why;
    struct err why;

    if (item % BATCH_RECORDS + 1 < BATCH_RECORDS)
        judge_soon(g->judge, c + 1);
    judge_among(g->judge, r, c);
    switch (c->says) {
    case JUDGE_KEEP:
        count_kept(g, r, c->words);
        return stream_write(g->s, r, e);
    case JUDGE_DROP:
        return stream_drop(g->s, r, v->rule, v->value.n ? v->value.p : NULL,
                           v->limit.n ? v->limit.p : NULL, e);
    case JUDGE_NO_FIELD:
        err_set(&why, ERR_DATA, "no field '%s'", v->rule);
        return stream_reject(g->s, r, "field", NULL, NULL, why.msg, e);
    default:
        *e = c->err;
        return -1;
    }
}

static int filter(struct filter *g, struct err *e)
{
    struct batch *b = batch_open(g->s, g->pool);
    struct cli_progress progress;
    int rc;

    cli_progress_begin(&progress, g->cli);
    while ((rc = batch_run(b, look, finish, g, e)) == 1)
        cli_progress(&progress, g->cli, stream_counts(g->s), 0);
    cli_progress_end(&progress);
    batch_close(b);
    return rc;
}

/* Threads and what each works with; threads come after the stream, which blocks signals. */
static int open_desks(struct filter *g, struct err *e)
{
    g->pool = thread_open(judge_is_parallel(g->judge) ? g->threads : 1, e);
    if (!g->pool)
        return -1;
    g->cases = mem_zero(BATCH_ITEMS, sizeof(*g->cases));
    g->n_desks = thread_count(g->pool);
    g->desk = mem_zero((size_t)g->n_desks, sizeof(struct judge_desk *));
    for (int i = 0; i < g->n_desks; i++)
        g->desk[i] = judge_desk();
    return 0;
}

static void look_again(void *with, struct record *r, int item, int worker)
{
    struct filter *g = with;

    judge_kept(g->judge, g->desk[worker], r, &g->cases[item]);
}

static int recall(void *with, struct record *r, int item, struct err *e)
{
    struct filter *g = with;

    return judge_recall(g->judge, r, &g->cases[item], e);
}

/* What was kept before into the indexes. */
static int recall_all(struct filter *g, struct err *e)
{
    struct past_work w = {look_again, recall, g, g->pool};
    const char *path;
    uint64_t bytes;

    if (!judge_recalls(g->judge))
        return 0;
    for (size_t i = 0; (path = stream_other(g->s, i, &bytes)); i++)
        if (past_many(g->s, path, bytes, &w, e))
            return -1;
    if (g->io.resume && stream_output_path(g->s) &&
        past_many(g->s, stream_output_path(g->s), UINT64_MAX, &w, e))
        return -1;
    judge_recalled(g->judge);
    return 0;
}

/* Rule against count, for people; the shares are of all records, those that failed included. */
static void explain(const struct filter *g, const struct stats *c)
{
    double all = (double)(g->n_out + c->dropped + c->rejected);

    all = all > 0 ? all : 1;
    fprintf(stderr, "%-22s %9s  share\n", "rule", "dropped");
    for (int i = 0; i < STATS_RULES && c->rule[i].name; i++)
        fprintf(stderr, "%-22s %9lld  %5.1f%%\n", c->rule[i].name, (long long)c->rule[i].n,
                100 * (double)c->rule[i].n / all);
    if (c->rejected)
        fprintf(stderr, "%-22s %9lld  %5.1f%%\n", "failed", (long long)c->rejected,
                100 * (double)c->rejected / all);
    fprintf(stderr, "%-22s %9lld  %5.1f%%\n", "kept", (long long)g->n_out,
            100 * (double)g->n_out / all);
    for (size_t i = 0; i < g->n_sources; i++)
        fprintf(stderr, "  %-20s %9lld  %5.1f%%\n", g->source[i].name, (long long)g->source[i].n,
                100 * (double)g->source[i].n / (double)g->n_out);
}

/* Records by source; what is neither a seed's nor of unknown origin was made. */
static void figures(void *with, struct buf *b)
{
    const struct filter *g = with;
    const struct near *near = judge_near(g->judge);
    int64_t made = 0;

    buf_str(b, "\"sources\":{");
    for (size_t i = 0; i < g->n_sources; i++) {
        const struct source *s = &g->source[i];

        made += strcmp(s->name, "seed") && strcmp(s->name, "none") ? s->n : 0;
        json_put_key(b, s->name);
        json_put_int(b, s->n);
    }
    buf_str(b, "},\"synthetic_share\":");
    json_put_num(b, g->n_out ? (double)made / (double)g->n_out : 0);
    buf_str(b, ",\"mean_score\":");
    if (g->n_scores)
        json_put_num(b, g->scores / (double)g->n_scores);
    else
        buf_str(b, "null");
    buf_str(b, ",\"mean_words\":");
    json_put_num(b, g->n_out ? g->words / (double)g->n_out : 0);
    buf_fmt(b, ",\"masked\":%lld", (long long)judge_masked(g->judge));
    if (near)
        buf_fmt(b, ",\"near\":{\"bands\":%d,\"rows\":%d,\"recall\":%.4f,\"texts\":%zu}",
                near_bands(near), near_rows(near), near_recall(near), near_size(near));
}

/* A number for the output that this run writes, so that it knows its own texts in an index. */
static uint64_t run_number(const struct filter *g)
{
    const char *slash = g->io.output ? strrchr(g->io.output, '/') : NULL;
    struct hash128 h = {0};
    struct buf dir = {0};
    char *full;

    if (!g->io.output)
        return 0;
    buf_add(&dir, g->io.output, slash ? (size_t)(slash - g->io.output) + 1 : 0);
    full = realpath(dir.n ? dir.p : ".", NULL); // the file may not be there yet
    h = hash_add(h, full ? full : "", full ? strlen(full) : 0);
    slash = slash ? slash + 1 : g->io.output;
    h = hash_add(h, slash, strlen(slash));
    free(full);
    buf_free(&dir);
    return h.lo | 1;
}

static int open_stream(struct filter *g, int n, char **file, struct err *e)
{
    struct stream_conf conf = {.stage = g->cli->name,
                               .fields = dupes_fields,
                               .group = 1,
                               .quiet = g->notes.quiet,
                               .gather = true};
    struct buf more = {0}, print = {0};
    char hex[33];

    hash_hex(judge_print(g->judge), hex);
    buf_fmt(&more, "\"rules\":\"%s\"", hex);
    cli_fingerprint(g->cli, NULL, more.p, &print);
    conf.fingerprint = print.p;
    g->io.field = g->rules.set.field;
    g->s = stream_open(&g->io, &conf, n, file, e);
    buf_free(&more);
    buf_free(&print);
    return g->s ? 0 : -1;
}

/* The rules file names files of its own. */
static int check_files(const struct filter *g, int n, char **file, struct err *e)
{
    struct opt_list read = {.v = mem_new((size_t)(g->rules.n + 1) * sizeof(*read.v))};
    int rc;

    for (int i = 0; i < g->rules.n; i++)
        if (g->rules.v[i].id == RULE_BLACKLIST || g->rules.v[i].id == RULE_DECONTAMINATE)
            read.v[read.n++] = g->rules.v[i].text;
    rc = roles_check(g->cli->opts, n, file, &read, e);
    free(read.v);
    return rc;
}

static int run(struct filter *g, int n, char **file, int *status, struct err *e)
{
    const struct near *near;

    g->rules.set.tmp_dir = cli_tmp_dir(g->rules.set.tmp_dir);
    if (rules_gather(&g->rules, e) || check_files(g, n, file, e) ||
        !(g->judge = judge_open(&g->rules, run_number(g), e)) || open_stream(g, n, file, e) ||
        open_desks(g, e))
        return -1;
    near = judge_near(g->judge);
    if (near)
        cli_note(g->cli, "near duplicates: %d bands x %d rows, %.4f of pairs at the limit are met",
                 near_bands(near), near_rows(near), near_recall(near));
    if (recall_all(g, e) || filter(g, e))
        return -1;
    if (g->explain)
        explain(g, stream_counts(g->s));
    *status = stream_close(g->s, e);
    g->s = NULL;
    return *status < 0 ? -1 : 0;
}

static int release(struct filter *g, struct err *e)
{
    int rc = judge_close(g->judge, e);

    for (int i = 0; i < g->n_desks; i++)
        judge_desk_close(g->desk[i]);
    free(g->desk);
    for (int i = 0; g->cases && i < BATCH_ITEMS; i++)
        judge_case_free(&g->cases[i]);
    free(g->cases);
    thread_close(g->pool);
    rules_free(&g->rules);
    for (size_t i = 0; i < g->n_sources; i++)
        free(g->source[i].name);
    free(g->source);
    return rc;
}

int main(int argc, char **argv)
{
    struct filter g = {.io = cli_io_default, .notes = cli_notes_default};
    struct opt opts[RULES_ROWS + 32];
    int rows = rules_options(&g.rules, opts);
    // clang-format off
    const struct opt more[] = {
        OPT_INT('j', "threads", &g.threads, "n", 0, 1024, "threads, 0 for as many as may be used"),
        OPT_FLAG(0, "explain", &g.explain, "at the end, print a table of rule against count on standard error"),
        CLI_IO(&g.io), CLI_NOTES(&g.notes), OPT_END(),
    };
    // clang-format on
    const struct cli cli = {"llm-filter", "[file ...]", "drop records by rules", opts, &g.notes};
    int n, status = CLI_OK;
    struct err e;

    memcpy(opts + rows, more, sizeof(more));
    n = cli_begin(&cli, argc, argv);
    g.cli = &cli;
    g.io.figures = figures;
    g.io.with = &g;
    if (run(&g, n, argv, &status, &e))
        status = cli_fail(&cli, &e);
    stream_abandon(g.s, &e);
    if (release(&g, &e) && status == CLI_OK)
        status = cli_fail(&cli, &e);
    return cli_end(&cli, status);
}
