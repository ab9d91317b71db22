/* llm-evol.c - instructions -> harder or wider instructions. See llm-evol(1).
 *
 * Every record is a chain: in each round an operator, drawn by (seed, id, round), rewrites the
 * newest version; what the elimination rules refuse goes to the rejects and the version before
 * it stays for the next round. A record and what it became are written together.
 * Source: Xu et al. 2024 (WizardLM, Evol-Instruct). */
#include "cli.h"
#include "mem.h"
#include "past.h"
#include "recipe.h"
#include "session.h"
#include "tasks.h"
#include "ways.h"
#include "words.h"

#include <stdlib.h>
#include <string.h>

enum { EQUAL_TOKENS = 8, AHEAD = 4 };

static const char stage[] = "llm-evol", source[] = "evol";
static const char *const fields[] = {"instruction", "input", NULL};

/* A version that was refused. */
struct refused {
    struct record r;
    const char *rule;
    struct buf value, limit;
};

/* A record in hand. */
struct job {
    struct record *rec; // (n_rec) as read, then what it became
    struct refused *refused;
    int n_rec, n_refused;
    int round, op;
    struct tasks_task now, next; // the newest version, and what is made of it
    struct recipe_call call;     // to be submitted, or submitted
    bool waits, asked, equal, done, torn;
    char *reject; // why the record cannot be used
    const char *reject_rule;
    struct job *link;
};

struct evol {
    struct cli_model model;
    struct cli_sample given;
    struct stream_opt io;
    struct cli_notes notes;
    const char *prompts, *operators;
    int rounds;
    const struct cli *cli;
    struct session ses;
    struct recipe recipe, equal; // equal: the same file, sampling for a short sure answer
    struct ways ways;
    struct stream *s;
    struct cli_progress progress;
    struct job *first, **last; // in order of reading
    int n_jobs;
    struct tally past;   // ids of the last group of an interrupted run, and of its rejects
    struct record *torn; // its head, or NULL
};

/* ---- jobs ---- */

static void job_free(struct job *j)
{
    for (int i = 0; i < j->n_rec; i++)
        record_reset(&j->rec[i]);
    for (int i = 0; i < j->n_refused; i++) {
        record_reset(&j->refused[i].r);
        buf_free(&j->refused[i].value);
        buf_free(&j->refused[i].limit);
    }
    free(j->rec);
    free(j->refused);
    tasks_free(&j->now);
    tasks_free(&j->next);
    recipe_call_free(&j->call);
    free(j->reject);
    free(j);
}

/* A new job at the end of the list; takes the record over. */
static struct job *job_new(struct evol *g, struct record *r)
{
    struct job *j = mem_zero(1, sizeof(*j));

    j->rec = mem_zero((size_t)g->rounds + 1, sizeof(*j->rec));
    j->refused = mem_zero((size_t)g->rounds, sizeof(*j->refused));
    j->rec[j->n_rec++] = *r;
    *r = (struct record){0};
    *g->last = j;
    g->last = &j->link;
    g->n_jobs++;
    return j;
}

static void job_reject(struct job *j, const char *rule, const char *why)
{
    j->reject = mem_dup(why, strlen(why));
    j->reject_rule = rule;
    j->done = true;
}

/* The id of a version: from its parent, the seed and the round. */
static void derive(struct record *r, const char *parent, uint64_t seed, int round)
{
    char name[64];

    snprintf(name, sizeof(name), "%s:%llu", stage, (unsigned long long)seed);
    record_derive_id(r, parent, name, round);
}

/* The record of the version in j->next. */
static void fill_record(const struct evol *g, const struct job *j, struct record *r)
{
    const char *parent = j->rec[j->n_rec - 1].id;
    struct buf b = {0};

    record_new(r);
    derive(r, parent, g->io.seed, j->round);
    record_set_str(r, "instruction", buf_cstr(&j->next.inst), j->next.inst.n);
    if (j->next.input.n)
        record_set_str(r, "input", j->next.input.p, j->next.input.n);
    buf_fmt(&b, "{\"source\":\"%s\",\"parent\":", source);
    json_put_str(&b, parent, strlen(parent));
    json_put_key(&b, "op");
    json_put_str(&b, g->ways.way[j->op].name, strlen(g->ways.way[j->op].name));
    buf_fmt(&b, ",\"round\":%d,\"model\":", j->round);
    json_put_str(&b, session_model(&g->ses), strlen(session_model(&g->ses)));
    buf_fmt(&b, ",\"seed\":%llu}", (unsigned long long)g->io.seed);
    record_set(r, "meta", b.p, b.n);
    buf_free(&b);
}

/* Build the request of the job's next step: an evolution, or the question whether it is one.
 * False when it does not fit into the context. */
static int build(struct evol *g, struct job *j, bool *fits, struct err *e)
{
    const struct way *op = &g->ways.way[j->op];
    const char *id = j->rec[0].id;
    int place[2] = {j->round, j->equal};
    struct hash128 key = hash_add(hash_bytes(stage, sizeof(stage)), id, strlen(id));
    struct buf now = {0}, next = {0};
    int rc;

    tasks_text(&j->now, &now);
    tasks_text(&j->next, &next);
    key = hash_add(key, place, sizeof(place));
    recipe_call_free(&j->call);
    if (j->equal)
        rc = recipe_call(&j->call, &g->equal, &g->ways.equal, &g->ses,
                         (struct prompt_var[]){{"first", now.p, now.n}, {"second", next.p, next.n}},
                         2, g->io.seed, key, e);
    else
        rc = recipe_call(&j->call, &g->recipe, &op->prompt, &g->ses,
                         (struct prompt_var[]){{"task", now.p, now.n},
                                               {"operator", op->name, strlen(op->name)},
                                               {"method", op->method, strlen(op->method)}},
                         3, g->io.seed, key, e);
    j->call.q.user = j;
    buf_free(&now);
    buf_free(&next);
    *fits = !rc;
    j->waits = !rc;
    return rc && !j->call.q.n_token ? -1 : 0; // no prompt at all: no record will do better
}

/* The operator of a round is keyed by record and round. */
static int draw(const struct evol *g, const struct job *j)
{
    const char *id = j->rec[0].id;
    struct hash128 h = hash_add(hash_bytes(stage, sizeof(stage)), id, strlen(id));
    struct rng rng = rng_stream(g->io.seed, h.hi, h.lo);

    return ways_draw(&g->ways, &rng, (uint64_t)j->round);
}

static int begin_round(struct evol *g, struct job *j, struct err *e)
{
    bool fits;

    j->equal = false;
    if (j->round == g->rounds) {
        j->done = true;
        return 0;
    }
    j->round++;
    j->op = draw(g, j);
    if (build(g, j, &fits, e))
        return -1;
    if (fits) {
        g->ways.way[j->op].tried++;
    } else if (j->round == 1) {
        job_reject(j, "context", e->msg);
    } else {
        j->done = true; // what it became is good, only too long to go on with
    }
    return 0;
}

/* ---- elimination ---- */

/* The version in j->next is refused: the one before it stays. */
static int refuse(struct evol *g, struct job *j, const char *rule, struct buf *value,
                  struct buf *limit, struct err *e)
{
    struct refused *x = &j->refused[j->n_refused++];

    *x = (struct refused){.rule = rule};
    if (value) {
        x->value = *value;
        x->limit = *limit;
    }
    fill_record(g, j, &x->r);
    return begin_round(g, j, e);
}

static int accept(struct evol *g, struct job *j, struct err *e)
{
    struct tasks_task now = j->now;
    struct record r;

    fill_record(g, j, &r);
    j->rec[j->n_rec++] = r;
    j->now = j->next;
    j->next = now;
    g->ways.way[j->op].kept++;
    return begin_round(g, j, e);
}

static int evolved(struct evol *g, struct job *j, const struct engine_result *d, struct err *e)
{
    struct buf value = {0}, limit = {0};
    const char *rule;
    bool fits;

    tasks_take(&j->next, d->text, d->n_text);
    rule = ways_broken(&g->ways, &j->now, &j->next, d->finish == ENGINE_LENGTH, &value, &limit);
    if (rule)
        return refuse(g, j, rule, &value, &limit, e);
    if (!g->ways.asks_equal)
        return accept(g, j, e);
    j->equal = true;
    if (build(g, j, &fits, e))
        return -1;
    return fits ? 0 : refuse(g, j, "context", NULL, NULL, e);
}

/* The model's word on whether anything was gained: "Equal" or "Not Equal". */
static int compared(struct evol *g, struct job *j, const struct engine_result *d, struct err *e)
{
    struct buf word = {0};
    size_t at = 0;
    bool same = words_next(d->text, d->n_text, &at, &word) && !strcmp(word.p, "equal");

    buf_free(&word);
    return same ? refuse(g, j, "equal", NULL, NULL, e) : accept(g, j, e);
}

static int take_result(struct evol *g, const struct session_result *d, struct err *e)
{
    struct job *j = d->d.user;

    j->asked = false;
    if (d->rule) {
        job_reject(j, d->rule, d->why);
        return 0;
    }
    return j->equal ? compared(g, j, &d->d, e) : evolved(g, j, &d->d, e);
}

/* ---- in and out ---- */

static int begin(struct evol *g, struct record *r, bool torn, struct err *e)
{
    struct job *j = job_new(g, r);

    j->torn = torn;
    tasks_lift(&j->rec[0]);
    if (tasks_load(&j->now, &j->rec[0]))
        return begin_round(g, j, e);
    job_reject(j, "instruction", "no text in field 'instruction'");
    return 0;
}

static int take_in(struct evol *g, bool *more, struct err *e)
{
    while (*more && g->n_jobs < AHEAD * g->model.batch) {
        struct record r;
        int rc = stream_read(g->s, &r, !g->first, e);

        if (rc < 0)
            return -1;
        *more = rc != 0;
        if (rc != 1)
            return 0;
        if (begin(g, &r, false, e))
            return -1;
    }
    return 0;
}

static int submit(struct evol *g, struct err *e)
{
    for (struct job *j = g->first; j && session_room(&g->ses); j = j->link) {
        if (!j->waits || j->done)
            continue;
        if (session_submit(&g->ses, &j->call.q, &j->call.prompt, e))
            return -1;
        j->waits = false;
        j->asked = true;
    }
    return 0;
}

/* Refused versions to the rejects, then the group with one write. What an interrupted run
 * wrote already is left out. */
static int job_write(struct evol *g, struct job *j, struct err *e)
{
    struct record *out = mem_zero((size_t)j->n_rec, sizeof(*out));
    int n = 0, rc = 0;

    for (int i = 0; i < j->n_refused && !rc; i++) {
        struct refused *x = &j->refused[i];

        if (!past_has(&g->past, &x->r))
            rc = stream_drop(g->s, &x->r, x->rule, x->value.n ? x->value.p : NULL,
                             x->limit.n ? x->limit.p : NULL, e);
    }
    if (!rc && j->reject && !j->torn) {
        rc = stream_reject(g->s, &j->rec[0], j->reject_rule, NULL, NULL, j->reject, e);
    } else if (!rc) {
        for (int i = 0; i < j->n_rec; i++)
            if (!j->torn || !past_has(&g->past, &j->rec[i]))
                out[n++] = j->rec[i]; // borrowed
        rc = n ? stream_write_group(g->s, out, n, e) : 0;
    }
    free(out);
    return rc;
}

/* Write what is done: from the front, or with --unordered wherever it is. */
static int put_out(struct evol *g, struct err *e)
{
    struct job **p = &g->first;

    while (*p && ((*p)->done || g->io.unordered)) {
        struct job *j = *p;

        if (!j->done) {
            p = &j->link;
            continue;
        }
        if (job_write(g, j, e))
            return -1;
        *p = j->link;
        if (!*p)
            g->last = p;
        g->n_jobs--;
        job_free(j);
    }
    return 0;
}

/* ---- taking up an interrupted run ---- */

/* Whether this run, not an earlier one whose output is our input, made the record. */
static bool is_mine(const struct evol *g, struct record *r)
{
    size_t n, n_parent;
    const char *from = record_meta_str(r, "source", &n);
    const char *parent = record_meta_str(r, "parent", &n_parent);
    struct record own;
    double round;
    bool same;

    if (!from || strcmp(from, source) || !parent || record_meta_num(r, "round", &round) ||
        !(round >= 1 && round <= INT_MAX))
        return false;
    record_new(&own);
    derive(&own, parent, g->io.seed, (int)round);
    same = !strcmp(own.id, r->id);
    record_reset(&own);
    return same;
}

/* Output lines: the last group, which may not be whole. */
static int see_output(void *with, struct record *r, struct err *e)
{
    struct evol *g = with;

    (void)e;
    if (!is_mine(g, r)) {
        tally_free(&g->past);
        g->past = (struct tally){0};
        record_reset(g->torn);
        record_copy(g->torn, r);
    }
    past_note(&g->past, r);
    return 0;
}

/* Rejected versions: their group may not have been written. */
static int see_reject(void *with, struct record *r, struct err *e)
{
    struct evol *g = with;

    (void)e;
    if (is_mine(g, r))
        past_note(&g->past, r);
    return 0;
}

/* Make the last group again and write what of it is missing. */
static int take_up(struct evol *g, struct err *e)
{
    const char *out = stream_output_path(g->s);
    struct record torn = {0};
    int rc;

    if (!g->io.resume)
        return 0;
    if (!out)
        return err_set(e, ERR_ARG, "--resume: the output cannot be read again");
    g->torn = &torn;
    rc = past_read(out, see_output, g, e);
    if (!rc && g->io.rejects)
        rc = past_read(g->io.rejects, see_reject, g, e);
    if (!rc && torn.id)
        rc = begin(g, &torn, true, e);
    g->torn = NULL;
    record_reset(&torn);
    return rc;
}

/* ---- the whole ---- */

static int open_all(struct evol *g, int n, char **file, struct err *e)
{
    struct cli_sample own = cli_sample_default;
    struct buf more = {0};

    own.max_tokens = 512;
    g->last = &g->first;
    if (recipe_open(&g->recipe, g->prompts, "evol", ways_keys, &g->given, &own, e) ||
        ways_open(&g->ways, &g->recipe, g->operators, e) ||
        session_open(&g->ses, g->cli, &g->model, false, e) ||
        session_takes(&g->ses, &g->recipe.sample, e))
        return -1;
    g->equal = g->recipe;
    g->equal.sample = cli_sample_default;
    g->equal.sample.temp = 0;
    g->equal.sample.max_tokens = EQUAL_TOKENS;
    recipe_print(&g->recipe, &more);
    g->s = session_stream(&g->ses, g->cli, &g->io, fields, 1, more.p, n, file, e);
    buf_free(&more);
    return g->s ? 0 : -1;
}

static void put_stats(const struct evol *g, struct buf *b)
{
    session_stats(&g->ses, b);
    buf_str(b, ",\"operators\":{");
    for (int i = 0; i < g->ways.n; i++)
        if (g->ways.way[i].tried) {
            json_put_key(b, g->ways.way[i].name);
            buf_fmt(b, "{\"tried\":%lld,\"kept\":%lld}", (long long)g->ways.way[i].tried,
                    (long long)g->ways.way[i].kept);
        }
    buf_char(b, '}');
}

static int run(struct evol *g, int n, char **file, int *status, struct err *e)
{
    struct session_result d;
    struct buf extra = {0};
    int64_t prompt, generated;
    bool more = true;

    if (open_all(g, n, file, e) || take_up(g, e))
        return -1;
    cli_progress_begin(&g->progress, g->cli);
    while (more || g->first) {
        if (take_in(g, &more, e) || submit(g, e) ||
            (session_busy(&g->ses) && session_step(&g->ses, e)))
            return -1;
        while (session_poll(&g->ses, &d))
            if (take_result(g, &d, e))
                return -1;
        if (put_out(g, e))
            return -1;
        session_tokens(&g->ses, &prompt, &generated);
        cli_progress(&g->progress, g->cli, stream_counts(g->s), generated);
    }
    cli_progress_end(&g->progress);
    put_stats(g, &extra);
    *status = stream_close(g->s, extra.p, e);
    g->s = NULL;
    buf_free(&extra);
    return *status < 0 ? -1 : 0;
}

static void close_all(struct evol *g)
{
    stream_abandon(g->s);
    while (g->first) {
        struct job *j = g->first;

        g->first = j->link;
        job_free(j);
    }
    session_close(&g->ses);
    ways_close(&g->ways);
    recipe_close(&g->recipe);
    tally_free(&g->past);
}

int main(int argc, char **argv)
{
    struct evol g = {.model = cli_model_default,
                     .given = cli_sample_unset,
                     .io = cli_io_default,
                     .notes = cli_notes_default,
                     .prompts = "general",
                     .rounds = 1,
                     .ways = {.min_words = 3, .max_words = 500}};
    const struct opt opts[] = {
        OPT_HEAD("Evolution"),
        OPT_INT(0, "rounds", &g.rounds, "n", 1, 1000, "times each record is rewritten"),
        OPT_STR(0, "operators", &g.operators, "list",
                "names of the prompt file, each with :weight if wanted; all when not given"),
        OPT_INT(0, "min-words", &g.ways.min_words, "n", 1, 1 << 20,
                "words of an instruction at least"),
        OPT_INT(0, "max-words", &g.ways.max_words, "n", 1, 1 << 20,
                "words of an instruction at most"),
        OPT_STR(0, "prompts", &g.prompts, "set|file", "prompt set (general, tiny) or YAML file"),
        CLI_MODEL(&g.model),
        CLI_SERVER(&g.model),
        CLI_DRAW(&g.given),
        CLI_IO(&g.io),
        CLI_NOTES(&g.notes),
        OPT_END(),
    };
    const struct cli cli = {stage, "[file ...]", "rewrite instructions into harder or wider ones",
                            opts, &g.notes};
    int n = cli_begin(&cli, argc, argv), status = CLI_OK;
    struct err e;

    g.io.no_attempt = true;
    g.cli = &cli;
    if (run(&g, n, argv, &status, &e)) {
        cli_progress_end(&g.progress);
        status = cli_fail(&cli, &e);
    }
    close_all(&g);
    return cli_end(&cli, status);
}
