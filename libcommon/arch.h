/* arch.h - what each model family calls its tensors, and what shape they have.
 *
 * A family is a table of rows: the GGUF name, the Hugging Face name, the shape,
 * and what has to happen to the values between the two. A further family is a
 * further table. */
#ifndef ARCH_H
#define ARCH_H

#include "hparam.h"
#include "tensor.h"

#include <stdbool.h>

enum { ARCH_NAME = 128 }; // room for any name made here

enum arch_place { ARCH_FIRST, ARCH_LAYER, ARCH_LAST }; // before, in, after the layers

/* GGUF llama files hold the rows of q and k with each rotating pair side by
 * side, Hugging Face with the halves of a head apart: the rows are permuted. */
enum arch_how { ARCH_AS_IS, ARCH_ROPE_Q, ARCH_ROPE_K };

struct arch_tensor {
    enum arch_place place;
    const char *gguf, *hf; // of a layer: what follows the layer's prefix
    const char *shape;     // a letter a dimension: V vocab, D dim, Q heads, K kv heads, F ffn
    enum arch_how how;
    bool optional;
};

struct arch {
    const char *name;       // general.architecture
    const char *hf_class;   // config.json "architectures"
    const char *gguf_layer; // "blk."
    const char *hf_layer;   // "model.layers."
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

/* Its shape, outermost first; returns the number of dimensions. */
int arch_shape(const struct arch_tensor *t, const struct hparam *h, int vocab,
               int64_t shape[TENSOR_DIMS]);

/* Rows r of a matrix of n_heads * head_dim rows after the permutation come from
 * this row before it: to_pairs for Hugging Face -> GGUF, else the way back. */
int64_t arch_rope_row(int64_t r, int head_dim, bool to_pairs);

#endif
