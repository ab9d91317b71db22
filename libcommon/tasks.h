/* tasks.h - tasks out of a numbered list, and the rules that drop them.
 *
 * A model continues "9." with several tasks, one an item; each is taken apart into
 * instruction and input and must pass named rules, of which the first that it breaks counts.
 * Source: Wang et al. 2023 (Self-Instruct), its published filters, and Alpaca's additions;
 * words are counted in any script, and no language is dropped unless asked for. */
#ifndef TASKS_H
#define TASKS_H

#include "buf.h"
#include "hash.h"
#include "recipe.h"

#include <stdbool.h>
#include <stddef.h>

enum { TASKS_MAX = 32 }; // items of one completion

struct tasks_item {
    const char *text; // (n) span of the completion
    size_t n;
    bool truncated; // the last one of a completion that was cut off
};

/* Split a completion that begins with item number `first` ("9." was given) at lines "10. ",
 * "11) " ...; a number below the one expected, or far above it, is text of the item, so
 * that lists inside a task stay whole. cut: the completion ended at its length
 * limit. Returns the number of items in out[TASKS_MAX]; empty ones are left out. */
int tasks_split(const char *text, size_t n, int first, bool cut, struct tasks_item *out);

/* A task in hand: instruction with single spaces, input as it is. Zeroed is empty. */
struct tasks_task {
    struct buf inst, input;
    struct buf fold; // words of both, see words_fold
};
/* Take an item's text apart ("...\nInput: ..."); t's old content goes. */
void tasks_take(struct tasks_task *t, const char *text, size_t n);
/* The same from the two parts; input may be NULL. */
void tasks_put(struct tasks_task *t, const char *inst, size_t n, const char *input, size_t n_input);
/* The same from a record's `instruction` and `input`; false when there is no instruction. */
bool tasks_load(struct tasks_task *t, struct record *r);
/* Append the task as text: the instruction, and "\nInput: " and the input where there is one. */
void tasks_text(const struct tasks_task *t, struct buf *out);
/* Self-Instruct's own seeds keep input and output in `instances`: set `input` and `output`
 * from the first one where the record has none. */
void tasks_lift(struct record *r);
void tasks_free(struct tasks_task *t);

struct tasks_rules {
    int min_words, max_words; // of the instruction
    bool ascii;               // it must begin with an ASCII character
    struct recipe_list blacklist, starts;
};

/* The rule that the task breaks, or NULL; value and limit (emptied first) get JSON values:
 *   truncated, empty, short, long, incomplete (ends with ':' and has no input), inputs (a second
 *   "Input:" line), blacklist, start, punctuation (its first character), language (--ascii). */
const char *tasks_broken(const struct tasks_rules *rules, const struct tasks_task *t,
                         bool truncated, struct buf *value, struct buf *limit);

#endif
