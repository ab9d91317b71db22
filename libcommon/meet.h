/* meet.h - the texts that several regular expressions have in common, by their lengths.
 *
 * The expressions become one nondeterministic automaton, of which sets of places are the states of
 * a deterministic one (Rabin and Scott 1959): a text is common to all while each of them has a
 * place in the set. A state that can go on with characters becomes a rule of the grammar. */
#ifndef MEET_H
#define MEET_H

#include "regex.h"

enum {
    MEET_EXPRESSIONS = 8,  // at most together
    MEET_NODES = 1 << 15,  // places in them, repetitions unrolled
    MEET_STATES = 1 << 14, // sets of them, each with the length so far
    MEET_PLACES = 1 << 22, // in all sets
    MEET_STEPS = 1 << 26,  // places made and characters compared: enough for a whole schema
};

/* The texts of min..max characters (max -1: any number) that all n expressions x of `from` match,
 * which call no rules, as an expression of c whose characters are what put makes of them. *left
 * counts the steps down that all calls together may take. ERR_DATA when it is too large. */
int meet(struct cfg *c, const struct cfg *from, const int *x, int n, int min, int max,
         regex_put put, int64_t *left, int *out, struct err *e);

/* Does an expression match a text, n bytes of UTF-8? 1, 0, or -1 when that is too large. */
int meet_has(const struct cfg *from, int x, const char *s, size_t n, int64_t *left, struct err *e);

#endif
