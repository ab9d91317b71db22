// act.cuh - four neighbouring values of a token into activations, as act.cu and the kernels before
// a product do it.
#pragma once
#include "gpu.h"
#include "matrix.h"
#include "num.h"

namespace
{

__host__ __device__ inline size_t act_up(size_t x)
{
    return (x + 255) / 256 * 256;
}

// Bytes of the arrays of ld columns: q or h; d or scale; s16; s32.
struct act_sizes {
    size_t values, scales, s16, s32, all;

    __host__ __device__ inline act_sizes(int ld, int cols, int block)
    {
        const size_t columns = (size_t)ld, wide = ((size_t)cols + 255) / 256;
        values = act_up(columns * (((size_t)cols + 63) / 64 * 64) * (block == 1 ? 2 : 1));
        scales = act_up(columns * 4 * (block == 1 ? 1 : (size_t)cols / (size_t)block));
        s16 = block == 1 ? 0 : act_up(columns * wide * 32);
        s32 = block == 1 ? 0 : act_up(columns * wide * 16);
        all = values + scales + s16 + s32;
    }
};

// Columns of arrays in device memory.
__host__ __device__ inline int act_ld(int n)
{
    return n == 1 ? 1 : (n + 7) / 8 * 8;
}

__host__ __device__ inline struct cuda_act act_place(void *p, int n, int ld, int cols, int block)
{
    const act_sizes z(ld, cols, block);
    struct cuda_act a = {};
    uint8_t *at = static_cast<uint8_t *>(p);

    a.n = n;
    a.ld = ld;
    a.cols = cols;
    a.block = block;
    if (block == 1) {
        a.h = at;
        a.scale = reinterpret_cast<float *>(at + z.values);
        return a;
    }
    a.q = reinterpret_cast<int8_t *>(at);
    a.d = reinterpret_cast<float *>(at + z.values);
    a.s16 = reinterpret_cast<int16_t *>(at + z.values + z.scales);
    a.s32 = reinterpret_cast<int16_t *>(at + z.values + z.scales + z.s16);
    return a;
}

__device__ inline float above(float a, float b)
{
    return a > b ? a : b;
}

__device__ inline float top4(float4 v)
{
    float a = above(above(v.x, 0.0f - v.x), above(v.y, 0.0f - v.y));

    return above(a, above(above(v.z, 0.0f - v.z), above(v.w, 0.0f - v.w)));
}

// Four values as bytes of a word, and their sum.
__device__ inline uint32_t four(float4 v, float scale, int &sum)
{
    int q0 = (int8_t)num_bits(v.x * scale + NUM_ROUND),
        q1 = (int8_t)num_bits(v.y * scale + NUM_ROUND);
    int q2 = (int8_t)num_bits(v.z * scale + NUM_ROUND),
        q3 = (int8_t)num_bits(v.w * scale + NUM_ROUND);

    sum = q0 + q1 + q2 + q3;
    return (q0 & 255) | (q1 & 255) << 8 | (q2 & 255) << 16 | (uint32_t)q3 << 24;
}

// Where the word of values k .. k + 3 goes.
__device__ inline size_t q_at(int k, int n, int token)
{
    return (((size_t)(k / 64) * n + token) * 4 + k % 16 / 4) * 16 + k % 64 / 32 * 8 +
           k % 32 / 16 * 4;
}

// Sums of 16 and of 32 values, whose lanes are neighbours.
__device__ inline void sums(const struct cuda_act &a, int k, int token, int sum)
{
    int lane = threadIdx.x % 32;

    sum += __shfl_xor_sync(~0u, sum, 1);
    sum += __shfl_xor_sync(~0u, sum, 2);
    int wide = sum + __shfl_xor_sync(~0u, sum, 4);
    if (k >= a.cols)
        return;
    if (lane % 4 == 0)
        const_cast<int16_t *>(a.s16)[((size_t)(k / 256) * a.ld + token) * 16 + k % 256 / 16] =
            (int16_t)sum;
    if (lane % 8 == 0)
        const_cast<int16_t *>(a.s32)[((size_t)(k / 256) * a.ld + token) * 8 + k % 256 / 32] =
            (int16_t)wide;
}

__device__ inline uint16_t half_bits(float x, bool bf16)
{
    if (bf16) {
        __nv_bfloat16_raw r = __float2bfloat16_rn(x);
        return r.x;
    }
    __half_raw r = __float2half_rn(x);
    return r.x;
}

// Where the word of values k and k + 1 goes.
__device__ inline uint32_t *h_at(const struct cuda_act &a, int k, int token)
{
    const size_t at = a.ld > 8 ? ((size_t)(k / 8) * a.ld + token) * 16 + k % 8 * 2
                               : (((size_t)(k / 32) * a.ld + token) * 4 + k % 8 / 2) * 16 +
                                     k % 32 / 16 * 8 + k % 16 / 8 * 4;

    return reinterpret_cast<uint32_t *>(const_cast<uint8_t *>(a.h) + at);
}

// Tokens from which on rows are left as BF16 by threads of eight values of neighbouring tokens: a
// warp then writes whole lines, and no sector of memory in halves.
constexpr int ACT_MANY = 65;

// Values k .. k + 7 of a token as BF16, where activations are of more than eight tokens: 16 bytes,
// beside those of the tokens beside it.
__device__ inline void act_eight(const struct cuda_act &a, int token, int k, float4 u, float4 v)
{
    const float x[8] = {u.x, u.y, u.z, u.w, v.x, v.y, v.z, v.w};
    uint32_t w[4];

    if (k == 0)
        const_cast<float *>(a.scale)[token] = 1.0f;
#pragma unroll
    for (int i = 0; i < 4; i++)
        w[i] = half_bits(x[2 * i], true) | (uint32_t)half_bits(x[2 * i + 1], true) << 16;
    *reinterpret_cast<uint4 *>(h_at(a, k, token)) = make_uint4(w[0], w[1], w[2], w[3]);
}

// Values k .. k + 3 of a token, k = 4 threadIdx.x past a multiple of 256 (of 32, in blocks of 32),
// by all threads of a block of whole pairs of warps (of whole warps); beyond the row v is 0. tops:
// a float for each warp, in shared memory; of blocks of 256 alone. a.block 0: nowhere.
__device__ inline void act_four(const struct cuda_act &a, int token, int k, float4 v, float *tops)
{
    const int warp = threadIdx.x / 32;
    float max = top4(v);
    int sum;

    if (a.block == 0)
        return;
    if (a.block == 1) { // BF16
        if (k == 0)
            const_cast<float *>(a.scale)[token] = 1.0f;
        if (k >= a.cols)
            return;
        *h_at(a, k, token) = half_bits(v.x, true) | (uint32_t)half_bits(v.y, true) << 16;
        *h_at(a, k + 2, token) = half_bits(v.z, true) | (uint32_t)half_bits(v.w, true) << 16;
        return;
    }
    for (int o = 1; o < (a.block == 32 ? 8 : 32); o *= 2)
        max = above(max, __shfl_xor_sync(~0u, max, o));
    if (a.block == 256) {
        __syncthreads();
        if (threadIdx.x % 32 == 0)
            tops[warp] = max;
        __syncthreads();
        max = above(tops[warp], tops[warp ^ 1]);
    }
    max = max >= 1e-30f ? max : 0.0f;
    const uint32_t q = four(v, max > 0.0f ? 127.0f / max : 0.0f, sum);
    sums(a, k, token, sum);
    if (k >= a.cols)
        return;
    *reinterpret_cast<uint32_t *>(const_cast<int8_t *>(a.q) + q_at(k, a.ld, token)) = q;
    if (k % a.block == 0)
        const_cast<float *>(a.d)[(size_t)(k / a.block) * a.ld + token] =
            max > 0.0f ? max / 127.0f : 0.0f;
}

} // namespace
