/* sample_bench.c - microseconds a token of the sampler with a vocabulary of 131072.
 * Logits as language models give them: a wide bell (sigma 2) and a few likely tokens. */
#include "mem.h"
#include "sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { V = 131072, ROWS = 8, ROUNDS = 40 };

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static void row(float *x, uint64_t seed)
{
    struct rng r = rng_stream(seed, 1, 1);

    for (int i = 0; i < V; i++) {
        double sum = 0;

        for (uint32_t k = 0; k < 4; k++)
            sum += rng_unit(&r, (uint64_t)i, k) - 0.5;
        x[i] = (float)(sum * 3.46);
    }
    for (int k = 0; k < 40; k++)
        x[rng_below(&r, (uint64_t)k, 5, V)] += 12 - 0.15f * (float)k;
}

static void measure(struct sample_work *w, const float *x, const char *name, struct sample_opt o,
                    const uint64_t *allow)
{
    static const int32_t token[2048];
    struct rng r = rng_stream(3, 0, 0);
    double t[ROWS * ROUNDS], t0;
    int32_t sum = 0;

    for (int i = 0; i < ROWS * ROUNDS; i++) {
        struct sample_seq seq = {token, 1024, 2048, 0};

        t0 = now();
        sum += sample_draw(w, &o, &seq, allow, &r, x + (size_t)(i % ROWS) * V, V, i);
        t[i] = 1e6 * (now() - t0);
    }
    qsort(t, ROWS * ROUNDS, sizeof(*t), by_size);
    printf("%-28s %7.1f us (10th percentile %.1f, 90th %.1f; check %d)\n", name,
           t[ROWS * ROUNDS / 2], t[ROWS * ROUNDS / 10], t[ROWS * ROUNDS * 9 / 10], sum);
}

int main(void)
{
    const struct sample_opt plain = {.temp = 1, .top_p = 1, .repeat_penalty = 1};
    float *x = mem_new((size_t)ROWS * V * sizeof(*x));
    uint64_t *allow = mem_zero(V / 64, sizeof(*allow));
    struct sample_work w = {0};
    struct sample_opt o;
    struct err e;

    w.rank.backend = backend_cpu_open(1, ISA_AUTO, &e);
    for (int i = 0; i < ROWS; i++)
        row(x + (size_t)i * V, (uint64_t)i);
    for (int i = 0; i < V / 64; i++)
        allow[i] = i % 3 ? UINT64_MAX : 0x5555;
    printf("%s, vocabulary %d\n", backend_cpu_isa(w.rank.backend), V);
    measure(&w, x, "greedy", (o = plain, o.temp = 0, o), NULL);
    measure(&w, x, "top-k 40", (o = plain, o.top_k = 40, o), NULL);
    measure(&w, x, "top-k 40, top-p .95", (o.top_p = 0.95f, o), NULL);
    measure(&w, x, "top-p .95", (o = plain, o.top_p = 0.95f, o), NULL);
    measure(&w, x, "top-p .95, temp .7", (o.temp = 0.7f, o), NULL);
    measure(&w, x, "min-p .05", (o = plain, o.min_p = 0.05f, o), NULL);
    measure(&w, x, "typical .9", (o = plain, o.typical_p = 0.9f, o), NULL);
    measure(&w, x, "top-n-sigma 1", (o = plain, o.top_n_sigma = 1, o), NULL);
    measure(&w, x, "Mirostat 5", (o = plain, o.mirostat_tau = 5, o.mirostat_eta = 0.1f, o), NULL);
    measure(&w, x, "no truncation", plain, NULL);
    o = plain;
    o.top_k = 40;
    o.repeat_penalty = 1.1f;
    measure(&w, x, "top-k 40, repeat penalty", o, NULL);
    o.repeat_penalty = 1;
    o.dry = (struct dry_opt){0.8f, 1.75f, 2, 0, NULL};
    measure(&w, x, "top-k 40, DRY over 2048", o, NULL);
    measure(&w, x, "top-k 40, mask", (o = plain, o.top_k = 40, o), allow);
    sample_free(&w);
    backend_close(w.rank.backend);
    free(allow);
    free(x);
    return 0;
}
