/* past_test.c - records of an earlier run, read again. */
#include "past.h"
#include "test.h"

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

int main(void)
{
    char path[] = "/tmp/past_testXXXXXX";
    int fd = mkstemp(path);
    FILE *f = fdopen(fd, "w");
    struct seen s = {.order = ""};
    struct err e;

    fputs("{\"id\":\"a\"}\n{\"id\":7,\"x\":1}\n{\"id\":\"c#2\"}\n", f);
    fclose(f);
    TEST("every record in order, with its id");
    CHECK(!past_read(path, take, &s, &e));
    CHECK(!strcmp(s.order, "a7c#2"));
    CHECK(has(&s, "{\"id\":\"a\"}") && has(&s, "{\"id\":\"7\"}") && has(&s, "{\"id\":\"c#2\"}"));
    CHECK(!has(&s, "{\"id\":\"c\"}") && !has(&s, "{\"id\":\"\"}"));
    TEST("an error names file and line");
    s.stop_at = "7";
    CHECK(past_read(path, take, &s, &e) == -1 && strstr(e.msg, path) &&
          strstr(e.msg, ":2: enough"));
    f = fopen(path, "w");
    fputs("{\"id\":\"a\"}\n{\"id\":", f);
    fclose(f);
    s.stop_at = NULL;
    CHECK(past_read(path, take, &s, &e) == -1 && strstr(e.msg, ":2: "));
    TEST("a file that is not there is empty; a directory is an error");
    unlink(path);
    s.order[0] = 0;
    CHECK(!past_read(path, take, &s, &e) && !*s.order);
    CHECK(past_read("/", take, &s, &e) == -1);
    tally_free(&s.ids);
    return test_end();
}
