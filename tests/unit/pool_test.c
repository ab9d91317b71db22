/* pool_test.c - what counts as new, and what a prompt may show. */
#include "pool.h"
#include "test.h"
#include "words.h"

#include <stdlib.h>
#include <string.h>

static void add_one(struct pool *p, const char *id, const char *text, int round, bool hidden)
{
    struct buf t = {0}, fold = {0};

    buf_str(&t, text);
    words_fold(text, strlen(text), &fold);
    pool_add(p, &(struct pool_new){
                    .id = id, .text = &t, .fold = &fold, .round = round, .hidden = hidden});
    buf_free(&t);
    buf_free(&fold);
}

static void add(struct pool *p, const char *id, const char *text, int round)
{
    add_one(p, id, text, round, false);
}

/* Take back all but the first n, whose words are these texts'. */
static void cut(struct pool *p, int n, const char *const *text, int k)
{
    struct buf fold[4] = {{0}, {0}, {0}, {0}};
    const struct buf *at[4];

    for (int i = 0; i < k; i++) {
        words_fold(text[i], strlen(text[i]), &fold[i]);
        at[i] = &fold[i];
    }
    pool_cut(p, n, at);
    for (int i = 0; i < k; i++)
        buf_free(&fold[i]);
}

/* "rule value limit near" of a text against the pool. */
static bool known(struct pool *p, const char *text, float most, const char *want)
{
    struct buf fold = {0}, value = {0}, limit = {0}, all = {0};
    struct rouge_near near;
    const char *rule;
    bool same;

    words_fold(text, strlen(text), &fold);
    rule = pool_known(p, &fold, most, &near, &value, &limit);
    buf_fmt(&all, "%s %s %s %d", rule ? rule : "-", buf_cstr(&value), buf_cstr(&limit), near.index);
    same = !strcmp(all.p, want);
    if (!same)
        printf("# %s\n", all.p);
    buf_free(&fold);
    buf_free(&value);
    buf_free(&limit);
    buf_free(&all);
    return same;
}

/* Draws of n_seed seeds and n_made made: how many of each kind, all different, each in reach. */
static bool draws(int seeds, int made, int examples, int want, int n_seed, int n_made)
{
    struct rng r = rng_stream(9, 1, 2);
    struct pool p;
    int out[64], n, hit[64] = {0}, bad = 0;

    pool_init(&p);
    for (int i = 0; i < seeds + made; i++)
        add(&p, "x", "text", i >= seeds);
    for (uint64_t at = 0; at < 300; at++) {
        int kind[2] = {0}, seen[64] = {0};

        n = pool_draw(&p, &r, at, examples, want, out);
        for (int i = 0; i < n; i++) {
            bad += seen[out[i]]++;
            hit[out[i]]++;
            kind[out[i] >= seeds]++;
        }
        bad += kind[0] != n_seed || kind[1] != n_made;
    }
    for (int i = 0; i < seeds + made; i++)
        bad += !hit[i] && (i < seeds ? n_seed : n_made);
    pool_free(&p);
    return !bad;
}

int main(void)
{
    struct rng r = rng_stream(1, 2, 3);
    struct pool p;
    int a[8], b[8], first[20] = {0}, few = 0;

    TEST("what is new");
    pool_init(&p);
    CHECK(known(&p, "one two", 0.7f, "-   -1"));
    add(&p, "s1", "a b c d e f g h i j", 0);
    add(&p, "s2", "k l m n", 0);
    add(&p, "m1", "o p q", 1);
    CHECK(known(&p, "A, b c d e f g h i J!", 0.7f, "duplicate \"s1\"  0"));
    CHECK(known(&p, "a b c d e f g x y z", 0.7f, "-   0"));
    CHECK(known(&p, "a b c d e f g h y z", 0.7f, "rouge 0.8 0.7 0"));
    CHECK(known(&p, "p q o", 0.7f, "-   2"));
    CHECK(known(&p, "p q o", 0.5f, "rouge 0.6667 0.5 2"));
    CHECK(known(&p, "o p q r", 1, "-   2"));
    pool_free(&p);

    TEST("taken back, tasks are new again");
    pool_init(&p);
    add(&p, "s1", "a b c d e", 0);
    add(&p, "m1", "f g h i j", 1);
    add(&p, "m2", "k l m n o", 2);
    CHECK(known(&p, "k l m n o", 0.7f, "duplicate \"m2\"  2"));
    cut(&p, 1, (const char *[]){"f g h i j", "k l m n o"}, 2);
    CHECK(known(&p, "k l m n o", 0.7f, "-   0") && p.n == 1 && p.n_seed == 1 && !p.made.n);
    CHECK(known(&p, "a b c d e", 0.7f, "duplicate \"s1\"  0"));
    add(&p, "m3", "k l m n o", 2);
    CHECK(known(&p, "k l m n o", 0.7f, "duplicate \"m3\"  1") && p.made.at[0] == 1);
    pool_free(&p);

    TEST("what is hidden counts and is not shown");
    pool_init(&p);
    add_one(&p, "s1", "a b c d e", 0, true);
    add(&p, "s2", "f g h i j", 0);
    CHECK(known(&p, "a b c d e", 0.7f, "duplicate \"s1\"  0"));
    CHECK(pool_draw(&p, &r, 1, 8, 2, a) == 1 && a[0] == 1);
    pool_free(&p);

    TEST("what is shown");
    CHECK(draws(20, 30, 8, 2, 6, 2));
    CHECK(draws(20, 1, 8, 2, 7, 1));
    CHECK(draws(20, 0, 8, 2, 8, 0));
    CHECK(draws(3, 10, 8, 2, 3, 5));
    CHECK(draws(3, 1, 8, 2, 3, 1));
    CHECK(draws(8, 8, 8, 0, 8, 0));
    CHECK(draws(8, 8, 1, 1, 0, 1));

    TEST("draws follow from the position, and places are mixed");
    pool_init(&p);
    for (int i = 0; i < 20; i++)
        add(&p, "x", "text", 0);
    CHECK(pool_draw(&p, &r, 5, 8, 0, a) == 8 && pool_draw(&p, &r, 5, 8, 0, b) == 8);
    CHECK(!memcmp(a, b, sizeof(a)));
    pool_draw(&p, &r, 6, 8, 0, b);
    CHECK(memcmp(a, b, sizeof(a)));
    for (uint64_t at = 0; at < 2000; at++) {
        pool_draw(&p, &r, at, 8, 0, a);
        first[a[0]]++;
    }
    for (int i = 0; i < 20; i++)
        few += first[i] < 60 || first[i] > 140; // 100 expected, sd 9.7
    CHECK(!few);
    pool_free(&p);
    return test_end();
}
