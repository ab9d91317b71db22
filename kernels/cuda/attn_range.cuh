/* attn_range.cuh - a block for a token, heads that share a KV head, and a range of 512 keys: what
 * it begins with, and where its sums go. */
#ifndef ATTN_RANGE_CUH
#define ATTN_RANGE_CUH

#include "attn.cuh"

namespace
{

/* The token, its heads, and the range: keys [lo, hi) of it are seen. */
struct attn_job {
    int t, head, n, kv_head, first, last, range, lo, hi;
};

/* What the threads of a block have in common. */
template <int Q> struct attn_block {
    attn_job j;
    const unsigned char *page[ATTN_PAGES];
    float m[Q][ATTN_PAGES]; // maxima up to and with a page
    float by[Q][ATTN_PAGES];
    float l[Q];
    attn_sum sum[Q];
};

/* Is its range the only one? */
__device__ inline bool attn_alone(const attn_job &j)
{
    return j.first / CUDA_RANGE == j.last / CUDA_RANGE;
}

/* Is y divided, and left as activations, once all of it is there? Else it is a part, or another
 * range is to come, or it is divided as it is made. */
__device__ inline bool attn_divides(const attn_args &a, const attn_job &j)
{
    return !a.parts && j.range == j.last / CUDA_RANGE && (!attn_alone(j) || a.act.block);
}

/* A range's output of query i, from dimension d on, goes to its part, or joins y, or is y. */
template <int Q, int DIMS>
__device__ inline void attn_finish(const attn_args &a, const attn_block<Q> *b, int i, int d,
                                   const float (&o)[DIMS])
{
    const attn_job &j = b->j;
    float *y = attn_y(a, j.t, j.head + i) + d, *ml;
    bool join = !a.parts && j.range > j.first / CUDA_RANGE;
    bool all = !a.parts && attn_alone(j) && !a.act.block;

    if (a.parts) {
        y = attn_part(a, j.t, j.head + i, j.range, &ml) + d;
        if (d == 0) {
            ml[0] = b->m[i][ATTN_PAGES - 1];
            ml[1] = b->l[i];
        }
    }
#pragma unroll
    for (int k = 0; k < DIMS; k++) {
        float x = o[k];

        if (join)
            x = fmaf(x, b->sum[i].now, y[k] * b->sum[i].old);
        y[k] = all ? x / b->sum[i].l : x;
    }
}

/* The last range is there: y / l, which is left as activations as well. */
template <class P>
__device__ inline void attn_divide(const attn_args &a, const attn_block<P::Q> *b, int dim)
{
    const attn_job &j = b->j;
    float *y = attn_y(a, j.t, j.head);

    if (!a.act.block) {
        for (int i = (int)threadIdx.x; i < j.n * dim; i += P::THREADS)
            y[i] = y[i] / b->sum[i / dim].l;
        return;
    }
    for (int i0 = 0; i0 < j.n * dim; i0 += 4 * P::THREADS) {
        int i = i0 + 4 * (int)threadIdx.x;
        bool there = i < j.n * dim;
        float4 v = make_float4(0.0f, 0.0f, 0.0f, 0.0f);

        if (there)
            v = attn_quotients(y + i, *reinterpret_cast<const float4 *>(y + i), b->sum[i / dim].l);
        act_four(a.act, j.t, there ? j.head * dim + i : a.act.cols, v, nullptr);
    }
}

/* The range at hand: what is seen of it, and its pages. */
template <class T, class P>
__device__ inline void attn_open(const attn_args &a, attn_block<P::Q> *b, int dim)
{
    const attn_job &j = b->j;
    int begin = j.range * CUDA_RANGE, k = begin / CUDA_PAGE + (int)threadIdx.x;

    if (threadIdx.x < ATTN_PAGES && k >= j.first / CUDA_PAGE && k <= j.last / CUDA_PAGE)
        attn_find<T>(a, j.t, k, j.kv_head, dim, &b->page[threadIdx.x]);
    if (threadIdx.x == 0) {
        b->j.lo = j.first > begin ? j.first - begin : 0;
        b->j.hi = j.last - begin + 1 < CUDA_RANGE ? j.last - begin + 1 : CUDA_RANGE;
    }
}

/* Keys and values of the range are on their way from memory; but for the last token's they are
 * there before the kernel in front of this one ends. */
template <class T, class P> __device__ inline void attn_ahead_of(const attn_block<P::Q> *b, int dim)
{
    int bytes = 2 * dim * CUDA_PAGE * T::BYTES, page0 = b->j.lo / CUDA_PAGE,
        page1 = (b->j.hi - 1) / CUDA_PAGE;

    for (int k = page0; k <= page1; k++)
        for (int i = 128 * (int)threadIdx.x; i < bytes; i += 128 * P::THREADS)
            prefetch(b->page[k] + i);
}

/* What is known of the queries after this range: kept in part for the next launch. */
template <class P> __device__ inline void attn_sums(const attn_args &a, attn_block<P::Q> *b)
{
    if ((int)threadIdx.x < b->j.n) {
        attn_sum *sum = &b->sum[threadIdx.x];
        float m = b->m[threadIdx.x][ATTN_PAGES - 1], l = b->l[threadIdx.x];
        float *ml = a.part + 2 * ((size_t)b->j.t * (size_t)a.n_heads + (size_t)b->j.head +
                                  (size_t)threadIdx.x);

        *sum = {m, l, 0.0f, 1.0f};
        if (b->j.range > b->j.first / CUDA_RANGE) {
            *sum = {ml[0], ml[1], 0.0f, 1.0f};
            attn_join(sum, m, l);
        }
        if (b->j.range < b->j.last / CUDA_RANGE) {
            ml[0] = sum->m;
            ml[1] = sum->l;
        }
    }
}

/* The block's token, heads and range. False: there is nothing to do. */
template <class P>
__device__ inline bool attn_begin(const attn_args &a, attn_block<P::Q> *b, int range0)
{
    int group = a.n_heads / a.n_kv_heads, splits = (group + P::Q - 1) / P::Q;
    int h0 = (int)blockIdx.x % splits * P::Q, kv_head = (int)blockIdx.x / splits;
    int t = attn_token(a, (int)blockIdx.y), first = attn_first(a, t), last = a.st.last[t];
    int range = first / CUDA_RANGE + range0 + (int)blockIdx.z;

    if (range > last / CUDA_RANGE || (a.runs && !a.st.lone && attn_in_run(a.st, t)))
        return false;
    if (threadIdx.x == 0)
        b->j = {t,
                kv_head * group + h0,
                group - h0 < P::Q ? group - h0 : (int)P::Q,
                kv_head,
                first,
                last,
                range,
                0,
                0};
    __syncthreads();
    return true;
}

} // namespace

#endif
