/* phrases.h - lists of phrases, found as whole words, in any case, among the words of a text. */
#ifndef PHRASES_H
#define PHRASES_H

#include "words.h"

#include <stddef.h>

struct phrases;

struct phrases *phrases_open(void);
void phrases_close(struct phrases *p); // NULL-safe
/* One more; false when there is no word in it. */
bool phrases_add(struct phrases *p, const char *s, size_t n);
/* The first of the list that stands in the text's first `most` words: its place in the list, 0...,
 * or -1; from any thread once all are there. One look a word, however long the list. */
int phrases_find(const struct phrases *p, const struct words_row *text, size_t most);
/* A phrase in lower case, with one space between words. */
const char *phrases_text(const struct phrases *p, int i);

#endif
