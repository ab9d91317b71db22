/* league_test.c - schedules, and strengths against tests/goldens/league.py. */
#include "league.h"
#include "mem.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PLAYERS = 5, MATCHES = 5 };

static const struct {
    int n, n_matches;
    struct league_match match[MATCHES];
    double strength[PLAYERS], sd[PLAYERS];
} cases[] = {
    {2, 1, {{0, 1, 0.9}}, {0.92091, -0.92091}, {1.34541, 1.34541}},
    {3,
     3,
     {{0, 1, 0.7}, {0, 2, 0.6}, {1, 2, 0.8}},
     {0.39998, 0.13358, -0.53356},
     {0.96878, 0.94654, 0.99046}},
    {5,
     5,
     {{0, 1, 0.99}, {1, 2, 0.2}, {2, 3, 0.5}, {3, 4, 1}, {0, 4, 0.6}},
     {0.33526, -1.39960, 0.63112, 1.07519, -0.64197},
     {1.51371, 1.64715, 1.51580, 1.46143, 1.47865}},
    {4,
     4,
     {{0, 1, 1}, {1, 2, 1}, {2, 3, 1}, {0, 3, 1}},
     {2.92224, 0.87174, -0.87174, -2.92224},
     {2.27348, 1.60371, 1.60371, 2.27348}},
};

/* Every player meets `each` different others, itself never, and all are connected. */
static bool is_fair(const struct league_match *m, int n_matches, int n, int each)
{
    int *met = mem_zero((size_t)(n * n), sizeof(*met)), *from = mem_zero((size_t)n, sizeof(*from));
    bool ok = n_matches == n * each / 2;

    for (int k = 0; k < n_matches; k++) {
        ok = ok && m[k].a >= 0 && m[k].a < m[k].b && m[k].b < n;
        if (ok)
            ok = !met[m[k].a * n + m[k].b]++;
    }
    for (int i = 0; ok && i < n; i++) {
        int others = 0;

        for (int k = 0; k < n; k++)
            others += met[i * n + k] + met[k * n + i];
        ok = others == each;
    }
    from[0] = 1;
    for (int round = 0; round < n; round++)
        for (int k = 0; k < n_matches; k++)
            if (from[m[k].a] || from[m[k].b])
                from[m[k].a] = from[m[k].b] = 1;
    for (int i = 0; i < n; i++)
        ok = ok && from[i];
    free(met);
    free(from);
    return ok;
}

int main(void)
{
    struct rng r = rng_stream(1, 2, 3), other = rng_stream(1, 2, 4);
    struct league_match *m, *m2;
    int n;

    TEST("few players meet all others");
    for (int k = 1; k <= 9; k++) {
        n = league_plan(k, 8, &r, &m);
        CHECK(is_fair(m, n, k, k - 1));
        free(m);
    }

    TEST("many meet as many as said, in a schedule that the stream decides");
    for (int k = 11; k <= 40; k++) {
        n = league_plan(k, 9, &r, &m);
        CHECK(is_fair(m, n, k, 8));
        free(m);
    }
    n = league_plan(200, 8, &r, &m);
    CHECK(league_plan(200, 8, &r, &m2) == n && !memcmp(m, m2, (size_t)n * sizeof(*m)));
    free(m2);
    CHECK(league_plan(200, 8, &other, &m2) == n && memcmp(m, m2, (size_t)n * sizeof(*m)));
    free(m);
    free(m2);

    TEST("strengths and deviations as another method finds them");
    for (size_t c = 0; c < sizeof(cases) / sizeof(*cases); c++) {
        double x[PLAYERS], sd[PLAYERS], sum = 0;

        league_strengths(cases[c].match, cases[c].n_matches, cases[c].n, x, sd);
        for (int i = 0; i < cases[c].n; i++) {
            CHECK(fabs(x[i] - cases[c].strength[i]) < 1e-4);
            CHECK(fabs(sd[i] - cases[c].sd[i]) < 1e-4);
            sum += x[i];
        }
        CHECK(fabs(sum) < 1e-9);
    }

    TEST("the likeliest strengths give back the outcomes that fit together");
    {
        enum { N = 60 };
        double x[N], sd[N], want[N];
        struct league_match all[N * (N - 1) / 2];

        n = 0;
        for (int i = 0; i < N; i++)
            want[i] = 0.05 * (i - (N - 1) / 2.0);
        for (int a = 0; a < N; a++)
            for (int b = a + 1; b < N; b++)
                all[n++] = (struct league_match){a, b, league_share(want[a] - want[b])};
        league_strengths(all, n, N, x, sd);
        for (int i = 0; i < N; i++)
            CHECK(fabs(x[i] - want[i]) < 0.02); // the prior draws to 0
        CHECK(fabs(league_share(2) + league_share(-2) - 1) < 1e-15 && league_share(-900) == 0);
    }

    TEST("nobody, one, no matches");
    league_strengths(NULL, 0, 0, (double[1]){0}, (double[1]){0});
    {
        double x[2], sd[2];

        league_strengths(NULL, 0, 2, x, sd);
        CHECK(x[0] == 0 && x[1] == 0);
    }
    return test_end();
}
