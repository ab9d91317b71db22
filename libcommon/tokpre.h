/* tokpre.h - the pre-tokenizers that GGUF files know by name.
 *
 * A GGUF names its pre-tokenizer (tokenizer.ggml.pre) where tokenizer.json
 * spells it out. Here are the names and what they mean.
 * Source: the models' tokenizer.json files; llama.cpp's list of names. */
#ifndef TOKPRE_H
#define TOKPRE_H

#include "arena.h"
#include "buf.h"
#include "err.h"
#include "json.h"
#include "mem.h"

struct tokpre {
    bool ignore_merges, add_bos; // what the name implies besides its expressions
};

/* Look a name up and append its pre_tokenizer object. ERR_DATA for an unknown one. */
int tokpre_find(const char *name, struct tokpre *out, struct buf *splitter, struct err *e);

/* Append the pre_tokenizer object of a single expression. */
void tokpre_splitter(const char *pattern, size_t n, struct buf *splitter);

/* The name of a pre_tokenizer object, or NULL when none means just this. */
const char *tokpre_name(const struct json *j, int node, bool ignore_merges, struct arena *a);

#endif
