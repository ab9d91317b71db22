// half.cuh - what kernels of products with half floats for more than eight tokens share.
#pragma once
#include "linear.cuh"

namespace
{

// Where in part the sums of a segment lie: (segments, panels, tiles of 8 tokens, lane) of four.
__device__ inline float4 *half_part_at(float *part, const struct cuda_matrix &m,
                                       const struct cuda_act &a, int segment, int panel, int tile)
{
    const size_t panels = (size_t)(m.rows + 15) / 16, tiles = (size_t)(a.n + 7) / 8;

    return reinterpret_cast<float4 *>(part) +
           (((size_t)segment * panels + panel) * tiles + tile) * 32 + threadIdx.x % 32;
}

} // namespace
