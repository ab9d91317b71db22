/* gpu_test.h - device memory for tests of launchers; on a device and under emulation. */
#ifndef GPU_TEST_H
#define GPU_TEST_H

#include "../ops/ops.h"

#include <cuda_runtime_api.h>

/* Ends the program: nothing after it would mean anything. */
#define GPU(call) gpu_check((call), #call)

static inline void gpu_check(cudaError_t rc, const char *what)
{
    if (rc == cudaSuccess)
        return;
    printf("Bail out! %s: %s\n", what, cudaGetErrorString(rc));
    exit(2);
}

static inline void *gpu_alloc(size_t bytes)
{
    void *p;

    GPU(cudaMalloc(&p, bytes ? bytes : 1));
    return p;
}

static inline void *gpu_put(const void *src, size_t bytes)
{
    void *p = gpu_alloc(bytes);

    GPU(cudaMemcpy(p, src, bytes, cudaMemcpyHostToDevice));
    return p;
}

/* Also waits for the kernels before it and reports their failure. */
static inline void gpu_get(void *dst, const void *src, size_t bytes)
{
    GPU(cudaGetLastError());
    GPU(cudaDeviceSynchronize());
    GPU(cudaMemcpy(dst, src, bytes, cudaMemcpyDeviceToHost));
}

static inline void gpu_free(const void *p)
{
    GPU(cudaFree((void *)(uintptr_t)p));
}

/* The device that is used, in a comment; 2 (the status of the program) without one. */
static inline int gpu_begin(void)
{
    struct cudaDeviceProp p;
    int n = 0;
    cudaError_t rc = cudaGetDeviceCount(&n);

    if (rc != cudaSuccess || n < 1) {
        printf("Bail out! no GPU: %s\n", cudaGetErrorString(rc));
        return 2;
    }
    GPU(cudaGetDeviceProperties(&p, 0));
    printf("# %s, sm_%d%d\n", p.name, p.major, p.minor);
    return 0;
}

#endif
