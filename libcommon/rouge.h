/* rouge.h - ROUGE-L over words, bit-parallel, against a pool.
 *
 * The pool grows by one text at a time and answers which of its texts is nearest
 * to another. Exact: every text that could be nearest is compared by the longest common
 * subsequence of its words, 64 words an instruction; texts whose lengths alone keep them below
 * the nearest so far are not looked at.
 * Sources: Lin 2004 (ROUGE-L); Crochemore et al. 2001 and Hyyro 2004 (bit-parallel LCS). */
#ifndef ROUGE_H
#define ROUGE_H

#include <stddef.h>

struct rouge;

struct rouge *rouge_open(void);
void rouge_close(struct rouge *r); // NULL-safe

/* Add n bytes of UTF-8 to the pool. Returns its number there: 0, 1, 2 ... */
int rouge_add(struct rouge *r, const char *s, size_t n);
int rouge_size(const struct rouge *r);
void rouge_cut(struct rouge *r, int n); // take back all but the first n

struct rouge_near {
    int index; // in the pool; the lowest of equals; -1 when the pool is empty
    double f;  // F-measure, 0..1, the double that rouge_score gives; 0 when a text has no word
};
struct rouge_near rouge_nearest(struct rouge *r, const char *s, size_t n);

#endif
