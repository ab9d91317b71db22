/* forward.h - the transformer, once, over the backend's operations. */
#ifndef FORWARD_H
#define FORWARD_H

#include "backend.h"
#include "kv.h"
#include "model.h"

/* Scratch for steps of at most max_tokens tokens and max_out rows of logits; max_out 0: the hidden
 * states behind the last norm are all that is wanted, of any of the tokens. */
struct act {
    int max_tokens, max_out;
    float *x_d, *h_d; // (max_tokens, max(dim, ffn.dim, n_heads * head_dim))
    float *qkv_d;     // (max_tokens, (n_heads + 2 n_kv_heads) * head_dim)
    float *gu_d;      // (max_tokens, max(dim, gate and up))
    float *logits_d;  // (max_out, vocab), or NULL
    size_t n[4];      // floats of x and h, qkv, gu, logits
    size_t bytes;
};

size_t forward_bytes(const struct model *m, int max_tokens, int max_out);
int forward_open(struct act *a, const struct model *m, struct backend *b, int max_tokens,
                 int max_out, struct err *e);
void forward_close(struct act *a, struct backend *b);

/* Run one step. Row i of a->logits_d is the logits after token s->out[i]; without logits, row i
 * of a->h_d (s->n_out, dim) its hidden state. */
int forward(const struct model *m, struct backend *b, const struct kv_pages *kv,
            const struct act *a, const struct step *s, struct err *e);

#endif
