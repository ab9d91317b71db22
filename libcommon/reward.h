/* reward.h - a reward model: a classifier of the last hidden state, behind a whole conversation.
 *
 * Checkpoints that transformers calls "for sequence classification": one output is the score; five
 * are HelpSteer's axes in the order helpfulness, correctness, coherence, complexity, verbosity; of
 * nine, the last five are (Nemotron's, whose first four have no use).
 * Source: Wang et al. 2024 (HelpSteer2), regression heads. */
#ifndef REWARD_H
#define REWARD_H

#include "model.h"
#include "score.h"

extern const struct score_way reward_way;

/* The classifier's outputs (m->n_labels) for a hidden state; false when one is not finite. */
bool reward_outputs(const struct model *m, const float *hidden, double *out);

#endif
