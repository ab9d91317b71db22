/* sched.c - who runs in the next step, and with how many tokens.
 *
 * A step is planned whole before it is built: until then whoever is preempted drops
 * out of it. Pages that the step will write are noted for others at once where
 * nothing can take them back (chunks of prompts, planned oldest first), and at the end where
 * something can (single tokens, planned before them). */
#include "sched.h"

#include "mem.h"

#include <stdlib.h>

void sched_open(struct sched *s, struct kv *kv, int budget, int batch, int rows)
{
    *s = (struct sched){.kv = kv, .budget = budget, .most_rows = rows};
    step_init(&s->build, budget, rows, batch);
}

void sched_close(struct sched *s)
{
    step_free(&s->build);
    *s = (struct sched){0};
}

void sched_push(struct sched_seq *q, int32_t id)
{
    mem_grow(&q->token, &q->cap, (size_t)q->n + 1, sizeof(*q->token));
    q->want = q->n;
    q->token[q->n++] = id;
}

void sched_free(struct sched_seq *q, struct kv *kv)
{
    kv_release(kv, &q->kv);
    free(q->token);
    *q = (struct sched_seq){0};
}

/* Tokens that are to be computed. */
static int left(const struct sched_seq *q)
{
    return q->want < q->n ? q->n - q->kv.len : 0;
}

/* Take the pages of the youngest group behind sequence i. */
static bool preempt(struct sched *s, struct sched_seq *const *q, int n, int i)
{
    int k = n - 1;
    int64_t group;

    while (k > i && !q[k]->kv.n_pages)
        k--;
    group = q[k]->group;
    if (group == q[i]->group)
        return false;
    for (; q[k]->group == group; k--) {
        s->room += q[k]->plan;
        s->rows += q[k]->plan; // of a single token, the only kind planned before this
        q[k]->plan = 0;
        kv_release(s->kv, &q[k]->kv);
    }
    s->count.preemptions++;
    return true;
}

/* Give sequence i at most `most` tokens of the step. */
static void plan(struct sched *s, struct sched_seq *const *q, int n, int i, int most)
{
    struct sched_seq *x = q[i];
    int len = x->kv.len, k = left(x), rows;

    kv_leave(s->kv, &x->kv);
    if (s->build.whole && k > most)
        return; // a later step has room for all of it
    k = k < most ? k : most;
    if (x->want - len + s->rows < k) // rows of logits that are left
        k = x->want - len + s->rows;
    if (k <= 0)
        return;
    while (kv_reserve(s->kv, &x->kv, k))
        if (!preempt(s, q, n, i))
            return; // the older ones will go on, and end
    rows = len + k - x->want;
    x->plan = k;
    x->kv.len += k;
    s->room -= k;
    s->rows -= rows > 0 ? rows : 0;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The last k positions of the sequence are in the cache now. Returns how many were once before. */
static int64_t reach(struct sched *s, struct sched_seq *q, int k)
{
    int old = q->high, len = q->kv.len;

    if (len > old) {
        q->high = len;
        s->count.prompt += smaller(len, q->n_prompt) - smaller(old, q->n_prompt);
    }
    return old > len - k ? smaller(old - (len - k), k) : 0;
}

/* Are there pages for all that a sequence holds, and one for each that runs? Not so many for
 * another sequence of the oldest group: nothing behind it holds any when it begins again, and the
 * pool holds what a group can need, but no more. */
static bool fits(const struct sched *s, const struct sched_seq *q, int running, bool oldest)
{
    int64_t need = ((int64_t)q->n + 1 + BACKEND_PAGE - 1) / BACKEND_PAGE - q->kv.n_pages;
    int64_t most = kv_most_pages(s->kv->window, (int64_t)q->n + 1, s->budget);

    most -= q->kv.n_pages - q->kv.gone;
    need = need < most ? need : most;
    need += q->kv.len % BACKEND_PAGE != 0; // a copy
    return !running || need + (oldest ? 0 : running) <= s->kv->n_free;
}

/* Chunks of prompts, oldest first, while there is room. */
static void plan_prompts(struct sched *s, struct sched_seq *const *q, int n, int running)
{
    for (int i = 0; i < n && s->room > 0; i++) {
        struct sched_seq *x = q[i];
        int len = x->kv.len;
        bool begins = !x->kv.n_pages, wait;

        if (x->plan || !left(x))
            continue;
        wait = kv_match(s->kv, &x->kv, x->token, x->want); // the next step is better
        kv_leave(s->kv, &x->kv);
        if (begins && !fits(s, x, running, x->group == q[0]->group)) {
            kv_release(s->kv, &x->kv);
            return; // nobody overtakes it
        }
        running += begins;
        reach(s, x, x->kv.len - len);
        s->count.hits += x->kv.len - len;
        if (!wait)
            plan(s, q, n, i, s->room);
        if (!x->plan)
            continue;
        s->prefill = true;
        s->count.again += reach(s, x, x->plan);
        kv_note(s->kv, &x->kv, x->token, x->kv.len == x->n && x->plan > 1);
    }
}

static void build(struct sched *s, struct sched_seq *const *q, int n)
{
    s->unused = 0;
    for (int i = 0; i < n; i++) {
        struct sched_seq *x = q[i];
        int from = x->kv.len - x->plan, rows = x->kv.len - x->want;

        s->unused += (int64_t)x->kv.n_pages * BACKEND_PAGE - x->kv.len;
        if (!x->plan)
            continue;
        x->n_rows = rows > 0 ? rows : 0;
        x->row = step_add(&s->build, &x->kv, x->token + from, x->plan, from, x->n_rows);
        x->want += x->n_rows;
    }
}

const struct step *sched_step(struct sched *s, struct sched_seq *const *q, int n)
{
    int running = 0;

    step_reset(&s->build);
    s->room = s->budget;
    s->rows = s->most_rows;
    s->prefill = false;
    for (int i = 0; i < n; i++) {
        q[i]->plan = q[i]->n_rows = 0;
        running += q[i]->kv.n_pages > 0;
    }
    for (int i = 0; i < n && s->room > 0; i++)
        if (q[i]->kv.n_pages && left(q[i]) == 1)
            plan(s, q, n, i, 1);
    plan_prompts(s, q, n, running);
    for (int i = 0; i < n; i++)
        if (q[i]->plan == 1) {
            reach(s, q[i], 1);
            kv_note(s->kv, &q[i]->kv, q[i]->token, false);
        }
    build(s, q, n);
    s->held = s->kv->pages.n_pages - s->kv->n_free;
    s->count.peak_pages = s->held > s->count.peak_pages ? s->held : s->count.peak_pages;
    return s->build.s.n ? step_done(&s->build) : NULL;
}

void sched_done(struct sched *s, double seconds)
{
    kv_written(s->kv);
    s->count.steps++;
    *(s->prefill ? &s->count.prefill_seconds : &s->count.decode_seconds) += seconds;
    s->count.page_seconds += seconds * (double)s->held * BACKEND_PAGE;
    s->count.unused_seconds += seconds * (double)s->unused;
}
