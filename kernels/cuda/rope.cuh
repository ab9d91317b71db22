/* rope.cuh - one head of one token, by a warp: its norm, its rotation, its append to the cache. */
#ifndef ROPE_CUH
#define ROPE_CUH

#include "kv.cuh"
#include "norm.cuh"

namespace
{

/* Norm the head x (head_dim) in shared memory, in place. */
__device__ inline void rope_norm(float *x, int kind, float eps, const float *w, const float *b,
                                 int dim)
{
    norm_sums s = norm_row_sums(x, dim, kind, eps);

    __syncwarp();
    for (int i = (int)threadIdx.x % 32; i < dim; i += 32) {
        float v = norm_value(x[i], s, w[i]);

        x[i] = b ? v + b[i] : v;
    }
    __syncwarp();
}

/* Pairs of the head x turn by the angles of cs: rope_dims / 2 cosines, then sines. */
__device__ inline void rope_rotate(float *x, const float *cs, const struct cuda_attn &a)
{
    int half = a.rope_dims / 2;

    for (int i = (int)threadIdx.x % 32; i < half; i += 32) {
        int at = a.rope_pairs_apart ? i : 2 * i, to = a.rope_pairs_apart ? half + i : 2 * i + 1;
        float u = x[at], v = x[to], c = cs[i], s = cs[half + i];

        x[at] = u * c - v * s;
        x[to] = u * s + v * c;
    }
    __syncwarp();
}

/* One head of a token: h counts those of q, of k, then of v. */
template <class T>
__device__ inline void rope_head(float *head, float *x, const float *cs, const struct cuda_attn &a,
                                 int h, typename T::value *pages, int page, int at)
{
    int dim = a.head_dim, lane = (int)threadIdx.x % 32, kv_head = h - a.n_heads;
    typename T::value *to;

    for (int i = lane; i < dim; i += 32)
        x[i] = head[i];
    __syncwarp();
    if (h < a.n_heads + a.n_kv_heads) {
        if (h < a.n_heads && a.q_norm.w)
            rope_norm(x, a.q_norm.kind, a.q_norm.eps, a.q_norm.w, a.q_norm.b, dim);
        else if (h >= a.n_heads && a.k_norm.w)
            rope_norm(x, a.k_norm.kind, a.k_norm.eps, a.k_norm.w, a.k_norm.b, dim);
        rope_rotate(x, cs, a);
        for (int i = lane; i < dim; i += 32)
            head[i] = x[i];
    }
    if (h >= a.n_heads + a.n_kv_heads) {
        kv_head -= a.n_kv_heads;
        to = pages + kv_at(page, kv_head, 1, a.n_kv_heads, dim) + (size_t)at * (size_t)dim;
        for (int i = lane; i < dim; i += 32)
            to[i] = T::put(x[i]);
    } else if (h >= a.n_heads) {
        to = pages + kv_at(page, kv_head, 0, a.n_kv_heads, dim) + at;
        for (int i = lane; i < dim; i += 32)
            to[(size_t)i * CUDA_PAGE] = T::put(x[i]);
    }
    __syncwarp();
}

} // namespace

#endif
