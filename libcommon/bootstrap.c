/* bootstrap.c - new tasks out of seeds and out of themselves: options, seeds, the rounds. */
#include "bootstrap.h"

#include "mem.h"
#include "origin.h"
#include "past.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BARREN = 20 }; // rounds in a row that give nothing: the model has no more

static const char stage[] = "llm-selfinstruct", source[] = "selfinstruct";
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
    struct cli_sample own = cli_sample_default;

    own.temp = 0.7f;
    own.max_tokens = 512;
    pool_init(&g->pool);
    g->task.bare = g->o.bare;
    g->rules.off = &g->off;
    if (check(g, e) || tasks_off(&g->off, g->o.off, instances_rule_names, e) ||
        recipe_open(&g->recipe, g->o.prompts, bootstrap_styles[g->o.style], keys, &g->given, &own,
                    e) ||
        set_shown(g, e) || recipe_list(&g->rules.blacklist, &g->recipe, "blacklist", e) ||
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
    tally_free(&g->items);
    tasks_free(&g->task);
    tasks_off_free(&g->off);
    free(g->curve);
}

/* ---- the pool ---- */

static enum listing_form form_of(const struct bootstrap *g)
{
    return g->o.style == BOOTSTRAP_ALPACA   ? LISTING_ALPACA
           : g->o.style == BOOTSTRAP_MAGPIE ? LISTING_ONE
                                            : LISTING_NUMBERED;
}

static int n_made(const struct bootstrap *g)
{
    return g->pool.n - g->pool.n_seed;
}

static struct bootstrap_round *curve(struct bootstrap *g, int round)
{
    while (g->n_curve < round) {
        mem_grow(&g->curve, &g->cap_curve, (size_t)g->n_curve + 1, sizeof(*g->curve));
        g->curve[g->n_curve++] = (struct bootstrap_round){0};
    }
    return &g->curve[round - 1];
}

static void add_task(struct bootstrap *g, const struct tasks_task *t, const char *id, int round,
                     bool hidden)
{
    struct buf text = {0};

    tasks_text(t, form_of(g) == LISTING_NUMBERED, &text);
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

    add_task(g, &g->task, r->id, 0,
             (g->o.classification && !is_class) ||
                 (g->o.style == BOOTSTRAP_ALPACA && !g->task.output.n));
}

static int take_seed(struct bootstrap *g, struct record *r, struct err *e)
{
    const char *field;
    struct err why;
    size_t n;

    tasks_lift(r);
    field = tasks_load(&g->task, r, &why);
    if (field)
        return stream_reject(g->s, r, field, NULL, NULL, why.msg, e);
    add_seed(g, r);
    if (g->o.no_seeds)
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

/* First look: the seeds, and the round that was begun last. */
static int see_last(void *with, struct record *r, struct err *e)
{
    struct bootstrap *g = with;
    int round = origin_of(r, stage, source, g->io->seed).round;

    if (round > g->past_round)
        g->past_round = round;
    if (!round && !record_has(r, "reject") && !tasks_load(&g->task, r, e))
        add_seed(g, r);
    return 0;
}

/* Second look: what earlier rounds made, and the ids of the last. */
static int see_made(void *with, struct record *r, struct err *e)
{
    struct bootstrap *g = with;
    struct origin p = origin_of(r, stage, source, g->io->seed);
    struct hash128 item;
    bool is_new;

    if (p.round && p.round == g->past_round)
        past_note(&g->past, r);
    if (!p.round || p.round == g->past_round || p.item < 0)
        return 0;
    item = hash_bytes((int[3]){p.round, p.prompt, p.item}, 3 * sizeof(int));
    is_new = tally_at(&g->items, item)->done++ == 0;
    curve(g, p.round)->items += is_new;
    if (!is_new || record_has(r, "reject") || tasks_load(&g->task, r, e))
        return 0;
    if (p.instance >= 0) { // its input is an instance's, not the task's
        size_t n;
        const char *inst = record_str(r, "instruction", &n);

        tasks_put(&g->task, inst, n, NULL, 0);
    }
    add_task(g, &g->task, r->id, p.round, false);
    curve(g, p.round)->accepted++;
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

/* ---- items ---- */

/* A task that passed, until its round is over. */
struct candidate {
    struct origin place;
    const struct draft *from;
    struct tasks_task task;
    struct rouge_near near;
    struct question q;
    bool kept;
};

/* The record of a task made at a place; near: its nearest in the pool, or NULL. */
static void fill_record(const struct bootstrap *g, const struct origin *p, const struct draft *from,
                        const struct tasks_task *t, const struct rouge_near *near, struct record *r)
{
    const char *model = session_model(&g->ses);
    struct buf b = {0};

    record_new(r);
    origin_derive(r, stage, g->io->seed, p, from->parents.p, from->parents.n);
    if (t) {
        record_set_str(r, "instruction", buf_cstr(&t->inst), t->inst.n);
        if (t->input.n)
            record_set_str(r, "input", t->input.p, t->input.n);
    }
    buf_fmt(&b, "{\"source\":\"%s\"", source);
    if (g->o.style != BOOTSTRAP_SELFINSTRUCT)
        buf_fmt(&b, ",\"style\":\"%s\"", bootstrap_styles[g->o.style]);
    buf_fmt(&b, ",\"round\":%d,\"prompt\":%d,\"item\":%d", p->round, p->prompt, p->item);
    if (p->instance >= 0)
        buf_fmt(&b, ",\"instance\":%d", p->instance);
    buf_fmt(&b, ",\"parents\":%s", from->parents.p);
    if (from->persona) {
        json_put_key(&b, "persona");
        json_put_str(&b, from->persona->id, strlen(from->persona->id));
    }
    if (near) {
        const char *id = g->pool.entry[near->index].id;

        json_put_key(&b, "nn_id");
        json_put_str(&b, id, strlen(id));
        json_put_key(&b, "nn_rouge");
        pool_score(&b, near->f);
    }
    json_put_key(&b, "model");
    json_put_str(&b, model, strlen(model));
    buf_fmt(&b, ",\"seed\":%llu}", (unsigned long long)g->io->seed);
    record_set(r, "meta", b.p, b.n);
    buf_free(&b);
}

/* Write what an interrupted run has not written already; with a rule, to the rejects, as a failure
 * when there is a message. Takes the record over. */
static int put(struct bootstrap *g, struct record *r, int round, const char *rule,
               const struct buf *value, const struct buf *limit, const char *message, struct err *e)
{
    int rc = 0;

    if (round == g->past_round && past_has(&g->past, r))
        rc = 0;
    else if (message)
        rc = stream_reject(g->s, r, rule, NULL, NULL, message, e);
    else if (rule)
        rc = stream_drop(g->s, r, rule, value && value->n ? value->p : NULL,
                         limit && limit->n ? limit->p : NULL, e);
    else
        rc = stream_write(g->s, r, e);
    record_reset(r);
    return rc;
}

/* One item: dropped, or a candidate, which the next ones must differ from. */
static int take_item(struct bootstrap *g, const struct origin *p, const struct draft *from,
                     const struct listing_item *item, struct candidate *c, bool *passed,
                     struct err *e)
{
    struct buf value = {0}, limit = {0};
    struct rouge_near near = {-1, 0};
    struct record r;
    const char *rule;
    int rc = 0;

    listing_take(form_of(g), item, &g->task);
    rule = tasks_broken(&g->rules, &g->task, item->truncated, &value, &limit);
    if (!rule)
        rule = pool_known(&g->pool, &g->task.fold, g->o.rouge, &near, &value, &limit);
    fill_record(g, p, from, &g->task, near.index < 0 ? NULL : &near, &r);
    curve(g, p->round)->items++;
    *passed = !rule;
    if (rule) {
        rc = put(g, &r, p->round, rule, &value, &limit, NULL, e);
    } else {
        add_task(g, &g->task, r.id, p->round, false);
        *c = (struct candidate){.place = *p, .from = from, .task = g->task, .near = near};
        c->q.labels = g->o.classification ? 1 : -1;
        g->task = (struct tasks_task){.bare = g->o.bare};
        record_reset(&r);
    }
    buf_free(&value);
    buf_free(&limit);
    return rc;
}

/* The items of a round, in order, until there are enough. Returns the candidates, or -1. */
static int take_items(struct bootstrap *g, const struct draft *a, int round, struct candidate **c,
                      struct err *e)
{
    struct listing_item item[LISTING_MAX];
    size_t cap = 0;
    int n_c = 0;

    for (int i = 0; i < g->o.per_round; i++) {
        struct origin p = {round, i, -1, -1};
        int n = 0;

        if (a[i].rule) {
            struct record r;

            fill_record(g, &p, &a[i], NULL, NULL, &r);
            if (put(g, &r, round, a[i].rule, NULL, NULL, a[i].text, e))
                return -1;
        } else if (a[i].text) {
            g->completions++;
            n = listing_split(form_of(g), a[i].text, a[i].n, a[i].n_shown + 1, a[i].cut, item);
        }
        for (p.item = 0; p.item < n && n_made(g) < g->o.count; p.item++) {
            bool passed;

            mem_grow(c, &cap, (size_t)n_c + 1, sizeof(**c));
            if (take_item(g, &p, &a[i], &item[p.item], &(*c)[n_c], &passed, e))
                return -1;
            n_c += passed;
        }
    }
    return n_c;
}

/* ---- instances ---- */

/* What answers the candidates: the model is asked, or Alpaca's list has said it. */
static int answer(struct bootstrap *g, const struct calls *calls, struct candidate *c, int n,
                  struct err *e)
{
    struct question *q = mem_zero((size_t)n, sizeof(*q));
    int rc = 1;

    for (int i = 0; i < n; i++) {
        const struct origin *p = &c[i].place;
        int place[3] = {p->round, p->prompt, p->item};

        q[i].task = &c[i].task;
        q[i].key = hash_add(hash_bytes(stage, sizeof(stage)), place, sizeof(place));
        q[i].labels = g->o.classification ? 1 : -1;
        if (g->o.style != BOOTSTRAP_ALPACA)
            continue;
        q[i].x.n = 1;
        buf_add(&q[i].x.item[0].input, buf_cstr(&c[i].task.input), c[i].task.input.n);
        buf_add(&q[i].x.item[0].output, buf_cstr(&c[i].task.output), c[i].task.output.n);
    }
    if (g->o.style != BOOTSTRAP_ALPACA)
        rc = questions_ask(&g->questions, calls, q, n, g->io->seed, e);
    for (int i = 0; i < n; i++) {
        c[i].q = q[i];
        c[i].kept = !q[i].rule && instances_check(&c[i].q.x, g->off.name, g->off.n) > 0;
    }
    free(q);
    return rc;
}

/* Where the record of instance k of a candidate is made, k < 0: of the task. */
static struct origin place_of(const struct bootstrap *g, const struct candidate *c, int k)
{
    struct origin p = c->place;

    if (k >= 0 && !c->task.input.n && g->o.style != BOOTSTRAP_ALPACA)
        p.instance = k;
    return p;
}

/* Take the candidates back that have no instance, and give the others the id of the first that they
 * have; what was nearest to any of them may have gone. */
static void recount(struct bootstrap *g, int before, struct candidate *c, int n)
{
    const struct buf **fold = mem_zero((size_t)n, sizeof(*fold));
    struct buf value = {0}, limit = {0};

    for (int i = 0; i < n; i++)
        fold[i] = &c[i].task.fold;
    pool_cut(&g->pool, before, fold);
    for (int i = 0; i < n; i++) {
        const struct buf *parents = &c[i].from->parents;
        struct origin p;
        struct record r;
        int k = 0;

        c[i].near = (struct rouge_near){-1, 0};
        pool_known(&g->pool, &c[i].task.fold, 1, &c[i].near, &value, &limit);
        if (!c[i].kept)
            continue;
        while (c[i].q.x.item[k].rule)
            k++;
        p = place_of(g, &c[i], k);
        record_new(&r);
        origin_derive(&r, stage, g->io->seed, &p, parents->p, parents->n);
        add_task(g, &c[i].task, r.id, p.round, false);
        record_reset(&r);
    }
    free(fold);
    buf_free(&value);
    buf_free(&limit);
}

/* ---- a round ---- */

/* One record of a candidate: the task, or instance k of it. */
static int put_one(struct bootstrap *g, struct candidate *c, int k, const char *rule,
                   const char *message, struct err *e)
{
    const struct instance *x = k < 0 ? NULL : &c->q.x.item[k];
    struct origin p = place_of(g, c, k);
    struct record r;

    fill_record(g, &p, c->from, &c->task, c->near.index < 0 ? NULL : &c->near, &r);
    if (x && x->input.n)
        record_set_str(&r, "input", x->input.p, x->input.n);
    if (x)
        record_set_str(&r, "output", buf_cstr(&x->output), x->output.n);
    if (c->q.labels >= 0)
        record_set(&r, "is_classification", c->q.labels ? "true" : "false", c->q.labels ? 4 : 5);
    return put(g, &r, p.round, rule, NULL, NULL, message, e);
}

static int put_candidate(struct bootstrap *g, struct candidate *c, struct err *e)
{
    if (!g->o.instances && g->o.style != BOOTSTRAP_ALPACA)
        return put_one(g, c, -1, NULL, NULL, e);
    if (c->q.rule)
        return put_one(g, c, -1, c->q.rule, c->q.why, e);
    if (!c->q.x.n)
        return put_one(g, c, -1, "instance-none", NULL, e);
    for (int k = 0; k < c->q.x.n; k++)
        if (put_one(g, c, k, c->q.x.item[k].rule, NULL, e))
            return -1;
    return 0;
}

static int run_round(struct bootstrap *g, int round, struct err *e)
{
    const struct drafts d = {.pool = &g->pool,
                             .recipe = &g->recipe,
                             .calls = {&g->ses, g->s, g->cli, &g->progress, &g->kept},
                             .personas = g->personas.n ? &g->personas : NULL,
                             .form = form_of(g),
                             .classification = g->o.classification,
                             .examples = g->o.examples,
                             .generated = g->o.generated,
                             .asked = g->asked,
                             .seed = g->io->seed};
    struct draft *a = mem_zero((size_t)g->o.per_round, sizeof(*a));
    struct candidate *c = NULL;
    int n = 0, before = g->pool.n, rc = drafts_make(&d, round, a, g->o.per_round, e);

    curve(g, round);
    if (rc == 1 && (n = take_items(g, a, round, &c, e)) < 0)
        rc = -1;
    if (rc == 1 && n && (g->o.instances || g->o.style == BOOTSTRAP_ALPACA)) {
        rc = answer(g, &d.calls, c, n, e);
        if (rc == 1)
            recount(g, before, c, n);
    }
    for (int i = 0; i < n; i++) {
        if (rc == 1 && put_candidate(g, &c[i], e))
            rc = -1;
        tasks_free(&c[i].task);
        questions_free(&c[i].q);
    }
    curve(g, round)->accepted = g->pool.n - before;
    free(c);
    drafts_free(a, g->o.per_round);
    free(a);
    return rc;
}

/* ---- the whole ---- */

static int rounds(struct bootstrap *g, struct err *e)
{
    int round = g->past_round ? g->past_round : 1;
    int fruitful = n_made(g) ? g->pool.entry[g->pool.n - 1].round : 0;

    for (; n_made(g) < g->o.count && round <= g->o.max_rounds; round++) {
        int before = n_made(g), rc;

        if (round - fruitful > BARREN) {
            cli_warn(g->cli, "%d rounds gave nothing new", BARREN);
            break;
        }
        rc = run_round(g, round, e);
        if (rc != 1)
            return rc;
        kept_clear(&g->kept);
        g->rounds++;
        if (n_made(g) > before)
            fruitful = round;
        cli_note(g->cli, "round %d: %d items, %d accepted, %d of %d made", round,
                 curve(g, round)->items, n_made(g) - before, n_made(g), g->o.count);
    }
    if (n_made(g) < g->o.count)
        cli_warn(g->cli, "%d of %d records after %d rounds", n_made(g), g->o.count, round - 1);
    return 1;
}

int bootstrap_run(struct bootstrap *g, struct err *e)
{
    int rc;

    if (look(g, see_last, e) || read_seeds(g, e) || look(g, see_made, e) ||
        kept_open(&g->kept, g->io->resume ? stream_output_path(g->s) : NULL, e))
        return -1;
    cli_progress_begin(&g->progress, g->cli);
    rc = stream_stopped(g->s) ? 0 : rounds(g, e);
    cli_progress_end(&g->progress);
    kept_close(&g->kept, rc == 1);
    if (!rc)
        stream_unfinished(g->s);
    return rc;
}

void bootstrap_stats(const struct bootstrap *g, struct buf *out)
{
    int made = n_made(g), now = made - g->made_before, sum = 0;
    int64_t items = 0, prompt, generated;

    session_tokens(&g->ses, &prompt, &generated);
    session_stats(&g->ses, out);
    buf_str(out, ",\"novelty\":[");
    for (int i = 0; i < g->n_curve; i++) {
        items += g->curve[i].items;
        sum += g->curve[i].accepted;
        buf_fmt(out, "%s[%lld,%d]", i ? "," : "", (long long)items, sum);
    }
    buf_fmt(out, "],\"rounds\":%d,\"completions\":%lld,\"items\":%lld,\"seeds\":%d,\"accepted\":%d",
            g->rounds, (long long)g->completions, (long long)items, g->pool.n_seed, made);
    buf_fmt(out, ",\"accepted_before\":%d,\"tokens_per_accepted\":", g->made_before);
    json_put_num(out, now ? round(10.0 * (double)(prompt + generated) / now) / 10 : (double)NAN);
}
