/* scan.h - bytes of a kind, found sixteen at a time. */
#ifndef SCAN_H
#define SCAN_H

#include <stddef.h>

/* Bytes of ASCII at the front of s[0..n). */
size_t scan_ascii(const char *s, size_t n);
/* Bytes before the first that is one of . ! ? */
size_t scan_stop(const char *s, size_t n);
/* Bytes before the first two that are one of the at most 8 pairs of `pairs`, or n. */
size_t scan_pairs(const char *s, size_t n, const char *pairs);
/* At most 8 threes of letters (in lower case) and spaces, to be looked for. */
struct scan_threes {
    const char *text;         // borrowed
    unsigned char of[3][128]; // of a byte that is the first, second, third: in which, a bit each
};
void scan_threes_make(struct scan_threes *x, const char *text);
/* Bytes before the first three that are, in any case, one of the threes, or n. */
size_t scan_threes(const struct scan_threes *x, const char *s, size_t n);

size_t scan_count(const char *s, size_t n, char c);
size_t scan_chars(const char *s, size_t n);   // characters of UTF-8
size_t scan_letters(const char *s, size_t n); // letters of ASCII
size_t scan_chunks(const char *s, size_t n);  // runs of bytes above 32
/* Copy with A-Z in lower case and, with `spaces`, \t \n \v \f \r as spaces. */
void scan_lower(char *to, const char *s, size_t n, int spaces);

#endif
