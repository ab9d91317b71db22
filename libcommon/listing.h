/* listing.h - lists of tasks as prompts show them and models go on with them.
 *
 * Three forms: numbered ("9. Sort the list.\nInput: b a"), Alpaca's (### between tasks, and lines
 * "9. Instruction:", "9. Input:", "9. Output:"), and one task, which is the text as it stands.
 * Source: Wang et al. 2023 (Self-Instruct); Taori et al. 2023 (Alpaca), its published script. */
#ifndef LISTING_H
#define LISTING_H

#include "buf.h"
#include "tasks.h"

#include <stdbool.h>
#include <stddef.h>

enum listing_form { LISTING_NUMBERED, LISTING_ALPACA, LISTING_ONE };

/* Append an example under a number: its text ("instruction\nInput: input") and what answers it,
 * which only Alpaca's form shows. */
void listing_put(enum listing_form form, int number, const char *text, size_t n, const char *output,
                 struct buf *out);

enum { LISTING_MAX = 32 }; // items of one completion

struct listing_item {
    const char *text; // (n) span of the completion
    size_t n;
    bool truncated; // the last one of a completion that was cut off
};

/* Split a completion that begins with item number `first` ("9." or "9. Instruction:" was given).
 * Numbered: at lines "10. ", "11) " ...; a number below the one expected, or far above it, is text
 * of the item, so that lists inside a task stay whole. A model may not go on but begin anew: with
 * number `first`, before which there is no task then, or with a list from 1. cut: the completion
 * ended at its length limit. Returns the number of items in out[LISTING_MAX]; empty ones are left
 * out. */
int listing_split(enum listing_form form, const char *text, size_t n, int first, bool cut,
                  struct listing_item *out);

/* Take an item apart into a task; its old content goes. In a numbered list "Input:" may be set in.
 */
void listing_take(enum listing_form form, const struct listing_item *item, struct tasks_task *t);

/* Bytes of a label such as "Input:" at the beginning of a line, a number before it ("9. ") and the
 * space behind it included; 0 when it is not there. ASCII case does not matter. */
size_t listing_label(const char *s, size_t n, const char *label);

#endif
