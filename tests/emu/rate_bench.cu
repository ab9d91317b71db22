/* rate_bench.cu - what this GPU's tensor cores do at most: mma.sync in a loop that touches no
 * memory, and cuBLASLt's product of two large random matrices where the library is there; and what
 * a kernel that does nothing takes in a recorded step, started early or not. One JSON object a
 * line; operations are multiplications and additions, two a multiply-add. */
#include "bench.h"
#include "gpu.h"

#if __has_include(<cublasLt.h>)
#include <cublasLt.h>
#define HAS_BLAS 1
#else
#define HAS_BLAS 0
#endif
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

namespace
{

enum { RUNS = 9, LOOPS = 4096, CHAINS = 8, WARPS = 8, SIZE = 8192 };

/* Chains of products that do not wait for each other. */
__global__ void __launch_bounds__(32 * WARPS) brain_loop(float *out)
{
    float d[CHAINS][4] = {};
    uint32_t a[4] = {threadIdx.x, threadIdx.x + 1, 3, 4}, b[2] = {5, threadIdx.x};

    for (int i = 0; i < LOOPS; i++)
#pragma unroll
        for (int k = 0; k < CHAINS; k++)
            mma_bf16(d[k], a, b);
    for (int k = 1; k < CHAINS; k++)
        d[0][0] += d[k][0] + d[k][1] + d[k][2] + d[k][3];
    if (d[0][0] == 1.0f)
        *out = d[0][0];
}

__global__ void __launch_bounds__(32 * WARPS) byte_loop(int *out)
{
    int d[CHAINS][4] = {};
    uint32_t a[4] = {threadIdx.x, threadIdx.x + 1, 3, 4}, b[2] = {5, threadIdx.x};

    for (int i = 0; i < LOOPS; i++)
#pragma unroll
        for (int k = 0; k < CHAINS; k++)
            mma_s8(d[k], a, b);
    for (int k = 1; k < CHAINS; k++)
        d[0][0] += d[k][0] + d[k][1] + d[k][2] + d[k][3];
    if (d[0][0] == 1)
        *out = d[0][0];
}

/* Numbers in [1, 2) or (-2, -1], all their bits random: what the tensor cores take power for. */
__global__ void __launch_bounds__(256) random_fill(uint32_t *p, size_t n)
{
    for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < n;
         i += (size_t)gridDim.x * blockDim.x) {
        uint64_t z = (i + 1) * 0x9e3779b97f4a7c15u;

        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        p[i] = ((uint32_t)(z >> 31) & 0x807f807fu) | 0x3f803f80u;
    }
}

__global__ void __launch_bounds__(256, 2) nothing(int *out)
{
    previous_done();
    if (gridDim.y > 1)
        *out = 1;
}

/* Median microseconds of a call. */
template <class F> double timed(F call)
{
    cudaEvent_t from, to;
    float ms[RUNS];

    TRY(cudaEventCreate(&from));
    TRY(cudaEventCreate(&to));
    for (int i = -2; i < RUNS; i++) {
        TRY(cudaEventRecord(from, 0));
        call();
        TRY(cudaEventRecord(to, 0));
        TRY(cudaEventSynchronize(to));
        TRY(cudaGetLastError());
        if (i >= 0)
            TRY(cudaEventElapsedTime(&ms[i], from, to));
    }
    TRY(cudaEventDestroy(from));
    TRY(cudaEventDestroy(to));
    qsort(ms, RUNS, sizeof(*ms), ascending);
    return (double)ms[RUNS / 2] * 1e3;
}

#if HAS_BLAS
template <class F> bool find(void *so, const char *name, F *f)
{
    void *p = dlsym(so, name);

    memcpy(f, &p, sizeof(p));
    return p != nullptr;
}

/* TFLOP a second of D = A^T B in BF16, sums in floats; 0 without the library. */
double blas()
{
    void *so = dlopen("libcublasLt.so.13", RTLD_NOW);
    decltype(&cublasLtCreate) create;
    decltype(&cublasLtMatmulDescCreate) desc_create;
    decltype(&cublasLtMatmulDescSetAttribute) desc_set;
    decltype(&cublasLtMatrixLayoutCreate) layout_create;
    decltype(&cublasLtMatmul) matmul;
    cublasLtHandle_t h;
    cublasLtMatmulDesc_t d;
    cublasLtMatrixLayout_t in, out;
    cublasOperation_t turn = CUBLAS_OP_T;
    const float one = 1.0f, zero = 0.0f;
    const size_t n = (size_t)SIZE * SIZE, work = 32 << 20;
    char *p;
    int failed = 0;
    double us;

    so = so ? so : dlopen("libcublasLt.so.12", RTLD_NOW);
    if (!so || !find(so, "cublasLtCreate", &create) ||
        !find(so, "cublasLtMatmulDescCreate", &desc_create) ||
        !find(so, "cublasLtMatmulDescSetAttribute", &desc_set) ||
        !find(so, "cublasLtMatrixLayoutCreate", &layout_create) ||
        !find(so, "cublasLtMatmul", &matmul) || create(&h) ||
        desc_create(&d, CUBLAS_COMPUTE_32F, CUDA_R_32F) ||
        desc_set(d, CUBLASLT_MATMUL_DESC_TRANSA, &turn, sizeof(turn)) ||
        layout_create(&in, CUDA_R_16BF, SIZE, SIZE, SIZE) ||
        layout_create(&out, CUDA_R_32F, SIZE, SIZE, SIZE))
        return 0;
    TRY(cudaMalloc(&p, n * 2 * 2 + n * 4 + work));
    LAUNCH(random_fill, 1024u, 256u, 0, 0, (uint32_t *)p, n);
    us = timed([&]() {
        failed += matmul(h, d, &one, p, in, p + n * 2, in, &zero, p + n * 4, out, p + n * 4, out,
                         nullptr, p + n * 8, work, 0) != CUBLAS_STATUS_SUCCESS;
    });
    TRY(cudaFree(p));
    return failed ? 0 : 2.0 * SIZE * (double)n / us / 1e6;
}
#else
double blas()
{
    return 0;
}
#endif

/* Microseconds of a kernel that does nothing, among many in a recorded step. */
double gap(bool early)
{
    enum { KERNELS = 1024 };
    struct cudaDeviceProp p;
    cudaStream_t s;
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    double us;

    TRY(cudaGetDeviceProperties(&p, 0));
    TRY(cudaStreamCreate(&s));
    TRY(cudaStreamBeginCapture(s, cudaStreamCaptureModeThreadLocal));
    for (int i = 0; i < KERNELS; i++)
        if (early)
            LAUNCH_EARLY(nothing, (unsigned)p.multiProcessorCount, 256u, 0, s, (int *)nullptr);
        else
            LAUNCH(nothing, (unsigned)p.multiProcessorCount, 256u, 0, s, (int *)nullptr);
    TRY(cudaStreamEndCapture(s, &graph));
    TRY(cudaGraphInstantiate(&exec, graph, 0));
    us = timed([&]() { TRY(cudaGraphLaunch(exec, 0)); });
    TRY(cudaGraphExecDestroy(exec));
    TRY(cudaGraphDestroy(graph));
    TRY(cudaStreamDestroy(s));
    return us / KERNELS;
}

} // namespace

int main(void)
{
    struct cudaDeviceProp p;
    double brain, byte, warps;
    void *out;

    TRY(cudaGetDeviceProperties(&p, 0));
    TRY(cudaMalloc(&out, 4));
    warps = 4.0 * p.multiProcessorCount * WARPS * LOOPS * CHAINS; // products of all
    brain = timed([&]() {
        LAUNCH(brain_loop, 4u * (unsigned)p.multiProcessorCount, 32u * WARPS, 0, 0, (float *)out);
    });
    byte = timed([&]() {
        LAUNCH(byte_loop, 4u * (unsigned)p.multiProcessorCount, 32u * WARPS, 0, 0, (int *)out);
    });
    TRY(cudaFree(out));
    printf("{\"bench\":\"rate\",\"mma_bf16_tflop_s\":%.0f,\"mma_int8_top_s\":%.0f,"
           "\"cublas_bf16_tflop_s\":%.0f}\n",
           warps * 4096 / brain / 1e6, warps * 8192 / byte / 1e6, blas());
    printf("{\"bench\":\"gap\",\"us_a_kernel\":%.3f,\"us_a_kernel_started_early\":%.3f}\n",
           gap(false), gap(true));
    return 0;
}
