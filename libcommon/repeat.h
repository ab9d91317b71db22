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

/* Which of many keys may stand twice, by a bit for the hash of each: all that do, and a few of
 * the others, so that most keys need no table. Zeroed is empty. */
struct repeat_sieve {
    uint64_t *once, *twice; // (cap) bits; mask + 1 of them are used
    size_t cap, mask;
};
void repeat_sieve_clear(struct repeat_sieve *s, size_t n); // for n keys
void repeat_sieve_free(struct repeat_sieve *s);
static inline void repeat_sieve_add(struct repeat_sieve *s, uint64_t key)
{
    size_t i = (key & s->mask) / 64, bit = key % 64;
    uint64_t met = s->once[i];

    s->once[i] = met | 1ull << bit;
    s->twice[i] |= (met >> bit & 1) << bit;
}
/* After all are there: may the key stand twice? */
static inline bool repeat_sieve_hit(const struct repeat_sieve *s, uint64_t key)
{
    return s->twice[(key & s->mask) / 64] >> key % 64 & 1;
}

/* The words of a text, as sums up to each, so that every run of them is a difference. */
struct repeat_words {
    struct repeat_sum {
        uint64_t hash; // polynomial over the words' hashes
        size_t chars;
    } * sum; // (n + 1)
    size_t n, cap;
};
void repeat_words_clear(struct repeat_words *w);
void repeat_words_room(struct repeat_words *w); // for more
static inline void repeat_words_add(struct repeat_words *w, uint64_t hash, size_t chars)
{
    struct repeat_sum *s;

    if (w->n + 2 > w->cap)
        repeat_words_room(w);
    s = w->sum + w->n++;
    s[1] = (struct repeat_sum){s->hash * 0x9E3779B97F4A7C15u + hash, s->chars + chars};
}
/* A word, and `more` = 0 or 1 single character behind it as one more. */
static inline void repeat_words_two(struct repeat_words *w, uint64_t hash, size_t chars,
                                    uint64_t mark, size_t more)
{
    struct repeat_sum *s;

    if (w->n + 3 > w->cap)
        repeat_words_room(w);
    s = w->sum + w->n;
    s[1] = (struct repeat_sum){s->hash * 0x9E3779B97F4A7C15u + hash, s->chars + chars};
    s[2] = (struct repeat_sum){s[1].hash * 0x9E3779B97F4A7C15u + mark, s[1].chars + 1};
    w->n += 1 + more;
}
void repeat_words_free(struct repeat_words *w);

/* Runs of words by their length, ascending from 2: a run is repeated only if the two runs in it
 * that are a word shorter are, so that those of one length leave few of the next. */
struct repeat_grams {
    struct repeat_sieve sieve;
    struct repeat table;
    struct repeat_gram {
        uint32_t word, at; // where the run begins, ascending; its place in the table
    } * again;             // (n_again) runs of `length` words that stand twice in the text
    size_t length, n_again, cap, cap_key;
    uint64_t *key; // (cap_key) of pairs
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
