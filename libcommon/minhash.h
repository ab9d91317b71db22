/* minhash.h - texts as sets of runs of words, their signatures, and the bands of these.
 *
 * A text is the set of its runs of MINHASH_WORDS lower-cased words (one run for a shorter text),
 * each run a 32-bit hash. A signature holds, for bands x rows functions a * x + b modulo
 * 2^32, the least value over the set. Two texts of similarity s agree in all rows of a band with
 * probability 1 - (1 - s^rows)^bands, and their sketches, a bit of each of 64 functions, differ in
 * a bit with probability (1 - s) / 2. Bands, rows and the bits that may differ are chosen so that
 * at the threshold a pair passes both with probability 0.995 or more, and the bands so that at a
 * quarter of it, where that can be, at most 0.005 do. Sources: Broder 1997 (resemblance), Indyk and
 * Motwani 1998 (LSH), Li and Koenig 2010 (b-bit minwise hashing). */
#ifndef MINHASH_H
#define MINHASH_H

#include "repeat.h"
#include "words.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MINHASH_WORDS = 3, MINHASH_MAX = 128 };

struct minhash {
    int bands, rows;
    int apart; // bits in which the sketches of near texts differ at most
    uint32_t mul[MINHASH_MAX], add[MINHASH_MAX];
};

void minhash_init(struct minhash *m, double threshold); // in (0, 1]
double minhash_recall(const struct minhash *m, double similarity);

/* The set of a text, given as rows of words one behind the other. Zeroed is empty. */
struct minhash_set {
    uint32_t *run; // (n) in the order in which they stand in the text, without repeats
    size_t n, cap, cap_place, use;
    uint64_t last[2]; // hashes of the last words, of which there were n_word
    size_t n_word;
    uint64_t sketch; // minhash_keys
    uint64_t *place; // (use) a table of what is in `run`
    bool whole;      // it is made
};
void minhash_begin(struct minhash_set *x);
void minhash_add(struct minhash_set *x, const struct words_row *w, const uint32_t *three);
/* All words are there. Without any the text itself, by its hash, is the only run. */
void minhash_end(struct minhash_set *x, uint64_t text, struct repeat_back *scratch);
void minhash_set_free(struct minhash_set *x);

/* One key a band, from the runs of a set; returns its sketch. */
uint64_t minhash_keys(const struct minhash *m, const uint32_t *run, size_t n,
                      uint64_t key[MINHASH_MAX]);

/* Jaccard similarity of the set last made and another. */
double minhash_jaccard(struct minhash_set *x, const uint32_t *run, size_t n);

#endif
