// fast.cu - matrices and activations as cuBLAS reads them: rows of BF16.
//
// A product of many tokens reads a matrix once and multiplies with it for long, so that writing it
// out anew before costs little beside that (blas.c). A warp takes a unit of a panel as it lies
// there (matrix.h), so that a lane's 16 bytes are read at once and what is the same for a group of
// values is computed once; rows are written in whole sectors. A value is the one that
// libcommon/quant.h reads: the same products and sums in the same order.
//
// Measured on an H200 (2026-11-27), 8B shape, a prompt of 2048 tokens, all of it, with --fast and
// without: Q8_0 67.6 ms and 171, Q4_0 60.5 and 173, Q4_K 60.6 and 146; of 512 tokens 22.6, 21.2 and
// 21.8 and, without, 39, 41 and 33. (Rows by single values took 100, 100 and 99, and 58 to 61.)
#include "act.cuh"
#include "fast.h"
#include "linear.cuh"

namespace
{

constexpr int THREADS = 256, WARPS = THREADS / 32;

__device__ inline uint32_t pair(float a, float b)
{
    return half_bits(a, true) | (uint32_t)half_bits(b, true) << 16;
}

// Where `rows` rows of a matrix go, of ld values; pairs of them are `apart`, as they were.
struct Rows {
    uint16_t *y;
    int rows, ld, apart;

    // The row at a place of a panel; NULL: there is none.
    __device__ inline uint16_t *row(int panel, int place) const
    {
        const int r = matrix_row_apart(apart, panel, place);

        return r < rows ? y + (size_t)r * ld : nullptr;
    }
};

// A warp's unit of a matrix: its panel among those that are written, and in the matrix; the rows
// that fragments have of a lane.
struct Unit {
    int panel, at, lane, ld;
    size_t from;
    uint16_t *row[2]; // places lane / 4, and 8 on

    __device__ inline void two(int below, int k, uint32_t w) const
    {
        if (row[below] && k < ld)
            *reinterpret_cast<uint32_t *>(row[below] + k) = w;
    }
    __device__ inline void four(int below, int k, const float v[4]) const
    {
        if (row[below] && k < ld)
            *reinterpret_cast<uint2 *>(row[below] + k) =
                make_uint2(pair(v[0], v[1]), pair(v[2], v[3]));
    }
};

// F32: rows as they are.
struct Floats {
    static constexpr int K = 64;

    static __device__ inline void write(const Rows &to, const struct cuda_matrix &m, const Unit &u)
    {
        const float *x = reinterpret_cast<const float *>(m.low) + u.from * 16 * m.cols;
        const int k = u.at * K + 2 * u.lane;

        for (int i = 0; i < 16; i++, x += m.cols) {
            uint16_t *y = to.row(u.panel, i);

            if (y && k < to.ld)
                *reinterpret_cast<uint32_t *>(y + k) =
                    pair(k < m.cols ? x[k] : 0.0f, k + 1 < m.cols ? x[k + 1] : 0.0f);
        }
    }
};

// F16 and BF16; beyond the matrix's columns its panels are 0.
template <bool BF16> struct Halves {
    static constexpr int K = 16;

    static __device__ inline void write(const Rows &, const struct cuda_matrix &m, const Unit &u)
    {
        const size_t steps = ((size_t)m.cols + 63) / 64 * 4;
        const uint4 v = load_once(m.low + (u.from * steps + u.at) * 512 + u.lane * 16);

#pragma unroll
        for (int i = 0; i < 4; i++) {
            const uint32_t w = word_of(v, i);

            u.two(i % 2, u.at * K + u.lane % 4 * 2 + i / 2 * 8,
                  BF16 ? w : pair(half_to_float((uint16_t)w), half_to_float((uint16_t)(w >> 16))));
        }
    }
};

// A register's four bytes as integers, less their zero.
template <bool SIGNED, int ZERO> __device__ inline void integers(float v[4], uint32_t w)
{
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const uint32_t b = w >> 8 * i & 255;

        v[i] = (float)((SIGNED ? (int)(int8_t)b : (int)b) - ZERO);
    }
}

// Blocks of 16 or 32: a tile of 64 values of K.
template <int BITS, int HIGH, int LEVELS, int BLOCK, bool MIN> struct Blocks {
    static constexpr int K = 64, PER = 64 / BLOCK; // blocks of a tile
    static constexpr int ZERO = BITS == 8 || LEVELS || MIN ? 0 : HIGH ? 16 : 8;

    static __device__ inline void write(const Rows &, const struct cuda_matrix &m, const Unit &u)
    {
        const size_t first = u.from * (((size_t)m.cols + 63) / 64);
        const uint4 table = levels_of(LEVELS);
        Tile<BITS, HIGH> tile;
        float d[PER][2], least[PER][2], v[4];

        tile.load(m.low + first * 128 * BITS, m.high + first * 128 * HIGH, u.at, u.lane);
#pragma unroll
        for (int i = 0; i < 2 * PER; i++) {
            const size_t at = ((first + u.at) * PER + i / 2) * 16 + u.lane / 4 + i % 2 * 8;

            d[i / 2][i % 2] = scale_at<LEVELS, BLOCK>(m.scale, at);
            least[i / 2][i % 2] = MIN ? scale_at<0, 32>(m.min, at) : 0.0f;
        }
#pragma unroll
        for (int r = 0; r < 8; r++) {
            const int below = r % 2, k0 = r / 2 * 16, block = k0 / BLOCK;

            integers<BITS == 8 || LEVELS != 0, ZERO>(
                v, tile.template reg<LEVELS>(table, r / 4, r % 4));
#pragma unroll
            for (int k = 0; k < 4; k++)
                v[k] = MIN ? v[k] * d[block][below] + least[block][below] : d[block][below] * v[k];
            u.four(below, u.at * K + k0 + u.lane % 4 * 4, v);
        }
    }
};

// Blocks of 256.
template <int BITS, int HIGH, int GROUP, bool MIN> struct Supers {
    static constexpr int K = 256;
    static constexpr int ZERO = BITS == 2 && HIGH ? 4 : HIGH == 2 ? 32 : 0;

    static __device__ inline void write(const Rows &, const struct cuda_matrix &m, const Unit &u)
    {
        const size_t first = u.from * ((size_t)m.cols / 256), at = first + u.at;
        Super<BITS, HIGH> super;
        uint32_t both[2]; // d, and that of minima
        float v[4];

        super.load(m.low + first * BITS * 512, m.high + first * HIGH * 512, m.min + first * 256,
                   u.at, u.lane);
#pragma unroll
        for (int below = 0; below < 2; below++)
            both[below] =
                reinterpret_cast<const uint32_t *>(m.scale)[at * 16 + u.lane / 4 + below * 8];
#pragma unroll
        for (int i = 0; i < 32; i++) { // 16 values of K, of two rows
            const int below = i % 2, k0 = i / 2 * 16, b = super.byte(below, k0 / GROUP);
            const int scale = !MIN ? (int)(int8_t)b : GROUP == 16 ? b & 15 : b;
            const int less = GROUP == 16 ? b >> 4 : super.byte(below, 8 + i / 4);
            const float by = half_to_float((uint16_t)both[below]) * (float)scale,
                        least = half_to_float((uint16_t)(both[below] >> 16)) * (float)less;

            integers<false, ZERO>(v, super.reg(i / 4, i % 4));
#pragma unroll
            for (int k = 0; k < 4; k++)
                v[k] = MIN ? by * v[k] - least : by * v[k];
            u.four(below, u.at * K + k0 + u.lane % 4 * 4, v);
        }
    }
};

// parts: blocks of a panel.
template <class F>
__global__ void __launch_bounds__(THREADS)
    write_rows(Rows to, struct cuda_matrix m, int first, unsigned parts)
{
    Unit u;

    u.panel = (int)(blockIdx.x / parts);
    u.at = (int)(blockIdx.x % parts) * WARPS + (int)threadIdx.x / 32;
    u.lane = (int)threadIdx.x % 32;
    u.ld = to.ld;
    u.from = (size_t)(first / 16 + u.panel);
    u.row[0] = to.row(u.panel, u.lane / 4);
    u.row[1] = to.row(u.panel, u.lane / 4 + 8);
    previous_done(); // what it wrote is read, and may be written anew
    if (u.at * F::K < to.ld)
        F::write(to, m, u);
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

template <class F>
void start(const Rows &to, const struct cuda_matrix &m, int first, cudaStream_t s)
{
    const unsigned parts = blocks(to.ld, F::K * WARPS);

    LAUNCH_EARLY(write_rows<F>, parts * blocks(to.rows, 16), THREADS, 0, s, to, m, first, parts);
}

} // namespace

void cuda_fast_rows(uint16_t *y, const struct cuda_matrix *m, int first, int rows, int ld,
                    cudaStream_t s)
{
    const struct matrix_format f = matrix_format(m->type);
    const Rows to = {y, rows, ld, matrix_apart(m, rows)};
    const struct cuda_matrix &w = *m;

    if (f.block == 1)
        m->type == 30  ? start<Halves<true>>(to, w, first, s)
        : m->type == 1 ? start<Halves<false>>(to, w, first, s)
                       : start<Floats>(to, w, first, s);
    else if (f.block == 256 && f.low == 2)
        f.high ? start<Supers<2, 1, 16, false>>(to, w, first, s)
               : start<Supers<2, 0, 16, true>>(to, w, first, s);
    else if (f.block == 256)
        f.high == 2 ? start<Supers<4, 2, 16, false>>(to, w, first, s)
        : f.high    ? start<Supers<4, 1, 32, true>>(to, w, first, s)
                    : start<Supers<4, 0, 32, true>>(to, w, first, s);
    else if (f.low == 8)
        start<Blocks<8, 0, 0, 32, false>>(to, w, first, s);
    else if (f.levels)
        f.levels == 1   ? start<Blocks<4, 0, 1, 32, false>>(to, w, first, s)
        : f.block == 16 ? start<Blocks<4, 0, 2, 16, false>>(to, w, first, s)
                        : start<Blocks<4, 0, 2, 32, false>>(to, w, first, s);
    else if (f.high)
        f.min ? start<Blocks<4, 1, 0, 32, true>>(to, w, first, s)
              : start<Blocks<4, 1, 0, 32, false>>(to, w, first, s);
    else
        f.min ? start<Blocks<4, 0, 0, 32, true>>(to, w, first, s)
              : start<Blocks<4, 0, 0, 32, false>>(to, w, first, s);
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
