/* bands_test.c - texts under tags, in memory and in a file, beside a plain list. */
#include "bands.h"
#include "rng.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAIRS = 60000, TAGS = 20000 };

/* Tags of pair i: some are met often, and they are the same in their upper bits or in their lower.
 */
static uint32_t tag_of(uint32_t i)
{
    struct rng r = rng_stream(3, 0, 1);
    uint32_t t = rng_below(&r, i, 0, i % 3 ? TAGS : 5);

    return i % 2 ? t << 17 | t >> 15 : UINT32_MAX / 2 - t * 100003;
}

/* Are the texts of pair i's tag those of the first n pairs that have it? */
static bool same(struct bands *x, uint32_t i, uint32_t n)
{
    static unsigned char met[PAIRS];
    const uint32_t *text;
    uint32_t tag = tag_of(i);
    struct err e;
    size_t k;

    memset(met, 0, sizeof(met));
    bands_soon(x, tag);
    if (bands_find(x, tag, &text, &k, &e))
        return false;
    while (k--)
        if (text[k] >= n || tag_of(text[k]) != tag)
            return false;
        else
            met[text[k]] = 1;
    for (uint32_t j = 0; j < n; j++)
        if (!met[j] && tag_of(j) == tag)
            return false;
    return true;
}

static uint32_t fill(struct bands *x, uint32_t from, uint32_t to, int *merged)
{
    uint32_t in_file = 0, bad = 0;
    struct err e;

    for (uint32_t i = from; i < to; i++) {
        int rc = bands_put(x, tag_of(i), i, &e);

        bad += rc < 0;
        if (rc > 0)
            in_file = i;
        *merged += rc > 0;
        if (i % 5 == 0 && (rc = bands_put(x, tag_of(i), i, &e))) {
            bad += rc < 0;
            in_file = i + 1;
        }
        if (i % 400 == 0)
            bad += !same(x, i, i + 1) || !same(x, i / 2, i + 1);
    }
    CHECK(!bad);
    return in_file;
}

int main(void)
{
    char dir[] = "/tmp/bands.XXXXXX", path[64];
    struct bands *x;
    const uint32_t *text;
    struct err e;
    uint32_t in_file;
    size_t n;
    int merged = 0;
    FILE *f;

    CHECK(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/table", dir);
    TEST("in memory");
    x = bands_open(NULL, false, 8 << 20, dir, &e);
    fill(x, 0, PAIRS, &merged);
    CHECK(!merged);
    bands_close(x);
    TEST("merged into a file without a name");
    x = bands_open(NULL, false, 1, dir, &e);
    fill(x, 0, PAIRS, &merged);
    CHECK(merged > 5);
    CHECK(!bands_clear(x, &e) && !bands_find(x, tag_of(1), &text, &n, &e) && !n);
    bands_close(x);
    TEST("a file with a name: what it had is there again, what it had not can be put again");
    x = bands_open(dir, false, 1, NULL, &e);
    in_file = fill(x, 0, PAIRS / 2, &merged);
    CHECK(in_file && !bands_sync(x, &e));
    bands_close(x);
    x = bands_open(dir, false, 1, NULL, &e);
    CHECK(x && same(x, 1, in_file) && same(x, 2, in_file) && same(x, 3, in_file));
    for (uint32_t i = in_file / 2; i < in_file; i++)
        CHECK(bands_put(x, tag_of(i), i, &e) >= 0);
    fill(x, in_file, PAIRS, &merged);
    bands_close(x);
    TEST("what is in no order; an empty one in its place");
    CHECK((f = fopen(path, "r+")) && fputs("zzzzzzzz", f) >= 0 && !fclose(f));
    CHECK(!bands_open(dir, false, 1, NULL, &e) && e.code == ERR_DATA);
    x = bands_open(dir, true, 1, NULL, &e);
    CHECK(x && !bands_find(x, tag_of(1), &text, &n, &e) && !n);
    fill(x, 0, 3000, &merged);
    bands_close(x);
    TEST("no place for a file");
    x = bands_open(NULL, false, 1, "/nowhere", &e);
    for (n = 0; n < PAIRS && bands_put(x, tag_of((uint32_t)n), (uint32_t)n, &e) >= 0;)
        n++;
    CHECK(n < PAIRS && e.code == ERR_IO && strstr(e.msg, "/nowhere"));
    bands_close(x);
    CHECK(!unlink(path) && !rmdir(dir));
    return test_end();
}
