/* llm-selfinstruct.c - seed tasks -> new instructions. See llm-selfinstruct(1).
 *
 * Rounds of prompts; each shows tasks drawn from the seeds and from what was made in
 * earlier rounds, and the completion's items are taken in the order of prompt and item. A round
 * depends on the rounds before it and on nothing else, so it can be made again. */
#include "cli.h"
#include "mem.h"
#include "past.h"
#include "pool.h"
#include "recipe.h"
#include "session.h"
#include "tasks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    SHOWN_MAX = 64,
    ASKED = 8,   // new tasks in a completion: the item after them is a stop text
    BARREN = 20, // rounds in a row that give nothing: the model has no more
};

static const char stage[] = "llm-selfinstruct", source[] = "selfinstruct";
static const char *const recipe_keys[] = {"blacklist", "starts", NULL};
static const char *const fields[] = {"instruction", "input", NULL};

/* One prompt of a round and what came of it. */
struct ask {
    int shown[SHOWN_MAX]; // (n_shown) numbers in the pool
    int n_shown;
    struct buf parents; // their ids, a JSON array
    struct recipe_call call;
    char *text; // (n) the completion; with a rule, why there is none; NULL: not asked
    size_t n;
    bool cut;
    const char *rule;
};

struct make {
    struct cli_model model;
    struct cli_sample given;
    struct stream_opt io;
    struct cli_notes notes;
    const char *prompts;
    int count, max_rounds, per_round, examples, generated;
    float rouge;
    bool no_seeds;
    struct tasks_rules rules;
    const struct cli *cli;
    struct session ses;
    struct recipe recipe;
    struct stream *s;
    struct cli_progress progress;
    struct pool pool;
    struct tally past; // ids of the round that an interrupted run began
    int past_round;
    struct tasks_task task; // in hand
    int rounds;
    int64_t completions, items;
};

static int n_made(const struct make *g)
{
    return g->pool.n - g->pool.n_seed;
}

/* The task in hand becomes part of the pool. */
static void add_task(struct make *g, struct record *r, int round)
{
    struct buf text = {0};

    prompt_task(r, &text);
    pool_add(&g->pool, r->id, &text, &g->task.fold, round);
    buf_free(&text);
}

/* ---- seeds ---- */

static int take_seed(struct make *g, struct record *r, struct err *e)
{
    size_t n;

    tasks_lift(r);
    if (!tasks_load(&g->task, r))
        return stream_reject(g->s, r, "instruction", NULL, NULL, "no text in field 'instruction'",
                             e);
    add_task(g, r, 0);
    if (g->no_seeds)
        return 0;
    if (!record_meta(r, "source", &n))
        record_set_meta_str(r, "source", "seed");
    return stream_write(g->s, r, e);
}

static int read_seeds(struct make *g, struct err *e)
{
    struct record r;
    int rc;

    while ((rc = stream_read(g->s, &r, true, e)) == 1) {
        rc = take_seed(g, &r, e);
        record_reset(&r);
        if (rc)
            return rc;
    }
    if (!rc && !g->pool.n_seed && !stream_stopped(g->s))
        return err_set(e, ERR_DATA, "no seed: the input has no record with an instruction");
    return rc;
}

/* ---- records of a round ---- */

/* The id follows from seed, round, prompt, parents and item. */
static void derive(struct record *r, uint64_t seed, int round, int prompt, int item,
                   const char *parents, size_t n)
{
    struct buf b = {0};

    buf_fmt(&b, "%llu:%d:%d:%.*s", (unsigned long long)seed, round, prompt, (int)n, parents);
    record_derive_id(r, b.p, stage, item);
    buf_free(&b);
}

struct place {
    int round, prompt, item;
    const struct ask *ask;
};

/* The record of the task in hand; near: its nearest in the pool, or NULL. */
static void fill_record(const struct make *g, const struct place *p, const struct rouge_near *near,
                        struct record *r)
{
    const struct buf *parents = &p->ask->parents;
    struct buf b = {0};

    record_new(r);
    derive(r, g->io.seed, p->round, p->prompt, p->item, parents->p, parents->n);
    if (p->item >= 0)
        record_set_str(r, "instruction", buf_cstr(&g->task.inst), g->task.inst.n);
    if (p->item >= 0 && g->task.input.n)
        record_set_str(r, "input", g->task.input.p, g->task.input.n);
    buf_fmt(&b, "{\"source\":\"%s\",\"round\":%d,\"prompt\":%d,\"item\":%d,\"parents\":%s", source,
            p->round, p->prompt, p->item, parents->p);
    if (near) {
        const char *id = g->pool.entry[near->index].id;

        json_put_key(&b, "nn_id");
        json_put_str(&b, id, strlen(id));
        json_put_key(&b, "nn_rouge");
        pool_score(&b, near->f);
    }
    json_put_key(&b, "model");
    json_put_str(&b, session_model(&g->ses), strlen(session_model(&g->ses)));
    buf_fmt(&b, ",\"seed\":%llu}", (unsigned long long)g->io.seed);
    record_set(r, "meta", b.p, b.n);
    buf_free(&b);
}

/* One item: into the pool and the output, or to the rejects. What an interrupted run
 * wrote of this round is not written again. */
static int take_item(struct make *g, const struct place *p, const struct tasks_item *item,
                     struct err *e)
{
    struct buf value = {0}, limit = {0};
    struct rouge_near near = {-1, 0};
    struct record r;
    const char *rule;
    bool old;
    int rc = 0;

    tasks_take(&g->task, item->text, item->n);
    rule = tasks_broken(&g->rules, &g->task, item->truncated, &value, &limit);
    if (!rule)
        rule = pool_known(&g->pool, &g->task.fold, g->rouge, &near, &value, &limit);
    fill_record(g, p, near.index < 0 ? NULL : &near, &r);
    old = p->round == g->past_round && past_has(&g->past, &r);
    g->items++;
    if (rule) {
        if (!old)
            rc = stream_drop(g->s, &r, rule, value.n ? value.p : NULL, limit.n ? limit.p : NULL, e);
    } else {
        add_task(g, &r, p->round);
        if (!old)
            rc = stream_write(g->s, &r, e);
    }
    record_reset(&r);
    buf_free(&value);
    buf_free(&limit);
    return rc;
}

/* ---- a round ---- */

/* Choose what a prompt shows. */
static void choose(const struct make *g, int round, int prompt, struct ask *a)
{
    struct hash128 h = hash_bytes(stage, sizeof(stage));
    struct rng rng = rng_stream(g->io.seed, h.hi, h.lo);

    a->n_shown = pool_draw(&g->pool, &rng, (uint64_t)round << 20 | (uint64_t)prompt, g->examples,
                           g->generated, a->shown);
}

static int build(const struct make *g, int round, int prompt, struct ask *a, struct err *e)
{
    struct hash128 key = hash_bytes(stage, sizeof(stage));
    int place[2] = {round, prompt}, rc;
    struct buf list = {0}, next = {0}, end = {0};

    buf_reset(&a->parents);
    for (int i = 0; i < a->n_shown; i++) {
        const struct pool_entry *x = &g->pool.entry[a->shown[i]];

        buf_fmt(&list, "%s%d. ", i ? "\n" : "", i + 1);
        buf_add(&list, x->text, x->n);
        buf_str(&a->parents, i ? "," : "[");
        json_put_str(&a->parents, x->id, strlen(x->id));
    }
    buf_char(&a->parents, ']');
    buf_fmt(&next, "%d", a->n_shown + 1);
    buf_fmt(&end, "%d", a->n_shown + 1 + ASKED);
    rc =
        recipe_call(&a->call, &g->recipe, &g->recipe.prompt, &g->ses,
                    (struct prompt_var[]){
                        {"tasks", list.p, list.n}, {"next", next.p, next.n}, {"end", end.p, end.n}},
                    3, g->io.seed, hash_add(key, place, sizeof(place)), e);
    a->call.q.user = a;
    buf_free(&list);
    buf_free(&next);
    buf_free(&end);
    return rc;
}

/* Prompt number `prompt`; examples that do not fit into the context are left out. */
static int prepare(const struct make *g, int round, int prompt, struct ask *a, struct err *e)
{
    *a = (struct ask){0};
    choose(g, round, prompt, a);
    while (build(g, round, prompt, a, e)) {
        bool long_prompt = a->call.q.n_token > 0;

        recipe_call_free(&a->call);
        if (!long_prompt || a->n_shown < 2)
            return -1;
        a->n_shown--;
    }
    return 0;
}

static void keep(struct make *g, const struct session_result *d)
{
    struct ask *a = d->d.user;

    if (d->rule) {
        a->rule = d->rule;
        a->text = mem_dup(d->why, strlen(d->why));
        return;
    }
    a->text = mem_dup(d->d.text, d->d.n_text);
    a->n = d->d.n_text;
    a->cut = d->d.finish == ENGINE_LENGTH;
    g->completions++;
}

/* Have all prompts of a round completed. 1 = done, 0 = asked to stop, -1 = error. */
static int complete(struct make *g, struct ask *a, struct err *e)
{
    struct session_result d;
    int64_t prompt, generated;
    int next = 0;

    while (next < g->per_round || session_busy(&g->ses)) {
        if (stream_stopped(g->s))
            return 0;
        while (next < g->per_round && session_room(&g->ses)) {
            if (session_submit(&g->ses, &a[next].call.q, &a[next].call.prompt, e))
                return -1;
            next++;
        }
        if (session_step(&g->ses, e))
            return -1;
        while (session_poll(&g->ses, &d))
            keep(g, &d);
        session_tokens(&g->ses, &prompt, &generated);
        cli_progress(&g->progress, g->cli, stream_counts(g->s), generated);
    }
    return 1;
}

/* A prompt that came to nothing: its place goes to the rejects, as item -1. */
static int reject_ask(struct make *g, const struct place *p, struct err *e)
{
    struct record r;
    int rc = 0;

    fill_record(g, p, NULL, &r);
    if (p->round != g->past_round || !past_has(&g->past, &r))
        rc = stream_reject(g->s, &r, p->ask->rule, NULL, NULL, p->ask->text, e);
    record_reset(&r);
    return rc;
}

/* The items of a round, in order, until there are enough. */
static int take_round(struct make *g, const struct ask *a, int round, struct err *e)
{
    struct tasks_item item[TASKS_MAX];

    for (int i = 0; i < g->per_round; i++) {
        int n = 0;

        if (a[i].rule && reject_ask(g, &(struct place){round, i, -1, &a[i]}, e))
            return -1;
        if (a[i].text && !a[i].rule)
            n = tasks_split(a[i].text, a[i].n, a[i].n_shown + 1, a[i].cut, item);
        for (int k = 0; k < n && n_made(g) < g->count; k++)
            if (take_item(g, &(struct place){round, i, k, &a[i]}, &item[k], e))
                return -1;
    }
    return 0;
}

static int run_round(struct make *g, int round, struct err *e)
{
    struct ask *a = mem_zero((size_t)g->per_round, sizeof(*a));
    int rc = 0, before = n_made(g);
    int64_t items = g->items;

    for (int i = 0; i < g->per_round && !rc; i++)
        rc = prepare(g, round, i, &a[i], e);
    if (!rc)
        rc = complete(g, a, e);
    if (rc == 1 && take_round(g, a, round, e))
        rc = -1;
    for (int i = 0; i < g->per_round; i++) {
        recipe_call_free(&a[i].call);
        buf_free(&a[i].parents);
        free(a[i].text);
    }
    free(a);
    if (rc == 1)
        cli_note(g->cli, "round %d: %lld items, %d accepted, %d of %d made", round,
                 (long long)(g->items - items), n_made(g) - before, n_made(g), g->count);
    return rc;
}

/* ---- taking up an interrupted run ---- */

/* The round of a record that this run made, 0 of any other. */
static int round_of(const struct make *g, struct record *r)
{
    size_t n, n_source;
    const char *parents = record_meta(r, "parents", &n),
               *from = record_meta_str(r, "source", &n_source);
    double round, prompt, item;
    struct record own;
    bool same;

    if (!parents || !from || strcmp(from, source) || record_meta_num(r, "round", &round) ||
        record_meta_num(r, "prompt", &prompt) || record_meta_num(r, "item", &item) ||
        !(round >= 1 && round <= INT_MAX && prompt >= 0 && prompt < INT_MAX && item >= -1 &&
          item < INT_MAX))
        return 0;
    record_new(&own);
    derive(&own, g->io.seed, (int)round, (int)prompt, (int)item, parents, n);
    same = !strcmp(own.id, r->id);
    record_reset(&own);
    return same ? (int)round : 0;
}

/* First look: the seeds, and the round that was begun last. */
static int see_last(void *with, struct record *r, struct err *e)
{
    struct make *g = with;
    int round = round_of(g, r);

    (void)e;
    if (round > g->past_round)
        g->past_round = round;
    if (!round && !record_has(r, "reject") && tasks_load(&g->task, r))
        add_task(g, r, 0);
    return 0;
}

/* Second look: what earlier rounds made, and the ids of the last. */
static int see_made(void *with, struct record *r, struct err *e)
{
    struct make *g = with;
    int round = round_of(g, r);

    (void)e;
    if (round && round == g->past_round)
        past_note(&g->past, r);
    else if (round && !record_has(r, "reject") && tasks_load(&g->task, r))
        add_task(g, r, round);
    return 0;
}

static int look(struct make *g, int (*see)(void *, struct record *, struct err *), struct err *e)
{
    const char *out = stream_output_path(g->s);

    if (!g->io.resume)
        return 0;
    if (!out)
        return err_set(e, ERR_ARG, "--resume: the output cannot be read again");
    if (past_read(out, see, g, e))
        return -1;
    return g->io.rejects ? past_read(g->io.rejects, see, g, e) : 0;
}

/* ---- the whole ---- */

static int check(const struct make *g, struct err *e)
{
    if (g->io.shard)
        return err_set(e, ERR_ARG,
                       "--shard: all seeds belong to one pool; give each machine "
                       "another --seed instead");
    if (g->rules.min_words > g->rules.max_words)
        return err_set(e, ERR_ARG, "--min-words %d exceeds --max-words %d", g->rules.min_words,
                       g->rules.max_words);
    if (g->generated > g->examples)
        return err_set(e, ERR_ARG, "--generated %d exceeds --examples %d", g->generated,
                       g->examples);
    return 0;
}

static int open_all(struct make *g, int n, char **file, struct err *e)
{
    struct cli_sample own = cli_sample_default;
    struct buf more = {0};

    own.temp = 0.7f;
    own.max_tokens = 512;
    if (check(g, e) ||
        recipe_open(&g->recipe, g->prompts, "selfinstruct", recipe_keys, &g->given, &own, e) ||
        recipe_list(&g->rules.blacklist, &g->recipe, "blacklist", e) ||
        recipe_list(&g->rules.starts, &g->recipe, "starts", e) ||
        session_open(&g->ses, g->cli, &g->model, false, e) ||
        session_takes(&g->ses, &g->recipe.sample, e))
        return -1;
    recipe_print(&g->recipe, &more);
    g->s = session_stream(&g->ses, g->cli, &g->io, fields, 1, more.p, n, file, e);
    buf_free(&more);
    pool_init(&g->pool);
    return g->s ? 0 : -1;
}

static void put_stats(const struct make *g, struct buf *b)
{
    int64_t prompt, generated;

    session_tokens(&g->ses, &prompt, &generated);
    session_stats(&g->ses, b);
    buf_fmt(b, ",\"rounds\":%d,\"completions\":%lld,\"items\":%lld,\"seeds\":%d,\"accepted\":%d",
            g->rounds, (long long)g->completions, (long long)g->items, g->pool.n_seed, n_made(g));
    buf_str(b, ",\"tokens_per_accepted\":");
    json_put_num(b, n_made(g) ? round(10.0 * (double)(prompt + generated) / n_made(g)) / 10
                              : (double)NAN);
}

static int rounds(struct make *g, struct err *e)
{
    int round = g->past_round ? g->past_round : 1;
    int fruitful = n_made(g) ? g->pool.entry[g->pool.n - 1].round : 0;

    for (; n_made(g) < g->count && round <= g->max_rounds; round++) {
        int before = n_made(g), rc;

        if (round - fruitful > BARREN) {
            cli_warn(g->cli, "%d rounds gave nothing new", BARREN);
            break;
        }
        rc = run_round(g, round, e);
        if (rc != 1)
            return rc;
        g->rounds++;
        if (n_made(g) > before)
            fruitful = round;
    }
    if (n_made(g) < g->count)
        cli_warn(g->cli, "%d of %d records after %d rounds", n_made(g), g->count, round - 1);
    return 1;
}

static int run(struct make *g, int n, char **file, int *status, struct err *e)
{
    struct buf extra = {0};
    int rc;

    if (open_all(g, n, file, e) || look(g, see_last, e) || read_seeds(g, e) || look(g, see_made, e))
        return -1;
    cli_progress_begin(&g->progress, g->cli);
    rc = stream_stopped(g->s) ? 0 : rounds(g, e);
    cli_progress_end(&g->progress);
    if (rc < 0)
        return -1;
    if (!rc)
        stream_unfinished(g->s);
    put_stats(g, &extra);
    *status = stream_close(g->s, extra.p, e);
    g->s = NULL;
    buf_free(&extra);
    return *status < 0 ? -1 : 0;
}

static void close_all(struct make *g)
{
    stream_abandon(g->s);
    session_close(&g->ses);
    recipe_list_free(&g->rules.blacklist);
    recipe_list_free(&g->rules.starts);
    recipe_close(&g->recipe);
    pool_free(&g->pool);
    tally_free(&g->past);
    tasks_free(&g->task);
}

int main(int argc, char **argv)
{
    struct make g = {.model = cli_model_default,
                     .given = cli_sample_unset,
                     .io = cli_io_default,
                     .notes = cli_notes_default,
                     .prompts = "general",
                     .count = 100,
                     .max_rounds = 1000,
                     .per_round = 8,
                     .examples = 8,
                     .generated = 2,
                     .rouge = 0.7f,
                     .rules = {.min_words = 4, .max_words = 150}};
    const struct opt opts[] = {
        OPT_HEAD("Instructions"),
        OPT_INT(0, "count", &g.count, "n", 1, 1 << 30, "new records to make"),
        OPT_INT(0, "max-rounds", &g.max_rounds, "n", 1, 1 << 20, "rounds at most"),
        OPT_INT(0, "per-round", &g.per_round, "n", 1, 4096, "prompts of a round"),
        OPT_INT(0, "examples", &g.examples, "n", 1, SHOWN_MAX, "tasks shown in a prompt"),
        OPT_INT(0, "generated", &g.generated, "n", 0, SHOWN_MAX,
                "of these, how many were made in earlier rounds, when there are"),
        OPT_FLOAT(0, "rouge", &g.rouge, "x", 0, 1,
                  "drop what is more alike than this to any task before"),
        OPT_INT(0, "min-words", &g.rules.min_words, "n", 1, 1 << 20,
                "words of an instruction at least"),
        OPT_INT(0, "max-words", &g.rules.max_words, "n", 1, 1 << 20,
                "words of an instruction at most"),
        OPT_FLAG(0, "ascii", &g.rules.ascii, "drop what does not begin with an ASCII character"),
        OPT_FLAG(0, "no-seeds", &g.no_seeds, "write the new records only"),
        OPT_STR(0, "prompts", &g.prompts, "set|file", "prompt set (general, tiny) or YAML file"),
        CLI_MODEL(&g.model),
        CLI_SERVER(&g.model),
        CLI_DRAW(&g.given),
        CLI_IO(&g.io),
        CLI_NOTES(&g.notes),
        OPT_END(),
    };
    const struct cli cli = {stage, "[file ...]", "make new instructions from seed tasks", opts,
                            &g.notes};
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
