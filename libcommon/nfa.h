/* nfa.h - expressions of a grammar as nondeterministic automata over bytes and calls of rules.
 *
 * A call of a rule that matches the empty text may also be passed by, so that a call that is taken
 * reads something. Repetitions of more than a few times are not unrolled but become calls of rules
 * of their own, which rtn makes count.
 * Source: Thompson 1968. */
#ifndef NFA_H
#define NFA_H

#include "cfg.h"

enum { NFA_NODES = 1 << 21 };

enum nfa_kind { NFA_END, NFA_BYTE, NFA_CALL, NFA_SPLIT };

struct nfa_node {
    enum nfa_kind kind;
    uint8_t lo, hi; // BYTE
    int rule;       // CALL
    int to, also;   // where it goes on; SPLIT: and there, unless it is -1
};

struct nfa {
    const struct cfg *c;
    bool *nullable, *productive; // (n_nodes of c) matches the empty text; matches any text
    int *size;                   // nodes of an expression, or a bound that is too many to unroll
    int *rule_of;                // the rule made of an expression, or -1
    int *made;                   // (n_made) expressions that became rules n_rules of c, + 1, ...
    size_t n_made, cap_made;
    int n_rules;           // those of c and those made
    struct nfa_node *node; // (n_nodes) of the automaton built last; node 0 is its end
    size_t n_nodes, cap_nodes;
};

void nfa_init(struct nfa *m, const struct cfg *c); // c must outlive m
void nfa_free(struct nfa *m);

/* Build the automaton of a productive expression; the node where it begins. More than NFA_NODES
 * nodes: it is cut short there, and of no use. */
int nfa_build(struct nfa *m, int x);
/* The number of the rule that stands for an expression. */
int nfa_rule(struct nfa *m, int x);
/* Is it a repetition that is counted instead of unrolled? */
bool nfa_counted(const struct nfa *m, int x);

#endif
