/* attn_tile.cu - attention of prompts: 64 queries of neighbouring tokens share each key.
 *
 * A block of 128 threads takes the heads of a KV head (up to 8) for 64 / heads tokens, and walks
 * the pages that any of them sees, one sequence after the other, range by range; nodes of trees
 * take tail pages of their own one after the other. Queries, keys, values and exponentials are f32
 * in shared memory (112 KiB at a head_dim of 128: two blocks on a multiprocessor, with 1 KiB to
 * spare). A thread has 8 queries, and of them 4 scores of a page at a time and all the while 4 * NV
 * outputs: 12 loads of 16 bytes for 128 multiply-adds of scores, 8 + 4 NV for 128 NV of outputs.
 * Half a warp has 8 whole rows of scores, so what becomes of them takes no barrier; pages' keys and
 * values are read a step ahead into registers.
 *
 * Measured on an H200 (2026-11-26), 32 heads of 128 on 8 KV heads, 2048 tokens: 1214 us from a
 * cache of F16 or BF16, 1250 of F32 or FP8; the last 2048 of 8192 7941, the last 256 1213. */
#include "attn_run.cuh"

namespace
{

enum { TILE_DIMS_MAX = 256 };

/* A thread has rows row + STEP i of queries, where `row` is the number of its half-warp. */
/* DIM 0: any head_dim up to 64 NV. */
template <int NV_, int ROWS_, int DIM_> struct tile_plan {
    enum { NV = NV_, ROWS = ROWS_, DIM = DIM_, STEP = TILE_QUERIES / ROWS, THREADS = 16 * STEP };
};

struct tile_shared : tile_tokens {
    float *q, *key, *value, *p;
};

/* What a thread keeps of its rows. */
template <class P> struct tile_rows {
    float m[P::ROWS], l[P::ROWS]; // l: the part of lane % 16
    float o[P::ROWS][4 * P::NV];
    float before; // of the ranges before: m of row i in lane i % 16, l in lane i + 8
};

__device__ inline int tile_row()
{
    return (int)threadIdx.x / 16;
}

__device__ inline int tile_lane()
{
    return (int)threadIdx.x % 16;
}

template <class P> __device__ inline int tile_dim(const attn_args &a)
{
    return P::DIM > 0 ? (int)P::DIM : a.head_dim;
}

/* Where value d of the thread's first row of queries, or exponential d of it, lies; its next row is
 * STEP * stride on. Rows are a multiple of 32 values, in an order in which the two rows that a warp
 * reads at a time are in other banks. */
__device__ inline int tile_at(int stride, int d)
{
    return tile_row() * stride + (d ^ (tile_row() % 8 * 4));
}

/* Vectors of 16 bytes of a page's keys or values on their way to shared memory, as floats: a
 * thread has N of a page, and up to VECS in registers. */
template <class T, class P> struct tile_page {
    enum {
        N = CUDA_PAGE * 64 * P::NV * T::BYTES / 16 / P::THREADS,
        VECS = N < 8 ? N : 8,
        EARLY = N == VECS // all of them: they can be read a step ahead
    };
    kv_raw<16> v[VECS];
};

template <class T, class P>
__device__ inline void tile_read(tile_page<T, P> *r, const unsigned char *from, int dim, int i0)
{
    int n = CUDA_PAGE * dim * T::BYTES / 16;

#pragma unroll
    for (int i = 0; i < tile_page<T, P>::VECS; i++) {
        int at = (int)threadIdx.x + (i0 + i) * P::THREADS;

        if (at < n)
            r->v[i] = kv_load<16>(from + (size_t)at * 16);
    }
}

template <class T, class P>
__device__ inline void tile_write(float *to, const tile_page<T, P> *r, int dim, int i0)
{
    constexpr int N = 16 / T::BYTES;
    int n = CUDA_PAGE * dim * T::BYTES / 16;
    float x[N];

#pragma unroll
    for (int i = 0; i < tile_page<T, P>::VECS; i++) {
        int at = (int)threadIdx.x + (i0 + i) * P::THREADS;

        if (at >= n)
            continue;
        T::template get<N>(x, r->v[i]);
#pragma unroll
        for (int k = 0; k < N; k += 4)
            *reinterpret_cast<float4 *>(to + at * N + k) =
                make_float4(x[k], x[k + 1], x[k + 2], x[k + 3]);
    }
}

/* What was read early is written, or all of it read and written. */
template <class T, class P>
__device__ inline void tile_copy(float *to, tile_page<T, P> *r, const unsigned char *from, int dim)
{
    if (tile_page<T, P>::EARLY)
        tile_write<T, P>(to, r, dim, 0);
    else
        for (int i = 0; i < tile_page<T, P>::N; i += tile_page<T, P>::VECS) {
            tile_read<T, P>(r, from, dim, i);
            tile_write<T, P>(to, r, dim, i);
        }
}

template <class T, class P>
__device__ inline void tile_early(tile_page<T, P> *r, const unsigned char *from, int dim)
{
    if (tile_page<T, P>::EARLY)
        tile_read<T, P>(r, from, dim, 0);
}

/* Scores of the thread's queries with keys 4 lane .. + 3. */
template <class P>
__device__ inline void tile_scores(float (&s)[P::ROWS][4], const tile_shared &sh, int stride,
                                   int dim)
{
#pragma unroll
    for (int i = 0; i < 4 * P::ROWS; i++)
        s[i / 4][i % 4] = 0.0f;
#pragma unroll 8
    for (int d = 0; d < dim; d += 4) {
        const float *q = sh.q + tile_at(stride, d);
        float x[P::ROWS][4], y[4];

#pragma unroll
        for (int i = 0; i < P::ROWS; i++)
            *reinterpret_cast<float4 *>(x[i]) =
                *reinterpret_cast<const float4 *>(q + P::STEP * i * stride);
#pragma unroll
        for (int u = 0; u < 4; u++) {
            *reinterpret_cast<float4 *>(y) =
                *reinterpret_cast<const float4 *>(sh.key + (d + u) * CUDA_PAGE + 4 * tile_lane());
#pragma unroll
            for (int i = 0; i < 4 * P::ROWS; i++)
                s[i / 4][i % 4] = fmaf(x[i / 4][u], y[i % 4], s[i / 4][i % 4]);
        }
    }
}

/* Which keys of the page row i of the thread sees. */
template <class P>
__device__ inline void tile_sees(const tile_shared &sh, const tile_job &j, const tile_pass &at,
                                 int i, int *from, int *to)
{
    int token = (tile_row() + P::STEP * i) >> j.shift;

    *from = *to = 0;
    if (token >= at.from && token < at.to)
        attn_sees(sh.first[token], sh.last[token], at.k * CUDA_PAGE, from, to);
    *to = *to > *from ? *to : *from;
}

/* Scores become exponentials, in shared memory; m, l and o follow. EDGE: a row has those of keys
 * that it sees. */
template <class P, bool EDGE>
__device__ inline void tile_softmax(tile_rows<P> *r, const float (&s)[P::ROWS][4],
                                    const tile_shared &sh, const tile_job &j, const tile_pass &at,
                                    const attn_args &a)
{
#pragma unroll
    for (int i = 0; i < P::ROWS; i++)
        *reinterpret_cast<float4 *>(sh.p + tile_at(CUDA_PAGE, 4 * tile_lane()) +
                                    P::STEP * i * CUDA_PAGE) =
            make_float4(s[i][0], s[i][1], s[i][2], s[i][3]);
    if (a.softcap > 0.0f) {
#pragma unroll 1
        for (int i = 0; i < 4 * P::ROWS; i++) {
            float *x = sh.p + tile_at(CUDA_PAGE, 4 * tile_lane()) + P::STEP * (i / 4) * CUDA_PAGE;

            x[i % 4] = attn_cap(a, x[i % 4]);
        }
    }
    __syncwarp();
#pragma unroll
    for (int i = 0; i < P::ROWS; i++) {
        float x[4], top = -INFINITY;
        int from = 0, to = CUDA_PAGE;

        if (EDGE)
            tile_sees<P>(sh, j, at, i, &from, &to);
#pragma unroll
        for (int k = 0; k < 4; k++) {
            int key = tile_lane() + 16 * k;

            x[k] = sh.p[tile_at(CUDA_PAGE, key) + P::STEP * i * CUDA_PAGE];
            if (EDGE)
                x[k] = key >= from && key < to ? x[k] : -INFINITY;
            top = top > x[k] ? top : x[k];
        }
        for (int k = 8; k; k /= 2) {
            float other = __shfl_xor_sync(~0u, top, k);

            top = top > other ? top : other;
        }
        if (top > r->m[i]) { // ever seldomer
            float by = num_exp(r->m[i] - top);

            r->m[i] = top;
            r->l[i] *= by;
#pragma unroll
            for (int k = 0; k < 4 * P::NV; k++)
                r->o[i][k] *= by;
        }
#pragma unroll
        for (int k = 0; k < 4; k++) {
            float e = num_exp(x[k] - r->m[i]);

            sh.p[tile_at(CUDA_PAGE, tile_lane() + 16 * k) + P::STEP * i * CUDA_PAGE] = e;
            if (!EDGE || from < to)
                r->l[i] = r->l[i] + e;
        }
        if (i % 2)
            __syncwarp(); // two rows at a time: all at once would not fit into registers
    }
}

/* o += p v. EDGE: a row adds the keys that it sees. */
template <class P, bool EDGE>
__device__ inline void tile_values(tile_rows<P> *r, const tile_shared &sh, const tile_job &j,
                                   const tile_pass &at, int dim)
{
    int from[P::ROWS], to[P::ROWS];

    if (EDGE) {
#pragma unroll
        for (int i = 0; i < P::ROWS; i++)
            tile_sees<P>(sh, j, at, i, &from[i], &to[i]);
    }
#pragma unroll 1
    for (int key = 0; key < CUDA_PAGE; key += 4) {
        const float *p = sh.p + tile_at(CUDA_PAGE, key);
        float x[P::ROWS][4], y[4];

#pragma unroll
        for (int i = 0; i < P::ROWS; i++)
            *reinterpret_cast<float4 *>(x[i]) =
                *reinterpret_cast<const float4 *>(p + P::STEP * i * CUDA_PAGE);
#pragma unroll
        for (int u = 0; u < 4; u++) {
#pragma unroll
            for (int v = 0; v < P::NV; v++) {
                int d = 64 * v + 4 * tile_lane();

                if (d < dim)
                    *reinterpret_cast<float4 *>(y) =
                        *reinterpret_cast<const float4 *>(sh.value + (key + u) * dim + d);
#pragma unroll
                for (int i = 0; i < P::ROWS; i++) {
                    if (EDGE && (key + u < from[i] || key + u >= to[i]))
                        continue;
#pragma unroll
                    for (int k = 0; k < 4; k++)
                        r->o[i][4 * v + k] = fmaf(x[i][u], y[k], r->o[i][4 * v + k]);
                }
            }
        }
    }
}

/* The end of a range: rows that see some of it give their outputs to their parts, or join y. */
template <class P>
__device__ inline void tile_finish(tile_rows<P> *r, const tile_shared &sh, const tile_job &j,
                                   const tile_run &run, int range, const attn_args &a)
{
#pragma unroll
    for (int i = 0; i < P::ROWS; i++) {
        int row = tile_row() + P::STEP * i, token = row >> j.shift,
            head = j.head + (row & (j.width - 1));
        float l = norm_tree(r->l[i]), m = __shfl_sync(~0u, r->before, i, 16);
        float more = __shfl_sync(~0u, r->before, i + 8, 16), *y, *ml;
        bool mine = token >= run.from && token < run.to && (row & (j.width - 1)) < j.heads;
        attn_sum sum = {r->m[i], l, 0.0f, 1.0f};
        bool join, last;

        __syncwarp(); // a row at a time

        if (!mine || range < sh.first[token] / CUDA_RANGE || range > sh.last[token] / CUDA_RANGE)
            continue;
        join = !a.parts && range > sh.first[token] / CUDA_RANGE;
        last = !a.parts && range == sh.last[token] / CUDA_RANGE;
        y = attn_y(a, j.t0 + token, head);
        if (a.parts) {
            y = attn_part(a, j.t0 + token, head, range, &ml);
            if (tile_lane() == 0) {
                ml[0] = r->m[i];
                ml[1] = l;
            }
        }
        if (join) {
            sum = {m, more, 0.0f, 1.0f};
            attn_join(&sum, r->m[i], l);
        }
        if (tile_lane() % 8 == i)
            r->before = tile_lane() < 8 ? sum.m : sum.l;
            /* through the thread's own places in shared memory, so that the rest is a loop */
#pragma unroll
        for (int v = 0; v < P::NV; v++)
            *reinterpret_cast<float4 *>(sh.p + tile_at(CUDA_PAGE, 4 * tile_lane()) +
                                        P::STEP * v * CUDA_PAGE) =
                make_float4(r->o[i][4 * v], r->o[i][4 * v + 1], r->o[i][4 * v + 2],
                            r->o[i][4 * v + 3]);
#pragma unroll 1
        for (int k = 0; k < 4 * P::NV; k++) {
            int d = k / 4 * 64 + 4 * tile_lane() + k % 4;
            float x =
                sh.p[tile_at(CUDA_PAGE, 4 * tile_lane()) + P::STEP * (k / 4) * CUDA_PAGE + k % 4];

            if (d >= tile_dim<P>(a))
                continue;
            if (join)
                x = fmaf(x, sum.now, y[d] * sum.old);
            if (last)
                x = x / sum.l;
            y[d] = x;
        }
    }
}

template <class P> __device__ inline void tile_reset(tile_rows<P> *r)
{
#pragma unroll
    for (int i = 0; i < P::ROWS; i++) {
        r->m[i] = -INFINITY;
        r->l[i] = 0.0f;
#pragma unroll
        for (int k = 0; k < 4 * P::NV; k++)
            r->o[i][k] = 0.0f;
    }
}

/* All pages of a run, or those of one range. */
template <class T, class P>
__device__ inline void tile_walk(const attn_args &a, const tile_shared &sh, const tile_job &j,
                                 const tile_run &run, int begin, int end)
{
    size_t values = (size_t)CUDA_PAGE * (size_t)tile_dim<P>(a) * T::BYTES;
    const unsigned char *at;
    int dim = tile_dim<P>(a);
    tile_pass p = {begin - 1, 0, run.to, -1};
    tile_rows<P> r;
    tile_page<T, P> v;
    float s[P::ROWS][4];
    bool more = tile_step(a, sh, j, run, end, &p);
    auto where = [&] {
        return attn_page<T>(a, p.tail < 0 ? a.kv : a.st.tails, p.tail < 0 ? run.table[p.k] : p.tail,
                            j.kv_head, dim);
    };

    r.before = 0.0f;
    tile_reset<P>(&r);
    if (!more)
        return; // the whole block
    at = where();
    tile_early<T, P>(&v, at, dim);
    while (more) {
        tile_pass now = p;
        int start = now.k * CUDA_PAGE;
        bool whole = start >= run.all_first && start + CUDA_PAGE - 1 <= run.all_last &&
                     now.to - now.from == run.to - run.from;

        tile_copy<T, P>(sh.key, &v, at, dim);
        __syncthreads(); // keys are there, and the page before is done
        tile_early<T, P>(&v, at + values, dim);
        tile_scores<P>(s, sh, P::DIM > 0 ? (P::DIM + 31) / 32 * 32 : j.stride, dim);
        if (whole)
            tile_softmax<P, false>(&r, s, sh, j, now, a);
        else
            tile_softmax<P, true>(&r, s, sh, j, now, a);
        tile_copy<T, P>(sh.value, &v, at + values, dim);
        __syncthreads(); // values are there, and keys are not needed any more
        more = tile_step(a, sh, j, run, end, &p);
        if (more) {
            at = where();
            tile_early<T, P>(&v, at, dim);
        }
        if (whole)
            tile_values<P, false>(&r, sh, j, now, dim);
        else
            tile_values<P, true>(&r, sh, j, now, dim);
        if (!more || p.k / ATTN_PAGES != now.k / ATTN_PAGES) {
            tile_finish<P>(&r, sh, j, run, now.k / ATTN_PAGES, a);
            tile_reset<P>(&r);
        }
    }
    __syncthreads();
}

template <class T, class P>
__global__ void __launch_bounds__(P::THREADS, P::NV == 4 ? 1 : 2) attn_tile_kernel(attn_args a)
{
    DYN_SHARED(float, q); // (64, stride), then keys, values (64 * dim each), exponentials (64, 64)
    SHARED(int, seq, [TILE_QUERIES]);
    SHARED(int, first, [TILE_QUERIES]);
    SHARED(int, last, [TILE_QUERIES]);
    int tid = (int)threadIdx.x;
    SHARED(tile_job, job, [1]);
    const tile_job &j = job[0];
    int dim = tile_dim<P>(a), stride = (dim + 31) / 32 * 32;
    float *key = q + TILE_QUERIES * stride, *value = key + CUDA_PAGE * dim;
    tile_shared sh = {{seq, first, last}, q, key, value, value + CUDA_PAGE * dim};
    tile_run run;

    previous_done();
    if (tid == 0)
        tile_begin(a, job, TILE_QUERIES, stride);
    __syncthreads();
    tile_tokens_of(a, j, seq, first, last);
    for (int i = tid; i < TILE_QUERIES * stride; i += P::THREADS) {
        int row = i / stride, d = i % stride, token = row >> j.shift, head = row & (j.width - 1);
        size_t at = (size_t)(j.t0 + token) * (size_t)(a.n_heads + 2 * a.n_kv_heads) +
                    (size_t)(j.head + head);
        bool mine = token < j.n && head < j.heads && d < dim;

        q[row * stride + (d ^ (row % 8 * 4))] =
            mine ? a.qkv[at * (size_t)dim + (size_t)d] * a.scale : 0.0f;
    }
    __syncthreads();
    run.to = 0;
    while (tile_next(a, sh, j, run.to, &run)) {
        int begin = run.first / CUDA_PAGE, end = run.last / CUDA_PAGE, range = (int)blockIdx.x;

        if (a.parts) {
            begin = begin > range * ATTN_PAGES ? begin : range * ATTN_PAGES;
            end = end < range * ATTN_PAGES + ATTN_PAGES - 1 ? end
                                                            : range * ATTN_PAGES + ATTN_PAGES - 1;
        }
        if (begin <= end)
            tile_walk<T, P>(a, sh, j, run, begin, end);
    }
}

size_t tile_bytes(int dim)
{
    return (size_t)TILE_QUERIES * sizeof(float) *
           (size_t)((dim + 31) / 32 * 32 + 2 * dim + CUDA_PAGE);
}

template <class T, class P> void tile_launch(const attn_args &a, cudaStream_t s)
{
    LAUNCH_EARLY((attn_tile_kernel<T, P>), tile_grid(a, TILE_QUERIES), (unsigned)P::THREADS,
                 tile_bytes(a.head_dim), s, a);
}

template <class T> void tile_of(const attn_args &a, cudaStream_t s)
{
    if (a.head_dim == 64)
        tile_launch<T, tile_plan<1, 8, 64>>(a, s);
    else if (a.head_dim == 128)
        tile_launch<T, tile_plan<2, 8, 128>>(a, s);
    else
        tile_launch<T, tile_plan<4, 4, 0>>(a, s);
}

} // namespace

bool attn_tile_fits(const struct cuda_attn *a)
{
    return a->head_dim % 4 == 0 && a->head_dim <= TILE_DIMS_MAX &&
           tile_bytes(a->head_dim) + 2048 <= (size_t)shared_most(); // 2048: what is static
}

int attn_tile_blocks(const struct cuda_attn *a, int n)
{
    return tile_blocks(a, n, TILE_QUERIES);
}

void attn_tile(const attn_args *a, int type, cudaStream_t s)
{
#define TILE_OF(TYPE, T) \
    if (type == (TYPE))  \
        tile_of<T>(*a, s);
    KV_TYPES(TILE_OF)
#undef TILE_OF
}
