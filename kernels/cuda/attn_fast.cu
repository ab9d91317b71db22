/* attn_fast.cu - attention of prompts on tensor cores, for --fast: not the CPU's bytes.
 *
 * Dao 2023 (FlashAttention-2), algorithm 1: as attn_tile.cu, 64 queries of neighbouring tokens and
 * of the heads of a KV head share each page. Queries, keys, values and exponentials are rounded to
 * half floats, so a score is off by some 2^-10 of its size; sums are floats. A warp has sixteen
 * rows of queries: scores, in fragments of mma.sync m16n8k16, become the left operand of the
 * product with the values where they stand.
 *
 * Measured on an H200 (2026-11-26), 32 heads of 128 on 8 KV heads, 2048 tokens: 214 us from a cache
 * of F16, 274 from one of F32, 240 of BF16, 220 of FP8; attn_tile.cu, which is exact, 1214 to 1251.
 */
#include "attn_run.cuh"

namespace
{

constexpr float FAST_LOG2E = 1.44269504f;
enum { FAST_WARPS = TILE_QUERIES / 16, FAST_THREADS = 32 * FAST_WARPS, FAST_PAD = 8 };

/* Two values as half floats, the largest of them where they are larger. */
__device__ inline uint32_t fast_pair(float a, float b)
{
    __half2_raw h = __floats2half2_rn(fminf(fmaxf(a, -65504.0f), 65504.0f),
                                      fminf(fmaxf(b, -65504.0f), 65504.0f));

    return h.x | (uint32_t)h.y << 16;
}

/* Of probabilities. */
__device__ inline uint32_t fast_small(float a, float b)
{
    __half2_raw h = __floats2half2_rn(a, b);

    return h.x | (uint32_t)h.y << 16;
}

/* ROWS rows of COLS values of a page into shared memory, as half floats, rows COLS + FAST_PAD
 * apart; zeros but for rows [lo, hi). */
template <class T, int ROWS, int COLS>
__device__ inline void fast_copy(uint16_t *to, const unsigned char *from, int lo, int hi)
{
    constexpr int N = 16 / T::BYTES, VECS = ROWS * COLS / N, EACH = VECS / FAST_THREADS,
                  AHEAD = T::BYTES == 2 ? 4
                          : EACH < 8    ? EACH
                                        : 8;

#pragma unroll 1
    for (int i0 = 0; i0 < EACH; i0 += AHEAD) {
        kv_raw<16> v[AHEAD];

#pragma unroll
        for (int i = 0; i < AHEAD; i++)
            v[i] = kv_load<16>(from + ((size_t)(i0 + i) * FAST_THREADS + threadIdx.x) * 16);
#pragma unroll
        for (int i = 0; i < AHEAD; i++) {
            int at = ((i0 + i) * FAST_THREADS + (int)threadIdx.x) * N;
            uint16_t *p = to + at / COLS * (COLS + FAST_PAD) + at % COLS;
            bool there = at / COLS >= lo && at / COLS < hi;
            float x[N];

            if (T::HALF) {
                *reinterpret_cast<uint4 *>(p) =
                    there ? make_uint4(v[i].w[0], v[i].w[1], v[i].w[2], v[i].w[3])
                          : make_uint4(0, 0, 0, 0);
                continue;
            }
            T::template get<N>(x, v[i]);
#pragma unroll
            for (int k = 0; k < N; k += 4)
                *reinterpret_cast<uint2 *>(p + k) =
                    there ? make_uint2(fast_pair(x[k], x[k + 1]), fast_pair(x[k + 2], x[k + 3]))
                          : make_uint2(0, 0);
        }
    }
}

/* Rows lane / 4 and 8 on of a warp's sixteen. */
template <int DIM> struct fast_rows {
    float o[DIM / 8][4], m[2], l[2]; // l: of the lane's keys
};

/* s (64 keys / 8, fragments) = q k. */
template <int DIM>
__device__ inline void fast_scores(float (&s)[8][4], const uint16_t *q, const uint16_t *key)
{
    int lane = (int)threadIdx.x % 32;
    const uint16_t *row = q + ((int)threadIdx.x / 32 * 16 + lane % 16) * (DIM + FAST_PAD) +
                          lane / 16 * 8; // sixteen rows, 16 dimensions
    const uint16_t *at =
        key + (lane % 16) * (CUDA_PAGE + FAST_PAD) + lane / 16 * 8; // 16 dimensions, 16 keys

#pragma unroll
    for (int i = 0; i < 32; i++)
        s[i / 4][i % 4] = 0.0f;
#pragma unroll
    for (int k = 0; k < DIM / 16; k++) {
        uint32_t x[4];

        ldmatrix_x4(x, row + k * 16);
#pragma unroll
        for (int n = 0; n < 4; n++) {
            uint32_t b[4];

            ldmatrix_x4_trans(b, at + k * 16 * (CUDA_PAGE + FAST_PAD) + n * 16);
            mma_f16(s[2 * n], x, b);
            mma_f16(s[2 * n + 1], x, b + 2);
        }
    }
}

/* Scores, times log2(e), become exponentials; m, l and o follow. from, to: keys that the lane's
 * rows see. */
template <int DIM>
__device__ inline void fast_softmax(fast_rows<DIM> &r, float (&s)[8][4], const int from[2],
                                    const int to[2], const attn_args &a)
{
    int t = (int)threadIdx.x % 4;

    if (a.softcap > 0.0f)
#pragma unroll
        for (int i = 0; i < 32; i++)
            s[i / 4][i % 4] = attn_cap(a, s[i / 4][i % 4]) * FAST_LOG2E;
    if (!__all_sync(~0u, from[0] + from[1] == 0 && to[0] + to[1] == 2 * CUDA_PAGE))
#pragma unroll
        for (int i = 0; i < 32; i++) {
            int key = i / 4 * 8 + 2 * t + i % 2, row = i % 4 / 2;

            if (key < from[row] || key >= to[row])
                s[i / 4][i % 4] = -INFINITY;
        }
#pragma unroll
    for (int i = 0; i < 2; i++) {
        float top = r.m[i], by;

#pragma unroll
        for (int n = 0; n < 8; n++)
            top = fmaxf(top, fmaxf(s[n][2 * i], s[n][2 * i + 1]));
        for (int k = 1; k < 4; k *= 2)
            top = fmaxf(top, __shfl_xor_sync(~0u, top, k));
        by = exp2_near(r.m[i] - (top > -INFINITY ? top : 0.0f));
        r.m[i] = top;
        top = top > -INFINITY ? top : 0.0f; // nothing is seen yet: all are 0
        r.l[i] *= by;
#pragma unroll
        for (int n = 0; n < DIM / 8; n++) {
            r.o[n][2 * i] *= by;
            r.o[n][2 * i + 1] *= by;
        }
#pragma unroll
        for (int n = 0; n < 16; n++) {
            float &x = s[n / 2][2 * i + n % 2];

            x = exp2_near(x - top);
            r.l[i] += x;
        }
    }
}

/* o += p v */
template <int DIM>
__device__ inline void fast_values(fast_rows<DIM> &r, const float (&p)[8][4], const uint16_t *value)
{
    int lane = (int)threadIdx.x % 32;
    const uint16_t *at =
        value + (lane % 16) * (DIM + FAST_PAD) + lane / 16 * 8; // 16 keys, 16 dimensions

#pragma unroll
    for (int k = 0; k < 4; k++) {
        uint32_t a[4] = {fast_small(p[2 * k][0], p[2 * k][1]), fast_small(p[2 * k][2], p[2 * k][3]),
                         fast_small(p[2 * k + 1][0], p[2 * k + 1][1]),
                         fast_small(p[2 * k + 1][2], p[2 * k + 1][3])};

#pragma unroll
        for (int n = 0; n < DIM / 16; n++) {
            uint32_t b[4];

            ldmatrix_x4_trans(b, at + k * 16 * (DIM + FAST_PAD) + n * 16);
            mma_f16(r.o[2 * n], a, b);
            mma_f16(r.o[2 * n + 1], a, b + 2);
        }
    }
}

/* The pages of a run. */
template <class T, int DIM>
__device__ inline void fast_walk(fast_rows<DIM> &r, const attn_args &a, const tile_tokens &tokens,
                                 const tile_job &j, const tile_run &run, const uint16_t *q,
                                 uint16_t *key, uint16_t *value)
{
    int row = (int)threadIdx.x / 32 * 16 + (int)threadIdx.x % 32 / 4;

    for (int k = run.first / CUDA_PAGE; k <= run.last / CUDA_PAGE; k++) {
        const unsigned char *at =
            a.kv + kv_at(run.table[k], j.kv_head, 0, a.n_kv_heads, DIM) * T::BYTES;
        int from[2] = {0, 0}, to[2] = {0, 0}, lo, hi; // what is not there is not a number
        float s[8][4];

        for (int i = 0; i < 2; i++) {
            int token = (row + 8 * i) >> j.shift;

            if (token >= run.from && token < run.to)
                attn_sees(tokens.first[token], tokens.last[token], k * CUDA_PAGE, &from[i], &to[i]);
        }
        __syncthreads(); // the page before is done
        attn_sees(run.first, run.last, k * CUDA_PAGE, &lo, &hi);
        fast_copy<T, DIM, CUDA_PAGE>(key, at, 0, DIM);
        fast_copy<T, CUDA_PAGE, DIM>(value, at + (size_t)CUDA_PAGE * DIM * T::BYTES, lo, hi);
        __syncthreads();
        fast_scores<DIM>(s, q, key);
        fast_softmax<DIM>(r, s, from, to, a);
        fast_values<DIM>(r, s, value);
    }
}

/* The rows of a run's tokens: y = o / l. */
template <int DIM>
__device__ inline void fast_finish(fast_rows<DIM> &r, const attn_args &a, const tile_job &j,
                                   const tile_run &run)
{
    int row = (int)threadIdx.x / 32 * 16 + (int)threadIdx.x % 32 / 4, t = (int)threadIdx.x % 4;

#pragma unroll
    for (int i = 0; i < 2; i++) {
        int token = (row + 8 * i) >> j.shift, head = (row + 8 * i) & (j.width - 1);
        float l = r.l[i];

        l += __shfl_xor_sync(~0u, l, 1);
        l += __shfl_xor_sync(~0u, l, 2);
        if (token < run.from || token >= run.to || head >= j.heads)
            continue;
        float *y = attn_y(a, j.t0 + token, j.head + head) + 2 * t;
#pragma unroll
        for (int n = 0; n < DIM / 8; n++)
            *reinterpret_cast<float2 *>(y + n * 8) =
                make_float2(r.o[n][2 * i] / l, r.o[n][2 * i + 1] / l);
    }
}

template <class T, int DIM>
__global__ void __launch_bounds__(FAST_THREADS, GPU_HOPPER ? 3 : 2) attn_fast_kernel(attn_args a)
{
    DYN_SHARED(uint16_t, q); // (64, DIM), keys (DIM, 64), values (64, DIM), rows FAST_PAD longer
    uint16_t *key = q + TILE_QUERIES * (DIM + FAST_PAD),
             *value = key + DIM * (CUDA_PAGE + FAST_PAD);
    SHARED(int, seq, [TILE_QUERIES]);
    SHARED(int, first, [TILE_QUERIES]);
    SHARED(int, last, [TILE_QUERIES]);
    SHARED(tile_job, job, [1]);
    const tile_job &j = job[0];
    const tile_tokens tokens = {seq, first, last};
    const float scale = a.softcap > 0.0f ? a.scale : a.scale * FAST_LOG2E;
    fast_rows<DIM> r;
    tile_run run;

    previous_done();
    if (threadIdx.x == 0)
        tile_begin(a, job, 0);
    __syncthreads();
    tile_tokens_of(a, j, seq, first, last);
    __syncthreads();
    for (int i = 2 * (int)threadIdx.x; i < TILE_QUERIES * DIM; i += 2 * FAST_THREADS) {
        int row = i / DIM, token = row >> j.shift, head = row & (j.width - 1);
        float2 x = make_float2(0.0f, 0.0f);

        if (token < j.n && head < j.heads)
            x = *reinterpret_cast<const float2 *>(
                a.qkv +
                ((size_t)(j.t0 + token) * (size_t)(a.n_heads + 2 * a.n_kv_heads) +
                 (size_t)(j.head + head)) *
                    DIM +
                i % DIM);
        *reinterpret_cast<uint32_t *>(q + row * (DIM + FAST_PAD) + i % DIM) =
            fast_pair(x.x * scale, x.y * scale);
    }
    run.to = 0;
    while (tile_next(a, tokens, j, run.to, &run)) {
        for (int i = 0; i < 2; i++)
            r.m[i] = -INFINITY, r.l[i] = 0.0f;
#pragma unroll
        for (int i = 0; i < DIM / 2; i++)
            r.o[i / 4][i % 4] = 0.0f;
        fast_walk<T, DIM>(r, a, tokens, j, run, q, key, value);
        fast_finish<DIM>(r, a, j, run);
    }
}

template <class T, int DIM> void fast_launch(const attn_args &a, cudaStream_t s)
{
    int group = a.n_heads / a.n_kv_heads, splits = (group + TILE_HEADS - 1) / TILE_HEADS;
    int tokens = TILE_QUERIES / tile_heads(group);
    dim3 grid(1, (unsigned)(a.n_kv_heads * splits), (unsigned)((a.st.n + tokens - 1) / tokens));

    LAUNCH_EARLY((attn_fast_kernel<T, DIM>), grid, (unsigned)FAST_THREADS,
                 2 * ((TILE_QUERIES + CUDA_PAGE) * (DIM + FAST_PAD) + DIM * (CUDA_PAGE + FAST_PAD)),
                 s, a);
}

} // namespace

bool attn_fast_fits(const struct cuda_attn *a)
{
    return a->head_dim == 64 || a->head_dim == 128;
}

void attn_fast(const struct attn_args *a, int type, cudaStream_t s)
{
#define FAST_OF(TYPE, T)                \
    if (type == (TYPE)) {               \
        if (a->head_dim == 64)          \
            fast_launch<T, 64>(*a, s);  \
        else                            \
            fast_launch<T, 128>(*a, s); \
    }
    KV_TYPES(FAST_OF)
#undef FAST_OF
}
