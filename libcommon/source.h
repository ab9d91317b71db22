/* source.h - a model in any of the forms that are read, as one list of tensors.
 *
 * Opens a GGUF file, a Hugging Face directory or a llama2.c checkpoint, reads
 * its hyperparameters and finds every tensor that its family needs, with its
 * shape checked. Values stay in the files' maps. */
#ifndef SOURCE_H
#define SOURCE_H

#include "arch.h"
#include "arena.h"
#include "err.h"
#include "file.h"
#include "gguf.h"
#include "hparam.h"
#include "hparam_dir.h"
#include "mem.h"
#include "st.h"
#include "tok.h"

#include <stdbool.h>
#include <stdint.h>

enum source_kind { SOURCE_GGUF, SOURCE_HF, SOURCE_LLAMA2C };

extern const char *const source_kinds[]; // "gguf", "huggingface", "llama2c"

/* A tensor of the family, found. Its shape is the file's own. */
struct source_part {
    const struct arch_tensor *what;
    int layer; // -1 outside the layers
    const struct tensor *t;
    const struct file_map *map; // that t's data lie in
};

/* Who wants to know how far long work is: told the number of each part, of n, before it is read. */
struct source_watch {
    void (*part)(void *arg, int i, int n); // NULL: nobody
    void *arg;
};

struct source {
    enum source_kind kind;
    char *path;
    uint64_t bytes; // of the files that hold tensors

    const struct tensor *tensor; // (n_tensors) all of the files
    int n_tensors;

    /* after source_parts */
    const struct arch *arch;
    struct hparam h;
    int vocab;                // rows of the embedding
    struct source_part *part; // (n_parts) in the order of the computation
    int n_parts;
    float *rope_factors; // (rope_dims / 2) that divide the rotary frequencies, or NULL
    const char
        *instead;  // of the family's prefix in the names of an HF directory; NULL: it is there
    int n_unknown; // tensors that the family does not know and that no layer holds
    const char *unknown; // the first of them

    struct gguf g;
    struct st st;
    struct file_map bin;
    struct arena mem;
    struct source_watch watch; // set by the caller, once it is open
};

/* Open the files: kinds are told apart by what path is and how it begins.
 * Checks what gguf_open and st_open check; of llama2.c the header and the size. */
int source_open(struct source *s, const char *path, struct err *e);
void source_close(struct source *s);

/* Read the hyperparameters and find the tensors. Errors: an unknown family, a
 * missing tensor, a wrong shape, a tensor in a layer that is not known (it
 * would be left out of the computation). */
int source_parts(struct source *s, struct err *e);

/* The i-th part is read through now. */
void source_at(const struct source *s, int i);

/* The part of this slot in a layer (-1: outside), or NULL. Linear. */
const struct source_part *source_part(const struct source *s, enum arch_slot slot, bool bias,
                                      int layer);

/* The tokenizer; `path` is that of a llama2.c tokenizer.bin, needed for
 * SOURCE_LLAMA2C and ignored otherwise. Needs source_parts for llama2.c. */
struct tok *source_tok(const struct source *s, const char *path, struct err *e);

/* Llama-3's rotary scaling as factors that divide the frequencies (rope_dims / 2).
 * Source: transformers' modeling_rope_utils, "llama3". */
void source_llama3(const struct hparam *h, float *factor);

#endif
