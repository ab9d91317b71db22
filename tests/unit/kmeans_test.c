/* kmeans_test.c - planted clusters, seeding, mini-batches, the same bytes for threads and isa. */
#include "dots.h"
#include "kmeans.h"
#include "mem.h"
#include "rng.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DIM = 24, K = 5, N = 1000 };

static struct backend *backend;

/* Rows around k directions; row i belongs to i % k. */
static float *planted(int k, float noise)
{
    float *x = mem_zero(N * DIM, sizeof(*x));
    struct rng r = rng_stream(3, 0, 0);

    for (int i = 0; i < N; i++) {
        float *row = x + (size_t)i * DIM, len;

        for (int j = 0; j < DIM; j++)
            row[j] = noise * (float)(rng_unit(&r, (uint64_t)i, (uint32_t)j) - 0.5);
        row[i % k] += 1;
        len = sqrtf(dots_one(row, row, DIM));
        for (int j = 0; j < DIM; j++)
            row[j] /= len;
    }
    return x;
}

static bool same(const struct kmeans *a, const struct kmeans *b)
{
    return a->k == b->k && !memcmp(a->of, b->of, N * sizeof(*a->of)) &&
           !memcmp(a->cos, b->cos, N * sizeof(*a->cos)) &&
           !memcmp(a->centroid, b->centroid, (size_t)a->k * DIM * sizeof(float));
}

static void test_planted(int batch)
{
    float *x = planted(K, 0.1f);
    struct kmeans_opt o = {.k = K, .max_iter = 50, .batch = batch, .b = backend};
    struct kmeans s, t;
    struct err e;

    TEST(batch ? "mini-batches: planted clusters"
               : "planted clusters are found, whatever the seed");
    for (o.seed = 0; o.seed < 10; o.seed++) {
        bool all = true;

        kmeans_run(&o, x, N, DIM, &s);
        CHECK(s.k == K && s.inertia < 0.02 * N);
        for (int i = 0; i < N; i++)
            all = all && s.of[i] == s.of[i % K];
        CHECK(all);
        for (int k = 0; k < K; k++)
            CHECK(s.size[k] == N / K);
        kmeans_free(&s);
    }
    TEST("the same bytes for any number of threads and instruction set");
    free(x);
    x = planted(11, 1);
    o.k = 17;
    kmeans_run(&o, x, N, DIM, &s);
    for (int threads = 1; threads <= 3; threads++) {
        o.pool = thread_open(threads, &e);
        kmeans_run(&o, x, N, DIM, &t);
        CHECK(same(&s, &t));
        kmeans_free(&t);
        thread_close(o.pool);
        o.pool = NULL;
    }
    for (int isa = ISA_SCALAR; isa <= ISA_VNNI; isa++) {
        struct backend *b = backend_cpu_open(1, (enum backend_isa)isa, &e);

        if (!b)
            continue; // this machine has no such instructions
        o.b = b;
        kmeans_run(&o, x, N, DIM, &t);
        CHECK(same(&s, &t));
        kmeans_free(&t);
        backend_close(b);
    }
    for (int k = 0; k < s.k; k++)
        CHECK(s.size[k] > 0);
    kmeans_free(&s);
    free(x);
}

static void test_few(void)
{
    float x[6 * DIM] = {0};
    struct kmeans_opt o = {.k = 4, .max_iter = 20, .b = backend};
    struct kmeans s;

    TEST("fewer different rows than clusters, zero rows, no rows");
    for (int i = 0; i < 6; i++)
        x[i * DIM + i % 2] = 1; // two different rows, three times each
    kmeans_run(&o, x, 6, DIM, &s);
    CHECK(s.k == 2 && s.size[0] == 3 && s.size[1] == 3 && s.inertia < 1e-6);
    kmeans_free(&s);
    x[0] = 0; // a row of zeros is no centre
    kmeans_run(&o, x, 6, DIM, &s);
    CHECK(s.k == 2 && s.size[0] + s.size[1] == 6);
    kmeans_free(&s);
    memset(x, 0, sizeof(x));
    kmeans_run(&o, x, 6, DIM, &s);
    CHECK(s.k == 1 && s.size[0] == 6);
    kmeans_free(&s);
    kmeans_run(&o, x, 0, DIM, &s);
    CHECK(s.k == 0);
    kmeans_free(&s);
}

/* Inertia after plain k-means++ seeding, a centre at a time: what kmeans.c is compared with. */
static double plain_seeding(const float *x, int k, uint64_t seed)
{
    struct rng r = rng_stream(seed, 9, 9);
    float d[N];
    double inertia = 0;

    for (int i = 0; i < N; i++)
        d[i] = 1;
    for (int c = 0; c < k; c++) {
        double total = 0, u;
        int at = 0;

        for (int i = 0; i < N; i++)
            total += (double)d[i];
        u = rng_unit(&r, (uint64_t)c, 0) * total;
        for (int i = 0; i < N && u >= 0; i++)
            if (d[i] > 0) {
                at = i;
                u -= (double)d[i];
            }
        for (int i = 0; i < N; i++) {
            float now = 1 - dots_one(x + i * DIM, x + at * DIM, DIM);

            now = now < 1e-6f ? 0 : now;
            d[i] = c == 0 || now < d[i] ? now : d[i];
        }
    }
    for (int i = 0; i < N; i++)
        inertia += (double)d[i];
    return inertia;
}

static void test_seeding(void)
{
    enum { SEEDS = 60, CENTRES = 100 };
    float *x = planted(20, 1.5f);
    struct kmeans_opt o = {.k = CENTRES, .b = backend};
    double mine = 0, plain = 0;
    struct kmeans s;

    TEST("seeding with refused draws is k-means++: the same inertia on average");
    for (o.seed = 0; o.seed < SEEDS; o.seed++) {
        kmeans_run(&o, x, N, DIM, &s);
        CHECK(s.iterations == 0 && s.k == CENTRES);
        mine += s.inertia / SEEDS;
        plain += plain_seeding(x, CENTRES, o.seed) / SEEDS;
        kmeans_free(&s);
    }
    if (fabs(mine - plain) > 0.01 * plain)
        printf("# %g, plain %g\n", mine, plain);
    CHECK(fabs(mine - plain) < 0.01 * plain);
    free(x);
}

static bool stop_at_3(void *with, int iteration, double inertia)
{
    double *last = with;

    CHECK(!iteration || inertia <= *last + 1e-9);
    *last = iteration ? inertia : 2;
    return iteration == 3;
}

static void test_iterations(void)
{
    float *x = planted(20, 1.5f);
    struct kmeans_opt o = {.k = 20, .seed = 5, .b = backend};
    struct kmeans first, last, few;
    double inertia = 2;

    TEST("iterations lower the inertia, tol ends them, tick stops them");
    kmeans_run(&o, x, N, DIM, &first); // seeding alone
    o.max_iter = 100;
    kmeans_run(&o, x, N, DIM, &last);
    CHECK(first.iterations == 0 && last.iterations > 3);
    CHECK(last.inertia < first.inertia);
    o.tol = 0.01f;
    kmeans_run(&o, x, N, DIM, &few);
    CHECK(few.iterations < last.iterations && few.inertia < 1.05 * last.inertia);
    kmeans_free(&few);
    o.tol = 0;
    o.tick = stop_at_3;
    o.with = &inertia;
    kmeans_run(&o, x, N, DIM, &few);
    CHECK(few.stopped && few.iterations == 3 && !last.stopped);
    kmeans_free(&few);
    TEST("mini-batches end near the full iterations");
    o.tick = NULL;
    o.batch = 200;
    kmeans_run(&o, x, N, DIM, &few);
    if (!(few.inertia < 1.06 * last.inertia))
        printf("# %g, full %g\n", few.inertia, last.inertia);
    CHECK(few.inertia < 1.06 * last.inertia && few.inertia < first.inertia);
    kmeans_free(&few);
    kmeans_free(&first);
    kmeans_free(&last);
    free(x);
}

int main(void)
{
    struct err e;

    backend = backend_cpu_open(1, ISA_AUTO, &e);
    test_planted(0);
    test_planted(256);
    test_few();
    test_seeding();
    test_iterations();
    backend_close(backend);
    return test_end();
}
