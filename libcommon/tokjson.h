/* tokjson.h - tokenizers out of Hugging Face's tokenizer.json. */
#ifndef TOKJSON_H
#define TOKJSON_H

#include "err.h"
#include "tok.h"

/* From the tokenizer.json at `path` and, where they are, the tokenizer_config.json,
 * chat_template.jinja, generation_config.json and config.json of directory dir
 * (NULL: the file alone). See tokload_dir. */
struct tok *tokjson_load(const char *path, const char *dir, struct err *e);

/* The same from a BERT's vocab.txt, a piece a line, and the flags of tokenizer_config.json. */
struct tok *tokjson_vocab(const char *path, const char *dir, struct err *e);

#endif
