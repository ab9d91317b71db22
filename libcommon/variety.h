/* variety.h - how different the texts of a set are in their words: distinct-n and self-BLEU.
 *
 * Two sets are measured in one reading: all texts, and those that are kept. Words are those
 * of words.h. distinct-n is different runs of n words over all runs of n words. self-BLEU is the
 * mean, over texts, of BLEU-4 with all other texts of its set as references (the nearest length
 * for the brevity penalty, 0.1 in place of a count of 0); it is exact in linear time, since
 * of each run only the two largest counts matter. Beyond VARIETY_BLEU texts an even sample of so
 * many is taken. Sources: Li et al. 2016; Papineni et al. 2002; Chen & Cherry 2014 (method 1);
 * Zhu et al. 2018 (Texygen). */
#ifndef VARIETY_H
#define VARIETY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { VARIETY_GRAMS = 3, VARIETY_BLEU = 10000 };

struct variety_figures {
    double distinct[VARIETY_GRAMS]; // of 1, 2 and 3 words
    double self_bleu;               // 0 for fewer than 2 texts
    int64_t sample;                 // texts that it was computed from
};

struct variety;

/* n texts will come, n_kept of them kept. */
struct variety *variety_open(int64_t n, int64_t n_kept);
void variety_add(struct variety *v, const char *s, size_t n, bool kept);
/* The figures of all texts [0] and of those kept [1]. */
void variety_read(struct variety *v, struct variety_figures out[2]);
void variety_close(struct variety *v); // NULL is fine

#endif
