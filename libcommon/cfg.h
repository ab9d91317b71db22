/* cfg.h - context-free grammars as expressions over code points.
 *
 * What the readers of grammars (gbnf, regex, schema) build and rtn compiles: rules whose bodies
 * are expressions. An expression is a number; it may be used in several places. */
#ifndef CFG_H
#define CFG_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CFG_DEPTH = 500,     // of expressions inside each other: readers refuse more
    CFG_NODES = 1 << 22, // expressions of a grammar
    CFG_TIMES = 1 << 30, // the largest count of a repetition
    CFG_TEXT = 1 << 20,  // bytes of a grammar's or schema's text
    CFG_LAST = 0x10FFFF, // the last code point
};

/* Code points lo..hi; surrogates among them are left out when it is compiled. */
struct cfg_range {
    uint32_t lo, hi;
};

enum cfg_op { CFG_CLASS, CFG_SEQ, CFG_ALT, CFG_REPEAT, CFG_CALL };

struct cfg_node {
    enum cfg_op op;
    int at, n;    // CLASS: ranges, SEQ and ALT: parts; REPEAT: at = body; CALL: at = rule
    int min, max; // REPEAT: so many times; max -1: any number
};

/* Zeroed is empty. */
struct cfg {
    struct cfg_node *node;   // (n_nodes)
    struct cfg_range *range; // (n_ranges) sorted and apart within a class
    int *part;               // (n_parts) expressions
    int *body;               // (n_rules) expression, or -1 while not defined
    size_t n_nodes, cap_nodes, n_ranges, cap_ranges, n_parts, cap_parts, n_rules, cap_rules;
    int root; // rule
};

void cfg_free(struct cfg *c);

/* Expressions. A class is a set of code points in any order; none at all matches nothing. A
 * sequence of no parts is the empty text, an alternative of no parts matches nothing. */
int cfg_class(struct cfg *c, const struct cfg_range *range, int n);
int cfg_not(struct cfg *c, const struct cfg_range *range, int n); // the code points outside
int cfg_text(struct cfg *c, const char *s, size_t n);             // valid UTF-8
int cfg_seq(struct cfg *c, const int *part, int n);
int cfg_alt(struct cfg *c, const int *part, int n);
int cfg_repeat(struct cfg *c, int body, int min, int max);
int cfg_call(struct cfg *c, int rule);

#define CFG_SEQ(c, ...) \
    cfg_seq(c, (const int[]){__VA_ARGS__}, (int)(sizeof((const int[]){__VA_ARGS__}) / sizeof(int)))
#define CFG_ALT(c, ...) \
    cfg_alt(c, (const int[]){__VA_ARGS__}, (int)(sizeof((const int[]){__VA_ARGS__}) / sizeof(int)))

/* A rule without a body yet, and its body. */
int cfg_rule(struct cfg *c);
void cfg_define(struct cfg *c, int rule, int body);

/* False when the grammar has grown past CFG_NODES: readers stop then. */
bool cfg_fits(const struct cfg *c);

#endif
