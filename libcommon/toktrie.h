/* toktrie.h - the tokens that give text as a prefix tree of their bytes, for walking it whole.
 *
 * Nodes in depth-first order: the nodes below node i are i + 1 .. node[i].next - 1, so that a walk
 * reads memory from front to back and leaves out a subtree by going on at `next`. */
#ifndef TOKTRIE_H
#define TOKTRIE_H

#include "tok.h"

struct toktrie_node {
    uint32_t next;
    int32_t token;  // that ends here, or -1; further ones with the same bytes: same[]
    uint16_t depth; // bytes down to here; 0: node 0, the root
    uint8_t byte;
};

struct toktrie {
    struct toktrie_node *node; // (n)
    uint32_t n, space;         // space: the node of " ", or 0
    int n_vocab, deepest;
    int32_t *same; // (n_vocab) the next token with the same bytes, or -1
    char *bytes;   // of all tokens
    uint32_t *at;  // (n_vocab + 1)
    int32_t *end;  // (n_end) tokens that end a generation: not in the tree
    int n_end;
};

/* Of the tokens of t with ids below n_vocab. Control, unknown and unused tokens are not in it. */
void toktrie_init(struct toktrie *x, const struct tok *t, int n_vocab);
void toktrie_free(struct toktrie *x);

#endif
