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

/* Length of the most frequent run of `run` words (the first of equals) with single spaces
 * between them, times its count, in characters; 0 when there are fewer words. *most: its count. */
size_t repeat_top(struct repeat *r, const struct repeat_words *w, size_t run, uint32_t *most);
/* Characters, without spaces, of the runs that stood before; after one of them the search
 * goes on behind it. *any is whether a run was repeated. */
size_t repeat_runs(struct repeat *r, const struct repeat_words *w, size_t run, bool *any);

#endif
