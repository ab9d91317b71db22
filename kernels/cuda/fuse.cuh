// fuse.cuh - what a product with half floats does ahead of its sums, of at most eight tokens, so
// that a layer can be five kernels: norm, qkv, positions and append; attention; o; norm, gate_up
// and nonlinearity; down. It is five where that is sooner, by queue.c: of one or two tokens, and
// rows of at most 2048 values (but one more with F16 where down's are longer). Otherwise it is
// seven of BF16: norm, qkv with positions and append, attention, o, norm, gate_up and nonlinearity,
// down; of types quantized in blocks of 32 one more, activations of down, in blocks of 256 another
// one, those of o, and of F16 two more behind the norms; and where a matrix has rows of several
// types each is a kernel. More than 512 keys take one that joins (attn_join.cu); norms of heads,
// positions by themselves (rope.cu).
//
// A block makes the activations that it multiplies with, of rows of floats or of their norm, in
// shared memory and in the order of the kernels that it stands for (norm.cu, act.cu): the same
// bytes. That is done again by each block, behind its first loads of weights, which are on their
// way meanwhile; so it pays where tokens are few and a block has many rows. What becomes of pairs
// of rows behind a product, of any number of tokens, is in pairs.cuh.
//
// Measured on an H200 (2026-11-26), 8B shapes, one token: what it stands for takes 3 us (norm), 1
// to 2 (a product's own activations). It saves 5 % of a step of the 1B shape in BF16 and costs as
// much of the 8B's.
#pragma once
#include "act.cuh"
#include "linear.cuh"
#include "norm.cuh"

namespace
{

constexpr int FUSE_COLS = 8; // tokens at most
constexpr int HEAD_VECS = 4; // of four values, that a thread has on their way at a time

// Floats that a head needs beside activations, which may lie where a kernel keeps sums later.
__host__ __device__ inline size_t head_scratch(const struct cuda_head &h, int n, int cols)
{
    return h.kind == CUDA_HEAD_NORM ? (size_t)(n + 1) * (size_t)cols : 0;
}

__host__ __device__ inline size_t head_bytes(const struct cuda_head &h, const struct cuda_act &a)
{
    return h.kind ? act_sizes(a.n, a.cols, a.block).all : 0;
}

// ---- ahead: before previous_done()

// A norm's weights are on their way.
__device__ inline void head_begin(const struct cuda_head &h, const struct cuda_act &a,
                                  float *scratch)
{
    if (h.kind == CUDA_HEAD_NORM)
        for (int i = 4 * (int)threadIdx.x; i < a.cols; i += 4 * (int)blockDim.x)
            cp_async16(scratch + (size_t)a.n * a.cols + i, h.norm.w + i);
    cp_async_commit();
}

// ---- ahead: behind it

__device__ inline float4 four_at(const float *x)
{
    return *reinterpret_cast<const float4 *>(x);
}

// Values k .. k + 3 of a row, v: of their norm, if there is one, whose weights are at w.
__device__ inline float4 head_four(const struct cuda_head &h, float4 v, const float *w, norm_sums s,
                                   int k)
{
    if (h.kind == CUDA_HEAD_NORM) {
        const float4 g = *reinterpret_cast<const float4 *>(w + k);

        v = make_float4(norm_value(v.x, s, g.x), norm_value(v.y, s, g.y), norm_value(v.z, s, g.z),
                        norm_value(v.w, s, g.w));
        if (h.norm.b) {
            const float4 b = *reinterpret_cast<const float4 *>(h.norm.b + k);

            v = make_float4(v.x + b.x, v.y + b.y, v.z + b.z, v.w + b.w);
        }
    }
    return v;
}

// The power of two that F16 is divided by: act.cu.
__device__ inline void half_scale(float max, float *scale, float *inverse)
{
    const uint32_t e = num_bits(max) >> 23;

    *scale = *inverse = 1.0f;
    if (e > 112 && e < 252) {
        *scale = num_float((e + 1) << 23);
        *inverse = num_float((253 - e) << 23);
    }
}

// The largest of the block's values, for all threads.
__device__ inline float block_max(float max, float *tops)
{
    for (int o = 16; o; o /= 2)
        max = above(max, __shfl_xor_sync(~0u, max, o));
    __syncthreads();
    if (threadIdx.x % 32 == 0)
        tops[threadIdx.x / 32] = max;
    __syncthreads();
    for (int i = 0; i < (int)blockDim.x / 32; i++)
        max = above(tops[i], max);
    return max;
}

// Rows into shared memory, and the sums of their norm.
template <int KEEP>
__device__ inline void head_sums(const struct cuda_head &h, const struct cuda_act &a,
                                 float *scratch, norm_sums *sums)
{
    const int warp = (int)threadIdx.x / 32, warps = (int)blockDim.x / 32;
    const int own = a.n <= warps ? warp : 2 * warp + (int)threadIdx.x % 32 / 16,
              step = 4 * (int)blockDim.x;

#pragma unroll 1
    for (int i0 = 0; i0 < a.n * a.cols; i0 += HEAD_VECS * step) {
        float4 v[HEAD_VECS];

#pragma unroll
        for (int u = 0; u < HEAD_VECS; u++) {
            const int i = i0 + u * step + 4 * (int)threadIdx.x;

            if (i < a.n * a.cols)
                v[u] = four_at(h.x + i);
        }
#pragma unroll
        for (int u = 0; u < HEAD_VECS; u++) {
            const int i = i0 + u * step + 4 * (int)threadIdx.x;

            if (i < a.n * a.cols)
                *reinterpret_cast<float4 *>(scratch + i) = v[u];
        }
    }
    cp_async_wait<KEEP>();
    __syncthreads();
    if ((a.n <= warps ? warp : 2 * warp) < a.n) {
        const int t = own < a.n ? own : a.n - 1;
        const norm_sums s =
            norm_row_sums(scratch + (size_t)t * a.cols, a.cols, h.norm.kind, h.norm.eps);

        if (threadIdx.x % (a.n <= warps ? 32 : 16) == 0 && t == own)
            sums[t] = s;
    }
    __syncthreads();
}

// Four values of token t, from k on, as activations; all threads of a block come here.
template <bool F16>
__device__ inline void head_put(const struct cuda_act &a, const struct cuda_head &h, int t, int k,
                                float4 v, float inverse, float *tops)
{
    if (h.y && k < a.cols && blockIdx.x == 0)
        *reinterpret_cast<float4 *>(h.y + (size_t)t * a.cols + k) = v;
    if (!F16) {
        act_four(a, t, k, v, tops);
    } else if (k < a.cols) {
        *h_at(a, k, t) = half_bits(v.x * inverse, false) | (uint32_t)half_bits(v.y * inverse, false)
                                                               << 16;
        *h_at(a, k + 2, t) =
            half_bits(v.z * inverse, false) | (uint32_t)half_bits(v.w * inverse, false) << 16;
    }
}

// The activations, by all threads of a block of whole warps; KEEP: groups of cp.async that may be
// under way behind head_begin's. F16: half floats, not BF16.
template <int KEEP, bool F16>
__device__ inline void head_make(const struct cuda_act &a, const struct cuda_head &h,
                                 float *scratch)
{
    SHARED(float, tops, [32]);
    SHARED(norm_sums, sums, [FUSE_COLS]);
    const float *w = scratch + (size_t)a.n * a.cols;
    const int step = 4 * (int)blockDim.x;

    if (h.kind == CUDA_HEAD_NORM)
        head_sums<KEEP>(h, a, scratch, sums);
    for (int t = 0; t < a.n; t++) {
        const float *row = (h.kind == CUDA_HEAD_NORM ? scratch : h.x) + (size_t)t * a.cols;
        const norm_sums s = h.kind == CUDA_HEAD_NORM ? sums[t] : norm_sums{0.0f, 0.0f};
        float scale = 1.0f, inverse = 1.0f, max = 0.0f;

        if (F16) {
            for (int k = 4 * (int)threadIdx.x; k < a.cols; k += step)
                max = above(max, top4(head_four(h, four_at(row + k), w, s, k)));
            half_scale(block_max(max, tops), &scale, &inverse);
            if (threadIdx.x == 0)
                const_cast<float *>(a.scale)[t] = scale;
        }
#pragma unroll 1
        for (int k0 = 0; k0 < a.cols; k0 += HEAD_VECS * step) {
            float4 v[HEAD_VECS];

#pragma unroll
            for (int u = 0; u < HEAD_VECS; u++) {
                const int k = k0 + u * step + 4 * (int)threadIdx.x;

                v[u] = k < a.cols ? four_at(row + k) : make_float4(0.0f, 0.0f, 0.0f, 0.0f);
            }
#pragma unroll
            for (int u = 0; u < HEAD_VECS; u++) {
                const int k = k0 + u * step + 4 * (int)threadIdx.x;

                if (k < a.cols)
                    v[u] = head_four(h, v[u], w, s, k);
                if (k0 + u * step < a.cols)
                    head_put<F16>(a, h, t, k, v[u], inverse, tops);
            }
        }
    }
    __syncthreads();
}

} // namespace
