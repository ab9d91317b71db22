/* rouge_test.c - the bit-parallel pool against the plain recurrence. */
#include "hash.h"
#include "mem.h"
#include "rng.h"
#include "rouge.h"
#include "test.h"
#include "words.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST = 400 };

/* Hashes of the words of a text. */
static int list(const char *s, uint64_t *out)
{
    struct buf w = {0};
    size_t at = 0;
    int n = 0;

    while (words_next(s, strlen(s), &at, &w))
        out[n++] = hash_bytes(w.p, w.n).lo;
    buf_free(&w);
    return n;
}

/* F-measure by the table of Wagner and Fischer. */
static double plain(const char *a, const char *b)
{
    static uint64_t x[LONGEST], y[LONGEST];
    int row[LONGEST + 1] = {0}, m = list(a, x), n = list(b, y);

    for (int i = 0; i < m; i++) {
        int diagonal = 0;

        for (int k = 1; k <= n; k++) {
            int up = row[k];

            if (x[i] == y[k - 1])
                row[k] = diagonal + 1;
            else if (row[k - 1] > row[k])
                row[k] = row[k - 1];
            diagonal = up;
        }
    }
    return m + n ? 2.0 * row[n] / (double)(m + n) : 0;
}

/* A text of `words` words out of a small vocabulary. */
static char *text(const struct rng *r, uint64_t at, int words, uint32_t vocab)
{
    struct buf b = {0};

    for (int i = 0; i < words; i++)
        buf_fmt(&b, "%sw%u", i ? " " : "", rng_below(r, at, (uint32_t)i, vocab));
    buf_add(&b, "", 0);
    return b.p ? b.p : mem_dup("", 0);
}

/* Every text against all before it, nearest by the pool and by the recurrence. */
static int compare(uint64_t seed, int n, int longest, uint32_t vocab)
{
    const struct rng r = rng_stream(seed, 1, 2);
    char **all = mem_zero((size_t)n, sizeof(*all));
    struct rouge *pool = rouge_open();
    int wrong = 0;

    for (int i = 0; i < n; i++) {
        struct rouge_near got, want = {i ? 0 : -1, 0};
        uint64_t at = (uint64_t)i;

        all[i] = text(&r, at, (int)rng_below(&r, at, 1u << 30, (uint32_t)longest + 1), vocab);
        got = rouge_nearest(pool, all[i], strlen(all[i]));
        for (int k = 0; k < i; k++) {
            double f = plain(all[i], all[k]);

            if (f > want.f)
                want = (struct rouge_near){k, f};
        }
        if (got.index != want.index || fabs(got.f - want.f) > 1e-15)
            wrong++;
        if (rouge_add(pool, all[i], strlen(all[i])) != i)
            wrong++;
    }
    for (int i = 0; i < n; i++)
        free(all[i]);
    free(all);
    rouge_close(pool);
    return wrong;
}

static double pair(const char *a, const char *b)
{
    struct rouge *pool = rouge_open();
    struct rouge_near near;

    rouge_add(pool, a, strlen(a));
    near = rouge_nearest(pool, b, strlen(b));
    rouge_close(pool);
    return near.f;
}

int main(void)
{
    struct rouge *pool;

    TEST("known values");
    CHECK(pair("the cat sat", "the cat sat") == 1);
    CHECK(pair("The cat, sat.", "the CAT sat") == 1);
    CHECK(pair("the cat sat", "sat cat the") == 2.0 / 6);
    CHECK(pair("a b c d e f g h i j", "a b c d e f g x y z") == 0.7);
    CHECK(pair("a b", "c d") == 0);
    CHECK(pair("", "a") == 0);
    CHECK(pair("...", "...") == 0);
    CHECK(pair("사과를 써라", "사과를 먹어라") == 2.0 * 4 / (5 + 6));
    CHECK(pair("列出三個水果", "列出五個水果") == 2.0 * 5 / 12);

    TEST("an empty pool has no nearest");
    pool = rouge_open();
    CHECK(rouge_nearest(pool, "a", 1).index == -1);
    CHECK(rouge_size(pool) == 0);
    rouge_close(pool);

    TEST("short texts, as the recurrence");
    CHECK(compare(1, 400, 20, 30) == 0);
    CHECK(compare(2, 300, 8, 3) == 0);
    TEST("texts around and over 64 words, as the recurrence");
    CHECK(compare(3, 120, 70, 40) == 0);
    CHECK(compare(4, 60, 390, 12) == 0);
    CHECK(compare(5, 60, 200, 500) == 0);
    return test_end();
}
