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

#endif
