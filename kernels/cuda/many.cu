// many.cu - y = W x for more than eight tokens, quantized weights in blocks of 16 or 32.
//
// many.cuh says how a product is cut and how weights and activations come through shared memory. A
// warp makes fragments of signed bytes of the weights, once for its tokens. Integer sums of a block
// of K (mma.sync m16n8k32) are added to the outputs, which stay in registers, by one fma, in order:
// the bytes are those of few.cu.
//
// Sums start at the bits of a large float, so that they are floats when they are done, but for a
// subtraction; what is left is that, the product of two scales, and the fma.
//
// Measured on an H200, 2026-11-27, 8B shapes, microseconds a product (weights from memory):
//
//              tokens    qkv      o  gate_up    down
//     Q8_0         16   13.2   11.1     33.9    34.6
//                  32   17.0   13.7     42.1    43.5
//                  64   23.6   19.3     80.6    62.6
//                 128   34.0   26.6      152    86.7
//                 512    104   78.1      511     258
//                2048    412    329     1894    1103   209 to 254 Top/s
//     Q4_0         64   22.9   18.4     80.0    59.3
//                2048    439    318     2009    1064
#include "many.cuh"

namespace
{

template <int LOW, int HIGH, int LEVELS, int BLOCK, bool MINS> struct Format {
    static constexpr int PW = 2, TW = 32; // of a warp when there is enough to do
    static constexpr int STEP = 4, D = 2 * STEP, SUMS = MINS ? 16 : 0;
    static constexpr int L = 128 * LOW, H = 128 * HIGH, S = LEVELS == 2 && BLOCK == 32 ? 32 : 64,
                         M = MINS ? 64 : 0;
    static constexpr int PER = 64 / BLOCK; // blocks of a tile
    // Values less their zero are made in the upper bits of bytes, and are 2^UP times as large.
    static constexpr int UP = LOW == 8 || LEVELS || MINS ? 0 : HIGH ? 3 : 4;
    static constexpr int START = MAGIC - (UP << 23);

    // Registers of the two k32 of a tile, of a lane; panel: its planes in a stage.
    __device__ static inline void regs(uint32_t r[2][4], const uint8_t *low, const uint8_t *high,
                                       int lane)
    {
        const uint4 table = levels_of(LEVELS);
        const uint32_t up = HIGH ? *reinterpret_cast<const uint32_t *>(high + lane * 4) : 0;
#pragma unroll
        for (int i = 0; i < 2; i++) {
            const uint4 v = *reinterpret_cast<const uint4 *>(low + i * (LOW / 8) * 512 + lane * 16);
#pragma unroll
            for (int k = 0; k < 4; k++) {
                uint32_t w = word_of(v, k);

                if (LEVELS)
                    w = level_bytes(table, w >> 16 * i);
                else if (LOW == 4 && UP == 4)
                    w = ((i ? w : w << 4) & 0xf0f0f0f0u) ^ 0x80808080u;
                else if (LOW == 4 && UP == 3)
                    w = (((i ? w >> 1 : w << 3) & 0x78787878u) |
                         (up << (7 - 2 * k - i) & 0x80808080u)) ^
                        0x80808080u;
                else if (LOW == 4)
                    w = (w >> 4 * i & 0x0f0f0f0f) |
                        (HIGH ? (up >> (2 * k + i) & 0x01010101) << 4 : 0);
                r[i][k] = w;
            }
        }
    }

    // Scales of the tiles at p and q, for rows lane / 4 and 8 on.
    __device__ static inline void scales(float d[2][PER][2], const uint8_t *p, const uint8_t *q,
                                         int lane)
    {
        if (LEVELS == 2) {
#pragma unroll
            for (int i = 0; i < 4 * PER; i++)
                d[i / (2 * PER)][i / 2 % PER][i % 2] =
                    scale_at<LEVELS, BLOCK>(i < 2 * PER ? p : q, i % (2 * PER) * 8 + lane / 4);
            return;
        }
        uint32_t r[4];
        // matrix i is block i % 2 of tile i / 2: rows of the first eight, of the others, in turn
        ldmatrix_x4_trans(r, (lane < 16 ? p : q) + lane / 8 % 2 * 32 + lane % 2 * 16);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            d[i / 2][i % 2][0] = half_to_float((uint16_t)r[i]);
            d[i / 2][i % 2][1] = half_to_float((uint16_t)(r[i] >> 16));
        }
    }

    // acc += (float)dot * (row's d * token's d), of rows lane / 4 and 8 on.
    __device__ static inline void join(float acc[4], const int dot[4], const float d[2], float x,
                                       float y)
    {
        const float big = num_float((uint32_t)START);

        acc[0] = fmaf(num_float((uint32_t)dot[0]) - big, d[0] * x, acc[0]);
        acc[1] = fmaf(num_float((uint32_t)dot[1]) - big, d[0] * y, acc[1]);
        acc[2] = fmaf(num_float((uint32_t)dot[2]) - big, d[1] * x, acc[2]);
        acc[3] = fmaf(num_float((uint32_t)dot[3]) - big, d[1] * y, acc[3]);
    }

    // A k32 of a panel with eight tokens.
    __device__ static inline void block(float acc[4], const uint32_t r[4], const uint32_t x[2],
                                        const float (*d)[2], const float *l, float dx, float dy,
                                        int sx, int sy)
    {
#pragma unroll
        for (int h = 0; h < 32 / BLOCK; h++) {
            int dot[4] = {START, START, START, START};

            if (BLOCK == 16)
                mma_s8_k16(dot, r + 2 * h, x[h]);
            else
                mma_s8(dot, r, x);
            join(acc, dot, d[h], dx, dy);
        }
        if (MINS) {
            acc[0] = fmaf((float)sx, l[0] * dx, acc[0]);
            acc[1] = fmaf((float)sy, l[0] * dy, acc[1]);
            acc[2] = fmaf((float)sx, l[1] * dx, acc[2]);
            acc[3] = fmaf((float)sy, l[1] * dy, acc[3]);
        }
    }

    // Two tiles of one panel, or one of two.
    template <class C>
    __device__ static inline void pair(float acc[C::PW][C::TW / 8][4], const Place_in &at, int u,
                                       int tile, int lane)
    {
        using R = Ring<Format, C>;
        constexpr bool WIDE = C::PW == 2;
        constexpr int E = C::TW > 8 ? 2 : 1; // products side by side
        const uint8_t *w[2] = {at.w, at.w + (WIDE ? R::PANEL : 0)};
        const int16_t *sums = reinterpret_cast<const int16_t *>(at.sums);
        const int of[2] = {u, WIDE ? u : u + 1};
        uint32_t r[2][2][4];
        float d[2][PER][2], l[2][2][2];

#pragma unroll
        for (int v = 0; v < 2; v++)
            regs(r[v], w[v] + of[v] * L, w[v] + R::HIGH + of[v] * H, lane);
        scales(d, w[0] + R::SCALE + of[0] * S, w[1] + R::SCALE + of[1] * S, lane);
        if (MINS)
            Format<4, 0, 0, 32, false>::scales(l, w[0] + R::MIN + of[0] * M,
                                               w[1] + R::MIN + of[1] * M, lane);
#pragma unroll
        for (int c = 0; c < C::TW / 8; c += E)
#pragma unroll
            for (int v = 0; v < (WIDE ? 1 : 2); v++) {
                uint4 q[E];
#pragma unroll
                for (int e = 0; e < E; e++)
                    q[e] = *reinterpret_cast<const uint4 *>(at.x + of[v] * C::COLS * 64 + c * 512 +
                                                            e * 128);
#pragma unroll
                for (int i = 0; i < 2; i++) {
                    const float *from = at.d + (of[v] * 2 + i) * C::COLS + c * 8;
                    float dx[2 * E];
                    int s[2 * E] = {};

                    if (E == 2)
                        *reinterpret_cast<float4 *>(dx) = *reinterpret_cast<const float4 *>(from);
                    else
                        *reinterpret_cast<float2 *>(dx) = *reinterpret_cast<const float2 *>(from);
#pragma unroll
                    for (int k = 0; MINS && k < 2 * E; k++)
                        s[k] =
                            sums[(c * 8 + lane % 4 * 2 * E + k) * 8 + (tile + of[v]) % 4 * 2 + i];
#pragma unroll
                    for (int p = v; p < (WIDE ? 2 : v + 1); p++)
#pragma unroll
                        for (int e = 0; e < E; e++) {
                            const uint32_t x[2] = {word_of(q[e], 2 * i), word_of(q[e], 2 * i + 1)};

                            block(acc[WIDE ? p : 0][c + e], r[p][i], x, d[p] + i * PER / 2, l[p][i],
                                  dx[2 * e], dx[2 * e + 1], s[2 * e], s[2 * e + 1]);
                        }
                }
            }
    }

    template <class C>
    __device__ static inline void stage(float acc[C::PW][C::TW / 8][4], const Place_in &at,
                                        int tile, int lane)
    {
#pragma unroll(C::PW *C::TW > 16 || LEVELS == 2 ? 1 : 2)
        for (int u = 0; u < STEP; u += 2 / C::PW)
            pair<C>(acc, at, u, tile, lane);
    }
};

} // namespace

int cuda_linear_many_by(const struct many_way *way, float *y, int ldy, bool add,
                        const struct cuda_matrix *m, const struct cuda_act *a, cudaStream_t s)
{
    const struct matrix_format f = matrix_format(m->type);

    if (f.block == 256)
        return cuda_linear_many_k(way, y, ldy, add, m, a, s);
    if (f.low == 8)
        return launch<Format<8, 0, 0, 32, false>>(y, ldy, add, m, a, way, s);
    if (f.levels == 1)
        return launch<Format<4, 0, 1, 32, false>>(y, ldy, add, m, a, way, s);
    if (f.levels == 2)
        return f.block == 16 ? launch<Format<4, 0, 2, 16, false>>(y, ldy, add, m, a, way, s)
                             : launch<Format<4, 0, 2, 32, false>>(y, ldy, add, m, a, way, s);
    if (f.high)
        return f.min ? launch<Format<4, 1, 0, 32, true>>(y, ldy, add, m, a, way, s)
                     : launch<Format<4, 1, 0, 32, false>>(y, ldy, add, m, a, way, s);
    return f.min ? launch<Format<4, 0, 0, 32, true>>(y, ldy, add, m, a, way, s)
                 : launch<Format<4, 0, 0, 32, false>>(y, ldy, add, m, a, way, s);
}

void cuda_linear_many(float *y, int ldy, bool add, const struct cuda_matrix *m,
                      const struct cuda_act *a, int sms, cudaStream_t s)
{
    const struct many_way way = {sms, 0, -1};

    cuda_linear_many_by(&way, y, ldy, add, m, a, s);
}
