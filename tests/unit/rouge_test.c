/* rouge_test.c - the bit-parallel pool against the plain recurrence and against rouge_score. */
#include "hash.h"
#include "json.h"
#include "mem.h"
#include "pool.h"
#include "rng.h"
#include "rouge.h"
#include "test.h"
#include "words.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST = 40000 };

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
    static int row[LONGEST + 1];
    int m = list(a, x), n = list(b, y);

    memset(row, 0, sizeof(*row) * ((size_t)n + 1));
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
    if (!row[n])
        return 0;
    return 2 * ((double)row[n] / m) * ((double)row[n] / n) /
           ((double)row[n] / m + (double)row[n] / n);
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
        if (got.index != want.index || got.f != want.f)
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

/* Pairs of texts of which one or both are longer than what masks are made of at once. */
static int compare_long(uint64_t seed)
{
    static const struct {
        int a, b;
        uint32_t vocab;
    } size[] = {{30, 20000, 9},      {20000, 30, 500},      {5, 40000, 100000}, {700, 16385, 40},
                {16384, 16385, 300}, {16385, 16384, 30000}, {17000, 16500, 60}, {33000, 16400, 5}};
    const struct rng r = rng_stream(seed, 1, 2);
    int wrong = 0;

    for (size_t i = 0; i < sizeof(size) / sizeof(*size); i++) {
        char *a = text(&r, 2 * i, size[i].a, size[i].vocab);
        char *b = text(&r, 2 * i + 1, size[i].b, size[i].vocab);

        wrong += pair(a, b) != plain(b, a);
        free(a);
        free(b);
    }
    return wrong;
}

/* A text of the golden file, put together from its pieces. */
static char *build(const struct json *head, const struct json *j, const char *key)
{
    int list = json_get(head, 0, "pieces"), at = json_get(j, 0, key);
    struct arena mem = {0};
    struct buf b = {0};

    for (uint32_t k = (uint32_t)at + 1; k < j->node[at].next; k = j->node[k].next) {
        int64_t i;

        CHECK(!json_int(j, (int)k, &i));
        buf_fmt(&b, "%s%s", b.n ? " " : "",
                json_str(head, json_at(head, list, (uint32_t)i), &mem, NULL));
    }
    arena_free(&mem);
    buf_add(&b, "", 0);
    return b.p ? b.p : mem_dup("", 0);
}

/* What the pool decides about b after a, as the published filter asks: above 0.7 or not. */
static bool drops(const char *a, const char *b)
{
    struct buf text = {0}, fold = {0}, value = {0}, limit = {0};
    struct rouge_near near;
    const char *rule;
    bool has_word;
    struct pool p;

    pool_init(&p);
    buf_str(&text, "x");
    words_fold(a, strlen(a), &fold);
    pool_add(&p, &(struct pool_new){.id = "x", .text = &text, .fold = &fold});
    buf_reset(&fold);
    words_fold(b, strlen(b), &fold);
    rule = pool_known(&p, &fold, 0.7f, &near, &value, &limit);
    has_word = fold.n > 1;
    pool_free(&p);
    buf_free(&text);
    buf_free(&fold);
    buf_free(&value);
    buf_free(&limit);
    return rule && has_word; // texts without a word are duplicates to us, unlike to rouge_score
}

static void goldens(void)
{
    FILE *f = fopen("tests/data/rouge.jsonl", "r");
    struct arena mem = {0}, one = {0};
    struct json head, j;
    char *line = NULL;
    size_t cap = 0;
    ssize_t len = 0;
    int pairs = 0, bad = 0;
    struct err e;

    CHECK(f && (len = getline(&line, &cap, f)) > 0);
    CHECK(!json_parse(&head, &mem, arena_dup(&mem, line, (size_t)len), (size_t)len, &e));
    while ((len = getline(&line, &cap, f)) > 0) {
        char *a, *b;
        double want = -1;
        int64_t drop = -1;

        CHECK(!json_parse(&j, &one, line, (size_t)len, &e));
        a = build(&head, &j, "a");
        b = build(&head, &j, "b");
        CHECK(!json_num(&j, json_get(&j, 0, "f"), &want));
        CHECK(!json_int(&j, json_get(&j, 0, "drop"), &drop));
        // the same double, not nearly the same
        if (pair(a, b) != want || pair(b, a) != want || drops(a, b) != (drop == 1)) {
            printf("# pair %d: %.17g is not %.17g\n", pairs, pair(a, b), want);
            bad++;
        }
        pairs++;
        free(a);
        free(b);
        arena_reset(&one);
    }
    CHECK(pairs == 1000 && !bad);
    free(line);
    fclose(f);
    arena_free(&mem);
    arena_free(&one);
}

int main(void)
{
    struct rouge *pool;

    TEST("known values");
    CHECK(pair("the cat sat", "the cat sat") == 1);
    CHECK(pair("The cat, sat.", "the CAT sat") == 1);
    CHECK(fabs(pair("the cat sat", "sat cat the") - 2.0 / 6) < 1e-15);
    CHECK(fabs(pair("a b c d e f g h i j", "a b c d e f g x y z") - 0.7) < 1e-15);
    CHECK(pair("a b", "c d") == 0);
    CHECK(pair("", "a") == 0);
    CHECK(pair("...", "...") == 0);
    CHECK(fabs(pair("사과를 써라", "사과를 먹어라") - 2.0 * 4 / (5 + 6)) < 1e-15);
    CHECK(fabs(pair("列出三個水果", "列出五個水果") - 2.0 * 5 / 12) < 1e-15);

    TEST("an empty pool has no nearest");
    pool = rouge_open();
    CHECK(rouge_nearest(pool, "a", 1).index == -1);
    CHECK(rouge_size(pool) == 0);
    rouge_close(pool);

    TEST("taken back, a text is as if it had never been there");
    pool = rouge_open();
    rouge_add(pool, "a b c d", 7);
    rouge_add(pool, "a b c e", 7);
    rouge_add(pool, "f g", 3);
    CHECK(rouge_nearest(pool, "a b c e", 7).index == 1);
    rouge_cut(pool, 1);
    CHECK(rouge_size(pool) == 1);
    CHECK(rouge_nearest(pool, "a b c e", 7).index == 0 && rouge_nearest(pool, "f g", 3).f == 0);
    CHECK(rouge_add(pool, "g f", 3) == 1 && rouge_nearest(pool, "f g", 3).index == 1);
    rouge_close(pool);

    TEST("short texts, as the recurrence");
    CHECK(compare(1, 400, 20, 30) == 0);
    CHECK(compare(2, 300, 8, 3) == 0);
    TEST("texts around and over 64 words, as the recurrence");
    CHECK(compare(3, 120, 70, 40) == 0);
    CHECK(compare(4, 60, 390, 12) == 0);
    CHECK(compare(5, 60, 200, 500) == 0);
    TEST("texts over 16,384 words, as the recurrence");
    CHECK(compare_long(6) == 0);
    TEST("1,000 pairs as rouge_score measures them and Self-Instruct's filter decides");
    goldens();
    return test_end();
}
