/* prefix.h - which tokens the pages of a cache hold, so that other sequences can use them.
 *
 * A page is found by the name of the page before it and by its own 64 tokens. Both
 * are compared in full (the hash only says where to look), so a hit is never a
 * mistake, whatever the tokens. Names are given once: what followed a page that is forgotten cannot
 * be reached any more. Sources: Kwon et al. 2023 (vLLM), automatic prefix caching;
 * Zheng et al. 2024 (SGLang), for the tree that the names make. */
#ifndef PREFIX_H
#define PREFIX_H

#include "backend.h"

#include <stdbool.h>
#include <stdint.h>

struct prefix {
    int n_pages, n_sets;
    struct prefix_page *page; // (n_pages)
    /* Sets of 8 places, page + 1 or 0, latest first; what does not fit is not found again. */
    int32_t *full;  // (n_sets, 8) by what stands before and all 64 tokens
    int32_t *child; // (n_sets, 8) by what stands before
    uint64_t last;  // name given last
    int64_t step;   // of the engine, that is being built
};

/* Zeroed is closed. */
void prefix_open(struct prefix *p, int n_pages);
void prefix_close(struct prefix *p);

/* Note that a page holds n tokens (1..64) after the page named `before` (0: at
 * the beginning). Returns the name of the 64 tokens at this place: that of
 * another page when one is known to hold the same, and then this one is not noted. */
uint64_t prefix_put(struct prefix *p, int page, uint64_t before, const int32_t *token, int n);
void prefix_drop(struct prefix *p, int page);
bool prefix_has(const struct prefix *p, int page);
/* Tokens that a page is known to hold, 0 when it is not noted. */
int prefix_tokens(const struct prefix *p, int page);

/* The page that holds exactly these 64 tokens after `before`, with its name, or -1. */
int prefix_find(const struct prefix *p, uint64_t before, const int32_t *token, uint64_t *name);
/* Among the latest pages after `before`, the one that begins with most of these
 * n tokens; *same says how many, at most 64. -1: none begins with the first. Pages noted in this
 * step do not hold their tokens yet and are left out; *soon is the most among them. */
int prefix_near(const struct prefix *p, uint64_t before, const int32_t *token, int n, int *same,
                int *soon);
/* What was noted is there now. */
void prefix_step(struct prefix *p);

#endif
