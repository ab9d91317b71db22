/* cuda.h - what the files of the CUDA backend share: views of device memory, and launchers.
 *
 * cuda.c is the backend: memory, steps, graphs, and the table of ops. An op family is NAME.cu:
 * kernels and their launchers, which are plain C functions that only queue work on a stream.
 *
 * The arithmetic is the CPU's, operation by operation (libcommon/backend.h, kernels/cpu): the same
 * integers, the same fma chains, the same trees of sums. So both give the same bytes, except where
 * weights are BF16 or F16: those are multiplied on tensor cores, whose sums have an order of their
 * own, which depends neither on the number of tokens nor on the grid. */
#ifndef CUDA_H
#define CUDA_H

#include <cuda_runtime_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    CUDA_PAGE = 64,   // positions of a page: BACKEND_PAGE
    CUDA_RANGE = 512, // keys that are summed before they are joined with those before them
    CUDA_RUN = 8,     // tokens of a sequence, one after the other, that are computed together
    CUDA_TREE = 64,   // BACKEND_TREE
};

/* struct step in device memory, at addresses that stay. Counts are of the bucket that a graph was
 * recorded for: n and n_out are exact, n_ranges and max_pages at least what is needed. */
struct cuda_step {
    int n, n_out, max_pages;
    int n_ranges; // at least (the largest last) / CUDA_RANGE + 1
    const int32_t *token, *pos, *seq, *page, *out, *last, *slot; // last and slot are never NULL
    bool runs; // some tokens are in runs of CUDA_RUN
    int n_lone;
    const int32_t *lone; // (n_lone) the tokens that are in none; NULL: all, or not known
    /* struct tree, of steps in which a path bends; NULL of others: */
    const int32_t *bend, *tail, *row; // row (n_tails, PAGE): -1 too where there is no such page
    int n_tails;                      // at least what is needed
    void *tails;                      // of a layer: (n_tails, n_kv_heads, 2, PAGE * head_dim)
};

/* struct norm_weight. */
enum { CUDA_NORM_RMS, CUDA_NORM_LAYER }; // enum norm_kind
struct cuda_norm {
    int kind;
    float eps;
    const float *w, *b;
};

/* struct attn_shape; inv_freq in device memory. */
struct cuda_attn {
    int n_heads, n_kv_heads, head_dim, rope_dims, rope_pairs_apart, window;
    float scale, softcap;
    const float *inv_freq;
    struct cuda_norm q_norm, k_norm;
};

/* struct kv_pages: values of a page and KV head are keys (head_dim, PAGE), then values
 * (PAGE, head_dim), as on the CPU, in one of several types. */
enum cuda_kv_type { CUDA_KV_F32, CUDA_KV_F16, CUDA_KV_BF16, CUDA_KV_FP8, CUDA_KV_TYPES };
struct cuda_kv {
    void *data;
    int type; // enum cuda_kv_type
    int n_layers, n_pages, n_kv_heads, head_dim;
};

/* norm.cu, glu.cu. a, or NULL: where y goes as activations of a product as well, matrix.h; then dim
 * is a multiple of 64, and of a's block, and at most CUDA_FUSED. */
struct cuda_act;
enum { CUDA_FUSED = 16384 };
void cuda_norm(float *y, const float *x, const struct cuda_norm *w, int n, int dim, bool add,
               const struct cuda_act *a, cudaStream_t s);
enum { CUDA_SILU, CUDA_GELU, CUDA_RELU2, CUDA_GELU_ERF }; // enum ffn_act
void cuda_glu(float *y, const float *gu, int n, int dim, int gated, int act,
              const struct cuda_act *a, cudaStream_t s);
void cuda_softcap(float *x, float cap, size_t n, cudaStream_t s);
/* rope.cu */
void cuda_rope_kv(float *qkv, const struct cuda_attn *a, const struct cuda_kv *kv, int layer,
                  const struct cuda_step *st, cudaStream_t s);
void cuda_copy_page(const struct cuda_kv *kv, int dst, int src, cudaStream_t s);
/* attn.cu; part: scratch of cuda_attn_bytes for the largest step; act, or NULL: where y goes as
 * activations as well, in blocks of 32 or as BF16: then no token is in a run, and head_dim is a
 * multiple of 32 */
size_t cuda_attn_bytes(const struct cuda_attn *a, int n, int n_ranges);
void cuda_attn(float *y, const float *qkv, const struct cuda_attn *a, const struct cuda_kv *kv,
               int layer, const struct cuda_step *st, void *part, const struct cuda_act *act,
               cudaStream_t s);
/* tree.cu: the tail pages of a layer; places, as page * CUDA_PAGE + place, to others, one by one */
size_t cuda_tails_bytes(int n_kv_heads, int head_dim, int type, int n);
void cuda_tails(const struct cuda_kv *kv, int layer, const struct cuda_step *st, cudaStream_t s);
void cuda_move(const struct cuda_kv *kv, const int32_t *dst, const int32_t *src, int n,
               cudaStream_t s);
/* pick.cu: struct pick_ask and struct pick, in device memory, n of each; sums: any asks for a mass
 * or a draw; work: of cuda_pick_bytes */
enum { CUDA_PICK_MOST = 128, CUDA_PICK_IDS = 16 };
struct cuda_pick_ask {
    int row, n;
    float temp[2], draw;
    uint32_t key[2];
    uint64_t pos;
    int n_ids;
    int32_t id[CUDA_PICK_IDS];
};
struct cuda_pick {
    double mass[2];
    float x[CUDA_PICK_IDS];
    int n;
    int32_t drawn;
    float drawn_x;
    int reserved;
    struct {
        float x;
        int32_t id;
    } item[CUDA_PICK_MOST];
};
size_t cuda_pick_bytes(int vocab, int n);
void cuda_pick(struct cuda_pick *out, const struct cuda_pick_ask *ask, int n, bool sums,
               const float *logits, int vocab, void *work, cudaStream_t s);
/* gather.cu */
void cuda_gather(float *y, const float *x, const struct cuda_step *st, int dim, cudaStream_t s);

#ifdef __cplusplus
}
#endif

#endif
