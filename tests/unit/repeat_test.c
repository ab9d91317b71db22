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
    return test_end();
}
