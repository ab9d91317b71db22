/* tokmask.h - which tokens may come next from a set of items, as a mask.
 *
 * A mask is made of what each item of the set (see earley.h) lets through. Nearly all of that
 * does not depend on where the item's rule was called and is found once for each state of the
 * network; only tokens that reach beyond the rule are looked at again for each place to return to.
 * In a repetition with counts, the tokens of a state are kept by how many times they need. Masks
 * are remembered by set.
 * Sources: Dong et al. 2024 (XGrammar: what does not depend on the stack); Willard and Louf 2023
 * (masks of automaton states). */
#ifndef TOKMASK_H
#define TOKMASK_H

#include "cfg.h"
#include "earley.h"
#include "hash.h"
#include "toktrie.h"

enum {
    TOKMASK_COST = 1 << 20,   // items looked at for one mask, at most
    TOKMASK_VISITS = 1 << 21, // nodes of the vocabulary's tree looked at in one walk, at most
};

/* Tokens, or nodes of the tree, with a count. */
struct tokmask_pairs {
    struct tokmask_pair {
        int32_t at, count;
    } * p; // (n)
    size_t n, cap;
};

struct tokmask {
    struct rtn net;
    struct toktrie trie;
    struct earley earley;
    size_t n_words; // of a mask
    struct tokmask_local *local;
    int32_t *local_of; // (n_states) index into local, or -1
    size_t n_local, cap_local;
    struct hash_table beyond_of, mask_of; // (local, node) and (set, first) -> index
    struct tokmask_beyond *beyond;
    size_t n_beyond, cap_beyond;
    uint64_t **mask; // NULL: a limit was met
    size_t n_masks, cap_masks;
    size_t bytes; // of what is remembered, but for sets
    /* of the walk going on */
    int32_t *stack; // (deepest + 2) sets
    uint32_t walk;
    int64_t cost, visits;
    struct tokmask_pairs token, exit;
    uint64_t *met; // (n_words) tokens met, to keep them apart
};

int tokmask_init(struct tokmask *m, const struct cfg *c, const struct tok *t, int n_vocab,
                 struct err *e);
void tokmask_free(struct tokmask *m); // zeroed is free

/* The tokens that go on from a set, and the end tokens where it accepts; first: one leading space
 * of a token is not part of the text. Valid until the next call of this or of tokmask_drop. NULL:
 * a limit was met. */
const uint64_t *tokmask_of(struct tokmask *m, int32_t set, bool first);

/* Forget all but the sets, whose numbers may then be changed (earley_collect). */
void tokmask_drop(struct tokmask *m);

#endif
