/* inspect.h - say what a model file is, and verify one in full. */
#ifndef INSPECT_H
#define INSPECT_H

#include "buf.h"
#include "err.h"
#include "source.h"
#include "tok.h"

#include <stdint.h>

/* Append a JSON object without line ends: format, architecture, sizes, types of
 * the tensors, tokenizer, memory needed by weight type. What this program
 * cannot run is described as far as it is understood: "supported" is false and
 * "reason" says why. -1 only when the file cannot be read as its format.
 * tokenizer: of a llama2.c checkpoint, may be NULL. */
int inspect_info(const char *path, const char *tokenizer, struct buf *out, struct err *e);

struct inspect_count {
    int tensors, unknown;
    int64_t values;
};

/* Verify everything: headers, hyperparameters, shapes, every value of every
 * tensor finite (of quantized blocks: what they read as), the tokenizer and its
 * size against the embedding. tokenizer as above, but needed for llama2.c.
 * watch may be NULL. */
int inspect_check(const char *path, const char *tokenizer, const struct source_watch *watch,
                  struct inspect_count *n, struct err *e);

#endif
