/* decimal.h - numbers as JSON writes them. */
#ifndef DECIMAL_H
#define DECIMAL_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the number at the front of s[0..n), or, when `good` is false, those before the place
 * where a digit is missing. */
size_t decimal_span(const char *s, size_t n, bool *good);
/* The double nearest to the number s[0..n), what strtod makes of it. False, and no answer, for one
 * of more than 15 bytes or with an exponent. */
bool decimal_get(const char *s, size_t n, double *out);

#endif
