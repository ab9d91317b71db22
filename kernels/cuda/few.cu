// few.cu - y = W x for up to 32 tokens a pass, quantized weights in blocks of 16 or 32.
//
// A block is a panel of 16 rows. Its eight warps take tiles of 64 values of K in turn: tensor cores
// (mma.sync m16n8k32, s8 or u8 by s8) give the exact integer sums of blocks, which go through
// shared memory to one thread for each (row, token); that adds them up by one fma a block, in
// order, as kernels/cpu/plain_isa.h does. Two phases of tiles are in hand at a time: while the sums
// of one are added, the next one's weights arrive.
//
// Weights are read once, 16 bytes a lane, some tiles ahead in registers.
#include "linear.cuh"

namespace
{

template <int LOW, int HIGH, int LEVELS, int BLOCK, bool MIN, int COLS> struct Phase {
    static constexpr int TILES = COLS == 1 ? 64 : COLS == 8 ? 16 : 8; // of a phase
    static constexpr int AHEAD = COLS == 1 ? 4 : COLS == 8 ? 2 : 1; // tiles of a warp in registers
    static constexpr int PER = 64 / BLOCK;                          // blocks of a tile
    static constexpr int BLOCKS = TILES * PER;
    static constexpr int ZERO = LOW == 8 || LEVELS || MIN ? 0 : HIGH ? 16 : 8;
    // For one token, whose sums few threads add, all threads turn the integers into floats first.
    static constexpr bool SETTLE = COLS == 1;
    // In shared memory: integers or floats (BLOCKS, 16, COLS), scales and minima (BLOCKS, 16).
    static constexpr int SUMS = BLOCKS * 16 * COLS, SCALES = BLOCKS * 16;
    static constexpr int SIZE = SUMS * (SETTLE && MIN ? 2 : 1) + SCALES * (MIN ? 2 : 1);
};

// Integer sums of one tile into sum (PER, 16, COLS).
template <int LOW, int HIGH, int LEVELS, int BLOCK, int COLS>
__device__ inline void tile_sums(int *sum, const Tile<LOW, HIGH> &w, const struct cuda_act &a,
                                 int tile, int col0, int lane)
{
    const uint4 table = levels_of(LEVELS);
    const int g = lane / 4, t = lane % 4;

#pragma unroll
    for (int c0 = 0; c0 < COLS; c0 += 8) {
        uint4 x = make_uint4(0, 0, 0, 0);
        if (col0 + c0 + g < a.ld)
            x = *reinterpret_cast<const uint4 *>(
                a.q + (((size_t)tile * a.ld + col0 + c0 + g) * 4 + t) * 16);
#pragma unroll
        for (int i = 0; i < 2; i++) {
            const uint32_t r[4] = {
                w.template reg<LEVELS>(table, i, 0), w.template reg<LEVELS>(table, i, 1),
                w.template reg<LEVELS>(table, i, 2), w.template reg<LEVELS>(table, i, 3)};
            const uint32_t b[2] = {word_of(x, 2 * i), word_of(x, 2 * i + 1)};
#pragma unroll
            for (int h = 0; h < 32 / BLOCK; h++) {
                int s[4] = {0, 0, 0, 0};
                if (BLOCK == 16)
                    mma_s8_k16(s, r + 2 * h, b[h]);
                else if (LOW == 8 || LEVELS)
                    mma_s8(s, r, b);
                else
                    mma_u8s8(s, r, b);
                int *to = sum + (i * (32 / BLOCK) + h) * 16 * COLS + c0 + 2 * t;
                if (COLS > 1) {
                    *reinterpret_cast<int2 *>(to + g * COLS) = make_int2(s[0], s[1]);
                    *reinterpret_cast<int2 *>(to + (g + 8) * COLS) = make_int2(s[2], s[3]);
                } else if (t == 0) {
                    to[g] = s[0];
                    to[g + 8] = s[2];
                }
            }
        }
    }
}

// The activations' sum of 32 values at block `at`.
__device__ inline int act_sum(const struct cuda_act &a, int at, int token)
{
    return a.s32[((size_t)(at / 8) * a.ld + token) * 8 + at % 8];
}

// Integers to floats, scales times the token's scale; with minima, the activations' sums behind.
template <class P, int BLOCK, bool MIN>
__device__ inline void settle(int *sum, float *d, float *m, const struct cuda_act &a, int first,
                              int n, int token)
{
    float *value = reinterpret_cast<float *>(sum);

    for (int i = threadIdx.x; i < n * 16; i += 32 * LINEAR_WARPS) {
        const int at = (first + i / 16) * BLOCK / 32;
        const float dx = a.d[(size_t)at * a.ld + token];
        const int x = P::ZERO || MIN ? act_sum(a, at, token) : 0;

        value[i] = (float)(sum[i] - P::ZERO * x);
        d[i] = d[i] * dx;
        if (MIN) {
            value[P::SUMS + i] = (float)x;
            m[i] = m[i] * dx;
        }
    }
}

// Add the blocks of a phase to the sum of one row and token.
template <class P, int BLOCK, bool MIN, int COLS>
__device__ inline float chain(float acc, const int *sum, const float *d, const float *m,
                              const struct cuda_act &a, int first, int n, int row, int col,
                              int token)
{
#pragma unroll 8
    for (int b = 0; b < n; b++) {
        if (P::SETTLE) {
            const float *value = reinterpret_cast<const float *>(sum);

            acc = fmaf(value[b * 16 + row], d[b * 16 + row], acc);
            if (MIN)
                acc = fmaf(value[P::SUMS + b * 16 + row], m[b * 16 + row], acc);
            continue;
        }
        const int at = (first + b) * BLOCK / 32;
        const float dx = a.d[(size_t)at * a.ld + token];
        const int x = P::ZERO || MIN ? act_sum(a, at, token) : 0;

        acc = fmaf((float)(sum[(b * 16 + row) * COLS + col] - P::ZERO * x), d[b * 16 + row] * dx,
                   acc);
        if (MIN)
            acc = fmaf((float)x, m[b * 16 + row] * dx, acc);
    }
    return acc;
}

template <int LOW, int HIGH, int LEVELS, int BLOCK, bool MIN, int COLS>
__global__ void __launch_bounds__(32 * LINEAR_WARPS, COLS == 1 ? 3 : 2)
    few(float *y, int ldy, bool add, struct cuda_matrix m, struct cuda_act a)
{
    using P = Phase<LOW, HIGH, LEVELS, BLOCK, MIN, COLS>;
    constexpr int TURN = P::TILES / LINEAR_WARPS, CHAINS = COLS * 16 > 256 ? COLS * 16 / 256 : 1;
    DYN_SHARED(int, shared); // two phases
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, panel = blockIdx.x,
              col0 = blockIdx.y * COLS;
    const int tiles = (m.cols + 63) / 64, blocks = m.cols / BLOCK;
    const uint8_t *low = m.low + (size_t)panel * tiles * 128 * LOW,
                  *high = m.high + (size_t)panel * tiles * 128 * HIGH;
    const size_t scales = (size_t)panel * tiles * P::PER * 16;
    const int row = threadIdx.x / COLS, col = threadIdx.x % COLS;
    float acc[CHAINS] = {};
    Tile<LOW, HIGH> ring[P::AHEAD];

#pragma unroll
    for (int u = 0; u < P::AHEAD; u++)
        if (u * LINEAR_WARPS + warp < tiles)
            ring[u].load(low, high, u * LINEAR_WARPS + warp, lane);
    previous_done();
    for (int tile0 = 0, phase = 0; tile0 < tiles; tile0 += P::TILES, phase ^= 1) {
        int *sum = shared + phase * P::SIZE;
        float *d = reinterpret_cast<float *>(sum + P::SUMS * (P::SETTLE && MIN ? 2 : 1));
        float *mn = d + P::SCALES;

        for (int i = 0; i < TURN; i += P::AHEAD)
#pragma unroll
            for (int u = 0; u < P::AHEAD; u++) {
                int in = (i + u) * LINEAR_WARPS + warp, tile = tile0 + in;
                Tile<LOW, HIGH> w = ring[u];

                if (tile >= tiles)
                    break;
                for (int s = lane; s < P::PER * 16; s += 32) {
                    size_t at = scales + (size_t)tile * P::PER * 16 + s;
                    d[in * P::PER * 16 + s] = scale_at<LEVELS, BLOCK>(m.scale, at);
                    if (MIN)
                        mn[in * P::PER * 16 + s] = scale_at<0, 32>(m.min, at);
                }
                if (tile + P::AHEAD * LINEAR_WARPS < tiles)
                    ring[u].load(low, high, tile + P::AHEAD * LINEAR_WARPS, lane);
                tile_sums<LOW, HIGH, LEVELS, BLOCK, COLS>(sum + in * P::PER * 16 * COLS, w, a, tile,
                                                          col0, lane);
            }
        __syncthreads();
        int first = tile0 * P::PER, n = min(P::BLOCKS, blocks - first);
        if (P::SETTLE) {
            settle<P, BLOCK, MIN>(sum, d, mn, a, first, n, col0);
            __syncthreads();
        }
        if (threadIdx.x < 16 * COLS && col0 + col < a.n)
#pragma unroll
            for (int k = 0; k < CHAINS; k++)
                acc[k] = chain<P, BLOCK, MIN, COLS>(acc[k], sum, d, mn, a, first, n,
                                                    row + k * (256 / COLS), col, col0 + col);
    }
    if (threadIdx.x >= 16 * COLS || col0 + col >= a.n)
        return;
    for (int k = 0; k < CHAINS; k++) {
        int r = panel * 16 + row + k * (256 / COLS);
        if (r < m.rows)
            put(y + (size_t)(col0 + col) * ldy + m.row0 + r, m.bias ? acc[k] + m.bias[r] : acc[k],
                add);
    }
}

template <int LOW, int HIGH, int LEVELS, int BLOCK, bool MIN, int COLS>
void launch(float *y, int ldy, bool add, const struct cuda_matrix *m, const struct cuda_act *a,
            cudaStream_t s)
{
    using P = Phase<LOW, HIGH, LEVELS, BLOCK, MIN, COLS>;
    const size_t bytes = (size_t)P::SIZE * 4 * ((m->cols + 63) / 64 > P::TILES ? 2 : 1);
    const dim3 grid((unsigned)(m->rows + 15) / 16, (unsigned)(a->n + COLS - 1) / COLS);

    LAUNCH_EARLY((few<LOW, HIGH, LEVELS, BLOCK, MIN, COLS>), grid, 32 * LINEAR_WARPS, bytes, s, y,
                 ldy, add, *m, *a);
}

template <int LOW, int HIGH, int LEVELS, int BLOCK, bool MIN>
void columns(float *y, int ldy, bool add, const struct cuda_matrix *m, const struct cuda_act *a,
             cudaStream_t s)
{
    if (a->n == 1)
        launch<LOW, HIGH, LEVELS, BLOCK, MIN, 1>(y, ldy, add, m, a, s);
    else if (a->n <= 8)
        launch<LOW, HIGH, LEVELS, BLOCK, MIN, 8>(y, ldy, add, m, a, s);
    else
        launch<LOW, HIGH, LEVELS, BLOCK, MIN, 32>(y, ldy, add, m, a, s);
}

} // namespace

void cuda_linear_few(float *y, int ldy, bool add, const struct cuda_matrix *m,
                     const struct cuda_act *a, cudaStream_t s)
{
    struct matrix_format f = matrix_format(m->type);

    if (f.low == 8)
        columns<8, 0, 0, 32, false>(y, ldy, add, m, a, s);
    else if (f.levels == 1)
        columns<4, 0, 1, 32, false>(y, ldy, add, m, a, s);
    else if (f.block == 16)
        columns<4, 0, 2, 16, false>(y, ldy, add, m, a, s);
    else if (f.levels == 2)
        columns<4, 0, 2, 32, false>(y, ldy, add, m, a, s);
    else if (f.high && f.min)
        columns<4, 1, 0, 32, true>(y, ldy, add, m, a, s);
    else if (f.high)
        columns<4, 1, 0, 32, false>(y, ldy, add, m, a, s);
    else if (f.min)
        columns<4, 0, 0, 32, true>(y, ldy, add, m, a, s);
    else
        columns<4, 0, 0, 32, false>(y, ldy, add, m, a, s);
}
