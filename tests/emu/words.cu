// words.cu - each PTX instruction of gpu.h alone, so that its place of every value can be compared
// with a plain product of matrices: of the host's twins, and of a device.
#include "gpu.h"
#include "words.h"

namespace
{

template <int WHAT> __global__ void mma_kernel(void *d, const uint32_t *a, const uint32_t *b)
{
    constexpr bool floats = WHAT == WORDS_F16 || WHAT == WORDS_BF16;
    constexpr bool k16 = WHAT == WORDS_S8_K16 || WHAT == WORDS_U8S8_K16;
    constexpr int words = k16 ? 4 : 8; // of a row of K values
    int g = threadIdx.x / 4, t = threadIdx.x % 4;
    uint32_t ra[4] = {}, rb[2] = {};
    float f[4];
    int s[4];

    for (int i = 0; i < words / 2; i++)
        ra[i] = a[(g + 8 * (i % 2)) * words + t + 4 * (i / 2)];
    for (int i = 0; i < words / 4; i++)
        rb[i] = b[g * words + t + 4 * i];
    for (int i = 0; i < 4; i++) {
        int at = (g + 8 * (i / 2)) * 8 + 2 * t + i % 2;

        f[i] = floats ? static_cast<float *>(d)[at] : 0.0f;
        s[i] = floats ? 0 : static_cast<int *>(d)[at];
    }
    if (WHAT == WORDS_F16)
        mma_f16(f, ra, rb);
    else if (WHAT == WORDS_BF16)
        mma_bf16(f, ra, rb);
    else if (WHAT == WORDS_S8)
        mma_s8(s, ra, rb);
    else if (WHAT == WORDS_U8S8)
        mma_u8s8(s, ra, rb);
    else if (WHAT == WORDS_S8_K16)
        mma_s8_k16(s, ra, rb[0]);
    else
        mma_u8s8_k16(s, ra, rb[0]);
    for (int i = 0; i < 4; i++) {
        int at = (g + 8 * (i / 2)) * 8 + 2 * t + i % 2;

        if (floats)
            static_cast<float *>(d)[at] = f[i];
        else
            static_cast<int *>(d)[at] = s[i];
    }
}

__global__ void tile_kernel(float *d, const uint16_t *a, const uint16_t *b)
{
    SHARED(__align__(16) uint16_t, as, [16 * 16]);
    SHARED(__align__(16) uint16_t, bs, [16 * 8]);
    int l = threadIdx.x, g = l / 4, t = l % 4;
    uint32_t ra[4], rb[4];
    float f[4];

    cp_async16(as + l * 8, a + l * 8);
    if (l < 16)
        cp_async16(bs + l * 8, b + l * 8);
    cp_async_commit();
    cp_async_wait<0>();
    __syncthreads();
    ldmatrix_x4(ra, as + l % 16 * 16 + l / 16 * 8);
    ldmatrix_x4_trans(rb, bs + l % 16 * 8);
    for (int i = 0; i < 4; i++)
        f[i] = d[(g + 8 * (i / 2)) * 8 + 2 * t + i % 2];
    mma_f16(f, ra, rb);
    for (int i = 0; i < 4; i++)
        d[(g + 8 * (i / 2)) * 8 + 2 * t + i % 2] = f[i];
}

__global__ void dp4a_kernel(int *y, const uint32_t *a, const uint32_t *b, const int *c, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    if (i >= n)
        return;
    y[i] = dp4a(a[i], b[i], c[0]);
    y[n + i] = dp4a_u8s8(a[i], b[i], c[0]);
}

__global__ void fma_kernel(float *y, const float *x, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    if (i >= n)
        return;
    y[i] = x[i] * x[n + i] + x[2 * n + i];
    y[n + i] = fmaf(x[i], x[n + i], x[2 * n + i]);
}

} // namespace

void words_mma(void *d, const void *a, const void *b, int what, cudaStream_t s)
{
    const uint32_t *aw = static_cast<const uint32_t *>(a), *bw = static_cast<const uint32_t *>(b);

    if (what == WORDS_F16)
        LAUNCH(mma_kernel<WORDS_F16>, 1, 32, 0, s, d, aw, bw);
    else if (what == WORDS_BF16)
        LAUNCH(mma_kernel<WORDS_BF16>, 1, 32, 0, s, d, aw, bw);
    else if (what == WORDS_S8)
        LAUNCH(mma_kernel<WORDS_S8>, 1, 32, 0, s, d, aw, bw);
    else if (what == WORDS_U8S8)
        LAUNCH(mma_kernel<WORDS_U8S8>, 1, 32, 0, s, d, aw, bw);
    else if (what == WORDS_S8_K16)
        LAUNCH(mma_kernel<WORDS_S8_K16>, 1, 32, 0, s, d, aw, bw);
    else
        LAUNCH(mma_kernel<WORDS_U8S8_K16>, 1, 32, 0, s, d, aw, bw);
}

void words_tile(float *d, const uint16_t *a, const uint16_t *b, cudaStream_t s)
{
    LAUNCH(tile_kernel, 1, 32, 0, s, d, a, b);
}

void words_dp4a(int *y, const uint32_t *a, const uint32_t *b, const int *c, int n, cudaStream_t s)
{
    LAUNCH(dp4a_kernel, (n + 127) / 128, 128, 0, s, y, a, b, c, n);
}

void words_fma(float *y, const float *x, int n, cudaStream_t s)
{
    LAUNCH(fma_kernel, (n + 127) / 128, 128, 0, s, y, x, n);
}
