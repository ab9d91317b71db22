/* llm-merge.c - shards and attempts joined by id. See llm-merge(1). */
#include "attempt.h"
#include "cli.h"
#include "file.h"
#include "mem.h"
#include "merge.h"
#include "resume.h"
#include "say.h"
#include "sink.h"
#include "stats.h"
#include "stop.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { BATCH = 1 << 20 };

/* An output: a file that appears when it is whole, or standard output. */
struct out {
    struct file_out file;
    struct sink sink;
    bool is_file, on;
    struct buf b;
};

struct join {
    struct cli_notes notes;
    struct cli_progress progress;
    const char *output, *missing_path, *stats;
    struct opt_list like, rejected;
    const struct cli *cli;
    struct input {
        char *path;
        bool reject;
    } * in; // (n_in) files and attempts
    size_t n_in;
    uint64_t total; // bytes that are to be read
    struct stop stop;
    struct merge *m;
    struct out out, missing;
    struct buf note;
    const char *first; // path of the first shard
};

/* ---- output ---- */

static int out_open(struct out *o, const char *path, struct stop *stop, struct err *e)
{
    o->on = true;
    o->sink.fd = -1;
    o->is_file = path && strcmp(path, "-") != 0;
    return o->is_file ? file_create(&o->file, path, 1, e)
                      : sink_open(&o->sink, NULL, false, stop, e);
}

static int out_flush(struct out *o, struct err *e)
{
    int rc = 0;

    if (o->b.n)
        rc = o->is_file ? file_write(&o->file, o->b.p, o->b.n, e)
                        : sink_write(&o->sink, o->b.p, o->b.n, e);
    buf_reset(&o->b);
    return rc;
}

static int out_take(void *with, const char *p, size_t n, struct err *e)
{
    struct out *o = with;

    buf_add(&o->b, p, n);
    return o->b.n < BATCH ? 0 : out_flush(o, e);
}

static int out_commit(struct out *o, struct err *e)
{
    if (!o->on)
        return 0;
    if (out_flush(o, e))
        return -1;
    o->on = false;
    return o->is_file ? file_commit(&o->file, e) : sink_close(&o->sink, e);
}

static void out_free(struct out *o)
{
    if (o->on && o->is_file)
        file_abandon(&o->file);
    if (o->on && !o->is_file)
        sink_abandon(&o->sink);
    buf_free(&o->b);
}

/* ---- input ---- */

static bool same_file(const char *a, const char *b)
{
    struct stat x, y;

    return b && !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* 0: not known, as of a pipe. */
static uint64_t size_of(const char *path)
{
    struct stat st;

    if ((strcmp(path, "-") ? stat(path, &st) : fstat(0, &st)) || !S_ISREG(st.st_mode))
        return 0;
    return (uint64_t)st.st_size;
}

static void list_one(struct join *g, const char *path, bool reject)
{
    g->in = mem_resize(g->in, g->n_in + 1, sizeof(*g->in));
    g->in[g->n_in++] = (struct input){mem_dup(path, strlen(path)), reject};
    g->total += size_of(path) * (reject ? 1 : 2);
}

/* A file, and the attempts at it: FILE.a0, FILE.a1 ... */
static int list(struct join *g, const char *path, bool reject, struct err *e)
{
    struct attempt_list l;

    if (!strcmp(path, "-"))
        return err_set(e, ERR_ARG, "'-': files are read twice, which standard input cannot be");
    attempt_find(path, -1, &l);
    if (!l.n) // reading says what is wrong with it
        list_one(g, path, reject);
    for (size_t i = 0; i < l.n; i++)
        list_one(g, l.v[i].path, reject);
    attempt_free(&l);
    return 0;
}

static int add(struct join *g, const struct input *in, struct err *e)
{
    const char *path = in->path;

    // an attempt's file, which the command line does not name
    if (same_file(path, g->output) || same_file(path, g->missing_path))
        return err_set(e, ERR_ARG, "'%s' is both input and output", path);
    if (same_file(path, g->stats))
        return err_set(e, ERR_ARG, "--stats: '%s' is the input", path);
    if (in->reject)
        return merge_reject(g->m, path, &g->note, e);
    if (!g->first && resume_is_shard(path))
        g->first = path;
    else if (g->first && resume_alike(g->first, path, &g->note, e))
        return -1;
    return merge_add(g->m, path, resume_group(path), &g->note, e);
}

static void look(void *with, const struct merge_counts *c)
{
    struct join *g = with;
    const struct stats n = {.written = c->written, .bytes_in = c->bytes, .bytes_total = g->total};

    cli_progress(&g->progress, g->cli, &n, 0);
}

static int read_all(struct join *g, int n, char **file, struct err *e)
{
    int rc = n ? 0 : err_set(e, ERR_ARG, "no files to join");

    for (int i = 0; i < n && !rc; i++)
        rc = list(g, file[i], false, e);
    for (int i = 0; i < g->rejected.n && !rc; i++)
        rc = list(g, g->rejected.v[i], true, e);
    for (int i = 0; i < g->like.n; i++)
        g->total += size_of(g->like.v[i]);
    cli_progress_begin(&g->progress, g->cli);
    merge_watch(g->m, look, g);
    for (size_t i = 0; i < g->n_in && !rc; i++)
        rc = add(g, &g->in[i], e);
    rc = rc ? rc : merge_settle(g->m, &g->note, e);
    if (!g->notes.quiet && (!rc || e->code != ERR_STOP)) // else nothing was left out
        say_lines(g->cli->name, g->note.p, g->note.n);
    buf_reset(&g->note);
    return rc;
}

static int read_order(struct join *g, struct err *e)
{
    if (g->missing_path && !g->like.n)
        return err_set(e, ERR_ARG, "--missing needs --like");
    if (g->missing_path && !strcmp(g->missing_path, "-") && (!g->output || !strcmp(g->output, "-")))
        return err_set(e, ERR_ARG, "--missing needs a file: standard output is for records");
    if (g->missing_path && out_open(&g->missing, g->missing_path, &g->stop, e))
        return -1;
    for (int i = 0; i < g->like.n; i++) {
        if (merge_like(g->m, g->like.v[i], g->missing_path ? out_take : NULL, &g->missing, e))
            return err_wrap(e, "--like");
    }
    return 0;
}

/* ---- the end ---- */

static int put_stats(const struct join *g, int status, const char *stopped, struct err *e)
{
    const struct merge_counts *c = merge_counts(g->m);
    struct buf b = {0};
    int rc;

    buf_fmt(&b,
            "\"written\":%lld,\"same\":%lld,\"conflicts\":%lld,\"wanted\":%lld,\"missing\":%lld,"
            "\"rejected\":%lld,\"foreign\":%lld,\"incomplete\":%lld",
            (long long)c->written, (long long)c->same, (long long)c->conflicts,
            (long long)c->wanted, (long long)c->missing, (long long)c->rejected,
            (long long)c->foreign, (long long)c->incomplete);
    rc = stats_write(g->stats, g->cli->name, status, stopped, NULL, b.p, e);
    buf_free(&b);
    return rc;
}

static void summary(const struct join *g, const struct merge_counts *c)
{
    if (c->incomplete)
        cli_warn(g->cli, "%lld records have not all of their samples; they are left out",
                 (long long)c->incomplete);
    if (c->missing)
        cli_warn(g->cli, "%lld of %lld records are missing", (long long)c->missing,
                 (long long)c->wanted);
    if (g->like.n && c->foreign)
        cli_warn(g->cli, "%lld lines belong to no record of the input; they stand at the end",
                 (long long)c->foreign);
    cli_note(g->cli, "%lld lines, %lld equal ones taken once, %lld records in the rejects",
             (long long)c->written, (long long)c->same, (long long)c->rejected);
}

static int run(struct join *g, int n, char **file, int *status, struct err *e)
{
    const struct merge_counts *c = merge_counts(g->m);

    sink_hold_standard();
    if (stop_open(&g->stop, e) || read_all(g, n, file, e) || read_order(g, e))
        return -1;
    if (c->conflicts) { // nothing is written: which one is right?
        cli_progress_end(&g->progress);
        cli_warn(g->cli, "%lld lines differ from another with their id; nothing is written",
                 (long long)c->conflicts);
        *status = CLI_FAIL;
        return 0;
    }
    if (out_open(&g->out, g->output, &g->stop, e) || merge_write(g->m, out_take, &g->out, e) ||
        out_commit(&g->out, e) || out_commit(&g->missing, e))
        return -1;
    cli_progress_end(&g->progress);
    *status = c->missing || c->incomplete || (g->like.n && c->foreign) ? CLI_FAIL : CLI_OK;
    if (!g->notes.quiet)
        summary(g, c);
    return 0;
}

int main(int argc, char **argv)
{
    struct join g = {.notes = cli_notes_default, .stop.fd = -1};
    // clang-format off
    const struct opt opts[] = {
        OPT_HEAD("Joining"),
        OPT_FILES(0, "like", &g.like, "file", "input whose order the records shall have; may be given several times, - is standard input"),
        OPT_FILES(0, "rejected", &g.rejected, "file", "rejects of the shards: what is in them is not missing; may be given several times"),
        OPT_FILE(0, "missing", &g.missing_path, "file", OPT_WRITES, "write the input's records that are in no file here"),
        OPT_FILE('o', "output", &g.output, "file", OPT_WRITES, "write here instead of standard output, in place of what is there"),
        OPT_FILE(0, "stats", &g.stats, "file", OPT_AT_LAST, "write counts as a JSON object"),
        CLI_NOTES(&g.notes), OPT_END(),
    };
    // clang-format on
    const struct cli cli = {"llm-merge", "file ...", "join shards and attempts by id", opts,
                            &g.notes};
    int n = cli_begin(&cli, argc, argv), status = CLI_OK;
    struct err e, more;

    g.cli = &cli;
    g.m = merge_open(&g.stop);
    if (run(&g, n, argv, &status, &e)) {
        cli_progress_end(&g.progress);
        status = cli_fail(&cli, &e);
        if (status != CLI_USAGE && put_stats(&g, status, e.msg, &more))
            cli_warn(&cli, "%s", more.msg);
    } else if (put_stats(&g, status, NULL, &e)) {
        status = cli_fail(&cli, &e);
    }
    out_free(&g.out);
    out_free(&g.missing);
    buf_free(&g.note);
    for (size_t i = 0; i < g.n_in; i++)
        free(g.in[i].path);
    free(g.in);
    merge_close(g.m);
    stop_close(&g.stop);
    return cli_end(&cli, status);
}
