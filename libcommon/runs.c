/* runs.c - words of a text, and what stands between its spaces, as places out of bits. */
#include "runs.h"

#include "mem.h"
#include "vec.h"

#include <stdlib.h>

enum { AT_ONCE = 16 }; // more than most blocks have

enum what { WORDS, SPANS, UNITS };

/* Where runs begin in a block, and where they have ended, with what the block before leaves over.
 */
struct edges {
    uint64_t begin, end, left, singles_left;
};

static inline void edges(struct edges *e, const struct kinds *x, size_t b, enum what what)
{
    uint64_t in = what == WORDS   ? x->word[b] | x->high[b]
                  : what == SPANS ? ~x->space[b]
                                  : x->word[b];
    uint64_t before = in << 1 | e->left, single = what == UNITS ? x->single[b] : 0;

    e->begin = (in & ~before) | single;
    e->end = (before & ~in) | single << 3 | e->singles_left;
    e->left = in >> 63;
    e->singles_left = single >> 61;
}

#if defined(WIDE)
/* Places of the bits set, several at a time: what is written too much is written over. */
WIDE static inline uint32_t *places(uint32_t *to, uint64_t m, uint32_t base)
{
    unsigned n = (unsigned)__builtin_popcountll(m);

    for (unsigned k = 0; k < n; k += AT_ONCE)
        for (int i = 0; i < AT_ONCE; i++) {
            to[k + (unsigned)i] = base + (uint32_t)_tzcnt_u64(m);
            m = _blsr_u64(m);
        }
    return to + n;
}

WIDE static size_t runs_wide(struct runs *r, const struct kinds *x, enum what what)
{
    uint32_t *begin = r->begin, *end = r->end;
    struct edges e = {0};

    for (size_t b = 0; b < x->blocks; b++) {
        edges(&e, x, b, what);
        begin = places(begin, e.begin, (uint32_t)(64 * b));
        end = places(end, e.end, (uint32_t)(64 * b));
    }
    return (size_t)(end - r->end);
}

/* The same with the places pressed together by one instruction. */
WIDER static inline uint32_t *press(uint32_t *to, uint64_t m, uint32_t base)
{
    static const unsigned char all[64] = {
        0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
        22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43,
        44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};
    __m512i x = _mm512_maskz_compress_epi8(m, _mm512_loadu_si512(all));
    const __m512i from = _mm512_set1_epi32((int)base);
    unsigned n = (unsigned)__builtin_popcountll(m);

    _mm512_storeu_si512(to,
                        _mm512_add_epi32(from, _mm512_cvtepu8_epi32(_mm512_castsi512_si128(x))));
    if (n > 16)
        _mm512_storeu_si512(
            to + 16, _mm512_add_epi32(from, _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(x, 1))));
    return to + n; // runs are apart, so that a block has at most 32 edges of a kind
}

WIDER static size_t runs_wider(struct runs *r, const struct kinds *x, enum what what)
{
    uint32_t *begin = r->begin, *end = r->end;
    struct edges e = {0};

    for (size_t b = 0; b < x->blocks; b++) {
        edges(&e, x, b, what);
        begin = press(begin, e.begin, (uint32_t)(64 * b));
        end = press(end, e.end, (uint32_t)(64 * b));
    }
    return (size_t)(end - r->end);
}
#endif

/* The last byte of the last block is behind the text, so that every run ends. */
static size_t runs_plain(struct runs *r, const struct kinds *x, enum what what)
{
    struct edges e = {0};
    size_t n = 0, ended = 0;

    for (size_t b = 0; b < x->blocks; b++) {
        edges(&e, x, b, what);
        for (; e.begin; e.begin &= e.begin - 1)
            r->begin[n++] = (uint32_t)(64 * b) + (uint32_t)__builtin_ctzll(e.begin);
        for (; e.end; e.end &= e.end - 1)
            r->end[ended++] = (uint32_t)(64 * b) + (uint32_t)__builtin_ctzll(e.end);
    }
    return n;
}

static void find(struct runs *r, const struct kinds *x, enum what what)
{
    size_t most = x->n / 2 + 1 + AT_ONCE;

    if (most > r->cap) {
        r->cap = 2 * most;
        r->begin = mem_resize(r->begin, r->cap, sizeof(*r->begin));
        r->end = mem_resize(r->end, r->cap, sizeof(*r->end));
    }
#if defined(WIDE)
    if (is_wider()) {
        r->n = runs_wider(r, x, what);
        return;
    }
    if (is_wide(64)) {
        r->n = runs_wide(r, x, what);
        return;
    }
#endif
    r->n = runs_plain(r, x, what);
}

void runs_words(struct runs *r, const struct kinds *x)
{
    find(r, x, WORDS);
}

void runs_spans(struct runs *r, const struct kinds *x)
{
    find(r, x, SPANS);
}

void runs_units(struct runs *r, const struct kinds *x)
{
    find(r, x, UNITS);
}

void runs_free(struct runs *r)
{
    free(r->begin);
    free(r->end);
    *r = (struct runs){0};
}
