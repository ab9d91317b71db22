/* quota_test.c - shares that add up, weights, entropy. */
#include "quota.h"
#include "test.h"

#include <math.h>
#include <stdbool.h>

static bool quota_is(const double *w, const int64_t *cap, int k, int64_t count, const int64_t *want)
{
    int64_t q[16], sum = 0, got = quota_share(w, cap, k, count, q);
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
    CHECK(quota_is(even, big, 3, 11, (int64_t[]){4, 4, 3})); // one more at most for each
    CHECK(quota_is(sizes, big, 3, 10, (int64_t[]){6, 3, 1}));
    CHECK(quota_is(sizes, big, 3, 7, (int64_t[]){4, 2, 1})); // 4.2 2.1 0.7
    CHECK(quota_is(even, tight, 3, 12, (int64_t[]){2, 5, 5}));
    CHECK(quota_is(even, tight, 3, 30, (int64_t[]){2, 23, 5})); // water-fill
    CHECK(quota_is(even, tight, 3, 200, (int64_t[]){2, 100, 5}));
    CHECK(quota_is(odd, big, 4, 6, (int64_t[]){2, 2, 2, 0}));
    CHECK(quota_is(even, big, 3, 0, (int64_t[]){0, 0, 0}));
    for (int n = 0; n < 107; n++) {
        int64_t q[3];

        CHECK(quota_share(sizes, tight, 3, n, q) == n && q[0] <= 2 && q[2] <= 5);
    }
}

static void test_entropy(void)
{
    const int64_t even[] = {5, 5, 5, 5}, one[] = {0, 7, 0};

    TEST("entropy");
    CHECK(fabs(quota_entropy(even, 4) - 1.3862943611) < 1e-9);
    CHECK(quota_entropy(one, 3) == 0);
    CHECK(quota_entropy(one, 0) == 0);
}

static void test_weight(void)
{
    TEST("weights of topics");
    CHECK(quota_weight(QUOTA_UNIFORM, 1, 17) == 1 && quota_weight(QUOTA_UNIFORM, 1, 0) == 0);
    CHECK(quota_weight(QUOTA_SQRT, 1, 16) == 4);
    CHECK(quota_weight(QUOTA_PROPORTIONAL, 1, 17) == 17);
    CHECK(fabs(quota_weight(QUOTA_TEMPERATURE, 3, 8) - 2) < 1e-12);
    CHECK(fabs(quota_weight(QUOTA_TEMPERATURE, 1, 8) - 8) < 1e-12);
    CHECK(fabs(quota_weight(QUOTA_TEMPERATURE, 2, 49) - 7) < 1e-12);
}

int main(void)
{
    test_quota();
    test_entropy();
    test_weight();
    return test_end();
}
