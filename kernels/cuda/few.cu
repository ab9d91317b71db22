// few.cu - y = W x for one to eight tokens, quantized weights in blocks of 16 or 32.
//
// A tile is 64 values of K. Tensor cores (mma.sync m16n8k32 and m16n8k16, s8 or u8 by s8) give the
// exact integer sums of blocks; each goes into its row's and token's sum by one fma, in order, as
// kernels/cpu/plain_isa.h does.
//
// Measured on an H200 (2026-11-27), 8B shapes, microseconds a product:
//
//              tokens    qkv      o  gate_up    down
//     Q8_0          1    8.6    6.8     31.1    17.7   reading the weights takes 6.0, 4.0, 28, 14
//     Q4_0          1    6.2    5.3     18.1    11.1                             3.2, 2.1, 15, 7.4
//              2 to 8    9.6    6.7     26.6    15.6   by many.cu 13.3, 10.9, 28.6, 34.4
//
// A token of the 8B shape at 128 keys: Q4_0 2.06 ms.
#include "few.cuh"

namespace
{

// The lower nibbles of bytes; or the upper ones where they stand, times sixteen, which is no shift.
__device__ inline uint32_t nibbles(uint32_t w, bool upper)
{
    return w & (upper ? 0xf0f0f0f0u : 0x0f0f0f0fu);
}

// The activations' sums of 32 values, from a tile of 64 on.
template <bool ONE, int TILES> struct Act_sums {
    int first; // block of 32; of several tokens, within the eight of which v has the sums
    uint4 v[ONE ? 1 : 2];

    __device__ inline Act_sums(const struct cuda_act &a, int tile, bool any, int lane)
        : first(2 * (ONE         ? tile
                     : TILES % 4 ? tile % 4
                                 : 0)),
          v{}
    {
        using S = Share<ONE>;

#pragma unroll
        for (int t = 0; !ONE && any && t < S::TOKENS; t++)
            v[t] = reinterpret_cast<const uint4 *>(a.s32)[tile / 4 * S::LD + S::token(lane) + t];
    }
    // Of block i of them.
    __device__ inline void of(int sum[Share<ONE>::TOKENS], const struct cuda_act &a, int i) const
    {
        i += first;
        if constexpr (ONE)
            sum[0] = a.s32[i];
        else
#pragma unroll
            for (int t = 0; t < 2; t++)
                sum[t] = (int16_t)(word_of(v[t], i / 2) >> 16 * (i % 2));
    }
};

template <bool ONE, int BITS, int HIGH, int LEVELS, int BLOCK, bool MIN> struct Blocks {
    using Share = ::Share<ONE>;
    using S = Share;
    static constexpr int PER = 64 / BLOCK;                          // blocks of a tile
    static constexpr int SIZE = BLOCK == 16 || LEVELS == 2 ? 1 : 2; // bytes of a scale
    // Of a chunk: with minima, or two scales for 32 values, there are twice as many numbers; of
    // several tokens each lane has four times as many.
    static constexpr int CHUNK = (MIN || BLOCK == 16 ? 4 : 8) / (ONE ? 1 : 2);
    static constexpr int TILES = BITS == 8 ? 4 : CHUNK, STEPS = CHUNK / TILES;
    static constexpr int LOW = BITS * 128; // bytes of a tile
    // Where the planes begin in a slot.
    static constexpr int HIGHS = TILES * LOW, SCALES = HIGHS + TILES * HIGH * 128,
                         MINS = SCALES + TILES * PER * SIZE * 16,
                         SLOT = MINS + (MIN ? TILES * 64 : 0);
    static constexpr int ZERO = BITS == 8 || LEVELS || MIN ? 0 : HIGH ? 16 : 8;
    static constexpr int SUMS = ZERO || MIN ? 32 : 0; // of activations
    static constexpr int ALL = CHUNK * PER;           // blocks of a chunk

    static __device__ inline int tiles(int cols)
    {
        return (cols + 63) / 64;
    }
    // n tiles' bytes in a plane; of a whole step they are so many.
    template <bool WHOLE, int BYTES>
    static __device__ inline void plane(uint8_t *to, const uint8_t *from, int n, int lane)
    {
        const int bytes = (WHOLE ? TILES : n) * BYTES - lane * 16;

        to += lane * 16;
        from += lane * 16;
#pragma unroll
        for (int i = 0; i < TILES * BYTES; i += 512)
            if ((WHOLE && i + 512 <= TILES * BYTES) || i < bytes)
                cp_async16(to + i, from + i);
    }
    template <bool WHOLE>
    static __device__ inline void planes(uint8_t *to, const struct cuda_matrix &m, size_t tile,
                                         int n, int lane)
    {
        plane<WHOLE, LOW>(to, m.low + tile * LOW, n, lane);
        if (HIGH)
            plane<WHOLE, HIGH * 128>(to + HIGHS, m.high + tile * HIGH * 128, n, lane);
        plane<WHOLE, PER * SIZE * 16>(to + SCALES, m.scale + tile * PER * SIZE * 16, n, lane);
        if (MIN)
            plane<WHOLE, 64>(to + MINS, m.min + tile * 64, n, lane);
    }
    static __device__ inline void copy(uint8_t *to, const struct cuda_matrix &m, size_t tile, int n,
                                       int lane)
    {
        if (n >= TILES)
            planes<true>(to, m, tile, n, lane);
        else
            planes<false>(to, m, tile, n, lane);
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
        float f[ALL][S::ALL], d[ALL][S::ALL], l[MIN ? ALL : 1][S::TOKENS], m[MIN ? ALL : 1][S::ALL];

        __device__ inline void add(int s, const uint8_t *w, const struct cuda_act &a, int tile0,
                                   int lane)
        {
            const uint4 table = levels_of(LEVELS);
            const Act_sums<ONE, TILES> sums(a, tile0, SUMS, lane);

#pragma unroll
            for (int i = 0; i < TILES; i++) {
                const uint4 x = S::acts(a, tile0 + i, lane);
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
                    int sx[S::TOKENS] = {};
                    float dx[S::TOKENS];

                    S::scales(dx, a, 2 * (tile0 + i) + half, lane);
                    if (SUMS)
                        sums.of(sx, a, 2 * i + half);
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
                        put_block((s * TILES + i) * PER + block, v, half, w, i * PER + block, sx,
                                  dx, lane);
                    }
                }
            }
        }
        // The chunk's block `to`, the slot's `at`; sx and dx: sums and scales of the activations.
        __device__ inline void put_block(int to, const int v[4], int half, const uint8_t *w, int at,
                                         const int sx[S::TOKENS], const float dx[S::TOKENS],
                                         int lane)
        {
#pragma unroll
            for (int r = 0; r < S::ROWS; r++) {
                const int scale = at * 16 + lane / 4 + S::below(r, lane);
                const float by =
                    scale_of<LEVELS, BLOCK>(scale_raw<LEVELS, BLOCK>(w + SCALES, scale));
                const float min = MIN ? scale_of<0, 32>(scale_raw<0, 32>(w + MINS, scale)) : 0.0f;

#pragma unroll
                for (int t = 0; t < S::TOKENS; t++) {
                    const int i = r * S::TOKENS + t;
                    int sum = S::of(v, i, lane);

                    if (SHIFTED && half)
                        sum >>= 4;
                    f[to][i] = (float)(sum - ZERO * sx[t]);
                    d[to][i] = by * dx[t];
                    if (MIN) {
                        l[to][t] = (float)sx[t];
                        m[to][i] = min * dx[t];
                    }
                }
            }
        }
        __device__ inline void join(float sum[S::ALL], const struct cuda_matrix &w, int tile) const
        {
            const int n = w.cols / BLOCK - tile * PER;

#pragma unroll
            for (int b = 0; b < ALL; b++)
                if (b < n)
#pragma unroll
                    for (int i = 0; i < S::ALL; i++) {
                        sum[i] = fmaf(f[b][i], d[b][i], sum[i]);
                        if (MIN)
                            sum[i] = fmaf(l[b][i % S::TOKENS], m[b][i], sum[i]);
                    }
        }
    };
};

} // namespace

template <int BITS, int HIGH, int LEVELS, int BLOCK, bool MIN, class... Args>
static void run(const struct cuda_act *a, Args... args)
{
    if (a->n == 1)
        few_launch<Blocks<true, BITS, HIGH, LEVELS, BLOCK, MIN>>(args...);
    else
        few_launch<Blocks<false, BITS, HIGH, LEVELS, BLOCK, MIN>>(args...);
}

void cuda_linear_few(float *y, int ldy, bool add, const struct cuda_matrix *m,
                     const struct cuda_act *a, int sms, cudaStream_t s)
{
    struct matrix_format f = matrix_format(m->type);

    if (f.low == 8)
        run<8, 0, 0, 32, false>(a, y, ldy, add, m, a, sms, s);
    else if (f.levels == 1)
        run<4, 0, 1, 32, false>(a, y, ldy, add, m, a, sms, s);
    else if (f.block == 16)
        run<4, 0, 2, 16, false>(a, y, ldy, add, m, a, sms, s);
    else if (f.levels == 2)
        run<4, 0, 2, 32, false>(a, y, ldy, add, m, a, sms, s);
    else if (f.high && f.min)
        run<4, 1, 0, 32, true>(a, y, ldy, add, m, a, sms, s);
    else if (f.high)
        run<4, 1, 0, 32, false>(a, y, ldy, add, m, a, sms, s);
    else if (f.min)
        run<4, 0, 0, 32, true>(a, y, ldy, add, m, a, sms, s);
    else
        run<4, 0, 0, 32, false>(a, y, ldy, add, m, a, sms, s);
}
