/* stops_test.c - marked bytes, against a loop over single bytes and characters. */
#include "rng.h"
#include "stops.h"
#include "test.h"
#include "utf8.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool agree(const char *s, size_t n)
{
    uint64_t bits[STOPS_WORDS];
    size_t k = stops_mark(s, n, bits);
    bool good = utf8_check(s, k) == k;
    bool same = k == (n <= STOPS_MOST ? n : utf8_whole(s, STOPS_MOST));

    for (size_t i = 0; i < k; i++) {
        unsigned char c = (unsigned char)s[i];
        bool stop = c < 32 || c == '"' || c == '\\' || (c >= 128 && !good);

        same = same && (bits[i / 64] >> i % 64 & 1) == stop;
    }
    return same && bits[k / 64] >> k % 64 == 1;
}

/* Bytes at the edges of what UTF-8 allows. */
static char edge(uint32_t x)
{
    static const unsigned char pick[] = {0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0,
                                         0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE,
                                         0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF, 'a'};

    return (char)pick[x % sizeof(pick)];
}

/* Characters of every length, most of them near an edge. */
static size_t put_char(char *to, uint32_t x)
{
    static const uint32_t near[] = {0x24,    0x7F,    0x80,    0x7FF,    0x800,   0xFFF,
                                    0x1000,  0xCFFF,  0xD7FF,  0xE000,   0xFFFF,  0x10000,
                                    0x3FFFF, 0x40000, 0xFFFFF, 0x100000, 0x10FFFF};

    return (size_t)utf8_put(to, near[x % (sizeof(near) / sizeof(*near))]);
}

static bool try_copy(const char *s, size_t n)
{
    char *copy = malloc(n ? n : 1); // exactly as long, so that a sanitizer sees what is behind
    bool good;

    memcpy(copy, s, n);
    good = agree(copy, n);
    free(copy);
    return good;
}

static void test_edges(void)
{
    char s[200];
    int bad = 0;

    TEST("every sequence of three edges, at every place around the end of a block");
    for (uint32_t x = 0; x < 24 * 24 * 24; x++) {
        size_t at = 58 + x % 13;

        memset(s, 'x', sizeof(s));
        for (uint32_t k = 0, y = x; k < 3; k++, y /= 24)
            s[at + k] = edge(y);
        bad += !try_copy(s, 140) || !try_copy(s, at + 3);
    }
    CHECK(!bad);
}

static void test_random(void)
{
    struct rng r = rng_stream(3, 0, 2);
    char *s = malloc(3 * STOPS_MOST);
    int bad = 0;

    TEST("well-formed text, with and without a byte changed, of every length");
    for (uint32_t k = 0; k < 4000; k++) {
        size_t want = k % 40 ? rng_below(&r, k, 0, 330) + 1 : STOPS_MOST - 8 + k / 40 % 16, n = 0;
        bool high = k % 7 != 0;

        for (uint32_t i = 1; n < want; i++) {
            uint32_t x = rng_below(&r, k, i, 1 << 16);

            if (high && x % 3 == 0)
                n += put_char(s + n, x / 3);
            else
                s[n++] = x % 50 == 1 ? "\"\\\n\x1f\x7f"[x / 50 % 5] : (char)(' ' + x % 2 * 65);
        }
        bad += !try_copy(s, n);
        s[rng_below(&r, k, 0, (uint32_t)n)] = edge(k);
        bad += !try_copy(s, n);
        bad += !try_copy(s, n - 1);
    }
    CHECK(!bad);
    TEST("any bytes");
    for (uint32_t k = 0; k < 2000; k++) {
        size_t n = rng_below(&r, k, 0, 200) + 1;

        for (size_t i = 0; i < n; i++)
            s[i] = (char)rng_below(&r, k, (uint32_t)i + 1, 256);
        bad += !try_copy(s, n);
    }
    CHECK(!bad);
    free(s);
}

int main(void)
{
    test_edges();
    test_random();
    return test_end();
}
