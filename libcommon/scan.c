/* scan.c - bytes of a kind, found sixteen at a time. */
#include "scan.h"

#include "vec.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { PAIRS = 8 };

#if defined(WIDE)
/* What is done thirty-two bytes x at a time, from i on: the first of a kind; how many. */
#define WIDE_FIRST(name, kind)                       \
    WIDE static size_t name(const char *s, size_t n) \
    {                                                \
        size_t i = 0;                                \
                                                     \
        for (; i + 32 <= n; i += 32) {               \
            wide x = wide_load(s + i);               \
            unsigned m = kind;                       \
                                                     \
            if (m)                                   \
                return i + (size_t)__builtin_ctz(m); \
        }                                            \
        return i;                                    \
    }
#define WIDE_COUNT(name, kind)                       \
    WIDE static size_t name(const char *s, size_t n) \
    {                                                \
        size_t k = 0;                                \
                                                     \
        for (size_t i = 0; i + 32 <= n; i += 32) {   \
            wide x = wide_load(s + i);               \
                                                     \
            k += (size_t)__builtin_popcount(kind);   \
        }                                            \
        return k;                                    \
    }
WIDE_FIRST(ascii_wide, wide_less(x, 0))
WIDE_FIRST(stop_wide, wide_equal(x, '.') | wide_equal(x, '!') | wide_equal(x, '?'))
WIDE_COUNT(chars_wide, wide_less(x, -64))
WIDE_COUNT(letters_wide, wide_within(wide_with(x, 32), 'a', 26))
#define WIDELY(f, s, n) (is_wide(n) ? f(s, n) : 0)
#else
#define WIDELY(f, s, n) (size_t)0
#endif

/* Bytes that were counted so. */
static inline size_t seen(size_t n)
{
#if defined(WIDE)
    return is_wide(n) ? n & ~(size_t)31 : 0;
#else
    (void)n;
    return 0;
#endif
}

size_t scan_ascii(const char *s, size_t n)
{
    size_t i = WIDELY(ascii_wide, s, n);
    unsigned m;

    for (; i + STEP <= n; i += STEP)
        if ((m = less(load(s + i), 0)))
            return i + (size_t)__builtin_ctz(m);
    m = less(tail(s + i, n - i, -1), 0);
    return m ? i + (size_t)__builtin_ctz(m) : n;
}

static inline unsigned stop(vec x)
{
    return equal(x, '.') | equal(x, '!') | equal(x, '?');
}

size_t scan_stop(const char *s, size_t n)
{
    size_t i = WIDELY(stop_wide, s, n);
    unsigned m;

    for (; i + STEP <= n; i += STEP)
        if ((m = stop(load(s + i))))
            return i + (size_t)__builtin_ctz(m);
    m = stop(tail(s + i, n - i, 0));
    return m ? i + (size_t)__builtin_ctz(m) : n;
}

#if defined(WIDE)
/* As far as 33 bytes can be read: where the first of the pairs is, or where it ends. */
WIDE static size_t pairs_wide(const char *s, size_t n, const char *pairs)
{
    wide a[PAIRS], b[PAIRS];
    size_t i = 0, k = 0;

    for (; k < PAIRS && pairs[2 * k]; k++) {
        a[k] = _mm256_set1_epi8(pairs[2 * k]);
        b[k] = _mm256_set1_epi8(pairs[2 * k + 1]);
    }
    for (; i + 33 <= n; i += 32) {
        wide x = wide_load(s + i), y = wide_load(s + i + 1), m = _mm256_setzero_si256();
        unsigned found;

        for (size_t p = 0; p < k; p++)
            m = _mm256_or_si256(
                m, _mm256_and_si256(_mm256_cmpeq_epi8(x, a[p]), _mm256_cmpeq_epi8(y, b[p])));
        found = (unsigned)_mm256_movemask_epi8(m);
        if (found)
            return i + (size_t)__builtin_ctz(found);
    }
    return i;
}

/* Where three of the threes may begin, as far as 34 bytes can be read. */
WIDE static size_t threes_wide(const char *s, size_t n, const char *threes)
{
    size_t i = 0;

    for (; i + 34 <= n; i += 32) {
        wide x = wide_with(wide_load(s + i), 32), y = wide_with(wide_load(s + i + 1), 32);
        wide z = wide_with(wide_load(s + i + 2), 32), m = _mm256_setzero_si256();
        unsigned found;

        for (const char *p = threes; *p; p += 3)
            m = _mm256_or_si256(
                m,
                _mm256_and_si256(_mm256_cmpeq_epi8(x, _mm256_set1_epi8(p[0])),
                                 _mm256_and_si256(_mm256_cmpeq_epi8(y, _mm256_set1_epi8(p[1])),
                                                  _mm256_cmpeq_epi8(z, _mm256_set1_epi8(p[2])))));
        found = (unsigned)_mm256_movemask_epi8(m);
        if (found)
            return i + (size_t)__builtin_ctz(found);
    }
    return i;
}

/* In which threes 64 bytes stand at place k, a byte of bits each; n of them can be read. */
WIDER static inline __m512i in_threes(const struct scan_threes *t, int k, const char *s, size_t n)
{
    __m512i x = _mm512_maskz_loadu_epi8(n < 64 ? ~(~0ull << n) : ~0ull, s);

    return _mm512_permutex2var_epi8(_mm512_loadu_si512(t->of[k]), x,
                                    _mm512_loadu_si512(t->of[k] + 64));
}

/* Where three that may be one of the threes begin, from i on; beyond ASCII some are none. */
WIDER static size_t threes_wider(const struct scan_threes *t, const char *s, size_t n, size_t i)
{
    for (; i + 3 <= n; i += 64) {
        size_t left = n - i;
        __m512i m = _mm512_and_si512(in_threes(t, 0, s + i, left - 2),
                                     _mm512_and_si512(in_threes(t, 1, s + i + 1, left - 2),
                                                      in_threes(t, 2, s + i + 2, left - 2)));
        uint64_t found = _mm512_test_epi8_mask(m, m);

        found &= left - 2 < 64 ? ~(~0ull << (left - 2)) : ~0ull;
        if (found)
            return i + (size_t)__builtin_ctzll(found);
    }
    return n;
}
#endif

static inline unsigned threes_of(vec x, vec y, vec z, const char *threes)
{
    unsigned m = 0;

    for (const char *p = threes; *p; p += 3)
        m |= equal(x, p[0]) & equal(y, p[1]) & equal(z, p[2]);
    return m;
}

/* Is it one of the threes? */
static bool is_three(const char *s, const char *threes)
{
    for (const char *p = threes; *p; p += 3)
        if ((s[0] | 32) == p[0] && (s[1] | 32) == p[1] && (s[2] | 32) == p[2])
            return true;
    return false;
}

void scan_threes_make(struct scan_threes *x, const char *text)
{
    *x = (struct scan_threes){.text = text};
    for (size_t i = 0; text[i]; i++) {
        unsigned char bit = (unsigned char)(1u << i / 3), c = (unsigned char)text[i];

        x->of[i % 3][c] |= bit;
        x->of[i % 3][c & ~32] |= bit;
    }
}

size_t scan_threes(const struct scan_threes *x, const char *s, size_t n)
{
    size_t i = 0;

#if defined(WIDE)
    char last[66] = {0};

    if (is_wider()) {
        while ((i = threes_wider(x, s, n, i)) < n && !is_three(s + i, x->text))
            i++;
        return i;
    }
    if (is_wide(32)) {
        i = threes_wide(s, n, x->text);
        if (i + 34 > n) { // what is left is shorter
            if (n - i)
                memcpy(last, s + i, n - i);
            i += threes_wide(last, sizeof(last), x->text);
        }
        if (i + 3 > n)
            return n;
    }
#endif
    for (; i + STEP + 2 <= n; i += STEP) {
        unsigned m = threes_of(with(load(s + i), 32), with(load(s + i + 1), 32),
                               with(load(s + i + 2), 32), x->text);

        if (m)
            return i + (size_t)__builtin_ctz(m);
    }
    for (; i + 3 <= n; i++)
        if (is_three(s + i, x->text))
            return i;
    return n;
}

static inline unsigned pairs_of(vec x, vec y, const char *pairs)
{
    unsigned m = 0;

    for (const char *p = pairs; *p; p += 2)
        m |= equal(x, p[0]) & equal(y, p[1]);
    return m;
}

size_t scan_pairs(const char *s, size_t n, const char *pairs)
{
    size_t i = 0;
    unsigned m;

#if defined(WIDE)
    if (is_wide(n))
        i = pairs_wide(s, n, pairs);
#endif
    for (; i + STEP + 1 <= n; i += STEP)
        if ((m = pairs_of(load(s + i), load(s + i + 1), pairs)))
            return i + (size_t)__builtin_ctz(m);
    if (i + 2 <= n) { // what is filled in is in no pair
        m = pairs_of(tail(s + i, n - i - 1, 0), tail(s + i + 1, n - i - 1, 0), pairs);
        if (m)
            return i + (size_t)__builtin_ctz(m);
    }
    return n;
}

size_t scan_chars(const char *s, size_t n)
{
    size_t k = n - WIDELY(chars_wide, s, n), i = seen(n);

    for (; i + STEP <= n; i += STEP)
        k -= ones(less(load(s + i), -64)); // 0x80 to 0xBF
    return k - ones(less(tail(s + i, n - i, 0), -64));
}

#if defined(WIDE)
WIDE static size_t count_wide(const char *s, size_t n, char c)
{
    size_t k = 0;

    for (size_t i = 0; i + 32 <= n; i += 32)
        k += (size_t)__builtin_popcount(wide_equal(wide_load(s + i), c));
    return k;
}
#endif

size_t scan_count(const char *s, size_t n, char c)
{
    size_t i = seen(n), k = 0;

#if defined(WIDE)
    k = i ? count_wide(s, n, c) : 0;
#endif
    for (; i + STEP <= n; i += STEP)
        k += ones(equal(load(s + i), c));
    for (; i < n; i++)
        k += s[i] == c;
    return k;
}

size_t scan_letters(const char *s, size_t n)
{
    size_t k = WIDELY(letters_wide, s, n), i = seen(n);

    for (; i + STEP <= n; i += STEP)
        k += ones(within(with(load(s + i), 32), 'a', 26));
    return k + ones(within(with(tail(s + i, n - i, 0), 32), 'a', 26));
}

#if defined(WIDE)
WIDE static size_t chunks_wide(const char *s, size_t n, unsigned *before)
{
    size_t k = 0;

    for (size_t i = 0; i + 32 <= n; i += 32) {
        unsigned m = ~wide_within(wide_load(s + i), 0, 33);

        k += (size_t)__builtin_popcount(m & ~(m << 1 | *before));
        *before = m >> 31;
    }
    return k;
}
#endif

size_t scan_chunks(const char *s, size_t n)
{
    size_t i = seen(n), k = 0;
    unsigned before = 0;

#if defined(WIDE)
    k = i ? chunks_wide(s, n, &before) : 0;
#endif

    while (i < n) {
        unsigned m = ~within(i + STEP <= n ? load(s + i) : tail(s + i, n - i, 0), 0, 33) & 0xFFFF;

        k += ones(m & ~(m << 1 | before));
        before = m >> (STEP - 1);
        i += STEP;
    }
    return k;
}

#if defined(WIDE)
WIDE static void lower_wide(char *to, const char *s, size_t n, int spaces)
{
    const wide a = _mm256_set1_epi8('A' - 1), z = _mm256_set1_epi8('Z' + 1),
               up = _mm256_set1_epi8(32);

    for (size_t i = 0; i + 32 <= n; i += 32) {
        wide x = wide_load(s + i);

        x = _mm256_or_si256(x, _mm256_and_si256(up, _mm256_and_si256(_mm256_cmpgt_epi8(x, a),
                                                                     _mm256_cmpgt_epi8(z, x))));
        if (spaces)
            x = _mm256_blendv_epi8(
                x, up,
                _mm256_and_si256(_mm256_cmpgt_epi8(x, _mm256_set1_epi8('\t' - 1)),
                                 _mm256_cmpgt_epi8(_mm256_set1_epi8('\r' + 1), x)));
        _mm256_storeu_si256((__m256i *)(void *)(to + i), x);
    }
}
#endif

void scan_lower(char *to, const char *s, size_t n, int spaces)
{
    size_t i = seen(n);

#if defined(WIDE)
    if (i)
        lower_wide(to, s, n, spaces);
#endif
#if defined(__SSE2__)
    const __m128i a = _mm_set1_epi8('A' - 1), z = _mm_set1_epi8('Z' + 1), up = _mm_set1_epi8(32);

    for (; i + STEP <= n; i += STEP) {
        __m128i x = load(s + i);
        __m128i big = _mm_and_si128(_mm_cmpgt_epi8(x, a), _mm_cmplt_epi8(x, z));

        x = _mm_or_si128(x, _mm_and_si128(big, up));
        if (spaces) {
            __m128i gap = _mm_and_si128(_mm_cmpgt_epi8(x, _mm_set1_epi8('\t' - 1)),
                                        _mm_cmplt_epi8(x, _mm_set1_epi8('\r' + 1)));

            x = _mm_or_si128(_mm_andnot_si128(gap, x), _mm_and_si128(gap, up));
        }
        _mm_storeu_si128((__m128i *)(void *)(to + i), x);
    }
#endif
    for (; i < n; i++) {
        char c = s[i];

        to[i] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : spaces && c >= '\t' && c <= '\r' ? ' ' : c);
    }
}
