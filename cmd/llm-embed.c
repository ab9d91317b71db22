/* llm-embed.c - a vector for every record. See llm-embed(1). */
#include "cli.h"
#include "cluster.h"
#include "embed.h"
#include "http.h"
#include "mem.h"
#include "said.h"
#include "session.h"

#include <stdlib.h>
#include <string.h>

static const char *const pools[] = {"auto", "last", "mean", "cls", NULL}; // enum hidden_pool

struct embed {
    struct cli_model model;
    struct stream_opt io;
    struct cli_notes notes;
    const char *field, *prefix, *npy;
    int pool, type, dim;
    bool truncate, normalize, pooled; // pooled: --pooling was given
    const struct cli *cli;
    struct session ses;
    struct stream *s;
    struct embed_out out;
    struct cli_progress progress;
    struct buf text;
    struct work *first; // of the records in flight
    int64_t cut;        // texts that were truncated
    int width;          // of the last vector
};

/* A record in flight. */
struct work {
    struct work *next, **at; // in embed's list
    struct record r;
};

static struct work *work_new(struct embed *g)
{
    struct work *w = mem_zero(1, sizeof(*w));

    w->next = g->first;
    w->at = &g->first;
    if (w->next)
        w->next->at = &w->next;
    g->first = w;
    return w;
}

static void work_free(struct work *w)
{
    *w->at = w->next;
    if (w->next)
        w->next->at = w->at;
    record_reset(&w->r);
    free(w);
}

/* ---- texts ---- */

static const char *const text_fields[] = {"text",     "instruction",   "input", "prompt",
                                          "messages", "conversations", NULL};

/* Append a field: 1 it is there and not empty, 0, -1 it is no string. */
static int add(struct embed *g, struct record *r, const char *field, struct err *e)
{
    const char *s;
    size_t n;

    if (record_text(r, field, &s, &n, e) < 0)
        return -1;
    if (!n)
        return 0;
    if (g->text.n)
        buf_char(&g->text, '\n');
    buf_add(&g->text, s, n);
    return 1;
}

/* The field, or text, or an instruction and its input, or prompt, or what is said in messages. */
static int add_first(struct embed *g, struct record *r, struct err *e)
{
    int rc = add(g, r, g->field ? g->field : "text", e);

    if (rc || g->field)
        return rc;
    rc = add(g, r, "instruction", e);
    if (rc)
        return rc < 0 ? rc : add(g, r, "input", e);
    rc = add(g, r, "prompt", e);
    if (!rc && said_text(r, &g->text))
        g->text.n--; // the last newline
    return rc;
}

/* The text of a record into g->text. */
static int text_of(struct embed *g, struct record *r, struct err *e)
{
    size_t n = g->prefix ? strlen(g->prefix) : 0;
    struct buf whole = {0};

    buf_reset(&g->text);
    if (add_first(g, r, e) < 0)
        return -1;
    if (!g->text.n && record_has(r, g->field ? g->field : "text"))
        return err_set(e, ERR_DATA, "field '%s' is empty", g->field ? g->field : "text");
    if (!g->text.n)
        return err_set(e, ERR_DATA, "no field '%s'", g->field ? g->field : "text");
    if (!n)
        return 0;
    buf_add(&whole, g->prefix, n);
    buf_add(&whole, g->text.p, g->text.n);
    buf_free(&g->text);
    g->text = whole;
    return 0;
}

/* ---- results ---- */

/* Write the record with its vector, which is changed. Its row comes first: one that no record
 * stands for is cut when the run is resumed. */
static int put(struct embed *g, struct work *w, float *v, int dim, struct err *e)
{
    int n = embed_shape(v, dim, g->dim, g->normalize), rc = 0;

    if (g->dim > dim)
        rc = err_set(e, ERR_ARG, "--dim %d: the vectors have %d values", g->dim, dim);
    else if (g->npy)
        rc = embed_add(&g->out, v, n, e);
    else
        embed_put(&w->r, v, n, (enum embed_type)g->type);
    g->width = n;
    if (!rc)
        rc = stream_write(g->s, &w->r, e);
    work_free(w);
    return rc;
}

static int reject(struct embed *g, struct work *w, const char *rule, const char *value,
                  const char *limit, struct err *e)
{
    struct err why = *e;
    int rc = stream_reject(g->s, &w->r, rule, value, limit, why.msg, e);

    work_free(w);
    return rc;
}

static int finish(struct embed *g, const struct session_result *d, struct err *e)
{
    struct work *w = d->d.user;
    float *v;
    int rc;

    if (d->rule) {
        err_set(e, ERR_DATA, "%s", d->why);
        return reject(g, w, d->rule, NULL, NULL, e);
    }
    v = mem_new((size_t)d->d.n_hidden * sizeof(*v));
    memcpy(v, d->d.hidden, (size_t)d->d.n_hidden * sizeof(*v));
    rc = put(g, w, v, d->d.n_hidden, e);
    free(v);
    return rc;
}

/* ---- texts into vectors ---- */

/* Submit a record's text, or reject it. Takes w over. */
static int submit(struct embed *g, struct work *w, struct err *e)
{
    struct engine_request q = {.pool = (enum hidden_pool)g->pool, .key = w->r.key, .user = w};
    struct session_prompt p = {0};
    char value[24], limit[24];
    size_t n = 0;
    int rc;

    rc = session_text(&g->ses, buf_cstr(&g->text), g->text.n, g->truncate, &p, &n, e);
    if (rc) {
        session_prompt_free(&p);
        return reject(g, w, "text", NULL, NULL, e);
    }
    g->cut += p.ids.n < n;
    rc = session_submit(&g->ses, &q, &p, e);
    session_prompt_free(&p);
    if (!rc)
        return 0;
    if (g->ses.remote || !n)
        return reject(g, w, "context", NULL, NULL, e);
    snprintf(value, sizeof(value), "%zu", n);
    snprintf(limit, sizeof(limit), "%d", engine_ctx(g->ses.en));
    return reject(g, w, "context", value, limit, e);
}

/* Read what there is room for; wait for input only when nothing else is to be done. */
static int take_in(struct embed *g, bool *more, struct err *e)
{
    while (*more && session_room(&g->ses)) {
        struct work *w = work_new(g);
        int rc = stream_read(g->s, &w->r, !session_busy(&g->ses), e);

        if (rc != 1)
            work_free(w);
        if (rc < 0)
            return -1;
        *more = rc != 0;
        if (rc == 2)
            return 0;
        if (rc == 1 &&
            (text_of(g, &w->r, e) ? reject(g, w, "field", NULL, NULL, e) : submit(g, w, e)))
            return -1;
    }
    return 0;
}

static int by_model(struct embed *g, struct err *e)
{
    struct session_result d;
    int64_t prompt, generated;
    bool more = true;

    while (more || session_busy(&g->ses)) {
        if (take_in(g, &more, e) || session_step(&g->ses, e))
            return -1;
        while (session_poll(&g->ses, &d))
            if (finish(g, &d, e))
                return -1;
        session_tokens(&g->ses, &prompt, &generated);
        cli_progress(&g->progress, g->cli, stream_counts(g->s), prompt);
    }
    return 0;
}

/* Without a model: hashed words and runs of characters. */
static int by_hash(struct embed *g, struct err *e)
{
    float v[CLUSTER_DIM];
    int rc;

    for (;;) {
        struct work *w = work_new(g);

        rc = stream_read(g->s, &w->r, true, e);
        if (rc != 1) {
            work_free(w);
            return rc;
        }
        if (text_of(g, &w->r, e)) {
            rc = reject(g, w, "field", NULL, NULL, e);
        } else {
            cluster_vector(buf_cstr(&g->text), g->text.n, NULL, v);
            rc = put(g, w, v, CLUSTER_DIM, e);
        }
        if (rc)
            return -1;
        cli_progress(&g->progress, g->cli, stream_counts(g->s), 0);
    }
}

/* ---- the run ---- */

/* Options that do not go together. */
static int check(const struct embed *g, struct err *e)
{
    bool server = g->model.path && http_is_url(g->model.path);

    if (g->npy && g->io.attempt)
        return err_set(e, ERR_ARG, "--npy: rows cannot be shared out by --attempt");
    if (g->npy && !strcmp(g->npy, "-"))
        return err_set(e, ERR_ARG, "--npy needs a file: standard output is for records");
    if (server && (g->pooled || g->truncate))
        return err_set(e, ERR_ARG, "--%s: the server decides that",
                       g->pooled ? "pooling" : "truncate");
    if (!g->model.path && g->dim > CLUSTER_DIM)
        return err_set(e, ERR_ARG, "--dim %d: the vectors have %d values", g->dim, CLUSTER_DIM);
    return 0;
}

/* How the model makes vectors: as asked for, as its files say, as is usual. */
static int choose_pool(struct embed *g, struct err *e)
{
    const struct model *m;

    if (g->ses.remote) {
        g->pool = HIDDEN_MEAN; // any: it says that a vector is wanted
        return 0;
    }
    m = engine_model(g->ses.en);
    if (!g->pool)
        g->pool = m->pool != HIDDEN_NONE ? (int)m->pool : m->whole ? HIDDEN_MEAN : HIDDEN_LAST;
    if (g->dim > m->dim)
        return err_set(e, ERR_ARG, "--dim %d: the vectors have %d values", g->dim, m->dim);
    cli_note(g->cli, "pooling: %s", hidden_pools[g->pool]);
    return 0;
}

static int open_stream(struct embed *g, int n, char **file, struct err *e)
{
    const char *const *fields = g->field ? NULL : text_fields;
    const char *more = g->npy ? "\"npy\":true" : NULL;
    struct stream_conf conf = {
        .stage = g->cli->name, .fields = fields, .group = 1, .quiet = g->notes.quiet};
    struct buf b = {0};

    g->io.field = g->field;
    if (g->model.path) {
        g->s = session_stream(&g->ses, g->cli, &g->io, fields, 1, more, n, file, e);
        return g->s ? 0 : -1;
    }
    cli_fingerprint(g->cli, NULL, more, &b);
    conf.fingerprint = b.p;
    g->s = stream_open(&g->io, &conf, n, file, e);
    buf_free(&b);
    return g->s ? 0 : -1;
}

static void figures(void *with, struct buf *b)
{
    const struct embed *g = with;

    buf_fmt(b, "\"dim\":%d,\"truncated\":%lld", g->width, (long long)g->cut);
    if (g->model.path) {
        buf_char(b, ',');
        session_stats(&g->ses, b);
    }
}

static int run(struct embed *g, int n, char **file, int *status, struct err *e)
{
    int rc;

    g->model.hidden = true;
    if (check(g, e))
        return -1;
    if (g->model.path && session_open(&g->ses, g->cli, &g->model, !g->io.unordered, e))
        return -1;
    // the stream's fingerprint has the options as they were given
    if (open_stream(g, n, file, e) || (g->model.path && choose_pool(g, e)))
        return -1;
    if (g->npy && embed_create(&g->out, g->npy, (enum embed_type)g->type, g->io.resume,
                               stream_lines(g->s), e))
        return -1;
    cli_progress_begin(&g->progress, g->cli);
    rc = g->model.path ? by_model(g, e) : by_hash(g, e);
    cli_progress_end(&g->progress);
    if (rc || (g->npy && embed_finish(&g->out, e)))
        return -1;
    *status = stream_close(g->s, e);
    g->s = NULL;
    return *status < 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
    struct embed g = {.model = cli_model_default, .io = cli_io_default, .notes = cli_notes_default};
    // clang-format off
    const struct opt opts[] = {
        OPT_HEAD("Vectors"),
        OPT_STR(0, "field", &g.field, "name", "field of the text, instead of text, instruction with input, prompt, or messages"),
        OPT_STR(0, "prefix", &g.prefix, "text", "put this before every text, such as \"query: \""),
        OPT_ENUM(0, "pooling", &g.pool, pools, "how", "vector of a text: of its last token, the mean of all, of the first (cls), or auto, as the model says"),
        OPT_FLAG(0, "normalize", &g.normalize, "make every vector one of length 1"),
        OPT_INT(0, "dim", &g.dim, "n", 0, NPY_DIM, "keep the first n values, 0 for all (before --normalize)"),
        OPT_ENUM(0, "type", &g.type, embed_types, "type", "values: f32, or int8 with a factor for each vector"),
        OPT_FLAG(0, "truncate", &g.truncate, "cut texts that are longer than the context, instead of rejecting them"),
        OPT_FILE(0, "npy", &g.npy, "file", OPT_WRITES, "write the vectors here, a row for each record written, and not into the records"),
        OPT_HEAD("Model"),
        OPT_FILE('m', "model", &g.model.path, "path", OPT_READS, "GGUF file or Hugging Face directory; without one, hashed n-grams"),
        CLI_ENGINE(&g.model), CLI_SERVER(&g.model),
        CLI_MODEL_NEEDS("model"), OPT_NEED("threads", "model"), OPT_NEED("isa", "model"),
        OPT_NEED("pooling", "model"), OPT_NEED("truncate", "model"), OPT_GIVEN("pooling", &g.pooled),
        CLI_IO(&g.io), CLI_NOTES(&g.notes), OPT_END(),
    };
    // clang-format on
    const struct cli cli = {"llm-embed", "[file ...]", "a vector for every record", opts, &g.notes};
    int n = cli_begin(&cli, argc, argv), status = CLI_OK;
    struct err e;

    g.cli = &cli;
    g.io.figures = figures;
    g.io.with = &g;
    if (run(&g, n, argv, &status, &e)) {
        cli_progress_end(&g.progress);
        status = cli_fail(&cli, &e);
    }
    while (g.first)
        work_free(g.first);
    stream_abandon(g.s, &e);
    embed_abandon(&g.out);
    session_close(&g.ses);
    buf_free(&g.text);
    return cli_end(&cli, status);
}
