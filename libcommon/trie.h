/* trie.h - prefix tree of byte strings, each with an int. */
#ifndef TRIE_H
#define TRIE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct trie_key {
    const char *s;
    size_t n;
    int32_t value; // >= 0
};

/* Nodes in breadth-first order, so that the children of node i are the nodes
 * child[i] .. child[i + 1] - 1 and their bytes lie side by side. Node 0 is the
 * root. Zeroed is a tree without keys that must not be walked. */
struct trie {
    uint32_t *child;    // (n + 1)
    int32_t *value;     // (n) of the key that ends here, or -1
    char *label;        // (n) the byte that leads to the node
    uint32_t root[256]; // child of the root by byte, or 0
    uint32_t n;
};

/* Build from n keys, which are sorted in place; of equal keys the one with the
 * lowest value stays. Keys of length 0 are left out. At most 2^31 bytes in all. */
void trie_build(struct trie *t, struct trie_key *key, size_t n);
void trie_free(struct trie *t);

/* The child of node by byte c, or 0. */
static inline uint32_t trie_step(const struct trie *t, uint32_t node, char c)
{
    uint32_t a, b;
    const char *p;

    if (!node)
        return t->root[(unsigned char)c];
    a = t->child[node];
    b = t->child[node + 1];
    p = a < b ? memchr(t->label + a, c, b - a) : NULL;
    return p ? (uint32_t)(p - t->label) : 0;
}

#endif
