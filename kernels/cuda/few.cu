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

template <int BLOCK, int COLS> struct Phase {
    static constexpr int TILES = COLS == 1 ? 64 : COLS == 8 ? 16 : 8; // of a phase
    static constexpr int AHEAD = COLS == 1 ? 4 : COLS == 8 ? 2 : 1; // tiles of a warp in registers
    static constexpr int PER = 64 / BLOCK;                          // blocks of a tile
    static constexpr int BLOCKS = TILES * PER;
    static constexpr int SUMS = BLOCKS * 16 * COLS, SCALES = BLOCKS * 16;
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

struct Sum {
    int row, col, stride; // of the chain's first row, its token, rows between its chains
};

// Add the blocks of a phase to the sums of one row and token.
template <int BLOCK, int COLS>
__device__ inline float chain(float acc, const int *sum, const float *d, const float *m,
                              const struct cuda_act &a, int first, int n, int zero, bool minima,
                              int row, int col, int token)
{
#pragma unroll 4
    for (int b = 0; b < n; b++) {
        int at = (first + b) * BLOCK / 32, s = sum[(b * 16 + row) * COLS + col], x = 0;
        float dx = a.d[(size_t)at * a.ld + token];

        if (zero || minima)
            x = a.s32[((size_t)(at / 8) * a.ld + token) * 8 + at % 8];
        acc = fmaf((float)(s - zero * x), d[b * 16 + row] * dx, acc);
        if (minima)
            acc = fmaf((float)x, m[b * 16 + row] * dx, acc);
    }
    return acc;
}

template <int LOW, int HIGH, int LEVELS, int BLOCK, int COLS>
__global__ void __launch_bounds__(32 * LINEAR_WARPS, 2)
    few(float *y, int ldy, bool add, struct cuda_matrix m, struct cuda_act a, int zero, bool minima)
{
    using P = Phase<BLOCK, COLS>;
    constexpr int TURN = P::TILES / LINEAR_WARPS, CHAINS = COLS * 16 > 256 ? COLS * 16 / 256 : 1;
    DYN_SHARED(int, shared); // two of: sums, d, minima
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, panel = blockIdx.x,
              col0 = blockIdx.y * COLS;
    const int tiles = (m.cols + 63) / 64, blocks = m.cols / BLOCK,
              size = P::SUMS + P::SCALES * (minima ? 2 : 1);
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
        int *sum = shared + phase * size;
        float *d = reinterpret_cast<float *>(sum + P::SUMS), *mn = d + P::SCALES;

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
                    if (minima)
                        mn[in * P::PER * 16 + s] = scale_at<0, 32>(m.min, at);
                }
                if (tile + P::AHEAD * LINEAR_WARPS < tiles)
                    ring[u].load(low, high, tile + P::AHEAD * LINEAR_WARPS, lane);
                tile_sums<LOW, HIGH, LEVELS, BLOCK, COLS>(sum + in * P::PER * 16 * COLS, w, a, tile,
                                                          col0, lane);
            }
        __syncthreads();
        int first = tile0 * P::PER, n = min(P::BLOCKS, blocks - first);
        if (threadIdx.x < 16 * COLS && col0 + col < a.n)
#pragma unroll
            for (int k = 0; k < CHAINS; k++)
                acc[k] = chain<BLOCK, COLS>(acc[k], sum, d, mn, a, first, n, zero, minima,
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

template <int LOW, int HIGH, int LEVELS, int BLOCK, int COLS>
void launch(float *y, int ldy, bool add, const struct cuda_matrix *m, const struct cuda_act *a,
            cudaStream_t s)
{
    using P = Phase<BLOCK, COLS>;
    struct matrix_format f = matrix_format(m->type);
    int tiles = (m->cols + 63) / 64;
    size_t bytes = (size_t)(P::SUMS + P::SCALES * (f.min ? 2 : 1)) * 4;
    dim3 grid((unsigned)(m->rows + 15) / 16, (unsigned)(a->n + COLS - 1) / COLS);

    LAUNCH_EARLY((few<LOW, HIGH, LEVELS, BLOCK, COLS>), grid, 32 * LINEAR_WARPS,
                 tiles > P::TILES ? 2 * bytes : bytes, s, y, ldy, add, *m, *a, f.zero, f.min != 0);
}

template <int LOW, int HIGH, int LEVELS, int BLOCK>
void columns(float *y, int ldy, bool add, const struct cuda_matrix *m, const struct cuda_act *a,
             cudaStream_t s)
{
    if (a->n == 1)
        launch<LOW, HIGH, LEVELS, BLOCK, 1>(y, ldy, add, m, a, s);
    else if (a->n <= 8)
        launch<LOW, HIGH, LEVELS, BLOCK, 8>(y, ldy, add, m, a, s);
    else
        launch<LOW, HIGH, LEVELS, BLOCK, 32>(y, ldy, add, m, a, s);
}

} // namespace

void cuda_linear_few(float *y, int ldy, bool add, const struct cuda_matrix *m,
                     const struct cuda_act *a, cudaStream_t s)
{
    struct matrix_format f = matrix_format(m->type);

    if (f.low == 8)
        columns<8, 0, 0, 32>(y, ldy, add, m, a, s);
    else if (f.levels == 1)
        columns<4, 0, 1, 32>(y, ldy, add, m, a, s);
    else if (f.block == 16)
        columns<4, 0, 2, 16>(y, ldy, add, m, a, s);
    else if (f.levels == 2)
        columns<4, 0, 2, 32>(y, ldy, add, m, a, s);
    else if (f.high)
        columns<4, 1, 0, 32>(y, ldy, add, m, a, s);
    else
        columns<4, 0, 0, 32>(y, ldy, add, m, a, s);
}
