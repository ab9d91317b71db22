// float.cu - y = W x with F32 weights, as kernels/cpu/float_isa.h: sixteen lanes hold the sixteen
// strided sums of a row, each one fma chain, and a tree joins them.
#include "linear.cuh"

namespace
{

constexpr int ROWS = 16, TOKENS = 4; // of a block

__global__ void __launch_bounds__(16 * ROWS)
    float_rows(float *y, int ldy, bool add, struct cuda_matrix m, const float *x, int n)
{
    const int lane = threadIdx.x % 16, row = blockIdx.x * ROWS + threadIdx.x / 16,
              token = blockIdx.y * TOKENS;
    const float *w = reinterpret_cast<const float *>(m.low) +
                     (size_t)row * m.cols; // panels are padded with rows
    float sum[TOKENS] = {};

    previous_done();
    for (int k = lane; k < (m.cols + 15) / 16 * 16; k += 16) {
        const bool in = k < m.cols;
        const float v = in ? w[k] : 0.0f;
#pragma unroll
        for (int i = 0; i < TOKENS; i++)
            if (token + i < n)
                sum[i] = fmaf(v, in ? x[(size_t)(token + i) * m.cols + k] : 0.0f, sum[i]);
    }
#pragma unroll
    for (int i = 0; i < TOKENS; i++) {
        for (int o = 8; o; o /= 2)
            sum[i] += __shfl_xor_sync(~0u, sum[i], o);
        if (lane == 0 && row < m.rows && token + i < n)
            put(y + (size_t)(token + i) * ldy + m.row0 + row,
                m.bias ? sum[i] + m.bias[row] : sum[i], add);
    }
}

} // namespace

void cuda_linear_float(float *y, int ldy, bool add, const struct cuda_matrix *m, const float *x,
                       int n, cudaStream_t s)
{
    LAUNCH_EARLY(float_rows,
                 dim3((unsigned)(m->rows + ROWS - 1) / ROWS, (unsigned)(n + TOKENS - 1) / TOKENS),
                 16 * ROWS, 0, s, y, ldy, add, *m, x, n);
}
