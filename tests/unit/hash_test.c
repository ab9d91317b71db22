/* hash_test.c - known values, pieces, the table. */
#include "hash.h"
#include "hash_words.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

static void test_values(void)
{
    struct hash128 h = hash_bytes("", 0), a, b;
    char hex[33], text[1500];

    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)(i * 37 + i / 11);
    TEST("hash: XXH3-128 of known texts, hi half first");
    hash_hex(h, hex);
    CHECK(!strcmp(hex, "99aa06d3014798d86001c324468d497f"));
    hash_hex(hash_bytes("abc", 3), hex);
    CHECK(!strcmp(hex, "06b05ab6733a618578af5f94892f3950"));
    h = hash_bytes(NULL, 0);
    hash_hex(h, hex);
    CHECK(!strcmp(hex, "99aa06d3014798d86001c324468d497f"));
    hash_hex((struct hash128){1, 0x8000000000000000}, hex);
    CHECK(!strcmp(hex, "80000000000000000000000000000001"));

    TEST("hash: XXH3-128 of texts of every length, as its own library computes it");
    for (size_t n = 0; n <= sizeof(text); n++) {
        XXH128_hash_t is = XXH3_128bits(text, n);

        h = hash_bytes(text, n);
        CHECK(h.lo == is.low64 && h.hi == is.high64);
    }

    TEST("hash_add: where a piece ends counts");
    a = hash_add(hash_add((struct hash128){0}, "ab", 2), "c", 1);
    b = hash_add(hash_add((struct hash128){0}, "a", 1), "bc", 2);
    CHECK(a.lo != b.lo && a.hi != b.hi);
    b = hash_add(hash_add((struct hash128){0}, "ab", 2), "c", 1);
    CHECK(a.lo == b.lo && a.hi == b.hi);
    b = hash_add(a, "", 0);
    CHECK(a.lo != b.lo);
}

static void test_table(void)
{
    struct hash_table t = {0};
    char key[32];
    int bad = 0, n;

    TEST("hash_table: 100,000 keys, empty key, keys with NULs, long keys");
    CHECK(!hash_find(&t, "x", 1));
    hash_reserve(&t, 100); // fewer than come
    CHECK(t.cap == 256 && !t.n && !hash_find(&t, "x", 1));
    for (int i = 0; i < 100000; i++) {
        n = snprintf(key, sizeof(key), "key %d", i);
        bad += *hash_put(&t, key, (size_t)n, i) != i;
    }
    for (int i = 0; i < 100000; i++) {
        int *v;

        n = snprintf(key, sizeof(key), "key %d", i);
        bad += *hash_put(&t, key, (size_t)n, -1) != i; // there already
        v = hash_find(&t, key, (size_t)n);
        bad += !v || *v != i;
        n = snprintf(key, sizeof(key), "no key %d", i);
        bad += hash_find(&t, key, (size_t)n) != NULL;
    }
    CHECK(bad == 0);
    CHECK(t.n == 100000);
    CHECK(!hash_find(&t, "", 0));
    *hash_put(&t, NULL, 0, 5) += 1;
    CHECK(*hash_find(&t, "", 0) == 6);
    *hash_put(&t, "a\0b", 3, 7) = 8;
    CHECK(*hash_find(&t, "a\0b", 3) == 8);
    CHECK(!hash_find(&t, "a\0c", 3));
    {
        char *big = calloc(1, 1 << 20);

        hash_put(&t, big, 1 << 20, 9);
        CHECK(*hash_find(&t, big, 1 << 20) == 9);
        CHECK(!hash_find(&t, big, (1 << 20) - 1));
        free(big);
    }
    hash_free(&t);
    CHECK(!t.n && !t.entry && !t.block);
    hash_free(&t);
}

/* Of pieces of a text as of each alone, wherever they stand and end in it. */
static void test_words(void)
{
    uint32_t begin[100], end[100];
    uint64_t hash[100];
    int bad = 0;

    TEST("hashes of words");
    for (unsigned round = 0; round < 4000; round++) {
        bool lower = round & 1;
        size_t all = 0, n = 0;
        char *s, *room = malloc(2000); // to the byte, so that what reads behind it is found

        for (size_t words = round % 40; n < words; n++) {
            size_t len = 1 + (n * 7 + round / 3) % (round % 5 ? 11 : 27);

            all += (round + n) % 3;
            begin[n] = (uint32_t)all;
            end[n] = (uint32_t)(all += len);
        }
        room = realloc(room, all + 1);
        s = room + 1;
        for (size_t i = 0; i < all; i++)
            s[i] = (char)(33 + (i * 2654435761u + round) % 223);
        hash_words(s, all, begin, end, n, lower, hash);
        for (size_t k = 0; k < n; k++) {
            size_t len = end[k] - begin[k];
            char *p = s + begin[k];
            unsigned char with = lower && (unsigned char)*p < 0x80 ? 0x20 : 0;

            bad += hash[k] != hash_word(p, len, len, with);
        }
        free(room);
    }
    CHECK(bad == 0);
}

int main(void)
{
    test_words();
    test_values();
    test_table();
    return test_end();
}
