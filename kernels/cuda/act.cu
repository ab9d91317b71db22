// act.cu - activations in the order of fragments: int8 with scales and sums, or half floats.
//
// Quantization is kernels/cpu/act_isa.h's, value by value: d = max|x| / 127 of a block,
// q = x * (127 / max|x|) to the nearest, ties to even; a block whose largest value is below 1e-30
// is all zeros.
//
// F16 holds no value above 65504: a token's values are divided by the power of two that brings its
// largest below 1, and its outputs are multiplied by it again. Both are exact.
#include "act.cuh"

namespace
{

constexpr int WARPS = 4;

__device__ inline float4 load4(const float *x, int k, int cols)
{
    return k < cols ? *reinterpret_cast<const float4 *>(x + k) : make_float4(0, 0, 0, 0);
}

// A warp for 128 values in blocks of 32, which are eight lanes each.
__global__ void __launch_bounds__(32 * WARPS) quantize_32(struct cuda_act a, const float *x)
{
    int lane = threadIdx.x % 32, token = blockIdx.y, sum;
    int k = (blockIdx.x * WARPS + threadIdx.x / 32) * 128 + lane * 4;
    previous_done();
    float4 v = load4(x + (size_t)token * a.cols, k, a.cols);
    float max = top4(v);

    for (int o = 1; o < 8; o *= 2)
        max = above(max, __shfl_xor_sync(~0u, max, o));
    max = max >= 1e-30f ? max : 0.0f;
    uint32_t q = four(v, max > 0.0f ? 127.0f / max : 0.0f, sum);
    sums(a, k, token, sum);
    if (k < (a.cols + 63) / 64 * 64) // what a tile has beyond the row is 0
        *reinterpret_cast<uint32_t *>(const_cast<int8_t *>(a.q) + q_at(k, a.ld, token)) = q;
    if (k < a.cols && lane % 8 == 0)
        const_cast<float *>(a.d)[(size_t)(k / 32) * a.ld + token] =
            max > 0.0f ? max / 127.0f : 0.0f;
}

// A warp for a block of 256.
__global__ void __launch_bounds__(32 * WARPS) quantize_256(struct cuda_act a, const float *x)
{
    int lane = threadIdx.x % 32, token = blockIdx.y, sum;
    int k = (blockIdx.x * WARPS + threadIdx.x / 32) * 256 + lane * 4;
    previous_done();
    float4 v0 = load4(x + (size_t)token * a.cols, k, a.cols);
    float4 v1 = load4(x + (size_t)token * a.cols, k + 128, a.cols);
    float max = above(top4(v0), top4(v1)), scale;

    for (int o = 1; o < 32; o *= 2)
        max = above(max, __shfl_xor_sync(~0u, max, o));
    max = max >= 1e-30f ? max : 0.0f;
    scale = max > 0.0f ? 127.0f / max : 0.0f;
    for (int i = 0; i < 2; i++, k += 128) {
        uint32_t q = four(i ? v1 : v0, scale, sum);
        sums(a, k, token, sum);
        if (k < a.cols)
            *reinterpret_cast<uint32_t *>(const_cast<int8_t *>(a.q) + q_at(k, a.ld, token)) = q;
    }
    k -= 256;
    if (k < a.cols && lane == 0)
        const_cast<float *>(a.d)[(size_t)(k / 256) * a.ld + token] =
            max > 0.0f ? max / 127.0f : 0.0f;
}

// A thread for two values.
__global__ void __launch_bounds__(256) brain(struct cuda_act a, const float *x)
{
    const int k = 2 * (int)(blockIdx.x * 256 + threadIdx.x), token = blockIdx.y;

    previous_done();
    x += (size_t)token * a.cols;
    if (k == 0)
        const_cast<float *>(a.scale)[token] = 1.0f;
    if (k >= (a.cols + 63) / 64 * 64)
        return;
    float u = k < a.cols ? x[k] : 0.0f, v = k + 1 < a.cols ? x[k + 1] : 0.0f;
    *h_at(a, k, token) = half_bits(u, true) | (uint32_t)half_bits(v, true) << 16;
}

// Of many tokens, rows of a multiple of eight values: a block for eight tokens and 256 values, a
// thread for eight values of one, so that a warp reads and writes whole lines.
__global__ void __launch_bounds__(256) brain_many(struct cuda_act a, const float *x)
{
    const int token = (int)(blockIdx.y * 8 + threadIdx.x % 8),
              k = (int)(blockIdx.x * 32 + threadIdx.x / 8) * 8;

    previous_done();
    if (token >= a.n || k >= (a.cols + 63) / 64 * 64)
        return;
    x += (size_t)token * a.cols;
    act_eight(a, token, k, load4(x, k, a.cols), load4(x, k + 4, a.cols));
}

// F16: a block for a token.
__global__ void __launch_bounds__(256) halve(struct cuda_act a, const float *x)
{
    SHARED(float, part, [8]);
    int token = blockIdx.x, pad = (a.cols + 63) / 64 * 64;
    float max = 0.0f, scale = 1.0f, inverse = 1.0f;

    previous_done();
    x += (size_t)token * a.cols;
    for (int k = threadIdx.x; k < a.cols; k += 256)
        max = above(fabsf(x[k]), max);
    for (int o = 16; o; o /= 2)
        max = above(max, __shfl_xor_sync(~0u, max, o));
    if (threadIdx.x % 32 == 0)
        part[threadIdx.x / 32] = max;
    __syncthreads();
    for (int i = 0; i < 8; i++)
        max = above(part[i], max);
    // 2^e above max: the exponent of max, plus one; subnormals stay as they are.
    uint32_t e = num_bits(max) >> 23;
    if (e > 112 && e < 252) {
        scale = num_float((e + 1) << 23);
        inverse = num_float((253 - e) << 23);
    }
    if (threadIdx.x == 0)
        const_cast<float *>(a.scale)[token] = scale;
    for (int k = 2 * (int)threadIdx.x; k < pad; k += 512) {
        float u = k < a.cols ? x[k] * inverse : 0.0f;
        float v = k + 1 < a.cols ? x[k + 1] * inverse : 0.0f;

        *h_at(a, k, token) = half_bits(u, false) | (uint32_t)half_bits(v, false) << 16;
    }
}

} // namespace

size_t cuda_act_bytes(int n, int cols, int block)
{
    return act_sizes(act_ld(n), cols, block).all;
}

struct cuda_act cuda_act_place(void *p, int n, int cols, int block)
{
    return act_place(p, n, act_ld(n), cols, block);
}

void cuda_act_quantize(const struct cuda_act *a, const float *x, cudaStream_t s)
{
    int per = WARPS * (a->block == 256 ? 256 : 128);
    dim3 grid((unsigned)((a->cols + per - 1) / per), (unsigned)a->n);

    if (a->block == 256)
        LAUNCH_EARLY(quantize_256, grid, 32 * WARPS, 0, s, *a, x);
    else
        LAUNCH_EARLY(quantize_32, grid, 32 * WARPS, 0, s, *a, x);
}

void cuda_act_half(const struct cuda_act *a, const float *x, int half, cudaStream_t s)
{
    if (half == 30 && a->n >= ACT_MANY && a->cols % 8 == 0)
        LAUNCH_EARLY(brain_many, dim3((unsigned)(a->cols + 255) / 256, (unsigned)(a->n + 7) / 8),
                     256, 0, s, *a, x);
    else if (half == 30)
        LAUNCH_EARLY(brain, dim3((unsigned)(a->cols + 511) / 512, (unsigned)a->n), 256, 0, s, *a,
                     x);
    else
        LAUNCH_EARLY(halve, (unsigned)a->n, 256, 0, s, *a, x);
}
