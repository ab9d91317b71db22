/* near.h - near-duplicate texts: an index of MinHash bands, in memory and beyond it, or in files.
 *
 * Texts that share a band with one in the index, and differ in no more bits of their sketches than
 * near texts do, are compared with it exactly (minhash.h), so no pair below the threshold is ever
 * called near. Memory up to a limit, then bytes in files, a text that is kept: 4 a word, the id,
 * 56, and 8 a band, twice so while bands are merged (bands.h). Memory beside that: 8 a text, for
 * its sketch, and 1.9 a band of those that are in the file.
 *
 * The files (head, texts, words, ids, table) lie in a directory of their own, which is locked. One
 * that has no head, but others by these names, is refused.
 * All but the head are written to and read from, not mapped. What is added is there after a kill;
 * after the machine went down, what cannot be read again as it was written is cut off, and the
 * table is made again. */
#ifndef NEAR_H
#define NEAR_H

#include "err.h"
#include "minhash.h"

#include <stddef.h>
#include <stdint.h>

extern const char *const near_files[]; // names in the directory of an index; NULL-terminated

struct near;

/* Where an index is: in files in `dir`, which may be there; or, when that is NULL, in memory up to
 * so many bytes, and what is more in files without a name in `tmp`. */
struct near_place {
    const char *dir;
    size_t memory;
    const char *tmp; // borrowed
};

/* threshold in (0, 1]: the Jaccard similarity from which texts are near. Errors: ERR_IO; ERR_ARG an
 * index of another threshold or in use; ERR_DATA no index. */
struct near *near_open(double threshold, const struct near_place *at, struct err *e);
/* Bring files to the disk and close; ERR_OUT when that fails. NULL-safe. */
int near_close(struct near *x, struct err *e);

int near_bands(const struct near *x);
int near_rows(const struct near *x);
double near_recall(const struct near *x); // probability to meet at the threshold
size_t near_size(const struct near *x);   // texts in the index

struct near_hit {
    const char *id; // (n_id) of the text in the index; until the next call
    size_t n_id;
    double similarity;
};

/* The bands of a set and its sketch, for near_meet; from any thread. */
void near_keys(const struct near *x, struct minhash_set *set, uint64_t key[MINHASH_MAX]);

/* The set that is met after the next one, so that what it needs can be fetched meanwhile. `key` is
 * borrowed until the next one is met; NULL: there is none. */
void near_soon(struct near *x, const uint64_t key[MINHASH_MAX]);

/* 1 = an earlier text is at least as similar as the threshold: the most similar, of
 * equals the first. 0 = there is none, and the text is in the index now. -1 = error.
 * `run`, when not 0, says which run adds the text: the same text, id and run that are in the index
 * already are not its own duplicates, so that a run that was killed can be repeated. */
int near_meet(struct near *x, struct minhash_set *set, const uint64_t key[MINHASH_MAX],
              const char *id, uint64_t run, struct near_hit *hit, struct err *e);

/* A text that the run is known to have kept: near none that it kept before, so that it is compared
 * with none of them. It is in the index then, once: 0, or -1 with e set. */
int near_add(struct near *x, struct minhash_set *set, const uint64_t key[MINHASH_MAX],
             const char *id, uint64_t run, struct err *e);

/* After the texts that a run is known to have kept were added: let go of what it added behind
 * them, which a kill kept it from writing, so that what comes next is compared with the same texts
 * as in a run that was not killed. What other runs added since stays, and what is before it. */
void near_cut(struct near *x, uint64_t run);

#endif
