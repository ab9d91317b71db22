/* tensor.c - tensor types, block sizes, shapes. */
#include "tensor.h"

#include "mem.h"

#include <stdlib.h>
#include <strings.h>

static const struct {
    const char *name;
    int block; // values
    int bytes;
} type[T_NTYPES] = {
    [T_F32] = {"F32", 1, 4},          [T_F16] = {"F16", 1, 2},
    [T_Q4_0] = {"Q4_0", 32, 18},      [T_Q4_1] = {"Q4_1", 32, 20},
    [T_Q5_0] = {"Q5_0", 32, 22},      [T_Q5_1] = {"Q5_1", 32, 24},
    [T_Q8_0] = {"Q8_0", 32, 34},      [T_Q2_K] = {"Q2_K", 256, 84},
    [T_Q3_K] = {"Q3_K", 256, 110},    [T_Q4_K] = {"Q4_K", 256, 144},
    [T_Q5_K] = {"Q5_K", 256, 176},    [T_Q6_K] = {"Q6_K", 256, 210},
    [T_IQ4_NL] = {"IQ4_NL", 32, 18},  [T_I8] = {"I8", 1, 1},
    [T_I16] = {"I16", 1, 2},          [T_I32] = {"I32", 1, 4},
    [T_I64] = {"I64", 1, 8},          [T_F64] = {"F64", 1, 8},
    [T_BF16] = {"BF16", 1, 2},        [T_MXFP4] = {"MXFP4", 32, 17},
    [T_NVFP4] = {"NVFP4", 64, 36},    [T_IQ2_XXS] = {"IQ2_XXS", 256, 66},
    [T_IQ2_XS] = {"IQ2_XS", 256, 74}, [T_IQ3_XXS] = {"IQ3_XXS", 256, 98},
    [T_IQ1_S] = {"IQ1_S", 256, 50},   [T_IQ3_S] = {"IQ3_S", 256, 110},
    [T_IQ2_S] = {"IQ2_S", 256, 82},   [T_IQ4_XS] = {"IQ4_XS", 256, 136},
    [T_IQ1_M] = {"IQ1_M", 256, 56},   [T_TQ1_0] = {"TQ1_0", 256, 54},
    [T_TQ2_0] = {"TQ2_0", 256, 66},
};

static int known(enum tensor_type t)
{
    return (int)t >= 0 && (int)t < T_NTYPES && type[t].name;
}

const char *tensor_type_name(enum tensor_type t)
{
    return known(t) ? type[t].name : NULL;
}

int tensor_type_find(const char *name, enum tensor_type *out)
{
    for (int t = 0; t < T_NTYPES; t++)
        if (type[t].name && !strcasecmp(type[t].name, name)) {
            *out = (enum tensor_type)t;
            return 0;
        }
    return -1;
}

int tensor_block(enum tensor_type t)
{
    return known(t) ? type[t].block : 0;
}

size_t tensor_block_bytes(enum tensor_type t)
{
    return known(t) ? (size_t)type[t].bytes : 0;
}

int64_t tensor_cols(const struct tensor *t)
{
    return t->n_dims ? t->shape[t->n_dims - 1] : 1;
}

int64_t tensor_rows(const struct tensor *t)
{
    int64_t n = 1;

    for (int i = 0; i < t->n_dims - 1; i++)
        n *= t->shape[i];
    return n;
}

size_t tensor_row_bytes(enum tensor_type t, int64_t cols)
{
    return known(t) ? (size_t)(cols / type[t].block) * (size_t)type[t].bytes : 0;
}

int tensor_size(enum tensor_type t, int n_dims, const int64_t *shape, int64_t *n, size_t *bytes,
                struct err *e)
{
    int64_t count = 1, cols = n_dims > 0 ? shape[n_dims - 1] : 1;
    size_t blocks;

    if (!known(t))
        return err_set(e, ERR_DATA, "unknown tensor type %d", (int)t);
    if (n_dims < 0 || n_dims > TENSOR_DIMS)
        return err_set(e, ERR_DATA, "%d dimensions (limit %d)", n_dims, TENSOR_DIMS);
    for (int i = 0; i < n_dims; i++) {
        if (shape[i] < 0)
            return err_set(e, ERR_DATA, "dimension %d is negative", i);
        if (__builtin_mul_overflow(count, shape[i], &count))
            return err_set(e, ERR_DATA, "tensor size overflows");
    }
    if (cols % type[t].block)
        return err_set(e, ERR_DATA, "row of %lld values is not a multiple of %s's block of %d",
                       (long long)cols, type[t].name, type[t].block);
    blocks = (size_t)(count / type[t].block);
    if (!mem_mul(blocks, (size_t)type[t].bytes, bytes) || *bytes > INT64_MAX)
        return err_set(e, ERR_DATA, "tensor size overflows");
    *n = count;
    return 0;
}

static int by_place(const void *a, const void *b)
{
    const struct tensor *x = *(const struct tensor *const *)a,
                        *y = *(const struct tensor *const *)b;
    uintptr_t px = (uintptr_t)x->data, py = (uintptr_t)y->data;

    return px < py ? -1 : px > py;
}

int tensor_overlap(const struct tensor *t, int n, struct err *e)
{
    const struct tensor **order = mem_new((size_t)n * sizeof(*order));
    int rc = 0;

    for (int i = 0; i < n; i++)
        order[i] = &t[i];
    qsort(order, (size_t)n, sizeof(*order), by_place);
    for (int i = 1; i < n && !rc; i++)
        if ((uintptr_t)order[i]->data - (uintptr_t)order[i - 1]->data < order[i - 1]->bytes)
            rc = err_set(e, ERR_DATA, "tensor '%s' overlaps '%s'", order[i]->name,
                         order[i - 1]->name);
    free(order);
    return rc;
}
