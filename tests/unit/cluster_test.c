/* cluster_test.c - vectors of texts, k-means on planted clusters, the same for any threads. */
#include "cluster.h"
#include "rng.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DIM = 32, K = 5, N = 1000 };

static float cosine(const char *a, const char *b)
{
    float x[CLUSTER_DIM], y[CLUSTER_DIM];

    cluster_vector(a, strlen(a), NULL, x);
    cluster_vector(b, strlen(b), NULL, y);
    return cluster_dot(x, y, CLUSTER_DIM);
}

static void test_vectors(void)
{
    struct cluster_df df = {0};
    float v[CLUSTER_DIM], w[CLUSTER_DIM], len;

    TEST("vectors of texts");
    cluster_vector("Reverse the list.", 17, NULL, v);
    len = cluster_dot(v, v, CLUSTER_DIM);
    CHECK(len > 0.9999f && len < 1.0001f);
    CHECK(cosine("Reverse the list.", "reverse THE list") > 0.9999f);
    CHECK(cosine("Reverse the list of animals", "Reverse the list of fruits") > 0.5f);
    CHECK(cosine("Reverse the list of animals", "Who painted this picture?") < 0.3f);
    CHECK(cosine("animals", "animal") > cosine("animals", "painting")); // shared runs of characters
    cluster_vector("", 0, NULL, v);
    CHECK(cluster_dot(v, v, CLUSTER_DIM) == 0);
    cluster_vector("한국어 문장을 바꾸세요", strlen("한국어 문장을 바꾸세요"), NULL, v);
    CHECK(cluster_dot(v, v, CLUSTER_DIM) > 0.99f);
    /* a word that stands in every text says less than one that stands in one */
    for (int i = 0; i < 50; i++)
        cluster_df_add(&df, i ? "common" : "common rare", i ? 6 : 11);
    cluster_vector("common rare", 11, &df, v);
    cluster_vector("rare", 4, &df, w);
    float rare = cluster_dot(v, w, CLUSTER_DIM);
    cluster_vector("common", 6, &df, w);
    CHECK(rare > 2 * cluster_dot(v, w, CLUSTER_DIM));
    cluster_df_free(&df);
}

/* Rows around K directions, far apart; row i belongs to i % K. */
static float *planted(void)
{
    float *x = calloc(N * DIM, sizeof(*x));
    struct rng r = rng_stream(3, 0, 0);

    for (int i = 0; i < N; i++) {
        float *row = x + (size_t)i * DIM, len;

        for (int j = 0; j < DIM; j++)
            row[j] = 0.1f * (float)(rng_unit(&r, (uint64_t)i, (uint32_t)j) - 0.5);
        row[i % K] += 1;
        len = sqrtf(cluster_dot(row, row, DIM));
        for (int j = 0; j < DIM; j++)
            row[j] /= len;
    }
    return x;
}

static void test_planted(void)
{
    float *x = planted();
    struct cluster_opt o = {.k = K, .max_iter = 50, .seed = 1};
    struct cluster_set s, t;
    struct err e;

    TEST("planted clusters are found, whatever the seed");
    for (o.seed = 0; o.seed < 10; o.seed++) {
        bool same = true;

        cluster_run(&o, x, N, DIM, &s);
        CHECK(s.k == K && s.inertia < 0.02 * N);
        for (int i = 0; i < N; i++)
            same = same && s.of[i] == s.of[i % K];
        CHECK(same);
        for (int k = 0; k < K; k++)
            CHECK(s.size[k] == N / K);
        cluster_set_free(&s);
    }
    TEST("the same bytes for any number of threads");
    o.k = 17;
    cluster_run(&o, x, N, DIM, &s);
    for (int threads = 1; threads <= 3; threads++) {
        o.pool = thread_open(threads, &e);
        cluster_run(&o, x, N, DIM, &t);
        CHECK(!memcmp(s.of, t.of, N * sizeof(*s.of)));
        CHECK(!memcmp(s.centroid, t.centroid, 17 * DIM * sizeof(float)));
        cluster_set_free(&t);
        thread_close(o.pool);
    }
    for (int k = 0; k < s.k; k++)
        CHECK(s.size[k] > 0);
    cluster_set_free(&s);
    free(x);
}

static void test_few(void)
{
    float x[6 * CLUSTER_LANES] = {0};
    struct cluster_opt o = {.k = 4, .max_iter = 20};
    struct cluster_set s;

    TEST("fewer different rows than clusters, zero rows, no rows");
    for (int i = 0; i < 6; i++)
        x[i * CLUSTER_LANES + i % 2] = 1; // two different rows, three times each
    cluster_run(&o, x, 6, CLUSTER_LANES, &s);
    CHECK(s.k == 2 && s.size[0] == 3 && s.size[1] == 3 && s.inertia < 1e-6);
    cluster_set_free(&s);
    memset(x, 0, sizeof(x));
    cluster_run(&o, x, 6, CLUSTER_LANES, &s);
    CHECK(s.k >= 1 && s.k <= 4);
    cluster_set_free(&s);
    cluster_run(&o, x, 0, CLUSTER_LANES, &s);
    CHECK(s.k == 0);
    cluster_set_free(&s);
}

/* k-means++ and Lloyd end well below a random choice of centres. */
static void test_better(void)
{
    float *x = planted();
    struct cluster_opt o = {.k = 20, .seed = 5};
    struct cluster_set first, last;

    TEST("iterations lower the inertia");
    cluster_run(&o, x, N, DIM, &first); // seeding alone
    o.max_iter = 100;
    cluster_run(&o, x, N, DIM, &last);
    CHECK(first.iterations == 0 && last.iterations > 0);
    CHECK(last.inertia < first.inertia);
    cluster_set_free(&first);
    cluster_set_free(&last);
    free(x);
}

int main(void)
{
    test_vectors();
    test_planted();
    test_few();
    test_better();
    return test_end();
}
