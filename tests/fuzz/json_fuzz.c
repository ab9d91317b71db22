/* json_fuzz.c - changed JSON texts: parsed or refused, and what is parsed holds together. */
#include "arena.h"
#include "fuzz.h"
#include "json.h"

static const char seed[] =
    "{\"id\":\"a\\u00e9\\ud83d\\ude39\\\"\",\"n\":[0,-1,2.5e-3,12345678901234567890,1E+9],"
    "\"messages\":[{\"role\":\"user\",\"content\":\"h\xc3\xa9llo \xed\x95\x9c\xea\xb5\xad\\n\"},"
    "{\"role\":\"assistant\",\"content\":\"\"}],\"meta\":{\"a\":null,\"b\":true,\"c\":false,"
    "\"d\":{},\"e\":[],\"f\":[[[[]]]]},\"long\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}";

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct arena a = {0};
    struct buf b = {0};
    struct json j, again;
    struct err e;
    size_t len;
    double x;
    int64_t v;

    if (json_parse(&j, &a, (const char *)p, n, &e)) {
        arena_free(&a);
        return strncmp(e.msg, "byte ", 5) != 0;
    }
    for (uint32_t i = 0; i < j.n_node; i++) {
        char *s = json_str(&j, (int)i, &a, &len);

        json_raw(&j, (int)i, &len);
        json_get(&j, (int)i, "content");
        json_num(&j, (int)i, &x);
        json_int(&j, (int)i, &v);
        if (!s)
            continue;
        json_str(&j, (int)i, &a, &len);
        buf_reset(&b);
        json_put_str(&b, s, len); // what was read can be written and read again
        if (json_parse(&again, &a, b.p, b.n, &e) ||
            (strlen(s) == len && !json_str_is(&again, 0, s)))
            abort();
    }
    buf_free(&b);
    arena_free(&a);
    return 0;
}

#ifndef LIBFUZZER
int main(void)
{
    fuzz_run("JSON", (const uint8_t *)seed, sizeof(seed) - 1, sizeof(seed) - 1, 20000);
    return test_end();
}
#endif
