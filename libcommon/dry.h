/* dry.h - tokens that would go on with a repetition (DRY).
 *
 * A token that followed, earlier in the text, the same `length` tokens that the
 * text ends with loses multiplier * base^(length - allowed), from the allowed length on.
 * Source: p-e-w 2024, "DRY: a modern repetition penalty that reliably prevents looping"
 * (text-generation-webui, pull request 5677); Gusfield 1997, 1.3 (Z values). */
#ifndef DRY_H
#define DRY_H

#include "tok.h"

#include <stddef.h>
#include <stdint.h>

struct dry_opt {
    float multiplier; // 0: off
    float base;
    int allowed;             // repeated tokens that cost nothing
    int range;               // tokens looked back at; 0: all
    const uint64_t *breaker; // (n_vocab bits) tokens that no repetition goes across; NULL: none
};

struct dry_hit {
    int32_t id;
    int length; // of the repetition that it would go on with
    float penalty;
};

/* Scratch, and what dry_find found. Zeroed is empty. */
struct dry {
    struct dry_hit *hit; // (n_hits), each token once
    int n_hits;
    int32_t *z; // (window)
    size_t cap_hit, cap_z;
};

void dry_free(struct dry *d);

/* What stands to be penalized after token (n), in O(n log n), O(n) but for the sorting of hits. */
void dry_find(struct dry *d, const struct dry_opt *o, const int32_t *token, int n);

/* The tokens of a vocabulary that hold one of n texts, as bits for `breaker`. Caller frees. */
uint64_t *dry_breakers(const struct tok *t, int n_vocab, const char *const *text, int n);

#endif
