/* sample.h - a token out of logits: penalties, truncation, keyed noise.
 *
 * Order: mask and biases, penalties, DRY, all on the logits; top-n-sigma; division by the
 * temperature; then either Mirostat or top-k, top-p, min-p and typical on the tempered
 * distribution, each over what the one before it kept; then the draw: argmax over the kept
 * tokens of logit / T + Gumbel noise keyed by (seed, record, sample, absolute position, token),
 * which is a draw from their softmax. Ties go to the lower token id. Nothing depends on the
 * batch, and a draft that asks for the same noise proposes the same token.
 * Sources: Keskar et al. 2019 (repetition penalty), Tang et al. 2024 (top-n-sigma), Fan et al.
 * 2018 (top-k), Holtzman et al. 2020 (top-p), Nguyen et al. 2024 (min-p), Meister et al. 2022
 * (typical), Basu et al. 2020 (Mirostat 2), Daliri et al. 2024 (coupling by shared Gumbel noise);
 * dry.h. */
#ifndef SAMPLE_H
#define SAMPLE_H

#include "dry.h"
#include "rank.h"
#include "rng.h"

#include <stddef.h>
#include <stdint.h>

/* X is added to the logit of a token; -infinity bans it. */
struct sample_bias {
    int32_t id;
    float x;
};

struct sample_opt {
    float temp;              // 0: the likeliest token
    int top_k;               // 0: all
    float top_p;             // 1: all
    float min_p;             // 0: all
    float typical_p;         // 0 or 1: all
    float top_n_sigma;       // 0: all
    float mirostat_tau;      // surprise that is aimed at, in bits; 0: off
    float mirostat_eta;      // how fast
    float repeat_penalty;    // 1: off; tokens of the prompt and of the output
    float presence_penalty;  // 0: off; tokens of the output
    float frequency_penalty; // 0: off; tokens of the output, each time
    struct dry_opt dry;
    const struct sample_bias *bias; // (n_bias) each id once; borrowed
    int n_bias;
};

/* What a draw knows of its sequence. */
struct sample_seq {
    const int32_t *token; // (n) the prompt, then the output so far; borrowed
    int n_prompt, n;
    double mu; // Mirostat's bound, in bits; 0 before the first draw, which sets it
};

struct sample_top {
    int32_t id;
    float logprob;
};

/* Scratch of one sampler, reused between calls. Zeroed, but for rank.backend, is empty.
 *
 * Below, logit may be NULL for a row that stayed on a device: pick is then its answer to ask. With
 * rank.lacks set after the call the row itself is needed, and the result means nothing; else it is
 * what the row would have given. */
struct sample_work {
    const struct pick_ask *ask;
    const struct pick *pick;
    struct rank rank;
    struct dry dry;
    float *logprob;          // (cap)
    float *logit;            // (cap) a row with masks, biases and penalties in it
    uint32_t *count;         // (cap) zero between calls
    struct rank_item *order; // (cap)
    int cap;
};

void sample_free(struct sample_work *w);

/* Draw the token for absolute position `pos` (that of the drawn token) from n_vocab logits.
 * seq: NULL when nothing was seen. `allow` (n_vocab bits, token i is bit i % 64 of word i / 64):
 * tokens whose bit is 0 are as good as not in the vocabulary; NULL: all are allowed.
 * Logits that are NaN count as -infinity; -1 when no allowed one is finite. */
int32_t sample_draw(struct sample_work *w, const struct sample_opt *o, struct sample_seq *seq,
                    const uint64_t *allow, const struct rng *r, const float *logit, int n_vocab,
                    int64_t pos);

/* What sample_draw draws from, in w->rank: all of its row unless rank.listed. False when no
 * allowed logit is finite. */
bool sample_keep(struct sample_work *w, const struct sample_opt *o, const struct sample_seq *seq,
                 const uint64_t *allow, const float *logit, int n_vocab);

/* The row as sample_keep sees it before top-n-sigma: mask, biases, penalties. `logit` itself
 * when nothing changes; else valid until the next call. */
const float *sample_adjust(struct sample_work *w, const struct sample_opt *o,
                           const struct sample_seq *seq, const uint64_t *allow, const float *logit,
                           int n_vocab);

/* Log-probabilities under the plain softmax of the logits (no penalty, no temperature):
 * returned, that of `id` (-1: of none); top (n), the likeliest, likeliest first, ties to the lower
 * id,
 * {-1, -infinity} where there are no more. */
float sample_logprobs(struct sample_work *w, const float *logit, int n_vocab, int32_t id,
                      struct sample_top *top, int n);

/* The n likeliest that are allowed, for a search: biases and penalties act on the
 * log-probabilities of the plain softmax here, and nothing else does. Returns how many there are.
 */
int sample_likeliest(struct sample_work *w, const struct sample_opt *o,
                     const struct sample_seq *seq, const uint64_t *allow, const float *logit,
                     int n_vocab, struct sample_top *top, int n);

/* What sample_draw will want to know of a row, with n_logprobs (0: none) of sample_logprobs behind
 * it. False when it will need the row itself. masked: there will be `allow`. */
bool sample_ask(const struct sample_opt *o, const struct sample_seq *seq, bool masked,
                const struct rng *r, int n_vocab, int64_t pos, int n_logprobs,
                struct pick_ask *ask);

/* The same of sample_likeliest's n, of sample_logprobs' for the token id, and of sample_choice. */
bool sample_ask_likeliest(const struct sample_opt *o, const struct sample_seq *seq, bool masked,
                          int n, struct pick_ask *ask);
bool sample_ask_logprobs(int32_t id, int n, struct pick_ask *ask);
bool sample_ask_choice(const int32_t *choice, int n, struct pick_ask *ask);

/* Softmax over the chosen tokens' logits only: p (n). Returns the index of the largest. */
int sample_choice(const float *logit, const int32_t *choice, int n, float *p);

#endif
