/* grade.c - a judge: a rubric's axes for each answer, read from the judge's own prompt. */
#include "grade.h"

#include "mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const digits[] = {"0", "1", "2", "3", "4"};
static const char *const given[] = {"instruction", "input", "output", "reference"};
static const struct quiz_form form = {axes_names, AXES, digits, 5, given, 4};

enum state { ANSWERED, JUDGED, AGAIN }; // what is waited for

struct task {
    struct desk_item item;
    enum state state;
    struct session_prompt prompt; // of the reference answer
    char *ref;                    // (n_ref) the reference answer, or NULL
    size_t n_ref;
    struct quiz_ask ask;
    double mean[AXES], var[AXES];
};

/* The state of a run. */
struct grade {
    struct axes_weights weights;
    struct quiz judge, again;
    struct axes_sums sums;
    struct corr agree; // score against the score read again
    double apart;      // sum of their differences' sizes
};

static int reject(struct score *g, struct task *t, const struct quiz_why *why, struct err *e)
{
    return desk_reject(&g->desk, &t->item, why->rule, why->value, why->limit, e);
}

static int submit_judge(struct score *g, struct task *t, const struct quiz *q, enum state state,
                        struct err *e)
{
    struct record *r = &t->item.r;
    struct quiz_ask *a = &t->ask;
    struct quiz_why why;

    quiz_ask_free(a);
    *a = (struct quiz_ask){.key = r->key, .user = t};
    a->text[0] = score_instruction(r, &a->n_text[0]);
    a->text[1] = record_str(r, "input", &a->n_text[1]);
    a->text[2] = record_str(r, g->field, &a->n_text[2]);
    a->text[3] = t->ref;
    a->n_text[3] = t->n_ref;
    t->state = state;
    return quiz_submit(q, a, &g->ses, &why, e) ? reject(g, t, &why, e) : 0;
}

/* Ask the model itself for a greedy answer, to which the record's will be held. */
static int submit_answer(struct score *g, struct task *t, struct err *e)
{
    struct cli_sample o = cli_sample_default;
    struct engine_request q;

    o.temp = 0;
    o.max_tokens = g->max_tokens;
    q = session_request(&o, g->io.seed);
    q.key = t->item.r.key;
    q.user = t;
    t->state = ANSWERED;
    if (session_record(&g->ses, &t->item.r, &t->prompt, e))
        return desk_reject(&g->desk, &t->item, "prompt", NULL, NULL, e);
    q.trim = session_trims(&g->ses, t->prompt.templated);
    if (session_submit(&g->ses, &q, &t->prompt, e))
        return desk_reject(&g->desk, &t->item, "context", NULL, NULL, e);
    return 0;
}

static int start(struct score *g, void *task, struct err *e)
{
    struct grade *w = g->work;
    struct task *t = task;
    const char *text;
    size_t n;
    int rc = score_check(g, &t->item, e);

    if (rc != 1)
        return rc;
    if (g->reference && !strcmp(g->reference, "self"))
        return submit_answer(g, t, e);
    text = score_reference(g, &t->item.r, &n);
    if (text) {
        t->ref = mem_dup(text, n);
        t->n_ref = n;
    }
    return submit_judge(g, t, &w->judge, JUDGED, e);
}

/* What was read, by axis. */
static void moments(const struct quiz *q, const struct task *t, double *mean, double *var)
{
    for (int a = 0; a < AXES; a++)
        quiz_moments(q, t->ask.p[a], &mean[a], &var[a]);
}

/* The judge has spoken a second time: only the counts hear it. */
static void compare(struct grade *w, struct task *t)
{
    double mean[AXES], var[AXES], once = axes_score(&w->weights, t->mean), again;

    moments(&w->again, t, mean, var);
    again = axes_score(&w->weights, mean);
    corr_add(&w->agree, once, again);
    w->apart += fabs(once - again);
}

static int take_score(struct score *g, struct task *t, const struct session_result *d,
                      struct err *e)
{
    struct grade *w = g->work;
    struct quiz_why why;
    int rc = quiz_take(t->state == AGAIN ? &w->again : &w->judge, &t->ask, &g->ses, d, &why, e);

    if (rc < 0)
        return reject(g, t, &why, e);
    if (!rc)
        return 0;
    if (t->state == AGAIN) {
        compare(w, t);
    } else {
        moments(&w->judge, t, t->mean, t->var);
        if (g->again)
            return submit_judge(g, t, &w->again, AGAIN, e);
    }
    axes_put(&t->item.r, &w->weights, t->mean, t->var);
    if (t->ref)
        record_set_meta_str(&t->item.r, "reference", g->reference);
    t->item.done = true;
    return 0;
}

static int take(struct score *g, const struct session_result *d, struct err *e)
{
    struct grade *w = g->work;
    struct task *t = d->d.user;

    if (t->state != ANSWERED)
        return take_score(g, t, d, e);
    if (d->rule) {
        err_set(e, ERR_DATA, "%s", d->why);
        return desk_reject(&g->desk, &t->item, d->rule, NULL, NULL, e);
    }
    t->ref = mem_dup(d->d.text, d->d.n_text);
    t->n_ref = d->d.n_text;
    return submit_judge(g, t, &w->judge, JUDGED, e);
}

static void release(void *task)
{
    struct task *t = task;

    quiz_ask_free(&t->ask);
    session_prompt_free(&t->prompt);
    free(t->ref);
}

static void count(struct score *g, void *task)
{
    struct grade *w = g->work;
    struct task *t = task;

    axes_count(&w->sums, &t->item.r);
    score_length(g, &t->item.r, axes_score(&w->weights, t->mean));
}

static void stats(const struct score *g, struct buf *out)
{
    const struct grade *w = g->work;
    const size_t n = w->agree.n;

    axes_stats(&w->sums, false, out);
    if (!g->again)
        return;
    buf_str(out, ",\"self_agreement\":{\"spearman\":");
    json_put_num(out, axes_round(corr_spearman(&w->agree)));
    buf_str(out, ",\"difference\":");
    json_put_num(out, axes_round(n ? w->apart / (double)n : 0));
    buf_char(out, '}');
}

static int open_again(struct score *g, struct buf *print, struct err *e)
{
    struct grade *w = g->work;
    bool turned = !strcmp(g->again, "reversed");

    if (!g->io.stats)
        return err_set(e, ERR_ARG, "--again: what it finds goes to --stats, which is not given");
    if (quiz_open(&w->again, &form, turned ? g->prompts : g->again, "judge", turned, e) ||
        (g->ses.en && quiz_check(&w->again, &g->ses, e)))
        return err_wrap(e, "--again");
    (void)print; // the records do not depend on it
    return 0;
}

static int open(struct score *g, struct buf *print, struct err *e)
{
    struct grade *w = g->work;
    char hex[33];

    if (axes_weights(&w->weights, g->weights, e) ||
        quiz_open(&w->judge, &form, g->prompts, "judge", false, e) ||
        (g->ses.en && quiz_check(&w->judge, &g->ses, e)))
        return -1;
    recipe_print(&w->judge.recipe, print);
    hash_hex(w->weights.hash, hex);
    buf_fmt(print, ",\"weights-are\":\"%s\"", hex);
    return g->again ? open_again(g, print, e) : 0;
}

static void close(struct score *g)
{
    struct grade *w = g->work;

    quiz_close(&w->judge);
    quiz_close(&w->again);
    corr_free(&w->agree);
}

static const char *const fields[] = {"messages", "conversations", "system", "instruction",
                                     "input",    "prompt",        "output", NULL};

const struct score_way grade_way = {
    .name = "judge",
    .fields = fields,
    .task = sizeof(struct task),
    .work = sizeof(struct grade),
    .open = open,
    .close = close,
    .start = start,
    .take = take,
    .count = count,
    .stats = stats,
    .release = release,
};
