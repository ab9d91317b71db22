/* runs_test.c - runs of words and between spaces, against a walk over single bytes. */
#include "rng.h"
#include "runs.h"
#include "test.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>

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

int main(void)
{
    static const char some[] = "abzAZ09 \n\t.,\x80\xFF   a1\x1C\x0B-";
    struct rng g = rng_stream(3, 1, 2);
    struct runs words = {0}, spans = {0};
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
        kinds_text(&x, s, n);
        runs_words(&words, &x);
        runs_spans(&spans, &x);
        same = same && agree(&words, s, n, true) && agree(&spans, s, n, false);
        free(s);
    }
    TEST("runs of words and between spaces");
    CHECK(same);
    kinds_free(&x);
    runs_free(&words);
    runs_free(&spans);
    return test_end();
}
