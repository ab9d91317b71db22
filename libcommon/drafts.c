/* drafts.c - the prompts of a round of new tasks, and what the model wrote for each. */
#include "drafts.h"

#include "json.h"
#include "mem.h"

#include <stdlib.h>
#include <string.h>

static const char stage[] = "llm-selfinstruct"; // in keys: other stages draw other noise

void drafts_free(struct draft *a, int n)
{
    for (int i = 0; i < n; i++) {
        recipe_call_free(&a[i].call);
        buf_free(&a[i].parents);
        free(a[i].text);
    }
}

/* Choose what a prompt shows, and for whom it is. */
static void choose(const struct drafts *d, int round, int prompt, int n, struct draft *a)
{
    struct hash128 h = hash_bytes(stage, sizeof(stage));
    struct rng rng = rng_stream(d->seed, h.hi, h.lo);

    *a = (struct draft){0};
    if (d->form != LISTING_ONE)
        a->n_shown = pool_draw(d->pool, &rng, (uint64_t)round << 20 | (uint64_t)prompt, d->examples,
                               d->generated, a->shown);
    h = hash_add(h, "persona", 7);
    rng = rng_stream(d->seed, h.hi, h.lo);
    if (d->personas)
        a->persona = personas_take(d->personas, &rng, (int64_t)(round - 1) * n + prompt);
}

static int build(const struct drafts *d, int round, int prompt, struct draft *a, struct err *e)
{
    struct hash128 key = hash_bytes(stage, sizeof(stage));
    const char *who = a->persona ? a->persona->text : NULL;
    int place[2] = {round, prompt}, rc;
    struct buf list = {0}, next = {0}, end = {0};

    buf_reset(&a->parents);
    buf_char(&a->parents, '[');
    for (int i = 0; i < a->n_shown; i++) {
        const struct pool_entry *x = &d->pool->entry[a->shown[i]];

        listing_put(d->form, i + 1, x->text, x->n, x->output, &list);
        buf_str(&a->parents, i ? "," : "");
        json_put_str(&a->parents, x->id, strlen(x->id));
    }
    buf_char(&a->parents, ']');
    buf_fmt(&next, "%d", a->n_shown + 1);
    buf_fmt(&end, "%d", a->n_shown + 1 + d->asked);
    key = hash_add(key, place, sizeof(place));
    {
        const struct prompt_var v[] = {{"tasks", buf_cstr(&list), list.n},
                                       {"next", next.p, next.n},
                                       {"end", end.p, end.n},
                                       {"persona", who, who ? strlen(who) : 0},
                                       {"classification", d->classification ? "yes" : NULL, 3}};

        rc = d->form == LISTING_ONE
                 ? recipe_turn(&a->call, d->recipe, d->calls.ses, v, 5, d->seed, key, e)
                 : recipe_call(&a->call, d->recipe, &d->recipe->prompt, d->calls.ses, v, 5, d->seed,
                               key, e);
    }
    buf_free(&list);
    buf_free(&next);
    buf_free(&end);
    return rc;
}

/* Leave the longest example out, of equal ones the last. */
static void shorten(const struct drafts *d, struct draft *a)
{
    size_t most = 0;
    int at = 0;

    for (int i = 0; i < a->n_shown; i++) {
        const struct pool_entry *x = &d->pool->entry[a->shown[i]];
        size_t n = x->n + strlen(x->output);

        at = n >= most ? i : at;
        most = n >= most ? n : most;
    }
    a->n_shown--;
    for (int i = at; i < a->n_shown; i++)
        a->shown[i] = a->shown[i + 1];
}

/* Prompt number `prompt` of n; examples that do not fit into the context are left out. */
static int prepare(const struct drafts *d, int round, int prompt, int n, struct draft *a,
                   struct err *e)
{
    choose(d, round, prompt, n, a);
    while (build(d, round, prompt, a, e)) {
        bool long_prompt = a->call.q.n_token > 0;

        recipe_call_free(&a->call);
        if (!long_prompt || a->n_shown < 2)
            return -1;
        shorten(d, a);
    }
    return 0;
}

static void keep(void *with, int i, const struct session_result *d)
{
    struct draft *a = (struct draft *)with + i;

    if (d->rule) {
        a->rule = d->rule;
        a->text = mem_dup(d->why, strlen(d->why));
        return;
    }
    a->text = mem_dup(d->d.text, d->d.n_text);
    a->n = d->d.n_text;
    a->cut = d->d.finish == ENGINE_LENGTH;
}

int drafts_make(const struct drafts *d, int round, struct draft *a, int n, struct err *e)
{
    struct recipe_call **call = mem_zero((size_t)n, sizeof(*call));
    int rc = 0;

    for (int i = 0; i < n && !rc; i++) {
        rc = prepare(d, round, i, n, &a[i], e);
        call[i] = &a[i].call;
    }
    if (!rc)
        rc = calls_run(&d->calls, call, n, keep, a, e);
    free(call);
    return rc;
}
