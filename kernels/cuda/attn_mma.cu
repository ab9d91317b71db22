/* attn_mma.cu - attention of single tokens on tensor cores.
 *
 * A block takes a token, up to 8 of the heads that share a KV head, and a range of 512 keys; the
 * heads are rows of an mma, of which half and more stay empty, for what counts is that the cache is
 * read. First a warp has keys, some of each page: their scores go to shared memory, where the
 * block makes exponentials of them. Then a warp has dimensions of the outputs, and goes over all
 * keys. What it will need of keys and values it copies ahead, past the end of the first part, into
 * a ring of its own (RING bytes), so that a multiprocessor has some 100 KiB on their way.
 *
 * More warps share a block where blocks are fewer.
 *
 * Measured on an H200 (2026-11-27, memory read at 4473 GB/s), 32 heads of 128 on 8 KV heads, with
 * the joining of ranges: 32 sequences of 8192 keys 270 us from a cache of F16, 270 of BF16, 156 of
 * FP8 (88.7, 88.9 and 76.7 % of the rate); of F16, one sequence of 128 keys 6.1, of 8192 18.2,
 * eight of 1024 17.9, 64 of 1024 77.5. Then queries were read behind the copies, and a stage took
 * an eighth more instructions, and y was not left as activations: not measured since. */
#include "attn_mma.cuh"
#include "attn_range.cuh"

namespace
{

enum {
    MMA_HEADS = 8,
    MMA_PAGE = CUDA_PAGE + 8, // a page's scores in a row; in the first of each two, exponentials
    MMA_SCORES = ATTN_PAGES * MMA_PAGE + 8
};

template <class T_, int DIM_, int WARPS_> struct mma_plan {
    typedef T_ T;
    enum {
        DIM = DIM_,
        WARPS = WARPS_,
        Q = MMA_HEADS,
        THREADS = 32 * WARPS,
        RING = WARPS == 2 && T::BYTES == 1 ? 8 << 10 : 16 << 10, // bytes of a warp
        BLOCKS = WARPS > 2       ? 8 / WARPS
                 : T::BYTES == 1 ? 8
                                 : 5, // of a multiprocessor
        KEYS = 128 / WARPS,           // of a unit: a warp has every WARPS-th one
        DIMS = DIM / WARPS,           // of a warp's outputs
        KEY_CHUNKS = KEYS * T::BYTES / 16,
        DIM_CHUNKS = DIMS * T::BYTES / 16,
        STAGE = 32 * 16 * KEY_CHUNKS, // bytes: 32 dimensions of a unit's keys
        UNIT_STAGES = DIM / 32,
        STAGE_KEYS = STAGE / (16 * DIM_CHUNKS), // values of so many keys
        PAGE_STAGES = CUDA_PAGE / STAGE_KEYS,
        STAGES = RING / STAGE,
        TILES = DIMS / 8
    };
    static_assert(KEYS <= (int)CUDA_PAGE && KEY_CHUNKS > 1 && DIM_CHUNKS > 1 && STAGE_KEYS >= 16,
                  "");
};

/* A warp's ring, and what it copies: units [unit, units) of keys, every WARPS-th one, then values
 * of pages [page, pages). Stages are counted from 0 in both. */
template <class P> struct mma_ring {
    unsigned char *at;
    const attn_block<P::Q> *b;
    int unit, units, page, pages;
    unsigned keys, next, used; // stages: of keys; copied; taken

    __device__ inline mma_ring(unsigned char *shared, const attn_block<P::Q> *b) : b(b)
    {
        int warp = (int)threadIdx.x / 32;

        at = shared + warp * P::RING;
        unit = b->j.lo / P::KEYS + warp;
        units = (b->j.hi - 1) / P::KEYS + 1;
        page = b->j.lo / CUDA_PAGE;
        pages = (b->j.hi - 1) / CUDA_PAGE + 1;
        keys = units > unit ? (unsigned)((units - unit + P::WARPS - 1) / P::WARPS * P::UNIT_STAGES)
                            : 0;
        next = used = 0;
        for (int i = 0; i < P::STAGES - 1; i++)
            copy();
    }
    /* A stage of rows of CHUNKS chunks, `row` bytes apart. */
    template <int CHUNKS, bool VALUES>
    __device__ inline void rows(unsigned char *to, const unsigned char *from, int row)
    {
        constexpr int ROWS = 32 / CHUNKS; // at a time
        int lane = (int)threadIdx.x % 32, r = lane / CHUNKS, c = lane % CHUNKS,
            place = mma_place<CHUNKS>(VALUES ? mma_row<typename P::T>(r) : r, c);

        from += r * row + c * 16;
#pragma unroll
        for (int i = 0; i < P::STAGE / 512; i++)
            cp_async16(to + mma_further<CHUNKS>(place, VALUES ? mma_row<typename P::T>(i * ROWS)
                                                              : i * ROWS),
                       from + i * ROWS * row);
    }
    /* The next stage is on its way, or nothing, which counts as one. */
    __device__ inline void copy()
    {
        constexpr unsigned BYTES = P::T::BYTES, PAGE_UNITS = CUDA_PAGE / P::KEYS;
        unsigned char *to = at + next % P::STAGES * P::STAGE;
        unsigned i = next++;

        if (i < keys) {
            unsigned u = (unsigned)unit + i / P::UNIT_STAGES * P::WARPS;

            rows<P::KEY_CHUNKS, false>(
                to,
                b->page[u / PAGE_UNITS] +
                    (i % P::UNIT_STAGES * 32 * CUDA_PAGE + u % PAGE_UNITS * P::KEYS) * BYTES,
                CUDA_PAGE * BYTES);
        } else if (i - keys < (unsigned)(pages - page) * P::PAGE_STAGES) {
            i -= keys;
            rows<P::DIM_CHUNKS, true>(
                to,
                b->page[(unsigned)page + i / P::PAGE_STAGES] +
                    ((CUDA_PAGE + i % P::PAGE_STAGES * P::STAGE_KEYS) * P::DIM +
                     threadIdx.x / 32 * P::DIMS) *
                        BYTES,
                P::DIM * BYTES);
        }
        cp_async_commit();
    }
    /* The next stage is there, for the whole warp; the one before it is copied over. */
    __device__ inline const unsigned char *take()
    {
        cp_async_wait<P::STAGES - 2>();
        __syncwarp();
        copy();
        return at + used++ % P::STAGES * P::STAGE;
    }
};

/* Row lane / 4 of the queries: read first, so that copies need not wait for them, then rounded to
 * left operands. */
template <class P> struct mma_queries {
    float2 x[P::DIM / 8];
    uint32_t q[P::DIM / 16][2];

    __device__ inline mma_queries(const attn_args &a, const attn_job &j)
    {
        int lane = (int)threadIdx.x % 32, head = lane / 4;
        const float *row = a.qkv +
                           ((size_t)j.t * (size_t)(a.n_heads + 2 * a.n_kv_heads) +
                            (size_t)(j.head + (head < j.n ? head : 0))) *
                               P::DIM +
                           lane % 4 * 2;

#pragma unroll
        for (int i = 0; i < P::DIM / 8; i++)
            x[i] = *reinterpret_cast<const float2 *>(row + i * 8);
    }
    __device__ inline void round(const attn_args &a, const attn_job &j)
    {
        bool there = (int)threadIdx.x % 32 / 4 < j.n;
        float scale = mma_scale(a);

#pragma unroll
        for (int i = 0; i < P::DIM / 8; i++)
            q[i / 2][i % 2] =
                there ? mma_type<typename P::T>::pair(x[i].x * scale, x[i].y * scale) : 0;
    }
};

/* Scores of a unit's keys into row lane / 4, -infinity where they are not seen. */
template <class P>
__device__ inline void mma_put_scores(float *row, const attn_job &j, const float (*s)[4], int unit)
{
    int t = (int)threadIdx.x % 4;

#pragma unroll
    for (int n = 0; n < P::KEYS / 8; n++) {
        int column = unit * P::KEYS + n * 8 + 2 * t;
        float x[2];

#pragma unroll
        for (int i = 0; i < 2; i++) {
            int key = mma_key<typename P::T>(column + i);

            x[i] = s && key >= j.lo && key < j.hi ? s[n][i] : -INFINITY;
        }
        *reinterpret_cast<float2 *>(row + column / CUDA_PAGE * MMA_PAGE + column % CUDA_PAGE) =
            make_float2(x[0], x[1]);
    }
}

template <class P>
__device__ inline void mma_scores(float *scores, mma_ring<P> *ring, const mma_queries<P> &queries,
                                  const attn_args &a, const attn_job &j)
{
    int lane = mma_lane<P::KEY_CHUNKS>(), head = (int)threadIdx.x % 32 / 4,
        first = ring->page * (CUDA_PAGE / P::KEYS), last = ring->pages * (CUDA_PAGE / P::KEYS);
    float *row = scores + head * MMA_SCORES;

    for (int u = ring->unit; u < ring->units; u += P::WARPS) {
        float s[P::KEYS / 8][4] = {};

#pragma unroll
        for (int k = 0; k < P::DIM / 16; k += 2) {
            const unsigned char *stage = ring->take();

#pragma unroll
            for (int h = 0; h < 2; h++) {
                const uint32_t q[4] = {queries.q[k + h][0], 0, queries.q[k + h][1], 0};

                mma_sixteen<typename P::T, P::KEY_CHUNKS>(s, q, stage, lane, h * 16);
            }
        }
        if (a.softcap > 0.0f) // asked once: of each score it is a tenth of the loop
#pragma unroll
            for (int i = 0; i < P::KEYS / 4; i++)
                s[i / 2][i % 2] = mma_score(a, s[i / 2][i % 2]);
        if (head < j.n)
            mma_put_scores<P>(row, j, s, u);
    }
    for (int u = first + (int)threadIdx.x / 32; u < last; u += P::WARPS)
        if ((u * P::KEYS + P::KEYS <= j.lo || u >= ring->units) && head < j.n)
            mma_put_scores<P>(row, j, nullptr, u); // seen by nobody, but of a page that is
}

/* What the block makes of scores: exponentials, and by page what they are scaled by. */
struct mma_sums {
    float base[MMA_HEADS][ATTN_PAGES], l[MMA_HEADS][ATTN_PAGES][4];
};

/* The maxima of a row's pages, four lanes a page, and what each raise scales by. */
__device__ inline void mma_maxima(attn_block<MMA_HEADS> *b, mma_sums *sums, const float *row, int i)
{
    int lane = (int)threadIdx.x % 32, page = lane / 4;
    bool there = page >= b->j.lo / CUDA_PAGE && page <= (b->j.hi - 1) / CUDA_PAGE;
    float top = -INFINITY, m;

    if (there)
#pragma unroll
        for (int k = 0; k < 16; k += 4) {
            float4 s = *reinterpret_cast<const float4 *>(row + page * MMA_PAGE + lane % 4 * 16 + k);

            top = fmaxf(top, fmaxf(fmaxf(s.x, s.y), fmaxf(s.z, s.w)));
        }
    for (int k = 1; k < 32; k *= 2) {
        float other = k < 4 ? __shfl_xor_sync(~0u, top, k) : __shfl_up_sync(~0u, top, k);

        if (k < 4 || lane >= k)
            top = fmaxf(top, other);
    }
    m = __shfl_up_sync(~0u, top, 4);
    m = lane < 4 ? -INFINITY : m;
    if (lane % 4 == 0) {
        b->by[i][page] = mma_raise(&m, top, &sums->base[i][page]);
        b->m[i][page] = m * MMA_LN2; // as the joining of ranges takes it
    }
}

/* Scores become exponentials, rounded, two in the place of the first; b has maxima, scales and
 * sums. */
template <class P>
__device__ inline void mma_softmax(float *scores, attn_block<P::Q> *b, mma_sums *sums)
{
    int tid = (int)threadIdx.x, page0 = b->j.lo / CUDA_PAGE, page1 = (b->j.hi - 1) / CUDA_PAGE;

    for (int i = tid / 32; i < b->j.n; i += P::WARPS)
        mma_maxima(b, sums, scores + i * MMA_SCORES, i);
    __syncthreads();
    for (int k = tid; k < b->j.n * ATTN_PAGES * 4; k += P::THREADS) {
        int i = k / (ATTN_PAGES * 4), page = k / 4 % ATTN_PAGES, t = k % 4;
        float *s = scores + i * MMA_SCORES + page * MMA_PAGE + 2 * t;
        float p[8][2], base = sums->base[i][page];

        if (page < page0 || page > page1)
            continue;
#pragma unroll
        for (int n = 0; n < 8; n++) {
            float2 x = *reinterpret_cast<float2 *>(s + n * 8);

            p[n][0] = exp2_near(x.x - base);
            p[n][1] = exp2_near(x.y - base);
            s[n * 8] = num_float(mma_type<typename P::T>::small(p[n][0], p[n][1]));
        }
        sums->l[i][page][t] = mma_sum(p);
    }
    __syncthreads();
    if (tid < b->j.n) {
        float l[4] = {};

        for (int page = page0; page <= page1; page++)
            for (int t = 0; t < 4; t++)
                l[t] = l[t] * b->by[tid][page] + sums->l[tid][page][t];
        b->l[tid] = (l[0] + l[1]) + (l[2] + l[3]);
    }
}

/* o += a page's values times exponentials, the lane's first of which is at e. ALL: it is seen
 * whole; else keys [lo, hi) of it are. */
template <class P, bool ALL>
__device__ inline void mma_value_page(float (&o)[P::TILES][4], mma_ring<P> *ring, const float *e,
                                      bool there, int lo, int hi)
{
    constexpr int STEPS = P::STAGE_KEYS / 16;
    int at = mma_lane<P::DIM_CHUNKS>();

#pragma unroll
    for (int k = 0; k < CUDA_PAGE / 16; k += STEPS) {
        const unsigned char *stage = ring->take();

#pragma unroll
        for (int h = 0; h < STEPS; h++, e += 16) {
            int from = lo - (k + h) * 16, to = hi - (k + h) * 16;
            const uint32_t p[4] = {there ? num_bits(e[0]) : 0, 0, there ? num_bits(e[8]) : 0, 0};

            if (ALL)
                mma_sixteen<typename P::T, P::DIM_CHUNKS>(o, p, stage, at, h * 16);
            else if (from < 16 && to > 0) // for the whole block
                mma_sixteen<typename P::T, P::DIM_CHUNKS>(o, p, stage, at, h * 16,
                                                          mma_sees<typename P::T>(from, to));
        }
    }
}

/* o (tiles of eight of the warp's dimensions) of row lane / 4. */
template <class P>
__device__ inline void mma_values(float (&o)[P::TILES][4], mma_ring<P> *ring, const float *exps,
                                  const attn_block<P::Q> *b)
{
    int lane = (int)threadIdx.x % 32, head = lane / 4;
    bool there = head < b->j.n;

    for (int page = ring->page; page < ring->pages; page++) {
        const float *e = exps + head * MMA_SCORES + page * MMA_PAGE + lane % 4 * 2;
        int lo = b->j.lo - page * CUDA_PAGE, hi = b->j.hi - page * CUDA_PAGE;
        float by = there ? b->by[head][page] : 0.0f;

#pragma unroll
        for (int n = 0; n < P::TILES; n++) {
            o[n][0] *= by;
            o[n][1] *= by;
        }
        if (lo <= 0 && hi >= CUDA_PAGE)
            mma_value_page<P, true>(o, ring, e, there, lo, hi);
        else
            mma_value_page<P, false>(o, ring, e, there, lo, hi);
    }
}

template <class P>
__device__ inline void mma_finish(const float (&o)[P::TILES][4], const attn_args &a,
                                  const attn_block<P::Q> *b)
{
    typedef mma_out<typename P::T> out;
    constexpr int N = mma_right<typename P::T>::N;
    int head = (int)threadIdx.x % 32 / 4, d = (int)threadIdx.x / 32 * P::DIMS;

    if (head >= b->j.n)
        return;
#pragma unroll
    for (int n = 0; n < P::TILES; n += N)
#pragma unroll
        for (int part = 0; part < out::PARTS; part++) {
            float x[out::RUN];

            out::get(x, o + n, part, 0);
            attn_finish(a, b, head, d + n * 8 + out::dim(part), x);
        }
}

template <class P>
__global__ void __launch_bounds__(P::THREADS, P::BLOCKS) attn_mma_kernel(attn_args a, int range0)
{
    DYN_SHARED(unsigned char, shared); // rings, scores (heads, MMA_SCORES)
    SHARED(attn_block<P::Q>, block, [1]);
    SHARED(mma_sums, sums, [1]);
    attn_block<P::Q> *b = block;
    float *scores = reinterpret_cast<float *>(shared + P::WARPS * P::RING);
    float o[P::TILES][4] = {};

    if (!attn_begin<P>(a, b, range0)) {
        previous_done();
        return; // the whole block
    }
    attn_open<typename P::T, P>(a, b, P::DIM);
    __syncthreads();
    previous_done();
    mma_queries<P> queries(a, b->j);
    mma_ring<P> ring(shared, b);

    queries.round(a, b->j);
    mma_scores<P>(scores, &ring, queries, a, b->j);
    __syncthreads();
    mma_softmax<P>(scores, b, sums);
    if (!a.parts) {
        __syncthreads();
        attn_sums<P>(a, b);
    }
    __syncthreads();
    mma_values<P>(o, &ring, scores, b);
    mma_finish<P>(o, a, b);
    if (!attn_divides(a, b->j))
        return; // the whole block
    __syncthreads();
    attn_divide<P>(a, b, P::DIM);
}

template <class P> size_t mma_bytes(int group)
{
    int heads = group < MMA_HEADS ? group : (int)MMA_HEADS;

    return (size_t)P::WARPS * P::RING + (size_t)heads * MMA_SCORES * 4;
}

template <class P> void mma_launch(const attn_args &a, cudaStream_t s)
{
    int group = a.n_heads / a.n_kv_heads, splits = (group + P::Q - 1) / P::Q;
    size_t bytes = mma_bytes<P>(group);
    dim3 grid((unsigned)(a.n_kv_heads * splits), (unsigned)attn_tokens(a),
              (unsigned)(a.parts ? a.st.n_ranges : 1)); // ranges last, as in attn_range.cu

    for (int i = 0; i < (a.parts ? 1 : a.st.n_ranges); i++)
        LAUNCH_EARLY(attn_mma_kernel<P>, grid, (unsigned)P::THREADS, bytes, s, a, i);
}

/* Blocks up to which so many warps share one: eight fill a multiprocessor. */
enum { MMA_EIGHT = 132, MMA_FOUR = 2 * MMA_EIGHT };

template <class T, int DIM> void mma_of(const attn_args &a, cudaStream_t s)
{
    constexpr int MOST = DIM * T::BYTES / 32; // warps that have 32 bytes of a row each
    typedef mma_plan<T, DIM, MOST >= 8 ? 8 : 2> wide;
    int group = a.n_heads / a.n_kv_heads;
    int64_t ranges = (int64_t)attn_tokens(a) * (a.parts ? a.st.n_ranges : 1);
    /* of a power of two that is at least what is needed, a quarter is not there, as a mean */
    int64_t some = a.parts && a.st.n_ranges > 2 ? ranges - ranges / 4 : ranges;
    int64_t blocks = some * a.n_kv_heads * ((group + MMA_HEADS - 1) / MMA_HEADS);

    if (MOST >= 8 && blocks <= MMA_EIGHT && mma_bytes<wide>(group) + 4096 <= (size_t)shared_most())
        mma_launch<wide>(a, s);
    else if (MOST >= 4 && blocks <= MMA_FOUR)
        mma_launch<mma_plan<T, DIM, MOST >= 4 ? 4 : 2>>(a, s);
    else
        mma_launch<mma_plan<T, DIM, 2>>(a, s);
}

} // namespace

bool attn_mma_fits(const struct cuda_attn *a, int type)
{
    return type != CUDA_KV_F32 && (a->head_dim == 64 || a->head_dim == 128);
}

void attn_mma(const struct attn_args *a, int type, cudaStream_t s)
{
#define MMA_OF(TYPE, T)            \
    if (type == (TYPE)) {          \
        if (a->head_dim == 64)     \
            mma_of<T, 64>(*a, s);  \
        else                       \
            mma_of<T, 128>(*a, s); \
    }
    KV_SMALL(MMA_OF)
#undef MMA_OF
}
