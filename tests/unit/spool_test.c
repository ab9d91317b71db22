/* spool_test.c - bytes at rest, in memory and past its limit. */
#include "buf.h"
#include "spool.h"
#include "test.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(void)
{
    char dir[] = "/tmp/spool-test-XXXXXX", text[32];
    struct spool s;
    struct err e;
    uint64_t at[5000], zeros = 0;
    bool same = true;
    DIR *d;
    int names = 0;

    CHECK(mkdtemp(dir));
    for (int limit = 0; limit <= 1 << 20; limit = limit ? limit * 32 : 1024) {
        TEST("what was put in comes out again");
        spool_open(&s, (uint64_t)limit, dir);
        for (int i = 0; i < 5000; i++) {
            snprintf(text, sizeof(text), "line %d", i);
            CHECK(!spool_add(&s, text, strlen(text) + 1, &at[i], &e));
            if (i == 2500)
                CHECK(!spool_room(&s, 100, &zeros, &e));
        }
        for (int i = 0; i < 5000; i++) {
            snprintf(text, sizeof(text), "line %d", i);
            same = same && !strcmp(spool_at(&s, at[i]), text);
        }
        for (int i = 0; i < 100; i++)
            same = same && ((char *)spool_at(&s, zeros))[i] == 0;
        CHECK(same);
        CHECK(spool_on_disk(&s) == (limit < 50000));
        d = opendir(dir);
        while (d && readdir(d))
            names++;
        closedir(d);
        CHECK(names == 2); // "." and "..": the file has no name
        names = 0;
        spool_close(&s);
    }
    CHECK(!rmdir(dir));
    TEST("a directory that is not there");
    spool_open(&s, 10, "/nowhere");
    CHECK(!spool_add(&s, "12345", 5, at, &e));
    CHECK(spool_add(&s, "1234567890", 10, at, &e) && strstr(e.msg, "'/nowhere'"));
    spool_close(&s);
    return test_end();
}
