/* choose_test.c - quotas, and the choice against a plain one without shortcuts. */
#include "choose.h"
#include "rng.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool quota_is(const double *w, const int64_t *cap, int k, int64_t count, const int64_t *want)
{
    int64_t q[16], sum = 0, got = choose_quota(w, cap, k, count, q);
    bool same = true;

    for (int i = 0; i < k; i++) {
        same = same && q[i] == want[i];
        sum += q[i];
    }
    if (!same)
        for (int i = 0; i < k; i++)
            printf("# %d: %lld, not %lld\n", i, (long long)q[i], (long long)want[i]);
    return same && sum == got;
}

static void test_quota(void)
{
    const double even[] = {1, 1, 1}, sizes[] = {60, 30, 10}, odd[] = {1, 1, 1, 0};
    const int64_t big[] = {100, 100, 100, 100}, tight[] = {2, 100, 5};

    TEST("quotas: exact sums, largest remainder, full clusters, weight 0");
    CHECK(quota_is(even, big, 3, 9, (int64_t[]){3, 3, 3}));
    CHECK(quota_is(even, big, 3, 10, (int64_t[]){4, 3, 3})); // ties: the lowest
    CHECK(quota_is(sizes, big, 3, 10, (int64_t[]){6, 3, 1}));
    CHECK(quota_is(sizes, big, 3, 7, (int64_t[]){4, 2, 1})); // 4.2 2.1 0.7
    CHECK(quota_is(even, tight, 3, 12, (int64_t[]){2, 5, 5}));
    CHECK(quota_is(even, tight, 3, 30, (int64_t[]){2, 23, 5})); // water-fill
    CHECK(quota_is(even, tight, 3, 200, (int64_t[]){2, 100, 5}));
    CHECK(quota_is(odd, big, 4, 6, (int64_t[]){2, 2, 2, 0}));
    CHECK(quota_is(even, big, 3, 0, (int64_t[]){0, 0, 0}));
    for (int n = 0; n < 107; n++) {
        int64_t q[3];

        CHECK(choose_quota(sizes, tight, 3, n, q) == n && q[0] <= 2 && q[2] <= 5);
    }
}

static void test_entropy(void)
{
    const int64_t even[] = {5, 5, 5, 5}, one[] = {0, 7, 0};

    TEST("entropy");
    CHECK(fabs(choose_entropy(even, 4) - 1.3862943611) < 1e-9);
    CHECK(choose_entropy(one, 3) == 0);
    CHECK(choose_entropy(one, 0) == 0);
}

enum { N = 400, DIM = 16 };

static void test_choice(void)
{
    float *x = calloc(N * DIM, sizeof(*x)), worst = 0;
    struct rng r = rng_stream(1, 0, 0);
    struct cluster_opt co = {.k = 8, .max_iter = 30};
    struct choose_opt o = {CHOOSE_UNIFORM, 80, 0.9f};
    struct choose_verdict *v = calloc(N, sizeof(*v));
    int64_t order[N], n, kept[8] = {0};
    struct cluster_set s;
    bool sound = true;

    TEST("score first, nothing too similar, exact count, balance");
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < DIM; j++)
            x[i * DIM + j] = (float)(rng_unit(&r, (uint64_t)i, (uint32_t)j) - 0.5);
        if (i % 3 == 2) // near copies
            for (int j = 0; j < DIM; j++)
                x[i * DIM + j] = x[(i - 1) * DIM + j] + 0.02f * x[i * DIM + j];
        float len = sqrtf(cluster_dot(x + i * DIM, x + i * DIM, DIM));
        for (int j = 0; j < DIM; j++)
            x[i * DIM + j] /= len;
        order[i] = (i * 7) % N; // 7 and N have no common divisor
    }
    cluster_run(&co, x, N, DIM, &s);
    n = choose_rows(&o, &s, x, N, DIM, order, v);
    CHECK(n == 80);
    for (int i = 0; i < N; i++) {
        kept[s.of[i]] += v[i].fate == CHOOSE_KEPT;
        for (int j = 0; j < i; j++)
            if (v[i].fate == CHOOSE_KEPT && v[j].fate == CHOOSE_KEPT)
                worst = fmaxf(worst, cluster_dot(x + i * DIM, x + j * DIM, DIM));
    }
    CHECK(worst <= 0.9f);
    for (int k = 0; k < s.k; k++)
        CHECK(kept[k] == 10);
    /* a row that was refused is close to a kept row which stands before it */
    for (int i = 0, seen = 0; i < N; i++) {
        const struct choose_verdict *w = &v[order[i]];

        if (w->fate != CHOOSE_SIMILAR)
            continue;
        sound = sound && v[w->near].fate == CHOOSE_KEPT && w->sim > 0.9f &&
                fabsf(w->sim - cluster_dot(x + order[i] * DIM, x + w->near * DIM, DIM)) < 1e-6f;
        seen++;
    }
    CHECK(sound);
    TEST("what cannot be had is not given");
    o.count = N;
    n = choose_rows(&o, &s, x, N, DIM, order, v);
    CHECK(n < N && n > N / 2);
    for (int i = 0; i < N; i++)
        CHECK(v[i].fate != CHOOSE_LEFT);
    /* the same choice without clusters' shortcuts: keep in order what is not too similar */
    o.balance = CHOOSE_PROPORTIONAL;
    n = choose_rows(&o, &s, x, N, DIM, order, v);
    bool same = true;
    for (int i = 0; i < N; i++) {
        bool take = true;

        for (int j = 0; j < i && take; j++)
            take = v[order[j]].fate != CHOOSE_KEPT ||
                   cluster_dot(x + order[i] * DIM, x + order[j] * DIM, DIM) <= 0.9f;
        same = same && take == (v[order[i]].fate == CHOOSE_KEPT);
    }
    CHECK(same);
    o.max_sim = 1;
    CHECK(choose_rows(&o, &s, x, N, DIM, order, v) == N);
    cluster_set_free(&s);
    free(x);
    free(v);
}

int main(void)
{
    test_quota();
    test_entropy();
    test_choice();
    return test_end();
}
