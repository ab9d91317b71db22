/* near_test.c - near duplicates against all pairs, compared exactly. */
#include "buf.h"
#include "hash.h"
#include "json.h"
#include "look.h"
#include "minhash.h"
#include "near.h"
#include "rng.h"
#include "test.h"
#include "words.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEXTS = 600, WORDS = 40 };

/* Texts in families: text i is text i - 1 with a few words exchanged, or a new one. In some
 * families the latter half is the former again. */
static void make(struct buf *text, int n)
{
    struct rng r = rng_stream(7, 0, 1);
    int word[WORDS] = {0}, words = WORDS;

    for (int i = 0; i < n; i++) {
        bool fresh = rng_below(&r, (uint64_t)i, 0, 4) == 0;
        uint32_t change = rng_below(&r, (uint64_t)i, 1, 6);

        for (int k = 0; k < WORDS; k++)
            if (fresh || !i || rng_below(&r, (uint64_t)i, (uint32_t)(k + 2), WORDS) < change)
                word[k] = (int)rng_below(&r, (uint64_t)i, (uint32_t)(k + 200), 5000);
        if (fresh)
            words = i % 3 ? WORDS : WORDS / 2;
        text[i] = (struct buf){0};
        for (int k = 0; k < WORDS; k++)
            buf_fmt(&text[i], "%sw%d", k ? " " : "", word[k % words]);
    }
}

/* Jaccard similarity of the sets of runs of MINHASH_WORDS words, the slow way. */
static double jaccard(const struct buf *a, const struct buf *b)
{
    const struct buf *t[2] = {a, b};
    char run[2][WORDS][64];
    int n[2] = {0, 0}, both = 0;

    for (int i = 0; i < 2; i++) {
        struct buf w = {0};
        char last[MINHASH_WORDS][16] = {{0}};
        size_t at = 0;
        int k = 0;

        while (words_next(t[i]->p, t[i]->n, &at, &w)) {
            char now[64];
            bool known = false;

            memmove(last[0], last[1], sizeof(last) - sizeof(last[0]));
            snprintf(last[MINHASH_WORDS - 1], sizeof(last[0]), "%s", w.p);
            if (++k < MINHASH_WORDS)
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

/* In files, or in so little memory that some of it goes to a file. */
static struct near *open_index(double threshold, const char *dir, struct err *e)
{
    return near_open(threshold, &(struct near_place){dir, 1 << 19, "/tmp"}, e);
}

/* near_meet for a text; without a hit, near_add. */
static int meet_text(struct near *x, const char *s, size_t n, const char *id, uint64_t run,
                     struct near_hit *hit, struct err *e)
{
    struct minhash_set set = {0};
    uint64_t key[MINHASH_MAX];
    struct look l = {0};
    int rc;

    look_text(&l, s, n);
    minhash_begin(&set);
    minhash_add(&set, look_words(&l), look_threes(&l));
    minhash_end(&set, hash_bytes(s, n).lo);
    near_keys(x, &set, key);
    rc = hit ? near_meet(x, &set, key, id, run, hit, e) : near_add(x, &set, key, id, run, e);
    minhash_set_free(&set);
    look_free(&l);
    return rc;
}

/* Against the slow way: never a pair below the threshold, the same similarity, and hardly one
 * above it missed. */
static void test_pairs(const struct buf *text, double threshold, const char *dir)
{
    struct err e;
    struct near *x = open_index(threshold, dir, &e);
    int kept[TEXTS], n_kept = 0, found = 0, missed = 0, wrong = 0;

    for (int i = 0; i < TEXTS; i++) {
        struct near_hit hit;
        char id[16];
        double best = 0;
        int at = -1, got;

        if (dir && i % 100 == 50) { // closed, or left as a kill leaves it, and opened again
            CHECK(!near_close(x, &e));
            CHECK((x = open_index(threshold, dir, &e)));
        }
        snprintf(id, sizeof(id), "%d", n_kept);
        got = meet_text(x, text[i].p, text[i].n, id, 0, &hit, &e);
        for (int k = 0; k < n_kept; k++) {
            double j = jaccard(&text[i], &text[kept[k]]);

            if (j >= threshold && j > best) {
                best = j;
                at = k;
            }
        }
        CHECK(got >= 0);
        if (!got) {
            missed += at >= 0;
            kept[n_kept++] = i;
        } else {
            found++;
            snprintf(id, sizeof(id), "%.*s", (int)hit.n_id, hit.id);
            wrong += atoi(id) != at || hit.similarity < best || hit.similarity > best;
        }
    }
    CHECK(near_recall(x) >= 0.995 && near_size(x) == (size_t)n_kept);
    CHECK(found > 50);
    CHECK(missed * 100 <= found); // 1 % and less
    CHECK(wrong * 100 <= found);
    printf("# threshold %.2f: %d x %d, found %d, missed %d, not the nearest %d\n", threshold,
           near_bands(x), near_rows(x), found, missed, wrong);
    CHECK(!near_close(x, &e));
}

/* Pairs of known similarity, and whether datasketch's MinHashLSH with as many bands and rows meets
 * them (tests/goldens/minhash.py). */
static void test_goldens(void)
{
    FILE *f = fopen("tests/data/minhash.jsonl", "r");
    int pairs = 0, over = 0, met = 0, theirs = 0, both = 0, wrong = 0;
    struct arena mem = {0};
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;

    while (f && (len = getline(&line, &cap, f)) > 0) {
        struct near_hit hit = {0};
        struct json g;
        struct err e;
        struct near *x = open_index(0.8, NULL, &e);
        size_t na, nb;
        double j = 0;
        int64_t lsh = 0;

        CHECK(!json_parse(&g, &mem, line, (size_t)len, &e));
        const char *a = json_str(&g, json_get(&g, 0, "a"), &mem, &na);
        const char *b = json_str(&g, json_get(&g, 0, "b"), &mem, &nb);
        CHECK(!json_num(&g, json_get(&g, 0, "j"), &j) &&
              !json_int(&g, json_get(&g, 0, "lsh"), &lsh));
        CHECK(!meet_text(x, a, na, "a", 0, &hit, &e));
        int got = meet_text(x, b, nb, "b", 0, &hit, &e);

        wrong += got && (j < 0.8 || hit.similarity < j || hit.similarity > j);
        over += j >= 0.8;
        met += got;
        theirs += j >= 0.8 && lsh;
        both += got && lsh;
        pairs++;
        near_close(x, &e);
        arena_reset(&mem);
    }
    printf("# of %d pairs at 0.8 and above: %d met, by datasketch %d\n", over, met, theirs);
    CHECK(f && pairs == 400 && over > 200 && over < 390 && !wrong);
    CHECK(100 * met >= 95 * over && 100 * both >= 95 * theirs);
    free(line);
    arena_free(&mem);
    if (f)
        fclose(f);
}

/* The id of the text in the index that s is near to, or NULL. */
static const char *meet(struct near *x, const char *s, const char *id, uint64_t run)
{
    static struct near_hit hit;
    static char got[16];
    struct err e;
    int rc = meet_text(x, s, strlen(s), id, run, &hit, &e);

    CHECK(rc >= 0);
    if (rc > 0)
        snprintf(got, sizeof(got), "%.*s", (int)hit.n_id, hit.id);
    return rc > 0 ? got : NULL;
}

static void add(struct near *x, const char *s, const char *id, uint64_t run)
{
    struct err e;

    CHECK(!meet_text(x, s, strlen(s), id, run, NULL, &e));
}

/* What a run kept before is in the index once, whatever is near to it there. */
static void test_add(const char *dir)
{
    static const char *const text[] = {"a b c d e f g h", "a b c d e f g i", "k l m n", "o p q r"};
    struct err e;
    struct near *x = open_index(0.5, dir, &e);

    TEST("what was kept is added, not compared");
    CHECK(!meet(x, text[0], "0", 7) && !strcmp(meet(x, text[1], "1", 7), "0"));
    CHECK(!meet(x, text[2], "2", 7) && !meet(x, text[3], "3", 7));
    if (dir) {
        CHECK(!near_close(x, &e));
        CHECK((x = open_index(0.5, dir, &e)));
    }
    add(x, text[0], "0", 7);
    CHECK(near_size(x) == 3);
    add(x, text[1], "1", 7); // lies there, for all we know, and is not known to the index
    add(x, text[2], "2", 7); // not the next one any more
    CHECK(near_size(x) == 4);
    add(x, text[1], "1", 7);
    add(x, text[2], "other", 7);
    add(x, text[2], "2", 8);
    CHECK(near_size(x) == 6);
    CHECK(!strcmp(meet(x, text[1], "z", 9), "1") && !strcmp(meet(x, text[2], "z", 9), "2"));
    near_close(x, &e);
}

static void test_small(void)
{
    struct err e;
    struct near *x = open_index(1, NULL, &e);

    TEST("short, empty and equal texts");
    CHECK(!meet(x, "one two three four", "a", 0));
    CHECK(!strcmp(meet(x, "One, two: THREE four!", "b", 0), "a"));
    CHECK(!meet(x, "one two three five", "c", 0) && !meet(x, "one two", "d", 0));
    CHECK(!strcmp(meet(x, "one  two", "e", 0), "d"));
    CHECK(!meet(x, "", "f", 0) && !strcmp(meet(x, "", "g", 0), "f"));
    CHECK(!meet(x, "?!", "h", 0) && near_size(x) == 5);
    near_close(x, &e);
    CHECK(!near_close(NULL, &e));
}

/* One set beside many others, some with more runs than it. */
static void test_similarity(void)
{
    static const uint16_t word[] = {1, 2, 3, 1, 2, 3, 4}, same[] = {4, 1, 2, 3, 4, 1, 2, 3};
    struct minhash_set x = {0};
    uint16_t other[60];
    int bad = 0;

    TEST("a set and many others");
    minhash_take(&x, word, 7); // 123 231 312 234
    for (uint16_t k = 0; k < 40000; k++) {
        size_t n = 3 + k % 58u;

        for (size_t i = 0; i < n; i++) // 123, and runs of its own
            other[i] = (uint16_t)(i < 3 ? i + 1 : k + 10 + i % 7);
        double j = minhash_jaccard(&x, other, n), all = 4 + (n < 12 ? (double)n - 3 : 9);

        bad += fabs(j - 1 / all) > 1e-12;
    }
    for (int k = 0; k < 40000; k++)
        bad += fabs(minhash_jaccard(&x, same, 8) - 2 / 6.0) > 1e-12; // 412 123 234 341 412 123
    CHECK(!bad);
    minhash_set_free(&x);
}

static void change(const char *dir, const char *name, long at, int byte)
{
    char path[100];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "r+");
    CHECK(f && !fseek(f, at, SEEK_SET) && fputc(byte, f) == byte && !fclose(f));
}

static void test_files(const char *dir)
{
    struct err e;
    struct near *x = open_index(0.9, dir, &e), *y;
    char path[100];
    FILE *f;

    TEST("an index in files: its own texts, locks, other thresholds");
    CHECK(!meet(x, "one two three four", "a", 7) && !meet(x, "five six seven eight", "b", 7));
    CHECK(!meet(x, "one two three four", "a", 7)); // itself, met again after a kill
    CHECK(meet(x, "one two three four", "a", 8) && meet(x, "one two three four", "z", 7));
    CHECK(near_size(x) == 2);
    CHECK(!(y = open_index(0.9, dir, &e)) && e.code == ERR_ARG && strstr(e.msg, "in use"));
    near_close(x, &e);
    CHECK(!open_index(0.8, dir, &e) && strstr(e.msg, "--near 0.9"));
    TEST("what was added behind the last that is known is let go");
    x = open_index(0.9, dir, &e);
    CHECK(!meet(x, "nine ten eleven twelve", "c", 7) && !near_close(x, &e));
    x = open_index(0.9, dir, &e);
    add(x, "one two three four", "a", 7);
    add(x, "five six seven eight", "b", 7);
    near_cut(x, 8);
    CHECK(near_size(x) == 3);
    near_cut(x, 7);
    CHECK(near_size(x) == 2);
    near_close(x, &e);
    TEST("the machine went down: what is whole is kept");
    x = open_index(0.9, dir, &e);
    CHECK(!meet(x, "nine ten eleven twelve", "c", 7));
    CHECK(!near_close(x, &e));
    change(dir, "head", 8, '?'); // another boot
    change(dir, "head", 80, 1);  // and not closed
    change(dir, "words", 2 * 2 * 4 + 1, 99);
    CHECK((x = open_index(0.9, dir, &e)) && near_size(x) == 2);
    CHECK(x && meet(x, "five six seven eight", "q", 7) &&
          !meet(x, "nine ten eleven twelve", "c", 7));
    near_close(x, &e);
    TEST("killed while the table was made");
    change(dir, "head", 84, 1);
    for (int i = 0; i < 1 << 13; i++)
        change(dir, "table", i, 0);
    CHECK((x = open_index(0.9, dir, &e)) && meet(x, "five six seven eight", "q", 7));
    near_close(x, &e);
    TEST("killed while a larger table was made");
    snprintf(path, sizeof(path), "%s/table.new", dir);
    CHECK((f = fopen(path, "w")) && fputs("half", f) >= 0 && !fclose(f));
    CHECK((x = open_index(0.9, dir, &e)) && access(path, F_OK));
    near_close(x, &e);
    TEST("files that were tampered with");
    for (int i = 0; i < 400; i++) {
        static const char *const names[] = {"head", "texts", "table"};

        change(dir, names[i % 3], i % 3 ? i * 7 % 96 : i % 88, i * 37 & 255);
        x = open_index(0.9, dir, &e);
        if (x)
            meet(x, "five six seven eight", "q", 9);
        near_close(x, &e);
    }
}

int main(void)
{
    struct buf text[TEXTS];
    char dir[] = "/tmp/near.XXXXXX", cmd[64];
    bool made = mkdtemp(dir);

    snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
    make(text, TEXTS);
    TEST("pairs at 0.8");
    test_pairs(text, 0.8, NULL);
    TEST("pairs at 0.5");
    test_pairs(text, 0.5, NULL);
    TEST("pairs at 0.8, in files that are opened again");
    CHECK(made);
    test_pairs(text, 0.8, dir);
    CHECK(!system(cmd));
    test_similarity();
    TEST("pairs of known similarity, beside datasketch");
    test_goldens();
    test_small();
    test_add(NULL);
    test_add(dir);
    CHECK(!system(cmd));
    test_files(dir);
    CHECK(!system(cmd));
    for (int i = 0; i < TEXTS; i++)
        buf_free(&text[i]);
    return test_end();
}
