/* beam.c - beam search: the hypotheses of one request. */
#include "beam.h"

#include "mem.h"
#include "num.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct beam_run {
    double sum;
    int node; // of its last token; -1: none yet
    int group;
    int n_offer;
};

struct beam_cand {
    double sum;
    int from;
    int32_t id;
};

/* Hypotheses share their beginnings: a token and the one before it. */
struct beam_node {
    int before;
    int32_t id;
};

static int per_group(const struct beam *b)
{
    return b->o.beams / b->o.groups;
}

/* Candidates of a group: as many as it needs if all that can end a hypothesis stand first. */
static int keep(const struct beam *b)
{
    return (b->o.n_end > 1 ? 1 + b->o.n_end : 2) * per_group(b);
}

int beam_want(const struct beam *b)
{
    return keep(b) + (b->o.diversity != 0 ? b->o.beams : 0); // so many may fall behind
}

void beam_open(struct beam *b, const struct beam_opt *o)
{
    size_t n = (size_t)o->beams, want;

    assert(o->groups > 0 && o->beams % o->groups == 0 && o->max_tokens > 0);
    *b = (struct beam){.o = *o, .n_running = 1};
    want = (size_t)beam_want(b);
    b->next = mem_zero(n, sizeof(*b->next));
    b->run = mem_zero(n, sizeof(*b->run));
    b->pool = mem_zero(n, sizeof(*b->pool));
    b->n_pool = mem_zero((size_t)o->groups, sizeof(*b->n_pool));
    b->done = mem_zero((size_t)o->groups, sizeof(*b->done));
    b->cand = mem_zero(n * want, sizeof(*b->cand));
    b->offer = mem_zero(n * want, sizeof(*b->offer));
    b->taken = mem_zero(n, sizeof(*b->taken));
    b->run[0].node = -1;
}

void beam_close(struct beam *b)
{
    free(b->next);
    free(b->run);
    free(b->pool);
    free(b->n_pool);
    free(b->done);
    free(b->cand);
    free(b->offer);
    free(b->taken);
    free(b->node);
    *b = (struct beam){0};
}

void beam_offer(struct beam *b, int i, const struct sample_top *top, int n)
{
    assert(i < b->n_running && n <= beam_want(b));
    if (n > 0)
        memcpy(b->offer + (size_t)i * (size_t)beam_want(b), top, (size_t)n * sizeof(*top));
    b->run[i].n_offer = n;
}

static int by_sum(const void *x, const void *y)
{
    const struct beam_cand *a = x, *c = y;

    if (a->sum != c->sum)
        return a->sum > c->sum ? -1 : 1;
    if (a->from != c->from)
        return a->from < c->from ? -1 : 1;
    return (a->id > c->id) - (a->id < c->id);
}

/* The candidates of a group, best first. */
static int candidates(struct beam *b, int group)
{
    int n = 0;

    for (int i = 0; i < b->n_running; i++) {
        const struct beam_run *r = &b->run[i];
        const struct sample_top *top = b->offer + (size_t)i * (size_t)beam_want(b);

        if (b->n_step > 1 && r->group != group)
            continue; // at the beginning there is one hypothesis for all
        if (r->n_offer == BEAM_WHOLE)
            b->cand[n++] = (struct beam_cand){r->sum, i, -1};
        for (int k = 0; k < r->n_offer; k++) {
            double x = (double)top[k].logprob;

            for (int t = 0; t < b->n_taken; t++)
                x -= b->taken[t] == top[k].id ? (double)b->o.diversity : 0;
            b->cand[n++] = (struct beam_cand){r->sum + x, i, top[k].id};
        }
    }
    qsort(b->cand, (size_t)n, sizeof(*b->cand), by_sum);
    return n < keep(b) ? n : keep(b);
}

static int node(struct beam *b, const struct beam_cand *c)
{
    mem_grow(&b->node, &b->cap_nodes, (size_t)b->n_nodes + 1, sizeof(*b->node));
    b->node[b->n_nodes] = (struct beam_node){b->run[c->from].node, c->id};
    return b->n_nodes++;
}

/* sum / length^penalty */
static double score(const struct beam *b, double sum, int length)
{
    return sum / num_exp_d((double)b->o.length_penalty * num_log_d((double)length));
}

static void finish(struct beam *b, int group, const struct beam_cand *c, bool ended)
{
    struct beam_hyp *pool = b->pool + group * per_group(b);
    int n = b->n_pool[group], i = n, length = b->n_step - (c->id < 0);
    struct beam_hyp h = {c->sum, 0, b->run[c->from].node, length, ended};

    if (length > 0)
        h.score = score(b, c->sum, length);

    while (i > 0 && pool[i - 1].score < h.score)
        i--;
    if (i == per_group(b))
        return;
    n = n < per_group(b) ? n + 1 : n;
    memmove(pool + i + 1, pool + i, (size_t)(n - 1 - i) * sizeof(*pool));
    if (c->id >= 0)
        h.node = node(b, c);
    pool[i] = h;
    b->n_pool[group] = n;
}

/* Whether a group is to go on, whose best running hypothesis has this sum. */
static bool goes_on(const struct beam *b, int group, double best)
{
    const struct beam_hyp *pool = b->pool + group * per_group(b);
    int n = per_group(b), length = b->n_step;

    if (b->n_pool[group] < n)
        return true;
    if (b->o.stop == BEAM_EARLY)
        return false;
    if (b->o.stop == BEAM_NEVER && b->o.length_penalty > 0)
        length = b->o.max_tokens;
    return score(b, best, length) > pool[n - 1].score;
}

int beam_advance(struct beam *b, bool (*ends)(void *ctx, int from, int32_t id), void *ctx)
{
    struct beam_run *run = mem_zero((size_t)b->o.beams, sizeof(*run));
    bool last = ++b->n_step >= b->o.max_tokens;
    int n_running = 0;

    b->n_taken = 0;
    for (int g = 0; g < b->o.groups; g++) {
        int n = b->done[g] ? 0 : candidates(b, g), first = n_running;

        for (int k = 0; k < n && n_running - first < per_group(b); k++) {
            const struct beam_cand *c = &b->cand[k];
            bool ended = c->id < 0 || ends(ctx, c->from, c->id);

            if ((ended || last) && k < per_group(b))
                finish(b, g, c, ended);
            if (!ended && (!last || k < per_group(b)))
                b->taken[b->n_taken++] = c->id;
            if (ended || last)
                continue;
            b->next[n_running] = (struct beam_next){c->from, c->id};
            run[n_running++] = (struct beam_run){c->sum, node(b, c), g, 0};
        }
        if (n_running == first || !goes_on(b, g, run[first].sum)) {
            b->done[g] = true;
            n_running = first;
        }
    }
    free(b->run);
    b->run = run;
    return b->n_running = n_running;
}

static int by_score(const void *x, const void *y)
{
    const struct beam_hyp *const *a = x, *const *c = y;

    if ((*a)->score != (*c)->score)
        return (*a)->score > (*c)->score ? -1 : 1;
    return *a < *c ? -1 : 1; // the lower group's
}

const struct beam_hyp *beam_best(const struct beam *b, int k)
{
    const struct beam_hyp **all = mem_new((size_t)b->o.beams * sizeof(*all)), *h;
    int n = 0;

    for (int g = 0; g < b->o.groups; g++)
        for (int i = 0; i < b->n_pool[g]; i++)
            all[n++] = &b->pool[g * per_group(b) + i];
    qsort(all, (size_t)n, sizeof(*all), by_score);
    h = k < n ? all[k] : NULL;
    free(all);
    return h;
}

void beam_tokens(const struct beam *b, const struct beam_hyp *h, int32_t *token)
{
    for (int i = h->n, at = h->node; i-- > 0; at = b->node[at].before)
        token[i] = b->node[at].id;
}
