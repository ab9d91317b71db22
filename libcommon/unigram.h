/* unigram.h - the most likely cutting of a text into pieces with scores.
 * Source: Kudo 2018, section 3 (unigram language model, Viterbi search). */
#ifndef UNIGRAM_H
#define UNIGRAM_H

#include "trie.h"

struct unigram {
    struct trie trie;
    double *score;  // by id
    double unknown; // score of a character that is no piece
};

/* From n keys (sorted in place) whose values are ids into score[0..n_score),
 * which is copied. `lowest` is the score of the least likely normal piece. */
void unigram_init(struct unigram *u, struct trie_key *key, size_t n, const double *score,
                  size_t n_score, double lowest);
void unigram_free(struct unigram *u);

struct unigram_piece {
    int32_t id; // -1: unknown characters, joined
    uint32_t from, to;
};

/* Working memory of one thread. Zeroed is fresh; unigram_done frees it. */
struct unigram_work {
    struct unigram_best *best;
    struct unigram_piece *piece; // the result of the last call, in text order
    size_t n_piece, cap_best, cap_piece;
};
void unigram_done(struct unigram_work *w);

/* Cut n bytes (n < 2^32) of valid UTF-8 into w->piece[0..n_piece). Of equal
 * sums the one found first (the shortest last piece) wins. Time O(n x longest
 * piece). */
void unigram_cut(const struct unigram *u, struct unigram_work *w, const char *s, size_t n);

#endif
