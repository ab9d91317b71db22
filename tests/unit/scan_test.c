/* scan_test.c - bytes of a kind, against a loop over single bytes. */
#include "kinds.h"
#include "rng.h"
#include "scan.h"
#include "test.h"
#include "utf8.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_space(unsigned char c)
{
    return (c >= 9 && c <= 13) || (c >= 28 && c <= 32);
}

/* The first byte for which f holds, or n. */
static size_t first(const char *s, size_t n, bool (*f)(unsigned char c))
{
    size_t i = 0;

    while (i < n && !f((unsigned char)s[i]))
        i++;
    return i;
}

static bool is_high(unsigned char c)
{
    return c >= 128;
}

static bool is_data(unsigned char c)
{
    return isdigit(c) || (c && strchr("@:+(", c));
}

static bool is_stop(unsigned char c)
{
    return c == '.' || c == '!' || c == '?';
}

/* Does a Hangul syllable or one of Han 4E00-9FA5 begin here? */
static bool is_single(const char *s, size_t n)
{
    uint32_t cp = 0;

    return utf8_get(s, n, &cp) == 3 &&
           ((cp >= 0xAC00 && cp <= 0xD7A3) || (cp >= 0x4E00 && cp <= 0x9FA5));
}

static size_t count_high(const char *s, size_t n)
{
    size_t k = 0;

    while (n--)
        k += (unsigned char)*s++ >= 128;
    return k;
}

static bool agree(const char *s, size_t n)
{
    size_t chars = 0, letters = 0, chunks = 0, pair = 0, hangul = 0, singles = 0, high = 0;
    size_t odd = 0, sign = 0, control = 0, three_at = 0;
    char *low = malloc(n + 1), *gaps = malloc(n + 1);
    struct kinds x = {0};
    struct scan_threes threes;
    bool same = true, three = false;

    scan_threes_make(&threes, "xyzz m");
    kinds_text(&x, s, n);
    scan_lower(low, s, n, 0);
    scan_lower(gaps, s, n, 1);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        bool alpha = c < 128 && isalpha(c), digit = c < 128 && isdigit(c);
        char lower = (char)(alpha ? c | 32 : c);

        chars += (c & 0xC0) != 0x80;
        letters += alpha;
        chunks += c > 32 && (!i || (unsigned char)s[i - 1] <= 32);
        same = same && (x.word[i / 64] >> i % 64 & 1) == (alpha || digit) &&
               (x.high[i / 64] >> i % 64 & 1) == (c >= 128) &&
               (x.space[i / 64] >> i % 64 & 1) == is_space(c) &&
               (x.line[i / 64] >> i % 64 & 1) == ((c >= 10 && c <= 13) || (c >= 28 && c <= 30)) &&
               low[i] == lower && gaps[i] == (c >= 9 && c <= 13 ? ' ' : lower) &&
               kinds_any(x.high, i, i + 1) == (c >= 128) &&
               (x.upper[i / 64] >> i % 64 & 1) == (c >= 'A' && c <= 'Z') &&
               (x.newline[i / 64] >> i % 64 & 1) == (c == '\n') &&
               (x.stop[i / 64] >> i % 64 & 1) == is_stop(c) &&
               (x.data[i / 64] >> i % 64 & 1) == is_data(c) &&
               (x.single[i / 64] >> i % 64 & 1) == is_single(s + i, n - i);
        hangul += is_single(s + i, n - i) && c >= 0xEA;
        singles += is_single(s + i, n - i);
        high += c >= 128;
        odd += c == '[' || c == '{';
        sign += c == '#' || c == '<';
        control += c < 9 || (c > 13 && c < 28) || c == 31;
    }
    same = same && x.n_hangul == hangul && x.n_han == singles - hangul && x.n_high == high &&
           x.n_latin == letters && x.easy == (high == 3 * singles) && x.odd == (odd > 0) &&
           x.sign == (sign > 0) && !x.control == !control;
    for (size_t i = n; i < 64 * x.blocks; i++)
        same = same && x.space[i / 64] >> i % 64 & 1;
    while (pair + 2 <= n && memcmp(s + pair, "##", 2) != 0 && memcmp(s + pair, "mp", 2) != 0)
        pair++;
    pair = pair + 2 <= n ? pair : n;
    while (three_at + 3 <= n && strncasecmp(s + three_at, "xyz", 3) != 0 &&
           strncasecmp(s + three_at, "z m", 3) != 0)
        three_at++;
    three_at = three_at + 3 <= n ? three_at : n;
    same = same && scan_threes(&threes, s, n) == three_at &&
           scan_ascii(s, n) == first(s, n, is_high) && scan_stop(s, n) == first(s, n, is_stop) &&
           scan_pairs(s, n, "##mp") == pair && scan_chars(s, n) == chars &&
           scan_letters(s, n) == letters && scan_chunks(s, n) == chunks &&
           x.ascii == (scan_ascii(s, n) == n) && kinds_any(x.high, 0, n) == (scan_ascii(s, n) < n);
    for (size_t from = 0; from < n; from += 13)
        for (size_t to = from; to <= n; to += 17)
            same =
                same &&
                kinds_any(x.high, from, to) == (first(s + from, to - from, is_high) < to - from) &&
                kinds_count(x.high, from, to) == count_high(s + from, to - from);
    for (size_t at = 0; at < n; at += 7) {
        size_t back = at;

        while (back && !is_space((unsigned char)s[back - 1]))
            back--;
        same = same && kinds_next(x.space, at) == at + first(s + at, n - at, is_space) &&
               kinds_after_last(x.space, at) == back;
    }
    for (size_t at = 0; at + 3 <= n; at++)
        three = three || (is_stop((unsigned char)s[at]) && is_stop((unsigned char)s[at + 1]) &&
                          is_stop((unsigned char)s[at + 2]));
    same = same && kinds_three(x.stop, x.blocks) == three;
    kinds_free(&x);
    free(low);
    free(gaps);
    return same;
}

int main(void)
{
    struct rng r = rng_stream(3, 0, 2);
    int bad = 0;

    TEST("random bytes, of all kinds and of few, every length");
    for (uint32_t k = 0; k < 6000; k++) {
        size_t n = rng_below(&r, k, 0, 70) * (k % 5 ? 1 : 4);
        char *s = malloc(n ? n : 1); // exactly as long, so that a sanitizer sees what is behind

        for (size_t i = 0; i < n; i++) {
            uint32_t x = rng_below(&r, k, (uint32_t)i + 1, 1 << 16);

            s[i] = k % 4 == 3
                       ? (i % 3 == k / 4 % 3 ? (char)(0xE3 + x % 12) : (char)(0x80 + x / 16 % 66))
                   : k % 3 == 0 ? (char)x
                   : k % 3 == 1 ? "abcXYZ mp##\n. [{<!"[x % 18]
                                : (char)('a' + (int)(x < 500 ? x : x % 26));
        }
        bad += !agree(s, n);
        free(s);
    }
    CHECK(!bad);
    return test_end();
}
