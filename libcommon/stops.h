/* stops.h - bytes that a JSON string does not simply pass over, a bit each. */
#ifndef STOPS_H
#define STOPS_H

#include <stddef.h>
#include <stdint.h>

enum { STOPS_MOST = 4096, STOPS_WORDS = STOPS_MOST / 64 + 1 };

/* Mark s[0..n), as far as STOPS_MOST bytes and whole characters go, n > 0: bit i % 64 of
 * bits[i / 64] is set when s[i] is a quotation mark, a backslash or a control character, and,
 * unless all that is beyond ASCII there is well-formed UTF-8, when it is beyond ASCII. Returns how
 * many bytes were marked; the bit behind them is set too. */
size_t stops_mark(const char *s, size_t n, uint64_t bits[STOPS_WORDS]);

#endif
