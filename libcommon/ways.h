/* ways.h - the operators that rewrite an instruction or a response, and the rules that refuse the
 * result.
 *
 * A prompt file lists them under `operators`: a name and what it asks for (`method`), or a
 * mapping of method, weight, `of` (instruction or response), a `user` text and `leaks` of its own.
 * `equal` asks whether anything was gained, `answer` for a response to a new instruction,
 * `response` is the common prompt of the operators on responses; `leaks`, `refusals` and
 * `stopwords` are phrases.
 * Source: Xu et al. 2024 (WizardLM), the operators and the elimination rules, those about the
 * response applied to it; operators on responses as Liu et al. 2024 (DEITA) have them. */
#ifndef WAYS_H
#define WAYS_H

#include "recipe.h"
#include "rng.h"
#include "tasks.h"

#include <stdbool.h>
#include <stdint.h>

/* Why a version is refused; ways_rule_names in this order. */
enum ways_rule {
    WAYS_TRUNCATED,
    WAYS_EMPTY,
    WAYS_UNCHANGED,
    WAYS_LEAK,
    WAYS_REFUSAL,
    WAYS_SHORT,
    WAYS_LONG,
    WAYS_EQUAL,
    WAYS_CONTEXT,
    WAYS_SORRY,
    WAYS_STOPWORDS,
    WAYS_RULES,
    WAYS_NONE = WAYS_RULES
};
extern const char *const ways_rule_names[WAYS_RULES];

struct way {
    const char *name, *method;
    struct prompt prompt; // the common one, with its own user text where it has one
    double weight;        // 0: not asked for
    bool response;        // what it rewrites
    struct recipe_list leaks;
    int64_t tried, kept, refused[WAYS_RULES];
};

struct ways {
    struct way *way; // (n) in the file's order
    int n;
    double total; // of the weights
    bool on_response;
    struct recipe equal, answer, response;
    bool asks_equal, has_answer;
    struct recipe_list leaks, refusals, stopwords;
    int min_words, max_words; // of a rewritten instruction
};

/* The file's keys that ways_open reads, for recipe_open; NULL-terminated. */
extern const char *const ways_keys[];

/* list: "reasoning:2,breadth", names with weights; NULL: all with the file's weights. Those of
 * instructions, or with on_response of responses. given: sampling of the command line, for
 * rewriting. The limits are set before. Borrows from the recipe. */
int ways_open(struct ways *w, const struct recipe *r, const char *list, bool on_response,
              const struct cli_sample *given, struct err *e);
void ways_close(struct ways *w);

/* The number of the operator for a position of a stream: a draw by weight. */
int ways_draw(const struct ways *w, const struct rng *r, uint64_t at);

/* The rule by which an operator's `next` is refused as an evolution of `now`, or WAYS_NONE; value
 * and limit (empty before) get JSON values:
 *   truncated (cut off at its length limit), empty, unchanged (the same words), leak (words of the
 *   rewriting prompt that `now` has not), refusal (it begins as a refusal does, unlike `now`),
 *   short, long. On responses also those of ways_answer. */
enum ways_rule ways_broken(const struct ways *w, const struct way *x, const struct tasks_task *now,
                           const struct tasks_task *next, bool cut, struct buf *value,
                           struct buf *limit);

/* The rule by which a response shows that its instruction failed: sorry (a phrase of refusing in
 * fewer than 80 words), stopwords (nothing but such words and punctuation). */
enum ways_rule ways_answer(const struct ways *w, const char *s, size_t n, struct buf *value);

/* Members for --stats: for each operator tried, what was kept and refused by which rule. */
void ways_stats(const struct ways *w, struct buf *out);

#endif
