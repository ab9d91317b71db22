// layers_one.cu - all layers of a token in one kernel (layers.cuh), weights in Q8_0, Q4_0 or Q4_K;
// and which kernel it is.
//
// The product is that of one.cu and one_k.cu: an item is a chunk of K; a warp makes the sums of its
// blocks, waits for the sum of the chunks before it, which the warp before it has, adds its own in
// order and passes it on. That goes on from panel to panel and from product to product.
//
// Variants: Q8_0, Q4_0, Q4_K, each with the four types of the cache; of other types layers take the
// way of queue.c. Not measured yet.
#include "layers.cuh"
#include "one_blocks.cuh"
#include "one_supers.cuh"

namespace
{

template <class F, int BLOCK_> struct Chunks {
    static constexpr int BLOCK = BLOCK_, PLACE = F::TILES, ITEM = F::STEPS * F::TILES,
                         SLOT = F::SLOT;

    static __host__ __device__ inline int tiles(int cols)
    {
        return F::tiles(cols);
    }
    static __host__ __device__ inline int parts(int)
    {
        return 1;
    }
    static __device__ inline void copy(uint8_t *to, const struct cuda_matrix &m, size_t tile, int n,
                                       uint64_t *full)
    {
        F::bulk(to, m, tile, n, full);
    }
    // But for scales.
    static __device__ inline void prefetch(const struct cuda_matrix &m, size_t tile, int n)
    {
        for (int at = (int)threadIdx.x % 32 * 128; at < n * F::LOW; at += 32 * 128)
            ::prefetch(m.low + tile * F::LOW + at);
    }
    static __device__ inline void make(const struct cuda_act &a, const struct cuda_head &head,
                                       float *scratch)
    {
        head_make<0, false>(a, head, scratch);
    }
    static __device__ inline const uint8_t *made(const struct cuda_act &a)
    {
        return reinterpret_cast<const uint8_t *>(a.q);
    }

    // A sum on its way from warp to warp.
    struct Turn {
        uint64_t *turn;
        float *passed;
        unsigned phase;

        __device__ inline void open()
        {
            SHARED(uint64_t, turns, [LAYERS_WARPS]);
            SHARED(float, sum, [32]);
            const int warp = (int)threadIdx.x / 32;

            turn = turns;
            passed = sum;
            phase = 0;
            if (threadIdx.x % 32 == 0) {
                mbar_init(turns + warp);
                if (warp == 0)
                    mbar_arrive(turns); // the first chunk waits for none
            }
            __syncthreads();
        }
    };

    struct Part {
        typename F::Part part;
        int tile0;

        __device__ inline void begin()
        {
        }
        __device__ inline void add(int k, const uint8_t *w, const struct cuda_act &a, int tile, int)
        {
            if (k == 0)
                tile0 = tile;
            part.add(k, w, a, tile, (int)threadIdx.x % 32);
        }
        __device__ inline void end(float *sums, int item, const Split &s,
                                   const struct cuda_matrix &m, Turn &t)
        {
            const int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;
            float sum = 0.0f;

            mbar_wait(t.turn + warp, t.phase);
            t.phase ^= 1;
            if (tile0)
                sum = passed_get(t.passed + lane);
            sum = part.join(sum, m, tile0);
            passed_put(t.passed + lane, sum);
            __syncwarp();
            if (lane == 0)
                mbar_arrive(t.turn + (warp + 1) % LAYERS_WARPS);
            if (tile0 + ITEM >= s.tiles && lane % 4 < 2)
                sums[item / s.segments * 16 + lane / 4 + 8 * (lane % 2)] = sum;
        }
    };

    template <int TAIL>
    static __device__ inline void finish(float *y, bool add, const struct cuda_matrix &m,
                                         const struct cuda_act &, const struct cuda_tail &tail,
                                         const float *sums, int unit, int)
    {
        const int row = (int)threadIdx.x;
        float v[2];

#pragma unroll
        for (int i = 0; i < (TAIL ? 2 : 1); i++) {
            const int r = tail_panel(tail, m.rows, unit, i) * 16 + row;

            v[i] = m.bias ? sums[i * 16 + row] + m.bias[r] : sums[i * 16 + row];
            if (!TAIL)
                put(y + r, v[i], add);
        }
        if (TAIL)
            tail_glu(tail, y, m.rows, m.rows, unit, row, 0, 1, v);
    }
};

using Q8_0 = Chunks<Blocks<8, 0, 0, 32, false>, 32>;
using Q4_0 = Chunks<Blocks<4, 0, 0, 32, false>, 32>;
using Q4_K = Chunks<Supers<4, 0, 32, true>, 256>;

} // namespace

bool cuda_layers_one_fit(const struct cuda_layers *l)
{
    return l->type == 8    ? layers_fit_kv<Q8_0>(l)
           : l->type == 2  ? layers_fit_kv<Q4_0>(l)
           : l->type == 12 ? layers_fit_kv<Q4_K>(l)
                           : false;
}

void cuda_layers_one(const struct cuda_layers *l, int sms, cudaStream_t s)
{
    if (l->type == 8)
        layers_launch_kv<Q8_0>(l, sms, s);
    else if (l->type == 2)
        layers_launch_kv<Q4_0>(l, sms, s);
    else
        layers_launch_kv<Q4_K>(l, sms, s);
}

void *cuda_layer_pages(const struct cuda_kv *kv, int layer)
{
    return kv_layer(kv, layer);
}

bool cuda_layers_fit(const struct cuda_layers *l, int sms)
{
    if (!gpu_can_start_early() || sms < 1)
        return false;
    return l->type == 1 || l->type == 30 ? cuda_layers_half_fit(l) : cuda_layers_one_fit(l);
}

void cuda_layers_run(const struct cuda_layers *l, int sms, cudaStream_t s)
{
    if (l->type == 1 || l->type == 30)
        cuda_layers_half(l, sms, s);
    else
        cuda_layers_one(l, sms, s);
}
