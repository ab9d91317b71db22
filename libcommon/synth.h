/* synth.h - models of random weights in known shapes, for measurements.
 *
 * What a model computes and how fast does not depend on its weights' values, so a
 * benchmark needs no download. The file is an ordinary GGUF of the llama family
 * with a SentencePiece vocabulary of invented syllables. */
#ifndef SYNTH_H
#define SYNTH_H

#include "err.h"
#include "tensor.h"

#include <stdbool.h>
#include <stdint.h>

extern const char *const synth_shapes[]; // names, the first is "none"; NULL-terminated
extern const char *const synth_types[];  // types of matrices, as tensor_type_name has them in lower
                                         // case; NULL-terminated

/* Write shape (an index into synth_shapes, not 0) with matrices of a type (an index
 * into synth_types): all of that type; vectors are F32. Values have mean 0 and
 * deviation 0.02. The bytes are a function of (shape, type, seed), however many
 * threads (0: as many as may be used) make them. ERR_ARG when the type's block
 * does not fit the rows, or path exists and force is not set. */
int synth_write(int shape, int type, uint64_t seed, int threads, const char *path, bool force,
                struct err *e);

#endif
