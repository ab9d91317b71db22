// one.cuh - y = W x for one token, quantized weights: what the kernels of all types share.
//
// Weights are read once, and what counts is that memory is never without requests. K is cut into
// chunks, and the warps of a block take the chunks of its panels of 16 rows in turn, round and
// round. Each copies its weights (cp.async) into a ring of its own, some steps ahead and on into
// the next chunk and the next panel, and waits for no other warp but where sums are made: a warp
// makes the sums of its chunk's blocks, waits for the sum of the chunks before it (mbarrier), adds
// its own in order, and passes it on. So there is no pause between panels, and the order of the
// sums is the CPU's, whose bytes these are.
//
// All columns of a product on tensor cores are the one token, so that every lane has the sum of a
// row: lane / 4 + 8 (lane % 2), twice. Weights move while the kernel before this one ends; and the
// first of them that the rings have no room for are asked for as soon as it has.
//
// Of a type's struct F: TILES of a step, the unit that is copied, of SLOT bytes; STEPS of a chunk;
// LOW bytes of a tile in the plane of that name; SUMS of so many of the activations (16, 32) that
// it reads, or 0; and what the kernel calls.
#pragma once
#include "linear.cuh"
#include "pairs.cuh"

namespace
{

constexpr int ONE_BLOCKS = 2, ONE_RING = 80 << 10, // of a multiprocessor; bytes of a block, about
    ONE_AHEAD = 96 << 10;                          // bytes of a block that are asked for

template <class F> struct One {
    static constexpr int FIT = (ONE_RING / LINEAR_WARPS + F::SLOT / 2) / F::SLOT,
                         DEPTH = FIT < 2 ? 2 : FIT; // steps of a ring
    static constexpr int CHUNK = F::STEPS * F::TILES, RING = LINEAR_WARPS * DEPTH * F::SLOT;
};

// Bytes of the activations as blocks have them: without the sums that F does not read.
template <class F> __host__ __device__ inline size_t one_bytes(int cols, int block)
{
    const act_sizes z(1, cols, block);

    return z.values + z.scales + (F::SUMS == 16 ? z.s16 : F::SUMS == 32 ? z.s32 : 0);
}

// They are there when the block's threads, all of which come here, have met.
template <class F> __device__ inline struct cuda_act one_acts(uint8_t *own, struct cuda_act a)
{
    const act_sizes z(1, a.cols, a.block);
    const int first = (int)(z.values + z.scales), all = (int)one_bytes<F>(a.cols, a.block);
    const uint8_t *q = reinterpret_cast<const uint8_t *>(a.q),
                  *sums = reinterpret_cast<const uint8_t *>(F::SUMS == 16 ? a.s16 : a.s32);

#pragma unroll 4
    for (int i = 16 * (int)threadIdx.x; i < all; i += 16 * (int)blockDim.x)
        *reinterpret_cast<uint4 *>(own + i) =
            *reinterpret_cast<const uint4 *>(i < first ? q + i : sums + (i - first));
    a.q = reinterpret_cast<const int8_t *>(own);
    a.d = reinterpret_cast<const float *>(own + z.values);
    a.s16 = a.s32 = reinterpret_cast<const int16_t *>(own + first);
    return a;
}

// A warp's place in the panels of a block.
struct Place {
    int panel, chunk;

    __device__ inline void on(int by, int chunks)
    {
        chunk += by;
        while (chunk >= chunks) {
            chunk -= chunks;
            panel += (int)gridDim.x;
        }
    }
};

// A warp's loads, a step at a time.
template <class F> struct Loads {
    Place at;
    int step;

    // The next step's weights are on their way to `to`, which is the warp's.
    __device__ inline void next(const struct cuda_matrix &m, int tiles, int chunks, uint8_t *to,
                                int lane)
    {
        if (at.panel * 16 < m.rows) {
            const int tile = (at.chunk * F::STEPS + step) * F::TILES, n = tiles - tile;

            F::copy(to, m, (size_t)at.panel * tiles + tile, n, lane);
            if (++step == F::STEPS || n <= F::TILES) {
                step = 0;
                at.on(LINEAR_WARPS, chunks);
            }
        }
        cp_async_commit();
    }
};

// What follows, of a block's, begins to move.
template <class F>
__device__ inline void one_ahead(const struct cuda_matrix &m, int tiles, int chunks)
{
    constexpr int LINES = (One<F>::CHUNK * F::LOW + 127) / 128;

    for (int i = (int)threadIdx.x; i < ONE_AHEAD / 128; i += (int)blockDim.x) {
        Place p = {(int)blockIdx.x, One<F>::DEPTH * LINEAR_WARPS / F::STEPS + i / LINES};

        p.on(0, chunks);
        if (p.panel * 16 >= m.rows)
            break;
        prefetch(m.low + ((size_t)p.panel * tiles + p.chunk * One<F>::CHUNK) * F::LOW +
                 i % LINES * 128);
    }
}

// Shared memory: (LINEAR_WARPS, DEPTH, SLOT) weights; the activations.
template <class F>
__global__ void __launch_bounds__(32 * LINEAR_WARPS, ONE_BLOCKS)
    one(float *y, bool add, struct cuda_matrix m, struct cuda_act a)
{
    using P = One<F>;
    DYN_SHARED(uint8_t, shared);
    SHARED(uint64_t, turn, [LINEAR_WARPS]);
    SHARED(float, passed, [32]);
    const int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;
    const int tiles = F::tiles(m.cols), chunks = (tiles + P::CHUNK - 1) / P::CHUNK;
    uint8_t *ring = shared + warp * P::DEPTH * F::SLOT, *own = shared + P::RING;
    Place now = {(int)blockIdx.x, 0};
    Loads<F> loads;
    unsigned phase = 0;
    int slot = 0;

    now.on(warp, chunks);
    loads.at = now;
    loads.step = 0;
#pragma unroll 1
    for (int i = 0; i < P::DEPTH - 1; i++)
        loads.next(m, tiles, chunks, ring + i * F::SLOT, lane);
    if (lane == 0) {
        mbar_init(turn + warp);
        if (warp == 0)
            mbar_arrive(turn); // the first chunk waits for none
    }
    previous_done();
    one_ahead<F>(m, tiles, chunks);
    a = one_acts<F>(own, a);
    __syncthreads();
    for (; now.panel * 16 < m.rows; now.on(LINEAR_WARPS, chunks)) {
        const int tile0 = now.chunk * P::CHUNK;
        typename F::Part part;
        float sum = 0.0f;

#pragma unroll
        for (int s = 0; s < F::STEPS; s++) {
            const int tile = tile0 + s * F::TILES;

            if (tile < tiles) {
                cp_async_wait<P::DEPTH - 2>();
                __syncwarp(); // other lanes' copies are there, and the step before's are read
                loads.next(m, tiles, chunks, ring + (slot ? slot - 1 : P::DEPTH - 1) * F::SLOT,
                           lane);
                part.add(s, ring + slot * F::SLOT, a, tile, lane);
                slot = slot + 1 == P::DEPTH ? 0 : slot + 1;
            }
        }
        mbar_wait(turn + warp, phase);
        phase ^= 1;
        if (tile0)
            sum = passed_get(passed + lane);
        sum = part.join(sum, m, tile0);
        passed_put(passed + lane, sum);
        __syncwarp();
        if (lane == 0)
            mbar_arrive(turn + (warp + 1) % LINEAR_WARPS);
        if (tile0 + P::CHUNK < tiles)
            continue;
        const int row = matrix_row(&m, now.panel, lane / 4 + 8 * (lane % 2));
        if (m.bias && row < m.rows)
            sum = sum + m.bias[row];
        if (m.glu.y || m.turn.by) {
            const float other = __shfl_xor_sync(~0u, sum, 1);

            if (lane % 4 == 0 && m.glu.y)
                glu_put(m, sum, other, row, 0);
            else if (lane % 4 == 0)
                turn_put(m, y, 0, sum, other, row, 0);
        } else if (lane % 4 < 2 && row < m.rows) {
            put(y + m.row0 + row, sum, add);
        }
    }
    cp_async_wait<0>();
}

template <class F>
void one_launch(float *y, bool add, const struct cuda_matrix *m, const struct cuda_act *a, int sms,
                cudaStream_t s)
{
    const int panels = (m->rows + 15) / 16, slots = ONE_BLOCKS * sms;

    LAUNCH_EARLY(one<F>, (unsigned)(panels < slots ? panels : slots), 32 * LINEAR_WARPS,
                 One<F>::RING + one_bytes<F>(m->cols, a->block), s, y, add, *m, *a);
}

} // namespace
