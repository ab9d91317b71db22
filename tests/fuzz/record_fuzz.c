/* record_fuzz.c - changed lines through record: parse, set, write, parse again. */
#include "fuzz.h"
#include "record.h"
#include "utf8.h"

#include <assert.h>

static const char *const fields[] = {"prompt", "instruction", "input", NULL};

/* The value of `name` in both is the same JSON, byte for byte. */
static void check_same(struct record *a, struct record *b, const char *name)
{
    size_t na = 0, nb = 0;
    const char *pa = record_raw(a, name, &na), *pb = record_raw(b, name, &nb);

    assert(!pa == !pb && na == nb && (!pa || !memcmp(pa, pb, na)));
}

static void check_line(const struct buf *b)
{
    assert(b->n >= 3 && b->p[b->n - 1] == '\n' && !memchr(b->p, '\n', b->n - 1));
    assert(!memchr(b->p, 0, b->n) && utf8_check(b->p, b->n) == b->n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const names[] = {"prompt", "output", "id", "meta", "x", "a\"\\"};
    struct record r, again;
    struct buf b = {0}, b2 = {0};
    struct err e;
    double v;

    if (record_parse(&r, (const char *)data, n, &e)) {
        assert(e.code == ERR_DATA && *e.msg && strlen(e.msg) < sizeof(e.msg));
        return 0;
    }
    record_write(&r, &b); // nothing set: the same bytes again
    check_line(&b);
    assert(!record_parse(&again, b.p, b.n - 1, &e));
    record_write(&again, &b2);
    assert(b.n == b2.n && !memcmp(b.p, b2.p, b.n));
    record_reset(&again);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        record_str(&r, names[i], NULL);
        record_num(&r, names[i], &v);
    }
    if (!record_identify(&r, fields, &e))
        assert(record_has(&r, "id") && r.id);
    record_set_str(&r, "output", "\"\\\n\xE2\x82\xAC\0", 7);
    record_set_meta_str(&r, "op", "fuzz");
    record_set_num(&r, "x", 0.25);
    record_set(&r, "a\"\\", "[1,\n{}]", 7);
    buf_reset(&b);
    record_write(&r, &b);
    check_line(&b);
    assert(!record_parse(&again, b.p, b.n - 1, &e));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        check_same(&r, &again, names[i]);
    record_reset(&again);
    record_copy(&again, &r);
    buf_reset(&b2);
    record_write(&again, &b2);
    assert(b.n == b2.n && !memcmp(b.p, b2.p, b.n));
    record_reset(&again);
    record_reset(&r);
    buf_free(&b);
    buf_free(&b2);
    return 0;
}

#ifndef LIBFUZZER

static const char *const seeds[] = {
    "{}",
    "{\"id\":17,\"prompt\":\"a\\u00e9\\ud83d\\ude00 \xE2\x82\xAC\",\"n\":[1.0,-0,1e5,true,null]}",
    "{ \"instruction\" : \"x\" , \"input\":\"\",\"output\":{\"deep\":[[[[{}]]]]}, \"meta\": {\"op\":1} }",
    "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"meta\":null,\"x\":{}}",
    "{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"\\u0061\\u0062\":8,\"meta\":[]}",
};

/* One to four changes: a byte, a copy of a part, a cut, a token put in. */
static size_t mutate(uint8_t *p, size_t n, size_t max, uint64_t *s)
{
    static const char *const token[] = {
        "\"", ",",   ":",  "{", "}",    "[",    "]",       "\\u0",    "\\",        "null",
        "-",  "1e9", "\n", " ", "\xFF", "\xE2", "\\ud800", "\"id\":", "\"meta\":{"};

    for (uint64_t k = fuzz_next(s) % 4 + 1; k; k--) {
        size_t at = n ? fuzz_next(s) % n : 0, len = n ? fuzz_next(s) % (n - at) % 16 : 0;
        const char *t = token[fuzz_next(s) % (sizeof(token) / sizeof(token[0]))];

        switch (fuzz_next(s) % 4) {
        case 0:
            if (n)
                p[at] = (uint8_t)fuzz_next(s);
            break;
        case 1:
            memmove(p + at, p + at + len, n - at - len);
            n -= len;
            break;
        default:
            len = strlen(t);
            if (n + len > max)
                break;
            memmove(p + at + len, p + at, n - at);
            memcpy(p + at, t, len);
            n += len;
        }
    }
    return n;
}

int main(int argc, char **argv)
{
    long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : 20000, parsed = 0;
    uint64_t state = 1;

    TEST("record: changed lines are refused, or written and read back the same");
    for (long i = 0; i < rounds; i++) {
        const char *seed = seeds[(size_t)i % (sizeof(seeds) / sizeof(seeds[0]))];
        size_t n = strlen(seed);
        uint8_t text[512], *exact;
        struct record r;
        struct err e;

        memcpy(text, seed, n);
        n = mutate(text, n, sizeof(text), &state);
        exact = malloc(n ? n : 1); // no byte more, so that a sanitizer sees a step past the end
        if (!exact)
            abort();
        memcpy(exact, text, n);
        CHECK(LLVMFuzzerTestOneInput(exact, n) == 0);
        if (!record_parse(&r, (const char *)exact, n, &e)) {
            parsed++;
            record_reset(&r);
        }
        free(exact);
    }
    CHECK(parsed > rounds / 50 && parsed < rounds);
    return test_end();
}
#endif
