/* reward.c - a reward model: a classifier of the last hidden state, behind a whole conversation. */
#include "reward.h"

#include "mem.h"

#include <math.h>
#include <stdlib.h>

enum { NINE = 9 }; // outputs of Nemotron's reward models

struct task {
    struct desk_item item;
    struct tok_ids ids;
    double score;
};

struct reward {
    struct axes_weights weights;
    struct axes_sums sums; // of one output: of the score alone
};

bool reward_outputs(const struct model *m, const float *hidden, double *out)
{
    bool finite = true;

    for (int i = 0; i < m->n_labels; i++) {
        const float *w = m->label + (size_t)i * (size_t)m->dim;
        double sum = 0;

        for (int k = 0; k < m->dim; k++)
            sum += (double)w[k] * (double)hidden[k];
        out[i] = sum + (m->label_bias ? (double)m->label_bias[i] : 0);
        finite = finite && isfinite(out[i]);
    }
    return finite;
}

static int labels(const struct score *g)
{
    return engine_model(g->ses.en)->n_labels;
}

static int start(struct score *g, void *task, struct err *e)
{
    struct task *t = task;
    struct engine_request q = {.pool = HIDDEN_LAST, .key = t->item.r.key, .user = t};
    char value[24], limit[24];
    const char *s;
    size_t n;
    int rc = score_check(g, &t->item, e);

    if (rc != 1)
        return rc;
    s = record_str(&t->item.r, g->field, &n);
    if (prompt_whole(&g->ses.pm, &t->item.r, s, n, &t->ids, e))
        return desk_reject(&g->desk, &t->item, "prompt", NULL, NULL, e);
    q.token = t->ids.id;
    q.n_token = (int)t->ids.n;
    if (!engine_submit(g->ses.en, &q, e))
        return 0;
    snprintf(value, sizeof(value), "%zu", t->ids.n);
    snprintf(limit, sizeof(limit), "%d", engine_ctx(g->ses.en));
    return desk_reject(&g->desk, &t->item, "context", value, limit, e);
}

static int take(struct score *g, const struct session_result *d, struct err *e)
{
    const struct model *m = engine_model(g->ses.en);
    struct reward *w = g->work;
    struct task *t = d->d.user;
    double out[NINE];

    if (d->rule || !reward_outputs(m, d->d.hidden, out)) {
        err_set(e, ERR_DATA, "the model gave no finite reward");
        return desk_reject(&g->desk, &t->item, "reward", NULL, NULL, e);
    }
    if (m->n_labels == 1) {
        t->score = out[0];
        record_set_num(&t->item.r, "score", axes_round(out[0]));
    } else {
        t->score = axes_score(&w->weights, out + m->n_labels - AXES);
        axes_put(&t->item.r, &w->weights, out + m->n_labels - AXES, NULL);
    }
    record_set_meta_str(&t->item.r, "model", session_model(&g->ses));
    t->item.done = true;
    return 0;
}

static void release(void *task)
{
    struct task *t = task;

    tok_ids_free(&t->ids);
}

static void count(struct score *g, void *task)
{
    struct reward *w = g->work;
    struct task *t = task;

    axes_count(&w->sums, &t->item.r);
    score_length(g, &t->item.r, t->score);
}

static void stats(const struct score *g, struct buf *out)
{
    const struct reward *w = g->work;

    axes_stats(&w->sums, labels(g) == 1, out);
}

static int open(struct score *g, struct buf *print, struct err *e)
{
    struct reward *w = g->work;
    char hex[33];
    int n;

    n = labels(g);
    if (!n)
        return err_set(
            e, ERR_ARG,
            "%s: no reward model: it has no tensor 'score.weight' or 'cls.output.weight'",
            g->model.path);
    if (n != 1 && n != AXES && n != NINE)
        return err_set(e, ERR_ARG, "%s: a classifier of %d outputs; 1, %d and %d mean something",
                       g->model.path, n, AXES, NINE);
    if (axes_weights(&w->weights, g->weights, e))
        return -1;
    hash_hex(w->weights.hash, hex);
    buf_fmt(print, "\"weights-are\":\"%s\"", hex);
    return 0;
}

static const char *const fields[] = {"messages", "conversations", "system", "instruction",
                                     "input",    "prompt",        "output", NULL};

const struct score_way reward_way = {
    .name = "reward",
    .fields = fields,
    .task = sizeof(struct task),
    .hidden = true,
    .work = sizeof(struct reward),
    .open = open,
    .start = start,
    .take = take,
    .count = count,
    .stats = stats,
    .release = release,
};
