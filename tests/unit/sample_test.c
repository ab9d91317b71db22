/* sample_test.c - the sampler against distributions worked out naively. */
#include "sample.h"
#include "test.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { V = 1000 };

static struct backend *cpu;
static const struct sample_opt plain = {.temp = 1, .top_p = 1, .repeat_penalty = 1};

static void fill(float *x, int n, uint64_t seed, float spread)
{
    struct rng r = rng_stream(seed, 1, 1);

    for (int i = 0; i < n; i++)
        x[i] = spread * (float)(rng_unit(&r, (uint64_t)i, 0) - 0.5);
}

/* The set that a naive reading of the options keeps: kept[i] and probabilities p[i]. */
static void naive(const struct sample_opt *o, const float *logit, int n, double *p, int *kept)
{
    int order[V];
    double sum = 0, cum = 0, top;

    for (int i = 0; i < n; i++) {
        order[i] = i;
        kept[i] = 1;
        p[i] = exp((double)(logit[i] / o->temp));
    }
    for (int i = 1; i < n; i++) // insertion sort, stable: ties to the lower id
        for (int k = i; k && p[order[k]] > p[order[k - 1]]; k--) {
            int t = order[k];

            order[k] = order[k - 1];
            order[k - 1] = t;
        }
    for (int i = o->top_k ? o->top_k : n; i < n; i++)
        kept[order[i]] = 0;
    for (int i = 0; i < n; i++)
        sum += kept[i] ? p[i] : 0;
    for (int i = 0; i < n; i++) {
        if (cum >= (double)o->top_p * sum && i)
            kept[order[i]] = 0;
        if (kept[order[i]])
            cum += p[order[i]];
    }
    top = p[order[0]];
    for (int i = 0; i < n; i++)
        if (p[i] < (double)o->min_p * top)
            kept[i] = 0;
}

/* Draw many times: only kept tokens come, about as often as they should. */
static void draws(const char *name, struct sample_opt o, float spread, int n)
{
    struct sample_work w = {.rank.backend = cpu};
    float logit[V];
    double p[V], sum = 0;
    int kept[V], hits[V] = {0}, many = 20000;

    TEST(name);
    fill(logit, n, 5, spread);
    naive(&o, logit, n, p, kept);
    for (int i = 0; i < n; i++)
        sum += kept[i] ? p[i] : 0;
    for (int t = 0; t < many; t++) {
        struct rng r = rng_stream(3, 0, 0);
        int32_t id = sample_draw(&w, &o, NULL, NULL, &r, logit, n, t);

        CHECK(id >= 0 && id < n && kept[id]);
        hits[id]++;
    }
    for (int i = 0; i < n; i++) {
        double want = kept[i] ? p[i] / sum * many : 0;

        CHECK(fabs(hits[i] - want) <= 5 * sqrt(want) + 5);
    }
    sample_free(&w);
}

/* A flat row, where top-p keeps many: exactly those of the naive reading, in the order of their
 * ids, and never one that is not there. */
static void flat(void)
{
    static const float temps[] = {0.6f, 1, 1.7f}, ps[] = {0.3f, 0.8f, 0.97f, 0.99999f};
    struct sample_work w = {.rank.backend = cpu};
    struct sample_opt o = plain;
    float logit[V];
    double p[V];
    int kept[V];

    TEST("top-p of a flat row keeps what it should, in order, and nothing of -infinity or NaN");
    fill(logit, V, 9, 5);
    for (int i = 0; i < V; i += 37)
        logit[i] = i % 2 ? -INFINITY : -90;
    for (size_t k = 0; k < 12; k++) {
        int n = 0;

        o.temp = temps[k % 3];
        o.top_p = ps[k / 3];
        logit[74] = -INFINITY;
        naive(&o, logit, V, p, kept);
        logit[74] = k % 2 ? NAN : -INFINITY;
        CHECK(sample_keep(&w, &o, NULL, NULL, logit, V) && w.rank.listed);
        for (int i = 0; i < V; i++)
            kept[i] = kept[i] && logit[i] > -INFINITY;
        for (int i = 0; i < V; i++)
            n += kept[i];
        CHECK(n == w.rank.n_items && n > 20);
        for (int i = 0; i < w.rank.n_items; i++) {
            const struct rank_item *x = &w.rank.item[i];

            CHECK(kept[x->id] && x->x == logit[x->id] / o.temp &&
                  (n <= 64 || !i || x->id > x[-1].id));
        }
    }
    sample_free(&w);
}

static void greedy_and_penalties(void)
{
    struct sample_work w = {.rank.backend = cpu};
    const int32_t token[5] = {0, 2, 1, 1};
    struct sample_seq seen = {token, 1, 1, 0};
    struct sample_opt o = plain;
    float logit[4] = {1.0f, 3.0f, 3.0f, -1.0f};
    struct rng r = rng_stream(0, 0, 0);

    TEST("greedy: the largest, ties to the lower id, NaN and infinities never");
    o.temp = 0;
    CHECK(sample_draw(&w, &o, NULL, NULL, &r, logit, 4, 0) == 1);
    logit[1] = NAN;
    CHECK(sample_draw(&w, &o, NULL, NULL, &r, logit, 4, 0) == 2);
    logit[2] = -INFINITY;
    CHECK(sample_draw(&w, &o, NULL, NULL, &r, logit, 4, 0) == 0);
    logit[0] = logit[3] = NAN;
    CHECK(sample_draw(&w, &o, NULL, NULL, &r, logit, 4, 0) == -1);
    TEST("penalties: repetition sees the prompt, presence and frequency the output");
    logit[0] = 2.0f, logit[1] = 1.9f, logit[2] = -1.0f, logit[3] = -1.1f;
    o.presence_penalty = 5;
    CHECK(sample_draw(&w, &o, &seen, NULL, &r, logit, 4, 0) == 0);
    o.presence_penalty = 0, o.repeat_penalty = 1.2f;
    CHECK(sample_draw(&w, &o, &seen, NULL, &r, logit, 4, 0) == 1);
    seen.n_prompt = 2;
    seen.n = 4;
    o.repeat_penalty = 1, o.frequency_penalty = 0.1f;
    CHECK(sample_draw(&w, &o, &seen, NULL, &r, logit, 4, 0) == 0);
    logit[0] = logit[1] = -5;
    o.frequency_penalty = 0, o.repeat_penalty = 1.2f;
    CHECK(sample_draw(&w, &o, &seen, NULL, &r, logit, 4, 0) == 3); // a negative logit is multiplied
    sample_free(&w);
}

static void masks(void)
{
    struct sample_work w = {.rank.backend = cpu};
    struct sample_opt o = plain;
    uint64_t allow[(V + 63) / 64], none[(V + 63) / 64] = {0};
    struct rng r = rng_stream(9, 0, 0);
    float logit[V], less[V];

    TEST("mask: as if the other tokens' logits were -infinity");
    fill(logit, V, 4, 8);
    for (int round = 0; round < 4; round++) {
        memset(allow, 0, sizeof(allow));
        for (int i = 0; i < V; i++) {
            bool in = round == 0 ? i == V - 1 : round == 1 ? i % 3 == 0 : i / 64 % 2 == 0;

            allow[i / 64] |= (uint64_t)in << (i % 64);
            less[i] = in ? logit[i] : -INFINITY;
        }
        o.temp = round == 3 ? 0 : 2;
        o.top_p = round == 2 ? 0.9f : 1;
        for (int t = 0; t < 200; t++)
            CHECK(sample_draw(&w, &o, NULL, allow, &r, logit, V, t) ==
                  sample_draw(&w, &o, NULL, NULL, &r, less, V, t));
    }
    CHECK(sample_draw(&w, &o, NULL, none, &r, logit, V, 0) == -1);
    sample_free(&w);
}

static void report(void)
{
    struct sample_work w = {.rank.backend = cpu};
    struct sample_top top[5];
    float logit[V], p[3];
    const int32_t choice[3] = {7, 8, 9};
    double sum = 0;

    TEST("log-probabilities against libm; the likeliest in order");
    fill(logit, V, 8, 10);
    for (int i = 0; i < V; i++)
        sum += exp((double)logit[i]);
    for (int i = 0; i < V; i += 37)
        CHECK(fabs((double)sample_logprobs(&w, logit, V, i, NULL, 0) -
                   ((double)logit[i] - log(sum))) < 1e-6);
    sample_logprobs(&w, logit, V, 0, top, 5);
    for (int i = 0; i < 5; i++) {
        int larger = 0;

        for (int k = 0; k < V; k++)
            larger += logit[k] > logit[top[i].id];
        CHECK(larger == i);
        CHECK(top[i].logprob == sample_logprobs(&w, logit, V, top[i].id, NULL, 0));
    }
    sample_logprobs(&w, logit, 3, 0, top, 5);
    CHECK(top[2].id >= 0 && top[3].id == -1);
    TEST("choice: a softmax over the chosen");
    logit[7] = 1, logit[8] = 2, logit[9] = 0;
    CHECK(sample_choice(logit, choice, 3, p) == 1);
    CHECK(fabsf(p[0] - 0.24473f) < 1e-4f && fabsf(p[0] + p[1] + p[2] - 1) < 1e-6f);
    sample_free(&w);
}

int main(void)
{
    struct sample_opt o = plain;
    struct err e;

    cpu = backend_cpu_open(1, ISA_AUTO, &e);
    draws("draw: the softmax itself", o, 6, 50);
    draws("draw: far tails, which skip their logarithms", o, 60, 200);
    o.temp = 0.5f;
    draws("draw: temperature", o, 6, 50);
    o.top_k = 10;
    draws("draw: top-k", o, 6, 50);
    o.top_p = 0.6f;
    draws("draw: top-k and top-p", o, 6, 50);
    o = plain;
    o.top_p = 0.9f;
    draws("draw: top-p over many", o, 2, V);
    o.min_p = 0.3f;
    draws("draw: top-p and min-p", o, 4, 300);
    flat();
    greedy_and_penalties();
    masks();
    report();
    backend_close(cpu);
    return test_end();
}
