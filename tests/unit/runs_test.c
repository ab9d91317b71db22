/* runs_test.c - runs of words and between spaces, against a walk over single bytes. */
#include "rng.h"
#include "runs.h"
#include "test.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool is_in(const char *s, size_t n, size_t i, bool words)
{
    unsigned char c = i < n ? (unsigned char)s[i] : ' ';

    return words ? c >= 128 || isalnum(c) : !((c >= 9 && c <= 13) || (c >= 28 && c <= 32));
}

static bool agree(const struct runs *r, const char *s, size_t n, bool words)
{
    size_t k = 0;

    for (size_t i = 0; i < n; i++) {
        if (!is_in(s, n, i, words) || (i && is_in(s, n, i - 1, words)))
            continue;
        if (k == r->n || r->begin[k] != i)
            return false;
        while (is_in(s, n, i + 1, words))
            i++;
        if (r->end[k++] != i + 1)
            return false;
    }
    return k == r->n;
}

/* Runs of letters and digits, and characters of three bytes that are words. */
static bool agree_units(const struct runs *r, const struct kinds *x, const char *s, size_t n)
{
    size_t k = 0;

    for (size_t i = 0; i < n; i++) {
        bool one = x->single[i / 64] >> i % 64 & 1;
        size_t end = i + 1;

        if (!one && !isalnum((unsigned char)s[i]))
            continue;
        while (!one && end < n && isalnum((unsigned char)s[end]))
            end++;
        end = one ? i + 3 : end;
        if (k == r->n || r->begin[k] != i || r->end[k++] != end)
            return false;
        i = end - 1;
    }
    return k == r->n;
}

int main(void)
{
    static const char some[] = "abzAZ09 \n\t.,\x80\xFF   a1\x1C\x0B-";
    static const char *const few[] = {"a",      "\uac00", "B7",     " ",
                                      "\u4e00", ",",      "\u00e9", "12345678901"};
    struct rng g = rng_stream(3, 1, 2);
    struct runs words = {0}, spans = {0}, units = {0};
    struct kinds x = {0};
    bool same = true;

    for (uint64_t k = 0; k < 4000; k++) {
        uint32_t w[4];
        size_t n, kinds;
        char *s;

        rng_quad(&g, k, 0, w);
        n = k < 200 ? k : w[0] % 900;
        kinds = 1 + w[1] % (sizeof(some) - 1);
        s = malloc(n + 1); // of its own, so that a read beyond it is seen
        for (size_t i = 0; i < n; i++) {
            rng_quad(&g, k, 1 + (uint32_t)i, w);
            s[i] = some[w[0] % kinds];
        }
        for (size_t i = 0; k % 3 == 0 && i < n;) { // of whole characters instead
            size_t len;

            rng_quad(&g, k, 1 + (uint32_t)i, w);
            len = strlen(few[w[1] % (1 + w[0] % 8)]);
            len = i + len <= n ? len : 0;
            memcpy(s + i, len ? few[w[1] % (1 + w[0] % 8)] : "-", len ? len : 1);
            i += len ? len : 1;
        }
        kinds_text(&x, s, n);
        runs_words(&words, &x);
        runs_spans(&spans, &x);
        runs_units(&units, &x);
        same = same && agree(&words, s, n, true) && agree(&spans, s, n, false) &&
               agree_units(&units, &x, s, n);
        free(s);
    }
    TEST("runs of words and between spaces");
    CHECK(same);
    kinds_free(&x);
    runs_free(&words);
    runs_free(&spans);
    runs_free(&units);
    return test_end();
}
