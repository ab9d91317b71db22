/* personas_test.c - personas out of lines and records; each once before any again. */
#include "personas.h"
#include "test.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int read_text(struct personas *p, const char *text, struct err *e)
{
    char path[] = "/tmp/personas_testXXXXXX";
    int fd = mkstemp(path), rc;
    FILE *f = fdopen(fd, "w");

    fputs(text, f);
    fclose(f);
    rc = personas_open(p, path, e);
    unlink(path);
    return rc;
}

static bool fails(const char *text, const char *want)
{
    struct personas p;
    struct err e;
    bool yes = read_text(&p, text, &e) && strstr(e.msg, want);

    personas_close(&p);
    return yes;
}

int main(void)
{
    const struct rng r = rng_stream(1, 2, 3);
    struct personas p, q;
    int first[3] = {0}, wrong = 0;
    struct err e;

    TEST("lines and records");
    CHECK(!read_text(
        &p, "A farmer.\n\n  {\"id\":\"x\",\"persona\":\"A \\u00e9l\\u00e8ve\"} \r\n농부", &e));
    CHECK(p.n == 3 && !strcmp(p.item[0].text, "A farmer.") && strlen(p.item[0].id) == 32);
    CHECK(!strcmp(p.item[1].text, "A élève") && !strcmp(p.item[1].id, "x"));
    CHECK(!strcmp(p.item[2].text, "농부"));
    TEST("each once a turn, the order by the seed, whatever was asked before");
    CHECK(!read_text(&q, "A farmer.\n{\"id\":\"x\",\"persona\":\"b\"}\nc", &e));
    for (int64_t turn = 299; turn >= 0; turn--) {
        int hit[3] = {0};

        for (int k = 0; k < 3; k++) {
            int64_t i = personas_take(&p, &r, 3 * turn + k) - p.item;

            hit[i]++;
            first[i] += k == 0;
            wrong += personas_take(&q, &r, 3 * ((turn * 7) % 300) + k) < q.item;
            wrong += personas_take(&q, &r, 3 * turn + k) - q.item != i;
        }
        wrong += hit[0] != 1 || hit[1] != 1 || hit[2] != 1;
    }
    CHECK(!wrong);
    CHECK(first[0] > 60 && first[1] > 60 && first[2] > 60); // 100 expected, sd 8
    personas_close(&p);
    personas_close(&q);
    TEST("bad files");
    CHECK(fails("", "no persona") && fails("\n \n", "no persona"));
    CHECK(fails("a\n{\"persona\":1}\n", ":2: no text in field 'persona'"));
    CHECK(fails("a\nb\n{\"persona\":", ":3: "));
    CHECK(fails("\xff\n", ":1: not UTF-8"));
    CHECK(personas_open(&p, "/nonexistent/x", &e) == -1 && strstr(e.msg, "/nonexistent/x"));
    personas_close(&p);
    return test_end();
}
