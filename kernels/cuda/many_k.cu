// many_k.cu - y = W x for more than eight tokens, quantized weights in blocks of 256 (Q2_K to
// Q6_K).
//
// As many.cu. A block's integer sums, each group times its integer scale, are added up for all the
// warp's tokens before they become floats; so are the minima times the activations' sums, by
// mma.sync too: of a sum of activations, which has 13 bits, seven and the others, so that both are
// signed bytes. Then one fma for the block, and one for its minima.
//
// Measured on an H200, 2026-11-27, 8B shapes, microseconds a product (weights from memory):
//
//              tokens    qkv      o  gate_up    down
//     Q4_K         16   13.4   11.5     25.8    37.1
//                  32   15.6   13.3     35.8    42.0
//                  64   20.5   16.5     67.1    53.0
//                 128   27.8   22.1      124    70.7
//                 512   84.8   63.0      409     208
//                2048    333    248     1523     822   277 to 316 Top/s
//     Q6_K         64   27.0   20.6     88.7    67.4
//                2048    431    321     1979    1081
#include "many.cuh"

namespace
{

template <int LOW, int HIGH, int GROUP, bool MINS> struct Super_format {
    static constexpr int PW = 1, TW = 64; // of a warp when there is enough to do
    static constexpr int STEP = 4, D = 1, SUMS = !MINS ? 0 : GROUP == 16 ? 32 : 16;
    static constexpr int L = 128 * LOW, H = 128 * HIGH, S = 16, M = 64; // M: groups
    // As in many.cu: values less 4 or 32 are 2^UP times as large.
    static constexpr int UP = LOW == 2 && HIGH ? 5 : HIGH == 2 ? 2 : 0;
    static constexpr bool NIBBLES = LOW == 2 && !HIGH; // of scale and minimum in a byte

    template <int N> __device__ static inline uint32_t up(uint32_t w)
    {
        return N < 0 ? w >> (N < 0 ? -N : 0) : w << (N < 0 ? 0 : N);
    }

    // Register k of a k32, I of four: low and high are its words of the planes.
    template <int I, int K> __device__ static inline uint32_t reg(uint32_t low, uint32_t high)
    {
        constexpr uint32_t ONES = 0x01010101u;
        constexpr int FROM = LOW == 2 ? 2 * I : 4 * (I % 2),
                      BIT = HIGH == 2 ? 2 * K : 2 * K + I % 2;
        constexpr uint32_t LOWS = ((1u << LOW) - 1) << UP, HIGHS = ((1u << HIGH) - 1) << (UP + LOW);
        uint32_t w = up<UP - FROM>(low) & LOWS * ONES;

        if (HIGH)
            w |= up<UP + LOW - BIT>(high) & HIGHS * ONES;
        return UP ? w ^ 0x80808080u : w;
    }

    // Registers of tile T's k32; planes of the panel in a stage.
    template <int T>
    __device__ static inline void regs(uint32_t r[2][4], const uint8_t *low, const uint8_t *high,
                                       int lane)
    {
        constexpr int I = LOW == 2 ? T % 2 * 2 : 0;
        const uint4 v =
            *reinterpret_cast<const uint4 *>(low + (LOW == 2 ? T / 2 : T) * 512 + lane * 16);
        uint32_t h[2] = {0, 0};

        if (HIGH == 1)
            h[0] = h[1] = *reinterpret_cast<const uint32_t *>(high + lane * 16 + T * 4);
        if (HIGH == 2) {
            const uint2 both =
                *reinterpret_cast<const uint2 *>(high + T / 2 * 512 + lane * 16 + T % 2 * 8);
            h[0] = both.x;
            h[1] = both.y;
        }
        r[0][0] = reg<I, 0>(v.x, h[0]);
        r[0][1] = reg<I, 1>(v.y, h[0]);
        r[0][2] = reg<I, 2>(v.z, h[0]);
        r[0][3] = reg<I, 3>(v.w, h[0]);
        r[1][0] = reg<I + 1, 0>(v.x, h[1]);
        r[1][1] = reg<I + 1, 1>(v.y, h[1]);
        r[1][2] = reg<I + 1, 2>(v.z, h[1]);
        r[1][3] = reg<I + 1, 3>(v.w, h[1]);
    }

    // Scales of the groups of tile T in rows lane / 4 and 8 on.
    template <int T>
    __device__ static inline void scales(int s[64 / GROUP][2], const uint8_t *groups, int lane)
    {
#pragma unroll
        for (int below = 0; below < 2; below++) {
            const uint32_t w = *reinterpret_cast<const uint32_t *>(
                groups + (lane / 4 + 8 * below) * 16 + (GROUP == 16 ? T : T / 2) * 4);
#pragma unroll
            for (int k = 0; k < 64 / GROUP; k++) {
                const uint32_t b = w >> 8 * (GROUP == 16 ? k : T % 2 * 2 + k);
                s[k][below] = NIBBLES ? (int)(b & 15) : GROUP == 32 ? (int)(b & 255) : (int8_t)b;
            }
        }
    }

    // The sums of tile T.
    template <class C, int T>
    __device__ static inline void tile_sums(int sum[C::PW][C::TW / 8][4], const Place_in &at,
                                            int lane)
    {
        using R = Ring<Super_format, C>;
        uint32_t r[C::PW][2][4];
        int s[C::PW][64 / GROUP][2];

        if (C::TW > 16)
            __syncwarp(); // so much at a time fits into registers
#pragma unroll
        for (int p = 0; p < C::PW; p++) {
            const uint8_t *w = at.w + p * R::PANEL;

            regs<T>(r[p], w, w + R::HIGH, lane);
            scales<T>(s[p], w + R::MIN, lane);
        }
#pragma unroll
        for (int c = 0; c < C::TW / 8; c++) {
            if (!GPU_HOPPER && C::TW == 32 && c % 2)
                __syncwarp();
            const uint4 q = *reinterpret_cast<const uint4 *>(at.x + T * C::COLS * 64 +
                                                             token_of<C::TW>(c, 0) * 64);
#pragma unroll
            for (int p = 0; p < C::PW; p++)
#pragma unroll
                for (int k = 0; k < 64 / GROUP; k++) {
                    const int i = k * GROUP / 32, h = k % (32 / GROUP);
                    const uint32_t x[2] = {word_of(q, 2 * i), word_of(q, 2 * i + 1)};
                    int dot[4] = {0, 0, 0, 0};

                    if (GROUP == 16)
                        mma_s8_k16(dot, r[p][i] + 2 * h, x[h]);
                    else
                        mma_s8(dot, r[p][i], x);
#pragma unroll
                    for (int o = 0; o < 4; o++)
                        sum[p][c][o] += s[p][k][o / 2] * dot[o];
                }
        }
    }

    // Minima as fragments of 16 groups, of which the others are 0: [0] for the lower bits of the
    // activations' sums, [1] for the upper ones.
    __device__ static inline void minima(uint32_t f[2][2], const uint8_t *groups, int lane)
    {
        const int t = lane % 4;
#pragma unroll
        for (int below = 0; below < 2; below++) {
            const uint32_t w = *reinterpret_cast<const uint32_t *>(
                groups + (lane / 4 + 8 * below) * 16 + (GROUP == 16 ? t * 4 : 8 + t % 2 * 4));

            f[0][below] = GROUP == 16 ? w >> 4 & 0x0f0f0f0f : t < 2 ? w : 0;
            f[1][below] = GROUP == 16 ? f[0][below] : t < 2 ? 0 : w;
        }
    }

    // The sums of the lane's column of product c: seven bits of each and the others.
    __device__ static inline void halves(uint32_t x[2], const uint8_t *sums, int lane)
    {
        const int t = lane % 4;
        const uint2 v = *reinterpret_cast<const uint2 *>(sums + (GROUP == 16 ? t : t % 2) * 8);

        x[0] = __byte_perm(v.x, v.y, 0x6420) & 0x7f7f7f7f;
        x[1] = __byte_perm(v.x << 1, v.y << 1, 0x7531);
    }

    template <class C>
    __device__ static inline void stage(float acc[C::PW][C::TW / 8][4], const Place_in &at, int,
                                        int lane)
    {
        using R = Ring<Super_format, C>;
        const int g = lane / 4;
        int sum[C::PW][C::TW / 8][4] = {};
        float d[C::PW][2], l[C::PW][2];
        uint32_t least[C::PW][2][2];

        tile_sums<C, 0>(sum, at, lane);
        tile_sums<C, 1>(sum, at, lane);
        tile_sums<C, 2>(sum, at, lane);
        tile_sums<C, 3>(sum, at, lane);
#pragma unroll
        for (int p = 0; p < C::PW; p++) {
            const uint8_t *w = at.w + p * R::PANEL;
#pragma unroll
            for (int below = 0; below < 2; below++) {
                const uint32_t both =
                    *reinterpret_cast<const uint32_t *>(w + R::SCALE + (g + 8 * below) * 4);
                d[p][below] = half_to_float((uint16_t)both);
                l[p][below] = -half_to_float((uint16_t)(both >> 16));
            }
            if (MINS)
                minima(least[p], w + R::MIN, lane);
        }
#pragma unroll
        for (int c = 0; c < C::TW / 8; c++) {
            const float2 dx = *reinterpret_cast<const float2 *>(at.d + c / 2 * 16 + c % 2 * 2);
            uint32_t x[2];

            if (MINS)
                halves(x, at.sums + token_of<C::TW>(c, g) * SUMS, lane);
#pragma unroll
            for (int p = 0; p < C::PW; p++) {
#pragma unroll
                for (int o = 0; o < 4; o++)
                    acc[p][c][o] = fmaf((float)(sum[p][c][o] >> UP),
                                        d[p][o / 2] * (o % 2 ? dx.y : dx.x), acc[p][c][o]);
                if (!MINS)
                    continue;
                int low[4] = {MAGIC, MAGIC, MAGIC, MAGIC}, high[4] = {0, 0, 0, 0};

                mma_s8_k16(low, least[p][0], x[0]);
                mma_s8_k16(high, least[p][1], x[1]);
#pragma unroll
                for (int o = 0; o < 4; o++)
                    acc[p][c][o] = fmaf(num_float((uint32_t)(low[o] + 128 * high[o])) - NUM_ROUND,
                                        l[p][o / 2] * (o % 2 ? dx.y : dx.x), acc[p][c][o]);
            }
        }
    }
};

} // namespace

int cuda_linear_many_k(const struct many_way *way, float *y, int ldy, bool add,
                       const struct cuda_matrix *m, const struct cuda_act *a, cudaStream_t s)
{
    const struct matrix_format f = matrix_format(m->type);

    if (f.low == 2)
        return f.high ? launch<Super_format<2, 1, 16, false>>(y, ldy, add, m, a, way, s)
                      : launch<Super_format<2, 0, 16, true>>(y, ldy, add, m, a, way, s);
    if (f.high == 2)
        return launch<Super_format<4, 2, 16, false>>(y, ldy, add, m, a, way, s);
    return f.high ? launch<Super_format<4, 1, 32, true>>(y, ldy, add, m, a, way, s)
                  : launch<Super_format<4, 0, 32, true>>(y, ldy, add, m, a, way, s);
}
