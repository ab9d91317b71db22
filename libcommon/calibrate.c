/* calibrate.c - weights of the axes out of people's labels. */
#include "calibrate.h"

#include "axes.h"
#include "corr.h"
#include "file.h"
#include "mem.h"
#include "ridge.h"
#include "stats.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LEAST = 20 }; // records
static const double penalties[] = {0, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1};

/* A record with a label. */
struct item {
    struct hash128 key;
    double x[AXES], y;
};

/* How well predictions meet the labels. */
struct figures {
    double spearman, pairs, rmse;
};

struct calibrate {
    const struct calibrate_opt *o;
    struct item *item; // (n), sorted by key
    size_t n, cap;
    double lo, hi; // of the labels
    double *x, *y; // (n, AXES) axes / 4, (n) labels on 0..1
    struct ridge ridge;
    double w[AXES], offset;
    struct figures found, preset[2];
};

static const char *const presets[2] = {"default", "nemotron"};

/* ---- reading ---- */

static int take(struct calibrate *c, struct stream *s, struct record *r, struct err *e)
{
    struct item t = {.key = r->key};
    const char *missing = NULL;

    for (int a = 0; a < AXES && !missing; a++)
        if (record_num(r, axes_names[a], &t.x[a]))
            missing = axes_names[a];
    if (!missing && record_num(r, c->o->label, &t.y))
        missing = c->o->label;
    if (!missing) {
        mem_grow(&c->item, &c->cap, c->n + 1, sizeof(*c->item));
        c->item[c->n++] = t;
        return stream_finish(s, r, e);
    }
    err_set(e, ERR_DATA, "no number '%s'", missing);
    {
        struct err why = *e;

        return stream_reject(s, r, missing == c->o->label ? "label" : "axes", NULL, NULL, why.msg,
                             e);
    }
}

static int read_all(struct calibrate *c, const struct cli *cli, int n, char **file, int *status,
                    struct err *e)
{
    static const char *const fields[] = {
        "messages",    "conversations", "system",    "instruction", "input",     "prompt", "output",
        "helpfulness", "correctness",   "coherence", "complexity",  "verbosity", NULL};
    const struct stream_opt io = {
        .rejects = c->o->io->rejects, .shard = c->o->io->shard, .field = c->o->label};
    const struct stream_conf conf = {
        .stage = cli->name, .fields = fields, .group = 1, .quiet = cli->notes->quiet};
    struct stream *s = stream_open(&io, &conf, n, file, e);
    struct record r;
    int rc = s ? 1 : -1;

    while (rc == 1 && (rc = stream_read(s, &r, true, e)) == 1) {
        rc = take(c, s, &r, e) ? -1 : 1;
        record_reset(&r);
    }
    if (!rc && stream_stopped(s)) // weights of some of the labels look like those of all
        rc = err_set(e, ERR_STOP, "stopped before all was read; nothing was written");
    if (rc < 0) {
        stream_abandon(s, e);
        return -1;
    }
    *status = stream_close(s, e);
    return *status < 0 ? -1 : 0;
}

static int by_key(const void *a, const void *b)
{
    const struct item *p = a, *q = b;

    if (p->key.hi != q->key.hi)
        return p->key.hi < q->key.hi ? -1 : 1;
    return (p->key.lo > q->key.lo) - (p->key.lo < q->key.lo);
}

/* The labels' scale, and all values on theirs. */
static int prepare(struct calibrate *c, struct err *e)
{
    const char *text = c->o->scale;
    char *end;

    if (c->n < LEAST || c->n < (size_t)c->o->folds)
        return err_set(e, ERR_DATA, "%zu records with axes and a label are too few: %d are needed",
                       c->n, LEAST < c->o->folds ? c->o->folds : LEAST);
    qsort(c->item, c->n, sizeof(*c->item), by_key);
    c->lo = c->hi = c->item[0].y;
    for (size_t i = 0; i < c->n; i++) {
        c->lo = c->item[i].y < c->lo ? c->item[i].y : c->lo;
        c->hi = c->item[i].y > c->hi ? c->item[i].y : c->hi;
    }
    if (text) {
        c->lo = strtod(text, &end);
        c->hi = *end == ',' ? strtod(end + 1, &end) : NAN;
        if (*end || end == text || !isfinite(c->hi - c->lo) || !(c->hi > c->lo))
            return err_set(e, ERR_ARG, "--scale: '%s' is not two numbers lo,hi", text);
    }
    if (!(c->hi > c->lo))
        return err_set(e, ERR_DATA, "all labels are %g", c->lo);
    if (!isfinite(c->hi - c->lo))
        return err_set(e, ERR_DATA, "labels from %g to %g are too far apart", c->lo, c->hi);
    c->x = mem_new(c->n * AXES * sizeof(*c->x));
    c->y = mem_new(c->n * sizeof(*c->y));
    for (size_t i = 0; i < c->n; i++) {
        for (int a = 0; a < AXES; a++)
            c->x[i * AXES + (size_t)a] = c->item[i].x[a] / AXES_MOST;
        c->y[i] = (c->item[i].y - c->lo) / (c->hi - c->lo);
        if (!(fabs(c->y[i]) < 1e100)) // its square must be a number
            return err_set(e, ERR_DATA, "label %g is too far from %g to %g", c->item[i].y, c->lo,
                           c->hi);
    }
    return 0;
}

/* ---- fitting ---- */

static double predict(const struct calibrate *c, const double *w, double offset, size_t i)
{
    for (int a = 0; a < AXES; a++)
        offset += w[a] * c->x[i * AXES + (size_t)a];
    return offset;
}

static struct figures judge(const struct calibrate *c, const double *said)
{
    struct corr k = {0};
    struct figures f = {0};

    for (size_t i = 0; i < c->n; i++) {
        corr_add(&k, said[i], c->y[i]);
        f.rmse += (said[i] - c->y[i]) * (said[i] - c->y[i]);
    }
    f.spearman = corr_spearman(&k);
    f.pairs = corr_concordance(&k);
    f.rmse = sqrt(f.rmse / (double)c->n);
    corr_free(&k);
    return f;
}

/* Figures of weights of this penalty, each record judged by those fitted without its fold. */
static struct figures validate(struct calibrate *c)
{
    double *said = mem_new(c->n * sizeof(*said)), w[AXES], offset;
    bool *skip = mem_new(c->n * sizeof(*skip));
    struct figures f;
    const size_t folds = (size_t)c->o->folds;

    for (size_t k = 0; k < folds; k++) {
        for (size_t i = 0; i < c->n; i++)
            skip[i] = i % folds == k;
        ridge_fit(&c->ridge, c->x, c->y, skip, c->n, w, &offset);
        for (size_t i = k; i < c->n; i += folds)
            said[i] = predict(c, w, offset, i);
    }
    f = judge(c, said);
    free(said);
    free(skip);
    return f;
}

/* Six decimals, which is what the file says. */
static double six(double x)
{
    return floor(x * 1e6 + 0.5) / 1e6;
}

/* Axes are often whole numbers, and scores that are equal may differ in their last bits. */
static double nine(double x)
{
    return floor(x * 1e9 + 0.5) / 1e9;
}

static int fit(struct calibrate *c, struct err *e)
{
    double best = c->o->penalty < 0 ? INFINITY : (double)c->o->penalty;
    double *said = mem_new(c->n * sizeof(*said));

    c->ridge = (struct ridge){.n = AXES, .penalty = best, .only_above = c->o->only_above};
    if (c->o->penalty >= 0)
        c->found = validate(c);
    for (size_t i = 0; c->o->penalty < 0 && i < sizeof(penalties) / sizeof(*penalties); i++) {
        struct figures f;

        c->ridge.penalty = penalties[i];
        f = validate(c);
        if (!i || f.rmse < c->found.rmse) {
            c->found = f;
            best = penalties[i];
        }
    }
    c->ridge.penalty = best;
    ridge_fit(&c->ridge, c->x, c->y, NULL, c->n, c->w, &c->offset);
    c->offset = six(c->offset);
    for (int a = 0; a < AXES; a++)
        c->w[a] = six(c->w[a]);
    for (int p = 0; p < 2; p++) {
        struct axes_weights w;

        if (axes_weights(&w, presets[p], e)) {
            free(said);
            return -1;
        }
        for (size_t i = 0; i < c->n; i++)
            said[i] = nine(axes_score(&w, c->item[i].x));
        c->preset[p] = judge(c, said);
    }
    free(said);
    return 0;
}

/* ---- writing ---- */

static void put_file(const struct calibrate *c, struct buf *b)
{
    struct hash128 h = hash_add(hash_bytes(c->w, sizeof(c->w)), &c->offset, sizeof(c->offset));
    char hex[33];

    hash_hex(h, hex);
    buf_fmt(b, "# llm-score calibrate: %zu records, label '", c->n);
    for (const char *p = c->o->label; *p; p++)
        buf_char(b, (unsigned char)*p < ' ' ? '?' : *p);
    buf_fmt(b, "' from %g to %g, ridge %g%s\n", c->lo, c->hi, c->ridge.penalty,
            c->o->only_above ? ", no weight below 0" : "");
    buf_fmt(b, "# cross-validation in %d folds: spearman %.4f, pairs %.4f, rmse %.4f\n",
            c->o->folds, c->found.spearman, c->found.pairs, c->found.rmse);
    for (int p = 0; p < 2; p++)
        buf_fmt(b, "# %s on these records: spearman %.4f, pairs %.4f\n", presets[p],
                c->preset[p].spearman, c->preset[p].pairs);
    buf_fmt(b, "name: calibrated-%.8s\noffset: %.6f\n", hex, c->offset);
    for (int a = 0; a < AXES; a++)
        buf_fmt(b, "%s: %.6f\n", axes_names[a], c->w[a]);
}

static void put_figures(struct buf *b, const char *name, const struct figures *f, bool rmse)
{
    json_put_key(b, name);
    buf_fmt(b, "{\"spearman\":%.4f,\"pairs\":%.4f", f->spearman, f->pairs);
    if (rmse)
        buf_fmt(b, ",\"rmse\":%.4f", f->rmse);
    buf_char(b, '}');
}

/* stopped: the message of the error that ended the run, or NULL; fitted: there are figures. */
static int put_stats(const struct calibrate *c, const struct cli *cli, int status,
                     const char *stopped, bool fitted, struct err *e)
{
    struct buf b = {0};
    int rc;

    buf_fmt(&b, "\"records\":%zu", c->n);
    if (fitted) {
        buf_fmt(&b, ",\"ridge\":%g,\"folds\":%d", c->ridge.penalty, c->o->folds);
        put_figures(&b, "calibrated", &c->found, true);
        for (int p = 0; p < 2; p++)
            put_figures(&b, presets[p], &c->preset[p], false);
    }
    rc = stats_write(c->o->io->stats, cli->name, status, stopped, NULL, b.p, e);
    buf_free(&b);
    return rc;
}

static int write_out(const struct calibrate *c, struct buf *text, struct err *e)
{
    const char *path = c->o->io->output;
    struct file_out f;
    struct buf b = {0};
    int rc;

    if (!path || !strcmp(path, "-")) {
        put_file(c, text);
        return 0;
    }
    put_file(c, &b);
    rc = file_create(&f, path, 0, e);
    if (!rc && file_write(&f, b.p, b.n, e)) {
        file_abandon(&f);
        rc = -1;
    } else if (!rc) {
        rc = file_commit(&f, e);
    }
    buf_free(&b);
    return rc;
}

int calibrate_run(const struct calibrate_opt *o, const struct cli *c, int n, char **file,
                  int *status, struct buf *text, struct err *e)
{
    struct calibrate k = {.o = o};
    const char *out = o->io->output;
    struct err more;
    bool fitted;
    int rc;

    if (out && strcmp(out, "-") != 0 && !access(out, F_OK))
        return err_set(e, ERR_ARG, "'%s' exists", out);
    fitted = !read_all(&k, c, n, file, status, e) && !prepare(&k, e) && !fit(&k, e);
    rc = fitted ? write_out(&k, text, e) : -1;
    if (!rc)
        rc = put_stats(&k, c, *status, NULL, fitted, e);
    else if (err_status(e) != CLI_USAGE && put_stats(&k, c, err_status(e), e->msg, fitted, &more))
        cli_warn(c, "%s", more.msg);

    free(k.item);
    free(k.x);
    free(k.y);
    return rc ? -1 : 0;
}
