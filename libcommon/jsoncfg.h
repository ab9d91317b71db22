/* jsoncfg.h - expressions of JSON texts: strings, numbers in a range, literals, any value.
 *
 * White space is allowed after '{' '[' ',' ':' and before '}' ']': nothing, one space, or a line
 * end with up to 20 spaces and tabs. Numbers have at most 15 digits before the point, and those
 * near the end of a range at most 15 in all, so that a reader's double compares as the decimals do.
 */
#ifndef JSONCFG_H
#define JSONCFG_H

#include "cfg.h"
#include "json.h"

/* Rules that are used again and again. */
struct jsoncfg {
    struct cfg *c;
    int ws, character, string, number, integer, any; // rules
};

void jsoncfg_init(struct jsoncfg *j, struct cfg *c);

/* The text of a node of a parsed JSON text, as canonical as its numbers are. */
int jsoncfg_literal(struct jsoncfg *j, const struct json *t, int node);
/* n bytes of UTF-8 as a string with its quotes, in one spelling. */
int jsoncfg_text(struct jsoncfg *j, const char *s, size_t n);
/* One character of a set within a string, in one spelling (a regex_put). */
int jsoncfg_class(struct cfg *c, const struct cfg_range *range, int n);
/* A string of min..max characters (max -1: any number); one that consists of x. */
int jsoncfg_string(struct jsoncfg *j, int min, int max);
int jsoncfg_quoted(struct jsoncfg *j, int x);
/* Any string but these n, of which none is longer than CFG_DEPTH bytes. */
int jsoncfg_other(struct jsoncfg *j, const char *const *name, const size_t *len, int n);

/* One end of a range: the decimal digits of a JSON number. */
struct jsoncfg_end {
    bool there, exclusive, negative;
    int n_int, n_frac; // digits before the point (without leading zeros) and behind it
    char digit[32];
};

/* Read a JSON number: -1 when it has more than 15 digits before or behind the point. */
int jsoncfg_end_read(struct jsoncfg_end *x, const char *s, size_t n, bool exclusive);
int jsoncfg_end_compare(const struct jsoncfg_end *a, const struct jsoncfg_end *b);

/* The numbers, or the integers, from lo to hi; what is not `there` is open. */
int jsoncfg_range(struct jsoncfg *j, bool integer, const struct jsoncfg_end *lo,
                  const struct jsoncfg_end *hi);

#endif
