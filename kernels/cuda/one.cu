// one.cu - y = W x for one token, quantized weights in blocks of 16 or 32.
//
// A tile is 64 values of K. Tensor cores (mma.sync m16n8k32 and m16n8k16, s8 or u8 by s8) give the
// exact integer sums of blocks; each goes into its row's sum by one fma, in order, as
// kernels/cpu/plain_isa.h does.
//
// Measured on an H200 (2026-11-26), a token of the 8B shape at 128 keys: Q4_0 2.32 ms, Q8_0 3.07;
// by parts of sums in shared memory and barriers, before, 3.40 and 3.87. Reading the weights takes
// 0.95 and 1.79.
//
#include "one.cuh"

namespace
{

// The lower nibbles of bytes; or the upper ones where they stand, times sixteen, which is no shift.
__device__ inline uint32_t nibbles(uint32_t w, bool upper)
{
    return w & (upper ? 0xf0f0f0f0u : 0x0f0f0f0fu);
}

template <int BITS, int HIGH, int LEVELS, int BLOCK, bool MIN> struct Blocks {
    static constexpr int PER = 64 / BLOCK;                          // blocks of a tile
    static constexpr int SIZE = BLOCK == 16 || LEVELS == 2 ? 1 : 2; // bytes of a scale
    // Of a chunk: with minima, or two scales for 32 values, there are twice as many numbers.
    static constexpr int CHUNK = (MIN || BLOCK == 16) && BITS < 8 ? 4 : 8;
    static constexpr int TILES = BITS == 8 ? 4 : CHUNK, STEPS = CHUNK / TILES;
    static constexpr int LOW = BITS * 128; // bytes of a tile
    // Where the planes begin in a slot.
    static constexpr int HIGHS = TILES * LOW, SCALES = HIGHS + TILES * HIGH * 128,
                         MINS = SCALES + TILES * PER * SIZE * 16,
                         SLOT = MINS + (MIN ? TILES * 64 : 0);
    static constexpr int ZERO = BITS == 8 || LEVELS || MIN ? 0 : HIGH ? 16 : 8;
    static constexpr int SUMS = ZERO || MIN ? 32 : 0;
    static constexpr int ALL = CHUNK * PER; // blocks of a chunk

    static __device__ inline int tiles(int cols)
    {
        return (cols + 63) / 64;
    }
    // n of up to TILES tiles' bytes in a plane.
    template <int BYTES>
    static __device__ inline void plane(uint8_t *to, const uint8_t *from, int n, int lane)
    {
#pragma unroll
        for (int i = 0; i < TILES * BYTES; i += 512)
            if (i + lane * 16 < n * BYTES)
                cp_async16(to + i + lane * 16, from + i + lane * 16);
    }
    static __device__ inline void copy(uint8_t *to, const struct cuda_matrix &m, size_t tile, int n,
                                       int lane)
    {
        n = n < TILES ? n : TILES;
        plane<LOW>(to, m.low + tile * LOW, n, lane);
        if (HIGH)
            plane<HIGH * 128>(to + HIGHS, m.high + tile * HIGH * 128, n, lane);
        plane<PER * SIZE * 16>(to + SCALES, m.scale + tile * PER * SIZE * 16, n, lane);
        if (MIN)
            plane<64>(to + MINS, m.min + tile * 64, n, lane);
    }

    // Registers of 32 values `half` of a tile.
    static constexpr bool SHIFTED = BITS == 4 && !HIGH && !LEVELS && BLOCK == 32;
    static __device__ inline uint32_t reg(const Tile<BITS, HIGH> &w, uint4 table, int half, int r)
    {
        if (SHIFTED)
            return nibbles(word_of(w.low[0], r), half);
        return w.template reg<LEVELS>(table, half, r);
    }

    // A chunk's sums and scales; with minima, the activations' sums and the minima.
    struct Part {
        float f[ALL], d[ALL], l[MIN ? ALL : 1], m[MIN ? ALL : 1];

        __device__ inline void add(int s, const uint8_t *w, const struct cuda_act &a, int tile0,
                                   int lane)
        {
            const uint4 table = levels_of(LEVELS);

#pragma unroll
            for (int i = 0; i < TILES; i++) {
                const uint4 x =
                    *reinterpret_cast<const uint4 *>(a.q + (tile0 + i) * 64 + lane % 4 * 16);
                Tile<BITS, HIGH> tile;

#pragma unroll
                for (int k = 0; k < BITS / 4; k++)
                    tile.low[k] =
                        *reinterpret_cast<const uint4 *>(w + i * LOW + k * 512 + lane * 16);
                if (HIGH)
                    tile.high = *reinterpret_cast<const uint32_t *>(w + HIGHS + i * 128 + lane * 4);
#pragma unroll
                for (int half = 0; half < 2; half++) {
                    const uint32_t r[4] = {reg(tile, table, half, 0), reg(tile, table, half, 1),
                                           reg(tile, table, half, 2), reg(tile, table, half, 3)};
                    const uint32_t b[2] = {word_of(x, 2 * half), word_of(x, 2 * half + 1)};
#pragma unroll
                    for (int h = 0; h < 32 / BLOCK; h++) {
                        const int block = half * (32 / BLOCK) + h;
                        int v[4] = {0, 0, 0, 0};

                        if (BLOCK == 16)
                            mma_s8_k16(v, r + 2 * h, b[h]);
                        else if (BITS == 8 || LEVELS)
                            mma_s8(v, r, b);
                        else
                            mma_u8s8(v, r, b);
                        put_block((s * TILES + i) * PER + block, v, half, w, i * PER + block, a,
                                  2 * (tile0 + i) + half, lane);
                    }
                }
            }
        }
        // The chunk's block `to`, the slot's `at`; x: block of 32 of the activations.
        __device__ inline void put_block(int to, const int v[4], int half, const uint8_t *w, int at,
                                         const struct cuda_act &a, int x, int lane)
        {
            const int scale = at * 16 + lane / 4 + 8 * (lane % 2), sx = ZERO || MIN ? a.s32[x] : 0;
            int sum = lane % 2 ? v[2] : v[0];

            if (SHIFTED && half)
                sum >>= 4;
            f[to] = (float)(sum - ZERO * sx);
            d[to] = scale_of<LEVELS, BLOCK>(scale_raw<LEVELS, BLOCK>(w + SCALES, scale)) * a.d[x];
            if (MIN) {
                l[to] = (float)sx;
                m[to] = scale_of<0, 32>(scale_raw<0, 32>(w + MINS, scale)) * a.d[x];
            }
        }
        __device__ inline float join(float sum, const struct cuda_matrix &w, int tile)
        {
            const int n = w.cols / BLOCK - tile * PER;

#pragma unroll
            for (int b = 0; b < ALL; b++)
                if (b < n) {
                    sum = fmaf(f[b], d[b], sum);
                    if (MIN)
                        sum = fmaf(l[b], m[b], sum);
                }
            return sum;
        }
    };
};

} // namespace

void cuda_linear_one(float *y, bool add, const struct cuda_matrix *m, const struct cuda_act *a,
                     int sms, cudaStream_t s)
{
    struct matrix_format f = matrix_format(m->type);

    if (f.low == 8)
        one_launch<Blocks<8, 0, 0, 32, false>>(y, add, m, a, sms, s);
    else if (f.levels == 1)
        one_launch<Blocks<4, 0, 1, 32, false>>(y, add, m, a, sms, s);
    else if (f.block == 16)
        one_launch<Blocks<4, 0, 2, 16, false>>(y, add, m, a, sms, s);
    else if (f.levels == 2)
        one_launch<Blocks<4, 0, 2, 32, false>>(y, add, m, a, sms, s);
    else if (f.high && f.min)
        one_launch<Blocks<4, 1, 0, 32, true>>(y, add, m, a, sms, s);
    else if (f.high)
        one_launch<Blocks<4, 1, 0, 32, false>>(y, add, m, a, sms, s);
    else if (f.min)
        one_launch<Blocks<4, 0, 0, 32, true>>(y, add, m, a, sms, s);
    else
        one_launch<Blocks<4, 0, 0, 32, false>>(y, add, m, a, sms, s);
}
