/* attn_run.cuh - tiles of queries of neighbouring tokens, the runs of one sequence in them, and
 * which pages a run goes over. */
#ifndef ATTN_RUN_CUH
#define ATTN_RUN_CUH

#include "attn.cuh"

namespace
{

enum {
    TILE_QUERIES = 64,
    TILE_HEADS = 8 // of a KV head, at most
};

/* Heads that a tile has room for, by which it has 64 / heads tokens; and how often a KV head's
 * are split. */
__host__ __device__ inline int tile_heads(int group)
{
    int n = 1;

    while (n < group && n < TILE_HEADS)
        n *= 2;
    return n;
}

/* The blocks, of so many queries each: ranges, heads, tokens. */
inline dim3 tile_grid(int n_heads, int n_kv_heads, int n, int n_ranges, int queries)
{
    int group = n_heads / n_kv_heads, tokens = queries / tile_heads(group);

    return dim3((unsigned)n_ranges,
                (unsigned)(n_kv_heads * ((group + TILE_HEADS - 1) / TILE_HEADS)),
                (unsigned)((n + tokens - 1) / tokens));
}

inline dim3 tile_grid(const attn_args &a, int queries)
{
    return tile_grid(a.n_heads, a.n_kv_heads, a.st.n, a.parts ? a.st.n_ranges : 1, queries);
}

/* Of one range. */
inline int tile_blocks(const struct cuda_attn *a, int n, int queries)
{
    const dim3 grid = tile_grid(a->n_heads, a->n_kv_heads, n, 1, queries);

    return (int)(grid.y * grid.z);
}

/* What is the same for a whole run of tokens of one sequence: tokens [from, to) of the tile. */
struct tile_run {
    int from, to, first, last; // positions that any of them sees
    int all_first, all_last;   // that all see
    const int32_t *table;
};

/* Of the tile's tokens; seq -1: it is not in a run. */
struct tile_tokens {
    const int *seq, *first, *last; // (tokens)
};

/* In shared memory, so that it takes no registers. */
struct tile_job {
    int t0, n, head, heads, kv_head;
    int width, shift; // rows of a token, 1 << shift
    int stride;       // of the queries
};

/* The next run from token `from` on whose pages are this block's; false if there is none. */
__device__ inline bool tile_next(const attn_args &a, const tile_tokens &sh, const tile_job &j,
                                 int from, tile_run *run)
{
    while (from < j.n && sh.seq[from] < 0)
        from++;
    if (from >= j.n)
        return false;
    run->from = from;
    run->first = run->all_first = sh.first[from];
    run->last = run->all_last = sh.last[from];
    for (run->to = from + 1; run->to < j.n && sh.seq[run->to] == sh.seq[from]; run->to++) {
        int first = sh.first[run->to], last = sh.last[run->to];

        run->first = first < run->first ? first : run->first;
        run->all_first = first > run->all_first ? first : run->all_first;
        run->last = last > run->last ? last : run->last;
        run->all_last = last < run->all_last ? last : run->all_last;
    }
    run->table = a.st.page + (size_t)sh.seq[from] * (size_t)a.st.max_pages;
    return true;
}

__device__ inline void tile_begin(const attn_args &a, tile_job *j, int queries, int stride)
{
    int group = a.n_heads / a.n_kv_heads, splits = (group + TILE_HEADS - 1) / TILE_HEADS;
    int h0 = (int)blockIdx.y % splits * TILE_HEADS, tokens;

    j->width = tile_heads(group);
    j->shift = 0;
    while (1 << j->shift < j->width)
        j->shift++;
    tokens = queries >> j->shift;
    j->t0 = (int)(gridDim.z - 1 - blockIdx.z) * tokens; // the longest first
    j->n = a.st.n - j->t0 < tokens ? a.st.n - j->t0 : tokens;
    j->kv_head = (int)blockIdx.y / splits;
    j->head = j->kv_head * group + h0;
    j->heads = group - h0 < TILE_HEADS ? group - h0 : (int)TILE_HEADS;
    j->stride = stride;
}

/* What is known of the tile's tokens, by its first threads. */
__device__ inline void tile_tokens_of(const attn_args &a, const tile_job &j, int *seq, int *first,
                                      int *last)
{
    int tid = (int)threadIdx.x;

    if (tid < j.n) {
        seq[tid] = attn_in_run(a.st, j.t0 + tid) ? a.st.seq[j.t0 + tid] : -1;
        first[tid] = attn_first(a, j.t0 + tid);
        last[tid] = a.st.last[j.t0 + tid];
    }
}

/* Page k, and the tokens from .. to - 1 of the run whose path it is on; tail: see tile_source. */
struct tile_pass {
    int k, from, to, tail;
};

/* Where token t has page k: a tail page, -1: among its sequence's, -2: it does not see it. What is
 * known of trees stays in device memory: 256 bytes more of shared memory, and a multiprocessor has
 * room for one block instead of two. */
__device__ inline int tile_source(const attn_args &a, const tile_tokens &sh, const tile_job &j,
                                  int t, int k)
{
    if (k < sh.first[t] / CUDA_PAGE || k > sh.last[t] / CUDA_PAGE)
        return -2;
    return k < a.st.bend[j.t0 + t] ? -1 : a.st.tail[j.t0 + t] + k;
}

/* The next tokens, or those of the next page; false behind page `end`. */
__device__ inline bool tile_step(const attn_args &a, const tile_tokens &sh, const tile_job &j,
                                 const tile_run &run, int end, tile_pass *p)
{
    do {
        p->from = p->to == run.to ? run.from : p->to;
        p->k += p->from == run.from;
        if (p->k > end)
            return false;
        p->to = run.to;
        if (a.st.bend) {
            p->tail = tile_source(a, sh, j, p->from, p->k);
            for (p->to = p->from + 1;
                 p->to < run.to && tile_source(a, sh, j, p->to, p->k) == p->tail;)
                p->to++;
        }
    } while (p->tail == -2);
    return true;
}

} // namespace

#endif
