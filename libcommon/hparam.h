/* hparam.h - hyperparameters of a model: what a family fixes, GGUF keys, checks.
 *
 * Every value is checked against limits and against the others before anything
 * is allocated from it. What the runtime would compute wrongly is refused. */
#ifndef HPARAM_H
#define HPARAM_H

#include "backend.h"
#include "err.h"
#include "gguf.h"
#include "hidden.h"
#include "mem.h"

#include <stdbool.h>

enum {
    HPARAM_LAYERS = 1024,
    HPARAM_DIM = 1 << 18, // also of heads together
    HPARAM_FFN = 1 << 20,
    HPARAM_VOCAB = 1 << 24,
    HPARAM_CTX = 1 << 24,
    HPARAM_HEAD = 4096, // values of a head
    HPARAM_LABELS = 65536,
    HPARAM_TYPES = 64, // of tokens
};

enum hparam_scaling { HPARAM_PLAIN, HPARAM_LINEAR, HPARAM_LLAMA3 };

struct hparam {
    char arch[16]; // "llama", as in general.architecture
    int dim, n_layers, ffn_dim, ctx;
    int n_heads, n_kv_heads, head_dim;
    bool whole;            // an encoder: tokens see all of their text
    int n_types;           // of tokens, of an encoder
    int first_position;    // rows of the file's positions before that of the first token
    enum hidden_pool pool; // how the model's vectors are made, if the files say it
    int rope_dims;         // 0: positions are learned
    bool rope_pairs_apart; // how the file's q and k rows lie: HF true, GGUF llama false
    int n_labels;          // of a classifier; 0: there is none
    bool tied;             // the head is the embedding, whatever else the file holds
    enum norm_kind norm;
    enum ffn_act act;
    bool gated;
    float eps;
    float attn_scale;          // of q.k
    float attn_cap, logit_cap; // soft caps of scores and of logits, 0: none
    float embed_scale;
    float rope_base;
    enum hparam_scaling scaling;
    float factor, low_freq, high_freq; // of the scaling
    int original_ctx;
    int window; // keys that a token sees in the layers that are windowed; 0: all, everywhere
    bool windowed[HPARAM_LAYERS];
};

/* Start h with what the family of this name fixes; -1 (and h all zero) when the
 * name is none. Names are those of general.architecture. */
int hparam_family(struct hparam *h, const char *arch, size_t n);
/* The names, as "llama, qwen2, ..." for messages. */
void hparam_families(char out[128]);

/* Fill in what follows from the rest and check all of it against each other. */
int hparam_finish(struct hparam *h, struct err *e);

/* Which layers are windowed when the file does not say: of Gemma 2 every second
 * one, of the others all. */
bool hparam_window_default(const struct hparam *h, int layer);

/* A family's keys, "llama.block_count". Errors: "x.gguf: llama.block_count: 0 is not in 1..1024".
 */
int hparam_gguf(struct hparam *h, const struct gguf *g, struct err *e);

/* The rope_dims / 2 angles per position, base^(-2i / rope_dims), scaled.
 * factors (or NULL) divides them one by one (GGUF's rope_freqs.weight).
 * Source: Su et al. 2021; scaling as in Hugging Face transformers'
 * modeling_rope_utils ("linear", "llama3"). */
void hparam_freqs(const struct hparam *h, const float *factors, float *inv_freq);

#endif
