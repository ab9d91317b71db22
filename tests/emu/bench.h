/* bench.h - what the programs that time kernels share. */
#ifndef BENCH_H
#define BENCH_H

#include "gpu.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* A failed call ends the program, status 2. */
#define TRY(call)                                                                 \
    do {                                                                          \
        cudaError_t rc_ = (call);                                                 \
        if (rc_ != cudaSuccess) {                                                 \
            fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, #call, \
                    cudaGetErrorString(rc_));                                     \
            exit(2);                                                              \
        }                                                                         \
    } while (0)

/* Of floats, for qsort. */
static inline int ascending(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

/* Words of noise, with some bits cleared and some set. */
__global__ void fill_kernel(uint32_t *p, size_t n, uint32_t keep, uint32_t set)
{
    size_t step = (size_t)gridDim.x * blockDim.x;

    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) {
        uint32_t h = (uint32_t)i * 2654435761u;

        h = (h ^ h >> 15) * 2246822519u;
        p[i] = ((h ^ h >> 13) & keep) | set;
    }
}

/* The median of RUNS times, in microseconds, of one of `each` calls queued together, as a graph
 * when there are several; call i gets i and the stream. */
template <int RUNS, class F> double timed(int each, F call)
{
    cudaEvent_t from, to;
    cudaStream_t s;
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    float ms[RUNS];

    TRY(cudaEventCreate(&from));
    TRY(cudaEventCreate(&to));
    TRY(cudaStreamCreate(&s));
    TRY(cudaDeviceSynchronize()); // what was filled is there
    if (each > 1) {
        call(0, s); // kernels are loaded, and their limits raised
        TRY(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
        for (int k = 0; k < each; k++)
            call(k, s);
        TRY(cudaStreamEndCapture(s, &graph));
        TRY(cudaGraphInstantiate(&exec, graph, 0));
        TRY(cudaGraphDestroy(graph));
    }
    for (int i = -3; i < RUNS; i++) {
        TRY(cudaEventRecord(from, s));
        if (each > 1)
            TRY(cudaGraphLaunch(exec, s));
        else
            call(i + 3, s);
        TRY(cudaEventRecord(to, s));
        TRY(cudaEventSynchronize(to));
        TRY(cudaGetLastError());
        if (i >= 0)
            TRY(cudaEventElapsedTime(&ms[i], from, to));
    }
    if (each > 1)
        TRY(cudaGraphExecDestroy(exec));
    TRY(cudaEventDestroy(from));
    TRY(cudaEventDestroy(to));
    TRY(cudaStreamDestroy(s));
    qsort(ms, RUNS, sizeof(*ms), ascending);
    return (double)ms[RUNS / 2] * 1e3 / each;
}

#endif
