/* backend.h - what the model code asks of a device.
 *
 * libcommon calls these; kernels/cpu (and kernels/cuda) implement them. Tensors
 * are row-major; shapes are written outermost first. Pointers named _d are
 * device memory of that backend. Calls are asynchronous until sync or step_end.
 * Ops return nothing: failure is sticky and step_end reports it; what a backend
 * cannot do at all is refused by weight() at load.
 *
 * Promise of every op on the CPU: a row of the result depends on that row's
 * inputs only, in a fixed order of sums, so the same bytes come out for any
 * number of rows, threads, chunks, pages and instruction set (design, section 5). */
#ifndef BACKEND_H
#define BACKEND_H

#include "err.h"
#include "tensor.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BACKEND_PARTS = 3, BACKEND_PAGE = 64, BACKEND_ROW = 128, BACKEND_TREE = 64 };

/* y = W x + b. The rows of up to three matrices of a file lie one below the
 * other (q,k,v; gate,up), so that one op computes them all; they may differ in type. */
struct weight {
    int rows, cols; // rows of all parts together
    int pairs; // rows r and r + pairs, of each 2 * pairs, are read together: by glu, of halves,
               // or by rope_kv; 0: none
    int n_parts;
    struct weight_part {
        enum tensor_type type;
        int rows;
        const void *host;   // the file's bytes, borrowed for the life of the model
        const float *bias;  // (rows) host, or NULL
        bool mapped;        // host are pages of a file: dropped, they are read again
        void *w_d, *bias_d; // set by weight(), the backend's own
    } part[BACKEND_PARTS];
};

/* A norm over rows of dim values: x * w / sqrt(mean(x^2) + eps), or with NORM_LAYER
 * (x - mean(x)) * w / sqrt(var(x) + eps) + b. Families whose files hold w - 1 have
 * the 1 added at load. Zhang & Sennrich 2019; Ba et al. 2016. */
struct norm_weight {
    enum norm_kind { NORM_RMS, NORM_LAYER } kind;
    float eps;
    float *w_d, *b_d; // (dim); w_d NULL: there is no such norm; b_d NULL: no bias
};

/* How heads and positions of one layer's attention are laid out. */
struct attn_shape {
    int n_heads, n_kv_heads, head_dim;
    int rope_dims;         // leading dims of a head that rotate; 0: none
    int rope_pairs_apart;  // 0: pairs (2i, 2i+1), GGUF llama; 1: pairs (i, i + rope_dims/2), HF
    const float *inv_freq; // (rope_dims / 2) host
    float scale;           // of q.k, 1/sqrt(head_dim)
    float softcap;         // a score s becomes softcap * tanh(s / softcap); 0: stays s
    int window;            // keys that a token sees, itself and those before it; 0: all
    struct norm_weight q_norm, k_norm; // (head_dim) of each head before it rotates, or none
};

/* The nonlinearity of a feed-forward of dim values. */
struct ffn_shape {
    int dim;
    int gated; // act(gate) * up instead of act(up). Shazeer 2020
    enum ffn_act {
        FFN_SILU,     // x / (1 + e^-x)
        FFN_GELU,     // x / (1 + e^-2u), u = sqrt(2/pi) (x + 0.044715 x^3): the tanh form of GELU
        FFN_RELU2,    // max(x, 0)^2. So et al. 2021 (Primer)
        FFN_GELU_ERF, // x (1 + erf(x / sqrt 2)) / 2. Hendrycks & Gimpel 2016
    } act;
};

/* What keys and values are kept as; rounded to nearest even, FP8 (e4m3) to the largest where they
 * are above it. Of all but F32, a device may round queries and probabilities as well, and sum in an
 * order of its own (tensor cores), the same one in every step. */
enum kv_type { KV_F32, KV_F16, KV_BF16, KV_FP8, KV_TYPES, KV_AUTO };

static inline size_t kv_value_bytes(enum kv_type type)
{
    return type == KV_F32 ? 4 : type == KV_FP8 ? 1 : 2;
}

/* The pages of a cache: (n_layers, n_pages, n_kv_heads, 2, PAGE * head_dim) of a type: at 0 of the
 * fourth dimension the keys (already rotated), on the CPU as (head_dim, PAGE) so that they are
 * lanes of a vector; at 1 the values, as (PAGE, head_dim). Only rope_kv and attn look inside. */
struct kv_pages {
    void *data_d;
    int n_layers, n_pages, n_kv_heads, head_dim;
    enum kv_type type;
};

/* Where a position's key and value lie in the pages: (page, at) of each layer. */
struct kv_place {
    int32_t page, at; // at: 0 .. BACKEND_PAGE - 1
};

/* One forward step: n tokens of any mix of sequences (prefill chunks, decode
 * tokens, token trees). Sequences may share pages, also ones that this step writes: rope_kv of a
 * layer is done for all tokens before attn of that layer reads. No slot is written twice.
 * Host arrays; borrowed until step_end.
 *
 * A tree: up to BACKEND_TREE tokens behind the `base` positions that a sequence holds, in this
 * step or in several. Node j, whose parent is a node before it or the prefix, has the slot base +
 * j; bit j of its `tree` and the bits of its ancestors are set, so its position, at depth
 * popcount(tree) - 1, is base + that. It sees positions 0 .. base - 1 and its ancestors, and the
 * bytes of its row are those that come when its path is decoded alone, as a chain.
 * Miao et al. 2024 (SpecInfer), section 4; Cai et al. 2024 (Medusa), section 2.3. */
struct step {
    int n;                // tokens in this step
    int n_out;            // rows of logits wanted
    int n_seq, max_pages; // shape of page
    const int32_t *token; // (n)
    const int32_t *pos;   // (n) position in its sequence
    const int32_t *seq;   // (n) row of page
    const int32_t *page;  // (n_seq, max_pages) physical page of logical page i; of one that no
                          // token of the step sees, any number of a page
    const int32_t *out;   // (n_out) token indices whose logits are wanted
    const int32_t *last;  // (n) the last position that a token sees; NULL: its own, as with trees
    const int32_t *slot;  // (n) where its key and value go among its sequence's; NULL: pos
    const uint64_t *tree; // (n) a node and its ancestors; 0: of no tree. NULL: no trees
    const void *program;  // which ops with which addresses follow: a step with the same program
                          // and shape may be recorded and replayed. NULL: any, as tests do
};

enum { STEP_RUN = 0, STEP_REPLAY = 1 };

/* Where the key and the value of token i go among its sequence's. */
static inline int step_slot(const struct step *s, int i)
{
    return s->slot ? s->slot[i] : s->pos[i];
}

/* What is asked of a row of logits that stays on a device. */
enum { PICK_MOST = 128, PICK_IDS = 16 };
struct pick_ask {
    int row;
    int n;                // tokens wanted, the likeliest, 1 to PICK_MOST
    float temp[2];        // temperatures of the masses that are wanted; 0: none
    float draw;           // temperature of a draw from all tokens; 0: none
    uint32_t key[2];      // of the draw's noise, rng.h
    uint64_t pos;         // and its position
    int n_ids;            // at most PICK_IDS
    int32_t id[PICK_IDS]; // tokens whose logits are wanted
};

/* The answer. NaN and +infinity count as -infinity. */
struct pick {
    double mass[2];    // sum of exp(x / temp - item[0].x / temp), as of row_exp, blocks in order
    float x[PICK_IDS]; // logits of id
    int n;             // of item: fewer where no more are above -infinity
    int32_t drawn;     // argmax of x / draw + Gumbel noise, the lowest of equals
    float drawn_x;     // its logit
    int reserved;
    struct pick_item {
        float x;
        int32_t id;
    } item[PICK_MOST]; // likeliest first, the lowest of equals first
};

struct backend;

struct backend_ops {
    const char *name;
    /* memory; alloc is zeroed and, on the CPU, not resident before it is touched */
    int (*alloc)(struct backend *b, size_t bytes, void **out_d, struct err *e);
    void (*free)(struct backend *b, void *p_d, size_t bytes);
    int (*upload)(struct backend *b, void *dst_d, const void *src, size_t bytes, struct err *e);
    int (*download)(struct backend *b, void *dst, const void *src_d, size_t bytes, struct err *e);
    int (*weight)(struct backend *b, struct weight *w, struct err *e);
    void (*sync)(struct backend *b);
    /* For plans, before anything is allocated; NULL where memory is the host's and weights stay in
     * their files. Bytes that may still be taken, -1 when not known; what weight() will take; what
     * ops take besides for steps of n tokens that see `positions`, with rows of `cols` at most, and
     * `nodes` of trees among them. */
    int64_t (*available)(struct backend *b);
    size_t (*weight_bytes)(const struct backend *b, const struct weight *w);
    size_t (*work_bytes)(const struct backend *b, const struct attn_shape *a, int n, int positions,
                         int cols, int nodes);
    /* From now on products of prompts may be computed by a library, sooner, and with other bytes
     * for other batches. NULL where there is none to use; ERR_ARG when it is not found. */
    int (*fast)(struct backend *b, struct err *e);
    /* What it computes with, one line. */
    void (*describe)(const struct backend *b, char *out, size_t size);
    /* All layers of page src of the cache into page dst, before the next step. */
    void (*copy)(struct backend *b, const struct kv_pages *kv, int dst, int src);
    /* All layers of n <= BACKEND_TREE places of the cache to others, one after the other, before
     * the next step: bytes as they are. */
    void (*move)(struct backend *b, const struct kv_pages *kv, const struct kv_place *dst,
                 const struct kv_place *src, int n);
    /* bracket: step_begin answers STEP_RUN, STEP_REPLAY (skip the ops) or -1 */
    int (*step_begin)(struct backend *b, const struct step *s, struct err *e);
    int (*step_end)(struct backend *b, struct err *e);
    /* ops; x_d, y_d are f32 */

    /* y (n, w->cols) = scale * rows token[i] of w (one part, no bias), plus rows
     * pos[i] of positions unless that is NULL; scale 1 changes no bit. */
    void (*embed)(struct backend *b, float *y_d, const struct weight *w,
                  const struct weight *positions, float scale, const struct step *s);
    /* y (n, dim) = norm of x; y may be x. norm_add: y += norm of x. */
    void (*norm)(struct backend *b, float *y_d, const float *x_d, const struct norm_weight *w,
                 int n, int dim);
    void (*norm_add)(struct backend *b, float *y_d, const float *x_d, const struct norm_weight *w,
                     int n, int dim);
    /* y (n, rows) = W x (n, cols) + bias; linear_add: y += W x + bias. */
    void (*linear)(struct backend *b, float *y_d, const struct weight *w, const float *x_d, int n);
    void (*linear_add)(struct backend *b, float *y_d, const struct weight *w, const float *x_d,
                       int n);
    /* Norm (where the layer has such norms) and rotate q and k of qkv
     * (n, (n_heads + 2 n_kv_heads) * head_dim) in place at their positions and
     * write k and v to their slots. Su et al. 2021. */
    void (*rope_kv)(struct backend *b, float *qkv_d, const struct attn_shape *a,
                    const struct kv_pages *kv, int layer, const struct step *s);
    /* y (n, n_heads * head_dim): token i attends to positions 0..pos[i] of its
     * sequence (or ..last[i], up to which all are in this step), with a window to pos[i] - window +
     * 1 .. pos[i], keys in logical order in tiles of 64 counted from position 0: a node of a tree
     * to those of its path, in the same tiles (tree.h). Keys outside add
     * exactly nothing: tiles of them alone are skipped. Dao 2023 (FlashAttention-2), algorithm 1;
     * Beltagy et al. 2020 (window). y must not alias qkv. */
    void (*attn)(struct backend *b, float *y_d, const float *qkv_d, const struct attn_shape *a,
                 const struct kv_pages *kv, int layer, const struct step *s);
    /* y (n, dim) = act(gate) * up of gu (n, 2 dim): gate first; not gated, act of gu (n, dim).
     * Gated it takes what is in gu, whose values mean nothing afterwards: a product whose rows are
     * in pairs need not write them. */
    void (*glu)(struct backend *b, float *y_d, const float *gu_d, const struct ffn_shape *f, int n);
    /* y (n_out, dim) = rows out[i] of x. */
    void (*gather)(struct backend *b, float *y_d, const float *x_d, const struct step *s, int dim);
    /* x (n, dim) = cap * tanh(x / cap), in place. Gemma Team 2024 (Gemma 2), section 2. */
    void (*softcap)(struct backend *b, float *x_d, float cap, int n, int dim);

    /* Answers to n questions about rows of `vocab` logits that a step has left at logits_d: after
     * step_end, and done when it returns. NULL where the rows are in host memory. The values and
     * the choices are those of rank.h and sample.h. Gumbel 1954 (a draw as an argmax). */
    int (*pick)(struct backend *b, const float *logits_d, int vocab, const struct pick_ask *ask,
                int n, struct pick *out, struct err *e);

    /* A row of n logits in host memory, in blocks of BACKEND_ROW, the last of which may be
     * shorter; outside the bracket, and done when they return.
     * max (blocks) = the largest of each; NaN counts as -infinity. These four are the CPU's alone,
     * NULL on other devices. */
    void (*row_max)(struct backend *b, float *max, const float *x, int n);
    /* e (n) = exp(x / temp - shift); sum (blocks) = their sums, as 16 strided sums and a tree. */
    void (*row_exp)(struct backend *b, float *e, float *sum, const float *x, int n, float temp,
                    float shift);
    /* Dot products of n rows x (n, dim) with m rows c that lie in lanes, (m / 16 rounded up, dim,
     * 16); each is one fma chain over dim in ascending order. In host memory, outside the bracket,
     * by the calling thread alone; several may call at once.
     * dots: y (n, m) = all of them. nearest: where the largest of row i is above best[i], best[i]
     * is set to it and at[i] to first + its row of c, the lowest of equals. x_rest (n, 3) and
     * c_rest (m / 16 rounded up, 3, 16), or NULL: no row is longer than 1, but for rounding, nor
     * its rest behind one, two, three fourths of dim than these; where they say so early, dots that
     * are not above best[i] are not computed to their end. */
    void (*dots)(const struct backend *b, float *y, const float *x, int n, const float *c, int m,
                 int dim);
    void (*nearest)(const struct backend *b, float *best, int32_t *at, const float *x, int n,
                    const float *c, int m, int dim, int first, const float *x_rest,
                    const float *c_rest);
    void (*close)(struct backend *b);
};

struct backend {
    const struct backend_ops *ops;
    bool host; // device memory is host memory: it may be read after step_end
};

/* Instruction sets of the CPU backend: all with the same bytes. */
enum backend_isa { ISA_AUTO, ISA_SCALAR, ISA_AVX2, ISA_AVXVNNI, ISA_AVX512, ISA_VNNI };

/* The CPU. threads 0: as many as the affinity mask and the cgroup's quota
 * allow. ERR_ARG when this CPU lacks the instruction set asked for. */
struct backend *backend_cpu_open(int threads, enum backend_isa isa, struct err *e);
void backend_close(struct backend *b);
/* Whether quantized weights are laid out anew for this machine when they are used a second
 * time: as many bytes again, of memory in large pages, while the file's are dropped.
 * The same results, sooner. No, unless said. */
void backend_cpu_repack(struct backend *b, bool yes);
/* What was chosen, for -v: "scalar", "avx2", "avxvnni", "avx512" or "avx512vnni". */
const char *backend_cpu_isa(const struct backend *b);
int backend_cpu_threads(const struct backend *b);

/* A GPU: what llm-cuda.so is asked for, by its function
 * struct backend *llm_cuda_open(const struct backend_cuda *o, struct err *e);
 * ERR_ARG when there is no such GPU, or no driver for it. */
enum { BACKEND_CUDA_VERSION = 8 }; // of this header
struct backend_cuda {
    int version;
    int device;
    bool nvtx; // ranges for profilers over steps, ops and loading
};

/* What this machine can do at most with these threads and this instruction set, a second:
 * bytes read from memory, operations (two a multiply-add) of int8 dot products and of
 * floats. Measured in some 0.2 s, with 256 MiB of memory meanwhile. ERR_MEM without them. */
struct backend_rates {
    double read_bytes, int8_ops, float_ops;
};
int backend_cpu_probe(struct backend *b, struct backend_rates *out, struct err *e);

#endif
