// linear.cuh - what the kernels of y = W x share: fragments out of planes (matrix.h), outputs.
#pragma once
#include "gpu.h"
#include "matrix.h"
#include "num.h"

namespace
{

constexpr int LINEAR_WARPS = 8;
constexpr int HALF_SEGMENT = 512; // values of K that are summed by themselves: half.cu

// IQ4_NL's levels, and twice the values of E2M1, as bytes of four words. libcommon/quant.c.
__device__ inline uint4 levels_of(int levels)
{
    return levels == 1 ? make_uint4(0xbfad9881u, 0xf6eaddcfu, 0x26190d01u, 0x71594535u)
                       : make_uint4(0x03020100u, 0x0c080604u, 0xfdfeff00u, 0xf4f8fafcu);
}

// The levels that the four nibbles of the lower half of w name.
__device__ inline uint32_t level_bytes(uint4 t, uint32_t w)
{
    uint32_t low = __byte_perm(t.x, t.y, w & 0x7777), high = __byte_perm(t.z, t.w, w & 0x7777);

    return __byte_perm(low, high, 0x3210 | (w & 0x8888) >> 1);
}

__device__ inline uint32_t word_of(uint4 v, int i)
{
    return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w;
}

// A tile of 64 values of K of types with blocks up to 32: its words of the planes.
template <int LOW, int HIGH> struct Tile {
    uint4 low[LOW / 4];
    uint32_t high;

    __device__ inline void load(const uint8_t *l, const uint8_t *h, int tile, int lane)
    {
        for (int i = 0; i < LOW / 4; i++)
            low[i] = load_once(l + ((size_t)tile * (LOW / 4) + i) * 512 + lane * 16);
        if (HIGH)
            high = *reinterpret_cast<const uint32_t *>(h + (size_t)tile * 128 + lane * 4);
    }
    // Register r of k32 i.
    template <int LEVELS> __device__ inline uint32_t reg(uint4 table, int i, int r) const
    {
        if (LOW == 8)
            return word_of(low[i * (LOW / 4 - 1)], r);
        uint32_t w = word_of(low[0], r);
        if (LEVELS)
            return level_bytes(table, w >> 16 * i);
        w = w >> 4 * i & 0x0f0f0f0f;
        return HIGH ? w | (high >> (2 * r + i) & 0x01010101) << 4 : w;
    }
};

// A block of 256.
template <int LOW, int HIGH> struct Super {
    uint4 low[LOW], high[HIGH ? HIGH : 1], group[2]; // groups of rows lane / 4, and 8 on

    __device__ inline void load(const uint8_t *l, const uint8_t *h, const uint8_t *g, int super,
                                int lane)
    {
        for (int i = 0; i < LOW; i++)
            low[i] = load_once(l + ((size_t)super * LOW + i) * 512 + lane * 16);
        for (int i = 0; i < HIGH; i++)
            high[i] = load_once(h + ((size_t)super * HIGH + i) * 512 + lane * 16);
        for (int i = 0; i < 2; i++)
            group[i] = load_once(g + ((size_t)super * 16 + lane / 4 + 8 * i) * 16);
    }
    // Register r of k32 b, of eight.
    __device__ inline uint32_t reg(int b, int r) const
    {
        uint32_t w = LOW == 2 ? word_of(low[b / 4], r) >> 2 * (b % 4) & 0x03030303
                              : word_of(low[b / 2 * (LOW / 4)], r) >> 4 * (b % 2) & 0x0f0f0f0f;
        if (HIGH == 1)
            w |= (word_of(high[0], b / 2) >> (2 * r + b % 2) & 0x01010101) << LOW;
        if (HIGH == 2)
            w |= (word_of(high[b / 4], b % 4) >> 2 * r & 0x03030303) << LOW;
        return w;
    }
    // Byte i of the groups of the lane's row, or the one eight below.
    __device__ inline int byte(int below, int i) const
    {
        return word_of(group[below], i / 4) >> 8 * (i % 4) & 255;
    }
};

__device__ inline float half_to_float(uint16_t h)
{
    __half_raw r;

    r.x = h;
    return __half2float(__half(r));
}

// d of MXFP4 and NVFP4. libcommon/quant.c.
__device__ inline float e8m0(int e)
{
    return num_float(e < 2 ? 0x00200000u << e : (uint32_t)(e - 1) << 23);
}

__device__ inline float e4m3(int d)
{
    int exponent = d >> 3 & 15, fraction = d & 7;

    if (d == 0x7f)
        return 0.0f;
    if (!exponent)
        return (float)fraction * 0x1p-10f;
    return num_float((uint32_t)(exponent + 119) << 23 | (uint32_t)fraction << 20);
}

// The scale at index i of a plane, of blocks up to 32: as it lies there, and what it means.
template <int LEVELS, int BLOCK> __device__ inline uint32_t scale_raw(const uint8_t *p, size_t i)
{
    return BLOCK == 16 || LEVELS == 2 ? p[i] : reinterpret_cast<const uint16_t *>(p)[i];
}

template <int LEVELS, int BLOCK> __device__ inline float scale_of(uint32_t raw)
{
    return BLOCK == 16   ? e4m3((int)raw)
           : LEVELS == 2 ? e8m0((int)raw)
                         : half_to_float((uint16_t)raw);
}

template <int LEVELS, int BLOCK> __device__ inline float scale_at(const uint8_t *p, size_t i)
{
    return scale_of<LEVELS, BLOCK>(scale_raw<LEVELS, BLOCK>(p, i));
}

template <bool BF16> __device__ inline void half_mma(float d[4], uint4 a, uint32_t b0, uint32_t b1)
{
    const uint32_t r[4] = {a.x, a.y, a.z, a.w}, b[2] = {b0, b1};

    if (BF16)
        mma_bf16(d, r, b);
    else
        mma_f16(d, r, b);
}

__device__ inline void put(float *y, float v, bool add)
{
    *y = add ? *y + v : v;
}

} // namespace
