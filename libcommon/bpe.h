/* bpe.h - merging of symbols: the pair of lowest rank first, the leftmost of
 * equal ones, until no pair has a rank. */
#ifndef BPE_H
#define BPE_H

#include <stddef.h>
#include <stdint.h>

struct bpe_pair {
    int32_t left, right; // in the table: left -1 is a free place
    uint32_t rank;
    int32_t to;
};

/* Pairs of symbols and what they become. Zeroed is empty. */
struct bpe {
    struct bpe_pair *pair; // (cap) open addressing, cap a power of two
    uint64_t *maybe;       // (cap / 8) a bit for each hash: clear means unknown
    size_t n, cap;
};

/* Let (left, right) become `to` at `rank`; a pair that is known keeps its
 * first rank. Symbols are >= 0. */
void bpe_add(struct bpe *b, int32_t left, int32_t right, uint32_t rank, int32_t to);
/* The same of n pairs in their order, sooner: they are waited for together. */
void bpe_add_all(struct bpe *b, const struct bpe_pair *p, size_t n);
/* Room for n pairs at once, instead of by doubling. */
void bpe_reserve(struct bpe *b, size_t n);
void bpe_free(struct bpe *b);

/* Working memory of one thread. Zeroed is fresh; bpe_done frees it. */
struct bpe_work {
    struct bpe_node *node;
    uint64_t *heap;
    size_t n_node, n_heap, cap_node, cap_heap;
};
void bpe_done(struct bpe_work *w);

/* Merge n symbols (n < 2^32; negative ones never merge) in place; returns how
 * many are left. O(n log n). */
size_t bpe_merge(const struct bpe *b, struct bpe_work *w, int32_t *sym, size_t n);

#endif
