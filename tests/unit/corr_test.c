/* corr_test.c - rank correlation and pairs; values by scipy.stats.spearmanr and by hand. */
#include "corr.h"
#include "rng.h"
#include "test.h"

#include <math.h>

static struct corr made(const double *x, const double *y, size_t n)
{
    struct corr c = {0};

    for (size_t i = 0; i < n; i++)
        corr_add(&c, x[i], y[i]);
    return c;
}

int main(void)
{
    static const double x[] = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3}, y[] = {2, 7, 1, 8, 2, 8, 1, 8, 2, 8};
    struct corr c = made(x, y, 10), back = {0};

    TEST("ties at their mean rank");
    CHECK(fabs(corr_spearman(&c) - 0.1347151) < 1e-6);

    TEST("the order of the pairs does not count");
    for (size_t i = 10; i--;)
        corr_add(&back, x[i], y[i]);
    CHECK(corr_spearman(&back) == corr_spearman(&c));
    CHECK(corr_concordance(&back) == corr_concordance(&c));
    corr_free(&back);
    corr_free(&c);

    TEST("the same order is 1, the other way round -1, no order 0");
    c = made((double[]){1, 2, 30}, (double[]){-5, 0, 1e9}, 3);
    CHECK(corr_spearman(&c) == 1 && corr_concordance(&c) == 1);
    corr_free(&c);
    c = made((double[]){3, 2, 1}, (double[]){1, 2, 3}, 3);
    CHECK(corr_spearman(&c) == -1 && corr_concordance(&c) == 0);
    corr_free(&c);
    c = made((double[]){1, 1, 1}, (double[]){1, 2, 3}, 3);
    CHECK(corr_spearman(&c) == 0 && corr_concordance(&c) == 0.5);
    corr_free(&c);
    CHECK(corr_spearman(&c) == 0 && corr_concordance(&c) == 0.5); // none at all

    TEST("pairs of equal y do not count, of equal x half");
    c = made((double[]){1, 2, 2, 4}, (double[]){0, 0, 1, 1}, 4);
    CHECK(corr_concordance(&c) == (1 + 1 + 0.5 + 1) / 4);
    corr_free(&c);

    TEST("pairs counted by a tree are those counted one by one");
    for (uint64_t round = 0; round < 50; round++) {
        struct rng r = rng_stream(1, round, 0);
        double right = 0, all = 0;

        for (uint64_t i = 0; i < 1 + round; i++)
            corr_add(&c, rng_below(&r, i, 0, 9), rng_below(&r, i, 1, 1 + (uint32_t)round / 5));
        for (size_t i = 0; i < c.n; i++)
            for (size_t j = 0; j < i; j++) {
                double d = (c.x[i] - c.x[j]) * (c.y[i] - c.y[j]);

                if (c.y[i] > c.y[j] || c.y[i] < c.y[j]) {
                    all++;
                    right += d > 0 ? 1 : d < 0 ? 0 : 0.5;
                }
            }
        CHECK(corr_concordance(&c) == (all > 0 ? right / all : 0.5));
        corr_free(&c);
    }
    return test_end();
}
