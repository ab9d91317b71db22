/* kinds.h - the bytes of a text by kind, a bit each. */
#ifndef KINDS_H
#define KINDS_H

#include <stddef.h>
#include <stdint.h>

/* A text's bytes by kind, a bit each: bit i % 64 of word i / 64. What is behind the text is space.
 */
struct kinds {
    const char *s; // (n) borrowed
    size_t n, blocks;
    uint64_t *word, *high, *space, *line; // (blocks) letters and digits of ASCII; beyond it; 9-13
                                          // and 28-32; ends of lines among them: 10-13, 28-30
    uint64_t *upper, *newline, *stop;     // (blocks) A-Z; 10; . ! ?
    uint64_t *data;                       // (blocks) 0-9 : @ + (
    uint64_t *single;               // (blocks) first bytes of Hangul syllables and of Han 4E00-9FA5
    size_t n_high, n_hangul, n_han; // bytes beyond ASCII; characters that begin so
    size_t n_latin;                 // letters of ASCII
    size_t cap;
    int ascii, easy;        // all of it; beyond it are none but those of `single`
    int odd, sign, control; // there is a [ or {; a # or <; 0-8, 14-27, 31
};
void kinds_text(struct kinds *x, const char *s, size_t n); // zeroed is empty
void kinds_free(struct kinds *x);

/* Bits set: without the processor's own instruction, whose absence is a call. */
static inline size_t kinds_ones(uint64_t m)
{
    m -= m >> 1 & 0x5555555555555555u;
    m = (m & 0x3333333333333333u) + (m >> 2 & 0x3333333333333333u);
    return ((m + (m >> 4)) & 0x0F0F0F0F0F0F0F0Fu) * 0x0101010101010101u >> 56;
}

/* Bits from..from + n - 1, n <= 64, all of them of the text. */
static inline uint64_t kinds_window(const uint64_t *bits, size_t from, size_t n)
{
    size_t b = from / 64, s = from % 64;
    uint64_t m = n ? bits[b] >> s : 0;

    if (s + n > 64)
        m |= bits[b + 1] << (64 - s);
    return n < 64 ? m & ~(~0ull << n) : m;
}

/* Of bits from..to-1: is one set; how many are. */
int kinds_any(const uint64_t *bits, size_t from, size_t to);
size_t kinds_count(const uint64_t *bits, size_t from, size_t to);
/* The first bit that is set at or behind `at`, where there is one; behind the last that is set
 * before `at`, or 0. */
size_t kinds_next(const uint64_t *bits, size_t at);
static inline size_t kinds_next_before(const uint64_t *bits, size_t at, size_t end) // or end
{
    size_t b = at / 64;
    uint64_t m = at < end ? bits[b] >> at % 64 << at % 64 : 0;

    while (!m && 64 * ++b < end)
        m = bits[b];
    at = m ? 64 * b + (size_t)__builtin_ctzll(m) : end;
    return at < end ? at : end;
}
size_t kinds_after_last(const uint64_t *bits, size_t at);
/* Are three set one behind the other? */
int kinds_three(const uint64_t *bits, size_t blocks);

#endif
