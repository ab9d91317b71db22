/* repeat.h - what is repeated in a text: pieces, and runs of words. */
#ifndef REPEAT_H
#define REPEAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How often each key was met. Zeroed is empty. */
struct repeat {
    struct repeat_place {
        uint64_t key;
        uint32_t count, first; // 0: free place; number given with the first of them
    } * place; // (cap) open addressing, a power of two, of which `mask` + 1 are used
    size_t cap, mask;
};

/* Forget all, with room for n different keys. */
void repeat_clear(struct repeat *r, size_t n);
/* How often the key was met before; `number` is kept when it is the first. */
uint32_t repeat_add(struct repeat *r, uint64_t key, uint32_t number);
void repeat_free(struct repeat *r);

/* The words of a text, as sums up to each, so that every run of them is a difference. */
struct repeat_words {
    uint64_t *hash; // (n + 1) polynomial over the words' hashes
    size_t *chars;  // (n + 1) characters
    size_t n, cap_hash, cap_chars;
};
void repeat_words_clear(struct repeat_words *w);
void repeat_words_add(struct repeat_words *w, uint64_t hash, size_t chars);
void repeat_words_free(struct repeat_words *w);

/* Runs of words by their length, ascending from 2: a run is repeated only if the two runs in it
 * that are a word shorter are, so that those of one length leave few of the next. */
struct repeat_grams {
    struct repeat table;
    bool *again;  // (words) the run of `length` words from here on stands twice in the text
    uint32_t *at; // (words) its place in the table
    size_t length, n_again, cap_again, cap_at;
};
void repeat_grams_begin(struct repeat_grams *g, const struct repeat_words *w);
void repeat_grams_free(struct repeat_grams *g);
/* The next length (2, 3 ...): length of the most frequent run of so many words (the first of
 * equals) with single spaces between them, times its count, in characters; 0 when there are fewer
 * words. */
size_t repeat_top(struct repeat_grams *g, const struct repeat_words *w);
/* After it, for the same length: characters, without spaces, of the runs that stood before; after
 * one of them the search goes on behind it. */
size_t repeat_runs(struct repeat_grams *g, const struct repeat_words *w);

#endif
