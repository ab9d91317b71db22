/* llm-evol.c - instructions, or responses, -> harder, wider or better ones. See llm-evol(1).
 *
 * Records become chains (chain.h), many at a time; each is written when all before it are. */
#include "chain.h"
#include "cli.h"
#include "past.h"
#include "recipe.h"
#include "session.h"
#include "ways.h"

enum { AHEAD = 4 };

static const char *const whats[] = {"instruction", "response", NULL};
static const char *const fields[] = {"instruction", "input", NULL};
static const char *const fields_response[] = {"instruction", "input", "output", NULL};

struct evol {
    struct cli_model model;
    struct cli_sample given;
    struct stream_opt io;
    struct cli_notes notes;
    const char *prompts, *operators;
    int what;
    const struct cli *cli;
    struct session ses;
    struct recipe recipe;
    struct ways ways;
    struct chains chains;
    struct stream *s;
    struct cli_progress progress;
    struct chain *first, **last; // in order of reading
    int n_chains;
    struct tally past;   // ids of the last group of an interrupted run, and of its rejects
    struct record *torn; // its head, or NULL
};

/* ---- in and out ---- */

/* A new chain at the end of the list. */
static int begin(struct evol *g, struct record *r, bool torn, struct err *e)
{
    struct chain *c = chain_open(&g->chains, r, e);

    if (!c)
        return -1;
    c->torn = torn;
    *g->last = c;
    g->last = &c->link;
    g->n_chains++;
    return 0;
}

static int take_in(struct evol *g, bool *more, struct err *e)
{
    while (*more && g->n_chains < AHEAD * g->model.batch) {
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
    for (struct chain *c = g->first; c && session_room(&g->ses); c = c->link) {
        if (!c->waits || c->done)
            continue;
        if (session_submit(&g->ses, &c->call.q, &c->call.prompt, e))
            return -1;
        c->waits = false;
    }
    return 0;
}

/* Write what is done: from the front, or with --unordered wherever it is. */
static int put_out(struct evol *g, struct err *e)
{
    struct chain **p = &g->first;

    while (*p && ((*p)->done || g->io.unordered)) {
        struct chain *c = *p;

        if (!c->done) {
            p = &c->link;
            continue;
        }
        if (chain_write(c, g->s, &g->past, e))
            return -1;
        *p = c->link;
        if (!*p)
            g->last = p;
        g->n_chains--;
        chain_close(c);
    }
    return 0;
}

/* ---- taking up an interrupted run ---- */

/* Is it a version of the group in hand? Else another pass with this seed made it, for the input. */
static bool of_group(const struct evol *g, struct record *r)
{
    size_t n;
    const char *parent = record_meta_str(r, "parent", &n);

    return parent && past_has_id(&g->past, parent, n) && chain_made(&g->chains, r);
}

/* Output lines: the last group, which may not be whole. */
static int see_output(void *with, struct record *r, struct err *e)
{
    struct evol *g = with;

    (void)e;
    if (!of_group(g, r)) {
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
    if (chain_made(&g->chains, r))
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
    rc = past_read(g->s, out, see_output, g, e);
    if (!rc && g->io.rejects)
        rc = past_read(g->s, g->io.rejects, see_reject, g, e);
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
    if (g->chains.answers && g->what)
        return err_set(e, ERR_ARG, "--answer: a response that is rewritten is there already");
    if (recipe_open(&g->recipe, g->prompts, "evol", ways_keys, &g->given, &own, e) ||
        ways_open(&g->ways, &g->recipe, g->operators, g->what, &g->given, e))
        return -1;
    if (g->chains.answers && !g->ways.has_answer)
        return err_set(e, ERR_ARG, "--answer: %s has no key 'answer'", g->recipe.path);
    if (session_open(&g->ses, g->cli, &g->model, false, e) ||
        session_takes(&g->ses, &g->recipe.sample, e))
        return -1;
    g->chains.ses = &g->ses;
    g->chains.recipe = &g->recipe;
    g->chains.ways = &g->ways;
    g->chains.seed = g->io.seed;
    recipe_print(&g->recipe, &more);
    g->s = session_stream(&g->ses, g->cli, &g->io, g->what ? fields_response : fields, 1, more.p, n,
                          file, e);
    buf_free(&more);
    return g->s ? 0 : -1;
}

/* What came of requests, into their chains. */
static int take_results(struct evol *g, struct err *e)
{
    struct session_result d;

    while (session_poll(&g->ses, &d))
        if (chain_take(&g->chains, d.d.user, &d, e))
            return -1;
    return 0;
}

static void figures(void *with, struct buf *b)
{
    const struct evol *g = with;

    session_stats(&g->ses, b);
    buf_char(b, ',');
    ways_stats(&g->ways, b);
}

static int run(struct evol *g, int n, char **file, int *status, struct err *e)
{
    int64_t prompt, generated;
    bool more = true;

    if (open_all(g, n, file, e) || take_up(g, e))
        return -1;
    cli_progress_begin(&g->progress, g->cli);
    while (more || g->first) {
        if (take_in(g, &more, e) || submit(g, e) ||
            (session_busy(&g->ses) && session_step(&g->ses, e)) || take_results(g, e) ||
            put_out(g, e))
            return -1;
        session_tokens(&g->ses, &prompt, &generated);
        cli_progress(&g->progress, g->cli, stream_counts(g->s), generated);
    }
    cli_progress_end(&g->progress);
    *status = stream_close(g->s, e);
    g->s = NULL;
    return *status < 0 ? -1 : 0;
}

static void close_all(struct evol *g)
{
    while (g->first) {
        struct chain *c = g->first;

        g->first = c->link;
        chain_close(c);
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
                     .chains = {.rounds = 1, .tries = 1},
                     .ways = {.min_words = 3, .max_words = 500}};
    const struct opt opts[] = {
        OPT_HEAD("Evolution"),
        OPT_ENUM(0, "what", &g.what, whats, "name", "what is rewritten: instruction or response"),
        OPT_INT(0, "rounds", &g.chains.rounds, "n", 1, 1000, "times each record is rewritten"),
        OPT_INT(0, "tries", &g.chains.tries, "n", 1, 1000,
                "tries of a round, when what came of it is refused"),
        OPT_FLAG(0, "answer", &g.chains.answers,
                 "have each new instruction answered, and refuse those that are not"),
        OPT_STR(0, "operators", &g.operators, "list",
                "names of the prompt file, each with :weight if wanted; all when not given"),
        OPT_INT(0, "min-words", &g.ways.min_words, "n", 1, 1 << 20,
                "words of an instruction at least"),
        OPT_INT(0, "max-words", &g.ways.max_words, "n", 1, 1 << 20,
                "words of an instruction at most"),
        OPT_FILE(0, "prompts", &g.prompts, "set|file", OPT_READS,
                 "prompt set (general, korean, tiny) or YAML file"),
        CLI_MODEL(&g.model),
        CLI_SERVER(&g.model),
        CLI_DRAW(&g.given),
        CLI_IO(&g.io),
        CLI_NOTES(&g.notes),
        OPT_END(),
    };
    const struct cli cli = {
        "llm-evol", "[file ...]",
        "rewrite instructions into harder or wider ones, or responses into better ones", opts,
        &g.notes};
    int n = cli_begin(&cli, argc, argv), status = CLI_OK;
    struct err e;

    g.io.no_attempt = true;
    g.io.figures = figures;
    g.io.with = &g;
    g.cli = &cli;
    if (run(&g, n, argv, &status, &e)) {
        cli_progress_end(&g.progress);
        status = cli_fail(&cli, &e);
    }
    stream_abandon(g.s, &e);
    close_all(&g);
    return cli_end(&cli, status);
}
