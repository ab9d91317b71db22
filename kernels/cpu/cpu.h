/* cpu.h - what the files of the CPU backend share.
 *
 * An op family is NAME.c, which splits the work over threads, and NAME_isa.h,
 * which does it and is compiled once for every instruction set by isa_*.c. All
 * of them give the same bytes: isa_scalar.c is the oracle. */
#ifndef CPU_H
#define CPU_H

#include "backend.h"
#include "err.h"
#include "tensor.h"
#include "thread.h"
#include "tree.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CPU_LANES = 16,      // partial sums of a float dot; rows of a quantized panel
    CPU_PANEL_ROWS = 16, // rows of weights that are unpacked at once
    CPU_ACT_COLS = 512,  // activations that are quantized at once
    CPU_QUERIES = 64,    // heads of tokens that share one pass over the pages
    CPU_RANGE = 512,     // keys that are summed before they are joined with those before them
};

/* Activations as int8, for weights of one block size (32 or 256), in groups of up
 * to `group` tokens that are computed together. A group of n tokens lies at its
 * first token's place in arrays of
 *   q    (cols / 4, n, 4)        x = d * q
 *   d    (cols / block, n)
 *   s16  (cols / 32, n, 2)       sums of 16 values of q
 *   s32  (cols / 64, n, 2)       of 32 values; cols / 64 rounded up */
struct cpu_act {
    int block, group;
    int8_t *q;
    float *d;
    int16_t *s16, *s32;
};

/* Tokens of the group that token t of n is in, and its first one. Groups are of equal
 * size, give or take one. */
static inline int cpu_act_group(int n, int t, int group, int *first)
{
    int64_t groups = (n + group - 1) / group, i = (((int64_t)t + 1) * groups - 1) / n;
    int from = (int)(i * n / groups);

    if (first)
        *first = from;
    return (int)((i + 1) * n / groups) - from;
}

/* y = W x over one part of a weight. */
struct cpu_linear {
    enum tensor_type type;
    const uint8_t *w; // (rows, row_bytes)
    size_t row_bytes;
    int rows, cols, n;
    const float *bias;  // (rows) or NULL
    const float *x;     // (n, cols)
    struct cpu_act act; // x again, for quantized weights
    float *y;           // (n, ldy), at this part's first row
    int ldy;
    bool add; // y += instead of y =
    /* Quantized: the rows as panels of sixteen, see panel_isa.h, or NULL: not there.
     * (rows rounded up to 16, row_bytes), aligned to 64; with `pack` still to be filled. */
    uint8_t *panels;
    bool pack;
};

/* A part of a weight. */
struct cpu_matrix {
    struct cpu_matrix *next; // of the backend
    const uint8_t *file;
    size_t file_bytes, bytes; // of its rows there, of its panels
    bool mapped;              // the file may be dropped
    uint8_t *panels;          // NULL until they are filled
    int uses;                 // ops that multiplied by it, up to 2
    size_t each;              // bytes between the rows that two workers begin with
    struct cpu_matrix *then;  // of the product after it, when it was used before
};

/* Of the product that is next: the first part of its weight. Workers read all but `last`. */
struct cpu_ahead {
    struct cpu_matrix *last; // of the product before
    _Atomic(const uint8_t *) at;
    _Atomic size_t each, bytes;
    _Atomic uint32_t turn;           // another number for each product
    struct cpu_ahead_worker *worker; // (n_threads)
};

/* Memory for panels, in large pages where there are such. */
struct cpu_region {
    struct cpu_region *next;
    uint8_t *p;
    size_t bytes, used;
};

/* Attention of one layer. */
struct cpu_attn {
    const struct attn_shape *a;
    const struct kv_pages *kv;
    const struct step *s;
    const float *qkv;
    float *y;
    int layer;
    float *part; // (n, n_heads, n_ranges, 2 + head_dim): m, l and o of ranges, or NULL
    int n_ranges;
    const struct tree *tree; // of the step, and its tail pages: (tree->n, n_kv_heads, 2, PAGE *
    uint8_t *tails;          // head_dim) as in the cache, numbered from n_pages on
};

/* The first position that a token at `pos` sees. */
static inline int cpu_attn_first(const struct attn_shape *a, int pos)
{
    return a->window > 0 && pos >= a->window ? pos - a->window + 1 : 0;
}

/* The last one. */
static inline int cpu_attn_last(const struct step *s, int t)
{
    return s->last ? s->last[t] : s->pos[t];
}

/* Where the output, and the part of a range, of one head of token t stands. */
static inline float *cpu_attn_y(const struct cpu_attn *j, int t, int head)
{
    return j->y + ((size_t)t * (size_t)j->a->n_heads + (size_t)head) * (size_t)j->a->head_dim;
}

static inline float *cpu_attn_part(const struct cpu_attn *j, int t, int head, int range)
{
    size_t i = (size_t)t * (size_t)j->a->n_heads + (size_t)head;

    return j->part + (i * (size_t)j->n_ranges + (size_t)range) * (size_t)(j->a->head_dim + 2);
}

/* Bytes of scratch that a worker of attn needs: scores, sums, queries and outputs, and the keys and
 * values of a page as floats where the cache has them otherwise. */
static inline size_t cpu_attn_bytes(const struct kv_pages *kv)
{
    size_t dim = (size_t)kv->head_dim, page = kv->type == KV_F32 ? 0 : 2 * BACKEND_PAGE * dim;

    return (16 * BACKEND_PAGE + CPU_QUERIES * (16 + 2 * dim) + page) * sizeof(float);
}

/* Loops at the machine's limits; their values are there to be needed. */
struct cpu_probe {
    uint64_t (*read)(const void *p, size_t n);
    uint64_t (*int8)(int64_t rounds);
    uint64_t (*fma)(int64_t rounds);
    int int8_of_round, fma_of_round; // multiply-adds
};

struct cpu_kernels {
    const char *name;
    const struct cpu_probe *probe;
    int group;   // tokens that linear_quant computes together
    bool panels; // linear_quant works on panels
    /* Rows [begin, end) of one part for all tokens, begin a multiple of 16; scratch is
     * cpu_scratch_bytes. */
    void (*linear_float)(const struct cpu_linear *l, int begin, int end, void *scratch);
    void (*linear_quant)(const struct cpu_linear *l, int begin, int end, void *scratch);
    /* Quantize columns [begin, end) of x (n, cols) of a group of tokens into a; begin a multiple of
     * CPU_ACT_COLS, and end one or cols. */
    void (*quantize)(const struct cpu_act *a, const float *x, int cols, int first, int of,
                     int begin, int end);
    /* One row; add: y += instead of y =. */
    void (*norm)(float *y, const float *x, const struct norm_weight *w, int dim, bool add);
    void (*glu)(float *y, const float *gu, const struct ffn_shape *f);
    void (*softcap)(float *x, float cap, int n);
    /* Rotate n_heads heads; cs holds cosines, then sines, of the rope_dims / 2 pairs. */
    void (*rope)(float *x, const float *cs, const struct attn_shape *a, int n_heads);
    /* A key and a value (dim) to where cpu_key and cpu_value say. */
    void (*append)(uint8_t *key, uint8_t *value, const float *k, const float *v, int dim,
                   enum kv_type type);
    /* Tokens t0 .. t0 + n - 1 (n <= CPU_QUERIES / heads of a group, or 1) and one
     * KV head: y, or with range >= 0 the part of that range. attn_parts: y of a head from parts. */
    void (*attn)(const struct cpu_attn *j, int t0, int n, int kv_head, int range, void *scratch);
    void (*attn_parts)(const struct cpu_attn *j, int t, int head);
    void (*row_max)(float *max, const float *x, int n);
    void (*row_exp)(float *e, float *sum, const float *x, int n, float temp, float shift);
    void (*dots)(float *y, const float *x, int n, const float *c, int m, int dim);
    void (*nearest)(float *best, int32_t *at, const float *x, int n, const float *c, int m, int dim,
                    int first, const float *x_rest, const float *c_rest);
};

extern const struct cpu_kernels cpu_kernels_scalar;
#if defined(__x86_64__)
extern const struct cpu_kernels cpu_kernels_avx2, cpu_kernels_avxvnni, cpu_kernels_avx512,
    cpu_kernels_vnni;
#endif

struct cpu {
    struct backend b; // first
    const struct cpu_kernels *k;
    struct thread_pool *pool;
    int n_threads;
    int max_cols;      // of all weights
    struct err failed; // sticky, reported by step_end
    uint8_t *scratch;  // (n_threads, scratch_bytes)
    size_t scratch_bytes;
    struct cpu_matrix *matrix;
    struct cpu_ahead ahead;
    struct cpu_region *region; // the last one has room
    size_t unpacked;           // bytes that the panels of all matrices without them would take
    bool repack;
    struct cpu_buf { // grown on demand
        void *p;
        size_t bytes;
    } act[2], rope, attn[4]; // int8 activations for blocks of 32 and of 256; cosines and sines;
                             // attention's scratch, blocks, parts of ranges, and tail pages
    const float *rope_of;    // inv_freq that `rope` was computed from in this step
    struct tree tree;        // of this step
};

/* Bytes of scratch that a worker of linear needs for rows of `cols` values. */
size_t cpu_scratch_bytes(int cols);
/* Where the panels of a matrix go, or NULL when there is no room or no wish. */
uint8_t *cpu_panels(struct cpu *c, struct cpu_matrix *m);
/* They are filled: the rows in the file are not needed any more. */
void cpu_panels_filled(struct cpu_matrix *m, uint8_t *panels);
/* Threads that wait ask for weights, from here on; until the pool is closed. */
void cpu_ahead_open(struct cpu *c);
void cpu_ahead_close(struct cpu *c);
/* A product begins whose weight's first part is m. Workers begin with rows that are `each` bytes
 * behind those of the worker before. */
void cpu_ahead(struct cpu *c, struct cpu_matrix *m, size_t each);
/* At least `bytes` at b, aligned to 64; contents undefined. False (and sticky) when memory is out.
 */
bool cpu_buf_grow(struct cpu *c, struct cpu_buf *b, size_t bytes);

/* Outputs of `work` multiply-adds each (or what takes as long) that make a chunk
 * worth handing to another thread: some 5 us. */
static inline int64_t cpu_grain(int64_t work)
{
    const int64_t chunk = 1 << 16;

    return work >= chunk ? 1 : chunk / (work > 0 ? work : 1);
}

static inline struct cpu *cpu_of(struct backend *b)
{
    return (struct cpu *)b;
}

/* Bytes of one KV head's keys, or values, in a page. */
static inline size_t cpu_kv_bytes(const struct kv_pages *kv)
{
    return BACKEND_PAGE * (size_t)kv->head_dim * kv_value_bytes(kv->type);
}

/* Address of one KV head's keys (which = 0) (head_dim, BACKEND_PAGE), or values (1)
 * (BACKEND_PAGE, head_dim), in a page. */
static inline uint8_t *cpu_page(const struct kv_pages *kv, int layer, int page, int head, int which)
{
    size_t at = ((size_t)layer * (size_t)kv->n_pages + (size_t)page) * (size_t)kv->n_kv_heads;

    return (uint8_t *)kv->data_d + ((at + (size_t)head) * 2 + (size_t)which) * cpu_kv_bytes(kv);
}

/* The same of a page of the cache or, numbered behind those, a tail page. */
static inline uint8_t *cpu_attn_page(const struct cpu_attn *j, int page, int head, int which)
{
    int tail = page - j->kv->n_pages;
    size_t at = ((size_t)tail * (size_t)j->kv->n_kv_heads + (size_t)head) * 2 + (size_t)which;

    if (tail < 0)
        return cpu_page(j->kv, j->layer, page, head, which);
    return j->tails + at * cpu_kv_bytes(j->kv);
}

/* Of one place: the first value of its key, the others are BACKEND_PAGE values apart; its value. */
static inline uint8_t *cpu_key(const struct kv_pages *kv, int layer, struct kv_place at, int head)
{
    return cpu_page(kv, layer, at.page, head, 0) + (size_t)at.at * kv_value_bytes(kv->type);
}

static inline uint8_t *cpu_value(const struct kv_pages *kv, int layer, struct kv_place at, int head)
{
    size_t bytes = (size_t)kv->head_dim * kv_value_bytes(kv->type);

    return cpu_page(kv, layer, at.page, head, 1) + (size_t)at.at * bytes;
}

/* The key and the value of a place to another: bytes as they are. */
void cpu_kv_move(const struct kv_pages *kv, uint8_t *key, uint8_t *value, const uint8_t *from_key,
                 const uint8_t *from_value);

/* The ops, a family a file. */
void cpu_copy(struct backend *b, const struct kv_pages *kv, int dst, int src);
void cpu_move(struct backend *b, const struct kv_pages *kv, const struct kv_place *dst,
              const struct kv_place *src, int n);
void cpu_embed(struct backend *b, float *y, const struct weight *w, const struct weight *positions,
               float scale, const struct step *s);
void cpu_gather(struct backend *b, float *y, const float *x, const struct step *s, int dim);
void cpu_norm(struct backend *b, float *y, const float *x, const struct norm_weight *w, int n,
              int dim);
void cpu_norm_add(struct backend *b, float *y, const float *x, const struct norm_weight *w, int n,
                  int dim);
void cpu_glu(struct backend *b, float *y, const float *gu, const struct ffn_shape *f, int n);
void cpu_softcap(struct backend *b, float *x, float cap, int n, int dim);
void cpu_linear(struct backend *b, float *y, const struct weight *w, const float *x, int n);
void cpu_linear_add(struct backend *b, float *y, const struct weight *w, const float *x, int n);
void cpu_rope_kv(struct backend *b, float *qkv, const struct attn_shape *a,
                 const struct kv_pages *kv, int layer, const struct step *s);
void cpu_attn(struct backend *b, float *y, const float *qkv, const struct attn_shape *a,
              const struct kv_pages *kv, int layer, const struct step *s);
void cpu_row_max(struct backend *b, float *max, const float *x, int n);
void cpu_row_exp(struct backend *b, float *e, float *sum, const float *x, int n, float temp,
                 float shift);
void cpu_dots(const struct backend *b, float *y, const float *x, int n, const float *c, int m,
              int dim);
void cpu_nearest(const struct backend *b, float *best, int32_t *at, const float *x, int n,
                 const float *c, int m, int dim, int first, const float *x_rest,
                 const float *c_rest);

#endif
