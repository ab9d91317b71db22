/* device.h - the state of the CUDA backend, shared by its C files. */
#ifndef DEVICE_H
#define DEVICE_H

#include "backend.h"
#include "cuda.h"
#include "matrix.h"
#include "tree.h"

enum { CUDA_GRAPHS = 48, CUDA_GRAPH_TOKENS = 64, CUDA_PINNED = 4 << 20, CUDA_MIN_TAILS = 4 };

/* Device memory that is grown on demand, while nothing is recorded. */
struct cuda_buf {
    void *p;
    size_t bytes;
};

/* A recorded step: what it may be replayed for. */
struct cuda_key {
    const void *program;
    int n, n_out, stride, n_ranges, n_tails;
    enum cuda_runs { CUDA_NONE, CUDA_SOME, CUDA_ALL } runs; // of tokens, are in runs
};

struct cuda_graph {
    struct cuda_key key;
    cudaGraphExec_t exec; // NULL: seen once, not recorded yet
    uint64_t used;
};

/* Rows of a weight in device memory; several weights may share one (tied embeddings). */
struct cuda_rows {
    struct cuda_rows *next;
    const void *host; // of the first part
    int parts, uses;
    void *memory;
    struct cuda_matrix m;
};

/* A copy of host values that ops name by their host address. */
struct cuda_table {
    struct cuda_table *next;
    const void *host;
    void *p;
};

/* Activations of an op by what they are for: blocks of 32, of 256, F16, BF16; and BF16 that a
 * product leaves for the next one. */
enum { CUDA_ACT_32, CUDA_ACT_256, CUDA_ACT_F16, CUDA_ACT_BF16, CUDA_ACT_NEXT, CUDA_ACTS };

/* An op; some wait for the op behind them, which of few tokens may be done in the same kernel
 * (queue.c). */
struct cuda_op {
    enum { CUDA_NORM, CUDA_LINEAR, CUDA_GLU, CUDA_ROPE, CUDA_ATTN } kind;
    float *y;
    const float *x;
    int n, dim;
    bool add;
    struct cuda_norm norm;
    int gated, act;
    struct weight w;
    bool head; // of a product: each block makes its activations; else acts are there
    struct cuda_act acts[CUDA_ACTS];
    struct cuda_attn attn;
    struct cuda_kv kv;
    int layer;
};
enum { CUDA_OPS = 3 }; // that wait: norm, product, nonlinearity; or one alone

/* Angles of a step's tokens, for products (struct cuda_turn); models have one or two kinds. */
enum { CUDA_TURNS = 2 };
struct cuda_angles {
    const float *inv_freq; // whose they are in this step; NULL: nobody's yet
    int rope_dims;
    struct cuda_buf room;
};

struct cuda {
    struct backend b; // first
    struct backend_ops ops;
    char kind[32]; // its name
    int device, sms;
    char name[64];
    cudaStream_t stream;
    struct err failed; // sticky, reported by step_end
    struct cuda_rows *rows;
    struct cuda_table *tables;
    struct cuda_blas *blas;     // NULL: exact
    struct cuda_loader *loader; // NULL: nothing is on its way
    struct cuda_buf act[CUDA_ACTS], part, attn, tails;
    struct cuda_buf pick; // questions, answers, and what they take
    struct cuda_buf step; // arrays of the step, each with room for `tokens`
    int32_t *staged;      // the same in pinned host memory
    cudaEvent_t staged_free;
    int tokens, table, rows_tail; // capacities: tokens; entries of the page table; tail pages
    struct tree tree;             // of this step
    struct cuda_step now;
    struct cuda_angles angles[CUDA_TURNS];
    struct cuda_op op[CUDA_OPS]; // that wait
    int n_ops;
    int most;     // tokens of what is done in one kernel; -1: as queue.c's table says
    void *pinned; // (CUDA_PINNED) staging of downloads
    struct cuda_graph graph[CUDA_GRAPHS];
    int n_graphs;
    struct cuda_graph *current; // of this step: being recorded, or replayed; NULL: neither
    uint64_t clock;
    bool recording, broken; // broken: memory had to grow while a step was recorded
};

static inline struct cuda *cuda_of(struct backend *b)
{
    return (struct cuda *)b;
}

/* False, and sticky, when the call failed. */
bool cuda_ok(struct cuda *c, cudaError_t rc, const char *what);
/* At least `bytes` at b; contents undefined. False, and sticky, when memory is out. */
bool cuda_grow(struct cuda *c, struct cuda_buf *b, size_t bytes);

/* queue.c. cuda_push: op, once its inputs are there; cuda_flush: queue what waits, whose result is
 * left as activations as well if a is not NULL; cuda_ready: that, and is there anything to do? */
void cuda_push(struct cuda *c, const struct cuda_op *op);
void cuda_flush(struct cuda *c, const struct cuda_act *a);
bool cuda_ready(struct cuda *c, int n);

/* weight.c */
int cuda_weight(struct backend *b, struct weight *w, struct err *e);

/* step.c: the bracket, and recorded steps. */
int cuda_step_begin(struct backend *b, const struct step *s, struct err *e);
int cuda_step_end(struct backend *b, struct err *e);
void cuda_graphs_drop(struct cuda *c);
void cuda_step_close(struct cuda *c);

/* ask.c; what questions take: a constant */
size_t cuda_ask_bytes(void);
int cuda_pick_rows(struct backend *b, const float *logits_d, int vocab, const struct pick_ask *ask,
                   int n, struct pick *out, struct err *e);

/* blas.c: products of more than CUDA_GRAPH_TOKENS tokens, after cuda_blas_open. The activations of
 * an op, then its products by the matrices of its weight. */
int cuda_blas_open(struct backend *b, struct err *e);
void cuda_blas_close(struct cuda *c);
size_t cuda_blas_bytes(const struct cuda *c, int n, int cols);
bool cuda_blas_act(struct cuda *c, const float *x, int n, int cols);
void cuda_blas_product(struct cuda *c, float *y, int ldy, bool add, const struct cuda_matrix *m,
                       int n);

/* mark.c: the same with ranges for profilers around them; for one table. */
const struct backend_ops *cuda_marked(const struct backend_ops *ops);

/* plan.c */
int64_t cuda_available(struct backend *b);
size_t cuda_weight_bytes(const struct backend *b, const struct weight *w);
size_t cuda_work_bytes(const struct backend *b, const struct attn_shape *a, int n, int positions,
                       int cols, int nodes);
void cuda_describe(const struct backend *b, char *out, size_t size);

/* load.c: rows of files into panels, while the caller goes on; with `pairs` half of the rows are
 * there, those of m's second half. cuda_load_wait: all of them. */
int cuda_load(struct cuda *c, const struct cuda_matrix *m, const void *host, const void *pairs,
              size_t row_bytes, int first, int rows, struct err *e);
void cuda_load_drop(struct cuda *c); // what has not begun is not loaded
int cuda_load_wait(struct cuda *c, struct err *e);

#endif
