/* ways.h - the operators that rewrite an instruction, and the rules that refuse the result.
 *
 * A prompt file lists them under `operators`: a name and what it asks for (`method`), or a
 * mapping of method, weight and a `user` text of its own. `equal` (user, system) asks whether
 * anything was gained; `leaks` and `refusals` are phrases.
 * Source: Xu et al. 2024 (WizardLM), the operators and the elimination rules. */
#ifndef WAYS_H
#define WAYS_H

#include "recipe.h"
#include "rng.h"
#include "tasks.h"

#include <stdbool.h>
#include <stdint.h>

struct way {
    const char *name, *method;
    struct prompt prompt; // the recipe's, with its own user text where it has one
    double weight;        // 0: not asked for
    int64_t tried, kept;
};

struct ways {
    struct way *way; // (n) in the file's order
    int n;
    double total; // of the weights
    struct prompt equal;
    bool asks_equal;
    struct recipe_list leaks, refusals;
    int min_words, max_words; // of a rewritten instruction
};

/* The file's keys that ways_open reads, for recipe_open; NULL-terminated. */
extern const char *const ways_keys[];

/* list: "reasoning:2,breadth", names with weights; NULL: all with the file's weights.
 * The limits are set before. Borrows from the recipe. */
int ways_open(struct ways *w, const struct recipe *r, const char *list, struct err *e);
void ways_close(struct ways *w);

/* The number of the operator for a position of a stream: a draw by weight. */
int ways_draw(const struct ways *w, const struct rng *r, uint64_t at);

/* The rule by which `next` is refused as an evolution of `now`, or NULL; value and limit
 * (empty before) get JSON values:
 *   truncated (cut off at its length limit), empty, unchanged (the same words), leak (words of the
 *   rewriting prompt that `now` has not), refusal (a phrase of refusing, under 80 words),
 *   short, long. */
const char *ways_broken(const struct ways *w, const struct tasks_task *now,
                        const struct tasks_task *next, bool cut, struct buf *value,
                        struct buf *limit);

#endif
