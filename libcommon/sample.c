/* sample.c - a token out of logits: penalties, truncation, keyed noise. */
#include "sample.h"

#include "mem.h"
#include "num.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define IN_PROMPT 0x80000000u

enum { NOISE_MAX = 24 }; // Gumbel noise of 32 bits stays below 23

struct sample_cand {
    float x; // logit / T
    int32_t id;
};

void sample_free(struct sample_work *w)
{
    free(w->cand);
    free(w->logit);
    *w = (struct sample_work){0};
}

void sample_seen_free(struct sample_seen *s)
{
    free(s->count);
    *s = (struct sample_seen){0};
}

int sample_penalized(const struct sample_opt *o)
{
    return o->repeat_penalty != 1 || o->presence_penalty != 0 || o->frequency_penalty != 0;
}

void sample_see(struct sample_seen *s, int n_vocab, int32_t id, int in_prompt)
{
    if (!s->count)
        s->count = mem_zero((size_t)n_vocab, sizeof(*s->count));
    if (in_prompt)
        s->count[id] |= IN_PROMPT;
    else
        s->count[id]++;
}

static void room(struct sample_work *w, int n)
{
    if (w->cap >= n)
        return;
    free(w->cand);
    free(w->logit);
    w->cand = mem_zero((size_t)n, sizeof(*w->cand));
    w->logit = mem_zero((size_t)n, sizeof(*w->logit));
    w->cap = n;
}

/* Likelier first; ties to the lower id: a total order, so that every set cut
 * from it is the same however the cutting is done. */
static int before(const struct sample_cand *a, const struct sample_cand *b)
{
    return a->x > b->x || (a->x == b->x && a->id < b->id);
}

static int compare(const void *a, const void *b)
{
    return before(a, b) ? -1 : before(b, a);
}

/* Move the m first of n candidates (in the order of `before`) to the front, unsorted. */
static void select_front(struct sample_cand *c, int n, int m)
{
    int lo = 0, hi = n - 1;

    while (lo < hi) {
        struct sample_cand pivot = c[lo + (hi - lo) / 2], t;
        int i = lo, j = hi;

        while (i <= j) {
            while (before(&c[i], &pivot))
                i++;
            while (before(&pivot, &c[j]))
                j--;
            if (i <= j) {
                t = c[i];
                c[i++] = c[j];
                c[j--] = t;
            }
        }
        if (m - 1 <= j)
            hi = j;
        else if (m - 1 >= i)
            lo = i;
        else
            return;
    }
}

/* Sort the first m of n candidates to the front. */
static void sort_front(struct sample_cand *c, int n, int m)
{
    if (m < n)
        select_front(c, n, m);
    qsort(c, (size_t)(m < n ? m : n), sizeof(*c), compare);
}

static double mass(const struct sample_cand *c, int n, float max)
{
    double sum = 0;

    for (int i = 0; i < n; i++)
        sum += (double)num_exp(c[i].x - max);
    return sum;
}

/* Keep the shortest sorted prefix whose mass reaches p: sort ever longer
 * fronts, since a handful of tokens mostly suffices. */
static int cut_top_p(struct sample_cand *c, int n, float p)
{
    double want, sum = 0;
    float max = c[0].x;
    int sorted = 0;

    for (int i = 1; i < n; i++)
        max = c[i].x > max ? c[i].x : max;
    /* The total is summed in id order, which no cut before has disturbed when top-k is
     * off, and over the sorted set otherwise: one order for one input. */
    want = (double)p * mass(c, n, max);
    for (int i = 0; i < n; i++) {
        if (i == sorted) {
            int m = sorted ? sorted * 8 : 64;

            m = m < n ? m : n;
            sort_front(c + sorted, n - sorted, m - sorted);
            sorted = m;
        }
        sum += (double)num_exp(c[i].x - max);
        if (sum >= want)
            return i + 1;
    }
    return n;
}

static int cut_min_p(struct sample_cand *c, int n, float min_p)
{
    float max = c[0].x;
    int kept = 0;

    for (int i = 1; i < n; i++)
        max = c[i].x > max ? c[i].x : max;
    for (int i = 0; i < n; i++)
        if (num_exp(c[i].x - max) >= min_p)
            c[kept++] = c[i];
    return kept;
}

static float penalize(const struct sample_opt *o, float x, uint32_t count)
{
    uint32_t times = count & ~IN_PROMPT;

    if (!count)
        return x;
    x = x > 0 ? x / o->repeat_penalty : x * o->repeat_penalty;
    if (times)
        x -= o->presence_penalty + o->frequency_penalty * (float)times;
    return x;
}

/* The finite logits of allowed tokens with their penalties; returns how many. */
static int collect(struct sample_work *w, const struct sample_opt *o,
                   const struct sample_seen *seen, const uint64_t *allow, const float *logit,
                   int n_vocab)
{
    const uint32_t *count = seen && sample_penalized(o) ? seen->count : NULL;
    int n = 0;

    for (int i = 0; i < n_vocab; i++) {
        uint64_t bits = allow ? allow[i / 64] >> (i % 64) : 1;
        float x;

        if (!bits) { // masks are mostly empty
            i |= 63;
            continue;
        }
        if (!(bits & 1))
            continue;
        x = count ? penalize(o, logit[i], count[i]) : logit[i];

        if (x > -INFINITY && x < INFINITY)
            w->cand[n++] = (struct sample_cand){x, i};
    }
    return n;
}

static int32_t best(const struct sample_cand *c, int n)
{
    const struct sample_cand *b = c;

    for (int i = 1; i < n; i++)
        if (before(&c[i], b))
            b = &c[i];
    return b->id;
}

/* Bits below floor_bits[d] give noise below d for sure: most candidates are far
 * below the best so far, and this spares them two logarithms. exp(-exp(-d)) 2^32,
 * lowered by more than the error of num_exp. */
static void noise_floors(uint32_t floor_bits[NOISE_MAX + 1])
{
    for (int d = 0; d <= NOISE_MAX; d++) {
        double u = (double)num_exp(-num_exp(-(float)d)) * (1 - 1e-6);

        floor_bits[d] = (uint32_t)(u * 4294967295.0);
    }
}

/* Argmax of x + noise[id]; the bits come four ids at a time. */
static int32_t draw(const struct sample_cand *c, int n, const struct rng *r, int64_t pos)
{
    struct sample_cand top = {-INFINITY, -1};
    uint32_t have = UINT32_MAX, bits[4] = {0}, floor_bits[NOISE_MAX + 1];

    noise_floors(floor_bits);
    for (int i = 0; i < n; i++) {
        uint32_t quad = (uint32_t)c[i].id / 4, b;
        float d = top.x - c[i].x; // noise below d loses
        struct sample_cand y;

        if (d > NOISE_MAX)
            continue;
        if (quad != have)
            rng_quad(r, (uint64_t)pos, have = quad, bits);
        b = bits[c[i].id % 4];
        if (d >= 1 && b < floor_bits[(int)d])
            continue;
        y = (struct sample_cand){c[i].x + rng_gumbel(b), c[i].id};
        if (top.id < 0 || before(&y, &top))
            top = y;
    }
    return top.id;
}

int32_t sample_draw(struct sample_work *w, const struct sample_opt *o,
                    const struct sample_seen *seen, const uint64_t *allow, const struct rng *r,
                    const float *logit, int n_vocab, int64_t pos)
{
    struct sample_cand *c;
    int n;

    room(w, n_vocab);
    c = w->cand;
    n = collect(w, o, seen, allow, logit, n_vocab);
    if (!n)
        return -1;
    if (o->temp <= 0)
        return best(c, n);
    for (int i = 0; i < n; i++)
        c[i].x /= o->temp;
    if (o->top_k > 0 && o->top_k < n) {
        sort_front(c, n, o->top_k);
        n = o->top_k;
    }
    if (o->top_p < 1)
        n = cut_top_p(c, n, o->top_p);
    if (o->min_p > 0)
        n = cut_min_p(c, n, o->min_p);
    return draw(c, n, r, pos);
}

/* log(sum(exp(logit))) over the numbers among the logits, in id order. */
static double log_sum(const float *logit, int n_vocab, float *max_out)
{
    float max = -INFINITY;
    double sum = 0;

    for (int i = 0; i < n_vocab; i++)
        max = logit[i] > max ? logit[i] : max;
    for (int i = 0; i < n_vocab; i++)
        if (logit[i] > -INFINITY)
            sum += (double)num_exp(logit[i] - max);
    *max_out = max;
    return sum > 0 ? num_log_d(sum) : 0;
}

float sample_logprob(const float *logit, int n_vocab, int32_t id)
{
    float max;
    double l = log_sum(logit, n_vocab, &max);

    return (float)((double)(logit[id] - max) - l);
}

void sample_tops(struct sample_work *w, const float *logit, int n_vocab, struct sample_top *top,
                 int n)
{
    const struct sample_opt plain = {.repeat_penalty = 1};
    float max;
    double l = log_sum(logit, n_vocab, &max);
    int m;

    room(w, n_vocab);
    m = collect(w, &plain, NULL, NULL, logit, n_vocab);
    sort_front(w->cand, m, n);
    for (int i = 0; i < n; i++)
        top[i] = i < m
                     ? (struct sample_top){w->cand[i].id, (float)((double)(w->cand[i].x - max) - l)}
                     : (struct sample_top){-1, -INFINITY};
}

int sample_choice(const float *logit, const int32_t *choice, int n, float *p)
{
    int top = 0;
    float sum = 0;

    for (int i = 1; i < n; i++)
        if (logit[choice[i]] > logit[choice[top]])
            top = i;
    for (int i = 0; i < n; i++)
        sum += p[i] = num_exp(logit[choice[i]] - logit[choice[top]]);
    for (int i = 0; i < n; i++)
        p[i] /= sum;
    return top;
}
