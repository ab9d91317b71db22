/* search.h - the sequences of a beam search.
 *
 * beam.h says which hypotheses run on; here they have tokens, pages of the cache that they
 * share as far as they agree, text for the stop texts, and a place in the grammar. The sequences of
 * a search are one group to sched.h: they are preempted together, and since
 * what a hypothesis offered stays, being computed again changes nothing. */
#ifndef SEARCH_H
#define SEARCH_H

#include "answer.h"
#include "beam.h"
#include "grammar.h"
#include "sched.h"

struct search_opt {
    struct beam_opt beam;
    const struct sample_opt *sample; // of which masks, biases and penalties count; borrowed
    struct grammar *grammar;         // or NULL; borrowed
    const struct tok *tok;
    struct answer_stop stop;
    bool ignore_eos, trim; // see engine.h
    int n_vocab, n_prompt;
};

struct search {
    struct search_opt o;
    struct beam beam;
    struct search_line *line; // (beam.n_running)
    struct sample_top *top;   // scratch (beam_want)
    int n_offers;             // lines that offered since the last step
    bool lost;                // a hypothesis found nowhere to go within the grammar
};

/* Begin with a prompt. */
void search_open(struct search *s, const struct search_opt *o, const int32_t *token, int64_t group);
void search_close(struct search *s, struct kv *kv); // zeroed is closed

/* The sequence of a line that runs. */
struct sched_seq *search_seq(struct search *s, int i);

/* What will be asked of the logits behind a line; false: they are needed themselves. */
bool search_ask(const struct search *s, int i, struct pick_ask *ask);
/* The logits behind a line have come, or (NULL, see sample.h) what was asked of them; false: that
 * did not suffice, and nothing has happened. */
bool search_offer(struct search *s, int i, struct sample_work *w, const float *logit);
/* When all lines have offered, go on: true when the search is over. */
bool search_go(struct search *s, struct kv *kv);

/* Tokens and text of the k-th best (both are added to); NULL when there are no more. */
const struct beam_hyp *search_best(const struct search *s, int k, struct sched_seq *tokens,
                                   struct answer *a);

#endif
