// bugs.cu - kernels with one mistake each, to see that the emulation finds it: bugs N runs the Nth.
// Status 0: nothing was noticed but, it may be, wrong values, which are printed.
#include "gpu.h"

#include <stdio.h>
#include <stdlib.h>

namespace
{

// A sum of a block's values, in o[blockIdx.x]; right but for what the template parameters say.
template <bool BARRIER, bool ALL> __global__ void sum(float *o, const float *x)
{
    SHARED(float, part, [2]);
    float v = x[threadIdx.x];

    for (int i = 16; i > (ALL ? 0 : 1); i /= 2)
        v += __shfl_xor_sync(~0u, v, i);
    if (threadIdx.x % 32 == 0)
        part[threadIdx.x / 32] = v;
    if (BARRIER)
        __syncthreads();
    o[threadIdx.x] = part[0] + part[1];
}

__global__ void no_syncwarp(float *o)
{
    SHARED(float, s, [32]);

    s[threadIdx.x] = (float)threadIdx.x;
    o[threadIdx.x] = s[31 - threadIdx.x];
}

__global__ void divergent_shuffle(float *o)
{
    if (threadIdx.x < 16)
        o[threadIdx.x] = __shfl_xor_sync(~0u, 1.0f, 1);
}

__global__ void early_return(float *o)
{
    if (threadIdx.x >= 40)
        return;
    o[threadIdx.x] = 1;
    __syncthreads();
}

__global__ void two_barriers(float *o)
{
    if (threadIdx.x < 32)
        __syncthreads();
    else
        __syncthreads();
    o[threadIdx.x] = 1;
}

__global__ void beyond_global(float *o, const float *x, int n)
{
    o[threadIdx.x] = x[threadIdx.x + n];
}

__global__ void write_beyond_global(float *o, int n)
{
    o[threadIdx.x + n] = 1;
}

__global__ void ask_beyond_global(const float *x)
{
    prefetch(x + 32 * threadIdx.x); // of 256 values
}

__global__ void misaligned(float *o, const uint8_t *p)
{
    uint4 v = load_once(p + threadIdx.x * 18); // the stride of a block of Q4_0

    o[threadIdx.x] = (float)v.x;
}

__global__ void beyond_static(float *o, int k)
{
    SHARED(float, s, [16]);

    s[threadIdx.x % 16 + k] = 1;
    __syncthreads();
    o[threadIdx.x] = s[0];
}

__global__ void beyond_dynamic(float *o)
{
    DYN_SHARED(float, s);

    s[threadIdx.x] = 1;
    __syncthreads();
    o[threadIdx.x] = s[0];
}

__global__ void early_read(float *o, const float *x)
{
    DYN_SHARED(float, s);

    if (threadIdx.x < 16)
        cp_async16(s + threadIdx.x * 4, x + threadIdx.x * 4);
    cp_async_commit();
    __syncthreads();
    o[threadIdx.x] = s[threadIdx.x];
    cp_async_wait<0>();
}

__global__ void blocks_overlap(float *o)
{
    o[threadIdx.x] = (float)blockIdx.x;
}

__global__ void no_atomic(float *o)
{
    o[0] += 1;
}

// A buffer is filled again before all have read it.
__global__ void no_second_barrier(float *o, const float *x)
{
    SHARED(float, s, [32]);
    float sum = 0;

    for (int i = 0; i < 4; i++) {
        if (threadIdx.x < 32)
            s[threadIdx.x] = x[threadIdx.x];
        __syncthreads();
        sum += s[(threadIdx.x + 1) % 32];
    }
    o[threadIdx.x] = sum;
}

// Bytes of a word by four threads, then the word by one, then the bytes again. 64, right but for
// barriers left out: before words are written, before bytes are.
template <bool FIRST, bool SECOND> __global__ void bytes_and_words(float *o)
{
    SHARED(uint32_t, w, [16]);
    uint8_t *b = (uint8_t *)w, t = (uint8_t)threadIdx.x;
    int sum;

    b[t] = 1;
    __syncthreads();
    sum = b[63 - t];
    if (FIRST)
        __syncthreads();
    if (t < 16)
        w[t] = 0x01010101u * 31;
    if (SECOND)
        __syncthreads();
    b[t] += 1;
    __syncthreads();
    o[t] = (float)(sum + b[63 - t] + 31);
}

__global__ void host_pointer(float *o, const float *h)
{
    o[threadIdx.x] = h[0];
}

__global__ void big_stack(float *o)
{
    volatile char big[200000];

    big[threadIdx.x] = 1;
    big[199999] = 2;
    o[threadIdx.x] = big[threadIdx.x];
}

struct Bug {
    const char *name;
    void (*run)(float *o, const float *x, float *h);
};

const Bug bugs[] = {
    {"none",
     [](float *o, const float *x, float *) { LAUNCH((sum<true, true>), 1, 64, 0, 0, o, x); }},
    {"missing barrier",
     [](float *o, const float *x, float *) { LAUNCH((sum<false, true>), 1, 64, 0, 0, o, x); }},
    {"wrong reduction",
     [](float *o, const float *x, float *) { LAUNCH((sum<true, false>), 1, 64, 0, 0, o, x); }},
    {"missing syncwarp",
     [](float *o, const float *, float *) { LAUNCH(no_syncwarp, 1, 32, 0, 0, o); }},
    {"divergent shuffle",
     [](float *o, const float *, float *) { LAUNCH(divergent_shuffle, 1, 32, 0, 0, o); }},
    {"early return",
     [](float *o, const float *, float *) { LAUNCH(early_return, 1, 64, 0, 0, o); }},
    {"two barriers",
     [](float *o, const float *, float *) { LAUNCH(two_barriers, 1, 64, 0, 0, o); }},
    {"global read out of bounds",
     [](float *o, const float *x, float *) { LAUNCH(beyond_global, 1, 64, 0, 0, o, x, 193); }},
    {"global write out of bounds",
     [](float *o, const float *, float *) { LAUNCH(write_beyond_global, 1, 64, 0, 0, o, 1); }},
    {"global prefetch out of bounds",
     [](float *, const float *x, float *) { LAUNCH(ask_beyond_global, 1, 32, 0, 0, x); }},
    {"misaligned load", [](float *o, const float *x,
                           float *) { LAUNCH(misaligned, 1, 32, 0, 0, o, (const uint8_t *)x); }},
    {"static shared overrun",
     [](float *o, const float *, float *) { LAUNCH(beyond_static, 1, 64, 0, 0, o, 1); }},
    {"dynamic shared overrun",
     [](float *o, const float *, float *) { LAUNCH(beyond_dynamic, 1, 64, 63 * 4, 0, o); }},
    {"cp.async read too early",
     [](float *o, const float *x, float *) { LAUNCH(early_read, 1, 64, 256, 0, o, x); }},
    {"blocks write one place",
     [](float *o, const float *, float *) { LAUNCH(blocks_overlap, 2, 32, 0, 0, o); }},
    {"sum without atomics",
     [](float *o, const float *, float *) { LAUNCH(no_atomic, 1, 32, 0, 0, o); }},
    {"missing second barrier",
     [](float *o, const float *x, float *) { LAUNCH(no_second_barrier, 1, 64, 0, 0, o, x); }},
    {"bytes and words", [](float *o, const float *,
                           float *) { LAUNCH((bytes_and_words<true, true>), 1, 64, 0, 0, o); }},
    {"word over bytes", [](float *o, const float *,
                           float *) { LAUNCH((bytes_and_words<false, true>), 1, 64, 0, 0, o); }},
    {"bytes over word", [](float *o, const float *,
                           float *) { LAUNCH((bytes_and_words<true, false>), 1, 64, 0, 0, o); }},
    {"host pointer",
     [](float *o, const float *, float *h) { LAUNCH(host_pointer, 1, 32, 0, 0, o, h); }},
    {"stack overflow", [](float *o, const float *, float *) { LAUNCH(big_stack, 1, 32, 0, 0, o); }},
    {"block too large",
     [](float *o, const float *, float *) { LAUNCH(blocks_overlap, 1, 2048, 0, 0, o); }},
    {"host touches device memory", [](float *o, const float *, float *) { o[0] = 1; }},
};

} // namespace

int main(int argc, char **argv)
{
    int n = argc > 1 ? atoi(argv[1]) : -1, bad = 0, N = (int)(sizeof(bugs) / sizeof(*bugs));
    float *o, *x, h[256];

    for (int i = 0; n < 0 && i < N; i++)
        puts(bugs[i].name);
    if (n < 0 || n >= N)
        return n >= N;
    for (int i = 0; i < 256; i++)
        h[i] = 1;
    cudaMalloc((void **)&o, 64 * sizeof(float));
    cudaMalloc((void **)&x, sizeof(h));
    cudaMemcpy(x, h, sizeof(h), cudaMemcpyHostToDevice);
    cudaMemcpy(o, h, 64 * sizeof(float), cudaMemcpyHostToDevice);
    bugs[n].run(o, x, h);
    cudaMemcpy(h, o, 64 * sizeof(float), cudaMemcpyDeviceToHost);
    for (int i = 0; i < 64; i++)
        bad += h[i] != 64;
    printf("%d values are not 64\n", bad);
    return 0;
}
