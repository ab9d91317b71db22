/* norm.cuh - the sums of a norm, in the order of kernels/cpu/norm_isa.h. */
#ifndef NORM_CUH
#define NORM_CUH

#include "cuda.h"
#include "gpu.h"
#include "num.h"

namespace
{

/* What a norm takes from every value, and multiplies it by then. */
struct norm_sums {
    float mean, r;
};

/* The tree of sixteen partial sums (v16_sum) that lanes 0..15, and again 16..31, of a whole warp
 * hold; every lane gets its half's. */
__device__ inline float norm_tree(float s)
{
    for (int i = 8; i; i /= 2)
        s = s + __shfl_xor_sync(~0u, s, i);
    return s;
}

enum { NORM_LINKS = 8 }; // of a chain, that are read at a time

__device__ inline void norm_read(float (&v)[NORM_LINKS], const float *x)
{
#pragma unroll
    for (int u = 0; u < NORM_LINKS; u++)
        v[u] = x[16 * u];
    __syncwarp(); // else a compiler reads each value just before it is added, and waits for it
}

/* Lane % 16's chain over the row x: of values, or of squares of their distances from the mean. The
 * next links are read while those before are added: a chain has nothing else to wait for. */
template <bool SQUARES> __device__ inline float norm_chain(const float *x, int dim, float mean)
{
    constexpr int STEP = 16 * NORM_LINKS;
    const float *begin = x + threadIdx.x % 16;
    int whole = dim / STEP, i = whole * STEP + (int)threadIdx.x % 16;
    float s = 0.0f, v[NORM_LINKS], next[NORM_LINKS];

    if (whole)
        norm_read(v, begin);
#pragma unroll 2
    for (int k = 1; k <= whole; k++) {
        norm_read(next, k < whole ? begin + k * STEP : begin); // the last time for nothing
#pragma unroll
        for (int u = 0; u < NORM_LINKS; u++) {
            float now = v[u] - mean;

            s = SQUARES ? fmaf(now, now, s) : s + now;
            v[u] = next[u];
        }
    }
#pragma unroll 1
    for (; i < dim; i += 16)
        s = SQUARES ? fmaf(x[i] - mean, x[i] - mean, s) : s + (x[i] - mean);
    return s;
}

/* Of the row x (dim) in shared memory; called by whole warps. Each half of a warp computes all
 * sixteen chains: both may have the same row, or each its own. */
__device__ inline norm_sums norm_row_sums(const float *x, int dim, int kind, float eps)
{
    float mean = 0.0f;

    if (kind == CUDA_NORM_LAYER)
        mean = norm_tree(norm_chain<false>(x, dim, 0.0f)) / (float)dim;
    return {mean, num_rsqrt(norm_tree(norm_chain<true>(x, dim, mean)) / (float)dim + eps)};
}

/* One value, of which w and b are the norm's. */
__device__ inline float norm_value(float x, norm_sums s, float w)
{
    return (x - s.mean) * s.r * w;
}

} // namespace

#endif
