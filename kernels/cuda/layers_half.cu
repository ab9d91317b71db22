// layers_half.cu - all layers of a token in one kernel (layers.cuh), weights in BF16 or F16.
//
// The product is half_few.cu's: an item is a segment of 512 values of K, which a warp sums up from
// zero on tensor cores; segments are added in order when a unit's are there. Tiles are 32 values.
//
// Variants: BF16 and F16, each with the four types of the cache. Of BF16, gate_up leaves what down
// multiplies with as activations; of F16 each block makes them of floats, whose largest scales all.
// Not measured yet.
#include "half_few.cuh"
#include "layers.cuh"

namespace
{

template <bool BF16> struct Half {
    static constexpr int BLOCK = 1, ITEM = HALF_SEGMENT / 32, PLACE = 4, SLOT = PLACE * 1024;

    static __host__ __device__ inline int tiles(int cols)
    {
        return (cols + 63) / 64 * 2;
    }
    // Sums of a panel that finish() adds up.
    static __host__ __device__ inline int parts(int segments)
    {
        return segments;
    }
    static __device__ inline void copy(uint8_t *to, const struct cuda_matrix &m, size_t tile, int n,
                                       uint64_t *full)
    {
        mbar_expect(full, n * 1024);
        bulk_copy(to, m.low + tile * 1024, n * 1024, full);
    }
    static __device__ inline void prefetch(const struct cuda_matrix &m, size_t tile, int n)
    {
        const int at = (int)threadIdx.x % 32 * 128;

        if (at < n * 1024)
            ::prefetch(m.low + tile * 1024 + at);
    }
    static __device__ inline void make(const struct cuda_act &a, const struct cuda_head &head,
                                       float *scratch)
    {
        head_make<0, !BF16>(a, head, scratch);
    }
    // Activations that are there in device memory.
    static __device__ inline const uint8_t *made(const struct cuda_act &a)
    {
        return a.h;
    }

    struct Turn {
        __device__ inline void open()
        {
        }
    };

    struct Part {
        float acc[4];

        __device__ inline void begin()
        {
#pragma unroll
            for (int i = 0; i < 4; i++)
                acc[i] = 0.0f;
        }
        // n tiles from `tile` on; the token is in column 0.
        __device__ inline void add(int, const uint8_t *w, const struct cuda_act &a, int tile, int n)
        {
            const int lane = (int)threadIdx.x % 32;
            const uint8_t *x = a.h + (size_t)tile * 64 + lane * 16;

#pragma unroll
            for (int k = 0; k < PLACE; k++)
                if (k < n) {
                    const uint4 w0 = *reinterpret_cast<const uint4 *>(w + k * 1024 + lane * 16),
                                w1 = *reinterpret_cast<const uint4 *>(w + k * 1024 + 512 +
                                                                      lane * 16);
                    uint4 b = make_uint4(0, 0, 0, 0);

                    if (lane < 4)
                        b = *reinterpret_cast<const uint4 *>(x + k * 64);
                    half_mma<BF16>(acc, w0, b.x, b.y);
                    half_mma<BF16>(acc, w1, b.z, b.w);
                }
        }
        __device__ inline void end(float *sums, int item, const Split &, const struct cuda_matrix &,
                                   Turn &)
        {
            const int lane = (int)threadIdx.x % 32;

            if (lane % 4 == 0) {
                sums[item * 16 + lane / 4] = acc[0];
                sums[item * 16 + lane / 4 + 8] = acc[2];
            }
        }
    };

    template <int TAIL>
    static __device__ inline void finish(float *y, bool add, const struct cuda_matrix &m,
                                         const struct cuda_act &a, const struct cuda_tail &tail,
                                         const float *sums, int unit, int segments)
    {
        half_finish<TAIL, 1>(y, m.rows, add, m, a, tail, sums, nullptr, unit, segments);
    }
};

} // namespace

bool cuda_layers_half_fit(const struct cuda_layers *l)
{
    return l->type == 30 ? layers_fit_kv<Half<true>>(l) : layers_fit_kv<Half<false>>(l);
}

void cuda_layers_half(const struct cuda_layers *l, int sms, cudaStream_t s)
{
    if (l->type == 30)
        layers_launch_kv<Half<true>>(l, sms, s);
    else
        layers_launch_kv<Half<false>>(l, sms, s);
}
