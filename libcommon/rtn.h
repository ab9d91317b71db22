/* rtn.h - recursive transition networks: a context-free grammar compiled to automata over bytes.
 *
 * Each rule is an automaton whose edges read a byte or call a rule. It is deterministic (over
 * bytes and calls) unless that would take too many states. Large repetitions {m,n} are not
 * unrolled: they are rules of one state that calls its body and counts.
 * Source: Woods 1970 (transition networks); Thompson 1968; Rabin and Scott 1959 (subsets). */
#ifndef RTN_H
#define RTN_H

#include "cfg.h"

enum { RTN_STATES = 1 << 21, RTN_NONE = -1, RTN_COUNTS = -2 };

struct rtn_edge {
    uint8_t lo, hi;
    int32_t to;
};

struct rtn_call {
    int32_t rule, to;
};

struct rtn_state {
    int32_t edge, n_edges, call, n_calls;
    bool final;   // the rule may end here
    bool counted; // the only state of a repetition: calls its body and counts
    int min, max; // of a repetition; max -1: any number; RTN_COUNTS: that, each time counted
};

struct rtn_rule {
    int32_t start;
    int32_t loop; // state that repeats this rule with max RTN_COUNTS, or RTN_NONE
};

struct rtn {
    struct rtn_state *state; // (n_states)
    struct rtn_edge *edge;
    struct rtn_call *call;
    struct rtn_rule *rule; // (n_rules)
    size_t n_states, cap_states, n_edges, cap_edges, n_calls, cap_calls, n_rules, cap_rules;
    int root;
    bool empty;            // the empty text matches
    uint8_t class_of[256]; // bytes that no edge tells apart share a class
    int n_classes;
    uint8_t class_byte[256]; // a byte of each class
};

/* ERR_DATA when nothing matches the root rule or it grows past RTN_STATES. Rules without a body
 * match nothing. */
int rtn_compile(struct rtn *r, const struct cfg *c, struct err *e);
void rtn_free(struct rtn *r);

#endif
