// half_few.cuh - what kernels of products with half floats for up to eight tokens share.
#pragma once
#include "fuse.cuh"

namespace
{

// The segments of a unit's panels are in part, (panels, segments, 16, COLS): add them up, and write
// what becomes of them; by the first 16 * COLS threads.
template <int TAIL, int COLS>
__device__ inline void half_finish(float *y, int ldy, bool add, const struct cuda_matrix &m,
                                   const struct cuda_act &a, const struct cuda_tail &tail,
                                   const float *part, const float *cs, int unit, int segments)
{
    const int row = (int)threadIdx.x / COLS, col = (int)threadIdx.x % COLS;
    float v[2] = {0.0f, 0.0f};

#pragma unroll
    for (int i = 0; i < (TAIL ? 2 : 1); i++) {
        const float *p = part + i * segments * (16 * COLS) + threadIdx.x;
        const int r = tail_panel(tail, m.rows, unit, i) * 16 + row;

        v[i] = p[0];
        for (int s = 1; s < segments; s++)
            v[i] += p[s * (16 * COLS)];
        if (col < a.n)
            v[i] = v[i] * a.scale[col];
        if (m.bias && r < m.rows)
            v[i] = v[i] + m.bias[r];
        if (TAIL == CUDA_TAIL_NONE && r < m.rows && col < a.n)
            put(y + (size_t)col * ldy + m.row0 + r, v[i], add);
    }
    if (TAIL == CUDA_TAIL_GLU)
        tail_glu(tail, y, ldy, m.rows, unit, row, col, a.n, v);
    if (TAIL == CUDA_TAIL_ROPE)
        tail_rope(tail, cs, y, ldy, m.row0, m.rows, unit, row, col, a.n, COLS, v);
}

} // namespace
