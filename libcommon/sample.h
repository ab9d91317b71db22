/* sample.h - a token out of logits: penalties, truncation, keyed noise.
 *
 * Order: penalties on the logits, then division by the temperature, then
 * top-k, top-p and min-p on the tempered distribution (each over what the one
 * before it kept), then the draw: argmax over the kept tokens of logit / T +
 * Gumbel noise keyed by (seed, record, sample, absolute position, token), which is a draw from
 * their softmax. Ties go to the lower token id. Nothing depends on the batch,
 * and a draft that asks for the same noise proposes the same token.
 * Sources: Keskar et al. 2019 (repetition penalty), Holtzman et al. 2020 (top-p), Nguyen
 * et al. 2024 (min-p), Daliri et al. 2024 (coupling by shared Gumbel noise). */
#ifndef SAMPLE_H
#define SAMPLE_H

#include "rng.h"

#include <stddef.h>
#include <stdint.h>

struct sample_opt {
    float temp;              // 0: the likeliest token
    int top_k;               // 0: all
    float top_p;             // 1: all
    float min_p;             // 0: all
    float repeat_penalty;    // 1: off; tokens of the prompt and of the output
    float presence_penalty;  // 0: off; tokens of the output
    float frequency_penalty; // 0: off; tokens of the output, each time
};

/* What a sequence has seen, for the penalties. Zeroed is empty. */
struct sample_seen {
    uint32_t *count; // (n_vocab) bit 31: in the prompt; low bits: times in the output
};

struct sample_top {
    int32_t id;
    float logprob;
};

/* Scratch of one sampler, reused between calls. Zeroed is empty. */
struct sample_work {
    struct sample_cand *cand; // (n_vocab)
    float *logit;             // (n_vocab)
    int cap;
};

void sample_free(struct sample_work *w);
void sample_seen_free(struct sample_seen *s);

/* Note a token; needed only when sample_penalized(o). */
int sample_penalized(const struct sample_opt *o);
void sample_see(struct sample_seen *s, int n_vocab, int32_t id, int in_prompt);

/* Draw the token for absolute position `pos` (that of the drawn token) from
 * n_vocab logits. `allow` (n_vocab bits, token i is bit i % 64 of word i / 64): tokens
 * whose bit is 0 are as good as not in the vocabulary; NULL: all are allowed.
 * Logits that are NaN count as -infinity; -1 when no allowed one is finite. */
int32_t sample_draw(struct sample_work *w, const struct sample_opt *o,
                    const struct sample_seen *seen, const uint64_t *allow, const struct rng *r,
                    const float *logit, int n_vocab, int64_t pos);

/* Log-probabilities under the plain softmax of the logits (no penalty, no
 * temperature): that of `id`, and the n likeliest, likeliest first, ties to the lower id. */
float sample_logprob(const float *logit, int n_vocab, int32_t id);
void sample_tops(struct sample_work *w, const float *logit, int n_vocab, struct sample_top *top,
                 int n);

/* Softmax over the chosen tokens' logits only: p (n). Returns the index of the largest. */
int sample_choice(const float *logit, const int32_t *choice, int n, float *p);

#endif
