/* tensor.h - tensor types, block sizes, shapes.
 *
 * Types carry ggml's numbers, since that is what files hold. Shapes are written
 * outermost first, so a weight matrix is (rows, cols) and y = W x. */
#ifndef TENSOR_H
#define TENSOR_H

#include "err.h"

#include <stddef.h>
#include <stdint.h>

enum tensor_type {
    T_F32 = 0,
    T_F16 = 1,
    T_Q4_0 = 2,
    T_Q4_1 = 3,
    T_Q5_0 = 6,
    T_Q5_1 = 7,
    T_Q8_0 = 8,
    T_Q2_K = 10,
    T_Q3_K = 11,
    T_Q4_K = 12,
    T_Q5_K = 13,
    T_Q6_K = 14,
    T_IQ4_NL = 20,
    T_I8 = 24,
    T_I16 = 25,
    T_I32 = 26,
    T_I64 = 27,
    T_F64 = 28,
    T_BF16 = 30,
    T_MXFP4 = 39,
    T_NVFP4 = 40,
    // of these only the sizes are known, quant_read refuses them
    T_IQ2_XXS = 16,
    T_IQ2_XS = 17,
    T_IQ3_XXS = 18,
    T_IQ1_S = 19,
    T_IQ3_S = 21,
    T_IQ2_S = 22,
    T_IQ4_XS = 23,
    T_IQ1_M = 29,
    T_TQ1_0 = 34,
    T_TQ2_0 = 35,
    T_NTYPES = 64, // one past the largest number a file may name here
};

enum { TENSOR_DIMS = 4 };

struct tensor {
    const char *name; // borrowed from its file
    enum tensor_type type;
    int n_dims;                 // 0..4; 0 is a scalar
    int64_t shape[TENSOR_DIMS]; // outermost first; entries from n_dims on are 1
    const void *data;           // in the file's map
    size_t bytes;
};

const char *tensor_type_name(enum tensor_type t);              // "Q8_0", or NULL when unknown
int tensor_type_find(const char *name, enum tensor_type *out); // any case; -1 when unknown
int tensor_block(enum tensor_type t);                          // values per block; 0 = unknown type
size_t tensor_block_bytes(enum tensor_type t);

/* Rows and columns of a tensor seen as a matrix: cols is the innermost dimension. */
int64_t tensor_cols(const struct tensor *t);
int64_t tensor_rows(const struct tensor *t);

/* Number of values and bytes of a shape, every product checked; ERR_DATA when a
 * dimension is negative, cols is no multiple of the block, or the size overflows. */
int tensor_size(enum tensor_type t, int n_dims, const int64_t *shape, int64_t *n, size_t *bytes,
                struct err *e);
/* ERR_DATA when the data of two of n tensors of one file overlap. */
int tensor_overlap(const struct tensor *t, int n, struct err *e);

size_t tensor_row_bytes(enum tensor_type t, int64_t cols);

#endif
