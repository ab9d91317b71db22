/* pile_test.c - bytes added at an end, in memory, in files without and with a name. */
#include "pile.h"
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PARTS = 3000, LONGEST = 1500 };

static size_t part(int i, char *out)
{
    size_t n = (size_t)(i * 7919 % LONGEST);

    memset(out, 'a' + i % 26, n);
    return n;
}

/* All parts into it, and each read again, alone and with the one behind it, also while they are
 * put. */
static void fill(struct pile *x)
{
    uint64_t at[PARTS + 1] = {0};
    char p[2 * LONGEST];
    struct buf room = {0};
    struct err e;
    int bad = 0;

    for (int i = 0; i < PARTS; i++) {
        size_t n = part(i, p);

        bad += pile_put(x, at[i], p, n, &e) != 0;
        at[i + 1] = at[i] + n;
        for (int k = i; k >= 0; k -= 1 + i / 8) {
            const char *q = pile_get(x, at[k], n = part(k, p), &room);

            bad += !q || memcmp(q, p, n) != 0;
            n += k < i ? part(k + 1, p + n) : 0;
            q = pile_get(x, at[k], n, &room);
            bad += !q || memcmp(q, p, n) != 0;
        }
    }
    CHECK(!bad && x->n == at[PARTS]);
    CHECK(!pile_get(x, x->n, 1, &room) && !pile_get(x, UINT64_MAX, 1, &room));
    CHECK(!pile_get(x, 0, (size_t)x->n + 1, &room) && pile_get(x, x->n, 0, &room));
    CHECK(!pile_put(x, at[PARTS - 1], "end", 3, &e) && x->n == at[PARTS - 1] + 3);
    CHECK(!memcmp(pile_get(x, at[PARTS - 1], 3, &room), "end", 3));
    CHECK(!pile_get(x, at[PARTS - 1], 4, &room));
    buf_free(&room);
}

int main(void)
{
    char dir[] = "/tmp/pile.XXXXXX", path[64];
    struct pile x = {0};
    struct buf room = {0};
    struct err e;
    struct stat st;
    uint64_t n;

    CHECK(mkdtemp(dir));
    pile_close(&x);
    TEST("in memory");
    pile_temp(&x, 64 << 20, dir);
    fill(&x);
    CHECK(x.fd < 0);
    pile_close(&x);
    TEST("in a file without a name");
    pile_temp(&x, 1000, dir);
    fill(&x);
    CHECK(x.fd >= 0 && !pile_sync(&x, &e) && !rmdir(dir) && !mkdir(dir, 0700));
    pile_close(&x);
    TEST("in a file with a name: there at once, and opened again");
    snprintf(path, sizeof(path), "%s/p", dir);
    CHECK(!pile_open(&x, path, &e) && !pile_put(&x, 0, "first", 5, &e));
    CHECK(!stat(path, &st) && st.st_size == 5);
    pile_close(&x);
    CHECK(!pile_open(&x, path, &e) && x.n == 5 && !memcmp(pile_get(&x, 0, 5, &room), "first", 5));
    fill(&x);
    n = x.n;
    CHECK(!pile_sync(&x, &e));
    pile_close(&x);
    TEST("a file that was cut");
    CHECK(!pile_open(&x, path, &e) && x.n >= n && !truncate(path, 10));
    CHECK(!pile_get(&x, 8, 4, &room) && pile_get(&x, 8, 2, &room));
    pile_close(&x);
    TEST("no place for a file; what is none");
    CHECK(pile_open(&x, dir, &e));
    pile_close(&x);
    CHECK(!unlink(path) && !rmdir(dir));
    pile_temp(&x, 4, dir);
    CHECK(!pile_put(&x, 0, "1234", 4, &e) && pile_put(&x, 4, "5", 1, &e) && e.code == ERR_IO);
    CHECK(strstr(e.msg, dir));
    pile_close(&x);
    if (!access("/dev/full", W_OK)) {
        TEST("a full disk");
        pile_temp(&x, 4, "/tmp");
        CHECK((x.fd = open("/dev/full", O_RDWR)) >= 0 && !pile_put(&x, 0, "1234", 4, &e));
        for (n = 4; n < 3 << 20 && !pile_put(&x, n, path, sizeof(path), &e);)
            n += sizeof(path);
        CHECK(n < 3 << 20 && e.code == ERR_STOP);
        pile_close(&x);
    }
    buf_free(&room);
    return test_end();
}
