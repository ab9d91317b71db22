/* choose_test.c - every method against plain numpy, quotas against a plain choice, threads. */
#include "choose.h"
#include "dots.h"
#include "golden.h"
#include "kmeans.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct backend *backend;
static float *x;
static double *score, *none;
static int n, dim;
static int32_t *of;

static struct choose_rows rows(bool scored, int64_t *order)
{
    struct choose_rows r = {x, n, dim, 6, of, scored ? score : none, order};

    choose_rank(r.score, n, order);
    return r;
}

static struct choose_verdict *blank(void)
{
    struct choose_verdict *v = mem_zero((size_t)n, sizeof(*v));

    for (int i = 0; i < n; i++)
        v[i].near = -1;
    return v;
}

static void equals(const char *name, struct choose_opt o, bool scored)
{
    int want;
    double *golden = golden_list(name, &want);
    int64_t *order = mem_zero((size_t)n, sizeof(*order)),
            *kept = mem_zero((size_t)n, sizeof(*kept));
    struct choose_rows r = rows(scored, order);
    struct err e;

    TEST(name);
    if (o.count < n)
        o.count = want;
    for (int threads = 0; threads < 3; threads++) {
        struct choose_verdict *v = blank();
        int64_t got;
        int bad = -1;

        o.b = backend;
        o.pool = threads ? thread_open(threads, &e) : NULL;
        got = choose_run(&o, &r, v, kept);
        CHECK(got == want);
        for (int i = 0; i < want && i < got && bad < 0; i++)
            bad = kept[i] == (int64_t)golden[i] ? -1 : i;
        if (bad >= 0)
            printf("# %s: place %d is %d, not %g\n", name, bad, (int)kept[bad], golden[bad]);
        CHECK(bad < 0);
        thread_close(o.pool);
        free(v);
    }
    free(golden);
    free(order);
    free(kept);
}

static void test_goldens(void)
{
    const struct choose_opt all = {.balance = QUOTA_NONE, .count = 40, .max_sim = 1};
    struct choose_opt o = all;

    o.count = n;
    o.max_sim = 0.9f;
    equals("deita", o, true);
    o.max_sim = 0.6f;
    equals("deita_all", o, true);
    o = all;
    o.method = CHOOSE_KCENTER;
    equals("kcenter_score", o, true);
    equals("kcenter_mean", o, false);
    o.method = CHOOSE_MMR;
    o.lambda = 0.5f;
    equals("mmr", o, true);
    o.lambda = 0.2f;
    equals("mmr_novel", o, true);
    o.method = CHOOSE_FACILITY;
    equals("facility", o, true);
}

/* Quotas, limits and reasons, whatever the method. */
static void test_rules(enum choose_method method)
{
    int64_t *order = mem_zero((size_t)n, sizeof(*order));
    struct choose_rows r = rows(true, order);
    struct choose_opt o = {
        .method = method, .balance = QUOTA_UNIFORM, .count = 36, .max_sim = 1, .lambda = 0.5f};
    struct choose_verdict *v = blank();
    int64_t per[6] = {0};
    bool sound = true;
    float worst = 0;

    o.b = backend;
    CHECK(choose_run(&o, &r, v, NULL) == 36);
    for (int i = 0; i < n; i++)
        per[of[i]] += v[i].fate == CHOOSE_KEPT;
    for (int k = 0; k < 6; k++)
        CHECK(per[k] == 6);
    free(v);
    v = blank();
    o.balance = QUOTA_SQRT;
    o.max_sim = 0.7f;
    o.count = n; // more than can be had
    CHECK(choose_run(&o, &r, v, NULL) < n);
    for (int i = 0; i < n; i++) {
        CHECK(v[i].fate == CHOOSE_KEPT || v[i].fate == CHOOSE_SIMILAR);
        for (int j = 0; j < i; j++)
            if (v[i].fate == CHOOSE_KEPT && v[j].fate == CHOOSE_KEPT)
                worst = fmaxf(worst, dots_one(x + i * dim, x + j * dim, dim));
        if (v[i].fate == CHOOSE_SIMILAR)
            sound = sound && v[v[i].near].fate == CHOOSE_KEPT && v[i].sim > o.max_sim &&
                    v[i].sim == dots_one(x + i * dim, x + v[i].near * dim, dim);
    }
    CHECK(sound && worst <= o.max_sim);
    free(v);
    free(order);
}

static bool at_once(void *with, int64_t kept)
{
    (void)with;
    return kept == 5;
}

static bool while_none(void *with, int64_t kept)
{
    (void)with;
    return kept == 0;
}

/* Whether it is asked again before another row is kept. */
static bool again(void *with, int64_t kept)
{
    int64_t *last = with;
    bool same = kept > 1 && kept == *last;

    *last = kept;
    return same;
}

static void test_more(void)
{
    int64_t last = 0;
    int64_t *order = mem_zero((size_t)n, sizeof(*order)), kept[40];
    struct choose_rows r = rows(true, order);
    struct choose_opt o = {.balance = QUOTA_NONE, .count = 40, .max_sim = 1};
    struct choose_verdict *v = blank();
    float *sim = mem_zero((size_t)n, sizeof(*sim));
    int32_t *near = mem_zero((size_t)n, sizeof(*near));
    bool sound = true;

    o.b = backend;
    TEST("rows that are out already are not looked at; the nearest kept row of all; stopping");
    for (int i = 0; i < n; i += 2)
        v[i].fate = CHOOSE_TWIN;
    CHECK(choose_run(&o, &r, v, kept) == 40);
    for (int i = 0; i < 40; i++)
        CHECK(kept[i] % 2 == 1);
    choose_nearest(&o, &r, kept, 40, sim, near);
    for (int i = 0; i < n; i++) {
        float best = -2;

        for (int j = 0; j < 40; j++)
            best = fmaxf(best, dots_one(x + i * dim, x + kept[j] * dim, dim));
        sound = sound && sim[i] == best &&
                best == dots_one(x + i * dim, x + (int64_t)near[i] * dim, dim);
    }
    CHECK(sound);
    o.tick = at_once;
    free(v);
    v = blank();
    CHECK(choose_run(&o, &r, v, kept) == -1);
    o.tick = again; // between two that are kept, rows are looked at
    o.with = &last;
    o.method = CHOOSE_KCENTER;
    CHECK(choose_run(&o, &r, v, kept) == -1);
    o.tick = while_none; // before there is a row
    o.method = CHOOSE_FACILITY;
    CHECK(choose_run(&o, &r, v, kept) == -1);
    o.method = CHOOSE_SCORE;
    CHECK(choose_run(&o, &r, v, kept) == -1);
    o.count = 0;
    CHECK(choose_run(&o, &r, v, kept) == 0);
    choose_nearest(&o, &r, kept, 0, sim, near);
    CHECK(sim[3] == -2 && near[3] == -1);
    r.n = 0;
    o.count = 3;
    CHECK(choose_run(&o, &r, v, kept) == 0);
    free(v);
    free(sim);
    free(near);
    free(order);
}

int main(void)
{
    static const char *const method[] = {"quotas and limits: score", "mmr", "kcenter", "facility"};
    struct err e;
    double *list;
    int k;

    backend = backend_cpu_open(1, ISA_AUTO, &e);
    x = golden_rows(&n, &dim);
    score = golden_list("score", &k);
    none = mem_zero((size_t)n, sizeof(*none));
    of = mem_zero((size_t)n, sizeof(*of));
    list = golden_list("of", &k);
    for (int i = 0; i < n; i++) {
        of[i] = (int32_t)list[i];
        none[i] = -INFINITY;
    }
    test_goldens();
    for (k = 0; k < 4; k++) {
        TEST(method[k]);
        test_rules((enum choose_method)k);
    }
    test_more();
    free(x);
    free(score);
    free(none);
    free(of);
    free(list);
    backend_close(backend);
    return test_end();
}
