/* bootstrap.c - what rounds of new tasks begin with: options, seeds, what is made already. */
#include "bootstrap.h"

#include "mem.h"
#include "origin.h"
#include "past.h"

#include <stdlib.h>
#include <string.h>

const char bootstrap_stage[] = "llm-selfinstruct", bootstrap_source[] = "selfinstruct";
const char *const bootstrap_styles[] = {"selfinstruct", "alpaca", "magpie", NULL};

/* ---- options and prompt file ---- */

static int check(struct bootstrap *g, struct err *e)
{
    struct bootstrap_opt *o = &g->o;

    if (g->io->shard)
        return err_set(e, ERR_ARG,
                       "--shard: all seeds belong to one pool; give each machine "
                       "another --seed instead");
    if (g->rules.min_words > g->rules.max_words)
        return err_set(e, ERR_ARG, "--min-words %d exceeds --max-words %d", g->rules.min_words,
                       g->rules.max_words);
    if (o->instances && o->style == BOOTSTRAP_ALPACA)
        return err_set(e, ERR_ARG, "--instances: a list in Alpaca's style has them already");
    if (o->style == BOOTSTRAP_MAGPIE && o->classification)
        return err_set(e, ERR_ARG,
                       "--classification: nothing in a prompt of --style magpie asks "
                       "for such tasks");
    return 0;
}

/* How many examples: the option, the file, the default. */
static int set_shown(struct bootstrap *g, struct err *e)
{
    int examples = 8, generated = 2;

    g->asked = 8;
    if (recipe_int(&g->recipe, "examples", 1, DRAFTS_SHOWN, &examples, e) ||
        recipe_int(&g->recipe, "generated", 0, DRAFTS_SHOWN, &generated, e) ||
        recipe_int(&g->recipe, "asked", 1, 1000, &g->asked, e))
        return -1;
    if (g->o.examples < 0)
        g->o.examples = examples;
    if (g->o.generated < 0)
        g->o.generated = generated < g->o.examples ? generated : g->o.examples;
    if (g->o.generated > g->o.examples)
        return err_set(e, ERR_ARG, "--generated %d exceeds --examples %d", g->o.generated,
                       g->o.examples);
    return 0;
}

int bootstrap_open(struct bootstrap *g, struct err *e)
{
    static const char *const keys[] = {"blacklist", "starts",      "examples",     "generated",
                                       "asked",     "before",      "after",        "classify",
                                       "yes",       "input_first", "output_first", NULL};
    static const char *const names[] = {"tasks", "next", "end", "persona", "classification", NULL};
    struct cli_sample own = cli_sample_default;

    own.temp = 0.7f;
    own.max_tokens = 512;
    pool_init(&g->pool);
    g->task.bare = g->o.bare;
    g->rules.off = &g->off;
    if (check(g, e) || tasks_off(&g->off, g->o.off, instances_rule_names, e) ||
        recipe_open(&g->recipe, g->o.prompts, bootstrap_styles[g->o.style], keys, &g->given, &own,
                    e) ||
        recipe_names(&g->recipe, names, e) || set_shown(g, e) ||
        recipe_list(&g->rules.blacklist, &g->recipe, "blacklist", e) ||
        recipe_list(&g->rules.starts, &g->recipe, "starts", e) ||
        (g->o.instances && questions_open(&g->questions, &g->recipe, g->o.instances, e)) ||
        (g->o.personas && (personas_open(&g->personas, g->o.personas, e) ||
                           recipe_shows(&g->recipe, "persona", "persona", e))))
        return -1;
    return 0;
}

void bootstrap_print(const struct bootstrap *g, struct buf *out)
{
    char hex[33];

    recipe_print(&g->recipe, out);
    if (!g->personas.n)
        return;
    hash_hex(g->personas.hash, hex);
    buf_fmt(out, ",\"personas\":\"%s\"", hex);
}

void bootstrap_close(struct bootstrap *g)
{
    recipe_list_free(&g->rules.blacklist);
    recipe_list_free(&g->rules.starts);
    questions_close(&g->questions);
    personas_close(&g->personas);
    recipe_close(&g->recipe);
    pool_free(&g->pool);
    tally_free(&g->past);
    tally_free(&g->seeds);
    tally_free(&g->items);
    tasks_free(&g->task);
    tasks_off_free(&g->off);
    free(g->curve);
}

/* ---- the pool ---- */

enum listing_form bootstrap_form(const struct bootstrap *g)
{
    return g->o.style == BOOTSTRAP_ALPACA   ? LISTING_ALPACA
           : g->o.style == BOOTSTRAP_MAGPIE ? LISTING_ONE
                                            : LISTING_NUMBERED;
}

int bootstrap_made(const struct bootstrap *g)
{
    return g->pool.n - g->pool.n_seed;
}

struct bootstrap_round *bootstrap_curve(struct bootstrap *g, int round)
{
    while (g->n_curve < round) {
        mem_grow(&g->curve, &g->cap_curve, (size_t)g->n_curve + 1, sizeof(*g->curve));
        g->curve[g->n_curve++] = (struct bootstrap_round){0};
    }
    return &g->curve[round - 1];
}

void bootstrap_add(struct bootstrap *g, const struct tasks_task *t, const char *id, int round,
                   bool hidden)
{
    struct buf text = {0};

    tasks_text(t, bootstrap_form(g) == LISTING_NUMBERED, &text);
    pool_add(&g->pool, &(struct pool_new){.id = id,
                                          .text = &text,
                                          .fold = &t->fold,
                                          .output = &t->output,
                                          .round = round,
                                          .hidden = hidden});
    buf_free(&text);
}

/* A seed counts for novelty always; it is shown where it can be. */
static void add_seed(struct bootstrap *g, struct record *r)
{
    size_t n;
    const char *raw = record_raw(r, "is_classification", &n);
    bool is_class = raw && n == 4 && !memcmp(raw, "true", 4);

    bootstrap_add(g, &g->task, r->id, 0,
                  (g->o.classification && !is_class) ||
                      (g->o.style == BOOTSTRAP_ALPACA && !g->task.output.n));
}

static int take_seed(struct bootstrap *g, struct record *r, struct err *e)
{
    const char *field;
    struct err why;
    size_t n;

    past_note(&g->seeds, r);
    tasks_lift(r);
    field = tasks_load(&g->task, r, &why);
    if (field)
        return r->done ? 0 : stream_reject(g->s, r, field, NULL, NULL, why.msg, e);
    add_seed(g, r);
    if (g->o.no_seeds || r->done)
        return 0;
    if (!record_meta(r, "source", &n))
        record_set_meta_str(r, "source", "seed");
    return stream_write(g->s, r, e);
}

static int read_seeds(struct bootstrap *g, struct err *e)
{
    struct record r;
    int rc;

    while ((rc = stream_read(g->s, &r, true, e)) == 1) {
        rc = take_seed(g, &r, e);
        record_reset(&r);
        if (rc)
            return rc;
    }
    if (rc || g->pool.seeds.n || g->o.style == BOOTSTRAP_MAGPIE || stream_stopped(g->s))
        return rc;
    if (!g->pool.n_seed)
        return err_set(e, ERR_DATA, "no seed: the input has no record with an instruction");
    return err_set(e, ERR_DATA, "no seed to show: none has %s",
                   g->o.classification ? "is_classification true" : "an output");
}

/* ---- taking up an interrupted run ---- */

/* Where a record of the output was made; round 0: it is a seed, which another run may have made of
 * the same --seed. */
static struct origin made_at(const struct bootstrap *g, struct record *r)
{
    return past_has(&g->seeds, r) ? (struct origin){0}
                                  : origin_of(r, bootstrap_stage, bootstrap_source, g->io->seed);
}

/* First look: the round that was begun last. */
static int see_last(void *with, struct record *r, struct err *e)
{
    struct bootstrap *g = with;
    int round = made_at(g, r).round;

    (void)e;
    if (round > g->past_round)
        g->past_round = round;
    return 0;
}

/* Second look: what earlier rounds made, and the ids of the last. */
static int see_made(void *with, struct record *r, struct err *e)
{
    struct bootstrap *g = with;
    struct origin p = made_at(g, r);
    struct hash128 item;
    bool is_new;

    if (p.round && p.round == g->past_round)
        past_note(&g->past, r);
    if (!p.round || p.round == g->past_round || p.item < 0)
        return 0;
    item = hash_bytes((int[3]){p.round, p.prompt, p.item}, 3 * sizeof(int));
    is_new = tally_at(&g->items, item)->done++ == 0;
    bootstrap_curve(g, p.round)->items += is_new;
    if (!is_new || record_has(r, "reject") || tasks_load(&g->task, r, e))
        return 0;
    if (p.instance >= 0) { // its input is an instance's, not the task's
        size_t n;
        const char *inst = record_str(r, "instruction", &n);

        tasks_put(&g->task, inst, n, NULL, 0);
    }
    bootstrap_add(g, &g->task, r->id, p.round, false);
    bootstrap_curve(g, p.round)->accepted++;
    g->made_before++;
    return 0;
}

static int look(struct bootstrap *g, int (*see)(void *, struct record *, struct err *),
                struct err *e)
{
    const char *out = stream_output_path(g->s);

    if (!g->io->resume)
        return 0;
    if (!out)
        return err_set(e, ERR_ARG, "--resume: the output cannot be read again");
    if (past_read(g->s, out, see, g, e))
        return -1;
    return g->io->rejects ? past_read(g->s, g->io->rejects, see, g, e) : 0;
}

int bootstrap_fill(struct bootstrap *g, struct err *e)
{
    if (read_seeds(g, e) || look(g, see_last, e) || look(g, see_made, e))
        return -1;
    return kept_open(&g->kept, g->io->resume ? stream_output_path(g->s) : NULL, e);
}
