/* rows.c - the rows of a step: in host memory, or on a device that is asked about them. */
#include "rows.h"

#include "mem.h"

#include <assert.h>
#include <stdlib.h>

void rows_open(struct rows *r, struct runner *run)
{
    *r = (struct rows){.run = run, .work.rank.backend = run->host};
}

static void drop(struct rows *r)
{
    free(r->ask);
    free(r->pick);
    free(r->whole);
}

void rows_close(struct rows *r)
{
    drop(r);
    sample_free(&r->work);
    *r = (struct rows){0};
}

static bool picks(const struct rows *r)
{
    return r->run->backend->ops->pick && !r->run->o.hidden;
}

static void room(struct rows *r, int n)
{
    if (r->cap >= n)
        return;
    drop(r);
    r->ask = mem_new((size_t)n * sizeof(*r->ask));
    r->pick = mem_new((size_t)n * sizeof(*r->pick));
    r->whole = mem_new((size_t)n * sizeof(*r->whole));
    r->cap = n;
}

int rows_step(struct rows *r, const struct step *s, struct err *e)
{
    r->host = NULL;
    r->n = s->n_out;
    if (runner_step(r->run, s, e))
        return -1;
    if (picks(r)) {
        room(r, r->n);
        for (int i = 0; i < r->n; i++)
            r->whole[i] = true;
        return 0;
    }
    r->host = runner_rows(r->run, 0, r->n, e);
    return r->host ? 0 : -1;
}

struct pick_ask *rows_ask(struct rows *r, int row)
{
    if (r->host)
        return NULL;
    assert(row >= 0 && row < r->n);
    r->whole[row] = false;
    r->ask[row] = (struct pick_ask){.row = row, .n = 1};
    return &r->ask[row];
}

void rows_want(struct rows *r, int row)
{
    if (!r->host)
        r->whole[row] = true;
}

int rows_go(struct rows *r, struct err *e)
{
    struct backend *b = r->run->backend;

    for (int i = 0, end; i < r->n && !r->host; i = end) { // runs of rows that are asked about
        end = i + 1;
        if (r->whole[i])
            continue;
        while (end < r->n && !r->whole[end])
            end++;
        if (b->ops->pick(b, r->run->act.logits_d, r->run->width, r->ask + i, end - i, r->pick + i,
                         e))
            return -1;
    }
    return 0;
}

const float *rows_at(struct rows *r, int row)
{
    if (r->host)
        return r->host + (size_t)row * (size_t)r->run->width;
    if (r->whole[row])
        return rows_fetch(r, row);
    r->work.ask = &r->ask[row];
    r->work.pick = &r->pick[row];
    return NULL;
}

const float *rows_fetch(struct rows *r, int row)
{
    return runner_rows(r->run, row, 1, &r->failed);
}

static bool failed(const struct rows *r)
{
    return r->failed.code != ERR_NONE;
}

/* Whether what came of an answer must come of the row, which is fetched then. */
static bool again(struct rows *r, int row, const float **logit)
{
    if (*logit || !r->work.rank.lacks)
        return false;
    *logit = rows_fetch(r, row);
    return *logit != NULL;
}

int32_t rows_draw(struct rows *r, int row, const struct sample_opt *o, struct sample_seq *seq,
                  const uint64_t *allow, const struct rng *noise, int64_t pos)
{
    const float *logit = rows_at(r, row);
    int32_t id;

    if (failed(r))
        return -1;
    do
        id = sample_draw(&r->work, o, seq, allow, noise, logit, r->run->width, pos);
    while (again(r, row, &logit));
    return id;
}

float rows_logprobs(struct rows *r, int row, int32_t id, struct sample_top *top, int n)
{
    const float *logit = rows_at(r, row);
    float p;

    if (failed(r))
        return 0;
    do
        p = sample_logprobs(&r->work, logit, r->run->width, id, top, n);
    while (again(r, row, &logit));
    return p;
}

int rows_choice(struct rows *r, int row, const int32_t *choice, int n, float *p)
{
    int32_t in_order[PICK_IDS];
    const float *logit = rows_at(r, row);

    if (failed(r))
        return 0;
    if (logit)
        return sample_choice(logit, choice, n, p);
    for (int i = 0; i < PICK_IDS; i++)
        in_order[i] = i;
    return sample_choice(r->work.pick->x, in_order, n, p);
}
