/* conf_test.c - YAML trees: values, lines, everything that is refused. */
#include "buf.h"
#include "conf.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char path[] = "/tmp/conf_test.XXXXXX";

static struct conf *parse(const char *text, size_t n, struct err *e)
{
    FILE *f = fopen(path, "wb");

    fwrite(text, 1, n, f);
    fclose(f);
    *e = (struct err){0};
    return conf_open(path, e);
}

/* Does this text end in an error that says `what`? */
static int refused(const char *text, size_t n, const char *what)
{
    struct err e;
    struct conf *c = parse(text, n, &e);
    int ok = !c && e.code == ERR_DATA && !strncmp(e.msg, path, strlen(path)) &&
             strstr(e.msg + strlen(path), what);

    if (!ok)
        printf("# %.60s: %s\n", text, c ? "accepted" : e.msg);
    conf_close(c);
    return ok;
}
#define REFUSED(t, what) CHECK(refused(t, sizeof(t) - 1, what))

static void test_mark(void)
{
    static const char text[] = "\xEF\xBB\xBFname: x\n", half[] = "\xEF\xBBname: x\n";
    struct err e;
    struct conf *c = parse(text, sizeof(text) - 1, &e);

    TEST("conf: a byte order mark may begin the file");
    CHECK(c && !strcmp(conf_str(c, "name", "?"), "x"));
    conf_close(c);
    REFUSED(half, "");
}

static void test_values(void)
{
    static const char text[] = "# a prompt file\n"
                               "name: evolve\n"
                               "version: 1.10\n"
                               "on: no\n"
                               "nothing:\n"
                               "quoted: \"a\\tb\\u00e9\"\n"
                               "text: |\n"
                               "  first line\n"
                               "  second: line\n"
                               "fold: >-\n"
                               "  one\n"
                               "  two\n"
                               "list:\n"
                               "- x\n"
                               "- {k: v, n: 0o17}\n"
                               "- [1, 2]\n"
                               "ops: {}\n";
    struct err e;
    struct conf *c = parse(text, sizeof(text) - 1, &e);
    const struct conf *x;

    TEST("conf: every scalar is a string, with its line");
    CHECK(c);
    if (!c)
        return;
    CHECK(!c->value && !c->key && !c->next && c->line == 2);
    CHECK(!strcmp(conf_str(c, "name", "?"), "evolve") && conf_get(c, "name")->line == 2);
    CHECK(!strcmp(conf_str(c, "version", "?"), "1.10"));
    CHECK(!strcmp(conf_str(c, "on", "?"), "no"));
    CHECK(!strcmp(conf_str(c, "nothing", "?"), ""));
    CHECK(!strcmp(conf_str(c, "quoted", "?"), "a\tb\xC3\xA9"));
    CHECK(!strcmp(conf_str(c, "text", "?"), "first line\nsecond: line\n"));
    CHECK(!strcmp(conf_str(c, "fold", "?"), "one two"));
    CHECK(!strcmp(conf_str(c, "absent", "?"), "?") && !conf_get(c, "absent"));
    CHECK(!strcmp(conf_str(c, "list", "?"), "?")); // no scalar
    x = conf_get(c, "list")->child;
    CHECK(x && !x->key && !strcmp(x->value, "x") && x->line == 14);
    x = x->next;
    CHECK(!strcmp(conf_str(x, "k", "?"), "v") && !strcmp(conf_str(x, "n", "?"), "0o17"));
    x = x->next;
    CHECK(x->child && !strcmp(x->child->next->value, "2") && !x->child->next->next && !x->next);
    CHECK(conf_get(c, "ops") && !conf_get(c, "ops")->child && !conf_get(c, "ops")->value);
    CHECK(!conf_get(NULL, "x"));
    conf_close(c);
    conf_close(NULL);
}

static void test_refused(void)
{
    struct buf b = {0};
    struct err e;

    TEST("conf: aliases, anchors, tags, merge keys, second keys and documents are refused");
    REFUSED("a: &x 1\nb: *x\n", ":1: anchors and tags");
    REFUSED("a: [1]\nb: *x\n", ":2: aliases");
    REFUSED("&a [*a]\n", "anchors");
    REFUSED("a: !!python/object:os.system x\n", "anchors and tags");
    REFUSED("a: !t {b: 1}\n", "anchors and tags");
    REFUSED("%TAG ! tag:x,2000:\n---\na: 1\n", "tags");
    REFUSED("x:\n  <<: {b: 1}\n", ":2: merge keys");
    REFUSED("a: 1\nb: 2\na: 3\n", ":3: duplicate key 'a'");
    REFUSED("x:\n  a: 1\n  'a': 1\n", ":3: duplicate key 'a'");
    REFUSED("a: 1\n---\nb: 2\n", "second document");
    REFUSED("? [a]\n: b\n", "a key must be");
    REFUSED("? {a: b}\n: b\n", "a key must be");

    TEST("conf: what is no YAML is refused with its line");
    REFUSED("", "empty");
    REFUSED("# only a comment\n", "empty");
    REFUSED("a: 1\n\tb: 2\n", ":2: ");
    REFUSED("a: [1, 2\n", ":2: ");
    REFUSED("a: 'x\n", ":2: ");
    REFUSED("a: 1\n b: 2\n", ":2: ");
    REFUSED("a: \xFF\n", "byte 3");
    REFUSED("a: \"x\\0y\"\n", "NUL");
    REFUSED("\x01", "byte 0");

    TEST("conf: depth, size and time have bounds");
    for (int i = 0; i < 33; i++)
        buf_char(&b, '[');
    CHECK(refused(b.p, b.n, "nesting deeper than 32"));
    for (int i = 0; i < 5000; i++)
        buf_char(&b, '[');
    CHECK(refused(b.p, b.n, ""));
    buf_reset(&b);
    for (int i = 0; i < 100; i++)
        buf_fmt(&b, "%*sk:\n", i, "");
    CHECK(refused(b.p, b.n, ":33: nesting deeper than 32"));
    buf_reset(&b);
    for (int i = 0; b.n <= 1 << 20; i++)
        buf_fmt(&b, "k%d:\n", i);
    CHECK(refused(b.p, b.n, "larger than 1048576 bytes"));
    {
        clock_t t = clock();
        struct conf *c; // of more than 100,000 keys

        while (b.n > 1 << 20 || b.p[b.n - 1] != '\n')
            b.n--;
        c = parse(b.p, b.n, &e);
        CHECK(c);
        CHECK(clock() - t < 4 * CLOCKS_PER_SEC);
        conf_close(c);
    }
    buf_free(&b);
    CHECK(!conf_open("/nonexistent/x.yaml", &e) && e.code == ERR_IO &&
          strstr(e.msg, "/nonexistent/x.yaml"));
    CHECK(!conf_open("/tmp", &e) && e.code == ERR_IO);
}

static void test_numbers(void)
{
    static const char text[] =
        "ok: -1.5e3\nint: 7\nhex: 0x10\nus: 1_000\noct: 0o17\ninf: .inf\n"
        "nan: .nan\nlead: .5\ntail: 5.\nempty:\nlist: [1]\nbig: 1e999\nword: one\n"
        "yes: yes\nno: no\ntrue: true\nfalse: false\noff: off\nY: Y\npart: 1.5\n";
    static const char *const no_number[] = {"hex",  "us",   "oct",   "inf",  "nan",
                                            "lead", "tail", "empty", "list", "word"};
    struct err e;
    struct conf *c = parse(text, sizeof(text) - 1, &e);
    double v = 0;
    int b = -1;

    TEST("conf_num: digits only, in range; the message names file, line and key");
    CHECK(c && conf_num(c, "ok", -2000, 0, &v, &e) == 1 && v == -1500);
    CHECK(conf_num(c, "int", 7, 7, &v, &e) == 1 && v == 7);
    CHECK(conf_num(c, "absent", 0, 1, &v, &e) == 0 && v == 7);
    for (size_t i = 0; i < sizeof(no_number) / sizeof(no_number[0]); i++)
        CHECK(conf_num(c, no_number[i], -1e9, 1e9, &v, &e) == -1 && strstr(e.msg, no_number[i]));
    CHECK(conf_num(c, "us", 0, 9, &v, &e) == -1 &&
          strstr(e.msg, ":4: us: '1_000' is not a number"));
    CHECK(conf_num(c, "int", 8, 9, &v, &e) == -1 && strstr(e.msg, ":2: int: 7 is not in 8..9"));
    CHECK(conf_num(c, "big", 0, 1e300, &v, &e) == -1);
    CHECK(v == 7);

    TEST("conf_int: whole numbers, however they are written");
    CHECK(conf_int(c, "ok", -2000, 0, &b, &e) == 1 && b == -1500);
    CHECK(conf_int(c, "absent", 0, 1, &b, &e) == 0 && b == -1500);
    CHECK(conf_int(c, "part", 0, 9, &b, &e) == -1 && b == -1500 &&
          strstr(e.msg, ":20: part: 1.5 is not a whole number"));
    CHECK(conf_int(c, "int", 8, 9, &b, &e) == -1 && conf_int(c, "word", 0, 9, &b, &e) == -1);

    TEST("conf_bool: yes, no, true, false and nothing else");
    CHECK(conf_bool(c, "yes", &b, &e) == 1 && b == 1);
    CHECK(conf_bool(c, "no", &b, &e) == 1 && b == 0);
    CHECK(conf_bool(c, "true", &b, &e) == 1 && b == 1);
    CHECK(conf_bool(c, "false", &b, &e) == 1 && b == 0);
    CHECK(conf_bool(c, "absent", &b, &e) == 0);
    CHECK(conf_bool(c, "off", &b, &e) == -1 && conf_bool(c, "Y", &b, &e) == -1);
    CHECK(conf_bool(c, "int", &b, &e) == -1 && conf_bool(c, "list", &b, &e) == -1);
    conf_close(c);
}

static void test_only(void)
{
    static const char *const keys[] = {"temp", "max_tokens", "stop", NULL};
    struct err e;
    struct conf *c = parse("temp: 1\nstop: x\n", 16, &e);

    TEST("conf_only: unknown keys are named, with what was meant");
    CHECK(c && !conf_only(c, keys, &e));
    conf_close(c);
    c = parse("temp: 1\nmax_tokes: 2\n", 21, &e);
    CHECK(conf_only(c, keys, &e) && strstr(e.msg, ":2: unknown key 'max_tokes'") &&
          strstr(e.msg, "did you mean 'max_tokens'?"));
    conf_close(c);
    c = parse("tmep: 1\n", 8, &e);
    CHECK(conf_only(c, keys, &e) && strstr(e.msg, "did you mean 'temp'?"));
    conf_close(c);
    c = parse("other: 1\n", 9, &e);
    CHECK(conf_only(c, keys, &e) && !strstr(e.msg, "mean"));
    conf_close(c);
    c = parse("- temp\n", 7, &e);
    CHECK(conf_only(c, keys, &e));
    conf_close(c);
    c = parse("temp\n", 5, &e);
    CHECK(conf_only(c, keys, &e));
    conf_close(c);
}

int main(void)
{
    close(mkstemp(path));
    test_values();
    test_mark();
    test_refused();
    test_numbers();
    test_only();
    unlink(path);
    return test_end();
}
