/* minhash.h - texts as sets of runs of words, their signatures, and the bands of these.
 *
 * A text is the set of its runs of MINHASH_WORDS lower-cased words (one run for a shorter text).
 * Sets are compared by 16 bits of each word's hash, 48 bits a run; a signature is made of the
 * runs' hashes of 32 bits. It holds, for bands x rows functions a * x modulo 2^32, a odd, the least
 * value over the set. Two texts of similarity s agree in all rows of a band with
 * probability 1 - (1 - s^rows)^bands, and their sketches, a bit of each of 64 functions, differ in
 * a bit with probability (1 - s) / 2. Bands, rows and the bits that may differ are chosen so that
 * at the threshold a pair passes both with probability 0.995 or more, and the bands so that at a
 * quarter of it, where that can be, at most 0.005 do. Sources: Broder 1997 (resemblance), Indyk and
 * Motwani 1998 (LSH), Li and Koenig 2010 (b-bit minwise hashing). */
#ifndef MINHASH_H
#define MINHASH_H

#include "words.h"

#include <stddef.h>
#include <stdint.h>

enum { MINHASH_WORDS = 3, MINHASH_MAX = 128 };

struct minhash {
    int bands, rows;
    int apart; // bits in which the sketches of near texts differ at most
    uint32_t mul[MINHASH_MAX];
};

void minhash_init(struct minhash *m, double threshold); // in (0, 1]
double minhash_recall(const struct minhash *m, double similarity);

/* The set of a text, given as rows of words one behind the other. Zeroed is empty; memory is kept.
 */
struct minhash_set {
    uint16_t *word; // (n) words_brief, MINHASH_WORDS or more: what the set is known by
    uint32_t *run;  // (n_run) n - 2 words_threes of them
    size_t n, n_run, cap, cap_run;
    uint64_t last[2]; // hashes of the last words
    uint64_t sketch;  // minhash_keys
    /* A table of the runs that are in `word` and in those that were compared with it. */
    uint64_t *place;                         // (use) 0 of them: it is not made
    size_t use, cap_place, taken, different; // runs that are there; that the set has
    uint64_t turn;                           // how many were compared
};
void minhash_begin(struct minhash_set *x);
void minhash_add(struct minhash_set *x, const struct words_row *w, const uint32_t *three);
/* All words are there. Fewer than MINHASH_WORDS, or, without any, the text itself, by its hash, are
 * one run. */
void minhash_end(struct minhash_set *x, uint64_t text);
/* The set that has such words; n is MINHASH_WORDS or more. */
void minhash_take(struct minhash_set *x, const uint16_t *word, size_t n);
void minhash_set_free(struct minhash_set *x);

/* One key a band; its sketch is set. */
void minhash_keys(const struct minhash *m, struct minhash_set *x, uint64_t key[MINHASH_MAX]);

/* Jaccard similarity of the set and that of n other words, MINHASH_WORDS or more. */
double minhash_jaccard(struct minhash_set *x, const uint16_t *word, size_t n);

#endif
