// few.cu - y = W x for two to eight tokens, quantized weights in blocks of 16 or 32.
//
// A block is a panel of 16 rows. Its eight warps take tiles of 64 values of K in turn: tensor cores
// (mma.sync m16n8k32, s8 or u8 by s8) give the exact integer sums of blocks, which go through
// shared memory to one thread for each (row, token); that adds them up by one fma a block, in
// order, as kernels/cpu/plain_isa.h does. Two phases of tiles are in hand at a time: while the sums
// of one are added, the next one's weights arrive.
//
// Weights are read once, 16 bytes a lane, some tiles ahead in registers.
//
// Measured on an H200 (2026-11-26), 8B shapes, eight tokens, with a kernel for their activations:
// Q8_0 qkv 15.0 us, o 12.7, gate_up 51.8, down 36.5; Q4_0 15.1, 13.9, 45.2, 42.3. Then the first
// weights were read behind the wait for the kernel in front of this one, where ptxas had put them.
#include "fuse.cuh"

namespace
{

constexpr int COLS = 8; // tokens

template <int LOW, int HIGH, int LEVELS, int BLOCK, bool MIN> struct Phase {
    static constexpr int TILES = 16, AHEAD = 2; // of a phase; of a warp in registers
    static constexpr int PER = 64 / BLOCK;      // blocks of a tile
    static constexpr int BLOCKS = TILES * PER;
    static constexpr int ZERO = LOW == 8 || LEVELS || MIN ? 0 : HIGH ? 16 : 8;
    // In shared memory: integers (BLOCKS, 16, COLS), scales and minima (BLOCKS, 16).
    static constexpr int SUMS = BLOCKS * 16 * COLS, SCALES = BLOCKS * 16;
    static constexpr int SIZE = SUMS + SCALES * (MIN ? 2 : 1);
    // Blocks of a multiprocessor, by registers, of those that do nothing but multiply.
    static constexpr int EACH = LOW == 4 && !HIGH && !MIN && BLOCK == 32 ? 4 : 3;
};

// Integer sums of one tile into sum (PER, 16, COLS).
template <int LOW, int HIGH, int LEVELS, int BLOCK>
__device__ inline void tile_sums(int *sum, const Tile<LOW, HIGH> &w, const struct cuda_act &a,
                                 int tile, int lane)
{
    const uint4 table = levels_of(LEVELS);
    const int g = lane / 4, t = lane % 4;

    uint4 x = make_uint4(0, 0, 0, 0);

    if (g < a.ld)
        x = *reinterpret_cast<const uint4 *>(a.q + (((size_t)tile * a.ld + g) * 4 + t) * 16);
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
            int *to = sum + (i * (32 / BLOCK) + h) * 16 * COLS + 2 * t;
            *reinterpret_cast<int2 *>(to + g * COLS) = make_int2(s[0], s[1]);
            *reinterpret_cast<int2 *>(to + (g + 8) * COLS) = make_int2(s[2], s[3]);
        }
    }
}

// The activations' sum of 32 values at block `at`.
__device__ inline int act_sum(const struct cuda_act &a, int at, int token)
{
    return a.s32[((size_t)(at / 8) * a.ld + token) * 8 + at % 8];
}

// Add the blocks of a phase to the sum of one row and token.
template <class P, int BLOCK, bool MIN>
__device__ inline float chain(float acc, const int *sum, const float *d, const float *m,
                              const struct cuda_act &a, int first, int n, int row, int token)
{
#pragma unroll 8
    for (int b = 0; b < n; b++) {
        const int at = (first + b) * BLOCK / 32;
        const float dx = a.d[(size_t)at * a.ld + token];
        const int x = P::ZERO || MIN ? act_sum(a, at, token) : 0;

        acc = fmaf((float)(sum[(b * 16 + row) * COLS + token] - P::ZERO * x), d[b * 16 + row] * dx,
                   acc);
        if (MIN)
            acc = fmaf((float)x, m[b * 16 + row] * dx, acc);
    }
    return acc;
}

// As one.cu: room_bytes of two phases, or of the head's scratch; the block's activations.
template <int LOW, int HIGH, int LEVELS, int BLOCK, bool MIN, bool FUSED>
__global__ void __launch_bounds__(32 * LINEAR_WARPS,
                                  FUSED ? 2 : Phase<LOW, HIGH, LEVELS, BLOCK, MIN>::EACH)
    few(float *y, int ldy, bool add, struct cuda_matrix m, struct cuda_act a, struct cuda_head head,
        int room_bytes)
{
    using P = Phase<LOW, HIGH, LEVELS, BLOCK, MIN>;
    DYN_SHARED(int, shared); // two phases
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int tiles = (m.cols + 63) / 64, blocks = m.cols / BLOCK, panels = (m.rows + 15) / 16;
    const size_t low = (size_t)tiles * 128 * LOW, high = (size_t)tiles * 128 * HIGH, // of a panel
        scales = (size_t)tiles * P::PER * 16;
    const int row = threadIdx.x / COLS, col = threadIdx.x % COLS;
    if (!FUSED)
        head.kind = 0;
    uint8_t *own = reinterpret_cast<uint8_t *>(shared) + room_bytes;
    int panel = (int)blockIdx.x;
    Tile<LOW, HIGH> ring[P::AHEAD];
    Scales<LEVELS, BLOCK, MIN> scale[P::AHEAD];
    const auto load = [&](int u, int panel, int tile) {
        ring[u].load(m.low + panel * low, m.high + panel * high, tile, lane);
        scale[u].load(m, panel * scales + (size_t)tile * P::PER * 16, lane);
    };

    head_begin(head, a, reinterpret_cast<float *>(shared));
#pragma unroll
    for (int u = 0; u < P::AHEAD; u++)
        if (u * LINEAR_WARPS + warp < tiles)
            load(u, panel, u * LINEAR_WARPS + warp);
    previous_done();
    if (head.kind) {
        a = act_place(own, a.n, a.n, a.cols, a.block);
        head_make<0, false>(a, head, reinterpret_cast<float *>(shared));
    }
    for (int phase = 0; panel < panels;) {
        const int then = FUSED ? panel + (int)gridDim.x : panels;
        float acc = 0.0f;

        for (int tile0 = 0; tile0 < tiles; tile0 += P::TILES, phase ^= 1) {
            int *sum = shared + phase * P::SIZE;
            float *d = reinterpret_cast<float *>(sum + P::SUMS);
            float *mn = d + P::SCALES;

#pragma unroll
            for (int u = 0; u < P::AHEAD; u++) {
                const int in = u * LINEAR_WARPS + warp, tile = tile0 + in;
                const Tile<LOW, HIGH> w = ring[u];

                if (tile >= tiles)
                    break;
#pragma unroll
                for (int i = 0; i < P::PER / 2; i++) {
                    d[in * P::PER * 16 + i * 32 + lane] = scale_of<LEVELS, BLOCK>(scale[u].d[i]);
                    if (MIN)
                        mn[in * P::PER * 16 + i * 32 + lane] = scale_of<0, 32>(scale[u].min[i]);
                }
                if (tile + P::TILES < tiles)
                    load(u, panel, tile + P::TILES);
                else if (then < panels)
                    load(u, then, in);
                tile_sums<LOW, HIGH, LEVELS, BLOCK>(sum + in * P::PER * 16 * COLS, w, a, tile,
                                                    lane);
            }
            __syncthreads();
            const int first = tile0 * P::PER, n = min(P::BLOCKS, blocks - first);
            if (row < 16 && col < a.n)
                acc = chain<P, BLOCK, MIN>(acc, sum, d, mn, a, first, n, row, col);
        }
        few_put(y, ldy, add, m, panel, a.n, acc);
        panel = then;
    }
}

template <int LOW, int HIGH, int LEVELS, int BLOCK, bool MIN>
void launch(float *y, int ldy, bool add, const struct cuda_matrix *m, const struct cuda_act *a,
            const struct cuda_head *head, int sms, cudaStream_t s)
{
    using P = Phase<LOW, HIGH, LEVELS, BLOCK, MIN>;
    const Fit f(m, a, head, 2 * sms, (size_t)P::SIZE * 4, (m->cols + 63) / 64 > P::TILES);

    if (head->kind)
        LAUNCH_EARLY((few<LOW, HIGH, LEVELS, BLOCK, MIN, true>), f.grid, 32 * LINEAR_WARPS, f.all,
                     s, y, ldy, add, *m, *a, *head, (int)f.room);
    else
        LAUNCH_EARLY((few<LOW, HIGH, LEVELS, BLOCK, MIN, false>), f.grid, 32 * LINEAR_WARPS, f.all,
                     s, y, ldy, add, *m, *a, *head, (int)f.room);
}

} // namespace

void cuda_linear_few(float *y, int ldy, bool add, const struct cuda_matrix *m,
                     const struct cuda_act *a, const struct cuda_head *head, int sms,
                     cudaStream_t s)
{
    struct matrix_format f = matrix_format(m->type);

    if (f.low == 8)
        launch<8, 0, 0, 32, false>(y, ldy, add, m, a, head, sms, s);
    else if (f.levels == 1)
        launch<4, 0, 1, 32, false>(y, ldy, add, m, a, head, sms, s);
    else if (f.block == 16)
        launch<4, 0, 2, 16, false>(y, ldy, add, m, a, head, sms, s);
    else if (f.levels == 2)
        launch<4, 0, 2, 32, false>(y, ldy, add, m, a, head, sms, s);
    else if (f.high && f.min)
        launch<4, 1, 0, 32, true>(y, ldy, add, m, a, head, sms, s);
    else if (f.high)
        launch<4, 1, 0, 32, false>(y, ldy, add, m, a, head, sms, s);
    else if (f.min)
        launch<4, 0, 0, 32, true>(y, ldy, add, m, a, head, sms, s);
    else
        launch<4, 0, 0, 32, false>(y, ldy, add, m, a, head, sms, s);
}
