/* minhash.h - texts as sets of runs of words, their signatures, and the bands of these.
 *
 * A text is the set of its runs of MINHASH_WORDS lower-cased words (one run for a shorter text),
 * each run a 32-bit hash. A signature holds, for bands x rows functions a * x + b modulo
 * 2^32, the least value over the set. Two texts of similarity s agree in all rows of a band with
 * probability 1 - (1 - s^rows)^bands; bands and rows are chosen so that at the threshold this is at
 * least 0.995.
 * Sources: Broder 1997 (resemblance), Indyk and Motwani 1998 (LSH). */
#ifndef MINHASH_H
#define MINHASH_H

#include "buf.h"

#include <stddef.h>
#include <stdint.h>

enum { MINHASH_WORDS = 3, MINHASH_MAX = 128 };

struct minhash {
    int bands, rows;
    uint32_t mul[MINHASH_MAX], add[MINHASH_MAX];
};

void minhash_init(struct minhash *m, double threshold); // in (0, 1]
double minhash_recall(const struct minhash *m, double similarity);

/* The set of a text. Zeroed is empty. */
struct minhash_set {
    uint32_t *run; // (n) ascending, without repeats
    size_t n, cap, cap_hash, cap_spare;
    uint64_t *hash; // of the words
    uint32_t *spare;
    struct buf word;
};
void minhash_take(struct minhash_set *x, const char *s, size_t n);
void minhash_set_free(struct minhash_set *x);

/* One key a band, from the runs of a set. */
void minhash_keys(const struct minhash *m, const uint32_t *run, size_t n,
                  uint64_t key[MINHASH_MAX]);

/* Jaccard similarity of two sets: one merge. */
double minhash_jaccard(const uint32_t *a, size_t na, const uint32_t *b, size_t nb);

#endif
