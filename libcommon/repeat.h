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

/* Which of n keys stood before, found in one walk: places remember the last key that fell into
 * each, and each key the one before it. Zeroed is empty. */
struct repeat_back {
    uint32_t *again, *first; // number of a key that stood before, ascending; of the nearest like it
    /* Numbers + base: of the last key of each place, and of the one before each in its place. */
    uint32_t *last, *before;
    size_t cap, cap_last, mask;
    uint32_t base; // more than what earlier searches left in `last`
};
size_t repeat_back_find(struct repeat_back *b, const uint32_t *key, size_t n); // how many `again`
void repeat_back_free(struct repeat_back *b);

/* A number that is no less than how many of n keys stood before; near it while there are fewer than
 * some thousand. */
size_t repeat_at_most(const uint32_t *key, size_t n);

/* The words of a text. Zeroed is empty. */
struct repeat_words {
    uint64_t *hash; // (n)
    uint32_t *upto; // (n + 1) characters of the words before
    size_t n, cap;
};
void repeat_words_clear(struct repeat_words *w);
void repeat_words_room(struct repeat_words *w, size_t n); // for n more
void repeat_words_free(struct repeat_words *w);
static inline void repeat_words_add(struct repeat_words *w, uint64_t hash, size_t chars)
{
    if (w->n + 2 > w->cap)
        repeat_words_room(w, 1);
    w->hash[w->n] = hash;
    w->upto[w->n + 1] = w->upto[w->n] + (uint32_t)chars;
    w->n++;
}

/* Runs of words by their length: a run is repeated only if the pairs in it are, and the two runs in
 * it that are a word shorter, so that those of one length leave few of the next. Bounds are told
 * from the pairs that stood before alone: most texts need no more to be told from those that
 * repeat themselves. */
struct repeat_grams {
    struct repeat_back back;
    struct repeat table;
    struct repeat_gram {
        uint64_t key;
        uint32_t word, at; // where the run begins, ascending; its place in the table
    } * again;             // (n_again) runs of `length` words that stand twice in the text
    size_t length, n_again, cap, cap_key, cap_bits;
    uint32_t *key, *count; // (cap_key) of pairs; of those that stood before, how often until then
    uint64_t *bits;        // (cap_bits) of words at which a pair begins that may have stood before
    size_t n_pairs;        // of `back` that stood before, as long as `bits` has no others
    size_t most, pair;     // no pair stands more often; nor is one times its count longer
};
void repeat_grams_begin(struct repeat_grams *g, const struct repeat_words *w);
void repeat_grams_free(struct repeat_grams *g);
/* Before repeat_top: what it will not say more than for runs of 2 to 4 words, nor repeat_runs for
 * runs of 5 to 10. */
enum { REPEAT_LENGTHS = 9, REPEAT_LONG = 5 };
void repeat_grams_bound(const struct repeat_grams *g, const struct repeat_words *w,
                        size_t most[REPEAT_LENGTHS]);
/* Length of the most frequent run of so many words, 2 or more (the first of equals), with single
 * spaces between them, times its count, in characters; 0 when there are fewer words. Soonest where
 * the length before was the last that was asked for. */
size_t repeat_top(struct repeat_grams *g, const struct repeat_words *w, size_t run);
/* After it, for the same length: characters, without spaces, of the runs that stood before; after
 * one of them the search goes on behind it. */
size_t repeat_runs(struct repeat_grams *g, const struct repeat_words *w);

#endif
