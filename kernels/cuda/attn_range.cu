/* attn_range.cu - attention over the pages: of single tokens, as on the CPU.
 *
 * A block takes a token, up to Q of the heads that share a KV head, and a range of 512 keys:
 *
 *   scores   a thread has KEYS neighbouring keys and all queries; it reads its keys' values of a
 *            dimension at once, several dimensions ahead, in registers
 *   softmax  in shared memory: the pages' maxima, exponentials, the sixteen sums
 *   values   a thread has DIMS neighbouring dimensions and QV queries, and reads values of a key
 *            at once, several keys ahead
 *
 * With one warp a block, twelve of them on a multiprocessor have 48 KiB of reads in flight and
 * read no byte twice. Where tokens and ranges are fewer, so many blocks are not there, and more
 * warps share one. Where they are few, what counts is how soon a block is done: then eight warps
 * take four queries, or one, with a key or two and one dimension a thread, and ask for what they
 * will read before the kernel in front of this one has ended.
 *
 * Measured on an H200 (2026-11-26, memory read at 4479 GB/s), 32 heads of 128 on 8 KV heads, with
 * the joining of ranges: 32 sequences of 8192 keys 552 us from a cache of F32, 287 of F16, 290 of
 * BF16, 184 of FP8 (86.9, 83.5, 82.7 and 65.2 % of the rate); of F16, one sequence of 128 keys 5.2,
 * of 8192 23.5, 64 of 1024 98.7. Leaving y as activations was not there then. */
#include "attn_range.cuh"

namespace
{

/* HEAD_DIM 0: any multiple of DIMS. */
template <int WARPS_, int Q_, int KEYS_, int QV_, int DIMS_, int HEAD_DIM_> struct attn_plan {
    enum {
        WARPS = WARPS_,
        Q = Q_,
        KEYS = KEYS_,
        QV = QV_,
        DIMS = DIMS_,
        HEAD_DIM = HEAD_DIM_,
        THREADS = 32 * WARPS,
        BLOCKS = WARPS == 8 ? 1 : 12 / WARPS, // on a multiprocessor, so registers: 255, 168
        SCORES = CUDA_RANGE + 16,             // row of scores: two rows begin sixteen banks apart
        AHEAD = WARPS == 8 ? 64 : 32          // registers of values that were read ahead
    };
};

/* Loads of so many bytes that fit into so many registers. */
template <int REGS, int BYTES, int MOST> struct attn_ahead {
    enum { FIT = REGS / (BYTES < 4 ? 1 : BYTES / 4), N = FIT < 4 ? 4 : FIT > MOST ? MOST : FIT };
};

/* Scores of all queries with KEYS keys of a page, each one chain over the dimensions. */
template <class T, int Q, int KEYS>
__device__ inline void attn_scores(float (&s)[Q][KEYS], const float *q, int stride,
                                   const unsigned char *key, int dim)
{
    constexpr int BYTES = KEYS * T::BYTES, AHEAD = attn_ahead < 32, BYTES,
                  Q * KEYS == 1 ? 32 : 16 > ::N;
    constexpr size_t STEP = (size_t)CUDA_PAGE * T::BYTES;
    int whole = dim - dim % AHEAD, d = 0;
    kv_raw<BYTES> k[AHEAD];
    float x[Q][4], y[KEYS];

#pragma unroll
    for (int i = 0; i < Q * KEYS; i++)
        s[i / KEYS][i % KEYS] = 0.0f;
    if (whole) {
#pragma unroll
        for (int u = 0; u < AHEAD; u++)
            k[u] = kv_load<BYTES>(key + (size_t)u * STEP);
    }
#pragma unroll 1
    for (; d < whole; d += AHEAD) {
        bool more = d + AHEAD < whole;

        key += AHEAD * STEP;
#pragma unroll
        for (int u = 0; u < AHEAD; u++) {
            if (u % 4 == 0) {
#pragma unroll
                for (int i = 0; i < Q; i++)
                    *reinterpret_cast<float4 *>(x[i]) =
                        *reinterpret_cast<const float4 *>(q + i * stride + d + u);
            }
            T::template get<KEYS>(y, k[u]);
            if (more)
                k[u] = kv_load<BYTES>(key + (size_t)u * STEP);
#pragma unroll
            for (int i = 0; i < Q * KEYS; i++)
                s[i / KEYS][i % KEYS] =
                    fmaf(x[i / KEYS][u % 4], y[i % KEYS], s[i / KEYS][i % KEYS]);
        }
    }
    for (; d < dim; d++, key += STEP) {
        T::template get<KEYS>(y, kv_load<BYTES>(key));
#pragma unroll
        for (int i = 0; i < Q * KEYS; i++)
            s[i / KEYS][i % KEYS] =
                fmaf(q[i / KEYS * stride + d], y[i % KEYS], s[i / KEYS][i % KEYS]);
    }
}

/* Scores of the range into p (Q, SCORES): -infinity where a key is not seen. */
template <class T, class P>
__device__ inline void attn_score_range(float *p, const float *q, int stride,
                                        const attn_block<P::Q> *b, int dim)
{
    for (int at = (int)threadIdx.x * P::KEYS; at < CUDA_RANGE; at += P::THREADS * P::KEYS) {
        float s[P::Q][P::KEYS];
        bool seen = at + P::KEYS > b->j.lo && at < b->j.hi;

        if (seen)
            attn_scores<T, P::Q, P::KEYS>(
                s, q, stride, b->page[at / CUDA_PAGE] + (size_t)(at % CUDA_PAGE) * T::BYTES, dim);
#pragma unroll
        for (int i = 0; i < P::Q; i++) {
#pragma unroll
            for (int k = 0; k < P::KEYS; k++)
                s[i][k] = seen && at + k >= b->j.lo && at + k < b->j.hi ? s[i][k] : -INFINITY;
#pragma unroll
            for (int k = 0; k < P::KEYS; k++)
                if (P::KEYS % 4)
                    p[i * P::SCORES + at + k] = s[i][k];
                else if (k % 4 == 0)
                    *reinterpret_cast<float4 *>(p + i * P::SCORES + at + k) =
                        make_float4(s[i][k], s[i][k + 1], s[i][k + 2], s[i][k + 3]);
        }
    }
}

/* The maxima of a query's pages, four lanes a page, and what each raise scales by. */
__device__ inline void attn_maxima(float *m, float *by, const float *p)
{
    int lane = (int)threadIdx.x % 32;
    float top = -INFINITY, before;

#pragma unroll
    for (int i = 0; i < 16; i += 4) {
        float4 s = *reinterpret_cast<const float4 *>(p + 16 * lane + i);

        top = top > s.x ? top : s.x;
        top = top > s.y ? top : s.y;
        top = top > s.z ? top : s.z;
        top = top > s.w ? top : s.w;
    }
    for (int i = 1; i < 32; i *= 2) {
        float other = i < 4 ? __shfl_xor_sync(~0u, top, i) : __shfl_up_sync(~0u, top, i);

        if (i < 4 || lane >= i)
            top = other > top ? other : top;
    }
    before = __shfl_up_sync(~0u, top, 4);
    before = lane < 4 ? -INFINITY : before;
    if (lane % 4 == 0) {
        m[lane / 4] = top;
        by[lane / 4] = top > before ? num_exp(before - top) : 1.0f;
    }
}

/* The sum of a query's exponentials: lane i % 16 has keys i % 16, + 16 ... in order. */
__device__ inline float attn_total(const float *by, const float *e, int page0, int page1)
{
    int lane = (int)threadIdx.x % 16;
    float l = 0.0f;

    for (int k = page0; k <= page1; k++) {
        const float *x = e + k * CUDA_PAGE + lane;

        l = l * by[k] + x[0];
        l = l + x[16];
        l = l + x[32];
        l = l + x[48];
    }
    return norm_tree(l);
}

/* Scores become exponentials; b has maxima, scales and sums. */
template <class P> __device__ inline void attn_softmax(float *p, attn_block<P::Q> *b)
{
    int warp = (int)threadIdx.x / 32;
    int page0 = b->j.lo / CUDA_PAGE, page1 = (b->j.hi - 1) / CUDA_PAGE;
    int vecs = (page1 - page0 + 1) * (CUDA_PAGE / 4);

    for (int i = warp; i < P::Q; i += P::WARPS)
        attn_maxima(b->m[i], b->by[i], p + i * P::SCORES);
    __syncthreads();
#pragma unroll
    for (int i = 0; i < P::Q; i++)
        for (int k = (int)threadIdx.x; k < vecs; k += P::THREADS) {
            float4 *x = reinterpret_cast<float4 *>(p + i * P::SCORES + page0 * CUDA_PAGE) + k,
                   s = *x;
            float m = b->m[i][page0 + k / (CUDA_PAGE / 4)];

            *x =
                make_float4(num_exp(s.x - m), num_exp(s.y - m), num_exp(s.z - m), num_exp(s.w - m));
        }
    __syncthreads();
    for (int i = 2 * warp; i < P::Q; i += 2 * P::WARPS) {
        int mine = i + (int)threadIdx.x % 32 / 16, at = mine < P::Q ? mine : i;
        float l = attn_total(b->by[at], p + at * P::SCORES, page0, page1);

        if (mine < P::Q && threadIdx.x % 16 == 0)
            b->l[mine] = l;
    }
}

/* o += p v over AHEAD keys, whose values v holds; those of the next keys are read meanwhile.
 * EDGE: only keys [from, to) of them count. */
template <class T, class P, int AHEAD, bool EDGE>
__device__ inline void attn_value_keys(float (&o)[P::QV][P::DIMS],
                                       kv_raw<P::DIMS * T::BYTES> (&v)[AHEAD], const float *p,
                                       const unsigned char *next, size_t row, int from, int to)
{
    constexpr int BYTES = P::DIMS * T::BYTES;
    float x[P::QV][4], y[P::DIMS];

#pragma unroll
    for (int u = 0; u < AHEAD; u++) {
        if (u % 4 == 0) {
#pragma unroll
            for (int i = 0; i < P::QV; i++)
                *reinterpret_cast<float4 *>(x[i]) =
                    *reinterpret_cast<const float4 *>(p + i * P::SCORES + u);
        }
        T::template get<P::DIMS>(y, v[u]);
        if (next)
            v[u] = kv_load<BYTES>(next + (size_t)u * row);
        if (EDGE && (u < from || u >= to))
            continue;
#pragma unroll
        for (int i = 0; i < P::QV * P::DIMS; i++)
            o[i / P::DIMS][i % P::DIMS] =
                fmaf(x[i / P::DIMS][u % 4], y[i % P::DIMS], o[i / P::DIMS][i % P::DIMS]);
    }
}

/* o of QV queries from q0 on, and DIMS dimensions from d on. */
template <class T, class P>
__device__ inline void attn_values(float (&o)[P::QV][P::DIMS], const float *p,
                                   const attn_block<P::Q> *b, int q0, int d, int dim)
{
    constexpr int BYTES = P::DIMS * T::BYTES, AHEAD = attn_ahead<P::AHEAD, BYTES, CUDA_PAGE>::N;
    constexpr int STEPS = CUDA_PAGE / AHEAD;
    size_t row = (size_t)dim * T::BYTES,
           at = (size_t)dim * CUDA_PAGE * T::BYTES + (size_t)d * T::BYTES;
    int lo = b->j.lo, hi = b->j.hi, end = (hi - 1) / AHEAD;
    kv_raw<BYTES> v[AHEAD];

#pragma unroll
    for (int i = 0; i < P::QV * P::DIMS; i++)
        o[i / P::DIMS][i % P::DIMS] = 0.0f;
#pragma unroll 1
    for (int c = lo / AHEAD; c <= end; c++) {
        const unsigned char *here = b->page[c / STEPS] + at + (size_t)(c % STEPS * AHEAD) * row;
        const unsigned char *next = nullptr;
        int from = lo - c * AHEAD, to = hi - c * AHEAD;

        if (c < end)
            next = b->page[(c + 1) / STEPS] + at + (size_t)((c + 1) % STEPS * AHEAD) * row;
        if (c == lo / AHEAD) {
#pragma unroll
            for (int u = 0; u < AHEAD; u++)
                v[u] = kv_load<BYTES>(here + (size_t)u * row);
        }
        if (c % STEPS == 0) {
#pragma unroll
            for (int i = 0; i < P::QV * P::DIMS; i++)
                o[i / P::DIMS][i % P::DIMS] *= b->by[q0 + i / P::DIMS][c / STEPS];
        }
        if (from <= 0 && to >= AHEAD)
            attn_value_keys<T, P, AHEAD, false>(o, v, p + q0 * P::SCORES + c * AHEAD, next, row, 0,
                                                0);
        else
            attn_value_keys<T, P, AHEAD, true>(o, v, p + q0 * P::SCORES + c * AHEAD, next, row,
                                               from, to);
    }
}

/* Values of the range, and what becomes of them. */
template <class T, class P>
__device__ inline void attn_value_range(const attn_args &a, const float *p,
                                        const attn_block<P::Q> *b, int dim)
{
    int slots = dim / P::DIMS;

    for (int i = (int)threadIdx.x; i < slots * (P::Q / P::QV); i += P::THREADS) {
        int q0 = i / slots * P::QV, d = i % slots * P::DIMS;
        float o[P::QV][P::DIMS];

        if (q0 >= b->j.n)
            continue;
        attn_values<T, P>(o, p, b, q0, d, dim);
#pragma unroll
        for (int k = 0; k < P::QV; k++)
            if (q0 + k < b->j.n)
                attn_finish(a, b, q0 + k, d, o[k]);
    }
}

/* The queries, scaled; zeros where the group has none. */
template <class P>
__device__ inline void attn_queries(const attn_args &a, float *q, const attn_block<P::Q> *b,
                                    int stride, int dim)
{
    size_t row = (size_t)b->j.t * (size_t)(a.n_heads + 2 * a.n_kv_heads) + (size_t)b->j.head;

    for (int i = (int)threadIdx.x; i < P::Q * stride; i += P::THREADS) {
        int head = i / stride, d = i % stride;
        size_t at = (row + (size_t)head) * (size_t)dim + (size_t)d;

        q[i] = head < b->j.n && d < dim ? a.qkv[at] * a.scale : 0.0f;
    }
}

template <class T, class P>
__global__ void __launch_bounds__(P::THREADS, P::BLOCKS) attn_range_kernel(attn_args a, int range0)
{
    DYN_SHARED(float, q); // (Q, stride), then scores (Q, SCORES)
    SHARED(attn_block<P::Q>, block, [1]);
    attn_block<P::Q> *b = block;
    int dim = P::HEAD_DIM > 0 ? (int)P::HEAD_DIM : a.head_dim, stride = (dim + 3) / 4 * 4;
    float *p = q + P::Q * stride;

    if (!attn_begin<P>(a, b, range0)) {
        previous_done();
        return; // the whole block
    }
    attn_open<T, P>(a, b, dim);
    if (P::WARPS == 8) {
        __syncthreads();
        attn_ahead_of<T, P>(b, dim);
    }
    previous_done();
    attn_queries<P>(a, q, b, stride, dim);
    __syncthreads();
    attn_score_range<T, P>(p, q, stride, b, dim);
    __syncthreads();
    if (a.softcap > 0.0f) {
        for (int i = b->j.lo + (int)threadIdx.x; i < b->j.hi; i += P::THREADS)
            for (int k = 0; k < P::Q; k++)
                p[k * P::SCORES + i] = attn_cap(a, p[k * P::SCORES + i]);
        __syncthreads();
    }
    attn_softmax<P>(p, b);
    __syncthreads();
    if (!a.parts) {
        attn_sums<P>(a, b);
        __syncthreads();
    }
    attn_value_range<T, P>(a, p, b, dim);
    if (!attn_divides(a, b->j))
        return; // the whole block
    __syncthreads();
    attn_divide<P>(a, b, dim);
}

template <class T, class P> void attn_range_launch(const attn_args &a, cudaStream_t s)
{
    int group = a.n_heads / a.n_kv_heads, splits = (group + P::Q - 1) / P::Q;
    int stride = (a.head_dim + 3) / 4 * 4;
    size_t bytes = (size_t)P::Q * (size_t)(stride + P::SCORES) * sizeof(float);
    /* ranges last: the last of a sequence are short or not there, and blocks go to multiprocessors
     * in turn */
    dim3 grid((unsigned)(a.n_kv_heads * splits), (unsigned)attn_tokens(a),
              (unsigned)(a.parts ? a.st.n_ranges : 1));

    for (int i = 0; i < (a.parts ? 1 : a.st.n_ranges); i++)
        LAUNCH_EARLY((attn_range_kernel<T, P>), grid, (unsigned)P::THREADS, bytes, s, a, i);
}

/* Blocks that have something to do, up to which as many warps share one. Of some on an H200, 1045
 * keys of f16: 8 sequences 24.6 us by four warps, 33.9 by eight, 48 by one; 32 sequences 64, 87,
 * and by two 47; but 64 sequences of 1024 keys 99 by two, 84 by one. */
enum { ATTN_ONE = 264, ATTN_EIGHT = 128, ATTN_FOUR = 512, ATTN_TWO = 896 };

template <class T, int DIM, int DIMS> void attn_range_of(const attn_args &a, cudaStream_t s)
{
    constexpr int KEYS = T::BYTES == 4 ? 4 : 8;
    int group = a.n_heads / a.n_kv_heads;
    int64_t ranges = (int64_t)attn_tokens(a) * (a.parts ? a.st.n_ranges : 1);
    /* of a power of two that is at least what is needed, a quarter is not there, as a mean */
    int64_t some = a.parts && a.st.n_ranges > 2 ? ranges - ranges / 4 : ranges;
    int64_t blocks = some * a.n_kv_heads * ((group + 3) / 4);

    if (ranges * a.n_heads <= ATTN_ONE)
        attn_range_launch<T, attn_plan<8, 1, 1, 1, 1, DIM>>(a, s);
    else if (group > 1 && blocks <= ATTN_EIGHT)
        attn_range_launch<T, attn_plan<8, 4, 2, 4, 1, DIM>>(a, s);
    else if (group > 1 && blocks <= ATTN_FOUR)
        attn_range_launch<T, attn_plan<4, 4, 4, DIM / 32, 1, DIM>>(a, s);
    else if (group > 1 && blocks <= ATTN_TWO)
        attn_range_launch<T, attn_plan<2, 4, KEYS, 4, DIMS / 2, DIM>>(a, s);
    else if (group == 1)
        attn_range_launch<T, attn_plan<1, 1, KEYS, 1, DIMS, DIM>>(a, s);
    else if (group <= 4)
        attn_range_launch<T, attn_plan<1, 4, KEYS, 4, DIMS, DIM>>(a, s);
    else
        attn_range_launch<T, attn_plan<2, 8, 4, 4, DIMS, DIM>>(a, s);
}

template <class T> void range_of(const attn_args &a, cudaStream_t s)
{
    if (a.head_dim == 128)
        attn_range_of<T, 128, 4>(a, s);
    else if (a.head_dim == 64)
        attn_range_of<T, 64, 2>(a, s);
    else if (a.head_dim % 4 == 0)
        attn_range_launch<T, attn_plan<2, 4, 4, 4, 4, 0>>(a, s);
    else
        attn_range_launch<T, attn_plan<4, 1, 4, 1, 1, 0>>(a, s);
}

} // namespace

void attn_range(const attn_args *a, int type, cudaStream_t s)
{
#define RANGE_OF(TYPE, T) \
    if (type == (TYPE))   \
        range_of<T>(*a, s);
    KV_TYPES(RANGE_OF)
#undef RANGE_OF
}
