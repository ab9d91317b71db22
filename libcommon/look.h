/* look.h - a text, and what several rules ask of it, each found once. */
#ifndef LOOK_H
#define LOOK_H

#include "kinds.h"
#include "script.h"
#include "words.h"

#include <stdbool.h>
#include <stddef.h>

/* Zeroed is no text; memory is kept for the next one. */
struct look {
    const char *s; // (n) UTF-8, borrowed
    size_t n;
    bool scanned, read, threes, counted;
    struct kinds scan;
    struct words_row words;
    uint32_t *three; // (words.n - 2)
    size_t cap_three;
    struct runs spans;                // scratch
    size_t script[SCRIPT_N], letters; // letters of each script; all
    int count;                        // words_count, or -1
};
void look_text(struct look *l, const char *s, size_t n);
void look_free(struct look *l);

const struct kinds *look_kinds(struct look *l);     // bytes by kind
size_t look_chars(struct look *l);                  // characters
const struct words_row *look_words(struct look *l); // words
const uint32_t *look_threes(struct look *l);        // runs of three words: words_threes
int look_count(struct look *l);                     // words as a person counts
const size_t *look_scripts(struct look *l);         // (SCRIPT_N) letters by script

#endif
