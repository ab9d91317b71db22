/* scan.h - bytes of a kind, found sixteen at a time. */
#ifndef SCAN_H
#define SCAN_H

#include <stddef.h>

/* Bytes at the front of s[0..n) that stand for themselves in a JSON string: ASCII, no control,
 * quotation mark or backslash. */
size_t scan_plain(const char *s, size_t n);

/* Bytes of ASCII at the front. */
size_t scan_ascii(const char *s, size_t n);

#endif
