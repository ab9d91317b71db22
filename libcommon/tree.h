/* tree.h - token trees of a step: where the keys of a node's path lie.
 *
 * Attention sums keys by their position, in tiles of 64 (design, section 5): a node of a tree has
 * the bytes of its path as a chain when its tiles hold the path's keys in the path's order. But
 * the pages hold them in the order of slots,
 *
 *   slots     0 .. base - 1 | node 0, node 1, ... of the tree
 *   path      0 .. base - 1 | nodes of the path, by depth
 *
 * which is the same up to the first node that the path leaves out. From the page with that
 * position on, a path's pages are put together out of slots before attention: tail pages. What
 * attends does not know of trees: it takes the pages of a token from another place from `bend` on.
 * A path has one or two of them, which nodes of one path share; chains have none. */
#ifndef TREE_H
#define TREE_H

#include "backend.h"

#include <stddef.h>
#include <stdint.h>

enum { TREE_NO_BEND = INT32_MAX };

struct tree {
    int n;         // tail pages; 0: bend and tail have no values
    int32_t *bend; // (tokens) first page, counted along the path, that is a tail page
    int32_t *tail; // (tokens) page k >= bend of its path is tail page `tail` + k
    int32_t *row;  // (n, BACKEND_PAGE) page * BACKEND_PAGE + place where the key and value of each
                   // position lie; -1: none, behind the path
    size_t cap[3];
};

/* What attention of step s needs; may be used again for another step. */
void tree_plan(struct tree *t, const struct step *s);
void tree_free(struct tree *t);

/* The slot of a position >= base of a path, less base: the bit of `tree` with `depth` set ones
 * below it. */
int tree_node(uint64_t tree, int depth);

#endif
