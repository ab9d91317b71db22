// few_k.cu - y = W x for one to eight tokens, quantized weights in blocks of 256 (Q2_K to Q6_K).
//
// As few.cu; a tile is a block of 256, whose groups' exact sums are added up, each times its
// integer scale (and the minima times the activations' sums), so that a block leaves one or two
// integers for a row and token, and one or two fmas. Of one token lanes t and t ^ 2, which have the
// same row, share the sums of the activations.
//
// Measured on an H200 (2026-11-27), 8B shapes, microseconds a product of one token: Q4_K qkv 6.6, o
// 5.2, gate_up 18.5, down 11.2; Q6_K 7.7, 6.4, 23.6, 13.7. Of two to eight, when the blocks still
// asked for weights ahead (few.cuh): Q4_K 8.1, 6.1, 24.9, 15.2, by many_k.cu 13.4, 11.5, 25.5, 37;
// Q6_K 11.4, 7.5, 32.9, 18.8, by many_k.cu 16.6, 12.9, 33.4, 41.
#include "few.cuh"

namespace
{

__device__ inline int byte_of(uint4 v, int i)
{
    return word_of(v, i / 4) >> 8 * (i % 4) & 255;
}

template <bool ONE, int BITS, int HIGH, int GROUP, bool MIN> struct Supers {
    using Share = ::Share<ONE>;
    using S = Share;
    static constexpr int TILES = 1, STEPS = 2;
    static constexpr int LOW = BITS * 512, SIDE = (BITS + HIGH) * 512, // of a block; of a slot
        SLOT = SIDE + 256 + 64;
    static constexpr int ZERO = BITS == 2 && HIGH ? 4 : HIGH == 2 ? 32 : 0;
    static constexpr int SUMS = GROUP == 32 ? 32 : MIN || ZERO ? 16 : 0;
    static constexpr bool SHIFTED = BITS == 4 && !HIGH;

    static __device__ inline int tiles(int cols)
    {
        return cols / 256;
    }
    static __device__ inline void copy(uint8_t *to, const struct cuda_matrix &m, size_t super, int,
                                       int lane)
    {
        const uint8_t *side =
            lane < 16 ? m.min + super * 256 + lane * 16 : m.scale + super * 64 + (lane - 16) * 16;

#pragma unroll
        for (int i = 0; i < BITS; i++)
            cp_async16(to + i * 512 + lane * 16, m.low + super * LOW + i * 512 + lane * 16);
#pragma unroll
        for (int i = 0; i < HIGH; i++)
            cp_async16(to + (BITS + i) * 512 + lane * 16,
                       m.high + super * HIGH * 512 + i * 512 + lane * 16);
        if (lane < 20)
            cp_async16(to + SIDE + lane * 16, side);
    }

    // Scale and minimum of group i, out of a row's bytes.
    static __device__ inline int scale(uint4 v, int i)
    {
        const int b = byte_of(v, i);

        return BITS == 2 && !HIGH ? b & 15 : GROUP == 32 ? b : (int)(int8_t)b;
    }
    static __device__ inline int least(uint4 v, int i)
    {
        return GROUP == 32 ? byte_of(v, i + 8) : byte_of(v, i) >> 4;
    }

    struct Part {
        float f[STEPS][S::ALL], d[STEPS][S::ALL], l[MIN ? STEPS : 1][S::ALL],
            m[MIN ? STEPS : 1][S::ALL];

        // Groups' sums times their scales; with plain nibbles those of odd 32 values, which are
        // times sixteen, by themselves.
        __device__ inline void add(int u, const uint8_t *w, const struct cuda_act &a, int at,
                                   int lane)
        {
            uint4 by[S::ROWS];
            Super<BITS, HIGH> super;
            int sum[S::ALL] = {}, high[S::ALL] = {}, extra[S::ALL] = {};

#pragma unroll
            for (int r = 0; r < S::ROWS; r++)
                by[r] = *reinterpret_cast<const uint4 *>(w + SIDE +
                                                         (lane / 4 + S::below(r, lane)) * 16);
#pragma unroll
            for (int i = 0; i < BITS; i++)
                super.low[i] = *reinterpret_cast<const uint4 *>(w + i * 512 + lane * 16);
#pragma unroll
            for (int i = 0; i < HIGH; i++)
                super.high[i] = *reinterpret_cast<const uint4 *>(w + (BITS + i) * 512 + lane * 16);
#pragma unroll
            for (int b = 0; b < 8; b++) {
                const uint4 v = S::acts(a, at * 4 + b / 2, lane);
                const uint32_t y[2] = {word_of(v, 2 * (b % 2)), word_of(v, 2 * (b % 2) + 1)};
                uint32_t r[4];

#pragma unroll
                for (int i = 0; i < 4; i++)
                    r[i] = SHIFTED && b % 2 ? word_of(super.low[b / 2], i) & 0xf0f0f0f0u
                                            : super.reg(b, i);
#pragma unroll
                for (int h = 0; h < 32 / GROUP; h++) {
                    int s[4] = {0, 0, 0, 0};

                    if (GROUP == 32)
                        mma_u8s8(s, r, y);
                    else
                        mma_u8s8_k16(s, r + 2 * h, y[h]);
#pragma unroll
                    for (int i = 0; i < S::ALL; i++)
                        (SHIFTED && b % 2 ? high : sum)[i] +=
                            scale(by[i / S::TOKENS], b * (32 / GROUP) + h) * S::of(s, i, lane);
                }
            }
            if (MIN || ZERO)
                extras(extra, by, a, at, lane);
            float dx[S::TOKENS];

            S::scales(dx, a, at, lane);
#pragma unroll
            for (int i = 0; i < S::ALL; i++) {
                const uint32_t dm = *reinterpret_cast<const uint32_t *>(
                    w + SIDE + 256 + (lane / 4 + S::below(i / S::TOKENS, lane)) * 4);

                f[u][i] = (float)(sum[i] + (high[i] >> 4) - ZERO * extra[i]);
                d[u][i] = half_to_float((uint16_t)dm) * dx[i % S::TOKENS];
                if (MIN) {
                    l[u][i] = (float)extra[i];
                    m[u][i] = -half_to_float((uint16_t)(dm >> 16)) * dx[i % S::TOKENS];
                }
            }
        }

        // Minima, or scales, of eight groups from `first` on times the activations' sums x.
        static __device__ inline int extra_of(uint4 by, uint4 x, int first)
        {
            int e = 0;

#pragma unroll
            for (int i = 0; i < 8; i++)
                e += (MIN ? least(by, first + i) : scale(by, first + i)) *
                     (int)(int16_t)(word_of(x, i / 2) >> 16 * (i % 2));
            return e;
        }
        // Of one token, half of the groups a lane.
        static __device__ inline void extras(int e[S::ALL], const uint4 by[S::ROWS],
                                             const struct cuda_act &a, int at, int lane)
        {
            constexpr int EACH = 256 / GROUP / 8; // sums of a token, in units of eight
            const uint4 *x = reinterpret_cast<const uint4 *>(GROUP == 32 ? a.s32 : a.s16) +
                             (size_t)at * S::LD * EACH;

            if constexpr (!ONE) {
#pragma unroll
                for (int t = 0; t < S::TOKENS; t++)
#pragma unroll
                    for (int k = 0; k < EACH; k++) {
                        const uint4 v = x[(S::token(lane) + t) * EACH + k];

#pragma unroll
                        for (int r = 0; r < S::ROWS; r++)
                            e[r * S::TOKENS + t] += extra_of(by[r], v, 8 * k);
                    }
            } else {
                const bool upper = lane % 4 >= 2;

                if constexpr (GROUP == 32) { // minima are bytes 8 on
                    const uint2 v = reinterpret_cast<const uint2 *>(x)[upper];
                    const uint32_t m = upper ? by[0].w : by[0].z;

#pragma unroll
                    for (int i = 0; i < 4; i++)
                        e[0] += (int)(m >> 8 * i & 255) *
                                (int)(int16_t)((i < 2 ? v.x : v.y) >> 16 * (i % 2));
                } else {
                    e[0] =
                        extra_of(upper ? make_uint4(by[0].z, by[0].w, 0, 0) : by[0], x[upper], 0);
                }
                e[0] += __shfl_xor_sync(~0u, e[0], 2);
            }
        }

        __device__ inline void join(float sum[S::ALL], const struct cuda_matrix &w, int at) const
        {
#pragma unroll
            for (int b = 0; b < STEPS; b++)
                if (at + b < w.cols / 256)
#pragma unroll
                    for (int i = 0; i < S::ALL; i++) {
                        sum[i] = fmaf(f[b][i], d[b][i], sum[i]);
                        if (MIN)
                            sum[i] = fmaf(l[b][i], m[b][i], sum[i]);
                    }
        }
    };
};

} // namespace

template <int BITS, int HIGH, int GROUP, bool MIN, class... Args>
static void run(const struct cuda_act *a, Args... args)
{
    if (a->n == 1)
        few_launch<Supers<true, BITS, HIGH, GROUP, MIN>>(args...);
    else
        few_launch<Supers<false, BITS, HIGH, GROUP, MIN>>(args...);
}

void cuda_linear_few_k(float *y, int ldy, bool add, const struct cuda_matrix *m,
                       const struct cuda_act *a, int sms, cudaStream_t s)
{
    struct matrix_format f = matrix_format(m->type);

    if (f.low == 2 && f.high)
        run<2, 1, 16, false>(a, y, ldy, add, m, a, sms, s);
    else if (f.low == 2)
        run<2, 0, 16, true>(a, y, ldy, add, m, a, sms, s);
    else if (f.high == 2)
        run<4, 2, 16, false>(a, y, ldy, add, m, a, sms, s);
    else if (f.high)
        run<4, 1, 32, true>(a, y, ldy, add, m, a, sms, s);
    else
        run<4, 0, 32, true>(a, y, ldy, add, m, a, sms, s);
}
