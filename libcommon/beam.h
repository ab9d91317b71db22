/* beam.h - beam search: the hypotheses of one request.
 *
 * The logic alone: it gets the likeliest tokens after each running hypothesis, and says
 * which hypotheses run on. Each of `groups` groups is a search of beams / groups of its own, in
 * which a token costs `diversity` for every hypothesis of an earlier group that took it in the
 * same step. A group keeps as many finished hypotheses as it has beams, by
 * sum / length^length_penalty; the best ones of all groups are the result.
 * Only candidates among the first beams / groups may finish; those further down are there
 * so that as many run on. Ties go to the hypothesis, then to the token, with the lower number.
 * Sources: Vijayakumar et al. 2016 (diverse beam search); Wu et al. 2016, 7 (length); the
 * handling of finished hypotheses is that of Hugging Face transformers' generate(). */
#ifndef BEAM_H
#define BEAM_H

#include "sample.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* When a group with all its finished hypotheses ends: when no running one could be better at its
 * present length; at once; when none could be better at any length (up to max_tokens). */
enum beam_stop { BEAM_HEURISTIC, BEAM_EARLY, BEAM_NEVER };

enum { BEAM_WHOLE = -1 }; // offered by a hypothesis that is finished as it stands

struct beam_opt {
    int beams, groups; // groups divides beams
    float length_penalty, diversity;
    enum beam_stop stop;
    int max_tokens;
    int n_end; // tokens that end a hypothesis
};

/* A hypothesis that runs on: running hypothesis `from` of the step before, and a token. */
struct beam_next {
    int from;
    int32_t id;
};

struct beam_hyp {
    double sum, score; // of log-probabilities; sum / length^length_penalty
    int node, n;       // last token's; tokens
    bool ended;        // by a token or text that ends it or as a whole, not by max_tokens
};

struct beam {
    struct beam_opt o;
    struct beam_next *next;   // (n_running) of the last beam_advance
    int n_running, n_step;    // one hypothesis at the beginning; steps so far
    struct beam_run *run;     // (beams) what the running ones are
    struct beam_hyp *pool;    // (groups, beams / groups) finished, best first
    int *n_pool;              // (groups)
    bool *done;               // (groups)
    struct beam_cand *cand;   // scratch
    struct sample_top *offer; // (beams, want)
    struct beam_node *node;   // every token that a hypothesis took
    int32_t *taken;           // (n_taken) tokens of this step, by earlier groups
    int n_nodes, n_taken;
    size_t cap_nodes;
};

void beam_open(struct beam *b, const struct beam_opt *o);
void beam_close(struct beam *b); // zeroed is closed

/* How many of the likeliest tokens each running hypothesis is to offer. */
int beam_want(const struct beam *b);
/* Offer n <= beam_want tokens after running hypothesis i, likeliest first; or BEAM_WHOLE. */
void beam_offer(struct beam *b, int i, const struct sample_top *top, int n);

/* All have offered: choose who runs on. `ends` says whether a token ends hypothesis `from`.
 * Returns n_running; 0: the search is over. */
int beam_advance(struct beam *b, bool (*ends)(void *ctx, int from, int32_t id), void *ctx);

/* The k-th best finished hypothesis, or NULL, and its tokens: token (h->n). */
const struct beam_hyp *beam_best(const struct beam *b, int k);
void beam_tokens(const struct beam *b, const struct beam_hyp *h, int32_t *token);

#endif
