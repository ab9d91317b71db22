/* utf8.h - UTF-8: check, walk, encode, whole-character prefixes.
 * Source: Unicode 15, table 3-7 (well-formed byte sequences). */
#ifndef UTF8_H
#define UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Offset of the first byte that is not part of a well-formed character, or n. */
size_t utf8_check(const char *s, size_t n);

/* Read the character at s[0..n): its length 1..4 with the code point in *cp,
 * or 0 when it is not well-formed (or n is 0). */
int utf8_get(const char *s, size_t n, uint32_t *cp);

/* Bytes at the front of s[0..n) that are well-formed characters beyond ASCII. */
size_t utf8_run(const char *s, size_t n);

/* Write cp (a scalar value up to 0x10FFFF) to out[4]; returns its length 1..4. */
int utf8_put(char out[4], uint32_t cp);

/* Length of the longest prefix of s[0..n) that does not end inside a character
 * which more bytes could complete. Malformed bytes count as whole. */
size_t utf8_whole(const char *s, size_t n);

#endif
