// value.cuh - single values of a matrix out of its panels (matrix.h).
//
// As libcommon/quant.h reads them: the same products and sums in the same order.
#pragma once
#include "linear.cuh"

namespace
{

// The byte of value k of a row among the words of a tile: lane, register, byte.
struct Place {
    int lane, reg, byte;

    __device__ inline Place(int row, int k)
    {
        lane = row % 8 * 4 + k % 16 / 4;
        reg = k % 32 / 16 * 2 + row % 16 / 8;
        byte = k % 4;
    }
};

__device__ inline int nibble_level(int levels, int q)
{
    return (int)(int8_t)(level_bytes(levels_of(levels), (uint32_t)q) & 255);
}

// Here `row` is the place where it stands, panel * 16 + place in the panel.
// The integer of a quantized value, less its zero.
__device__ inline int integer(const struct cuda_matrix &m, const struct matrix_format &f, int row,
                              int k)
{
    const size_t tiles = ((size_t)m.cols + 63) / 64, panel = row / 16;
    const int tile = k / 64, half = k % 64 / 32;
    const Place at(row, k);
    const uint32_t *low = reinterpret_cast<const uint32_t *>(m.low + panel * tiles * 128 * f.low);
    const uint32_t *high =
        reinterpret_cast<const uint32_t *>(m.high + panel * tiles * 128 * f.high);
    int v;

    if (f.low == 8)
        return (int)(int8_t)(low[(tile * 2 + half) * 128 + at.lane * 4 + at.reg] >> 8 * at.byte);
    if (f.low == 2)
        v = low[k / 128 * 128 + at.lane * 4 + at.reg] >> (8 * at.byte + 2 * (k % 128 / 32)) & 3;
    else if (f.levels)
        return nibble_level(
            f.levels, low[tile * 128 + at.lane * 4 + at.reg] >> (16 * half + 4 * at.byte) & 15);
    else
        v = low[tile * 128 + at.lane * 4 + at.reg] >> (8 * at.byte + 4 * half) & 15;
    if (f.high == 1) {
        uint32_t w = f.block == 256 ? high[k / 256 * 128 + at.lane * 4 + tile % 4]
                                    : high[tile * 32 + at.lane];
        v |= (w >> (8 * at.byte + 2 * at.reg + half) & 1) << f.low;
    } else if (f.high == 2) {
        v |= (high[k / 128 * 128 + at.lane * 4 + k % 128 / 32] >> (8 * at.byte + 2 * at.reg) & 3)
             << 4;
    }
    return v - f.zero;
}

__device__ inline float half_value(const struct cuda_matrix &m, int row, int k)
{
    const size_t steps = ((size_t)m.cols + 63) / 64 * 4, panel = row / 16; // of 16
    const int lane = row % 8 * 4 + k % 8 / 2, reg = k % 16 / 8 * 2 + row % 16 / 8;
    const uint16_t *p = reinterpret_cast<const uint16_t *>(m.low + (panel * steps + k / 16) * 512 +
                                                           lane * 16 + reg * 4);

    return m.type == 1 ? half_to_float(p[k % 2]) : num_float((uint32_t)p[k % 2] << 16);
}

// Blocks of 16 and 32: the scale's plane is (tile, block of the tile, row).
__device__ inline float block_value(const struct cuda_matrix &m, const struct matrix_format &f,
                                    int row, int k)
{
    const size_t tiles = ((size_t)m.cols + 63) / 64, per = 64 / f.block;
    const size_t at = ((row / 16 * tiles + k / 64) * per + k % 64 / f.block) * 16 + row % 16;
    const float q = (float)integer(m, f, row, k);

    if (f.block == 16)
        return scale_at<2, 16>(m.scale, at) * q;
    if (f.levels == 2)
        return scale_at<2, 32>(m.scale, at) * q;
    if (f.min)
        return q * scale_at<0, 32>(m.scale, at) + scale_at<0, 32>(m.min, at);
    return scale_at<0, 32>(m.scale, at) * q;
}

__device__ inline float super_value(const struct cuda_matrix &m, const struct matrix_format &f,
                                    int row, int k)
{
    const size_t at = ((size_t)(row / 16) * (m.cols / 256) + k / 256) * 16 + row % 16;
    const uint16_t *dm = reinterpret_cast<const uint16_t *>(m.scale) + at * 2;
    const uint8_t *group = m.min + at * 16;
    const int i = k % 256 / f.group, b = group[i];
    const float d = half_to_float(dm[0]), q = (float)integer(m, f, row, k);

    if (!f.min)
        return d * (float)(int8_t)b * q;
    const int scale = f.group == 16 ? b & 15 : b, least = f.group == 16 ? b >> 4 : group[i + 8];
    return d * (float)scale * q - half_to_float(dm[1]) * (float)least;
}

__device__ inline float value(const struct cuda_matrix &m, int row, int k)
{
    const struct matrix_format f = matrix_format(m.type);

    row = matrix_place(&m, row);
    if (m.type == 0)
        return reinterpret_cast<const float *>(m.low)[(size_t)row * m.cols + k];
    if (f.block == 1)
        return half_value(m, row, k);
    return f.block == 256 ? super_value(m, f, row, k) : block_value(m, f, row, k);
}

} // namespace
