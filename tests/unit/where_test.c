/* where_test.c - comparisons of a record's fields. */
#include "test.h"
#include "where.h"

#include <string.h>

static int holds(const char *line, const char *text)
{
    struct record r;
    struct where w;
    struct err e;
    int yes;

    if (where_parse(&w, text, &e))
        return -1;
    if (record_parse(&r, line, strlen(line), &e))
        return -2;
    yes = where_holds(&w, &r);
    record_reset(&r);
    where_free(&w);
    return yes;
}

int main(void)
{
    static const char line[] =
        "{\"score\":0.6,\"n\":-3,\"s\":\"seed\",\"five\":\"5\",\"ok\":true,\"nil\":null,"
        "\"meta\":{\"round\":2,\"source\":\"evol\",\"a\":{\"b\":7}},"
        "\"x.y\":1}";
    static const char *const yes[] = {
        "score>=0.6",     "score <= 0.6", "score == 0.6",
        "score=0.6",      "score > 0.59", "score<.61",
        "score != 1",     "n<0",          "n >= -3",
        "s == seed",      "s=='seed'",    "s != \"x\"",
        "five == '5'",    "ok == true",   "meta.round == 2",
        "meta.a.b > 6.5", "x.y == 1",     "meta.source != seed",
        "s != 5",         "five != 5",    "meta != 1",
        "ok != 1",        "nil != 0",     "score != abc",
    };
    static const char *const no[] = {
        "score>0.6",        "score < 0.6",    "score != 0.6", "absent == 1",
        "absent != 1",      "s == 5",         "five == 5",    "s > 1",
        "s != seed",        "meta.none == 1", "ok == 1",      "meta == 2",
        "meta.round.x > 1", "five >= 5",      "five < 6",     "nil == 0",
    };
    static const char *const bad[] = {"score",    "score ! 1",   "",           ">= 1",
                                      "score >=", "score > abc", "s >= 'seed'"};

    TEST("comparisons that hold");
    for (size_t i = 0; i < sizeof(yes) / sizeof(*yes); i++) {
        CHECK(holds(line, yes[i]) == 1);
        if (holds(line, yes[i]) != 1)
            printf("# %s\n", yes[i]);
    }
    TEST("comparisons that do not");
    for (size_t i = 0; i < sizeof(no) / sizeof(*no); i++) {
        CHECK(holds(line, no[i]) == 0);
        if (holds(line, no[i]))
            printf("# %s\n", no[i]);
    }
    TEST("what is no comparison");
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        CHECK(holds(line, bad[i]) == -1);
        if (holds(line, bad[i]) != -1)
            printf("# %s\n", bad[i]);
    }
    return test_end();
}
