/* drafts.h - the prompts of a round of new tasks, and what the model wrote for each. */
#ifndef DRAFTS_H
#define DRAFTS_H

#include "calls.h"
#include "listing.h"
#include "personas.h"
#include "pool.h"
#include "recipe.h"

enum { DRAFTS_SHOWN = 64 }; // examples at most

struct draft {
    int shown[DRAFTS_SHOWN]; // (n_shown) numbers in the pool
    int n_shown;
    struct buf parents;            // their ids, a JSON array
    const struct persona *persona; // or NULL
    struct recipe_call call;
    char *text; // (n) the completion; with a rule, why there is none; NULL: not asked
    size_t n;
    bool cut;
    const char *rule;
};

struct drafts {
    const struct pool *pool;
    const struct recipe *recipe;
    struct calls calls;
    struct personas *personas; // NULL: none
    enum listing_form form;    // LISTING_ONE: nothing is shown, the model writes the user's turn
    bool classification;       // what is asked for
    int examples, generated;   // shown, of which made
    int asked;                 // new tasks in a completion
    uint64_t seed;
};

/* Make the n prompts of a round and have them completed. 1 = done, 0 = asked to stop, -1 = error.
 * Examples that do not fit into the context are left out. */
int drafts_make(const struct drafts *d, int round, struct draft *a, int n, struct err *e);
void drafts_free(struct draft *a, int n);

#endif
