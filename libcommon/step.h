/* step.h - build one forward step: tokens, positions, pages, rows wanted. */
#ifndef STEP_H
#define STEP_H

#include "backend.h"
#include "kv.h"

#include <stdbool.h>

struct step_build {
    struct step s; // its arrays point below after step_done
    int32_t *token, *pos, *seq, *page, *out, *last, *slot;
    uint64_t *tree;
    bool trees;               // are there any?
    bool whole;               // tokens see all that is added with them, and nothing else
    const struct kv_seq **kv; // (n_seq)
    int max_tokens, max_out, max_seq;
    size_t page_cap;
};

void step_init(struct step_build *b, int max_tokens, int max_out, int max_seq);
void step_free(struct step_build *b);
void step_reset(struct step_build *b);

/* Add n tokens of one sequence that stand at positions pos..pos+n-1, whose pages are
 * reserved; the logits of the last `n_want` of them are wanted. Returns the row
 * of the first wanted logits. Room must be there (asserted). */
int step_add(struct step_build *b, const struct kv_seq *kv, const int32_t *token, int n, int pos,
             int n_want);
/* Add n nodes of a tree behind the first `base` positions of a sequence, each with its bit and its
 * ancestors' (backend.h); pages are reserved for the slots. The logits of all are wanted. kv_keep
 * afterwards makes one path the sequence's own. */
int step_add_tree(struct step_build *b, const struct kv_seq *kv, const int32_t *token,
                  const uint64_t *tree, int n, int base);
/* Fill the page table; the step is valid until the next step_reset. */
const struct step *step_done(struct step_build *b);

#endif
