/* tasks.h - a task in hand, and the rules that drop it.
 *
 * What a model writes is taken apart into instruction and input and must pass named rules, of
 * which the first that it breaks counts.
 * Source: Wang et al. 2023 (Self-Instruct), its published filters, and Alpaca's additions;
 * words are counted in any script, and no language is dropped unless asked for. */
#ifndef TASKS_H
#define TASKS_H

#include "buf.h"
#include "hash.h"
#include "recipe.h"

#include <stdbool.h>
#include <stddef.h>

/* A task in hand: instruction without white space at its ends, input as it is. Zeroed is empty. */
struct tasks_task {
    struct buf inst, input;
    struct buf output; // what answers it, where that is known; tasks_put leaves it empty
    struct buf fold;   // words of both, see words_fold
    bool bare;         // set before: of the instruction alone
};
/* Take an item's text apart ("...\nInput: ..."); t's old content goes. */
void tasks_take(struct tasks_task *t, const char *text, size_t n);
/* The same from the two parts; input may be NULL. */
void tasks_put(struct tasks_task *t, const char *inst, size_t n, const char *input, size_t n_input);
/* The same from a record's `instruction`, `input` and `output`. NULL, or the field for which the
 * record cannot be used, and the reason in e: no text in the instruction, another type. */
const char *tasks_load(struct tasks_task *t, struct record *r, struct err *e);
/* Append the task as text: the instruction, and "\nInput: " and the input where there is one. With
 * `line` the instruction is one line of single spaces, as in a numbered list, where lines of its
 * own that begin with numbers would be taken for the next items. */
void tasks_text(const struct tasks_task *t, bool line, struct buf *out);
/* Self-Instruct's own seeds keep input and output in `instances`: set `input` and `output`
 * from the first one where the record has none. */
void tasks_lift(struct record *r);
void tasks_free(struct tasks_task *t);

struct tasks_rules {
    int min_words, max_words; // of the instruction
    bool ascii;               // it must begin with an ASCII character
    struct recipe_list blacklist, starts;
    const struct tasks_off *off; // or NULL
};

/* Names of rules that do not hold. */
struct tasks_off {
    const char **name; // (n)
    int n;
    char *text;
};
/* From a list with commas (NULL: none): of these rules or of `others` (NULL-terminated). */
int tasks_off(struct tasks_off *o, const char *list, const char *const *others, struct err *e);
void tasks_off_free(struct tasks_off *o);

/* The rule that the task breaks, or NULL; value and limit (emptied first) get JSON values:
 *   truncated, empty, short, long, incomplete (ends with ':' and has no input), inputs (a second
 *   "Input:" line), blacklist, start, punctuation (its first character), language (--ascii). */
const char *tasks_broken(const struct tasks_rules *rules, const struct tasks_task *t,
                         bool truncated, struct buf *value, struct buf *limit);

/* White space of texts, and a text without what it has of it at both ends. */
bool tasks_is_space(char c);
void tasks_strip(const char **s, size_t *n);

#endif
