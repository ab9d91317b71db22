/* tokload.h - tokenizers out of GGUF keys and tokenizer.json. */
#ifndef TOKLOAD_H
#define TOKLOAD_H

#include "err.h"
#include "gguf.h"
#include "tok.h"

/* From tokenizer.ggml.* (model llama | gpt2 | t5 | bert, tokens, scores, token_type,
 * merges, pre, the ids, add_bos_token ..., tokenizer.chat_template,
 * llmutils.tokenizer.pattern). Limits checked: ids in range, equal lengths, no
 * duplicates, merges known. Errors name the key. */
struct tok *tokload_gguf(const struct gguf *g, struct err *e);

/* From an HF directory: tokenizer.json (model BPE | Unigram | WordPiece, normalizer,
 * pre_tokenizer, added_tokens, post_processor, decoder) and tokenizer_config.json
 * (bos_token, eos_token, chat_template, add_bos_token), generation_config.json (eos ids). */
struct tok *tokload_dir(const char *dir, struct err *e);

/* From a llama2.c tokenizer.bin (max token length, then score, length, bytes each). */
struct tok *tokload_llama2c(const char *path, int vocab, struct err *e);

/* Either, by what path is: a directory, a .gguf, a tokenizer.json. */
struct tok *tokload_path(const char *path, struct err *e);

/* Write the tokenizer's keys to a GGUF, standard ones and
 * llmutils.tokenizer.* for what GGUF has no key for (the regular expression,
 * normalizers), so that tokload_gguf gives the same tokenizer back. rows is the
 * number of rows of the embedding, which checkpoints round up: ids from tok_size
 * to rows - 1 become unused tokens "[PAD<id>]" (the arrays must be that long). */
void tokload_put_gguf(const struct tok *t, int rows, struct gguf_writer *w);

/* Write tokenizer.json and tokenizer_config.json into dir, for HF. */
int tokload_put_dir(const struct tok *t, const char *dir, struct err *e);

#endif
