/* repeat_test.c - keys that stood before, beside a look at each of them. */
#include "repeat.h"
#include "rng.h"
#include "test.h"

#include <stdlib.h>

enum { KEYS = 700 };

/* Are those found of n keys the ones that stood before, each with the nearest like it? */
static int wrong(struct repeat_back *b, const uint32_t *key, size_t n)
{
    size_t found = repeat_back_find(b, key, n), k = 0;
    int bad = 0;

    for (size_t i = 0; i < n; i++) {
        size_t j = i;

        while (j && key[j - 1] != key[i])
            j--;
        if (!j)
            continue;
        bad += k >= found || b->again[k] != i || b->first[k] != j - 1;
        k++;
    }
    return bad + (k != found);
}

/* Is what the bounds say never less than what is? How often is it less than a third of the text,
 * where a text is. */
static int bounded(struct repeat_grams *g, const struct repeat_words *w, int *tight)
{
    size_t most[REPEAT_LENGTHS], top[REPEAT_LENGTHS], runs[REPEAT_LENGTHS];
    int bad = 0;

    repeat_grams_begin(g, w);
    repeat_grams_bound(g, w, most);
    *tight += most[0] < w->upto[w->n] / 3 && !most[REPEAT_LENGTHS - 1];
    for (size_t run = 2; run < 2 + REPEAT_LENGTHS; run++) {
        top[run - 2] = repeat_top(g, w, run);
        runs[run - 2] = repeat_runs(g, w);
        bad += most[run - 2] < (run < REPEAT_LONG ? top[run - 2] : runs[run - 2]);
    }
    for (size_t run = 1 + REPEAT_LENGTHS; run >= 2; run--) // each by itself
        bad += repeat_top(g, w, run) != top[run - 2] || repeat_runs(g, w) != runs[run - 2];
    return bad;
}

static void test_bounds(void)
{
    struct rng r = rng_stream(6, 0, 1);
    struct repeat_words w = {0};
    struct repeat_grams g = {0};
    uint32_t key[KEYS];
    int bad = 0, tight = 0;

    TEST("how many keys stood before at most, and how much of a text is repeated");
    for (uint32_t t = 0; t < 600; t++) {
        size_t n = rng_below(&r, t, 0, KEYS), same = 0, from = 0;
        uint32_t of = 1 + rng_below(&r, t, 1, t % 3 ? 2000 : 20);

        repeat_words_clear(&w);
        for (size_t i = 0; i < n; i++) {
            uint32_t v = rng_below(&r, t, (uint32_t)i + 2, of);

            if (i > 20 && !(v % 17)) // some words come again in the order in which they stood
                from = i - 20 + v % 13;
            v = i > 20 && from && from < i && t % 2 ? key[from++] : v;
            key[i] = v;
            for (size_t k = 0; k <= i; k++)
                if (key[k] == v) {
                    same += k < i;
                    break;
                }
            repeat_words_add(&w, v * 0x9E3779B97F4A7C15u, 1 + v % 9);
        }
        bad += repeat_at_most(key, n) < same || repeat_at_most(key, n) > same + n / 4;
        bad += bounded(&g, &w, &tight);
    }
    CHECK(!bad && tight > 100);
    repeat_words_free(&w);
    repeat_grams_free(&g);
}

int main(void)
{
    struct rng r = rng_stream(5, 0, 1);
    struct repeat_back b = {0};
    uint32_t key[KEYS];
    int bad = 0, many = 0;

    TEST("keys that stood before, text after text");
    for (uint32_t t = 0; t < 600; t++) {
        size_t n = t % 5 ? rng_below(&r, t, 0, KEYS / 4) : rng_below(&r, t, 0, KEYS);
        uint32_t of = 1 + rng_below(&r, t, 1, t % 3 ? 2000 : 20);

        for (size_t i = 0; i < n; i++)
            key[i] = rng_below(&r, t, (uint32_t)i + 2, of) << (t % 2 ? 0 : 20);
        bad += wrong(&b, key, n);
        many += n > 10;
    }
    CHECK(!bad && many > 400);
    TEST("and when the numbers of a text are as large as they may be, and begin again");
    for (uint32_t left = 0; left < 12; left++) {
        for (size_t i = 0; i < 10; i++)
            key[i] = (uint32_t)(i * i % 7);
        b.base = UINT32_MAX - left;
        bad += wrong(&b, key, 10) + wrong(&b, key, 10);
    }
    CHECK(!bad && b.base < 100);
    repeat_back_free(&b);
    test_bounds();
    return test_end();
}
