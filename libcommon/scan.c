/* scan.c - bytes of a kind, found sixteen at a time.
 *
 * SSE2 is in every x86-64 processor; elsewhere the compiler makes what it can of the same steps,
 * written for a vector of sixteen bytes in plain C. */
#include "scan.h"

#include "mem.h"

#include <stdlib.h>
#include <string.h>
#if defined(__SSE2__)
#include <immintrin.h>
typedef __m128i vec;
/* For processors that have it, thirty-two at a time. */
#define WIDE __attribute__((target("avx2,bmi,popcnt")))
#else
typedef struct {
    signed char b[16];
} vec;
#endif

enum { STEP = 16, PAIRS = 8 };

#if defined(__SSE2__)
static inline vec load(const char *s)
{
    return _mm_loadu_si128((const __m128i *)(const void *)s);
}

static inline unsigned equal(vec x, char c)
{
    return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(x, _mm_set1_epi8(c)));
}

/* Bytes, as signed numbers, that are less. */
static inline unsigned less(vec x, int c)
{
    return (unsigned)_mm_movemask_epi8(_mm_cmplt_epi8(x, _mm_set1_epi8((char)c)));
}

/* Bytes from lo to lo + span - 1, span < 128. */
static inline unsigned within(vec x, char lo, int span)
{
    __m128i y = _mm_sub_epi8(_mm_sub_epi8(x, _mm_set1_epi8(lo)), _mm_set1_epi8((char)-128));

    return (unsigned)_mm_movemask_epi8(_mm_cmplt_epi8(y, _mm_set1_epi8((char)(span - 128))));
}

static inline vec with(vec x, char bits)
{
    return _mm_or_si128(x, _mm_set1_epi8(bits));
}

/* Bits set; a call of the library without the processor's own instruction. */
static inline size_t ones(unsigned m)
{
    m -= m >> 1 & 0x5555;
    m = (m & 0x3333) + (m >> 2 & 0x3333);
    m = (m + (m >> 4)) & 0x0F0F;
    return (m + (m >> 8)) & 0x1F;
}
#else
static inline size_t ones(unsigned m)
{
    return (size_t)__builtin_popcount(m);
}

static inline vec load(const char *s)
{
    vec x;

    memcpy(&x, s, STEP);
    return x;
}

static inline unsigned equal(vec x, char c)
{
    unsigned m = 0;

    for (unsigned i = 0; i < STEP; i++)
        m |= (unsigned)(x.b[i] == (signed char)c) << i;
    return m;
}

static inline unsigned less(vec x, int c)
{
    unsigned m = 0;

    for (unsigned i = 0; i < STEP; i++)
        m |= (unsigned)(x.b[i] < c) << i;
    return m;
}

static inline unsigned within(vec x, char lo, int span)
{
    unsigned m = 0;

    for (unsigned i = 0; i < STEP; i++)
        m |= (unsigned)((unsigned char)(x.b[i] - lo) < span) << i;
    return m;
}

static inline vec with(vec x, char bits)
{
    for (int i = 0; i < STEP; i++)
        x.b[i] = (signed char)(x.b[i] | bits);
    return x;
}
#endif

#if defined(WIDE)
typedef __m256i wide;

WIDE static inline wide wide_load(const char *s)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)s);
}

WIDE static inline unsigned wide_equal(wide x, char c)
{
    return (unsigned)_mm256_movemask_epi8(_mm256_cmpeq_epi8(x, _mm256_set1_epi8(c)));
}

/* As equal, less, within. */
WIDE static inline unsigned wide_less(wide x, int c)
{
    return (unsigned)_mm256_movemask_epi8(_mm256_cmpgt_epi8(_mm256_set1_epi8((char)c), x));
}

WIDE static inline unsigned wide_within(wide x, char lo, int span)
{
    wide y = _mm256_sub_epi8(x, _mm256_set1_epi8((char)(lo - 128)));

    return (unsigned)_mm256_movemask_epi8(
        _mm256_cmpgt_epi8(_mm256_set1_epi8((char)(span - 128)), y));
}

WIDE static inline wide wide_with(wide x, char bits)
{
    return _mm256_or_si256(x, _mm256_set1_epi8(bits));
}

static inline int is_wide(size_t n)
{
    return n >= 32 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt") &&
           __builtin_cpu_supports("bmi");
}

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
WIDE_FIRST(plain_wide, wide_less(x, 0x20) | wide_equal(x, '"') | wide_equal(x, '\\'))
WIDE_FIRST(ascii_wide, wide_less(x, 0))
WIDE_FIRST(data_wide,
           wide_within(x, '0', 11) | wide_equal(x, '@') | wide_equal(x, '+') | wide_equal(x, '('))
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

/* The last bytes, behind them `fill`. */
static inline vec tail(const char *s, size_t n, char fill)
{
    char t[STEP];

    memset(t, fill, STEP);
    if (n)
        memcpy(t, s, n);
    return load(t);
}

static inline unsigned not_plain(vec x)
{
    return less(x, 0x20) | equal(x, '"') | equal(x, '\\');
}

size_t scan_plain(const char *s, size_t n)
{
    size_t i = WIDELY(plain_wide, s, n);
    unsigned m;

    for (; i + STEP <= n; i += STEP)
        if ((m = not_plain(load(s + i))))
            return i + (size_t)__builtin_ctz(m);
    m = not_plain(tail(s + i, n - i, 0));
    return i + (size_t)(m ? __builtin_ctz(m) : 0);
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

static inline unsigned data(vec x)
{
    return within(x, '0', 11) | equal(x, '@') | equal(x, '+') | equal(x, '('); // ':' is behind '9'
}

size_t scan_data(const char *s, size_t n)
{
    size_t i = WIDELY(data_wide, s, n);
    unsigned m;

    for (; i + STEP <= n; i += STEP)
        if ((m = data(load(s + i))))
            return i + (size_t)__builtin_ctz(m);
    m = data(tail(s + i, n - i, 0));
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
    __m256i a[PAIRS], b[PAIRS];
    size_t i = 0, k = 0;

    for (; k < PAIRS && pairs[2 * k]; k++) {
        a[k] = _mm256_set1_epi8(pairs[2 * k]);
        b[k] = _mm256_set1_epi8(pairs[2 * k + 1]);
    }
    for (; i + 33 <= n; i += 32) {
        __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)(s + i));
        __m256i y = _mm256_loadu_si256((const __m256i *)(const void *)(s + i + 1));
        __m256i m = _mm256_setzero_si256();
        unsigned bits;

        for (size_t p = 0; p < k; p++)
            m = _mm256_or_si256(
                m, _mm256_and_si256(_mm256_cmpeq_epi8(x, a[p]), _mm256_cmpeq_epi8(y, b[p])));
        bits = (unsigned)_mm256_movemask_epi8(m);
        if (bits)
            return i + (size_t)__builtin_ctz(bits);
    }
    return i;
}
#endif

size_t scan_pairs(const char *s, size_t n, const char *pairs)
{
    size_t i = 0;

#if defined(WIDE)
    if (is_wide(n))
        i = pairs_wide(s, n, pairs);
#endif
    for (; i + STEP + 1 <= n; i += STEP) {
        vec x = load(s + i), y = load(s + i + 1);
        unsigned m = 0;

        for (const char *p = pairs; *p; p += 2)
            m |= equal(x, p[0]) & equal(y, p[1]);
        if (m)
            return i + (size_t)__builtin_ctz(m);
    }
    if (i + 2 <= n) { // pairs hold no 0
        vec x = tail(s + i, n - i - 1, 0), y = tail(s + i + 1, n - i - 1, 0);
        unsigned m = 0;

        for (const char *p = pairs; *p; p += 2)
            m |= equal(x, p[0]) & equal(y, p[1]);
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
                _mm256_or_si256(_mm256_cmpeq_epi8(x, _mm256_set1_epi8('\n')),
                                _mm256_or_si256(_mm256_cmpeq_epi8(x, _mm256_set1_epi8('\t')),
                                                _mm256_cmpeq_epi8(x, _mm256_set1_epi8('\r')))));
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
            __m128i gap = _mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('\n')),
                                       _mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('\t')),
                                                    _mm_cmpeq_epi8(x, _mm_set1_epi8('\r'))));

            x = _mm_or_si128(_mm_andnot_si128(gap, x), _mm_and_si128(gap, up));
        }
        _mm_storeu_si128((__m128i *)(void *)(to + i), x);
    }
#endif
    for (; i < n; i++) {
        char c = s[i];

        to[i] = (char)(c >= 'A' && c <= 'Z'                              ? c + 32
                       : spaces && (c == '\n' || c == '\t' || c == '\r') ? ' '
                                                                         : c);
    }
}

#if defined(WIDE)
/* The blocks that the text fills; bits of bytes beyond ASCII that were met. */
WIDE static uint64_t blocks_wide(struct scan *t, const char *s, size_t n)
{
    uint64_t any = 0;

    for (size_t b = 0; b < n / 64; b++) {
        wide x = wide_load(s + 64 * b), y = wide_load(s + 64 * b + 32);
        uint64_t high = wide_less(x, 0) | (uint64_t)wide_less(y, 0) << 32;

        t->word[b] = (wide_within(wide_with(x, 32), 'a', 26) | wide_within(x, '0', 10)) |
                     (uint64_t)(wide_within(wide_with(y, 32), 'a', 26) | wide_within(y, '0', 10))
                         << 32;
        t->line[b] = (wide_within(x, 10, 4) | wide_within(x, 28, 3)) |
                     (uint64_t)(wide_within(y, 10, 4) | wide_within(y, 28, 3)) << 32;
        t->space[b] = (wide_within(x, 28, 5) | wide_within(x, 9, 5)) |
                      (uint64_t)(wide_within(y, 28, 5) | wide_within(y, 9, 5)) << 32;
        t->high[b] = high;
        any |= high;
    }
    return any;
}
#endif

void scan_text(struct scan *x, const char *s, size_t n)
{
    size_t blocks = n / 64 + 1, first = 0;
    uint64_t any = 0;

    if (blocks > x->cap) {
        x->cap = 2 * blocks;
        x->word = mem_resize(x->word, x->cap, sizeof(*x->word));
        x->high = mem_resize(x->high, x->cap, sizeof(*x->high));
        x->space = mem_resize(x->space, x->cap, sizeof(*x->space));
        x->line = mem_resize(x->line, x->cap, sizeof(*x->line));
    }
    x->s = s;
    x->n = n;
    x->blocks = blocks;
#if defined(WIDE)
    if (is_wide(n)) {
        any = blocks_wide(x, s, n);
        first = n / 64;
    }
#endif
    for (size_t b = first; b < blocks; b++) {
        uint64_t word = 0, high = 0, space = 0, line = 0;

        for (size_t k = 0; k < 64; k += STEP) {
            size_t i = 64 * b + k, left = i < n ? n - i : 0;
            vec v = left >= STEP ? load(s + i) : tail(s + (left ? i : 0), left, ' ');

            word |= (uint64_t)(within(with(v, 32), 'a', 26) | within(v, '0', 10)) << k;
            high |= (uint64_t)less(v, 0) << k;
            line |= (uint64_t)(within(v, 10, 4) | within(v, 28, 3)) << k;
            space |= (uint64_t)(equal(v, ' ') | within(v, 9, 5) | within(v, 28, 4)) << k;
        }
        x->word[b] = word;
        x->high[b] = high;
        x->space[b] = space;
        x->line[b] = line;
        any |= high;
    }
    x->ascii = !any;
}

void scan_free(struct scan *x)
{
    free(x->word);
    free(x->high);
    free(x->space);
    free(x->line);
    *x = (struct scan){0};
}

int scan_any(const uint64_t *bits, size_t from, size_t to)
{
    size_t a = from / 64, b;

    if (from >= to)
        return 0;
    b = (to - 1) / 64;
    if (a == b)
        return (bits[a] & (~0ull << from % 64) & (~0ull >> (63 - (to - 1) % 64))) != 0;
    if (bits[a] & (~0ull << from % 64))
        return 1;
    for (size_t i = a + 1; i < b; i++)
        if (bits[i])
            return 1;
    return (bits[b] & (~0ull >> (63 - (to - 1) % 64))) != 0;
}
