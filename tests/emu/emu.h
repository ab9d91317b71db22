// emu.h - the CUDA device language for a C++ compiler of the host, for tests.
//
// Each thread of a block is a fiber (emu.cpp) and blocks run one after another. Barriers and warp
// operations are rendezvous: whoever arrives last does the work of all. Mistakes end the program
// with file and line (status 99; 98 for a race, 97 for an address). Nothing here is fast or weakly
// ordered as a GPU is; sums of floating-point mma have an order of their own.
//
// Environment: EMU_SEED=n runs threads in a random order in which one warp runs far ahead;
// EMU_DEFER=1 runs the work of streams as late as it may; EMU_RACE=1 looks for races (in a build
// with EMU_RACE_CHECK); EMU_CLOSED=1 ends the program when the host touches device memory;
// EMU_MMA_CUT=1 sums products so that what a zero is multiplied with shows; EMU_MEMORY=bytes and
// EMU_CAPABILITY=90 are the device's; EMU_LAUNCHES=file lists kernels' files.
#pragma once

#include <algorithm>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>
#include <cuda_runtime.h>
#include <functional>
#include <math.h>
#include <stdint.h>
#include <string.h>
#include <tuple>
#include <type_traits>
#include <vector>

namespace emu
{

struct Loc {
    const char *file;
    int line;
};

struct Copy { // a cp.async under way
    void *dst;
    const void *src;
    int n, live;
};

struct Fiber { // one CUDA thread
    void *sp;
    char *stack; // NULL: it has not begun
    uint3 tid;
    unsigned lin, lane, warp, rank; // rank: the block's in its cluster
    bool done;
    std::vector<Copy> pending;
    std::vector<size_t> groups; // committed, by their end in pending
    const char *op;             // what it waits at
    Loc at;
};

typedef void (*WarpOp)(void **arg, unsigned mask);

extern Fiber *cur;
extern uint3 bid;
extern dim3 bdim, gdim;

[[noreturn]] void die(Loc at, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// Lanes of mask meet; the last of them calls f (NULL: a barrier) with the operands of all.
void warp_op(unsigned mask, void *arg, WarpOp f, const char *name, Loc at);
// All threads of the block meet; how many had pred.
int block_op(int pred, const char *name, Loc at);
void *shared_var(const void *key, size_t size, size_t align, Loc at);
void *dyn_shared();
// group: blocks side by side along x that are a cluster, and run at the same time.
void launch(dim3 grid, unsigned group, dim3 block, size_t smem, void (*call)(void *), void *arg,
            size_t arg_size, Loc at);
// Work of a stream: done now, late, or kept in the graph that is recorded.
void submit(cudaStream_t s, std::function<void()> op);
void cp_async(void *dst, const void *src, int n, int live);
void cp_commit();
void cp_wait(unsigned keep);
// A prefetch of so many bytes: of memory that there is.
void ask(const void *p, size_t bytes, unsigned align = 1);
void mbar_init(uint64_t *b);
void mbar_arrive(uint64_t *b);
void mbar_wait(uint64_t *b, unsigned parity);
// Barriers of several arrivals that count bytes as well, of a block of the cluster.
void bar_init(uint64_t *b, int count);
void bar_arrive(uint64_t *b, unsigned rank, int more_bytes);
void bar_wait(uint64_t *b, unsigned parity);
// Into n blocks of the cluster from block `first` on.
void bulk_copy(void *to, const void *from, size_t bytes, uint64_t *b);
void send(void *to, uint64_t *b, unsigned rank, const float v[4]);
size_t shared_offset(const void *p); // of the block's dynamic shared memory
void wgmma_64(float *d, const uint32_t *a, uint64_t b, bool bf16, bool first);
void ldmatrix(uint32_t *r, const void *row, int n, bool trans);
void mma_f16(float *d, const uint32_t *a, const uint32_t *b);
void mma_bf16(float *d, const uint32_t *a, const uint32_t *b);
void mma_s8(int *d, const uint32_t *a, const uint32_t *b, int k);
void mma_u8s8(int *d, const uint32_t *a, const uint32_t *b, int k);
int dp4a_u8s8(uint32_t a, uint32_t b, int c);

// Arguments become the kernel's types at once and are kept, so that a graph can run it again.
template <class... P, class... A>
void launch_kernel(Loc at, void (*k)(P...), unsigned group, dim3 grid, dim3 block, size_t smem,
                   cudaStream_t s, A... a)
{
    struct Pack {
        void (*k)(P...);
        std::tuple<std::remove_const_t<P>...> t;
    };

    submit(s, [=, p = Pack{k, {a...}}]() mutable {
        launch(
            grid, group, block, smem,
            [](void *v) {
                Pack *q = (Pack *)v;

                std::apply(q->k, q->t);
            },
            &p, sizeof(p), at);
    });
}

// What an mbarrier keeps in order: not seen by the race check, which knows barriers of all alone.
template <class T> __attribute__((no_sanitize("thread"), noinline)) T passed_get(const T *p)
{
    return *p;
}
template <class T> __attribute__((no_sanitize("thread"), noinline)) void passed_put(T *p, T v)
{
    *p = v;
}

// src is the lane to read from; one outside the mask is a mistake of the kernel.
template <class T> struct Shfl {
    T v, out;
    int src;
    Loc at;
};

template <class T> T shfl(unsigned mask, T v, int src, const char *name, Loc at)
{
    Shfl<T> s{v, v, src, at};
    WarpOp f = [](void **p, unsigned m) {
        for (int l = 0; l < 32; l++) {
            Shfl<T> *x = (Shfl<T> *)p[l];

            if (!(m >> l & 1))
                continue;
            if (!(m >> x->src & 1))
                die(x->at, "lane %d shuffles from lane %d, which is not in mask %08x", l, x->src,
                    m);
            x->out = ((Shfl<T> *)p[x->src])->v;
        }
    };

    warp_op(mask, &s, f, name, at);
    return s.out;
}

// Every lane gets F of all operands.
template <class T, class R> struct Red {
    T v;
    R out;
};

template <class T, class R, class F> R reduce(unsigned mask, T v, const char *name, Loc at)
{
    Red<T, R> s{v, R()};
    WarpOp f = [](void **p, unsigned m) {
        bool first = true;
        R r = R();

        for (int l = 0; l < 32; l++)
            if (m >> l & 1) {
                F::step(r, ((Red<T, R> *)p[l])->v, l, first);
                first = false;
            }
        for (int l = 0; l < 32; l++)
            if (m >> l & 1)
                ((Red<T, R> *)p[l])->out = r;
    };

    warp_op(mask, &s, f, name, at);
    return s.out;
}

struct Ballot {
    static void step(unsigned &r, int v, int l, bool)
    {
        r |= (unsigned)!!v << l;
    }
};
struct Add {
    template <class T> static void step(T &r, T v, int, bool)
    {
        r += v;
    }
};
struct Max {
    template <class T> static void step(T &r, T v, int, bool first)
    {
        r = first || v > r ? v : r;
    }
};
struct Min {
    template <class T> static void step(T &r, T v, int, bool first)
    {
        r = first || v < r ? v : r;
    }
};
struct Or {
    template <class T> static void step(T &r, T v, int, bool)
    {
        r |= v;
    }
};
struct And {
    template <class T> static void step(T &r, T v, int, bool first)
    {
        r = first ? v : r & v;
    }
};

} // namespace emu

// ---- what CUDA C++ adds to the language; the header's __shared__ would be an ordinary variable
#undef __shared__
#define __shared__ EMU_USE_THE_MACRO_SHARED_INSTEAD
#undef __launch_bounds__
#define __launch_bounds__(...)
#define threadIdx (emu::cur->tid)
#define blockIdx  emu::bid
#define blockDim  emu::bdim
#define gridDim   emu::gdim
static const int warpSize = 32;
#define EMU_HERE           \
    {                      \
        __FILE__, __LINE__ \
    }
#define SHARED(T, name, dims)             \
    static const char emu_key_##name = 0; \
    auto &name = *static_cast<T(*) dims>( \
        emu::shared_var(&emu_key_##name, sizeof(T dims), alignof(T), EMU_HERE))
#define DYN_SHARED(T, name) T *name = static_cast<T *>(emu::dyn_shared())
#define LAUNCH(kernel, grid, block, smem, stream, ...) \
    LAUNCH_GROUPS(kernel, 1, grid, block, smem, stream, __VA_ARGS__)
#define LAUNCH_GROUPS(kernel, group, grid, block, smem, stream, ...) \
    emu::launch_kernel(EMU_HERE, kernel, group, (grid), (block), (smem), (stream), __VA_ARGS__)
template <class Kernel> static inline int gpu_groups(Kernel *, int group, int, size_t)
{
    return 132 / group;
}

// ---- barriers and warp operations; the caller's place comes in default arguments
#define EMU_AT const char *F = __builtin_FILE(), int L = __builtin_LINE()
#define EMU_D  static inline __attribute__((unused))

EMU_D void __syncthreads(EMU_AT)
{
    emu::block_op(0, "__syncthreads", {F, L});
}
EMU_D int __syncthreads_count(int p, EMU_AT)
{
    return emu::block_op(p, "__syncthreads_count", {F, L});
}
EMU_D int __syncthreads_or(int p, EMU_AT)
{
    return emu::block_op(p, "__syncthreads_or", {F, L}) != 0;
}
EMU_D int __syncthreads_and(int p, EMU_AT)
{
    return emu::block_op(!p, "__syncthreads_and", {F, L}) == 0;
}
EMU_D void __syncwarp(unsigned m = ~0u, EMU_AT)
{
    emu::warp_op(m, nullptr, nullptr, "__syncwarp", {F, L});
}

template <class T> T __shfl_sync(unsigned m, T v, int src, int w = 32, EMU_AT)
{
    int l = (int)emu::cur->lane;

    return emu::shfl(m, v, (l & ~(w - 1)) | (src & (w - 1)), "__shfl_sync", {F, L});
}
template <class T> T __shfl_xor_sync(unsigned m, T v, int x, int w = 32, EMU_AT)
{
    int l = (int)emu::cur->lane, s = l ^ x;

    return emu::shfl(m, v, s > (l | (w - 1)) ? l : s, "__shfl_xor_sync", {F, L});
}
template <class T> T __shfl_down_sync(unsigned m, T v, unsigned d, int w = 32, EMU_AT)
{
    int l = (int)emu::cur->lane, s = l + (int)d;

    return emu::shfl(m, v, s > (l | (w - 1)) ? l : s, "__shfl_down_sync", {F, L});
}
template <class T> T __shfl_up_sync(unsigned m, T v, unsigned d, int w = 32, EMU_AT)
{
    int l = (int)emu::cur->lane, s = l - (int)d;

    return emu::shfl(m, v, s < (l & ~(w - 1)) ? l : s, "__shfl_up_sync", {F, L});
}
EMU_D unsigned __ballot_sync(unsigned m, int p, EMU_AT)
{
    return emu::reduce<int, unsigned, emu::Ballot>(m, p, "__ballot_sync", {F, L});
}
EMU_D int __any_sync(unsigned m, int p, EMU_AT)
{
    return emu::reduce<int, int, emu::Or>(m, !!p, "__any_sync", {F, L});
}
EMU_D int __all_sync(unsigned m, int p, EMU_AT)
{
    return emu::reduce<int, int, emu::And>(m, !!p, "__all_sync", {F, L});
}
template <class T> T __reduce_add_sync(unsigned m, T v, EMU_AT)
{
    return emu::reduce<T, T, emu::Add>(m, v, "__reduce_add_sync", {F, L});
}
template <class T> T __reduce_max_sync(unsigned m, T v, EMU_AT)
{
    return emu::reduce<T, T, emu::Max>(m, v, "__reduce_max_sync", {F, L});
}
template <class T> T __reduce_min_sync(unsigned m, T v, EMU_AT)
{
    return emu::reduce<T, T, emu::Min>(m, v, "__reduce_min_sync", {F, L});
}
template <class T> T __reduce_or_sync(unsigned m, T v, EMU_AT)
{
    return emu::reduce<T, T, emu::Or>(m, v, "__reduce_or_sync", {F, L});
}

// ---- atomics: there is one thread of the system, so they are plain; not seen by the race check
#define EMU_ATOMIC template <class T> __attribute__((no_sanitize("thread"), noinline)) T

EMU_ATOMIC atomicAdd(T *p, std::common_type_t<T> v)
{
    T old = *p;

    *p = old + v;
    return old;
}
EMU_ATOMIC atomicMax(T *p, std::common_type_t<T> v)
{
    T old = *p;

    *p = v > old ? v : old;
    return old;
}
EMU_ATOMIC atomicMin(T *p, std::common_type_t<T> v)
{
    T old = *p;

    *p = v < old ? v : old;
    return old;
}
EMU_ATOMIC atomicOr(T *p, std::common_type_t<T> v)
{
    T old = *p;

    *p = old | v;
    return old;
}
EMU_ATOMIC atomicExch(T *p, std::common_type_t<T> v)
{
    T old = *p;

    *p = v;
    return old;
}
EMU_ATOMIC atomicCAS(T *p, std::common_type_t<T> was, std::common_type_t<T> v)
{
    T old = *p;

    *p = old == was ? v : old;
    return old;
}

// ---- arithmetic and bits, each rounded as the device's; functions that the device only
// approximates (__expf ...) are not here, so that no kernel can use them
EMU_D float __fadd_rn(float a, float b)
{
    return a + b;
}
EMU_D float __fsub_rn(float a, float b)
{
    return a - b;
}
EMU_D float __fmul_rn(float a, float b)
{
    return a * b;
}
EMU_D float __fmaf_rn(float a, float b, float c)
{
    return fmaf(a, b, c);
}
EMU_D float __fdiv_rn(float a, float b)
{
    return a / b;
}
EMU_D float __fsqrt_rn(float a)
{
    return sqrtf(a);
}
EMU_D float __frcp_rn(float a)
{
    return 1.0f / a;
}
EMU_D float __int2float_rn(int a)
{
    return (float)a;
}
EMU_D int __float2int_rn(float a) // saturates; 0 for NaN
{
    return a != a ? 0 : a >= 0x1p31f ? INT32_MAX : a <= -0x1p31f ? INT32_MIN : (int)nearbyintf(a);
}
EMU_D float __int_as_float(int i)
{
    float f;

    memcpy(&f, &i, sizeof(f));
    return f;
}
EMU_D int __float_as_int(float f)
{
    int i;

    memcpy(&i, &f, sizeof(i));
    return i;
}
EMU_D unsigned __float_as_uint(float f)
{
    return (unsigned)__float_as_int(f);
}
EMU_D float __uint_as_float(unsigned i)
{
    return __int_as_float((int)i);
}
EMU_D int __popc(unsigned x)
{
    return __builtin_popcount(x);
}
EMU_D int __clz(int x)
{
    return x ? __builtin_clz((unsigned)x) : 32;
}
EMU_D int __ffs(int x)
{
    return __builtin_ffs(x);
}
EMU_D int __dp4a(int a, int b, int c)
{
    for (int i = 0; i < 4; i++)
        c += (int8_t)(a >> 8 * i) * (int8_t)(b >> 8 * i);
    return c;
}
// Bytes of y:x that the nibbles of s name; with bit 3 of a nibble, eight copies of its top bit.
EMU_D unsigned __byte_perm(unsigned x, unsigned y, unsigned s)
{
    uint64_t v = (uint64_t)y << 32 | x;
    unsigned r = 0;

    for (int i = 0; i < 4; i++) {
        unsigned b = (v >> 8 * (s >> 4 * i & 7)) & 255;

        if (s >> 4 * i & 8)
            b = b & 128 ? 255 : 0;
        r |= b << 8 * i;
    }
    return r;
}
template <class T> T __ldg(const T *p)
{
    return *p;
}
template <class T> T __ldcs(const T *p)
{
    return *p;
}
template <class T> T __ldcg(const T *p)
{
    return *p;
}
template <class T> void __stcs(T *p, T v)
{
    *p = v;
}
template <class T> void __stcg(T *p, T v)
{
    *p = v;
}
using std::max;
using std::min;
