/* regex.h - regular expressions of JSON Schema as expressions of a grammar.
 *
 * The part of ECMAScript's syntax (mode u) that is regular: characters and their escapes (of every
 * mark, as without u), classes,
 * \d \w \s and their opposites, `.`, groups of any kind, alternatives, quantifiers greedy and
 * lazy, and ^ and $ at the ends of the alternatives of the whole. Lookaround, back references,
 * \b and \p are refused by name.
 * Source: ECMA-262, 22.2 (patterns); JSON Schema draft 2020-12, core 6.4. */
#ifndef REGEX_H
#define REGEX_H

#include "cfg.h"

enum { REGEX_DEPTH = 100 }; // groups inside each other

/* The expression for one character of a set: how a text spells its characters. */
typedef int (*regex_put)(struct cfg *c, const struct cfg_range *range, int n);

/* Read n bytes of UTF-8: the expression in *x is of whole texts that the pattern matches somewhere
 * in, as a search does, so without ^ or $ anything may stand before or behind. Errors: ERR_DATA
 * "pattern '...': ...". */
int regex_read(struct cfg *c, const char *s, size_t n, regex_put put, int *x, struct err *e);

#endif
