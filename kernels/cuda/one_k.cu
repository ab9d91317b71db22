// one_k.cu - y = W x for one token, quantized weights in blocks of 256 (Q2_K to Q6_K).
//
// As one.cu; a tile is a block of 256, whose groups' exact sums are added up, each times its
// integer scale (and the minima times the activations' sums), so that a block leaves one or two
// integers for a row, and one or two fmas. Lanes t and t ^ 2, which have the same row, share the
// sums of the activations.
//
// Measured on an H200 (2026-11-26), a token of the 8B shape at 128 keys: Q4_K 2.27 ms, before 2.55.
#include "one.cuh"

namespace
{

__device__ inline int byte_of(uint4 v, int i)
{
    return word_of(v, i / 4) >> 8 * (i % 4) & 255;
}

template <int BITS, int HIGH, int GROUP, bool MIN> struct Supers {
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

    static __device__ inline int scale(uint4 v, int i)
    {
        const int b = byte_of(v, i);

        return BITS == 2 && !HIGH ? b & 15 : GROUP == 32 ? b : (int)(int8_t)b;
    }

    struct Part {
        float f[STEPS], d[STEPS], l[MIN ? STEPS : 1], m[MIN ? STEPS : 1];

        // Groups' sums times their scales; with plain nibbles those of odd 32 values, which are
        // times sixteen, by themselves.
        __device__ inline void add(int u, const uint8_t *w, const struct cuda_act &a, int at,
                                   int lane)
        {
            const int t = lane % 4, odd = lane % 2, row = lane / 4 + 8 * odd;
            const int8_t *q = a.q + at * 256 + t * 16;
            const uint4 by = *reinterpret_cast<const uint4 *>(w + SIDE + row * 16);
            const uint32_t dm = *reinterpret_cast<const uint32_t *>(w + SIDE + 256 + row * 4);
            Super<BITS, HIGH> super;
            int sum = 0, high = 0;

#pragma unroll
            for (int i = 0; i < BITS; i++)
                super.low[i] = *reinterpret_cast<const uint4 *>(w + i * 512 + lane * 16);
#pragma unroll
            for (int i = 0; i < HIGH; i++)
                super.high[i] = *reinterpret_cast<const uint4 *>(w + (BITS + i) * 512 + lane * 16);
#pragma unroll
            for (int b = 0; b < 8; b++) {
                const uint4 v = *reinterpret_cast<const uint4 *>(q + b / 2 * 64);
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
                    (SHIFTED && b % 2 ? high : sum) +=
                        scale(by, b * (32 / GROUP) + h) * (odd ? s[2] : s[0]);
                }
            }
            const int extra = extras(by, a, at, t);

            f[u] = (float)(sum + (high >> 4) - ZERO * extra);
            d[u] = half_to_float((uint16_t)dm) * a.d[at];
            if (MIN) {
                l[u] = (float)extra;
                m[u] = -half_to_float((uint16_t)(dm >> 16)) * a.d[at];
            }
        }

        // Minima, or scales, times the activations' sums: half of the groups a lane.
        static __device__ inline int extras(uint4 by, const struct cuda_act &a, int at, int t)
        {
            const bool upper = t >= 2;
            int e = 0;

            if (!MIN && !ZERO)
                return 0;
            if (GROUP == 32) { // minima are bytes 8 on
                const uint2 x = reinterpret_cast<const uint2 *>(a.s32 + at * 8)[upper];
                const uint32_t v = upper ? by.w : by.z;
#pragma unroll
                for (int i = 0; i < 4; i++)
                    e += (int)(v >> 8 * i & 255) *
                         (int)(int16_t)((i < 2 ? x.x : x.y) >> 16 * (i % 2));
            } else {
                const uint4 x = reinterpret_cast<const uint4 *>(a.s16 + at * 16)[upper];
                const uint4 half = upper ? make_uint4(by.z, by.w, 0, 0) : by;
#pragma unroll
                for (int i = 0; i < 8; i++)
                    e += (MIN ? byte_of(half, i) >> 4 : scale(half, i)) *
                         (int)(int16_t)(word_of(x, i / 2) >> 16 * (i % 2));
            }
            return e + __shfl_xor_sync(~0u, e, 2);
        }

        __device__ inline float join(float sum, const struct cuda_matrix &w, int at)
        {
#pragma unroll
            for (int b = 0; b < STEPS; b++)
                if (at + b < w.cols / 256) {
                    sum = fmaf(f[b], d[b], sum);
                    if (MIN)
                        sum = fmaf(l[b], m[b], sum);
                }
            return sum;
        }
    };
};

} // namespace

void cuda_linear_one_k(float *y, bool add, const struct cuda_matrix *m, const struct cuda_act *a,
                       int sms, cudaStream_t s)
{
    struct matrix_format f = matrix_format(m->type);

    if (f.low == 2 && f.high)
        one_launch<Supers<2, 1, 16, false>>(y, add, m, a, sms, s);
    else if (f.low == 2)
        one_launch<Supers<2, 0, 16, true>>(y, add, m, a, sms, s);
    else if (f.high == 2)
        one_launch<Supers<4, 2, 16, false>>(y, add, m, a, sms, s);
    else if (f.high)
        one_launch<Supers<4, 1, 32, true>>(y, add, m, a, sms, s);
    else
        one_launch<Supers<4, 0, 32, true>>(y, add, m, a, sms, s);
}
