/* record_test.c - pass-through byte for byte, set in place or appended, meta, ids. */
#include "record.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

static struct err err;

static void parse(struct record *r, const char *line)
{
    if (record_parse(r, line, strlen(line), &err))
        printf("# %s: %s\n", line, err.msg);
}

/* Does r write itself as `line`? */
static int writes(struct record *r, const char *line)
{
    struct buf b = {0};
    int same;

    record_write(r, &b);
    same = b.n == strlen(line) + 1 && !memcmp(b.p, line, b.n - 1) && b.p[b.n - 1] == '\n';
    if (!same)
        printf("# wrote %s# not   %s\n", b.p, line);
    buf_free(&b);
    return same;
}

static int same(const char *line, size_t n, const char *out)
{
    struct record r;
    int ok;

    if (record_parse(&r, line, n, &err)) {
        printf("# %s: %s\n", line, err.msg);
        return 0;
    }
    ok = writes(&r, out);
    record_reset(&r);
    return ok;
}

static void test_through(void)
{
    static const char *const t[] = {
        "{}",
        "{ }",
        "{\"a\":1}",
        "{ \"a\" : 1.0 , \"b\":[1, 2 ,{\"c\": null}],\t\"d\":\"\\u00e9\\/\\ud83d\\ude00\" }",
        "{\"n\":[1e5,1E+05,-0,0.10,123456789012345678901234567890]}",
        "{\"u\":\"a\xE2\x80\xA8z\",\"\":\"\\u0000\"}",
        "{\"a\":1,\"A\":2,\"a \":3}",
    };

    TEST("record: what is not set is written as it was read");
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
        CHECK(same(t[i], strlen(t[i]), t[i]));
    CHECK(same("  {\"a\":1}\t ", 11, "{\"a\":1}"));
    CHECK(same("{\"a\":\n[1,\n2]}\n", 14, "{\"a\": [1, 2]}")); // always one line
}

static void test_refused(void)
{
    static const char *const t[] = {
        "",
        "[]",
        "1",
        "null",
        "\"a\"",
        "{\"a\":1",
        "{\"a\":1}x",
        "{a:1}",
        "{'a':1}",
        "{\"a\":1,}",
        "{\"a\":01}",
        "{\"a\":.5}",
        "{\"a\":NaN}",
        "{\"a\":+1}",
        "{\"a\":1}{\"b\":2}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":1,\"\\u0061\":2}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\\udc00\\ud800\"}",
        "{\"a\":\"\t\"}",
        "{\"a\":\"\xED\xA0\x80\"}",
        "{\"a\":\"\xC0\x80\"}",
        "{\"a\":\"\xF4\x90\x80\x80\"}",
        "{\"a\":\"\xE2\x82\"}",
        "{\"a\":1}\xEF\xBB\xBF",
        "\xEF\xBB\xBF{\"a\":1}",
    };
    struct record r;
    struct buf b = {0};

    TEST("record: what is no object of valid JSON and UTF-8 is refused and leaves nothing");
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        memset(&r, 0xAA, sizeof(r));
        CHECK(record_parse(&r, t[i], strlen(t[i]), &err) == -1 && err.code == ERR_DATA);
        CHECK(!r.mem.block && !r.line && !r.n_set);
    }
    CHECK(record_parse(&r, "{\"a\":\"b\0\"}", 10, &err) == -1);

    TEST("record: memory is bounded by the line, whatever it holds");
    buf_str(&b, "{\"a\":[1");
    for (int i = 0; i < 8000000; i++)
        buf_add(&b, ",1", 2);
    buf_str(&b, "]}");
    CHECK(record_parse(&r, b.p, b.n, &err) == -1 && strstr(err.msg, "more than"));
    memcpy(b.p + 5, "\"", 1); // the same bytes as one string
    memcpy(b.p + b.n - 2, "\"}", 2);
    CHECK(!record_parse(&r, b.p, b.n, &err));
    record_reset(&r);
    buf_free(&b);
}

static void test_get(void)
{
    struct record r;
    struct json j;
    const char *s;
    double v = 0;
    size_t n = 0;

    TEST("record: fields are read as they stand now");
    parse(&r, "{\"s\":\"a\\u0000b\",\"n\":1.5,\"z\":null,\"\\u006bey\":\"esc\",\"o\":{\"s\":1}}");
    CHECK(!memcmp(record_str(&r, "s", &n), "a\0b", 4) && n == 3);
    CHECK(!strcmp(record_str(&r, "key", &n), "esc") && n == 3);
    CHECK(!record_str(&r, "n", &n) && !record_str(&r, "no", &n) && !record_str(&r, "z", NULL));
    CHECK(!record_num(&r, "n", &v) && v == 1.5);
    CHECK(record_num(&r, "s", &v) == -1 && record_num(&r, "no", &v) == -1);
    CHECK(!record_has(&r, "z") && !record_has(&r, "no") && record_has(&r, "n"));
    CHECK(!record_raw(&r, "no", &n) && !record_raw(&r, "z", &n));
    CHECK(record_node(&r, "z", &j) == -1 && record_member(&r, "z", 1, &j) > 0);
    CHECK(record_text(&r, "s", &s, &n, &err) == 1 && n == 3 && !memcmp(s, "a\0b", 4));
    CHECK(!record_text(&r, "z", &s, &n, &err) && !s && !n);
    CHECK(!record_text(&r, "no", &s, &n, &err) && !s && !n);
    CHECK(record_text(&r, "n", &s, &n, &err) == -1 &&
          !strcmp(err.msg, "field 'n' is not a string"));
    CHECK(!memcmp(record_raw(&r, "o", &n), "{\"s\":1}", 7) && n == 7);
    CHECK(!memcmp(record_raw(&r, "s", &n), "\"a\\u0000b\"", 10) && n == 10);
    record_set_str(&r, "s", "new\n\"x\"", 7);
    record_set_num(&r, "fresh", 0.1);
    CHECK(!strcmp(record_str(&r, "s", &n), "new\n\"x\"") && n == 7);
    CHECK(!memcmp(record_raw(&r, "s", &n), "\"new\\n\\\"x\\\"\"", 12) && n == 12);
    CHECK(!record_num(&r, "fresh", &v) && v == 0.1);
    CHECK(record_has(&r, "fresh"));
    record_set(&r, "s", "null", 4);
    record_set_str(&r, "z", "now", 3);
    CHECK(!record_has(&r, "s") && !record_str(&r, "s", &n) && !record_raw(&r, "s", &n));
    CHECK(record_has(&r, "z") && !strcmp(record_str(&r, "z", &n), "now"));
    record_reset(&r);
    CHECK(!r.mem.block && !r.set && !r.n_set);
}

static void test_set(void)
{
    struct record r;

    TEST("record_set: replaced in its place, or appended in the order of setting");
    parse(&r, "{ \"a\" : 1 , \"b\":\"x\" , \"c\":[1] }");
    record_set_str(&r, "new", "1", 1);
    record_set_int(&r, "c", -7);
    record_set_num(&r, "a", 0.5);
    record_set(&r, "last", "{\"x\":[]}", 8);
    CHECK(writes(&r, "{ \"a\" : 0.5 , \"b\":\"x\" , \"c\":-7,\"new\":\"1\",\"last\":{\"x\":[]} }"));
    record_set_str(&r, "new", "again", 5); // keeps its place
    record_set_str(&r, "b", "", 0);
    CHECK(writes(&r,
                 "{ \"a\" : 0.5 , \"b\":\"\" , \"c\":-7,\"new\":\"again\",\"last\":{\"x\":[]} }"));
    record_reset(&r);
    parse(&r, "{ }");
    record_set_int(&r, "a\"b", 1);
    record_set(&r, "m", "[\n1]", 4);
    CHECK(writes(&r, "{\"a\\\"b\":1,\"m\":[ 1] }"));
    record_reset(&r);
    parse(&r, "{\"\\u0061\":1,\"b\":2}");
    record_set_int(&r, "a", 3);
    CHECK(writes(&r, "{\"\\u0061\":3,\"b\":2}"));
    record_reset(&r);

    TEST("record_set: many fields");
    record_new(&r);
    for (int i = 0; i < 200; i++) {
        char name[16];

        snprintf(name, sizeof(name), "f%d", i % 100);
        record_set_int(&r, name, i);
    }
    for (int i = 0; i < 100; i++) {
        char name[16];
        double v = 0;

        snprintf(name, sizeof(name), "f%d", i);
        CHECK(!record_num(&r, name, &v) && v == i + 100);
    }
    CHECK(r.n_set == 100);
    record_reset(&r);
}

static void test_meta(void)
{
    struct record r;

    TEST("record_set_meta: made when absent, merged when there, nothing lost");
    parse(&r, "{\"a\":1}");
    record_set_meta_str(&r, "source", "evol");
    record_set_meta(&r, "round", "2", 1);
    record_set_meta_str(&r, "source", "seed");
    CHECK(writes(&r, "{\"a\":1,\"meta\":{\"source\":\"seed\",\"round\":2}}"));
    record_reset(&r);
    parse(&r, "{\"meta\":{ \"x\": 1.0, \"round\":1},\"a\":1}");
    record_set_meta(&r, "round", "2", 1);
    record_set_meta_str(&r, "op", "deepen");
    CHECK(writes(&r, "{\"meta\":{ \"x\": 1.0, \"round\":2,\"op\":\"deepen\"},\"a\":1}"));
    record_reset(&r);
    parse(&r, "{\"meta\":\"text\"}");
    record_set_meta(&r, "round", "1", 1);
    CHECK(writes(&r, "{\"meta\":{\"value\":\"text\",\"round\":1}}"));
    record_reset(&r);
    parse(&r, "{\"meta\":null}");
    record_set_meta(&r, "round", "1", 1);
    CHECK(writes(&r, "{\"meta\":{\"round\":1}}"));
    record_reset(&r);
}

static void test_copy(void)
{
    struct record a, b;

    TEST("record_copy: deep, with what was set, and apart from then on");
    parse(&a, "{\"id\":\"x\",\"p\":\"q\"}");
    CHECK(!record_identify(&a, NULL, &err));
    a.file = "in";
    a.line_no = 4;
    a.seq = 9;
    record_set_int(&a, "sample", 0);
    record_copy(&b, &a);
    record_set_int(&b, "sample", 1);
    CHECK(writes(&a, "{\"id\":\"x\",\"p\":\"q\",\"sample\":0}"));
    CHECK(!strcmp(b.id, "x") && b.id != a.id && b.key.lo == a.key.lo && b.key.hi == a.key.hi);
    CHECK(!strcmp(b.file, "in") && b.line_no == 4 && b.seq == 9);
    record_reset(&a);
    CHECK(writes(&b, "{\"id\":\"x\",\"p\":\"q\",\"sample\":1}"));
    record_reset(&b);
}

/* The id that a line gets, in a static buffer; "!" when it is refused. */
static const char *id_of(const char *line, const char *const *fields)
{
    static char id[128];
    struct record r;

    parse(&r, line);
    if (record_identify(&r, fields, &err))
        snprintf(id, sizeof(id), "!");
    else
        snprintf(id, sizeof(id), "%s", r.id);
    record_reset(&r);
    return id;
}

static void test_id(void)
{
    static const char *const f[] = {"instruction", "input", NULL};
    char a[33];
    struct record r;

    TEST("record_identify: an id that is there is kept");
    CHECK(!strcmp(id_of("{\"id\":\"abc\"}", f), "abc"));
    CHECK(!strcmp(id_of("{\"id\":\"\\u0061\\n\"}", f), "a\n"));
    CHECK(!strcmp(id_of("{\"id\":17}", f), "17"));
    CHECK(!strcmp(id_of("{\"id\":-9007199254740993123456}", f), "-9007199254740993123456"));
    CHECK(!strcmp(id_of("{\"id\":\"\"}", f), ""));
    parse(&r, "{\"id\":17,\"p\":1}");
    CHECK(!record_identify(&r, f, &err) && !r.n_set && writes(&r, "{\"id\":17,\"p\":1}"));
    CHECK(r.key.lo == hash_bytes("17", 2).lo && r.key.hi == hash_bytes("17", 2).hi);
    record_set_id(&r, "17#2");
    CHECK(!strcmp(r.id, "17#2") && writes(&r, "{\"id\":\"17#2\",\"p\":1}"));
    CHECK(r.key.lo == hash_bytes("17#2", 4).lo);
    record_reset(&r);

    TEST("record_identify: an id of another type is an error");
    CHECK(!strcmp(id_of("{\"id\":1.0}", f), "!") && err.code == ERR_DATA);
    CHECK(!strcmp(id_of("{\"id\":1e3}", f), "!"));
    CHECK(!strcmp(id_of("{\"id\":[1]}", f), "!"));
    CHECK(!strcmp(id_of("{\"id\":true}", f), "!"));
    CHECK(!strcmp(id_of("{\"id\":\"a\\u0000b\"}", f), "!") && strstr(err.msg, "NUL"));

    TEST("record_identify: else it comes from the fields read, and from nothing else");
    snprintf(a, sizeof(a), "%s", id_of("{\"instruction\":\"x\",\"input\":\"y\"}", f));
    CHECK(strlen(a) == 32 && strspn(a, "0123456789abcdef") == 32);
    CHECK(!strcmp(a, id_of("{\"z\":1, \"input\": \"y\",\"instruction\":\"x\"}", f)));
    CHECK(strcmp(a, id_of("{\"instruction\":\"x\",\"input\":\"z\"}", f)));
    CHECK(strcmp(a, id_of("{\"instruction\":\"xy\"}", f)));
    CHECK(strcmp(a, id_of("{\"instruction\":\"y\",\"input\":\"x\"}", f)));
    CHECK(!strcmp(a, "bd3d07c650fa1ce2fbfa833aa055ba6b")); // for ever: outputs are resumed by it
    CHECK(!strcmp(a, id_of("{\"id\":null,\"input\":\"y\",\"instruction\":\"x\"}", f)));
    parse(&r, "{\"id\":null,\"instruction\":\"x\"}");
    CHECK(!record_identify(&r, f, &err) && r.n_set == 1);
    record_set_id(&r, "n");
    CHECK(writes(&r, "{\"id\":\"n\",\"instruction\":\"x\"}"));
    record_reset(&r);
    snprintf(a, sizeof(a), "%s", id_of("{\"instruction\":\"x\",\"input\":null}", f));
    CHECK(!strcmp(a, "f874e346e85451518242587ff1d685ee"));
    snprintf(a, sizeof(a), "%s", id_of("{\"other\":1}", f));
    CHECK(strlen(a) == 32 && strcmp(a, id_of("{\"other\":2}", f)));
    parse(&r, "{\"instruction\":\"x\"}");
    CHECK(!record_identify(&r, f, &err) && record_str(&r, "id", NULL) &&
          !strcmp(record_str(&r, "id", NULL), r.id));
    record_reset(&r);

    TEST("record_derive_id: from parent, stage and number");
    record_new(&r);
    record_derive_id(&r, "p", "llm-evol", 1);
    snprintf(a, sizeof(a), "%s", r.id);
    CHECK(!strcmp(a, "b7643f9676be74dab3939775a193cb55"));
    CHECK(!strcmp(record_str(&r, "id", NULL), a));
    record_derive_id(&r, "p", "llm-evol", 2);
    CHECK(strcmp(a, r.id));
    record_derive_id(&r, "p", "llm-evo", 1);
    CHECK(strcmp(a, r.id));
    record_derive_id(&r, "p", "llm-evol", 1);
    CHECK(!strcmp(a, r.id));
    record_reset(&r);
}

static void test_again(void)
{
    static const char *const line[] = {"{\"a\":\"one\",\"id\":7}", "{\"b\":[1,2]}", "[", "{}"};
    struct record r = {0};
    struct err e;
    struct buf out = {0};

    TEST("records one after the other in the same memory, of lines copied and borrowed");
    for (int i = 0; i < 800; i++) {
        const char *s = line[i % 4];
        int bad = (i < 400 ? record_read : record_borrow)(&r, s, strlen(s), &e);

        CHECK((bad != 0) == (i % 4 == 2));
        if (bad)
            continue;
        CHECK((r.line == s) == (i >= 400));
        record_set_int(&r, "n", i);
        record_clear(&r);
        CHECK(!r.n_set && !r.id && !r.line);
        CHECK(!record_read(&r, s, strlen(s), &e));
        buf_reset(&out);
        record_write(&r, &out);
        CHECK(out.n == strlen(s) + 1 && !memcmp(out.p, s, strlen(s)));
        record_clear(&r);
    }
    record_reset(&r);
    buf_free(&out);
}

int main(void)
{
    test_again();
    test_through();
    test_refused();
    test_get();
    test_set();
    test_meta();
    test_copy();
    test_id();
    return test_end();
}
