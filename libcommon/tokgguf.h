/* tokgguf.h - tokenizers out of GGUF keys, and into them. */
#ifndef TOKGGUF_H
#define TOKGGUF_H

#include "err.h"
#include "gguf.h"
#include "tok.h"

/* See tokload_gguf and tokload_put_gguf. */
struct tok *tokgguf_load(const struct gguf *g, struct err *e);

/* The normalizer of SentencePiece BPE: spaces become U+2581, with one more in front. */
const char *tokgguf_spaces(bool prefix);

#endif
