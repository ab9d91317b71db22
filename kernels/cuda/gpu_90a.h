// gpu_90a.h - what code for sm_90a alone can do, where GPU_WGMMA is 1: warps in groups of four,
// copies that a barrier in shared memory counts, clusters of blocks. And its twin for the host.
#pragma once
#include "gpu.h"

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define GPU_WGMMA 1

__device__ static inline uint32_t shared_address(const void *p)
{
    return (uint32_t)__cvta_generic_to_shared(p);
}

// A barrier's phase ends when `count` have arrived and all bytes that it expects; phases begin at
// 0.
__device__ static inline void bar_init(uint64_t *bar, int count)
{
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(bar)), "r"(count)
                 : "memory");
}

// After the last bar_init(), before the threads meet.
__device__ static inline void bar_ready()
{
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

// Arrives, and more bytes are expected.
__device__ static inline void bar_expect(uint64_t *bar, int bytes)
{
    asm volatile(
        "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(bar)),
        "r"(bytes)
        : "memory");
}

__device__ static inline void bar_arrive(uint64_t *bar)
{
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(bar)) : "memory");
}

// At the same barrier of block `rank` of the cluster.
__device__ static inline void bar_arrive_at(uint64_t *bar, int rank)
{
    asm volatile("{\n.reg .b32 there;\nmapa.shared::cluster.u32 there, %0, %1;\n"
                 "mbarrier.arrive.shared::cluster.b64 _, [there];\n}" ::"r"(shared_address(bar)),
                 "r"(rank)
                 : "memory");
}

// Until the phase of this parity has ended.
__device__ static inline void bar_wait(uint64_t *bar, int parity)
{
    uint32_t done;

    do
        asm volatile("{\n.reg .pred p;\n"
                     "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
                     "selp.u32 %0, 1, 0, p;\n}"
                     : "=r"(done)
                     : "r"(shared_address(bar)), "r"(parity)
                     : "memory");
    while (!done);
}

// The same address in block `rank` of the cluster.
__device__ static inline uint32_t shared_address_of(const void *p, int rank)
{
    uint32_t at;

    asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(at) : "r"(shared_address(p)), "r"(rank));
    return at;
}

// v to shared memory of block `rank`, `at` bytes behind the same place as p is here; its barrier
// counts them.
__device__ static inline void send_to(void *p, int at, uint64_t *bar, int rank, float4 v)
{
    asm volatile("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v4.f32 [%0], "
                 "{%1, %2, %3, %4}, [%5];" ::"r"(shared_address_of(p, rank) + (uint32_t)at),
                 "f"(v.x), "f"(v.y), "f"(v.z), "f"(v.w), "r"(shared_address_of(bar, rank))
                 : "memory");
}

// Bytes, a multiple of 16, of global to shared memory. once: nobody reads them again, so others may
// stay in the cache.
__device__ static inline void bulk_copy(void *to, const void *from, int bytes, uint64_t *bar,
                                        bool once = false)
{
    if (once)
        asm volatile("{\n.reg .b64 first;\n"
                     "createpolicy.fractional.L2::evict_first.b64 first, 1.0;\n"
                     "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes"
                     ".L2::cache_hint [%0], [%1], %2, [%3], first;\n}" ::"r"(shared_address(to)),
                     "l"(__cvta_generic_to_global(from)), "r"(bytes), "r"(shared_address(bar))
                     : "memory");
    else
        asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes"
                     " [%0], [%1], %2, [%3];" ::"r"(shared_address(to)),
                     "l"(__cvta_generic_to_global(from)), "r"(bytes), "r"(shared_address(bar))
                     : "memory");
}

// Bytes, a multiple of 16, begin to move to the cache of all multiprocessors.
__device__ static inline void bulk_prefetch(const void *from, int bytes)
{
    asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(__cvta_generic_to_global(from)),
                 "r"(bytes)
                 : "memory");
}

// What this thread read of shared memory was there before anything that other blocks send once they
// have seen its warp arrive. An arrival by itself waits for no read.
__device__ static inline void reads_done()
{
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

// All threads of the cluster's blocks meet, after bar_ready().
__device__ static inline void cluster_begin()
{
    asm volatile("barrier.cluster.arrive.relaxed;\nbarrier.cluster.wait.acquire;" ::: "memory");
}

// This thread touches no other block's memory any more; and all threads of the cluster's blocks
// have said so.
__device__ static inline void cluster_leave()
{
    asm volatile("barrier.cluster.arrive.release;" ::: "memory");
}

__device__ static inline void cluster_end()
{
    asm volatile("barrier.cluster.wait.acquire;" ::: "memory");
}

// Registers of the threads of a group of four warps, from here on.
template <int N> __device__ static inline void registers_down()
{
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(N));
}

template <int N> __device__ static inline void registers_up()
{
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(N));
}

// Products are in groups as copies are: what they read and write is touched after
// wgmma_wait(), and wgmma_hold() of the sums.
__device__ static inline void wgmma_begin()
{
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

__device__ static inline void wgmma_commit()
{
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

template <int N> __device__ static inline void wgmma_wait()
{
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory");
}

__device__ static inline void wgmma_hold(float d[32])
{
#pragma unroll
    for (int i = 0; i < 32; i++)
        asm volatile("" : "+f"(d[i])::"memory");
}

// Where b lies in shared memory: matrices of 8 columns by 16 bytes, those of the next 8 columns
// right behind, those of the next 8 values of K `next` bytes on.
__device__ static inline uint64_t wgmma_place(const void *p, int next)
{
    return (uint64_t)(shared_address(p) >> 4 & 0x3fff) | (uint64_t)(next >> 4) << 16 |
           (uint64_t)(128 >> 4) << 32;
}

#define WGMMA_SUMS(how, i)                                                                \
    how(d[i]), how(d[i + 1]), how(d[i + 2]), how(d[i + 3]), how(d[i + 4]), how(d[i + 5]), \
        how(d[i + 6]), how(d[i + 7])
#define WGMMA(how, type, keep)                                                              \
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, " keep ", 0;\n"                          \
                 "wgmma.mma_async.sync.aligned.m64n64k16.f32." type "." type                \
                 " {%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19," \
                 "%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, {%32,%33,%34,%35}, "    \
                 "%36, p, 1, 1, 0;\n}"                                                      \
                 : WGMMA_SUMS(how, 0), WGMMA_SUMS(how, 8), WGMMA_SUMS(how, 16),             \
                   WGMMA_SUMS(how, 24)                                                      \
                 : "r"(a.x), "r"(a.y), "r"(a.z), "r"(a.w), "l"(b))
#define WGMMA_SETS(v) "=f"(v)
#define WGMMA_ADDS(v) "+f"(v)

// d = a b, or d += a b: 64 rows, 64 columns, K = 16. A warp has 16 rows; its a and d are those of
// mma_bf16(), d of eight tiles of columns one after the other.
template <bool BF16, bool FIRST>
__device__ static inline void wgmma_64(float d[32], uint4 a, uint64_t b)
{
    if (BF16 && FIRST)
        WGMMA(WGMMA_SETS, "bf16", "0");
    else if (BF16)
        WGMMA(WGMMA_ADDS, "bf16", "1");
    else if (FIRST)
        WGMMA(WGMMA_SETS, "f16", "0");
    else
        WGMMA(WGMMA_ADDS, "f16", "1");
}
#undef WGMMA
#undef WGMMA_SUMS
#undef WGMMA_SETS
#undef WGMMA_ADDS
#elif defined(__CUDACC__)
#define GPU_WGMMA 0

// In place of such code, elsewhere: an error rather than no result.
__device__ static inline void no_code()
{
#ifdef __CUDA_ARCH__
    __trap();
#endif
}
#else
#define GPU_WGMMA 1

static inline void bar_init(uint64_t *bar, int count)
{
    emu::bar_init(bar, count);
}

static inline void bar_ready()
{
}

static inline void bar_expect(uint64_t *bar, int bytes)
{
    emu::bar_arrive(bar, emu::cur->rank, bytes);
}

static inline void bar_arrive(uint64_t *bar)
{
    emu::bar_arrive(bar, emu::cur->rank, 0);
}

static inline void bar_arrive_at(uint64_t *bar, int rank)
{
    emu::bar_arrive(bar, (unsigned)rank, 0);
}

static inline void bar_wait(uint64_t *bar, int parity)
{
    emu::bar_wait(bar, (unsigned)parity);
}

static inline void send_to(void *p, int at, uint64_t *bar, int rank, float4 v)
{
    const float f[4] = {v.x, v.y, v.z, v.w};

    emu::send(static_cast<uint8_t *>(p) + at, bar, (unsigned)rank, f);
}

static inline void bulk_copy(void *to, const void *from, int bytes, uint64_t *bar, bool = false)
{
    emu::bulk_copy(to, from, (size_t)bytes, bar);
}

static inline void bulk_prefetch(const void *from, int bytes)
{
    emu::ask(from, (size_t)bytes, 16);
}

static inline void reads_done()
{
}

static inline void cluster_begin()
{
    emu::block_op(0, "cluster_sync", {"gpu_90a.h", 0});
}

static inline void cluster_leave()
{
}

static inline void cluster_end()
{
    emu::block_op(0, "cluster_sync", {"gpu_90a.h", 0});
}

template <int> static inline void registers_down()
{
}

template <int> static inline void registers_up()
{
}

static inline void wgmma_begin()
{
}

static inline void wgmma_commit()
{
}

template <int> static inline void wgmma_wait()
{
}

static inline void wgmma_hold(float *)
{
}

static inline uint64_t wgmma_place(const void *p, int next)
{
    return emu::shared_offset(p) >> 4 | (uint64_t)(next >> 4) << 16;
}

template <bool BF16, bool FIRST> static inline void wgmma_64(float d[32], uint4 a, uint64_t b)
{
    const uint32_t v[4] = {a.x, a.y, a.z, a.w};

    emu::wgmma_64(d, v, b, BF16, FIRST);
}
#endif
