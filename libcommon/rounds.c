/* rounds.c - the rounds of new tasks: what the model writes, its instances, what is new. */
#include "rounds.h"

#include "mem.h"
#include "origin.h"
#include "past.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BARREN = 20 }; // rounds in a row that give nothing: the model has no more

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
    origin_derive(r, bootstrap_stage, g->io->seed, p, from->parents.p, from->parents.n);
    if (t) {
        record_set_str(r, "instruction", buf_cstr(&t->inst), t->inst.n);
        if (t->input.n)
            record_set_str(r, "input", t->input.p, t->input.n);
    }
    buf_fmt(&b, "{\"source\":\"%s\"", bootstrap_source);
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

    listing_take(bootstrap_form(g), item, &g->task);
    rule = tasks_broken(&g->rules, &g->task, item->truncated, &value, &limit);
    if (!rule)
        rule = pool_known(&g->pool, &g->task.fold, g->o.rouge, &near, &value, &limit);
    fill_record(g, p, from, &g->task, near.index < 0 ? NULL : &near, &r);
    bootstrap_curve(g, p->round)->items++;
    *passed = !rule;
    if (rule) {
        rc = put(g, &r, p->round, rule, &value, &limit, NULL, e);
    } else {
        bootstrap_add(g, &g->task, r.id, p->round, false);
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
            n = listing_split(bootstrap_form(g), a[i].text, a[i].n, a[i].n_shown + 1, a[i].cut,
                              item);
        }
        for (p.item = 0; p.item < n && bootstrap_made(g) < g->o.count; p.item++) {
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
        q[i].key = hash_add(hash_bytes(bootstrap_stage, strlen(bootstrap_stage) + 1), place,
                            sizeof(place));
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
        origin_derive(&r, bootstrap_stage, g->io->seed, &p, parents->p, parents->n);
        bootstrap_add(g, &c[i].task, r.id, p.round, false);
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
                             .form = bootstrap_form(g),
                             .classification = g->o.classification,
                             .examples = g->o.examples,
                             .generated = g->o.generated,
                             .asked = g->asked,
                             .seed = g->io->seed};
    struct draft *a = mem_zero((size_t)g->o.per_round, sizeof(*a));
    struct candidate *c = NULL;
    int n = 0, before = g->pool.n, rc = drafts_make(&d, round, a, g->o.per_round, e);

    bootstrap_curve(g, round);
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
    bootstrap_curve(g, round)->accepted = g->pool.n - before;
    free(c);
    drafts_free(a, g->o.per_round);
    free(a);
    return rc;
}

/* ---- the whole ---- */

static int go_round(struct bootstrap *g, struct err *e)
{
    int round = g->past_round ? g->past_round : 1;
    int fruitful = bootstrap_made(g) ? g->pool.entry[g->pool.n - 1].round : 0;

    for (; bootstrap_made(g) < g->o.count && round <= g->o.max_rounds; round++) {
        int before = bootstrap_made(g), rc;

        if (round - fruitful > BARREN) {
            cli_warn(g->cli, "%d rounds gave nothing new", BARREN);
            break;
        }
        rc = run_round(g, round, e);
        if (rc != 1)
            return rc;
        kept_clear(&g->kept);
        g->rounds++;
        if (bootstrap_made(g) > before)
            fruitful = round;
        cli_note(g->cli, "round %d: %d items, %d accepted, %d of %d made", round,
                 bootstrap_curve(g, round)->items, bootstrap_made(g) - before, bootstrap_made(g),
                 g->o.count);
    }
    if (bootstrap_made(g) < g->o.count)
        cli_warn(g->cli, "%d of %d records after %d rounds", bootstrap_made(g), g->o.count,
                 round - 1);
    return 1;
}

int rounds_run(struct bootstrap *g, struct err *e)
{
    int rc;

    if (bootstrap_fill(g, e))
        return -1;
    cli_progress_begin(&g->progress, g->cli);
    rc = stream_stopped(g->s) ? 0 : go_round(g, e);
    cli_progress_end(&g->progress);
    kept_close(&g->kept, rc == 1);
    if (!rc)
        stream_unfinished(g->s);
    return rc;
}

void rounds_stats(const struct bootstrap *g, struct buf *out)
{
    int made = bootstrap_made(g), now = made - g->made_before, sum = 0;
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
