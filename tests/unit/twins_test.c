/* twins_test.c - semantic duplicates against plain numpy, chains included. */
#include "dots.h"
#include "golden.h"
#include "test.h"
#include "twins.h"

#include <math.h>
#include <stdlib.h>

/* Unit rows (n, dim), some of them near to each other. */
static float *drawn(int n, int dim)
{
    float *x = mem_new((size_t)(n * dim) * sizeof(*x));
    uint32_t seed = 1;

    for (int i = 0; i < n; i++) {
        float *row = x + i * dim, len;

        for (int j = 0; j < dim; j++) {
            seed = seed * 1103515245 + 12345;
            row[j] = (float)(seed >> 8) * 0x1p-23f - 1 + (i >= 40 ? 4.5f * x[i % 40 * dim + j] : 0);
        }
        len = sqrtf(dots_one(row, row, dim));
        for (int j = 0; j < dim; j++)
            row[j] /= len;
    }
    return x;
}

/* A cluster of many: cosines that cannot come to the limit are left off early, and the rest are the
 * same. The last row comes first, so that what is before a row are those with higher numbers. */
static void test_many(const struct backend *b, bool greedy)
{
    enum { N = 900, DIM = 50 };
    struct twins_opt o = {.eps = 0.35f, .greedy = greedy, .b = b};
    struct kmeans s = {.k = 1};
    struct choose_verdict *v = mem_zero(N, sizeof(*v));
    float *x = drawn(N, DIM);
    int bad = 0, twins = 0;

    TEST(greedy ? "many rows, against those that stay" : "many rows, against all earlier ones");
    s.of = mem_zero(N, sizeof(*s.of));
    s.cos = mem_zero(N, sizeof(*s.cos));
    s.size = mem_zero(1, sizeof(*s.size));
    s.size[0] = N;
    for (int i = 0; i < N; i++)
        s.cos[i] = 1 - (float)i / N;
    twins_find(&o, &s, x, N, DIM, v);
    for (int i = N - 1; i >= 0; i--) {
        float sim = -2;
        int64_t near = -1;

        for (int j = N - 1; j > i; j--) {
            float y = dots_one(x + i * DIM, x + j * DIM, DIM);

            if (y > sim && !(greedy && v[j].fate == CHOOSE_TWIN)) {
                sim = y;
                near = j;
            }
        }
        bad += (v[i].fate == CHOOSE_TWIN) != (sim > 1 - o.eps);
        if (v[i].fate == CHOOSE_TWIN)
            bad += v[i].sim != sim || v[i].near != near;
        twins += v[i].fate == CHOOSE_TWIN;
    }
    CHECK(!bad && twins > 100 && N - twins > 300);
    free(v);
    free(x);
    kmeans_free(&s);
}

int main(void)
{
    struct kmeans s = {.k = 6};
    struct twins_opt o = {.eps = 0.3f};
    struct err e;
    int n, dim, k, n_all = 0;
    float *x = golden_rows(&n, &dim);
    double *list = golden_list("of", &k);

    o.b = backend_cpu_open(1, ISA_AUTO, &e);
    s.of = mem_zero((size_t)n, sizeof(*s.of));
    s.cos = mem_zero((size_t)n, sizeof(*s.cos));
    s.size = mem_zero(6, sizeof(*s.size));
    s.centroid = mem_zero((size_t)(6 * dim), sizeof(float));
    for (int i = 0; i < n; i++) {
        s.of[i] = (int32_t)list[i];
        s.size[s.of[i]]++;
        for (int j = 0; j < dim; j++)
            s.centroid[s.of[i] * dim + j] += x[i * dim + j];
    }
    for (k = 0; k < 6; k++) {
        float *c = s.centroid + k * dim, len = sqrtf(dots_one(c, c, dim));

        for (int j = 0; j < dim; j++)
            c[j] /= len;
    }
    for (int i = 0; i < n; i++)
        s.cos[i] = dots_one(x + i * dim, s.centroid + s.of[i] * dim, dim);
    for (int greedy = 0; greedy < 2; greedy++) {
        double *want = golden_list(greedy ? "semdedup_greedy" : "semdedup", &k);
        struct choose_verdict *v = mem_zero((size_t)n, sizeof(*v));
        int at = 0, bad = 0;

        TEST(greedy ? "against rows that stay" : "against all earlier rows");
        o.greedy = greedy;
        o.pool = greedy ? thread_open(2, &e) : NULL;
        CHECK(twins_find(&o, &s, x, n, dim, v) == k / 2);
        for (int i = 0; i < n; i++) {
            if (v[i].fate != CHOOSE_TWIN)
                continue;
            bad +=
                at >= k || want[at] != i || want[at + 1] != (double)v[i].near || !(v[i].sim > 0.7f);
            at += 2;
        }
        CHECK(!bad && at == k);
        n_all = greedy ? n_all - k / 2 : k / 2;
        thread_close(o.pool);
        free(v);
        free(want);
    }
    CHECK(n_all > 0); // chains: fewer go when only kept rows count
    free(x);
    free(list);
    kmeans_free(&s);
    test_many(o.b, false);
    test_many(o.b, true);
    backend_close((struct backend *)(uintptr_t)o.b);
    return test_end();
}
