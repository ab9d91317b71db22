/* arch.h - what each model family calls its tensors, and what shape they have.
 *
 * A family is a table of rows: the GGUF name, the Hugging Face name, the shape,
 * what the tensor is to the computation, and what has to happen to the values
 * between the two files. A further family is a further table. */
#ifndef ARCH_H
#define ARCH_H

#include "hparam.h"
#include "tensor.h"

#include <stdbool.h>

enum { ARCH_NAME = 128 }; // room for any name made here

enum arch_place { ARCH_FIRST, ARCH_LAYER, ARCH_LAST }; // before, in, after the layers

/* What a tensor is; a bias has the slot of its matrix or norm. */
enum arch_slot {
    ARCH_EMBED,
    ARCH_TYPES, // of tokens: one row is added to all of a single text
    ARCH_POSITIONS,
    ARCH_EMBED_NORM,
    ARCH_ATTN_NORM,
    ARCH_Q,
    ARCH_K,
    ARCH_V,
    ARCH_QKV,
    ARCH_Q_NORM,
    ARCH_K_NORM,
    ARCH_O,
    ARCH_ATTN_POST, // a norm behind attention
    ARCH_ATTN_SUM,  // a norm of the stream behind its sum
    ARCH_FFN_NORM,
    ARCH_GATE,
    ARCH_UP,
    ARCH_DOWN,
    ARCH_FFN_POST,
    ARCH_FFN_SUM,
    ARCH_OUT_NORM,
    ARCH_HEAD,
    ARCH_CLASS, // a classifier or regression of the last hidden state
    ARCH_SLOTS,
};

/* How values differ between the files. ROPE: GGUF llama files hold the rows of q
 * and k with each rotating pair side by side, Hugging Face with the halves of a
 * head apart: the rows (or values of a bias) are permuted. PLUS_ONE: Hugging Face
 * holds a norm's weight less 1. TRANSPOSED: Hugging Face holds (in, out). */
enum arch_how { ARCH_AS_IS, ARCH_ROPE, ARCH_PLUS_ONE, ARCH_TRANSPOSED };

/* MAY: a bias or a classifier that not every file has. TIED: the head, absent where it is the
 * embedding. */
enum arch_need { ARCH_MUST, ARCH_MAY, ARCH_TIED };

struct arch_tensor {
    enum arch_place place;
    enum arch_slot slot;
    bool bias;
    const char *gguf, *hf; // of a layer: what follows the layer's prefix
    const char *shape;     // a letter a dimension, see arch_shape; as in GGUF files
    enum arch_how how;
    enum arch_need need;
};

struct arch {
    const char *name;       // general.architecture
    const char *gguf_layer; // "blk."
    const char *hf_layer;   // "model.layers."
    const char *hf_prefix;  // of all names, which some checkpoints leave out, or NULL
    const char *hf_other;   // what some have instead of it, or NULL
    const struct arch_tensor *tensor;
    int n_tensors;
};

/* The family of this name, or NULL. */
const struct arch *arch_find(const char *name);

/* The whole name of a tensor, of layer `layer` when it belongs to one. */
void arch_gguf_name(const struct arch *a, const struct arch_tensor *t, int layer,
                    char out[ARCH_NAME]);
void arch_hf_name(const struct arch *a, const struct arch_tensor *t, int layer,
                  char out[ARCH_NAME]);

/* Its shape in a GGUF file, outermost first; returns the number of dimensions.
 * V vocab, P positions, T types of tokens, D dim, Q heads, K kv heads, A both and K again, H a
 * head, F ffn, C labels. */
int arch_shape(const struct arch_tensor *t, const struct hparam *h, int vocab,
               int64_t shape[TENSOR_DIMS]);

/* Rows r of a matrix of n_heads * head_dim rows after the permutation come from
 * this row before it: to_pairs for Hugging Face -> GGUF, else the way back. */
int64_t arch_rope_row(int64_t r, int head_dim, bool to_pairs);

#endif
