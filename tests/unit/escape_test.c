/* escape_test.c - strings with escapes, undone. */
#include "escape.h"
#include "rng.h"
#include "test.h"
#include "utf8.h"

#include <stdlib.h>
#include <string.h>

/* A piece of a JSON string to `from`, what it stands for to `to`; their lengths. */
static void put(char *from, size_t *n, char *to, size_t *k, uint32_t x)
{
    static const char letter[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
    uint32_t cp = x % 3 ? x / 3 % 0xD800 : 0x10000 + x / 3 % 0x100000;

    switch (x % 7) {
    case 0:
        *n += (size_t)sprintf(from + *n, "\\%c", letter[x / 7 % 8]);
        to[(*k)++] = means[x / 7 % 8];
        break;
    case 1:
        if (cp < 0x10000)
            *n += (size_t)sprintf(from + *n, x % 2 ? "\\u%04x" : "\\u%04X", cp);
        else
            *n += (size_t)sprintf(from + *n, "\\u%04x\\u%04x", 0xD800 + ((cp - 0x10000) >> 10),
                                  0xDC00 + ((cp - 0x10000) & 0x3FF));
        *k += (size_t)utf8_put(to + *k, cp);
        break;
    default:
        for (uint32_t i = x / 7 % 50; i; i--)
            from[(*n)++] = to[(*k)++] = (char)('a' + i % 26);
    }
}

int main(void)
{
    static const char *const none[] = {"\\",      "\\x",     "\\u12",          "\\u12g4",
                                       "\\ud800", "\\udc00", "\\ud800\\u0041", "\\ud800x",
                                       "\\U0041"};
    struct rng r = rng_stream(5, 0, 2);
    uint32_t cp;
    int bad = 0;

    TEST("strings of escapes and plain text of every length are undone, and nothing beyond them");
    for (uint32_t t = 0; t < 6000; t++) {
        char from[700], to[700], *exact, *out;
        size_t n = 0, k = 0;

        for (uint32_t i = 0; i < t % 11; i++)
            put(from, &n, to, &k, rng_below(&r, t, i, 1 << 30));
        exact = malloc(n ? n : 1); // no byte more, so that a sanitizer sees a step past the end
        out = malloc(n ? n : 1);
        memcpy(exact, from, n);
        bad += escape_undo(exact, n, out) != k || memcmp(out, to, k) != 0;
        free(exact);
        free(out);
    }
    CHECK(!bad);
    TEST("what is no escape");
    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
        CHECK(!escape_get(none[i], strlen(none[i]), &cp));
    CHECK(escape_get("\\ud83d\\ude39", 12, &cp) == 12 && cp == 0x1F639);
    return test_end();
}
