/* model.h - hyperparameters and weights of a model, out of GGUF or an HF directory.
 *
 * Weights stay in the file's map; nothing is copied on the CPU, but for the
 * matrices of a GPT-2 directory, which lie transposed there (a GGUF's do not).
 * Families differ by fields of struct model, never by copies of forward. */
#ifndef MODEL_H
#define MODEL_H

#include "backend.h"
#include "chat.h"
#include "hash.h"
#include "hidden.h"
#include "tok.h"

#include <stdint.h>

struct layer {
    struct norm_weight attn_norm, ffn_norm; // (dim) before, or none
    struct norm_weight attn_post, ffn_post; // (dim) behind, before the sum, or none
    struct norm_weight attn_sum, ffn_sum;   // (dim) of the sum, or none
    struct attn_shape attn;                 // the model's, with this layer's window and norms
    struct weight qkv;                      // ((n_heads + 2 n_kv_heads) * head_dim, dim)
    struct weight o;                        // (dim, n_heads * head_dim)
    struct weight gate_up;                  // (2 ffn.dim, dim), or up alone (ffn.dim, dim)
    struct weight down;                     // (dim, ffn.dim)
};

struct model {
    char *path, *arch; // "llama", "qwen2", ...
    int dim, n_layers, vocab;
    int ctx;    // positions it was made for
    int window; // keys that a token sees in any layer, itself and those before it; 0: all
    bool whole; // every token sees all others: an encoder, which generates nothing
    enum hidden_pool pool; // what the files say that its vectors are made by, or HIDDEN_NONE
    struct attn_shape attn;
    struct ffn_shape ffn;
    float embed_scale;             // of the embedding's rows
    float logit_cap;               // logits become cap * tanh(logits / cap); 0: they stay
    struct weight embed;           // (vocab, dim)
    struct weight positions;       // (ctx, dim) learned, added to the embedding; no parts: none. An
                                   // encoder's have its token type's row in them
    struct norm_weight embed_norm; // (dim) of the embedding, or none
    struct weight head;            // (vocab, dim); the embedding again when tied
    struct norm_weight out_norm;   // (dim), or none
    float *label,
        *label_bias;     // (n_labels, dim) and (n_labels) or NULL: a classifier's, on the host
    int n_labels;        // 0: there is none
    bool no_head;        // a classifier that has only that: nothing to generate by
    struct layer *layer; // (n_layers)
    struct tok *tok;
    int64_t n_params;
    uint64_t file_bytes;
    uint64_t copy_bytes;     // of matrices that had to be transposed
    struct hash128 hash;     // of the header, and of the ends of every tensor
    struct model_file *file; // what keeps the weights mapped
    struct backend *backend; // borrowed; NULL until it is placed
};

/* Open a .gguf file or an HF directory. Every hyperparameter is checked before anything
 * is allocated from it; errors name the field, the value and the limit. */
struct model *model_read(const char *path, struct err *e);
/* Hand its weights to the backend, which must outlive the model, or be left by it: it may be
 * reading the model's file until it is closed, if it was not asked for anything yet. */
int model_place(struct model *m, struct backend *b, struct err *e);
/* Bytes of the backend's memory that this will take. */
uint64_t model_place_bytes(const struct model *m, const struct backend *b);
/* Whether a matrix is of half floats (F16, BF16), whose sums a GPU rounds in an order of its own.
 */
bool model_halves(const struct model *m);
struct model *model_open(const char *path, struct backend *b, struct err *e); // both
void model_leave(struct model *m); // what it has of the backend is freed
void model_close(struct model *m);

#endif
