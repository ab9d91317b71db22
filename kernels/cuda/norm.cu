/* norm.cu - RMSNorm and LayerNorm, a block a row, or two where they are left as BF16.
 *
 * Zhang & Sennrich 2019, eq. 4; Ba et al. 2016, eq. 3. The sums are sixteen chains of dim / 16
 * multiply-adds, as on the CPU: one warp walks them over the row in shared memory while the
 * other threads, which loaded it, wait with its weights in registers. A norm in front
 * of a product may leave its values as activations as well.
 *
 * Measured on an H200 (2026-11-27), rows of 4096: one 2.8 us, 32 2.9, 256 4.0, 2048 21, which are
 * left as BF16 as well in 23. Then values of chains were read shortly before they were added; what
 * is here now is not measured yet. */
#include "act.cuh"
#include "norm.cuh"

namespace
{

enum { NORM_VECS = 4, NORM_THREADS = 1024 }; // rows up to 4 * NORM_VECS * NORM_THREADS
enum { PAIR_THREADS = 512, PAIR_PAD = 4 };   // floats between rows: eight of each, 32 banks

/* A norm's value with its bias, and with what is in y. */
__device__ inline float norm_sum(const float *y, const float *b, int i, float v, bool add)
{
    if (b)
        v = v + b[i];
    return add ? y[i] + v : v;
}

/* Values i .. i + 3 of a row, of which x are the inputs and g the weights. */
__device__ inline float4 norm_four(const float *y, const struct cuda_norm &w, int i, float4 x,
                                   norm_sums s, float4 g, bool add)
{
    return {norm_sum(y, w.b, i, norm_value(x.x, s, g.x), add),
            norm_sum(y, w.b, i + 1, norm_value(x.y, s, g.y), add),
            norm_sum(y, w.b, i + 2, norm_value(x.z, s, g.z), add),
            norm_sum(y, w.b, i + 3, norm_value(x.w, s, g.w), add)};
}

__device__ inline norm_sums norm_block_sums(const float *row, const struct cuda_norm &w, int dim)
{
    SHARED(float, sums, [2]);

    __syncthreads();
    if (threadIdx.x < 32) {
        norm_sums s = norm_row_sums(row, dim, w.kind, w.eps);

        if (threadIdx.x == 0) {
            sums[0] = s.mean;
            sums[1] = s.r;
        }
    }
    __syncthreads();
    return {sums[0], sums[1]};
}

/* Rows of a multiple of four values, at most NORM_VECS vectors a thread. */
__global__ void __launch_bounds__(NORM_THREADS)
    norm_vec_kernel(float *y, const float *x, struct cuda_norm w, int dim, bool add,
                    struct cuda_act a)
{
    SHARED(float, tops, [NORM_THREADS / 32]);
    DYN_SHARED(float, row);
    float4 *row4 = reinterpret_cast<float4 *>(row);
    const float4 *x4 = reinterpret_cast<const float4 *>(x + (size_t)blockIdx.x * (size_t)dim);
    const float4 *w4 = reinterpret_cast<const float4 *>(w.w);
    float4 v[NORM_VECS], g[NORM_VECS];
    norm_sums s;

    y += (size_t)blockIdx.x * (size_t)dim;
#pragma unroll
    for (int k = 0; k < NORM_VECS; k++) {
        int i = (int)(threadIdx.x + (unsigned)k * blockDim.x);

        if (4 * i < dim)
            g[k] = w4[i];
    }
    previous_done();
#pragma unroll
    for (int k = 0; k < NORM_VECS; k++) {
        int i = (int)(threadIdx.x + (unsigned)k * blockDim.x);

        if (4 * i < dim)
            v[k] = x4[i];
    }
#pragma unroll
    for (int k = 0; k < NORM_VECS; k++) {
        int i = (int)(threadIdx.x + (unsigned)k * blockDim.x);

        if (4 * i < dim)
            row4[i] = v[k];
    }
    s = norm_block_sums(row, w, dim);
#pragma unroll
    for (int k = 0; k < NORM_VECS; k++) {
        int i = 4 * (int)(threadIdx.x + (unsigned)k * blockDim.x);
        float4 t = make_float4(0, 0, 0, 0);

        if (k * 4 * (int)blockDim.x >= dim)
            break;
        if (i < dim) {
            t = norm_four(y, w, i, row4[i / 4], s, g[k], add);
            *reinterpret_cast<float4 *>(y + i) = t;
        }
        act_four(a, (int)blockIdx.x, i, t, tops);
    }
}

/* Two rows of a multiple of eight values, left as BF16 as well: eight of one and of the other are a
 * sector (act_eight). */
__global__ void __launch_bounds__(PAIR_THREADS)
    norm_pair_kernel(float *y, const float *x, struct cuda_norm w, int n, int dim, bool add,
                     struct cuda_act a)
{
    SHARED(norm_sums, sums, [2]);
    DYN_SHARED(float, rows); // (2, dim + PAIR_PAD)
    const int row = 2 * (int)blockIdx.x, live = n - row < 2 ? n - row : 2, ld = dim + PAIR_PAD,
              own = (int)threadIdx.x % 2;
    const float4 *x4 = reinterpret_cast<const float4 *>(x + (size_t)row * (size_t)dim);

    previous_done();
    for (int i = (int)threadIdx.x; 4 * i < live * dim; i += NORM_VECS * PAIR_THREADS) {
        float4 v[NORM_VECS];

#pragma unroll
        for (int k = 0; k < NORM_VECS; k++)
            if (4 * (i + k * PAIR_THREADS) < live * dim)
                v[k] = x4[i + k * PAIR_THREADS];
#pragma unroll
        for (int k = 0; k < NORM_VECS; k++) {
            int at = 4 * (i + k * PAIR_THREADS);

            if (at < live * dim)
                *reinterpret_cast<float4 *>(rows + at + (at < dim ? 0 : PAIR_PAD)) = v[k];
        }
    }
    __syncthreads();
    if (threadIdx.x < 32) {
        int half = (int)threadIdx.x / 16;
        norm_sums s = norm_row_sums(rows + (half < live ? half * ld : 0), dim, w.kind, w.eps);

        if (threadIdx.x % 16 == 0)
            sums[half] = s;
    }
    __syncthreads();
    if (own >= live)
        return;
    y += (size_t)(row + own) * (size_t)dim;
    for (int i = (int)threadIdx.x / 2 * 8; i < dim; i += PAIR_THREADS / 2 * 8) {
        const float4 *v = reinterpret_cast<const float4 *>(rows + own * ld + i),
                     *g = reinterpret_cast<const float4 *>(w.w + i);
        const float4 t = norm_four(y, w, i, v[0], sums[own], g[0], add),
                     u = norm_four(y, w, i + 4, v[1], sums[own], g[1], add);

        *reinterpret_cast<float4 *>(y + i) = t;
        *reinterpret_cast<float4 *>(y + i + 4) = u;
        act_eight(a, row + own, i, t, u);
    }
}

/* Any row that shared memory holds. */
__global__ void __launch_bounds__(256)
    norm_any_kernel(float *y, const float *x, struct cuda_norm w, int dim, bool add)
{
    DYN_SHARED(float, row);
    norm_sums s;

    previous_done();
    x += (size_t)blockIdx.x * (size_t)dim;
    y += (size_t)blockIdx.x * (size_t)dim;
    for (int i = (int)threadIdx.x; i < dim; i += (int)blockDim.x)
        row[i] = x[i];
    s = norm_block_sums(row, w, dim);
    for (int i = (int)threadIdx.x; i < dim; i += (int)blockDim.x)
        y[i] = norm_sum(y, w.b, i, norm_value(row[i], s, w.w[i]), add);
}

} // namespace

void cuda_norm(float *y, const float *x, const struct cuda_norm *w, int n, int dim, bool add,
               const struct cuda_act *a, cudaStream_t s)
{
    size_t bytes = (size_t)dim * sizeof(float), pair = 2 * (bytes + PAIR_PAD * sizeof(float));
    int threads = (dim + 256 * NORM_VECS - 1) / (256 * NORM_VECS) * 64;

    if (n < 1)
        return;
    if (a && a->block == 1 && n >= ACT_MANY && dim % 8 == 0 && pair <= (size_t)shared_most())
        LAUNCH_EARLY(norm_pair_kernel, (unsigned)(n + 1) / 2, PAIR_THREADS, pair, s, y, x, *w, n,
                     dim, add, *a);
    else if (dim % 4 == 0 && threads <= NORM_THREADS)
        LAUNCH_EARLY(norm_vec_kernel, (unsigned)n, (unsigned)threads, bytes, s, y, x, *w, dim, add,
                     a ? *a : cuda_act());
    else
        LAUNCH_EARLY(norm_any_kernel, (unsigned)n, 256u, bytes, s, y, x, *w, dim, add);
}
