/* glu.cu - nonlinearities: the feed-forward's (Shazeer 2020), and soft caps (Gemma Team 2024).
 *
 * A thread computes four values where rows allow 16-byte accesses, with the functions of num.h,
 * which are those of the CPU. In front of a product it may leave them as activations as well. */
#include "pairs.cuh"

namespace
{

enum { GLU_THREADS = 128 };

template <int ACT>
__global__ void __launch_bounds__(GLU_THREADS)
    glu_any_kernel(float *y, const float *gu, int dim, int gated)
{
    int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    size_t row = blockIdx.y;
    const float *gate = gu + row * (size_t)dim * (gated ? 2 : 1);

    previous_done();
    if (i < dim)
        y[row * (size_t)dim + i] =
            gated ? glu_act(ACT, gate[i]) * gate[dim + i] : glu_act(ACT, gate[i]);
}

template <int ACT> __device__ inline float4 glu_four(const float *gate, int i, int dim, int gated)
{
    float4 g = *reinterpret_cast<const float4 *>(gate + i);
    float4 u = gated ? *reinterpret_cast<const float4 *>(gate + dim + i)
                     : make_float4(1.0f, 1.0f, 1.0f, 1.0f);

    g = {glu_act(ACT, g.x), glu_act(ACT, g.y), glu_act(ACT, g.z), glu_act(ACT, g.w)};
    if (gated)
        g = {g.x * u.x, g.y * u.y, g.z * u.z, g.w * u.w};
    return g;
}

/* Four values of a row a thread. */
template <int ACT>
__global__ void __launch_bounds__(GLU_THREADS)
    glu_vec_kernel(float *y, const float *gu, int dim, int gated, struct cuda_act a)
{
    SHARED(float, tops, [GLU_THREADS / 32]);
    int i = (int)(blockIdx.x * blockDim.x + threadIdx.x) * 4;
    size_t row = blockIdx.y;
    const float *gate = gu + row * (size_t)dim * (gated ? 2 : 1);
    float4 g = {0.0f, 0.0f, 0.0f, 0.0f};

    previous_done();
    if (i < dim) {
        g = glu_four<ACT>(gate, i, dim, gated);
        *reinterpret_cast<float4 *>(y + row * (size_t)dim + i) = g;
    }
    act_four(a, (int)row, i, g, tops);
}

/* Of many tokens, whose values are left as BF16: eight tokens and 256 values a block,
 * eight values of one a thread, so that a warp reads and writes whole lines (act.cu). */
template <int ACT>
__global__ void __launch_bounds__(256)
    glu_many_kernel(float *y, const float *gu, int dim, int gated, struct cuda_act a)
{
    int token = (int)(blockIdx.y * 8 + threadIdx.x % 8);
    int i = (int)(blockIdx.x * 32 + threadIdx.x / 8) * 8;
    const float *gate = gu + (size_t)token * (size_t)dim * (gated ? 2 : 1);
    float4 *to = reinterpret_cast<float4 *>(y + (size_t)token * (size_t)dim + i);

    previous_done();
    if (token >= a.n || i >= dim)
        return;
    float4 u = glu_four<ACT>(gate, i, dim, gated), v = glu_four<ACT>(gate, i + 4, dim, gated);
    to[0] = u;
    to[1] = v;
    act_eight(a, token, i, u, v);
}

template <int ACT>
void glu_launch(float *y, const float *gu, int n, int dim, int gated, const struct cuda_act *a,
                cudaStream_t s)
{
    int per = dim % 4 ? GLU_THREADS : 4 * GLU_THREADS;
    dim3 grid((unsigned)((dim + per - 1) / per), (unsigned)n);

    if (dim % 4)
        LAUNCH_EARLY(glu_any_kernel<ACT>, grid, (unsigned)GLU_THREADS, 0, s, y, gu, dim, gated);
    else if (a && a->block == 1 && n >= ACT_MANY)
        LAUNCH_EARLY(glu_many_kernel<ACT>, dim3((unsigned)(dim + 255) / 256, (unsigned)(n + 7) / 8),
                     256u, 0, s, y, gu, dim, gated, *a);
    else
        LAUNCH_EARLY(glu_vec_kernel<ACT>, grid, (unsigned)GLU_THREADS, 0, s, y, gu, dim, gated,
                     a ? *a : cuda_act());
}

__global__ void __launch_bounds__(GLU_THREADS) softcap_kernel(float *x, float cap, size_t n)
{
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;

    previous_done();
    if (i < n)
        x[i] = num_tanh(x[i] * (1.0f / cap)) * cap;
}

} // namespace

void cuda_glu(float *y, const float *gu, int n, int dim, int gated, int act,
              const struct cuda_act *a, cudaStream_t s)
{
    if (n < 1)
        return;
    if (act == CUDA_SILU)
        glu_launch<CUDA_SILU>(y, gu, n, dim, gated, a, s);
    else if (act == CUDA_GELU)
        glu_launch<CUDA_GELU>(y, gu, n, dim, gated, a, s);
    else if (act == CUDA_RELU2)
        glu_launch<CUDA_RELU2>(y, gu, n, dim, gated, a, s);
    else
        glu_launch<CUDA_GELU_ERF>(y, gu, n, dim, gated, a, s);
}

void cuda_softcap(float *x, float cap, size_t n, cudaStream_t s)
{
    unsigned blocks = (unsigned)((n + GLU_THREADS - 1) / GLU_THREADS);

    if (blocks)
        LAUNCH_EARLY(softcap_kernel, blocks, (unsigned)GLU_THREADS, 0, s, x, cap, n);
}
