/* twins_test.c - semantic duplicates against plain numpy, chains included. */
#include "dots.h"
#include "golden.h"
#include "test.h"
#include "twins.h"

#include <math.h>
#include <stdlib.h>

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
    backend_close((struct backend *)(uintptr_t)o.b);
    return test_end();
}
