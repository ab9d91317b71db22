/* attn_mma.cuh - attention on tensor cores: the arithmetic, and how pages lie in shared memory.
 *
 * Queries, times scale and log2(e), and exponentials are rounded to half floats (to bfloat16 where
 * the cache has it), products of them with keys and values are exact, sums are floats. A score is a
 * chain of mma.sync over head_dim, sixteen dimensions a link; an output is one over the keys of a
 * range, sixteen a link, in which keys that the query does not see are zeros and links without a
 * key that it sees are left out. A page's largest score raises the maximum m, by which outputs and
 * l are scaled; l has four parts, each of which adds a page's sixteen exponentials as a tree. So
 * much is the same in attn_mma.cu and attn_mma_tile.cu, and with it every bit: a row of an mma does
 * not depend on the other rows.
 *
 * Columns of scores are keys in order; of FP8, column 8 e + n of sixteen is key 2 n + e, for a
 * 16-bit item of ldmatrix holds two keys. */
#ifndef ATTN_MMA_CUH
#define ATTN_MMA_CUH

#include "attn.cuh"

namespace
{

constexpr float MMA_LOG2E = 1.44269504f, MMA_LN2 = 0.693147181f;

/* Two queries' values, or exponentials, as what a type's keys and values are multiplied by; the
 * largest half float where they are larger. */
template <class T> struct mma_type {
    static __device__ inline uint32_t pair(float a, float b)
    {
        __half2_raw h = __floats2half2_rn(fminf(fmaxf(a, -65504.0f), 65504.0f),
                                          fminf(fmaxf(b, -65504.0f), 65504.0f));

        return h.x | (uint32_t)h.y << 16;
    }
    static __device__ inline uint32_t small(float a, float b)
    {
        __half2_raw h = __floats2half2_rn(a, b);

        return h.x | (uint32_t)h.y << 16;
    }
    static __device__ inline void multiply(float d[4], const uint32_t a[4], const uint32_t b[2])
    {
        mma_f16(d, a, b);
    }
};

template <> struct mma_type<kv_bf16> {
    static __device__ inline uint32_t pair(float a, float b)
    {
        __nv_bfloat162_raw h = __floats2bfloat162_rn(a, b);

        return h.x | (uint32_t)h.y << 16;
    }
    static __device__ inline uint32_t small(float a, float b)
    {
        return pair(a, b);
    }
    static __device__ inline void multiply(float d[4], const uint32_t a[4], const uint32_t b[2])
    {
        mma_bf16(d, a, b);
    }
};

/* Where 16 bytes lie among rows of CHUNKS such: eight rows of one chunk are in all banks. */
template <int CHUNKS> __device__ inline int mma_place(int row, int chunk)
{
    constexpr int WIDE = CHUNKS < 8 ? CHUNKS : 8;

    return (row * CHUNKS + (chunk ^ (row * WIDE / 8 % WIDE))) * 16;
}

/* The place of the same chunk `rows` further than the row at `place`, which has none of their bits.
 */
template <int CHUNKS> __device__ inline int mma_further(int place, int rows)
{
    constexpr int WIDE = CHUNKS < 8 ? CHUNKS : 8;

    return (place ^ rows * WIDE / 8 % WIDE * 16) + rows * CHUNKS * 16;
}

/* The row in which a value's key is kept; and the key of a column. */
template <class T> __device__ inline int mma_row(int key)
{
    return T::BYTES == 1 ? key / 16 * 16 + key % 2 * 8 + key % 16 / 2 : key;
}

template <class T> __device__ inline int mma_key(int column)
{
    return T::BYTES == 1 ? column / 16 * 16 + column % 8 * 2 + column % 16 / 8 : column;
}

/* Right operands out of sixteen rows, from `row` on, of two chunks: N of eight columns. */
template <class T> struct mma_right {
    enum { N = T::BYTES == 1 ? 4 : 2 };
    uint32_t b[N][2];
};

/* Where a lane's row is of sixteen by two chunks, at the first of them. Others are as far from it
 * as their first row, a multiple of 16, and with bits of their first chunk, which is even. */
template <int CHUNKS> __device__ inline int mma_lane()
{
    return mma_place<CHUNKS>((int)threadIdx.x % 16, (int)threadIdx.x % 32 / 16);
}

template <int CHUNKS> __device__ inline int mma_at(int lane, int row, int chunk)
{
    return (lane ^ chunk * 16) + row * CHUNKS * 16;
}

/* The two values of FP8 in the lower half of v as half floats. */
__device__ inline uint32_t mma_halves(uint32_t v)
{
    __half2_raw h = __nv_cvt_fp8x2_to_halfraw2((__nv_fp8x2_storage_t)v, __NV_E4M3);
    uint32_t w;

    memcpy(&w, &h, sizeof(w)); // as its members it is taken apart and put together
    return w;
}

template <class T, int CHUNKS>
__device__ inline mma_right<T> mma_load(const unsigned char *rows, int lane, int row, int chunk)
{
    mma_right<T> r;
    uint32_t w[4]; // rows 0 to 7, then 8 to 15, of a chunk; then of the next one

    ldmatrix_x4_trans(w, rows + mma_at<CHUNKS>(lane, row, chunk));
#pragma unroll
    for (int i = 0; i < 4; i++)
        if constexpr (T::BYTES == 1) {
            r.b[i / 2 * 2][i % 2] = mma_halves(__byte_perm(w[i], 0, 0x4420));
            r.b[i / 2 * 2 + 1][i % 2] = mma_halves(__byte_perm(w[i], 0, 0x4431));
        } else {
            r.b[i / 2][i % 2] = w[i];
        }
    return r;
}

/* Which of the lane's values of sixteen keys count: those of keys [from, to). */
struct mma_seen {
    uint32_t w[2];
};

template <class T> __device__ inline mma_seen mma_sees(int from, int to)
{
    int t = (int)threadIdx.x % 4;
    mma_seen r = {};

#pragma unroll
    for (int i = 0; i < 4; i++) {
        int key = mma_key<T>(i / 2 * 8 + 2 * t + i % 2);

        if (key >= from && key < to)
            r.w[i / 2] |= 0xffffu << i % 2 * 16;
    }
    return r;
}

/* d += a b for all columns of sixteen rows, of which only what `seen` says counts. */
template <class T, int CHUNKS>
__device__ inline void mma_sixteen(float (*d)[4], const uint32_t (&a)[4], const unsigned char *rows,
                                   int lane, int row, const mma_seen &seen = {{~0u, ~0u}})
{
#pragma unroll
    for (int c = 0; c < CHUNKS; c += 2) {
        const mma_right<T> r = mma_load<T, CHUNKS>(rows, lane, row, c);

#pragma unroll
        for (int n = 0; n < mma_right<T>::N; n++) {
            const uint32_t b[2] = {r.b[n][0] & seen.w[0], r.b[n][1] & seen.w[1]};

            mma_type<T>::multiply(d[c / 2 * mma_right<T>::N + n], a, b);
        }
    }
}

/* What queries are multiplied by before they are rounded, and what becomes of scores then: powers
 * of two are taken of them. */
__device__ inline float mma_scale(const attn_args &a)
{
    return a.softcap > 0.0f ? a.scale : a.scale * MMA_LOG2E;
}

__device__ inline float mma_score(const attn_args &a, float s)
{
    return a.softcap > 0.0f ? attn_cap(a, s) * MMA_LOG2E : s;
}

/* A row's maximum m is raised by a page's largest score; what was summed is multiplied by the
 * result, and *base subtracted from the page's scores. */
__device__ inline float mma_raise(float *m, float top, float *base)
{
    float by;

    top = fmaxf(*m, top);
    *base = top > -INFINITY ? top : 0.0f;
    by = exp2_near(*m - *base);
    *m = top;
    return by;
}

/* Of a lane's exponentials of a page: those of columns 8 n + 2 t and the next. */
__device__ inline float mma_sum(const float (&p)[8][2])
{
    float s[8];

#pragma unroll
    for (int n = 0; n < 8; n++)
        s[n] = p[n][0] + p[n][1];
#pragma unroll
    for (int n = 1; n < 8; n *= 2)
#pragma unroll
        for (int i = 0; i + n < 8; i += 2 * n)
            s[i] = s[i] + s[i + n];
    return s[0];
}

/* The dimensions whose outputs a lane has of mma_right::N tiles of eight: PARTS times RUN
 * neighbours, the first of them dim(part). */
template <class T> struct mma_out {
    enum { PARTS = 2, RUN = T::BYTES == 1 ? 4 : 2 };
    static __device__ inline int dim(int part)
    {
        int t = (int)threadIdx.x % 4;

        return T::BYTES == 1 ? part * 16 + 4 * t : part * 8 + 2 * t;
    }
    /* Row i (0 or 1) of them. */
    static __device__ inline void get(float (&x)[RUN], const float (*o)[4], int part, int i)
    {
#pragma unroll
        for (int k = 0; k < RUN; k++)
            x[k] = T::BYTES == 1 ? o[part * 2 + k % 2][2 * i + k / 2] : o[part][2 * i + k];
    }
};

} // namespace

#endif
