// repack.cu - rows of a file into panels, in device memory.
//
// A thread makes one word of a plane out of the values that belong there (matrix.h has the order),
// read from the file's blocks as libcommon/quant.h lays them out. Nothing is rounded.
#include "gpu.h"
#include "matrix.h"

namespace
{

enum {
    F32 = 0,
    F16 = 1,
    Q4_0 = 2,
    Q4_1 = 3,
    Q5_0 = 6,
    Q5_1 = 7,
    Q8_0 = 8,
    Q2_K = 10,
    Q3_K = 11,
    Q4_K = 12,
    Q5_K = 13,
    Q6_K = 14,
    IQ4_NL = 20,
    BF16 = 30,
    MXFP4 = 39,
    NVFP4 = 40
};

// Where a type's blocks have their parts: bytes of a block, and from where d, minimum, fifth bits
// and values.
struct Block {
    int bytes, d, m, high, low;
};

__host__ __device__ inline Block block_of(int type)
{
    switch (type) {
    case Q8_0:
        return {34, 0, 0, 0, 2};
    case Q4_0:
    case IQ4_NL:
        return {18, 0, 0, 0, 2};
    case Q4_1:
        return {20, 0, 2, 0, 4};
    case Q5_0:
        return {22, 0, 0, 2, 6};
    case Q5_1:
        return {24, 0, 2, 4, 8};
    case MXFP4:
        return {17, 0, 0, 0, 1};
    case NVFP4:
        return {36, 0, 0, 0, 4};
    case Q2_K:
        return {84, 80, 82, 0, 16};
    case Q3_K:
        return {110, 108, 0, 0, 32};
    case Q4_K:
        return {144, 0, 2, 0, 16};
    case Q5_K:
        return {176, 0, 2, 16, 48};
    default:
        return {210, 208, 0, 128, 0}; // Q6_K
    }
}

struct Job {
    struct cuda_matrix m;
    struct matrix_format f;
    Block b;
    const uint8_t *raw;
    size_t row_bytes;
    int first, rows, words; // words: of a panel of this plane
    int tiles;
};

__device__ inline const uint8_t *block_at(const Job &j, int row, int k)
{
    int n = j.f.block == 16 ? 64 : j.f.block;

    return j.raw + (size_t)row * j.row_bytes + (size_t)(k / n) * j.b.bytes;
}

// The row of raw that stands at place `at` of the panel at row0.
__device__ inline int row_at(const Job &j, int row0, int at)
{
    return matrix_row_apart(matrix_apart(&j.m, j.rows), row0 / MATRIX_ROWS, at);
}

// The value at column k of a row, before its zero is subtracted.
__device__ inline unsigned value(const Job &j, int row, int k)
{
    if (row >= j.rows || k >= j.m.cols)
        return 0;
    const uint8_t *p = block_at(j, row, k), *q = p + j.b.low;
    int i = k % 32, l = k % 256;

    switch (j.m.type) {
    case Q8_0:
        return q[i];
    case NVFP4:
        return q[k % 64 / 16 * 8 + k % 8] >> (k % 16 / 8 * 4) & 15;
    case Q5_0:
    case Q5_1:
        return (q[i % 16] >> (i / 16 * 4) & 15) | (p[j.b.high + i / 8] >> (i % 8) & 1) << 4;
    case Q2_K:
        return q[l / 128 * 32 + l % 32] >> (l % 128 / 32 * 2) & 3;
    case Q3_K:
        return (q[l / 128 * 32 + l % 32] >> (l % 128 / 32 * 2) & 3) | (p[l % 32] >> (l / 32) & 1)
                                                                          << 2;
    case Q4_K:
        return q[l / 64 * 32 + l % 32] >> (l % 64 / 32 * 4) & 15;
    case Q5_K:
        return (q[l / 64 * 32 + l % 32] >> (l % 64 / 32 * 4) & 15) |
               (p[j.b.high + l % 32] >> (l / 32) & 1) << 4;
    case Q6_K:
        return (q[l / 128 * 64 + l % 64] >> (l % 128 / 64 * 4) & 15) |
               (p[j.b.high + l / 128 * 32 + l % 32] >> (l % 128 / 32 * 2) & 3) << 4;
    default:
        return q[i % 16] >> (i / 16 * 4) & 15;
    }
}

// Row and first column, within 32, of register r of a lane.
__device__ inline int reg_row(int lane, int r)
{
    return lane / 4 + 8 * (r % 2);
}
__device__ inline int reg_k(int lane, int r)
{
    return 16 * (r / 2) + 4 * (lane % 4);
}

__device__ inline uint32_t low_word(const Job &j, int row0, int w)
{
    uint32_t out = 0;
    int lane = w % 128 / 4, r = w % 4, row = row_at(j, row0, reg_row(lane, r)), k = reg_k(lane, r);

    if (j.f.low == 8) // (tile, k32) are w / 128
        for (int i = 0; i < 4; i++)
            out |= value(j, row, w / 128 * 32 + k + i) << 8 * i;
    else if (j.f.low == 4)
        for (int h = 0; h < 2; h++)
            for (int i = 0; i < 4; i++)
                out |= value(j, row, w / 128 * 64 + h * 32 + k + i) % 16
                       << (j.f.levels ? 16 * h + 4 * i : 8 * i + 4 * h);
    else
        for (int h = 0; h < 4; h++)
            for (int i = 0; i < 4; i++)
                out |= value(j, row, w / 128 * 128 + h * 32 + k + i) % 4 << (8 * i + 2 * h);
    return out;
}

__device__ inline uint32_t high_word(const Job &j, int row0, int w)
{
    uint32_t out = 0;

    if (j.f.high == 1) {
        int lane = j.f.block == 256 ? w % 128 / 4 : w % 32;
        int tile = j.f.block == 256 ? w / 128 * 4 + w % 4 : w / 32;

        for (int r = 0; r < 4; r++)
            for (int h = 0; h < 2; h++)
                for (int i = 0; i < 4; i++)
                    out |= (value(j, row_at(j, row0, reg_row(lane, r)),
                                  tile * 64 + h * 32 + reg_k(lane, r) + i) >>
                                j.f.low &
                            1)
                           << (8 * i + 2 * r + h);
        return out;
    }
    for (int r = 0; r < 4; r++)
        for (int i = 0; i < 4; i++)
            out |= (value(j, row_at(j, row0, reg_row(w % 128 / 4, r)),
                          w / 128 * 128 + w % 4 * 32 + reg_k(w % 128 / 4, r) + i) >>
                    4)
                   << (8 * i + 2 * r);
    return out;
}

__device__ inline uint32_t half_at(const uint8_t *p)
{
    return (uint32_t)(p[0] | p[1] << 8);
}

// Two halves, or four bytes, of d or m: neighbours are rows. A pair d, m for blocks of 256.
__device__ inline uint32_t scale_word(const Job &j, int row0, int w, int at)
{
    uint32_t out = 0;

    if (j.f.block == 256) {
        int row = row_at(j, row0, w % 16);
        if (row < j.rows) {
            const uint8_t *p = block_at(j, row, w / 16 * 256);
            out = half_at(p + j.b.d) | (j.f.min ? half_at(p + j.b.m) << 16 : 0);
        }
        return out;
    }
    int bytes = j.f.levels == 2 ? 1 : 2;
    for (int i = 0; i < 4 / bytes; i++) {
        int e = w * 4 / bytes + i, row = row_at(j, row0, e % 16), k = e / 16 * j.f.block;
        if (row < j.rows && k < j.m.cols) {
            const uint8_t *p = block_at(j, row, k);
            out |= bytes == 2 ? half_at(p + at) << 16 * i
                              : (uint32_t)p[j.f.block == 16 ? k % 64 / 16 : 0] << 8 * i;
        }
    }
    return out;
}

// Scale g, or with `min` the minimum, of a block of 256 of Q3_K, Q4_K or Q5_K.
__device__ inline int packed_scale(int type, const uint8_t *p, int g, bool min)
{
    if (type == Q3_K) {
        const uint8_t *s = p + 96;
        return ((s[g % 8] >> (g / 8 * 4) & 15) | (s[8 + g % 4] >> (g / 4 * 2) & 3) << 4) - 32;
    }
    const uint8_t *s = p + 4;
    if (min)
        return g < 4 ? s[g + 4] & 63 : s[g + 4] >> 4 | s[g] >> 6 << 4;
    return g < 4 ? s[g] & 63 : (s[g + 4] & 15) | s[g - 4] >> 6 << 4;
}

// Four bytes of a row's sixteen: scales of sixteen groups, or of eight and then their minima.
__device__ inline uint32_t group_word(const Job &j, int row0, int w)
{
    uint32_t out = 0;
    int row = row_at(j, row0, w % 64 / 4);

    if (row >= j.rows)
        return 0;
    const uint8_t *p = block_at(j, row, w / 64 * 256);
    for (int i = 0; i < 4; i++) {
        int g = w % 4 * 4 + i, v;
        if (j.m.type == Q2_K)
            v = p[g]; // 4 bits of scale, 4 of minimum
        else if (j.m.type == Q6_K)
            v = p[192 + g];
        else
            v = j.m.type == Q3_K ? packed_scale(Q3_K, p, g, false)
                                 : packed_scale(j.m.type, p, g % 8, g >= 8);
        out |= (uint32_t)(v & 255) << 8 * i;
    }
    return out;
}

__device__ inline uint32_t float_word(const Job &j, int row0, int w)
{
    if (j.m.type == F32) {
        int row = row0 + w / j.m.cols;
        return row < j.rows ? reinterpret_cast<const uint32_t *>(
                                  j.raw)[(size_t)row * j.m.cols + w % j.m.cols]
                            : 0;
    }
    int lane = w % 128 / 4, r = w % 4, row = row_at(j, row0, reg_row(lane, r));
    int k = w / 128 * 16 + 8 * (r / 2) + 2 * (lane % 4);
    const uint8_t *p = j.raw + ((size_t)row * j.m.cols + k) * 2;
    uint32_t out = 0;

    if (row < j.rows && k < j.m.cols)
        out = half_at(p);
    if (row < j.rows && k + 1 < j.m.cols)
        out |= half_at(p + 2) << 16;
    return out;
}

enum Plane { LOW, HIGH, SCALE, MIN };

__global__ void __launch_bounds__(256) repack(uint32_t *out, Job j, Plane plane)
{
    int w = blockIdx.x * 256 + threadIdx.x, row0 = blockIdx.y * MATRIX_ROWS;
    size_t at = ((size_t)j.first / MATRIX_ROWS + blockIdx.y) * j.words + w;

    if (w >= j.words)
        return;
    if (plane == SCALE)
        out[at] = scale_word(j, row0, w, j.b.d);
    else if (plane == MIN)
        out[at] = j.f.block == 256 ? group_word(j, row0, w) : scale_word(j, row0, w, j.b.m);
    else if (plane == HIGH)
        out[at] = high_word(j, row0, w);
    else
        out[at] = j.f.block == 1 ? float_word(j, row0, w) : low_word(j, row0, w);
}

size_t raw_row_bytes(const Job &j)
{
    if (j.f.block == 1)
        return (size_t)j.m.cols * (j.m.type == F32 ? 4 : 2);
    return (size_t)j.m.cols / (j.f.block == 16 ? 64 : j.f.block) * j.b.bytes;
}

} // namespace

void cuda_repack(const struct cuda_matrix *m, const uint8_t *raw, int first, int rows,
                 cudaStream_t s)
{
    struct matrix_planes p = matrix_planes(m->type, m->cols);
    const uint8_t *to[4] = {m->low, m->high, m->scale, m->min};
    size_t bytes[4] = {p.low, p.high, p.scale, p.min};
    Job j = {};

    j.m = *m;
    j.f = matrix_format(m->type);
    j.b = block_of(m->type);
    j.raw = raw;
    j.row_bytes = raw_row_bytes(j);
    j.first = first;
    j.rows = rows;
    for (int i = 0; i < 4; i++) {
        j.words = (int)(bytes[i] / 4);
        if (j.words)
            LAUNCH(repack, dim3((unsigned)(j.words + 255) / 256, (unsigned)(rows + 15) / 16), 256,
                   0, s, reinterpret_cast<uint32_t *>(const_cast<uint8_t *>(to[i])), j, (Plane)i);
    }
}
