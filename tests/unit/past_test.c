/* past_test.c - records of an earlier run, read again. */
#include "past.h"
#include "test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct seen {
    struct tally ids;
    char order[64];
    const char *stop_at;
};

static int take(void *with, struct record *r, struct err *e)
{
    struct seen *s = with;

    if (s->stop_at && !strcmp(r->id, s->stop_at))
        return err_set(e, ERR_DATA, "enough");
    past_note(&s->ids, r);
    strcat(s->order, r->id);
    return 0;
}

static bool has(const struct seen *s, const char *line)
{
    static const char *const none[] = {NULL};
    struct record r;
    struct err e;
    bool yes;

    record_parse(&r, line, strlen(line), &e);
    record_identify(&r, none, &e);
    yes = past_has(&s->ids, &r);
    record_reset(&r);
    return yes;
}

/* Records with numbers for ids; those that were looked at, by item, and taken so far. */
struct many {
    long looked[PAST_ITEMS], taken;
    bool wrong;
};

static void look(void *with, struct record *r, int item, int worker)
{
    struct many *m = with;

    (void)worker;
    m->looked[item] = atol(r->id);
}

static int take_many(void *with, struct record *r, int item, struct err *e)
{
    struct many *m = with;

    m->wrong |= m->looked[item] != ++m->taken || atol(r->id) != m->taken;
    return m->taken == 1500 ? err_set(e, ERR_DATA, "too many") : 0;
}

static void test_many(struct stream *s, const char *path)
{
    struct err e;
    struct thread_pool *pool = thread_open(3, &e);
    struct many m = {0};
    FILE *f = fopen(path, "w");

    for (int i = 1; i <= 2000; i++) // a long one, some blank lines
        fprintf(f, "{\"id\":%d,\"x\":\"%0*d\"}\n%s", i, i == 600 ? 1 << 19 : 9, 0,
                i % 100 ? "" : "\n");
    fclose(f);
    for (int threads = 0; threads < 2; threads++) {
        struct past_work w = {look, take_many, &m, threads ? pool : NULL};

        TEST(threads ? "looked at by threads, taken in order" : "looked at, then taken");
        m = (struct many){0};
        CHECK(past_many(s, path, UINT64_MAX, &w, &e) == -1 && strstr(e.msg, ":1514: too many"));
        CHECK(m.taken == 1500 && !m.wrong);
        m = (struct many){0};
        CHECK(!past_many(s, path, 100, &w, &e) && m.taken == 4 && !m.wrong);
    }
    TEST("a signal: no more is read");
    raise(SIGTERM);
    m = (struct many){0};
    CHECK(past_many(s, path, UINT64_MAX, &(struct past_work){look, take_many, &m, pool}, &e) == -1);
    CHECK(e.code == ERR_STOP && strstr(e.msg, path) && !m.taken);
    thread_close(pool);
}

int main(void)
{
    char path[] = "/tmp/past_testXXXXXX";
    int fd = mkstemp(path);
    FILE *f = fdopen(fd, "w");
    struct seen s = {.order = ""};
    char *none[] = {"/dev/null"};
    struct err e;
    struct stream *in = stream_open(&(struct stream_opt){.output = "/dev/null"},
                                    &(struct stream_conf){.stage = "past_test"}, 1, none, &e);

    fputs("{\"id\":\"a\"}\n{\"id\":7,\"x\":1}\n{\"id\":\"c#2\"}\n", f);
    fclose(f);
    TEST("every record in order, with its id");
    CHECK(!past_read(in, path, take, &s, &e));
    CHECK(!strcmp(s.order, "a7c#2"));
    CHECK(has(&s, "{\"id\":\"a\"}") && has(&s, "{\"id\":\"7\"}") && has(&s, "{\"id\":\"c#2\"}"));
    CHECK(!has(&s, "{\"id\":\"c\"}") && !has(&s, "{\"id\":\"\"}"));
    TEST("an error names file and line");
    s.stop_at = "7";
    CHECK(past_read(in, path, take, &s, &e) == -1 && strstr(e.msg, path) &&
          strstr(e.msg, ":2: enough"));
    f = fopen(path, "w");
    fputs("{\"id\":\"a\"}\n{\"id\":", f);
    fclose(f);
    s.stop_at = NULL;
    CHECK(past_read(in, path, take, &s, &e) == -1 && strstr(e.msg, ":2: "));
    TEST("a file that is not there is empty; a directory is an error");
    unlink(path);
    s.order[0] = 0;
    CHECK(!past_read(in, path, take, &s, &e) && !*s.order);
    CHECK(past_read(in, "/", take, &s, &e) == -1);
    test_many(in, path);
    unlink(path);
    stream_abandon(in, &e);
    tally_free(&s.ids);
    return test_end();
}
