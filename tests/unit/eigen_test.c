/* eigen_test.c - eigenvalues, the Vendi score against its package, the map's axes. */
#include "eigen.h"
#include "golden.h"
#include "num.h"
#include "rng.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The second difference matrix: 2 - 2 cos(k pi / (n + 1)). */
static void test_known(struct thread_pool *pool, int n)
{
    double *a = mem_zero((size_t)(n * n), sizeof(*a)), *v = mem_zero((size_t)n, sizeof(*v));
    double worst = 0;

    for (int i = 0; i < n; i++) {
        a[i * n + i] = 2;
        if (i)
            a[i * n + i - 1] = a[(i - 1) * n + i] = -1;
    }
    /* hide the structure: rotate neighbours and far ones, which changes no eigenvalue */
    for (int r = 0; r < 3 * n; r++) {
        int p = r % n, q = (r * 7 + 3) % n;

        if (p == q)
            continue;
        for (int k = 0; k < n; k++) {
            double x = a[k * n + p], y = a[k * n + q];

            a[k * n + p] = 0.6 * x - 0.8 * y;
            a[k * n + q] = 0.8 * x + 0.6 * y;
        }
        for (int k = 0; k < n; k++) {
            double x = a[p * n + k], y = a[q * n + k];

            a[p * n + k] = 0.6 * x - 0.8 * y;
            a[q * n + k] = 0.8 * x + 0.6 * y;
        }
    }
    eigen_values(a, n, pool, v);
    qsort(v, (size_t)n, sizeof(*v), ascending);
    for (int k = 0; k < n; k++)
        worst = fmax(worst, fabs(v[k] - (2 - 2 * cos((k + 1) * 3.14159265358979323846 / (n + 1)))));
    if (worst > 1e-12 * n)
        printf("# n %d: off by %g\n", n, worst);
    CHECK(worst <= 1e-12 * n);
    free(a);
    free(v);
}

static void test_vendi(struct thread_pool *pool)
{
    int n, dim, k;
    float *x = golden_rows(&n, &dim), *same;
    double *want = golden_list("vendi", &k);
    int64_t *row = mem_zero((size_t)n, sizeof(*row));

    TEST("the Vendi score, from products of columns and of rows, within 1e-6");
    CHECK(fabs(eigen_vendi(pool, x, NULL, n, dim) - want[0]) < 1e-6);
    CHECK(fabs(eigen_vendi(pool, x, NULL, 20, dim) - want[1]) < 1e-6);
    CHECK(fabs(eigen_vendi(pool, x, NULL, 20, dim) - want[2]) < 1e-6);
    CHECK(fabs(eigen_vendi(NULL, x, NULL, n, dim) - want[3]) < 1e-6);
    for (int i = 0; i < n; i++)
        row[i] = n - 1 - i;
    CHECK(fabs(eigen_vendi(pool, x, row, n, dim) - want[0]) < 1e-6);
    CHECK(eigen_vendi(pool, x, NULL, n, dim) == eigen_vendi(NULL, x, NULL, n, dim));
    same = mem_zero((size_t)(50 * dim), sizeof(*same));
    for (int i = 0; i < 50; i++)
        same[i * dim + i % 3] = 1;
    CHECK(fabs(eigen_vendi(pool, same, NULL, 48, dim) - 3) < 1e-6); // three kinds
    CHECK(fabs(eigen_vendi(pool, same, NULL, 1, dim) - 1) < 1e-6);
    CHECK(eigen_vendi(pool, same, NULL, 0, dim) == 0);
    free(x);
    free(same);
    free(want);
    free(row);
}

/* Points of a long and a short axis; then topics that stand apart on another one. */
static void test_map(struct thread_pool *pool)
{
    enum { N = 300, D = 10 };
    float x[N * D] = {0}, xy[2 * N], again[2 * N];
    int32_t of[N];
    double share[2], bad = 0;
    struct rng r = rng_stream(1, 2, 3);

    TEST("the map: principal components; axes between topics");
    for (int i = 0; i < N; i++) {
        x[i * D + 3] = 4 * (float)(rng_unit(&r, (uint64_t)i, 0) - 0.5);
        x[i * D + 7] = 2 * (float)(rng_unit(&r, (uint64_t)i, 1) - 0.5);
        x[i * D + 1] = 0.3f * (float)(i % 3 == 0) + 5;
        x[i * D + 2] = 0.2f * (float)(i % 3 == 1);
        of[i] = 0;
    }
    CHECK(!eigen_map(pool, x, N, D, of, 1, xy, share));
    CHECK(share[0] > 0.7 && share[1] > 0.15 && share[0] + share[1] <= 1.0001);
    for (int i = 1; i < N; i++) // distances along the axes are those of the coordinates
        bad = fmax(bad, fabs((double)(xy[2 * i] - xy[0] - (x[i * D + 3] - x[3]))));
    CHECK(bad < 0.2);
    for (int i = 0; i < N; i++)
        of[i] = i % 3;
    CHECK(eigen_map(pool, x, N, D, of, 3, xy, share));
    for (int i = 3; i < N; i++)
        CHECK(fabsf(xy[2 * i] - xy[2 * (i % 3)]) < 1.5f);
    eigen_map(NULL, x, N, D, of, 3, again, share);
    CHECK(!memcmp(xy, again, sizeof(xy)));
}

int main(void)
{
    struct err e;
    struct thread_pool *pool = thread_open(2, &e);

    TEST("eigenvalues of a matrix that is known");
    test_known(pool, 1);
    test_known(pool, 2);
    test_known(pool, 3);
    test_known(NULL, 50);
    test_known(pool, 131);
    test_vendi(pool);
    test_map(pool);
    thread_close(pool);
    return test_end();
}
