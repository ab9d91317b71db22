/* kv.cuh - values of the cache: where they lie, how many bits they have.
 *
 * A type of value is a struct: its bytes, whether it is half floats, put(), which rounds a float to
 * it, and get(), which reads N neighbours out of whole words. Reading is exact. A further type is a
 * further struct and a line in KV_TYPES. */
#ifndef KV_CUH
#define KV_CUH

#include "cuda.h"
#include "gpu.h"
#include "num.h"

#include <string.h>

namespace
{

/* BYTES of device memory in registers: 1, 2, 4, 8 or a multiple of 16. */
template <int BYTES> struct kv_raw {
    uint32_t w[(BYTES + 3) / 4];
};

/* By the widest loads there are; p is aligned to them. Not by way of the constant path (__ldg): a
 * kernel may begin while the one before it appends to the cache. */
template <int BYTES> __device__ inline kv_raw<BYTES> kv_load(const unsigned char *p)
{
    kv_raw<BYTES> r;

    if constexpr (BYTES == 1) {
        r.w[0] = *p;
    } else if constexpr (BYTES == 2) {
        r.w[0] = *reinterpret_cast<const uint16_t *>(p);
    } else if constexpr (BYTES == 4) {
        r.w[0] = *reinterpret_cast<const uint32_t *>(p);
    } else if constexpr (BYTES == 8) {
        uint2 v = *reinterpret_cast<const uint2 *>(p);

        r.w[0] = v.x;
        r.w[1] = v.y;
    } else {
#pragma unroll
        for (int i = 0; i < BYTES / 16; i++) {
            uint4 v = reinterpret_cast<const uint4 *>(p)[i];

            r.w[4 * i] = v.x;
            r.w[4 * i + 1] = v.y;
            r.w[4 * i + 2] = v.z;
            r.w[4 * i + 3] = v.w;
        }
    }
    return r;
}

struct kv_f32 {
    enum { BYTES = 4, HALF = 0 };
    typedef float value;
    static __device__ inline value put(float x)
    {
        return x;
    }
    template <int N> static __device__ inline void get(float (&x)[N], const kv_raw<4 * N> &r)
    {
#pragma unroll
        for (int i = 0; i < N; i++)
            x[i] = num_float(r.w[i]);
    }
};

struct kv_f16 {
    enum { BYTES = 2, HALF = 1 };
    typedef uint16_t value;
    static __device__ inline value put(float x)
    {
        return __half_as_ushort(__float2half_rn(x));
    }
    template <int N> static __device__ inline void get(float (&x)[N], const kv_raw<2 * N> &r)
    {
#pragma unroll
        for (int i = 0; i < N; i++) {
            __half_raw h;

            h.x = (unsigned short)(r.w[i / 2] >> (i % 2 ? 16 : 0));
            x[i] = __half2float(h);
        }
    }
};

struct kv_bf16 {
    enum { BYTES = 2, HALF = 0 };
    typedef uint16_t value;
    static __device__ inline value put(float x)
    {
        return __bfloat16_as_ushort(__float2bfloat16_rn(x));
    }
    template <int N> static __device__ inline void get(float (&x)[N], const kv_raw<2 * N> &r)
    {
#pragma unroll
        for (int i = 0; i < N; i++)
            x[i] = num_float(i % 2 ? r.w[i / 2] & 0xffff0000u : r.w[i / 2] << 16);
    }
};

/* E4M3; what is larger than 448 becomes that. */
struct kv_fp8 {
    enum { BYTES = 1, HALF = 0 };
    typedef uint8_t value;
    static __device__ inline value put(float x)
    {
        return __nv_cvt_float_to_fp8(x, __NV_SATFINITE, __NV_E4M3);
    }
    template <int N> static __device__ inline void get(float (&x)[N], const kv_raw<N> &r)
    {
        __half_raw h;

#pragma unroll
        for (int i = 0; i + 2 <= N; i += 2) {
            __half2_raw p = __nv_cvt_fp8x2_to_halfraw2(
                (__nv_fp8x2_storage_t)(r.w[i / 4] >> (i % 4 ? 16 : 0)), __NV_E4M3);

            h.x = p.x;
            x[i] = __half2float(h);
            h.x = p.y;
            x[i + 1] = __half2float(h);
        }
        if (N % 2) {
            h = __nv_cvt_fp8_to_halfraw((__nv_fp8_storage_t)r.w[0], __NV_E4M3);
            x[N - 1] = __half2float(h);
        }
    }
};

/* DO(enum cuda_kv_type, struct) for each type; for those that tensor cores can take. */
#define KV_SMALL(DO)          \
    DO(CUDA_KV_F16, kv_f16)   \
    DO(CUDA_KV_BF16, kv_bf16) \
    DO(CUDA_KV_FP8, kv_fp8)
#define KV_TYPES(DO)        \
    DO(CUDA_KV_F32, kv_f32) \
    KV_SMALL(DO)

inline size_t kv_bytes(int type)
{
    const size_t bytes[CUDA_KV_TYPES] = {4, 2, 2, 1};

    return bytes[type];
}

/* The pages of one layer. */
inline unsigned char *kv_layer(const struct cuda_kv *kv, int layer)
{
    size_t page = 2 * (size_t)kv->n_kv_heads * CUDA_PAGE * (size_t)kv->head_dim;

    return (unsigned char *)kv->data +
           (size_t)layer * (size_t)kv->n_pages * page * kv_bytes(kv->type);
}

/* Where keys (0) or values (1) of a KV head begin in a page of a layer, in values. */
__device__ inline size_t kv_at(int page, int head, int which, int n_kv_heads, int head_dim)
{
    return (((size_t)page * (size_t)n_kv_heads + (size_t)head) * 2 + (size_t)which) * CUDA_PAGE *
           (size_t)head_dim;
}

} // namespace

#endif
