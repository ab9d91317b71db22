// fast.cu - matrices and activations as cuBLAS reads them: rows of BF16.
//
// A product of many tokens reads a matrix once and multiplies with it for long, so that writing it
// out anew before costs little beside that (blas.c). Measured on an H200 (2026-11-26), a prompt of
// 2048 tokens of the 8B shape, all of it, with this (attention is another, too) and without: Q8_0
// 100 ms and 180, Q4_0 100 and 180, Q4_K 99 and 159; but of 512 tokens 58, 61 and 59 and, without,
// 42, 43 and 37.
#include "act.cuh"
#include "fast.h"
#include "value.cuh"

namespace
{

constexpr int THREADS = 256;

__device__ inline uint32_t pair(float a, float b)
{
    return half_bits(a, true) | (uint32_t)half_bits(b, true) << 16;
}

// The row of y (rows) for place `at` of a panel of them: pairs are apart again, as they were.
__device__ inline int row_of(const struct cuda_matrix &m, int panel, int at, int rows)
{
    return matrix_row_apart(matrix_apart(&m, rows), panel, at);
}

// BF16: a warp for 16 rows and 16 values of K, a lane for its 16 bytes.
__global__ void __launch_bounds__(THREADS)
    brain_rows(uint16_t *y, struct cuda_matrix m, int first, int rows, int ld)
{
    const int lane = threadIdx.x % 32, step = blockIdx.x * (THREADS / 32) + threadIdx.x / 32;
    const size_t steps = ((size_t)m.cols + 63) / 64 * 4; // of 16
    const int k = step * 16 + lane % 4 * 2;

    previous_done();
    if (step * 16 >= ld)
        return;
    const uint4 v = load_once(m.low + (((size_t)first / 16 + blockIdx.y) * steps + step) * 512 +
                              (size_t)lane * 16);
    // beyond the matrix's columns its panels are 0
    for (int i = 0; i < 4; i++) {
        const int r = row_of(m, (int)blockIdx.y, lane / 4 + 8 * (i % 2), rows), c = k + 8 * (i / 2);

        if (r < rows && c < ld)
            *reinterpret_cast<uint32_t *>(y + (size_t)r * ld + c) = word_of(v, i);
    }
}

// Other types: a thread for eight values of a row.
__global__ void __launch_bounds__(THREADS)
    value_rows(uint16_t *y, struct cuda_matrix m, int first, int rows, int ld)
{
    const int at = blockIdx.y, k = (int)(blockIdx.x * THREADS + threadIdx.x) * 8,
              row = matrix_row(&m, (first + at) / 16, at % 16);
    uint32_t v[4];

    previous_done();
    if (k >= ld)
        return;
#pragma unroll // in registers
    for (int i = 0; i < 4; i++) {
        const int c = k + 2 * i;

        v[i] = pair(c < m.cols ? value(m, row, c) : 0.0f,
                    c + 1 < m.cols ? value(m, row, c + 1) : 0.0f);
    }
    *reinterpret_cast<uint4 *>(y + (size_t)row_of(m, at / 16, at % 16, rows) * ld + k) =
        make_uint4(v[0], v[1], v[2], v[3]);
}

__global__ void __launch_bounds__(THREADS) act_rows(uint16_t *y, const float *x, int cols, int ld)
{
    const int k = 2 * (int)(blockIdx.x * THREADS + threadIdx.x);

    previous_done();
    if (k >= ld)
        return;
    x += (size_t)blockIdx.y * cols;
    *reinterpret_cast<uint32_t *>(y + (size_t)blockIdx.y * ld + k) =
        pair(k < cols ? x[k] : 0.0f, k + 1 < cols ? x[k + 1] : 0.0f);
}

__global__ void __launch_bounds__(THREADS)
    bias_rows(float *y, int ldy, const float *bias, int rows, bool add)
{
    const int r = (int)(blockIdx.x * THREADS + threadIdx.x);

    previous_done();
    if (r >= rows)
        return;
    y += (size_t)blockIdx.y * ldy + r;
    *y = add ? *y + bias[r] : bias[r];
}

unsigned blocks(int n, int each)
{
    return (unsigned)((n + each - 1) / each);
}

} // namespace

void cuda_fast_rows(uint16_t *y, const struct cuda_matrix *m, int first, int rows, int ld,
                    cudaStream_t s)
{
    if (m->type == 30)
        LAUNCH_EARLY(brain_rows, dim3(blocks(ld, THREADS / 32 * 16), blocks(rows, 16)), THREADS, 0,
                     s, y, *m, first, rows, ld);
    else
        LAUNCH_EARLY(value_rows, dim3(blocks(ld, THREADS * 8), (unsigned)rows), THREADS, 0, s, y,
                     *m, first, rows, ld);
}

void cuda_fast_act(uint16_t *y, const float *x, int n, int cols, int ld, cudaStream_t s)
{
    LAUNCH_EARLY(act_rows, dim3(blocks(ld, THREADS * 2), (unsigned)n), THREADS, 0, s, y, x, cols,
                 ld);
}

void cuda_fast_bias(float *y, int ldy, const float *bias, int n, int rows, bool add, cudaStream_t s)
{
    LAUNCH_EARLY(bias_rows, dim3(blocks(rows, THREADS), (unsigned)n), THREADS, 0, s, y, ldy, bias,
                 rows, add);
}
