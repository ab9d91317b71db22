/* attn_mma_tile.cu - attention of prompts on tensor cores: 96 queries share each page.
 *
 * As attn_tile.cu, a block takes the heads of a KV head (up to 8) for 96 / heads neighbouring
 * tokens and walks the pages that any of them sees, of which the next is copied meanwhile. A warp
 * has sixteen rows of queries; scores, in fragments, become the left operand of the product with
 * the values where they stand. Where sixteen keys are not seen by all rows of a warp, each token
 * multiplies with its own of them, the others being zeros: so it has the operands that attn_mma.cu
 * has, whatever stands in the cache behind it.
 *
 * Shared memory: queries (96, DIM), and two pages, keys (DIM, 64) and values (64, DIM) each: 88 KiB
 * for 128 dimensions of half floats.
 *
 * Measured on an H200 (2026-11-27), 32 heads of 128 on 8 KV heads: 2048 tokens 279 us of F16, 278
 * of BF16, 284 of FP8 (61 tera multiply-adds a second; attn_tile.cu, of F32, 1248 us); 2048 tokens
 * behind 6144 others 1545, 256 behind 7936 252. A kernel for --fast alone, which did without the
 * zeros, took 214 us for the first. */
#include "attn_mma.cuh"
#include "attn_run.cuh"

namespace
{

enum { MMA_QUERIES = 96 };

template <class T_, int DIM_> struct mma_tile {
    typedef T_ T;
    enum {
        DIM = DIM_,
        THREADS = MMA_QUERIES / 16 * 32,
        Q_CHUNKS = DIM / 8,
        KEY_CHUNKS = CUDA_PAGE * T::BYTES / 16,
        DIM_CHUNKS = DIM * T::BYTES / 16,
        HALF_PAGE = CUDA_PAGE * DIM * T::BYTES, // bytes of a page's keys, and of its values
        N = mma_right<T>::N,
        TILES = DIM / 8
    };
};

/* A warp's rows: g and g + 8, g = lane / 4. */
template <class P> struct mma_rows {
    float o[P::TILES][4], m[2], l[2]; // l: the lane's part
};

/* What a block has in shared memory beside queries and pages. */
struct mma_tile_shared {
    int seq[MMA_QUERIES], first[MMA_QUERIES], last[MMA_QUERIES]; // of tokens
    float m[MMA_QUERIES], l[MMA_QUERIES];                        // of rows, of the ranges before
    tile_job job;
    tile_run run;
    tile_pass at; // the page at hand
};

/* The keys [from, to) of a page that a token sees. */
struct mma_keys {
    int from, to;
};

__device__ inline int mma_row_of(int i)
{
    const int tid = late((int)threadIdx.x);

    return tid / 32 * 16 + tid % 32 / 4 + 8 * i;
}

__device__ inline mma_keys mma_keys_of(const mma_tile_shared *b, int token)
{
    const tile_pass &at = b->at;
    mma_keys r = {0, 0};

    if (token >= at.from && token < at.to)
        attn_sees(b->first[token], b->last[token], at.k * CUDA_PAGE, &r.from, &r.to);
    if (r.to <= r.from)
        r.from = r.to = 0;
    return r;
}

/* A page's keys and values are on their way, by some of the threads: what one copies lies a
 * multiple of sixteen rows apart, or eight, at the same place of them. */
template <class P>
__device__ inline void mma_copy_page(unsigned char *to, const unsigned char *from)
{
    constexpr int THREADS = 128;
    int tid = late((int)threadIdx.x),
        key = mma_place<P::KEY_CHUNKS>(tid / P::KEY_CHUNKS, tid % P::KEY_CHUNKS),
        value = P::HALF_PAGE + mma_place<P::DIM_CHUNKS>(mma_row<typename P::T>(tid / P::DIM_CHUNKS),
                                                        tid % P::DIM_CHUNKS);

    static_assert(THREADS / P::KEY_CHUNKS % 8 == 0 &&
                      THREADS / P::DIM_CHUNKS % (P::T::BYTES == 1 ? 16 : 8) == 0,
                  "");
    if (tid >= THREADS)
        return;
    from += tid * 16;
#pragma unroll
    for (int i = 0; i < P::HALF_PAGE; i += THREADS * 16)
        cp_async16(to + key + i, from + i);
    from += P::HALF_PAGE;
#pragma unroll
    for (int i = 0; i < P::HALF_PAGE; i += THREADS * 16)
        cp_async16(to + value + i, from + i);
}

/* s (64 keys / 8, fragments) = q k. */
template <class P>
__device__ inline void mma_tile_scores(float (&s)[8][4], const unsigned char *q,
                                       const unsigned char *keys)
{
    int query = late(mma_lane<P::Q_CHUNKS>()), key = late(mma_lane<P::KEY_CHUNKS>());

    q += (int)threadIdx.x / 32 * (16 * 16 * P::Q_CHUNKS);
#pragma unroll
    for (int i = 0; i < 32; i++)
        s[i / 4][i % 4] = 0.0f;
#pragma unroll
    for (int k = 0; k < P::DIM / 16; k++) {
        uint32_t x[4];

        ldmatrix_x4(x, q + mma_at<P::Q_CHUNKS>(query, 0, 2 * k));
        mma_sixteen<typename P::T, P::KEY_CHUNKS>(s, x, keys, key, k * 16);
    }
}

/* -infinity in place of scores of keys that their row does not see. */
template <class P> __device__ inline void mma_tile_hide(float (&s)[8][4], const mma_tile_shared *b)
{
#pragma unroll
    for (int r = 0; r < 2; r++) {
        const mma_keys keys = mma_keys_of(b, mma_row_of(r) >> b->job.shift);

#pragma unroll
        for (int i = 0; i < 16; i++) {
            int key = mma_key<typename P::T>(i / 2 * 8 + (int)threadIdx.x % 4 * 2 + i % 2);
            float &x = s[i / 2][r * 2 + i % 2];

            x = key >= keys.from && key < keys.to ? x : -INFINITY;
        }
    }
}

/* Scores become exponentials, rounded, in e (64 keys / 16, left operands); m, l and o follow. */
template <class P>
__device__ inline void mma_tile_softmax(mma_rows<P> *r, uint32_t (&e)[4][4], const float (&s)[8][4])
{
    float by[2];

#pragma unroll
    for (int i = 0; i < 2; i++) {
        float x[8][2], top = -INFINITY, base;

#pragma unroll
        for (int n = 0; n < 8; n++)
            top = fmaxf(top, fmaxf(s[n][2 * i], s[n][2 * i + 1]));
        top = fmaxf(top, __shfl_xor_sync(~0u, top, 1));
        top = fmaxf(top, __shfl_xor_sync(~0u, top, 2));
        by[i] = mma_raise(&r->m[i], top, &base);
#pragma unroll
        for (int n = 0; n < 8; n++) {
            x[n][0] = exp2_near(s[n][2 * i] - base);
            x[n][1] = exp2_near(s[n][2 * i + 1] - base);
            e[n / 2][n % 2 * 2 + i] = mma_type<typename P::T>::small(x[n][0], x[n][1]);
        }
        r->l[i] = r->l[i] * by[i] + mma_sum(x);
    }
    if (__all_sync(~0u, by[0] == 1.0f && by[1] == 1.0f))
        return; // ever more often
#pragma unroll
    for (int n = 0; n < P::TILES; n++)
#pragma unroll
        for (int i = 0; i < 4; i++)
            r->o[n][i] *= by[i / 2];
}

/* o += p v for keys [16 k, 16 k + 16) of the page. */
template <class P>
__device__ inline void mma_tile_values(float (&o)[P::TILES][4], const uint32_t (&e)[4],
                                       const unsigned char *values, int k)
{
    mma_sixteen<typename P::T, P::DIM_CHUNKS>(o, e, values, late(mma_lane<P::DIM_CHUNKS>()),
                                              k * 16);
}

/* The same where not all rows see all of these keys: a token after the other. */
template <class P>
__device__ inline void mma_tile_cut(float (&o)[P::TILES][4], const uint32_t (&e)[4],
                                    const unsigned char *values, int k, const mma_tile_shared *b)
{
    int lane = late(mma_lane<P::DIM_CHUNKS>()), shift = b->job.shift,
        first = (mma_row_of(0) & ~15) >> shift, last = (mma_row_of(0) | 15) >> shift;

#pragma unroll 1
    for (int token = first; token <= last; token++) {
        const mma_keys keys = mma_keys_of(b, token);
        const mma_seen seen = mma_sees<typename P::T>(keys.from - k * 16, keys.to - k * 16);
        const bool mine[2] = {mma_row_of(0) >> shift == token, mma_row_of(1) >> shift == token};

        if (keys.from >= k * 16 + 16 || keys.to <= k * 16)
            continue; // for the whole warp
#pragma unroll
        for (int c = 0; c < P::DIM_CHUNKS; c += 2) {
            const auto r = mma_load<typename P::T, P::DIM_CHUNKS>(values, lane, k * 16, c);

#pragma unroll
            for (int n = 0; n < P::N; n++) {
                const uint32_t v[2] = {r.b[n][0] & seen.w[0], r.b[n][1] & seen.w[1]};
                float *to = o[c / 2 * P::N + n], d[4] = {to[0], to[1], to[2], to[3]};

                mma_type<typename P::T>::multiply(d, e, v);
#pragma unroll
                for (int i = 0; i < 4; i++)
                    to[i] = mine[i / 2] ? d[i] : to[i];
            }
        }
    }
}

/* Do all rows of the warp that are of the run see keys [16 k, 16 k + 16) of the page? */
__device__ inline bool mma_tile_whole(const mma_tile_shared *b, int k)
{
    bool all = true;

    for (int i = 0; i < 2; i++) {
        int token = mma_row_of(i) >> b->job.shift;
        const mma_keys keys = mma_keys_of(b, token);

        all = all && ((keys.from <= k * 16 && keys.to >= k * 16 + 16) || token < b->run.from ||
                      token >= b->run.to);
    }
    return __all_sync(~0u, all);
}

/* A page; edge: not all rows see all of it. */
template <class P>
__device__ inline void mma_tile_page(mma_rows<P> *r, const unsigned char *q,
                                     const unsigned char *page, const mma_tile_shared *b, bool edge,
                                     const attn_args &a)
{
    uint32_t e[4][4];
    float s[8][4];

    mma_tile_scores<P>(s, q, page);
    if (a.softcap > 0.0f)
#pragma unroll
        for (int i = 0; i < 32; i++)
            s[i / 4][i % 4] = mma_score(a, s[i / 4][i % 4]);
    if (edge)
        mma_tile_hide<P>(s, b);
    mma_tile_softmax<P>(r, e, s);
    if (!edge) {
#pragma unroll
        for (int k = 0; k < 4; k++)
            mma_tile_values<P>(r->o, e[k], page + P::HALF_PAGE, k);
        return;
    }
#pragma unroll
    for (int k = 0; k < 4; k++)
        if (mma_tile_whole(b, k))
            mma_tile_values<P>(r->o, e[k], page + P::HALF_PAGE, k);
        else
            mma_tile_cut<P>(r->o, e[k], page + P::HALF_PAGE, k, b);
}

/* A row's outputs of a range, of which the joined sums are `sum`, go to its part, or join y. */
template <class P>
__device__ inline void mma_tile_put(float *y, const float (&o)[P::TILES][4], int i, bool join,
                                    bool last, const attn_sum &sum)
{
    typedef mma_out<typename P::T> out;

#pragma unroll
    for (int n = 0; n < P::TILES; n += P::N)
#pragma unroll
        for (int part = 0; part < 2; part++) {
            float x[out::RUN], *to = y + n * 8 + out::dim(part);

            out::get(x, o + n, part, i);
#pragma unroll
            for (int k = 0; k < out::RUN; k++) {
                if (join)
                    x[k] = fmaf(x[k], sum.now, to[k] * sum.old);
                to[k] = last ? x[k] / sum.l : x[k];
            }
        }
}

/* The end of a range: rows that see some of it. */
template <class P>
__device__ inline void mma_tile_finish(const mma_rows<P> *r, mma_tile_shared *b, int range,
                                       const attn_args &a)
{
    const tile_job &j = b->job;

#pragma unroll
    for (int i = 0; i < 2; i++) {
        int row = mma_row_of(i), token = row >> j.shift, head = row & (j.width - 1);
        float l = r->l[i], top = r->m[i] * MMA_LN2, *y, *ml = nullptr;
        attn_sum sum;
        bool join, last;

        l = l + __shfl_xor_sync(~0u, l, 1);
        l = l + __shfl_xor_sync(~0u, l, 2);
        sum = {b->m[row], b->l[row], 0.0f, 1.0f};
        __syncwarp();
        if (token < b->run.from || token >= b->run.to || head >= j.heads ||
            range < b->first[token] / CUDA_RANGE || range > b->last[token] / CUDA_RANGE)
            continue;
        join = !a.parts && range > b->first[token] / CUDA_RANGE;
        last = !a.parts && range == b->last[token] / CUDA_RANGE;
        y = attn_y(a, j.t0 + token, j.head + head);
        if (join)
            attn_join(&sum, top, l);
        else
            sum = {top, l, 0.0f, 1.0f};
        if (a.parts)
            y = attn_part(a, j.t0 + token, j.head + head, range, &ml);
        if (threadIdx.x % 4 == 0) {
            *(a.parts ? ml : &b->m[row]) = sum.m;
            *(a.parts ? ml + 1 : &b->l[row]) = sum.l;
        }
        mma_tile_put<P>(y, r->o, i, join, last, sum);
    }
}

template <class P> __device__ inline void mma_tile_reset(mma_rows<P> *r)
{
#pragma unroll
    for (int i = 0; i < P::TILES * 4; i++)
        r->o[i / 4][i % 4] = 0.0f;
    for (int i = 0; i < 2; i++) {
        r->m[i] = -INFINITY;
        r->l[i] = 0.0f;
    }
}

/* All pages of a run, or those of one range. */
template <class P>
__device__ inline void mma_tile_walk(const attn_args &a, mma_tile_shared *b, const unsigned char *q,
                                     unsigned char *pages, int begin, int end)
{
    const tile_tokens tokens = {b->seq, b->first, b->last};
    const tile_run &run = b->run;
    tile_pass p = {begin - 1, 0, run.to, -1};
    bool more = tile_step(a, tokens, b->job, run, end, &p);
    int slot = 0;
    mma_rows<P> r;
    auto copy = [&] {
        if (more)
            mma_copy_page<P>(pages + slot * 2 * P::HALF_PAGE,
                             attn_page<typename P::T>(a, p.tail < 0 ? a.kv : a.st.tails,
                                                      p.tail < 0 ? run.table[p.k] : p.tail,
                                                      b->job.kv_head, P::DIM));
        cp_async_commit();
    };

    mma_tile_reset<P>(&r);
    copy();
    while (more) {
        const unsigned char *page = pages + slot * 2 * P::HALF_PAGE;
        int k = p.k;
        bool edge = k * CUDA_PAGE < run.all_first || (k + 1) * CUDA_PAGE - 1 > run.all_last ||
                    p.to - p.from < run.to - run.from;

        if (threadIdx.x == 0)
            b->at = p;
        more = tile_step(a, tokens, b->job, run, end, &p);
        slot ^= 1;
        copy();
        cp_async_wait<1>();
        __syncthreads(); // the page is there
        mma_tile_page<P>(&r, q, page, b, edge, a);
        __syncthreads(); // and may be copied over
        if (!more || p.k / ATTN_PAGES != k / ATTN_PAGES) {
            mma_tile_finish<P>(&r, b, k / ATTN_PAGES, a);
            mma_tile_reset<P>(&r);
        }
    }
}

/* The block's queries, rounded. */
template <class P>
__device__ inline void mma_tile_queries(unsigned char *q, const attn_args &a, const tile_job &j)
{
    const float scale = mma_scale(a);

    for (int i = 4 * (int)threadIdx.x; i < MMA_QUERIES * P::DIM; i += 4 * P::THREADS) {
        int row = i / P::DIM, d = i % P::DIM, token = row >> j.shift, head = row & (j.width - 1);
        float4 x = make_float4(0.0f, 0.0f, 0.0f, 0.0f);

        if (token < j.n && head < j.heads)
            x = *reinterpret_cast<const float4 *>(
                a.qkv +
                ((size_t)(j.t0 + token) * (size_t)(a.n_heads + 2 * a.n_kv_heads) +
                 (size_t)(j.head + head)) *
                    P::DIM +
                d);
        *reinterpret_cast<uint2 *>(q + mma_place<P::Q_CHUNKS>(row, d / 8) + d % 8 * 2) =
            make_uint2(mma_type<typename P::T>::pair(x.x * scale, x.y * scale),
                       mma_type<typename P::T>::pair(x.z * scale, x.w * scale));
    }
}

template <class P>
__global__ void __launch_bounds__(P::THREADS, GPU_HOPPER ? 2 : 1) attn_mma_tile_kernel(attn_args a)
{
    DYN_SHARED(unsigned char, q); // queries, then two pages
    SHARED(mma_tile_shared, shared, [1]);
    mma_tile_shared *b = shared;
    tile_run run;

    previous_done();
    if (threadIdx.x == 0)
        tile_begin(a, &b->job, MMA_QUERIES, 0);
    __syncthreads();
    tile_tokens_of(a, b->job, b->seq, b->first, b->last);
    mma_tile_queries<P>(q, a, b->job);
    __syncthreads();
    run.to = 0;
    while (tile_next(a, {b->seq, b->first, b->last}, b->job, run.to, &run)) {
        int begin = run.first / CUDA_PAGE, end = run.last / CUDA_PAGE, range = (int)blockIdx.x;

        if (a.parts) {
            begin = begin > range * ATTN_PAGES ? begin : range * ATTN_PAGES;
            end = end < range * ATTN_PAGES + ATTN_PAGES - 1 ? end
                                                            : range * ATTN_PAGES + ATTN_PAGES - 1;
        }
        __syncthreads();
        if (threadIdx.x == 0)
            b->run = run;
        __syncthreads();
        if (begin <= end)
            mma_tile_walk<P>(a, b, q, q + MMA_QUERIES * P::DIM * (int)sizeof(uint16_t), begin, end);
        run.to = b->run.to;
    }
}

template <class P> void mma_tile_launch(const attn_args &a, cudaStream_t s)
{
    LAUNCH_EARLY(attn_mma_tile_kernel<P>, tile_grid(a, MMA_QUERIES), (unsigned)P::THREADS,
                 MMA_QUERIES * P::DIM * sizeof(uint16_t) + 4 * P::HALF_PAGE, s, a);
}

} // namespace

int attn_mma_tile_blocks(const struct cuda_attn *a, int n)
{
    return tile_blocks(a, n, MMA_QUERIES);
}

void attn_mma_tile(const struct attn_args *a, int type, cudaStream_t s)
{
#define TILE_OF(TYPE, T)                              \
    if (type == (TYPE)) {                             \
        if (a->head_dim == 64)                        \
            mma_tile_launch<mma_tile<T, 64>>(*a, s);  \
        else                                          \
            mma_tile_launch<mma_tile<T, 128>>(*a, s); \
    }
    KV_SMALL(TILE_OF)
#undef TILE_OF
}
