/* keyword.h - the words that set the texts of one topic apart from those of the others.
 *
 * The weight of a word in a topic is the share of the topic's texts that have it times
 * ln(texts / texts that have it): tf-idf with the topic as the document and texts as counts
 * (each text counts a word once). Words without a letter, and of a single ASCII letter, do not
 * count. Equal weights stand in the order of their bytes. */
#ifndef KEYWORD_H
#define KEYWORD_H

#include "buf.h"

#include <stddef.h>
#include <stdint.h>

struct keyword;

struct keyword *keyword_open(int topics);
void keyword_add(struct keyword *k, int topic, const char *s, size_t n);
/* Append the n heaviest words of a topic, ", " between them; nothing when it has none. */
void keyword_top(struct keyword *k, int topic, int n, struct buf *out);
void keyword_close(struct keyword *k); // NULL is fine

#endif
