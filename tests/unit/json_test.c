/* json_test.c - the language accepted, the spans, the writers. */
#include "arena.h"
#include "json.h"
#include "test.h"

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct text {
    const char *s;
    size_t n;
};
#define T(s)               \
    {                      \
        (s), sizeof(s) - 1 \
    }

/* Texts that RFC 8259 allows. */
static const struct text good[] = {
    T("0"),
    T("-0"),
    T("-0.0"),
    T("1e5"),
    T("1E+5"),
    T("1e-5"),
    T("123.456e78"),
    T("1e999"),
    T("20e1"),
    T("123456789012345678901234567890"),
    T("[1E22]"),
    T("[0e+1]"),
    T("[0.4e006]"),
    T("null"),
    T("true"),
    T("false"),
    T(" null "),
    T("\"\""),
    T("\"a\""),
    T("[]"),
    T("{}"),
    T("[ ]"),
    T("{ }"),
    T("[\n]"),
    T("\t[ 4\n, 5]\r\n"),
    T("[[]   ]"),
    T("[[],{},[[]]]"),
    T("[1,null,null,null,2]"),
    T("[\"\"]"),
    T("{\"\":0}"),
    T("{\"a\":[]}"),
    T("{\"a\":{\"a\":{}}}"),
    T("{\"a\":1,\"b\":1}"),
    T("{\"a\\u0000b\":0}"),
    T("{\"foo\\u0000bar\": 42}"),
    T("[\"\\u0060\\u012a\\u12AB\"]"),
    T("[\"\\uD801\\udc37\"]"),
    T("[\"\\ud83d\\ude39\\ud83d\\udc8d\"]"),
    T("[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]"),
    T("[\"\\\\u0000\"]"),
    T("[\"a/*b*/c/*d//e\"]"),
    T("[\"\\uDBFF\\uDFFF\"]"),
    T("[\"\\uFFFF\"]"),
    T("[\"new\\u00A0line\"]"),
    T("[\"\xef\xbf\xbf\"]"),
    T("[\"\xe2\x80\xa8\"]"),
    T("[\"\xf0\x9d\x84\x9e\"]"),
    T("[\"\x7f\"]"),
    T("[\"\xf4\x8f\xbf\xbf\"]"),
    T("[\"\xed\x95\x9c\xea\xb5\xad\"]"),
    T("[\"\\u0000\"]"),
    T("{\"a\":1,\"A\":2,\"a \":3}"),
};

/* Texts that it does not allow, or that this reader refuses by rule. */
static const struct text bad[] = {
    T(""),
    T(" "),
    T("nul"),
    T("nulll"),
    T("True"),
    T("tru"),
    T("falsee"),
    T("NaN"),
    T("Infinity"),
    T("-Infinity"),
    T("-"),
    T("+1"),
    T("01"),
    T("-01"),
    T("-012"),
    T(".5"),
    T("-.5"),
    T("1."),
    T("1.e3"),
    T("1e"),
    T("1e+"),
    T("1e-"),
    T("0e"),
    T("0x10"),
    T("1_000"),
    T("1 2"),
    T("2.e+3"),
    T("0.3e+"),
    T("9.3e+"),
    T("[1+2]"),
    T("[1,,2]"),
    T("[,1]"),
    T("[1,]"),
    T("[1"),
    T("[1,"),
    T("["),
    T("]"),
    T("[]]"),
    T("[}"),
    T("{]"),
    T("{"),
    T("}"),
    T("{\"a\""),
    T("{\"a\":"),
    T("{\"a\":1"),
    T("{\"a\":1,"),
    T("{\"a\":1,}"),
    T("{,}"),
    T("{:1}"),
    T("{\"a\" 1}"),
    T("{\"a\",1}"),
    T("{\"a\"::1}"),
    T("{\"a\":1 \"b\":2}"),
    T("{a:1}"),
    T("{'a':1}"),
    T("{1:1}"),
    T("{null:1}"),
    T("{[]:1}"),
    T("{\"a\":1}{"),
    T("{\"a\":1}#"),
    T("{\"a\":1}//c"),
    T("{\"a\":/*c*/1}"),
    T("[1]x"),
    T("[] []"),
    T("\"a"),
    T("\""),
    T("\"\\\""),
    T("\"\\a\""),
    T("\"\\x00\""),
    T("\"\\\n\""),
    T("\"\\u\""),
    T("\"\\u00\""),
    T("\"\\u00A\""),
    T("\"\\u00G0\""),
    T("\"\\U0000\""),
    T("\"\\"),
    T("\"\\u12"),
    T("\"\\ud800\""),
    T("\"\\ud800\\u0041\""),
    T("\"\\ud800\\ud800\""),
    T("\"\\udc00\""),
    T("\"\\ud800\\udbff\""),
    T("\"\\udc00\\ud800\""),
    T("\"\\ud800\\"),
    T("\"\\ud800x\""),
    T("'a'"),
    T("\"a\nb\""),
    T("\"a\tb\""),
    T("\"a\0b\""),
    T("[\"a\"\0]"),
    T("1\0"),
    T("\0"),
    T("[1]\0"),
    T("\"\xc0\x80\""),
    T("\"\xed\xa0\x80\""),
    T("\"\xf4\x90\x80\x80\""),
    T("\"\xff\""),
    T("\"\xe2\x82\""),
    T("\"\xe2\x82"),
    T("\"\x80\""),
    T("\xef\xbb\xbf[]"),
    T("[\xc3\xa5]"),
    T("\xff\xfe[\0]\0"),
    T("\xfe\xff\0[\0]"),
    T("[\0]\0"),
    T("\xe2\x81\xa0[]"),
    T("\f[]"),
    T("\v1"),
    T("\xc2\xa0[]"),
    T("{\"a\":1,\"a\":2}"),
    T("{\"a\":1,\"\\u0061\":2}"),
    T("{\"\":1,\"\":2}"),
    T("{\"x\":{\"b\":1,\"c\":1,\"b\":1}}"),
    T("{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":2}"),
};

static int parse(struct json *j, struct arena *a, const char *s, size_t n, struct err *e)
{
    char *copy = malloc(n ? n : 1); // exactly n bytes, so that a sanitizer sees a read past the end
    int rc;

    memcpy(copy, s, n);
    rc = json_parse(j, a, copy, n, e);
    free(copy);
    j->text = s;
    return rc;
}

static void test_language(void)
{
    struct arena a = {0};
    struct json j;
    struct err e;

    TEST("accepts what the standard allows");
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        int rc = parse(&j, &a, good[i].s, good[i].n, &e);

        CHECK(!rc);
        if (rc)
            printf("# %s: %s\n", good[i].s, e.msg);
        CHECK(j.n_node <= json_bound(good[i].s, good[i].n));
        arena_reset(&a);
    }
    TEST("refuses the rest with its place");
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        e = (struct err){0};
        CHECK(parse(&j, &a, bad[i].s, bad[i].n, &e) == -1);
        CHECK(e.code == ERR_DATA && !strncmp(e.msg, "byte ", 5));
        if (e.code != ERR_DATA)
            printf("# accepted: case %zu %s\n", i, bad[i].s);
        arena_reset(&a);
    }
    TEST("every prefix and every changed byte of a text is handled");
    const char *s =
        "{\"a\":[1,-2.5e3,\"\\ud83d\\ude39\\n\xe2\x82\xac\"],\"b\":{\"c\":null,\"d\":true}}";
    size_t n = strlen(s);
    for (size_t k = 0; k < n; k++)
        CHECK(parse(&j, &a, s, k, &e) == -1);
    for (size_t k = 0; k < n; k++)
        for (int c = 0; c < 256; c++) {
            char t[128];

            memcpy(t, s, n);
            t[k] = (char)c;
            if (!parse(&j, &a, t, n, &e))
                CHECK(j.node[0].next == j.n_node && j.node[0].end == n);
            arena_reset(&a);
        }
    arena_free(&a);
}

static void test_messages(void)
{
    static const struct {
        const char *text, *msg;
    } row[] = {
        {"{\"a\":1;}", "byte 6: expected ',' or '}'"},
        {"[1;]", "byte 2: expected ',' or ']'"},
        {"{\"a\":1,\"bc\":2,\"a\":3}", "byte 14: duplicate key 'a'"},
        {"[1", "byte 2: text ends too early"},
        {"{1:2}", "byte 1: expected a key in double quotes"},
        {"{\"a\" 2}", "byte 5: expected ':'"},
        {"[1] 2", "byte 4: text after the end of the value"},
        {"[\"\x01\"]", "byte 2: control character in a string"},
        {"[\"\xff\"]", "byte 2: invalid UTF-8"},
        {"[\"\xe2\x82\xac\x80\n\"]", "byte 5: invalid UTF-8"},
        {"[\"\xe2\x82\xac\n\x80\"]", "byte 5: control character in a string"},
        {"{\"a\":1,\"c\":2,\"b\":3,\"c\":4}", "byte 19: duplicate key 'c'"},
    };
    struct arena a = {0};
    struct json j;
    struct err e;

    TEST("messages");
    for (size_t i = 0; i < sizeof(row) / sizeof(*row); i++) {
        CHECK(parse(&j, &a, row[i].text, strlen(row[i].text), &e) == -1);
        CHECK(!strcmp(e.msg, row[i].msg));
        if (strcmp(e.msg, row[i].msg))
            printf("# %s: %s\n", row[i].text, e.msg);
    }
    arena_free(&a);
}

static void test_reading(void)
{
    const char *s =
        " {\"id\": 7, \"t\": \"a\\n\\u00e9\\u0000z\", \"l\": [1, [2, {\"x\":3}], \"q\", -4.5e1],"
        " \"\\u006bey\": true, \"o\": {}} ";
    struct arena a = {0};
    struct json j;
    struct err e;
    size_t n = 0;
    double d = 0;
    int64_t v = 0;
    int l;

    TEST("nodes, members, items, spans");
    CHECK(!parse(&j, &a, s, strlen(s), &e));
    CHECK(j.node[0].size == 5 && j.node[0].next == j.n_node);
    CHECK(json_get(&j, 0, "none") == -1 && json_get(&j, -1, "id") == -1);
    CHECK(!json_int(&j, json_get(&j, 0, "id"), &v) && v == 7);
    CHECK(json_find(&j, 0, "keys", 3) == json_get(&j, 0, "key") && json_find(&j, 0, "keys", 4) < 0);
    CHECK(json_find(&j, 0, "ke", 2) < 0 && json_find(&j, 0, "idx", 2) == json_get(&j, 0, "id"));
    CHECK(json_true(&j, json_get(&j, 0, "key")) && !json_true(&j, json_get(&j, 0, "id")));
    const char *t = json_str(&j, json_get(&j, 0, "t"), &a, &n);
    CHECK(t && n == 6 && !memcmp(t, "a\n\xc3\xa9\0z", 7));
    CHECK(!json_str_is(&j, json_get(&j, 0, "t"), "a\n\xc3\xa9"));
    CHECK(!json_str(&j, json_get(&j, 0, "id"), &a, &n));
    const char *plain = json_text(&j, json_at(&j, json_get(&j, 0, "l"), 2), &a, &n);
    CHECK(plain && n == 1 && *plain == 'q' && plain > s && plain < s + strlen(s));
    plain = json_text(&j, json_get(&j, 0, "t"), &a, &n);
    CHECK(plain && n == 6 && !memcmp(plain, t, 6) && !json_text(&j, -1, &a, &n));
    l = json_get(&j, 0, "l");
    CHECK(json_type(&j, l) == JSON_ARRAY && j.node[l].size == 4);
    CHECK(json_is(&j, json_at(&j, l, 1), JSON_ARRAY));
    CHECK(!json_int(&j, json_get(&j, json_at(&j, json_at(&j, l, 1), 1), "x"), &v) && v == 3);
    CHECK(json_str_is(&j, json_at(&j, l, 2), "q") && !json_str_is(&j, json_at(&j, l, 2), "qq"));
    CHECK(!json_num(&j, json_at(&j, l, 3), &d) && d == -45.0);
    CHECK(json_int(&j, json_at(&j, l, 3), &v) == -1);
    CHECK(json_at(&j, l, 4) == -1 && json_at(&j, 0, 0) == -1);
    CHECK(json_type(&j, -1) == JSON_NULL && !json_is(&j, -1, JSON_NULL));
    const char *raw = json_raw(&j, json_at(&j, l, 2), &n);
    CHECK(n == 3 && !memcmp(raw, "\"q\"", 3));
    raw = json_raw(&j, json_at(&j, l, 1), &n);
    CHECK(n == 12 && !memcmp(raw, "[2, {\"x\":3}]", 12));
    arena_free(&a);
}

static void test_numbers(void)
{
    static const struct {
        const char *text;
        int rc;
        int64_t v;
    } row[] = {
        {"0", 0, 0},
        {"-0", 0, 0},
        {"9223372036854775807", 0, INT64_MAX},
        {"-9223372036854775808", 0, INT64_MIN},
        {"9223372036854775808", -1, 0},
        {"-9223372036854775809", -1, 0},
        {"99999999999999999999", -1, 0},
        {"1.0", -1, 0},
        {"1e3", -1, 0},
        {"\"1\"", -1, 0},
        {"9007199254740993", 0, 9007199254740993},
    };
    struct arena a = {0};
    struct json j;
    struct err e;
    double d;

    TEST("integers are exact or refused");
    for (size_t i = 0; i < sizeof(row) / sizeof(*row); i++) {
        int64_t v = 0;

        CHECK(!parse(&j, &a, row[i].text, strlen(row[i].text), &e));
        CHECK(json_int(&j, 0, &v) == row[i].rc && v == row[i].v);
    }
    TEST("doubles are those of the library");
    for (uint64_t i = 0, x = 1; i < 20000;
         i++, x = x * 6364136223846793005u + 1442695040888963407u) {
        char t[40];

        snprintf(t, sizeof(t), "%s%.*f", i % 3 ? "" : "-", (int)(i % 12),
                 ldexp((double)(x >> 11), -53) * (double)(i % 5 * i));
        CHECK(!parse(&j, &a, t, strlen(t), &e) && !json_num(&j, 0, &d));
        CHECK(d == strtod(t, NULL) && signbit(d) == signbit(strtod(t, NULL)));
        arena_reset(&a);
    }
    TEST("doubles");
    CHECK(!parse(&j, &a, "1e999", 5, &e) && json_num(&j, 0, &d) == -1);
    CHECK(!parse(&j, &a, "1e-999", 6, &e) && !json_num(&j, 0, &d) && d == 0);
    char many[200] = "0.";
    memset(many + 2, '3', 190);
    CHECK(!parse(&j, &a, many, strlen(many), &e) && !json_num(&j, 0, &d) && d == 1.0 / 3);
    arena_free(&a);
}

static void test_limits(void)
{
    struct arena a = {0};
    struct json j;
    struct err e;
    struct buf b = {0};
    clock_t t;

    TEST("depth 128 is read, 129 is refused, 1,000,000 does no harm");
    for (int d = 128; d <= 1000000; d = d == 128 ? 129 : d == 129 ? 1000000 : 1000001) {
        buf_reset(&b);
        for (int i = 0; i < d; i++)
            buf_char(&b, '[');
        for (int i = 0; i < d; i++)
            buf_char(&b, ']');
        CHECK(json_parse(&j, &a, b.p, b.n, &e) == (d == 128 ? 0 : -1));
        if (d > 128)
            CHECK(!strcmp(e.msg, "byte 128: nesting deeper than 128"));
        arena_reset(&a);
    }
    TEST("a large object, flat: linear, and its one duplicate is found");
    for (int twice = 0; twice < 2; twice++) {
        buf_reset(&b);
        buf_char(&b, '{');
        for (int i = 0; i < 300000; i++) {
            json_put_key(&b, "");
            b.n -= 2;
            buf_fmt(&b, "k%d\":{\"a\":[%d]}", twice && i == 299999 ? 150000 : i, i);
        }
        buf_char(&b, '}');
        t = clock();
        CHECK(json_parse(&j, &a, b.p, b.n, &e) == -twice);
        CHECK((double)(clock() - t) / CLOCKS_PER_SEC < 5);
        CHECK(!twice || strstr(e.msg, "duplicate key 'k150000'"));
        CHECK(twice || (j.node[0].size == 300000 && j.n_node == 300000 * 5 + 1));
        arena_reset(&a);
    }
    buf_free(&b);
    arena_free(&a);
}

static void test_writing(void)
{
    static const double num[] = {0,
                                 -0.0,
                                 1,
                                 -1,
                                 0.1,
                                 1.0 / 3,
                                 1e22,
                                 1e23,
                                 123456789.125,
                                 DBL_MAX,
                                 DBL_MIN,
                                 5e-324,
                                 9007199254740993.0,
                                 3.141592653589793,
                                 -2.5e-7};
    struct arena a = {0};
    struct buf b = {0};
    struct json j;
    struct err e;
    double d;
    size_t n;

    TEST("strings survive a round trip");
    char all[300];
    for (int i = 0; i < 128; i++)
        all[i] = (char)i;
    memcpy(all + 128, "\xed\x95\x9c\xf0\x9f\x98\x80", 7);
    json_put_str(&b, all, 135);
    CHECK(!json_parse(&j, &a, b.p, b.n, &e));
    const char *s = json_str(&j, 0, &a, &n);
    CHECK(s && n == 135 && !memcmp(s, all, n));
    buf_reset(&b);
    json_put_str(&b, "a\"\\\n\x01/\x7f", 7);
    CHECK(!strcmp(b.p, "\"a\\\"\\\\\\n\\u0001/\x7f\""));
    TEST("numbers read back as themselves, in few digits");
    for (size_t i = 0; i < sizeof(num) / sizeof(*num); i++) {
        buf_reset(&b);
        json_put_num(&b, num[i]);
        CHECK(!json_parse(&j, &a, b.p, b.n, &e) && !json_num(&j, 0, &d));
        CHECK(!memcmp(&d, &num[i], sizeof(d)));
    }
    for (uint32_t u = 1; u < 0x7F800000; u += 99991) {
        float f, g;

        memcpy(&f, &u, 4);
        buf_reset(&b);
        json_put_float(&b, f);
        g = strtof(b.p, NULL);
        CHECK(!memcmp(&f, &g, 4));
    }
    buf_reset(&b);
    json_put_num(&b, 0.1);
    buf_char(&b, ' ');
    json_put_float(&b, 0.1f);
    buf_char(&b, ' ');
    json_put_num(&b, (double)NAN);
    buf_char(&b, ' ');
    json_put_float(&b, -INFINITY);
    buf_char(&b, ' ');
    json_put_int(&b, INT64_MIN);
    CHECK(!strcmp(b.p, "0.1 0.1 null null -9223372036854775808"));
    TEST("keys and commas");
    buf_reset(&b);
    buf_char(&b, '{');
    json_put_key(&b, "a");
    buf_str(&b, "[{");
    json_put_key(&b, "b\"");
    buf_str(&b, "1}]");
    json_put_key(&b, "c");
    buf_str(&b, "2}");
    CHECK(!strcmp(b.p, "{\"a\":[{\"b\\\"\":1}],\"c\":2}"));
    buf_free(&b);
    arena_free(&a);
}

int main(void)
{
    test_language();
    test_messages();
    test_reading();
    test_numbers();
    test_limits();
    test_writing();
    return test_end();
}
