/* earley.h - which bytes may follow a text: an Earley recognizer over a transition network.
 *
 * What a text can be the beginning of is a set of items; the sets are numbered, equal sets have
 * equal numbers, and the step from a set over a byte is remembered, so that the recognizer becomes
 * a finite automaton that is built while it runs. An item is a state of the network, a count (of a
 * repetition) and a node: where the rule was called, which is where to go on after it. Ambiguity
 * merges: a set has each item once, however many ways lead to it. Left recursion needs no care. A
 * call in the last place of a rule leaves no node, so right recursion does not deepen.
 *
 * What a set may cost is limited (EARLEY_ITEMS, EARLEY_STEPS), and whether a limit is met depends
 * on the text alone, not on what is remembered.
 * Sources: Earley 1970; Leo 1991 (right recursion); Aycock and Horspool 2002 (empty rules). */
#ifndef EARLEY_H
#define EARLEY_H

#include "rtn.h"

enum {
    EARLEY_DEAD = 0, // no text begins so
    EARLEY_FAIL = 1, // a limit was met
    EARLEY_ITEMS = 2048,
    EARLEY_STEPS = 1 << 16,
};

struct earley_item {
    int32_t q, count, node; // node 0: the rule that was asked for at first
};

struct earley_step {
    int32_t to;   // set, or -1: not known yet
    int32_t cost; // items looked at to make it
};

struct earley_set {
    int32_t item, n_items;          // sorted; of states that can go on
    int32_t predicted, n_predicted; // items of called rules, once closed
    int32_t node, n_nodes;          // made by closing it
    bool accepts;                   // node 0's rule may end here
    bool closed;
    int32_t cost;             // of closing it
    struct earley_step *step; // (n_classes) or NULL
    uint32_t walk;            // the last walk that came here, see tokmask.c
    uint64_t seen[4];         // and the classes that it took from here
};

struct earley_node {
    int32_t set;              // that made it
    int32_t entry, n_entries; // where to go on after the rule
    int32_t need;             // the least count among the items that it returns to at node 0
};

struct earley {
    const struct rtn *net; // borrowed
    struct earley_set *set;
    struct earley_node *node;
    struct earley_item *item, *entry;
    size_t n_sets, cap_sets, n_nodes, cap_nodes, n_items, cap_items, n_entries, cap_entries;
    int32_t *slot; // (cap_slots) sets by their items
    size_t cap_slots;
    size_t steps_bytes; // of all steps
    struct earley_work *work;
};

void earley_init(struct earley *p, const struct rtn *net);
void earley_free(struct earley *p);

/* The set of one item; accepts: the text may end here. */
int32_t earley_start(struct earley *p, struct earley_item x, bool accepts);
/* The set where the rule that returns to `node` has just ended. */
int32_t earley_return(struct earley *p, int32_t node);
/* The set after one more byte; with its cost when that is asked for. */
int32_t earley_over(struct earley *p, int32_t set, uint8_t class, int32_t *cost);

static inline int32_t earley_byte(struct earley *p, int32_t set, uint8_t byte)
{
    uint8_t class = p->net->class_of[byte];
    const struct earley_step *s = p->set[set].step;

    return s && s[class].to >= 0 ? s[class].to : earley_over(p, set, class, NULL);
}

/* Of the sets of a text begun at node 0 in a counting state: the least count that the text needs,
 * an iteration that has begun included. */
int32_t earley_need(const struct earley *p, int32_t set);

size_t earley_bytes(const struct earley *p);
/* Forget all sets but those in keep (n), whose numbers are changed to the new ones, and what they
 * return to. */
void earley_collect(struct earley *p, int32_t **keep, size_t n);

#endif
