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

/* Of the row x (dim) in shared memory; called by whole warps. Each half of a warp computes all
 * sixteen chains: both may have the same row, or each its own. */
__device__ inline norm_sums norm_row_sums(const float *x, int dim, int kind, float eps)
{
    int lane = (int)threadIdx.x % 16;
    float s = 0.0f, mean = 0.0f;

    if (kind == CUDA_NORM_LAYER) {
#pragma unroll 16
        for (int i = lane; i < dim; i += 16)
            s = s + x[i];
        mean = norm_tree(s) / (float)dim;
        s = 0.0f;
    }
#pragma unroll 16
    for (int i = lane; i < dim; i += 16) {
        float v = x[i] - mean;

        s = fmaf(v, v, s);
    }
    return {mean, num_rsqrt(norm_tree(s) / (float)dim + eps)};
}

/* One value, of which w and b are the norm's. */
__device__ inline float norm_value(float x, norm_sums s, float w)
{
    return (x - s.mean) * s.r * w;
}

} // namespace

#endif
