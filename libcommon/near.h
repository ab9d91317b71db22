/* near.h - near-duplicate texts: MinHash signatures, LSH bands, exact Jaccard.
 *
 * A text is the set of its runs of NEAR_WORDS lower-cased words (one run for a
 * shorter text), each run a 32-bit hash. A signature holds, for bands x rows
 * functions, the least value over the set; two texts that agree in all rows of a
 * band are compared exactly. Two texts of similarity s meet with probability
 * 1 - (1 - s^rows)^bands; bands and rows are chosen so that at the threshold
 * this is at least 0.995. Memory a text: 4 bytes a run, and about 32 bytes a band.
 * Sources: Broder 1997 (resemblance), Indyk and Motwani 1998 (LSH), Dietzfelbinger
 * 1996 (multiply-add-shift, the hash functions). */
#ifndef NEAR_H
#define NEAR_H

#include <stddef.h>
#include <stdint.h>

enum { NEAR_WORDS = 3, NEAR_MAX = 128 };

struct near;

/* threshold in (0, 1]: the Jaccard similarity from which texts are near. */
struct near *near_open(double threshold);
void near_close(struct near *x);

int near_bands(const struct near *x);
int near_rows(const struct near *x);
double near_recall(const struct near *x); // probability to meet at the threshold

/* The number (from 0, in order of near_add) of the most similar earlier text
 * whose similarity is at least the threshold, the earliest of equals, with the
 * similarity in *sim; or -1, and the text is added under the next number. */
int64_t near_add(struct near *x, const char *s, size_t n, double *sim);

#endif
