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

/* x, a double or, when is_float, a float, with as few digits as it is told by from all others, but
 * no fewer than 15, of a float 6, less zeros at the end: what the first of %.15g, %.16g and %.17g
 * (%.6g to %.9g) writes that strtod (strtof) makes x of again. Its bytes in out, no zero behind
 * them; or 0, and no answer, for what is not 0 and not between 1e-4 and 1e15 (1e6). */
enum { DECIMAL_MAX = 32 };
size_t decimal_put(double x, bool is_float, char out[DECIMAL_MAX]);

#endif
