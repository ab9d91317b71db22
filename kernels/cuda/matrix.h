/* matrix.h - weights as they lie in device memory: panels of sixteen rows, in the order of the
 * fragments of mma.sync (PTX ISA, m16n8k32 and m16n8k16), so that a lane's next operands are
 * its next 16 bytes.
 *
 * Quantized values lie in planes, for a panel one after the other:
 *   low    tiles of 64 values of K. 8 bits: (tile, k32, lane, 16 B). 4 bits: (tile, lane, 16 B),
 * the low nibbles of a byte are of the first k32 of the tile, the high ones of the second; for
 *          types whose nibbles name levels, sixteen bits hold the four nibbles of a register.
 *          2 bits: (half of 256, lane, 16 B), two bits of a byte for each k32 of the half.
 *   high   1 bit: (tile, lane, 4 B), bit 2 r + i of a byte is of register r of k32 i; types with
 *          blocks of 256: (256, lane, tile, 4 B). 2 bits: (half of 256, lane, k32, 4 B), bits 2 r.
 *   scale  blocks of 32: (tile, k32, row) halves, or bytes (MXFP4), NVFP4 (tile, k16, row) bytes.
 *          256: (256, row) pairs of halves d, m.
 *   min    as scale; or for blocks of 256: (256, row, 16 B) of scales and minima of its groups.
 * Register r of a lane holds values 16 (r / 2) + 4 (lane % 4) + (0..3) of row lane / 4 + 8 (r % 2).
 *
 * F16 and BF16: (k16, lane, 16 B) in the order of m16n8k16. F32: (row, cols), as in the file.
 *
 * Rows stand in panels one after the other; or in pairs, where a product's outputs are read in
 * pairs: a panel has the first rows of eight pairs, and below them the second ones. So one thread
 * has both sums of a pair, in any kernel. Pairs are gate and up, from the matrix's halves; or of
 * heads the values that rotate together. */
#ifndef MATRIX_H
#define MATRIX_H

#include "cuda.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { MATRIX_ROWS = 16, MATRIX_TILE = 64, MATRIX_SUPER = 256 };

/* How the values of a type are stored and what they mean. */
struct matrix_format {
    int block;     // values that share a d: 16, 32, 256; 1 for floats
    int low, high; // bits in the planes
    int zero;      // is subtracted from the value
    int levels;    // 0 none, 1 IQ4_NL's, 2 those of FP4
    int min;       // there is a minimum
    int group;     // blocks of 256: values that share a scale, 16 or 32
};

/* Activations of an op, in the order of fragments, n tokens:
 *   q      int8 (K / 64, ld, 4, 16 B): per lane % 4 the words k32 0: k16 0, 1; k32 1: k16 0, 1
 *   d      (K / block, ld)
 *   s16    sums of 16 values of q (K / 256, ld, 16);  s32 of 32 (K / 256, ld, 8)
 *   h      F16 or BF16, up to eight tokens (K / 32, ld, 4, 16 B): per lane % 4 the words k16 0: k8
 *          0, 1; k16 1: k8 0, 1; more (K / 8, ld, 16 B): eight values
 *   scale  (ld) power of two that h was divided by
 * Columns from n to ld may be read and mean nothing. */
struct cuda_act {
    int n, ld, cols, block; // ld: n rounded up to 8, but 1 for 1; block 32 or 256, 1: F16 or BF16
    const int8_t *q;
    const float *d;
    const int16_t *s16, *s32;
    const uint8_t *h;
    const float *scale;
};

/* What becomes of the pairs of heads' values among a product's outputs: those of the first
 * rope_dims rotate, keys and values are appended to the cache as well. pairs.cuh. */
struct cuda_turn {
    const float *by;      // (n, rope_dims / 2, 2): cosine, sine; NULL: nothing becomes of them
    const int32_t *place; // (n): page * CUDA_PAGE + place in it
    void *pages;          // of the layer
    int type;             // enum cuda_kv_type
    int n_heads, n_kv_heads, head_dim, rope_dims;
};

/* What becomes of the pairs a, b of a product's outputs: act(a) * b, and they are not written. */
struct cuda_glu {
    float *y; // (n, rows / 2); NULL: nothing, they are
    int act;
    struct cuda_act a; // BF16: where y goes as activations as well; block 0: nowhere
};

/* One matrix, or several of a type one below the other. */
struct cuda_matrix {
    int type, rows, cols;
    int row0;  // of the op's output, where its first row goes
    int apart; // rows r and r + apart, of each 2 * apart, are a pair; 0: there are none
    const uint8_t *low, *high, *scale, *min;
    const float *bias; // (rows) or NULL
    struct cuda_glu glu;
    struct cuda_turn turn;
};

/* What a product of few tokens with half floats does ahead of its sums, in the same kernel
 * (fuse.cuh): its activations are there (a), or each block makes them of rows of floats or of their
 * norm. */
enum { CUDA_HEAD_NONE, CUDA_HEAD_ROWS, CUDA_HEAD_NORM };
struct cuda_head {
    int kind;
    const float *x; // (n, cols)
    float *y;       // (n, cols): where a norm's values go as well; or NULL
    struct cuda_norm norm;
};

#ifdef __CUDACC__
#define MATRIX_FN static __host__ __device__ inline
#else
#define MATRIX_FN static inline
#endif

/* The row that stands at place `at` of a panel, where pairs are so far apart, or there are none
 * (0); the same of a matrix; and panel * 16 + at of a row. */
MATRIX_FN int matrix_row_apart(int apart, int panel, int at)
{
    const int pair = panel * 8 + at % 8;

    return apart ? pair / apart * 2 * apart + pair % apart + at / 8 * apart
                 : panel * MATRIX_ROWS + at;
}

MATRIX_FN int matrix_row(const struct cuda_matrix *m, int panel, int at)
{
    return matrix_row_apart(m->apart, panel, at);
}

MATRIX_FN int matrix_place(const struct cuda_matrix *m, int row)
{
    const int apart = m->apart, pair = apart ? row / (2 * apart) * apart + row % apart : 0;

    return apart ? pair / 8 * MATRIX_ROWS + pair % 8 + row / apart % 2 * 8 : row;
}

/* Are its pairs rows of the first half and of the second? */
MATRIX_FN int matrix_halves(const struct cuda_matrix *m)
{
    return m->apart && 2 * m->apart == m->rows;
}

/* Rows of the file that fill whole panels, in parts of the matrix that are loaded one by one; and
 * how far apart pairs are in such a part, of `rows`. */
MATRIX_FN int matrix_unit(const struct cuda_matrix *m)
{
    return !matrix_halves(m) && 2 * m->apart > MATRIX_ROWS ? 2 * m->apart : (int)MATRIX_ROWS;
}

MATRIX_FN int matrix_apart(const struct cuda_matrix *m, int rows)
{
    return matrix_halves(m) ? rows / 2 : m->apart;
}

/* By enum tensor_type; block 0: not a type that the backend multiplies with. */
MATRIX_FN struct matrix_format matrix_format(int type)
{
    struct matrix_format f = {0, 0, 0, 0, 0, 0, 0};

    switch (type) {
    case 0:  // F32
    case 1:  // F16
    case 30: // BF16
        f.block = 1;
        break;
    case 8: // Q8_0
        f.block = 32, f.low = 8;
        break;
    case 2: // Q4_0
        f.block = 32, f.low = 4, f.zero = 8;
        break;
    case 3: // Q4_1
        f.block = 32, f.low = 4, f.min = 1;
        break;
    case 6: // Q5_0
        f.block = 32, f.low = 4, f.high = 1, f.zero = 16;
        break;
    case 7: // Q5_1
        f.block = 32, f.low = 4, f.high = 1, f.min = 1;
        break;
    case 20: // IQ4_NL
        f.block = 32, f.low = 4, f.levels = 1;
        break;
    case 39: // MXFP4
        f.block = 32, f.low = 4, f.levels = 2;
        break;
    case 40: // NVFP4
        f.block = 16, f.low = 4, f.levels = 2;
        break;
    case 10: // Q2_K
        f.block = 256, f.low = 2, f.min = 1, f.group = 16;
        break;
    case 11: // Q3_K
        f.block = 256, f.low = 2, f.high = 1, f.zero = 4, f.group = 16;
        break;
    case 12: // Q4_K
        f.block = 256, f.low = 4, f.min = 1, f.group = 32;
        break;
    case 13: // Q5_K
        f.block = 256, f.low = 4, f.high = 1, f.min = 1, f.group = 32;
        break;
    case 14: // Q6_K
        f.block = 256, f.low = 4, f.high = 2, f.zero = 32, f.group = 16;
        break;
    }
    return f;
}

/* Bytes of one panel of each plane, of a matrix of `cols` columns; 0: there is no such plane. */
struct matrix_planes {
    size_t low, high, scale, min;
};

MATRIX_FN struct matrix_planes matrix_planes(int type, int cols)
{
    struct matrix_format f = matrix_format(type);
    size_t tiles = ((size_t)cols + MATRIX_TILE - 1) / MATRIX_TILE, supers = (size_t)cols / 256;
    struct matrix_planes p = {0, 0, 0, 0};

    if (f.block == 1) {
        p.low = type == 0 ? (size_t)cols * 64 : tiles * 2048;
        return p;
    }
    p.low = tiles * 128 * (size_t)f.low;
    p.high = tiles * 128 * (size_t)f.high;
    if (f.block == 256) {
        p.scale = supers * 64;
        p.min = supers * 256;
    } else {
        p.scale = tiles * (f.levels == 2 && f.block == 32 ? 32 : 64);
        p.min = f.min ? tiles * 64 : 0;
    }
    return p;
}

/* repack.cu: `rows` rows of the file's bytes (in device memory) into m's panels from place `first`
 * on, a multiple of 16. Of a matrix of pairs the second half of them are those that belong to the
 * first. first and rows are multiples of matrix_unit(), but the last rows. */
void cuda_repack(const struct cuda_matrix *m, const uint8_t *raw, int first, int rows,
                 cudaStream_t s);
/* act.cu: x (n, cols) into a's arrays; those of a's block must be there. half: T_F16 or T_BF16. */
void cuda_act_quantize(const struct cuda_act *a, const float *x, cudaStream_t s);
void cuda_act_half(const struct cuda_act *a, const float *x, int half, cudaStream_t s);
size_t cuda_act_bytes(int n, int cols, int block);
/* Where the arrays of `bytes` at p are. */
struct cuda_act cuda_act_place(void *p, int n, int cols, int block);
/* y (n, ldy) = or += m x + bias, by the kernels of a kind of types; a holds x. What they give does
 * not depend on n: few and few_k are for up to eight tokens, many for more. part: of
 * cuda_linear_part_bytes, for half floats of more than eight tokens. */
void cuda_linear_few(float *y, int ldy, bool add, const struct cuda_matrix *m,
                     const struct cuda_act *a, int sms, cudaStream_t s);
void cuda_linear_few_k(float *y, int ldy, bool add, const struct cuda_matrix *m,
                       const struct cuda_act *a, int sms, cudaStream_t s);
void cuda_linear_many(float *y, int ldy, bool add, const struct cuda_matrix *m,
                      const struct cuda_act *a, int sms, cudaStream_t s);
/* The same, for a GPU of so many multiprocessors and so much shared memory a block (0: this one's),
 * by one of the cuts of many.cuh, or the cheapest (-1); which it was. many_k: blocks of 256. */
enum { MANY_CUTS = 4 };
struct many_way {
    int sms, shared, cut;
};
int cuda_linear_many_by(const struct many_way *way, float *y, int ldy, bool add,
                        const struct cuda_matrix *m, const struct cuda_act *a, cudaStream_t s);
int cuda_linear_many_k(const struct many_way *way, float *y, int ldy, bool add,
                       const struct cuda_matrix *m, const struct cuda_act *a, cudaStream_t s);
/* n at most 8; head: of zeros where there is none. a: without arrays if each block makes it
 * (cuda_head). */
void cuda_linear_half_few(float *y, int ldy, bool add, const struct cuda_matrix *m,
                          const struct cuda_act *a, const struct cuda_head *head, int sms,
                          cudaStream_t s);
void cuda_linear_half(float *y, int ldy, bool add, const struct cuda_matrix *m,
                      const struct cuda_act *a, void *part, int sms, cudaStream_t s);
void cuda_linear_float(float *y, int ldy, bool add, const struct cuda_matrix *m, const float *x,
                       int n, cudaStream_t s);
size_t cuda_linear_part_bytes(const struct cuda_matrix *m, int n, int sms);
/* Is this product, with half floats, one of half_wide.cu's? */
bool cuda_linear_is_wide(const struct cuda_matrix *m, int n, int sms);
/* turn.cu: what an op's turn is, and its arrays, in a room of cuda_turn_bytes; t's arrays filled.
 */
size_t cuda_turn_bytes(int n, int rope_dims);
void cuda_turn_of(struct cuda_turn *t, void *room, const struct cuda_attn *a,
                  const struct cuda_kv *kv, int layer, const struct cuda_step *st);
void cuda_turn_fill(const struct cuda_turn *t, const struct cuda_attn *a,
                    const struct cuda_step *st, cudaStream_t s);
/* embed.cu: y (n, cols) = scale * rows token[i] of m, plus rows pos[i] of `positions` or NULL. */
void cuda_embed(float *y, const struct cuda_matrix *m, const struct cuda_matrix *positions,
                float scale, const struct cuda_step *st, cudaStream_t s);

#ifdef __cplusplus
}
#endif

#endif
