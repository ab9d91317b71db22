/* stops.c - bytes that a JSON string does not simply pass over, a bit each.
 *
 * Blocks of 64 bytes by masks. UTF-8 is checked by masks too: bytes that go on must be where those
 * that lead say, and nowhere else; after four of these not every one that goes on may follow. */
#include "stops.h"

#include "utf8.h"
#include "vec.h"

#include <stdbool.h>
#include <string.h>

enum { BLOCK = 64 };

/* The bytes of a block that are beyond ASCII. */
struct block {
    uint64_t high, go_on, two, three, four; // all; 80 to BF; those that lead at least so many
    uint64_t below_a0, below_90, from_f5;
    uint64_t e0, ed, f0, f4;
};

struct state {
    struct block before;
    bool pending; // `before` is what stands before the next block; else ASCII does
    bool bad;     // something was not well-formed
};

/* The bits of the k bytes before each. */
static inline uint64_t back(uint64_t now, uint64_t before, int k)
{
    return now << k | before >> (BLOCK - k);
}

static void check(struct state *t, const struct block *x)
{
    const struct block *y = &t->before;
    uint64_t must = back(x->two, y->two, 1) | back(x->three, y->three, 2);
    uint64_t bad = x->high & ~x->go_on & ~x->two; // C0, C1

    bad |= back(x->e0, y->e0, 1) & x->below_a0;
    bad |= back(x->ed, y->ed, 1) & x->go_on & ~x->below_a0;
    if (x->four | y->four) {
        must |= back(x->four, y->four, 3);
        bad |= back(x->f0, y->f0, 1) & x->below_90;
        bad |= back(x->f4, y->f4, 1) & x->go_on & ~x->below_90;
        bad |= x->from_f5;
    }
    t->bad = t->bad || bad || must != x->go_on;
    t->pending = true;
    t->before = *x;
}

/* What comes next is ASCII, or nothing. */
static void check_end(struct state *t)
{
    const struct block *y = &t->before;

    t->bad = t->bad || y->two >> 63 || y->three >> 62 || y->four >> 61;
    t->before = (struct block){0};
    t->pending = false;
}

/* ---- a block into masks ---- */

static void read_plain(const char *p, struct block *x)
{
    *x = (struct block){0};
    for (int k = 0; k < BLOCK; k += STEP) {
        vec v = load(p + k);
        unsigned high = less(v, 0);

        x->high |= (uint64_t)high << k;
        x->go_on |= (uint64_t)less(v, 0xC0 - 256) << k;
        x->two |= (uint64_t)(high & ~less(v, 0xC2 - 256)) << k;
        x->three |= (uint64_t)(high & ~less(v, 0xE0 - 256)) << k;
        x->four |= (uint64_t)(high & ~less(v, 0xF0 - 256)) << k;
        x->from_f5 |= (uint64_t)(high & ~less(v, 0xF5 - 256)) << k;
        x->below_a0 |= (uint64_t)less(v, 0xA0 - 256) << k;
        x->below_90 |= (uint64_t)less(v, 0x90 - 256) << k;
        x->e0 |= (uint64_t)equal(v, (char)0xE0) << k;
        x->ed |= (uint64_t)equal(v, (char)0xED) << k;
        x->f0 |= (uint64_t)equal(v, (char)0xF0) << k;
        x->f4 |= (uint64_t)equal(v, (char)0xF4) << k;
    }
}

static uint64_t mark_plain(const char *p, struct state *t)
{
    uint64_t stops = 0, high = 0;
    struct block x;

    for (int k = 0; k < BLOCK; k += STEP) {
        vec v = load(p + k);

        stops |= (uint64_t)(less(v, 0x20) | equal(v, '"') | equal(v, '\\')) << k;
        high |= (uint64_t)less(v, 0) << k;
    }
    if (high) {
        read_plain(p, &x);
        check(t, &x);
    } else if (t->pending) {
        check_end(t);
    }
    return stops & ~high;
}

#if defined(WIDE)
WIDE static inline uint64_t bits_of(wide x, wide y)
{
    return (uint32_t)_mm256_movemask_epi8(x) | (uint64_t)(uint32_t)_mm256_movemask_epi8(y) << 32;
}

WIDE static inline uint64_t below(wide x, wide y, int c)
{
    const wide z = _mm256_set1_epi8((char)c);

    return bits_of(_mm256_cmpgt_epi8(z, x), _mm256_cmpgt_epi8(z, y));
}

WIDE static inline uint64_t are(wide x, wide y, int c)
{
    const wide z = _mm256_set1_epi8((char)c);

    return bits_of(_mm256_cmpeq_epi8(z, x), _mm256_cmpeq_epi8(z, y));
}

WIDE static void check_wide(struct state *t, wide x, wide y)
{
    uint64_t high = bits_of(x, y);
    struct block b = {.high = high,
                      .go_on = below(x, y, 0xC0),
                      .two = high & ~below(x, y, 0xC2),
                      .three = high & ~below(x, y, 0xE0),
                      .four = high & ~below(x, y, 0xF0),
                      .below_a0 = below(x, y, 0xA0),
                      .e0 = are(x, y, 0xE0),
                      .ed = are(x, y, 0xED)};

    if (b.four | t->before.four) {
        b.below_90 = below(x, y, 0x90);
        b.from_f5 = high & ~below(x, y, 0xF5);
        b.f0 = are(x, y, 0xF0);
        b.f4 = are(x, y, 0xF4);
    }
    check(t, &b);
}

WIDE static void mark_wide(const char *p, size_t n, uint64_t *bits, struct state *t)
{
    const wide quote = _mm256_set1_epi8('"'), escape = _mm256_set1_epi8('\\'),
               space = _mm256_set1_epi8(0x20);

    for (size_t b = 0; b < n; b++, p += BLOCK) {
        wide x = wide_load(p), y = wide_load(p + 32);
        wide i = _mm256_or_si256(_mm256_cmpeq_epi8(x, quote), _mm256_cmpeq_epi8(x, escape));
        wide j = _mm256_or_si256(_mm256_cmpeq_epi8(y, quote), _mm256_cmpeq_epi8(y, escape));
        uint64_t high = bits_of(x, y);

        bits[b] = ~high & bits_of(_mm256_or_si256(i, _mm256_cmpgt_epi8(space, x)),
                                  _mm256_or_si256(j, _mm256_cmpgt_epi8(space, y)));
        if (high)
            check_wide(t, x, y);
        else if (t->pending)
            check_end(t);
    }
}
#endif

/* n blocks. */
static void mark(const char *p, size_t n, uint64_t *bits, struct state *t)
{
#if defined(WIDE)
    if (is_wide(BLOCK)) {
        mark_wide(p, n, bits, t);
        return;
    }
#endif
    for (size_t b = 0; b < n; b++)
        bits[b] = mark_plain(p + b * BLOCK, t);
}

size_t stops_mark(const char *s, size_t n, uint64_t bits[STOPS_WORDS])
{
    struct state t;
    char last[BLOCK] = {0};
    size_t full;

    t.pending = t.bad = false;
    t.before = (struct block){0};
    n = n > STOPS_MOST ? utf8_whole(s, STOPS_MOST) : n;
    full = n / BLOCK;
    mark(s, full, bits, &t);
    if (n % BLOCK)
        memcpy(last, s + full * BLOCK, n % BLOCK);
    mark(last, 1, bits + full, &t);
    if (t.pending)
        check_end(&t);
    bits[full] &= (1ull << n % BLOCK) - 1; // zeros are controls
    bits[full] |= 1ull << n % BLOCK;
    for (size_t i = 0; t.bad && i < n; i++)
        bits[i / BLOCK] |= (uint64_t)((unsigned char)s[i] >> 7) << i % BLOCK;
    return n;
}
