/* attn.cuh - what the ways to compute attention share.
 *
 * Dao 2023 (FlashAttention-2), algorithm 1, with the sums of kernels/cpu/attn_isa.h: a score is
 * one fma chain over head_dim; keys go in pages of 64, whose largest score raises the maximum m
 * and scales what was summed before; the sum l of exponentials has sixteen strided parts; an
 * output is one fma chain over keys. Ranges of 512 keys, counted from position 0, are summed alone
 * and joined in order. So which keys and queries a block takes shows in no bit. Tensor cores have
 * other chains, of sixteen products a link, but the same pages and ranges (attn_mma.cuh).
 *
 * attn_range.cu and attn_mma.cu take one token and one range at a time: decoding, where the cache
 * is read once and memory is the limit. attn_tile.cu and attn_mma_tile.cu take many queries of
 * neighbouring tokens: prompts, where multiply-adds are. */
#ifndef ATTN_CUH
#define ATTN_CUH

#include "act.cuh"
#include "kv.cuh"
#include "norm.cuh"

enum { ATTN_PAGES = CUDA_RANGE / CUDA_PAGE };

/* Attention of one layer. */
struct attn_args {
    const float *qkv;
    float *y;
    float *part; // o (n, n_heads, n_ranges, head_dim), then m and l (n, n_heads, n_ranges, 2)
    const unsigned char *kv; // pages of the layer
    struct cuda_step st;
    int n_heads, n_kv_heads, head_dim, window;
    float scale, softcap, inverse; // 1 / softcap
    bool parts;                    // results of ranges into part, not y
    bool runs;                     // tokens of long runs are the other kernel's
    struct cuda_act act; // what y is left as, too, where there are no runs; block 0: nothing
};

namespace
{

/* The first position that a token sees. */
__device__ inline int attn_first(const attn_args &a, int t)
{
    int pos = a.st.pos[t];

    return a.window > 0 && pos >= a.window ? pos - a.window + 1 : 0;
}

/* Which keys of the page at `start` are among the positions first .. last: those of [from, to),
 * none if that is empty. The one place that says what a query sees of a page. */
__device__ inline void attn_sees(int first, int last, int start, int *from, int *to)
{
    *from = first > start ? first - start : 0;
    *to = last - start + 1 < CUDA_PAGE ? last - start + 1 : CUDA_PAGE;
}

/* Whether token t and its neighbours are at least CUDA_RUN of one sequence: then they are
 * computed together. Not a question of results. */
__device__ inline bool attn_in_run(const struct cuda_step &st, int t)
{
    int seq = st.seq[t], n = 1;

    for (int i = t - 1; i >= 0 && n < CUDA_RUN && st.seq[i] == seq; i--)
        n++;
    for (int i = t + 1; i < st.n && n < CUDA_RUN && st.seq[i] == seq; i++)
        n++;
    return n >= CUDA_RUN;
}

/* Tokens that blocks have one each, and that of block i: all, or those of no run. */
inline int attn_tokens(const attn_args &a)
{
    return a.st.lone ? a.st.n_lone : a.st.n;
}

__device__ inline int attn_token(const attn_args &a, int i)
{
    return a.st.lone ? a.st.lone[i] : i;
}

__device__ inline const int32_t *attn_table(const struct cuda_step &st, int t)
{
    return st.page + (size_t)st.seq[t] * (size_t)st.max_pages;
}

__device__ inline float *attn_y(const attn_args &a, int t, int head)
{
    return a.y + ((size_t)t * (size_t)a.n_heads + (size_t)head) * (size_t)a.head_dim;
}

/* y / l, to y. */
__device__ inline float4 attn_quotients(float *to, float4 y, float l)
{
    float4 v = make_float4(y.x / l, y.y / l, y.z / l, y.w / l);

    *reinterpret_cast<float4 *>(to) = v;
    return v;
}

/* The place of a range's output; *ml: of its m and l. */
__device__ inline float *attn_part(const attn_args &a, int t, int head, int range, float **ml)
{
    size_t all = (size_t)a.st.n * (size_t)a.n_heads * (size_t)a.st.n_ranges;
    size_t i =
        ((size_t)t * (size_t)a.n_heads + (size_t)head) * (size_t)a.st.n_ranges + (size_t)range;

    *ml = a.part + all * (size_t)a.head_dim + 2 * i;
    return a.part + i * (size_t)a.head_dim;
}

/* Keys, then values, of a KV head in a page of the cache or, of trees, in a tail page. */
template <class T>
__device__ inline const unsigned char *attn_page(const attn_args &a, const void *pages, int page,
                                                 int kv_head, int dim)
{
    return static_cast<const unsigned char *>(pages) +
           kv_at(page, kv_head, 0, a.n_kv_heads, dim) * T::BYTES;
}

/* Where page k of token t's path is. In two steps: as one choice it costs the kernel registers. */
template <class T>
__device__ inline void attn_find(const attn_args &a, int t, int k, int kv_head, int dim,
                                 const unsigned char **page)
{
    *page = attn_page<T>(a, a.kv, attn_table(a.st, t)[k], kv_head, dim);
    if (a.st.bend && k >= a.st.bend[t])
        *page = attn_page<T>(a, a.st.tails, a.st.tail[t] + k, kv_head, dim);
}

/* A score with the soft cap on it. */
__device__ inline float attn_cap(const attn_args &a, float s)
{
    return a.softcap > 0.0f ? num_tanh(s * a.inverse) * a.softcap : s;
}

/* What is known of a query after some ranges; and how to join the next one: y becomes
 * o * now + y * old. */
struct attn_sum {
    float m, l, old, now;
};

__device__ inline void attn_join(attn_sum *t, float m, float l)
{
    float top = m > t->m ? m : t->m;

    t->old = num_exp(t->m - top);
    t->now = num_exp(m - top);
    t->m = top;
    t->l = fmaf(l, t->now, t->l * t->old);
}

} // namespace

/* attn_range.cu: tokens of no long run; attn_tile.cu: those of long ones. */
void attn_range(const struct attn_args *a, int type, cudaStream_t s);
bool attn_tile_fits(const struct cuda_attn *a);
int attn_tile_blocks(const struct cuda_attn *a, int n);
void attn_tile(const struct attn_args *a, int type, cudaStream_t s);
/* attn_mma.cu, attn_mma_tile.cu: the same on tensor cores. */
bool attn_mma_fits(const struct cuda_attn *a, int type);
void attn_mma(const struct attn_args *a, int type, cudaStream_t s);
int attn_mma_tile_blocks(const struct cuda_attn *a, int n);
void attn_mma_tile(const struct attn_args *a, int type, cudaStream_t s);
/* attn_join.cu: y out of the ranges' parts; runs: tokens of long runs have some too. */
void attn_join_ranges(const struct attn_args *a, bool runs, cudaStream_t s);

#endif
