/* hparam.h - hyperparameters of a model, out of GGUF keys or config.json.
 *
 * Every value is checked against limits and against the others before anything
 * is allocated from it. What the runtime would compute wrongly is refused. */
#ifndef HPARAM_H
#define HPARAM_H

#include "err.h"
#include "gguf.h"
#include "mem.h"

#include <stdbool.h>

enum {
    HPARAM_LAYERS = 1024,
    HPARAM_DIM = 1 << 18, // also of heads together
    HPARAM_FFN = 1 << 20,
    HPARAM_VOCAB = 1 << 24,
    HPARAM_CTX = 1 << 24,
    HPARAM_HEAD = 4096, // values of a head
};

enum hparam_scaling { HPARAM_PLAIN, HPARAM_LINEAR, HPARAM_LLAMA3 };

struct hparam {
    char arch[16]; // "llama"
    int dim, n_layers, ffn_dim, ctx;
    int n_heads, n_kv_heads, head_dim;
    int rope_dims;
    bool rope_pairs_apart; // how the file's q and k rows lie: HF true, GGUF llama false
    bool tied;             // the head is the embedding, whatever else the file holds
    float eps;
    float rope_base;
    enum hparam_scaling scaling;
    float factor, low_freq, high_freq; // of the scaling
    int original_ctx;
};

/* llama.* keys. Errors: "x.gguf: llama.block_count: 0 is not in 1..1024". */
int hparam_gguf(struct hparam *h, const struct gguf *g, struct err *e);
/* config.json of an HF directory (model_type llama, or mistral; a sliding window
 * becomes the context, within which it has no effect). */
int hparam_dir(struct hparam *h, const char *dir, struct err *e);

/* The rope_dims / 2 angles per position, base^(-2i / rope_dims), scaled.
 * factors (or NULL) divides them one by one (GGUF's rope_freqs.weight).
 * Source: Su et al. 2021; scaling as in Hugging Face transformers'
 * modeling_rope_utils ("linear", "llama3"). */
void hparam_freqs(const struct hparam *h, const float *factors, float *inv_freq);

#endif
