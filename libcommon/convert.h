/* convert.h - write a model as GGUF or as a Hugging Face directory.
 *
 * Tensor by tensor, in pieces of rows: memory does not depend on the model's
 * size. The output is a pure function of the input's bytes and the type. */
#ifndef CONVERT_H
#define CONVERT_H

#include "err.h"
#include "source.h"
#include "tok.h"

#include <stdbool.h>

/* Types of matrices that are written; vectors of a GGUF are always F32. Auto
 * keeps a matrix's type where the output can hold it, else takes F16; in a
 * directory, F32 tensors get the embedding's type where that loses nothing. */
enum convert_type { CONVERT_AUTO, CONVERT_F32, CONVERT_F16, CONVERT_BF16, CONVERT_Q8_0 };

extern const char *const convert_types[]; // "auto", "f32", ...; NULL-terminated

/* Both need source_parts. A value that is not finite, or too large for the type
 * it is written as, is an error that names the tensor. An existing output is
 * refused unless force. A row that is no multiple of 32 becomes F16 instead of Q8_0. */
int convert_gguf(const struct source *s, const struct tok *tok, const char *path,
                 enum convert_type type, bool force, struct err *e);

/* config.json, the tokenizer's files and one model.safetensors (last, so that a
 * directory that holds it is complete). Q8_0 is refused; what is quantized
 * becomes F16 under auto. */
int convert_dir(const struct source *s, const struct tok *tok, const char *path,
                enum convert_type type, bool force, struct err *e);

#endif
