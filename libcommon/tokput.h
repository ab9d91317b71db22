/* tokput.h - tokenizers into GGUF keys, and into Hugging Face's files. */
#ifndef TOKPUT_H
#define TOKPUT_H

#include "err.h"
#include "gguf.h"
#include "tok.h"

/* See tokload_put_gguf and tokload_put_dir. */
void tokput_gguf(const struct tok *t, int rows, struct gguf_writer *w);
int tokput_dir(const struct tok *t, const char *dir, struct err *e);

#endif
