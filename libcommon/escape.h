/* escape.h - escapes of JSON strings. */
#ifndef ESCAPE_H
#define ESCAPE_H

#include <stddef.h>
#include <stdint.h>

/* Read the escape at s[0..n), s[0] a backslash: its length, or 0 when it is none. */
size_t escape_get(const char *s, size_t n, uint32_t *cp);
/* The n bytes of a string, known to be good, to out (n bytes are enough); returns the length. */
size_t escape_undo(const char *s, size_t n, char *out);

#endif
