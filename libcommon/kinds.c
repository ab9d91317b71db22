/* kinds.c - the bytes of a text by kind, a bit each. */
#include "kinds.h"

#include "mem.h"
#include "vec.h"

#include <stdlib.h>
#include <string.h>

static inline unsigned stop(vec x)
{
    return equal(x, '.') | equal(x, '!') | equal(x, '?');
}

enum { BEHIND = 2 }; // bytes that a look at a block's characters goes beyond it

/* Bit i: a character of one of two large scripts, three bytes, begins at p[i]. */
struct singles {
    uint64_t hangul, han;
};

#if defined(WIDE)
WIDE static inline wide is(wide x, char c)
{
    return _mm256_cmpeq_epi8(x, _mm256_set1_epi8(c));
}

WIDE static inline wide in(wide x, char lo, int span)
{
    return _mm256_cmpgt_epi8(_mm256_set1_epi8((char)(span - 128)),
                             _mm256_sub_epi8(x, _mm256_set1_epi8((char)(lo - 128))));
}

WIDE static inline wide both(wide x, wide y)
{
    return _mm256_and_si256(x, y);
}

WIDE static inline wide either(wide x, wide y)
{
    return _mm256_or_si256(x, y);
}

WIDE static inline uint64_t bits(wide x, wide y)
{
    return (uint32_t)_mm256_movemask_epi8(x) | (uint64_t)(uint32_t)_mm256_movemask_epi8(y) << 32;
}

/* Hangul syllables AC00 to D7A3, Han 4E00 to 9FA5: bytes that go on are less than 0xC0 - 256, and
 * are in order as signed numbers too. */
WIDE static inline void singles_wide(const char *p, wide *hangul, wide *han)
{
    wide a = wide_load(p), b = wide_load(p + 1), c = wide_load(p + 2);
    wide go_on = both(_mm256_cmpgt_epi8(_mm256_set1_epi8(-64), b),
                      _mm256_cmpgt_epi8(_mm256_set1_epi8(-64), c));
    wide korean = either(in(a, (char)0xEB, 2), both(is(a, (char)0xEA), in(b, (char)0xB0, 16)));
    wide other = either(in(a, (char)0xE5, 4), both(is(a, (char)0xE4), in(b, (char)0xB8, 8)));

    korean = either(korean, both(is(a, (char)0xED), in(b, (char)0x80, 30)));
    korean =
        either(korean, both(is(a, (char)0xED), both(is(b, (char)0x9E), in(c, (char)0x80, 36))));
    other = either(other, both(is(a, (char)0xE9), in(b, (char)0x80, 62)));
    other = either(other, both(is(a, (char)0xE9), both(is(b, (char)0xBE), in(c, (char)0x80, 38))));
    *hangul = both(korean, go_on);
    *han = both(other, go_on);
}

WIDE static inline wide data_of(wide x)
{
    return either(either(in(x, '0', 11), is(x, '@')), either(is(x, '+'), is(x, '(')));
}

WIDE static inline wide stop_of(wide x)
{
    return either(either(is(x, '.'), is(x, '!')), is(x, '?'));
}

/* 64 bytes from p on, of which all and BEHIND more can be read, as block b. */
WIDE static inline void block_wide(struct kinds *t, size_t b, const char *p)
{
    wide x = wide_load(p), y = wide_load(p + 32), k0, k1, h0, h1;
    wide odd = either(either(is(x, '['), is(y, '[')), either(is(x, '{'), is(y, '{')));
    wide sign = either(either(is(x, '#'), is(y, '#')), either(is(x, '<'), is(y, '<')));
    uint64_t high = bits(x, y);
    uint64_t latin = bits(in(wide_with(x, 32), 'a', 26), in(wide_with(y, 32), 'a', 26));

    t->word[b] = latin | bits(in(x, '0', 10), in(y, '0', 10));
    t->n_latin += (size_t)__builtin_popcountll(latin);
    t->upper[b] = bits(in(x, 'A', 26), in(y, 'A', 26));
    t->space[b] = bits(either(in(x, 28, 5), in(x, 9, 5)), either(in(y, 28, 5), in(y, 9, 5)));
    t->line[b] = bits(either(in(x, 28, 3), in(x, 10, 4)), either(in(y, 28, 3), in(y, 10, 4)));
    t->newline[b] = bits(is(x, '\n'), is(y, '\n'));
    t->stop[b] = bits(stop_of(x), stop_of(y));
    t->data[b] = bits(data_of(x), data_of(y));
    t->high[b] = high;
    t->control |= bits(either(in(x, 0, 9), in(x, 14, 14)), either(in(y, 0, 9), in(y, 14, 14))) ||
                  bits(is(x, 31), is(y, 31));
    t->odd |= _mm256_movemask_epi8(odd) != 0;
    t->sign |= _mm256_movemask_epi8(sign) != 0;
    t->single[b] = 0;
    if (!high)
        return;
    singles_wide(p, &k0, &h0);
    singles_wide(p + 32, &k1, &h1);
    t->single[b] = bits(either(k0, h0), either(k1, h1));
    t->n_hangul += (size_t)__builtin_popcountll(bits(k0, k1));
    t->n_han += (size_t)__builtin_popcountll(bits(h0, h1));
    t->n_high += (size_t)__builtin_popcountll(high);
}

WIDE static void all_wide(struct kinds *t, size_t b, size_t end, const char *p)
{
    for (; b < end; b++, p += 64)
        block_wide(t, b, p);
}

/* The same of one register. */
typedef __m512i wider;

WIDER static inline uint64_t wider_is(wider x, char c)
{
    return _mm512_cmpeq_epi8_mask(x, _mm512_set1_epi8(c));
}

WIDER static inline uint64_t wider_in(wider x, char lo, int span)
{
    return _mm512_cmplt_epu8_mask(_mm512_sub_epi8(x, _mm512_set1_epi8(lo)),
                                  _mm512_set1_epi8((char)span));
}

WIDER static inline void singles_wider(const char *p, uint64_t *hangul, uint64_t *han)
{
    wider a = _mm512_loadu_si512(p), b = _mm512_loadu_si512(p + 1), c = _mm512_loadu_si512(p + 2);
    uint64_t go_on = wider_in(b, (char)0x80, 64) & wider_in(c, (char)0x80, 64);

    *hangul =
        go_on &
        (wider_in(a, (char)0xEB, 2) | (wider_is(a, (char)0xEA) & wider_in(b, (char)0xB0, 16)) |
         (wider_is(a, (char)0xED) &
          (wider_in(b, (char)0x80, 30) | (wider_is(b, (char)0x9E) & wider_in(c, (char)0x80, 36)))));
    *han = go_on &
           (wider_in(a, (char)0xE5, 4) | (wider_is(a, (char)0xE4) & wider_in(b, (char)0xB8, 8)) |
            (wider_is(a, (char)0xE9) & (wider_in(b, (char)0x80, 62) |
                                        (wider_is(b, (char)0xBE) & wider_in(c, (char)0x80, 38)))));
}

/* Of ASCII: what each byte is, and what a text has that it is in. */
enum { LATIN = 1, DIGIT = 2, UPPER = 4, SPACE = 8, LINE = 16, NEWLINE = 32, STOP = 64, DATA = 128 };
enum { CONTROL = 1, ODD = 2, SIGN = 4 };
#define BETWEEN(c, first, last) ((c) >= (first) && (c) <= (last))
#define ANY_OF(c, x, y, z)      ((c) == (x) || (c) == (y) || (c) == (z))
#define IS_LINE(c)              (BETWEEN(c, 10, 13) || BETWEEN(c, 28, 30))
#define IS_SPACE(c)             (IS_LINE(c) || (c) == 9 || (c) == 31 || (c) == 32)
#define KIND(c)                                                               \
    (LATIN * BETWEEN((c) | 32, 'a', 'z') | DIGIT * BETWEEN(c, '0', '9') |     \
     UPPER * BETWEEN(c, 'A', 'Z') | SPACE * IS_SPACE(c) | LINE * IS_LINE(c) | \
     NEWLINE * ((c) == 10) | STOP * ANY_OF(c, '.', '!', '?') |                \
     DATA * (BETWEEN(c, '0', ':') || ANY_OF(c, '@', '+', '(')))
#define SIGNS(c)                                                       \
    (CONTROL * (BETWEEN(c, 0, 8) || BETWEEN(c, 14, 27) || (c) == 31) | \
     ODD * ((c) == '[' || (c) == '{') | SIGN * ((c) == '#' || (c) == '<'))
#define FOUR(of, c)    of(c), of((c) + 1), of((c) + 2), of((c) + 3)
#define SIXTEEN(of, c) FOUR(of, c), FOUR(of, (c) + 4), FOUR(of, (c) + 8), FOUR(of, (c) + 12)
#define ASCII(of)                                                                           \
    {                                                                                       \
        SIXTEEN(of, 0), SIXTEEN(of, 16), SIXTEEN(of, 32), SIXTEEN(of, 48), SIXTEEN(of, 64), \
            SIXTEEN(of, 80), SIXTEEN(of, 96), SIXTEEN(of, 112)                              \
    }
static const unsigned char kind_of[128] = ASCII(KIND), sign_of[128] = ASCII(SIGNS);

struct tables {
    __m512i kind[2], sign[2];
};

WIDER static inline uint64_t wider_has(wider x, int bits)
{
    return _mm512_test_epi8_mask(x, _mm512_set1_epi8((char)bits));
}

/* What else there is, a byte of bits each. */
WIDER static inline wider block_wider(struct kinds *t, size_t b, const char *p,
                                      const struct tables *of)
{
    wider x = _mm512_loadu_si512(p), kind, sign;
    uint64_t high = _mm512_movepi8_mask(x), hangul, han, latin;

    kind = _mm512_maskz_permutex2var_epi8(~high, of->kind[0], x, of->kind[1]);
    sign = _mm512_maskz_permutex2var_epi8(~high, of->sign[0], x, of->sign[1]);
    latin = wider_has(kind, LATIN);
    t->word[b] = wider_has(kind, LATIN | DIGIT);
    t->n_latin += (size_t)__builtin_popcountll(latin);
    t->upper[b] = wider_has(kind, UPPER);
    t->space[b] = wider_has(kind, SPACE);
    t->line[b] = wider_has(kind, LINE);
    t->newline[b] = wider_has(kind, NEWLINE);
    t->stop[b] = wider_has(kind, STOP);
    t->data[b] = wider_has(kind, DATA);
    t->high[b] = high;
    t->single[b] = 0;
    if (!high)
        return sign;
    singles_wider(p, &hangul, &han);
    t->single[b] = hangul | han;
    t->n_hangul += (size_t)__builtin_popcountll(hangul);
    t->n_han += (size_t)__builtin_popcountll(han);
    t->n_high += (size_t)__builtin_popcountll(high);
    return sign;
}

WIDER static void all_wider(struct kinds *t, size_t b, size_t end, const char *p)
{
    struct tables of = {{_mm512_loadu_si512(kind_of), _mm512_loadu_si512(kind_of + 64)},
                        {_mm512_loadu_si512(sign_of), _mm512_loadu_si512(sign_of + 64)}};
    wider any = _mm512_setzero_si512();

    for (; b < end; b++, p += 64)
        any = _mm512_or_si512(any, block_wider(t, b, p, &of));
    t->control |= wider_has(any, CONTROL) != 0;
    t->odd |= wider_has(any, ODD) != 0;
    t->sign |= wider_has(any, SIGN) != 0;
}
#endif

static void single_plain(struct kinds *t, size_t b, unsigned i, const unsigned char *p)
{
    uint32_t cp = (p[0] & 15u) << 12 | (p[1] & 63u) << 6 | (p[2] & 63u);
    int hangul = cp >= 0xAC00 && cp <= 0xD7A3, han = cp >= 0x4E00 && cp <= 0x9FA5;

    t->n_high++;
    if (p[0] >> 4 != 14 || p[1] >> 6 != 2 || p[2] >> 6 != 2 || !(hangul || han))
        return;
    t->single[b] |= 1ull << i;
    t->n_hangul += (size_t)hangul;
    t->n_han += (size_t)han;
}

static void block_plain(struct kinds *t, size_t b, const char *p)
{
    t->word[b] = t->upper[b] = t->space[b] = t->line[b] = t->newline[b] = t->stop[b] = t->data[b] =
        t->high[b] = t->single[b] = 0;
    for (size_t k = 0; k < 64; k += STEP) {
        vec v = load(p + k);

        unsigned latin = within(with(v, 32), 'a', 26);

        t->word[b] |= (uint64_t)(latin | within(v, '0', 10)) << k;
        t->n_latin += ones(latin);
        t->upper[b] |= (uint64_t)within(v, 'A', 26) << k;
        t->space[b] |= (uint64_t)(equal(v, ' ') | within(v, 9, 5) | within(v, 28, 4)) << k;
        t->line[b] |= (uint64_t)(within(v, 10, 4) | within(v, 28, 3)) << k;
        t->newline[b] |= (uint64_t)equal(v, '\n') << k;
        t->stop[b] |= (uint64_t)stop(v) << k;
        t->data[b] |= (uint64_t)(within(v, '0', 11) | equal(v, '@') | equal(v, '+') | equal(v, '('))
                      << k;
        t->high[b] |= (uint64_t)less(v, 0) << k;
        t->control |= (within(v, 0, 9) | within(v, 14, 14) | equal(v, 31)) != 0;
        t->odd |= (equal(v, '[') | equal(v, '{')) != 0;
        t->sign |= (equal(v, '#') | equal(v, '<')) != 0;
    }
    for (uint64_t m = t->high[b]; m; m &= m - 1) {
        unsigned i = (unsigned)__builtin_ctzll(m);

        single_plain(t, b, i, (const unsigned char *)p + i);
    }
}

static void all_plain(struct kinds *t, size_t b, size_t end, const char *p)
{
    for (; b < end; b++, p += 64)
        block_plain(t, b, p);
}

static void room(struct kinds *t, size_t blocks)
{
    uint64_t **const of[] = {&t->word, &t->high,    &t->space, &t->line,  &t->stop,
                             &t->data, &t->newline, &t->upper, &t->single};

    t->blocks = blocks;
    if (blocks <= t->cap)
        return;
    t->cap = 2 * blocks;
    for (size_t i = 0; i < sizeof(of) / sizeof(*of); i++)
        *of[i] = mem_resize(*of[i], t->cap, sizeof(**of));
}

void kinds_text(struct kinds *x, const char *s, size_t n)
{
    void (*all)(struct kinds *, size_t, size_t, const char *) = all_plain;
    size_t whole = n < BEHIND ? 0 : (n - BEHIND) / 64, left = n - 64 * whole;
    char last[128 + BEHIND];

    room(x, n / 64 + 1);
    x->s = s;
    x->n = n;
    x->odd = x->sign = x->control = 0;
    x->n_hangul = x->n_han = x->n_high = x->n_latin = 0;
#if defined(WIDE)
    if (is_wider())
        all = all_wider;
    else if (is_wide(64))
        all = all_wide;
#endif
    all(x, 0, whole, s);
    memset(last, ' ', sizeof(last)); // one block or two
    if (left)
        memcpy(last, s + 64 * whole, left);
    all(x, whole, x->blocks, last);
    x->ascii = !x->n_high;
    x->easy = x->n_high == 3 * (x->n_hangul + x->n_han);
}

void kinds_free(struct kinds *x)
{
    free(x->word);
    free(x->high);
    free(x->space);
    free(x->line);
    free(x->stop);
    free(x->data);
    free(x->newline);
    free(x->upper);
    free(x->single);
    *x = (struct kinds){0};
}

int kinds_any(const uint64_t *bits, size_t from, size_t to)
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

size_t kinds_count(const uint64_t *bits, size_t from, size_t to)
{
    size_t n = 0;

    while (from < to) {
        size_t k = 64 - from % 64 < to - from ? 64 - from % 64 : to - from;

        n += kinds_ones(bits[from / 64] >> from % 64 << (64 - k));
        from += k;
    }
    return n;
}

size_t kinds_next(const uint64_t *bits, size_t at)
{
    size_t b = at / 64;
    uint64_t m = bits[b] & ~0ull << at % 64;

    while (!m)
        m = bits[++b];
    return 64 * b + (size_t)__builtin_ctzll(m);
}

size_t kinds_after_last(const uint64_t *bits, size_t at)
{
    size_t b = at / 64;
    uint64_t m = bits[b] & ~(~0ull << at % 64);

    while (!m && b)
        m = bits[--b];
    return m ? 64 * b + 64 - (size_t)__builtin_clzll(m) : 0;
}

int kinds_three(const uint64_t *bits, size_t blocks)
{
    uint64_t one = 0, two = 0; // the last bit, and the last two, of the block before

    for (size_t b = 0; b < blocks; b++) {
        uint64_t m = bits[b];

        if (m & (m << 1 | one) & (m << 2 | two))
            return 1;
        one = m >> 63;
        two = m >> 62;
    }
    return 0;
}
