/* llm-generate.c - complete the prompt of every record. See llm-generate(1). */
#include "cli.h"
#include "http.h"
#include "mem.h"
#include "num.h"
#include "session.h"
#include "utf8.h"

#include <stdlib.h>
#include <string.h>

enum { SCORE_ROWS = 64 }; // of logits in a step: few enough for a large vocabulary

/* What ids of records are made of when outputs are scored: one prompt may have many. */
static const char *const score_fields[] = {"messages", "conversations", "instruction", "input",
                                           "system",   "prompt",        "output",      NULL};

struct generate {
    struct cli_model model;
    struct cli_sample sample;
    struct cli_beam beam;
    bool score;
    struct stream_opt io;
    struct cli_notes notes;
    const char *grammar, *schema; // files
    const struct cli *cli;
    struct session ses;
    struct stream *s;
    struct cli_progress progress;
    struct engine_request request; // what all have in common
    struct work *first;            // of the records in flight
};

/* A record in flight; its samples are written together when the last is done. */
struct work {
    struct work *next, **at; // in generate's list
    struct record r;
    struct record *out; // (samples)
    int left;
    int bad;          // the first sample that came to nothing
    const char *rule; // why it did, or NULL: none has
    char *why;
};

static struct work *work_new(struct generate *g)
{
    struct work *w = mem_zero(1, sizeof(*w));

    w->left = g->sample.samples;
    w->out = mem_zero((size_t)w->left, sizeof(*w->out));
    w->next = g->first;
    w->at = &g->first;
    if (w->next)
        w->next->at = &w->next;
    g->first = w;
    return w;
}

static void work_free(const struct generate *g, struct work *w)
{
    *w->at = w->next;
    if (w->next)
        w->next->at = w->at;
    for (int i = 0; i < g->sample.samples; i++)
        record_reset(&w->out[i]);
    free(w->out);
    free(w->why);
    record_reset(&w->r);
    free(w);
}

static int reject(struct generate *g, struct work *w, const char *rule, struct err *e)
{
    struct err why = *e;
    int rc = stream_reject(g->s, &w->r, rule, NULL, NULL, why.msg, e);

    work_free(g, w);
    return rc;
}

/* Append the tokens of the record's output: returns how many, or -1. */
static int add_output(const struct generate *g, struct record *r, bool templated,
                      struct tok_ids *ids, struct err *e)
{
    size_t n, before = ids->n;
    const char *text = record_str(r, "output", &n);

    if (!text)
        return err_set(e, ERR_DATA,
                       record_has(r, "output") ? "field 'output' is not a string"
                                               : "no field 'output'");
    if (prompt_answer(&g->ses.pm, text, n, templated, ids, e))
        return -1;
    if (ids->n == before)
        return err_set(e, ERR_DATA, "field 'output' has no tokens");
    return (int)(ids->n - before);
}

/* Submit all samples of a record, or reject it. Takes w over. */
static int submit(struct generate *g, struct work *w, struct err *e)
{
    struct engine_request q = g->request;
    struct session_prompt p;
    const char *rule = "prompt";
    int rc = session_record(&g->ses, &w->r, &p, e);

    if (!rc && g->score) {
        rule = "output";
        q.n_given = add_output(g, &w->r, p.templated, &p.ids, e);
        rc = q.n_given < 0 ? -1 : 0;
    }
    if (rc) {
        session_prompt_free(&p);
        return reject(g, w, rule, e);
    }
    q.key = w->r.key;
    q.trim = session_trims(&g->ses, p.templated);
    q.user = w;
    for (int i = 0; i < (g->beam.beams > 1 ? 1 : g->sample.samples) && !rc; i++) {
        q.sample_index = i;
        rc = session_submit(&g->ses, &q, &p, e);
    }
    session_prompt_free(&p);
    return rc ? reject(g, w, "context", e) : 0;
}

static void put_token(const struct tok *tok, int32_t id, float logprob, struct buf *b)
{
    struct buf text = {0};

    tok_bytes(tok, id, true, &text);
    buf_char(b, '{');
    json_put_key(b, "id");
    json_put_int(b, id);
    json_put_key(b, "token");
    if (utf8_check(buf_cstr(&text), text.n) == text.n)
        json_put_str(b, buf_cstr(&text), text.n);
    else
        buf_str(b, "null"); // part of a character
    json_put_key(b, "logprob");
    json_put_float(b, logprob);
    buf_free(&text);
}

static void put_logprobs(const struct tok *tok, const struct engine_result *d, int n_top,
                         struct record *r)
{
    struct buf b = {0};

    buf_char(&b, '[');
    for (int i = 0; i < d->n_tokens; i++) {
        const struct sample_top *top = d->top + (size_t)i * (size_t)n_top;

        buf_str(&b, i ? "," : "");
        put_token(tok, d->token[i], d->logprob[i], &b);
        json_put_key(&b, "top");
        buf_char(&b, '[');
        for (int k = 0; k < n_top && top[k].id >= 0; k++) {
            buf_str(&b, k ? "," : "");
            put_token(tok, top[k].id, top[k].logprob, &b);
            buf_char(&b, '}');
        }
        buf_str(&b, "]}");
    }
    buf_char(&b, ']');
    record_set(r, "logprobs", b.p, b.n);
    buf_free(&b);
}

static void put_float(struct record *r, const char *field, float x)
{
    struct buf b = {0};

    json_put_float(&b, x);
    record_set(r, field, b.p, b.n);
    buf_free(&b);
}

/* What the model thinks of the given output. */
static void put_score(const struct engine_result *d, struct record *r)
{
    double sum = 0, mean;

    for (int i = 0; i < d->n_tokens; i++)
        sum += (double)d->logprob[i];
    mean = sum / d->n_tokens;
    put_float(r, "logprob_sum", (float)sum);
    put_float(r, "perplexity", (float)num_exp_d(mean > -88 ? -mean : 88)); // within a float
}

static void put_result(const struct generate *g, const struct session_result *s, struct record *r)
{
    const struct engine_result *d = &s->d;
    const char *why = d->finish == ENGINE_STOP ? "stop" : "length";
    struct buf b = {0};

    if (g->sample.samples > 1)
        record_set_int(r, "sample", d->sample_index);
    if (g->score) {
        put_score(d, r);
    } else {
        record_set_str(r, "output", d->text, d->n_text);
        record_set_str(r, "finish_reason", why, strlen(why));
    }
    if (g->beam.beams > 1) {
        put_float(r, "logprob_sum", (float)d->sum);
        put_float(r, "beam_score", (float)d->score);
    }
    buf_fmt(&b, "{\"prompt_tokens\":%d,\"completion_tokens\":%d}", d->n_prompt, d->n_tokens);
    if (d->n_prompt >= 0 && d->n_tokens >= 0) // not every server says
        record_set(r, "usage", b.p, b.n);
    else if (record_has(r, "usage"))
        record_set(r, "usage", "null", 4); // that of an output which is gone
    buf_free(&b);
    if (s->n_logprobs)
        record_set(r, "logprobs", s->logprobs, s->n_logprobs);
    else if (g->sample.logprobs)
        put_logprobs(g->ses.pm.tok, d, g->sample.logprobs, r);
}

/* One sample is done; with the record's last one, write or reject the record. */
static int finish(struct generate *g, const struct session_result *d, struct err *e)
{
    struct work *w = d->d.user;
    int rc;

    if (!d->rule) {
        record_copy(&w->out[d->d.sample_index], &w->r);
        put_result(g, d, &w->out[d->d.sample_index]);
    } else if (!w->rule || d->d.sample_index < w->bad) { // whichever is done first
        free(w->why);
        w->bad = d->d.sample_index;
        w->rule = d->rule;
        w->why = mem_dup(d->why, strlen(d->why));
    }
    if (--w->left)
        return 0;
    if (w->rule) {
        err_set(e, ERR_DATA, "%s", w->why);
        return reject(g, w, w->rule, e);
    }
    rc = stream_write_group(g->s, w->out, g->sample.samples, e);
    work_free(g, w);
    return rc;
}

/* Read what there is room for; wait for input only when nothing else is to be done. */
static int take_in(struct generate *g, bool *more, struct err *e)
{
    while (*more && session_room(&g->ses)) {
        struct work *w = work_new(g);
        int rc = stream_read(g->s, &w->r, !session_busy(&g->ses), e);
        if (rc != 1)
            work_free(g, w);
        if (rc < 0)
            return -1;
        *more = rc != 0;
        if (rc == 2)
            return 0;
        if (rc == 1 && submit(g, w, e))
            return -1;
    }
    return 0;
}

static int check_beams(const struct generate *g, struct err *e)
{
    const struct cli_sample *o = &g->sample;
    const struct cli_beam *b = &g->beam;

    if (b->diversity > 0 && b->groups == 1)
        return err_set(e, ERR_ARG,
                       "--diversity keeps groups apart, and there is one: see "
                       "--beam-groups");
    if (b->beams == 1)
        return b->groups > 1 ? err_set(e, ERR_ARG,
                                       "--beam-groups divides the hypotheses of a "
                                       "search: see --beams")
                             : 0;
    if (b->beams % b->groups)
        return err_set(e, ERR_ARG, "--beam-groups: %d beams do not make %d groups", b->beams,
                       b->groups);
    if (o->samples > b->beams)
        return err_set(e, ERR_ARG, "--samples: %d beams cannot find %d outputs", b->beams,
                       o->samples);
    if (o->top_k > 0 || o->top_p < 1 || o->min_p > 0 || o->typical_p < 1 || o->top_n_sigma > 0 ||
        o->mirostat_tau > 0)
        return err_set(e, ERR_ARG, "--beams: a search draws nothing that truncation could act on");
    if (o->logprobs)
        return err_set(e, ERR_ARG, "--beams does not go with --logprobs");
    return 0;
}

/* Options that do not go together. */
static int check(const struct generate *g, struct err *e)
{
    bool constrained = g->grammar || g->schema;

    if (g->model.path && http_is_url(g->model.path) && (g->score || g->beam.beams > 1))
        return err_set(e, ERR_ARG, "--%s: a server cannot do that; it is for a model of our own",
                       g->score ? "score" : "beams");
    if (constrained && g->sample.ignore_eos)
        return err_set(e, ERR_ARG, "--ignore-eos cannot go on where the grammar ends");
    return check_beams(g, e);
}

static int open_stream(struct generate *g, int n, char **file, struct err *e)
{
    struct buf more = {0};

    if (session_constrain(&g->ses, g->grammar, g->schema, &more, e) == 0)
        g->s = session_stream(&g->ses, g->cli, &g->io, g->score ? score_fields : prompt_fields,
                              g->sample.samples, more.n ? more.p : NULL, n, file, e);
    buf_free(&more);
    return g->s ? 0 : -1;
}

static void figures(void *with, struct buf *b)
{
    const struct generate *g = with;

    session_stats(&g->ses, b);
}

static int run(struct generate *g, int n, char **file, int *status, struct err *e)
{
    struct session_result d;
    int64_t prompt, generated;
    bool more = true;

    g->request = session_request(&g->sample, g->io.seed);
    g->request.beam = (struct beam_opt){.beams = g->beam.beams,
                                        .groups = g->beam.groups,
                                        .diversity = g->beam.diversity,
                                        .length_penalty = g->beam.length_penalty,
                                        .stop = (enum beam_stop)g->beam.early};
    g->request.n_best = g->sample.samples;
    g->model.beams = g->beam.beams;
    if (g->model.batch < g->beam.beams)
        g->model.batch = g->beam.beams;
    g->model.rows = g->score ? SCORE_ROWS : 0;
    if (check(g, e) || session_open(&g->ses, g->cli, &g->model, !g->io.unordered, e) ||
        session_sampling(&g->ses, &g->sample, &g->request, e) || open_stream(g, n, file, e))
        return -1;
    cli_progress_begin(&g->progress, g->cli);
    while (more || session_busy(&g->ses)) {
        if (take_in(g, &more, e) || session_step(&g->ses, e))
            return -1;
        while (session_poll(&g->ses, &d))
            if (finish(g, &d, e))
                return -1;
        session_tokens(&g->ses, &prompt, &generated);
        cli_progress(&g->progress, g->cli, stream_counts(g->s), generated);
    }
    cli_progress_end(&g->progress);
    *status = stream_close(g->s, e);
    g->s = NULL;
    return *status < 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
    struct generate g = {.model = cli_model_default,
                         .sample = cli_sample_default,
                         .beam = cli_beam_default,
                         .io = cli_io_default,
                         .notes = cli_notes_default};
    const struct opt opts[] = {
        CLI_MODEL(&g.model),
        CLI_SERVER(&g.model),
        CLI_SAMPLE(&g.sample),
        OPT_FILE(0, "grammar", &g.grammar, "file", OPT_READS,
                 "keep the output to this grammar (GBNF)"),
        OPT_FILE(0, "json-schema", &g.schema, "file", OPT_READS,
                 "keep the output to JSON of this schema"),
        OPT_FLAG(0, "score", &g.score,
                 "generate nothing: add the log-probability of the output that a record has"),
        CLI_BEAM(&g.beam),
        OPT_BARS("score",
                 CLI_SAMPLE_DRAWS "|grammar|json-schema|beams|beam-groups|diversity|length-penalty|"
                                  "early-stopping"),
        CLI_IO(&g.io),
        CLI_NOTES(&g.notes),
        OPT_END(),
    };
    const struct cli cli = {"llm-generate", "[file ...]", "complete the prompt of every record",
                            opts, &g.notes};
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
        work_free(&g, g.first);
    stream_abandon(g.s, &e);
    session_close(&g.ses);
    return cli_end(&cli, status);
}
