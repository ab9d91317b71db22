/* near_test.c - near duplicates against all pairs, compared exactly. */
#include "buf.h"
#include "near.h"
#include "rng.h"
#include "test.h"
#include "words.h"

#include <stdlib.h>
#include <string.h>

enum { TEXTS = 600, WORDS = 40 };

/* Texts in families: text i is text i - 1 with a few words exchanged, or a new one. */
static void make(struct buf *text, int n)
{
    struct rng r = rng_stream(7, 0, 1);
    int word[WORDS] = {0};

    for (int i = 0; i < n; i++) {
        bool fresh = rng_below(&r, (uint64_t)i, 0, 4) == 0;
        uint32_t change = rng_below(&r, (uint64_t)i, 1, 6);

        for (int k = 0; k < WORDS; k++)
            if (fresh || !i || rng_below(&r, (uint64_t)i, (uint32_t)(k + 2), WORDS) < change)
                word[k] = (int)rng_below(&r, (uint64_t)i, (uint32_t)(k + 200), 5000);
        text[i] = (struct buf){0};
        for (int k = 0; k < WORDS; k++)
            buf_fmt(&text[i], "%sw%d", k ? " " : "", word[k]);
    }
}

/* Jaccard similarity of the sets of runs of NEAR_WORDS words, the slow way. */
static double jaccard(const struct buf *a, const struct buf *b)
{
    const struct buf *t[2] = {a, b};
    char run[2][WORDS][64];
    int n[2] = {0, 0}, both = 0;

    for (int i = 0; i < 2; i++) {
        struct buf w = {0};
        char last[NEAR_WORDS][16] = {{0}};
        size_t at = 0;
        int k = 0;

        while (words_next(t[i]->p, t[i]->n, &at, &w)) {
            char now[64];
            bool known = false;

            memmove(last[0], last[1], sizeof(last) - sizeof(last[0]));
            snprintf(last[NEAR_WORDS - 1], sizeof(last[0]), "%s", w.p);
            if (++k < NEAR_WORDS)
                continue;
            snprintf(now, sizeof(now), "%s %s %s", last[0], last[1], last[2]);
            for (int j = 0; j < n[i]; j++)
                known = known || !strcmp(run[i][j], now);
            if (!known)
                strcpy(run[i][n[i]++], now);
        }
        buf_free(&w);
    }
    for (int i = 0; i < n[0]; i++)
        for (int j = 0; j < n[1]; j++)
            both += !strcmp(run[0][i], run[1][j]);
    return (double)both / (double)(n[0] + n[1] - both);
}

/* Against the slow way: never a pair below the threshold, the same similarity, and hardly one
 * above it missed. */
static void test_pairs(const struct buf *text, double threshold)
{
    struct near *x = near_open(threshold);
    int kept[TEXTS], n_kept = 0, found = 0, missed = 0, wrong = 0;

    for (int i = 0; i < TEXTS; i++) {
        double sim, best = 0;
        int at = -1;
        int64_t got = near_add(x, text[i].p, text[i].n, &sim);

        for (int k = 0; k < n_kept; k++) {
            double j = jaccard(&text[i], &text[kept[k]]);

            if (j >= threshold && j > best) {
                best = j;
                at = k;
            }
        }
        if (got < 0) {
            missed += at >= 0;
            kept[n_kept++] = i;
        } else {
            found++;
            wrong += got != at || sim < best || sim > best;
        }
    }
    CHECK(near_recall(x) >= 0.995);
    CHECK(found > 50);
    CHECK(missed * 100 <= found); // 1 % and less
    CHECK(wrong * 100 <= found);
    printf("# threshold %.2f: %d x %d, found %d, missed %d, not the nearest %d\n", threshold,
           near_bands(x), near_rows(x), found, missed, wrong);
    near_close(x);
}

static void test_small(void)
{
    struct near *x = near_open(1);
    double sim;

    TEST("short, empty and equal texts");
    CHECK(near_add(x, "one two three four", 18, &sim) == -1);
    CHECK(near_add(x, "One, two: THREE four!", 21, &sim) == 0 && sim == 1);
    CHECK(near_add(x, "one two three five", 18, &sim) == -1);
    CHECK(near_add(x, "one two", 7, &sim) == -1);
    CHECK(near_add(x, "one  two", 8, &sim) == 2);
    CHECK(near_add(x, "", 0, &sim) == -1);
    CHECK(near_add(x, "", 0, &sim) == 3);
    CHECK(near_add(x, "?!", 2, &sim) == -1);
    near_close(x);
    near_close(NULL);
}

int main(void)
{
    struct buf text[TEXTS];

    make(text, TEXTS);
    TEST("pairs at 0.8");
    test_pairs(text, 0.8);
    TEST("pairs at 0.5");
    test_pairs(text, 0.5);
    test_small();
    for (int i = 0; i < TEXTS; i++)
        buf_free(&text[i]);
    return test_end();
}
