// emu_mma.cpp - mma on the host: the fragments of the PTX ISA. Arithmetic of values that are in
// registers already, so it is compiled for speed, without sanitizers.
#include "emu_in.h"

#include <algorithm>
#include <cmath>

namespace emu
{

// ---- mma of floats: the 16 products of an output are summed in ascending order, then added

static float f16_table[1 << 16];

static float from_f16(uint32_t w, int high)
{
    return f16_table[w >> 16 * high & 0xffff];
}

static float from_bf16(uint32_t w, int high)
{
    return __uint_as_float(w >> 16 * high << 16);
}

// As hardware might: all is cut off 24 bits below the largest exponent of what is summed, where a
// product's is the sum of its factors', and a zero has one as well. So what a zero is multiplied
// with shows in the bits, of which no kernel may make a difference.
static float mma_cut(const float *a, const float (*b)[8], int column, float c)
{
    const int ZERO = 4;
    int most = c == 0.0f ? ZERO : ilogbf(c);
    double sum, unit;

    for (int k = 0; k < 16; k++) {
        float x = a[k], y = b[k][column];

        if (!std::isfinite(x) || !std::isfinite(y) || !std::isfinite(c))
            return NAN;
        most = std::max(most, (x == 0.0f ? ZERO : ilogbf(x)) + (y == 0.0f ? ZERO : ilogbf(y)));
    }
    unit = ldexp(1.0, most - 24);
    sum = trunc((double)c / unit);
    for (int k = 0; k < 16; k++)
        sum += trunc((double)a[k] * (double)b[k][column] / unit);
    return (float)(sum * unit);
}

template <float VALUE(uint32_t, int)> static void mma_floats(void **p, unsigned)
{
    static const bool cut = getenv("EMU_MMA_CUT") != nullptr;
    float a[16][16], b[16][8], d[16][8] = {};

    for (int l = 0; l < 32; l++) {
        const Mma &x = *(const Mma *)p[l];
        int g = l / 4, t = l % 4 * 2;

        for (int h = 0; h < 2; h++) {
            for (int i = 0; i < 4; i++)
                a[g + i % 2 * 8][t + i / 2 * 8 + h] = VALUE(x.a[i], h);
            for (int i = 0; i < 2; i++)
                b[t + i * 8 + h][g] = VALUE(x.b[i], h);
        }
    }
    for (int i = 0; !cut && i < 16; i++)
        for (int k = 0; k < 16; k++)
            for (int j = 0; j < 8; j++)
                d[i][j] += a[i][k] * b[k][j];
    for (int l = 0; l < 32; l++) {
        float *o = (float *)((const Mma *)p[l])->d;
        int g = l / 4, t = l % 4 * 2;

        for (int i = 0; i < 4; i++) {
            int row = g + i / 2 * 8, column = t + i % 2;

            o[i] = cut ? mma_cut(a[row], b, column, o[i]) : o[i] + d[row][column];
        }
    }
}

void mma_f16_warp(void **p, unsigned mask)
{
    if (f16_table[0x3c00] != 1.0f)
        for (unsigned i = 0; i < 1 << 16; i++) {
            __half_raw r;

            r.x = (unsigned short)i;
            f16_table[i] = __half2float(__half(r));
        }
    mma_floats<from_f16>(p, mask);
}

void mma_bf16_warp(void **p, unsigned mask)
{
    mma_floats<from_bf16>(p, mask);
}

void mma_f16(float *d, const uint32_t *a, const uint32_t *b)
{
    Mma m{d, a, b};

    warp_op(~0u, &m, mma_f16_warp, "mma_f16", {"mma_f16", 0});
}

void mma_bf16(float *d, const uint32_t *a, const uint32_t *b)
{
    Mma m{d, a, b};

    warp_op(~0u, &m, mma_bf16_warp, "mma_bf16", {"mma_bf16", 0});
}

// ---- mma of bytes, A's type and K

template <class A, int K> static void mma_bytes(void **p, unsigned)
{
    int16_t a[16][K], b[8][K];
    int d[16][8];

    for (int l = 0; l < 32; l++) {
        const Mma &x = *(const Mma *)p[l];
        int g = l / 4, t = l % 4 * 4;

        for (int h = 0; h < 4; h++) {
            for (int i = 0; i < K / 8; i++)
                a[g + i % 2 * 8][t + i / 2 * 16 + h] = (A)(x.a[i] >> 8 * h);
            for (int i = 0; i < K / 16; i++)
                b[g][t + i * 16 + h] = (int8_t)(x.b[i] >> 8 * h);
        }
    }
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 8; j++) {
            int s = 0;

            for (int k = 0; k < K; k++)
                s += a[i][k] * b[j][k];
            d[i][j] = s;
        }
    for (int l = 0; l < 32; l++) {
        int *o = (int *)((const Mma *)p[l])->d, g = l / 4, t = l % 4 * 2;

        for (int i = 0; i < 4; i++)
            o[i] = (int)((unsigned)o[i] + (unsigned)d[g + i / 2 * 8][t + i % 2]);
    }
}

void mma_s8(int *d, const uint32_t *a, const uint32_t *b, int k)
{
    Mma m{d, a, b};

    warp_op(~0u, &m, k == 32 ? mma_bytes<int8_t, 32> : mma_bytes<int8_t, 16>, "mma_s8",
            {"mma_s8", 0});
}

void mma_u8s8(int *d, const uint32_t *a, const uint32_t *b, int k)
{
    Mma m{d, a, b};

    warp_op(~0u, &m, k == 32 ? mma_bytes<uint8_t, 32> : mma_bytes<uint8_t, 16>, "mma_u8s8",
            {"mma_u8s8", 0});
}

int dp4a_u8s8(uint32_t a, uint32_t b, int c)
{
    for (int i = 0; i < 4; i++)
        c += (uint8_t)(a >> 8 * i) * (int8_t)(b >> 8 * i);
    return c;
}

} // namespace emu
