// few.cuh - y = W x for one to eight tokens, quantized weights: what the kernels of all types
// share.
//
// Weights are read once, and what counts is that memory is never without requests. K is cut into
// chunks, and the warps of a block take the chunks of its panels of 16 rows in turn, round and
// round. Each copies its weights (cp.async) into a ring of its own, some steps ahead and on into
// the next chunk and the next panel, and waits for no other warp but where sums are made: a warp
// makes the sums of its chunk's blocks, waits for the sums of the chunks before it (mbarrier), adds
// its own in order, and passes them on. So there is no pause between panels, and the order of the
// sums is the CPU's, whose bytes these are.
//
// Columns of a product on tensor cores are tokens. Of two to eight, a lane has four sums: rows
// lane / 4 and eight below, tokens 2 (lane % 4) and the next; their activations come from device
// memory, or the cache near the multiprocessor. Of one token, which then is all columns, a lane
// has the sum of a row, lane / 4 + 8 (lane % 2), twice; activations are in shared memory. Weights
// move while the kernel before this one ends. (Asking for those that the rings have no room for, as
// soon as it has, cost 1 to 3 us a product: activations then wait for them.)
//
// Of a type's struct F: Share, what a lane has; TILES of a step, the unit that is copied, of SLOT
// bytes; STEPS of a chunk; LOW bytes of a tile in the plane of that name; SUMS of so many of the
// activations (16, 32) that it reads, or 0; and what the kernel calls.
#pragma once
#include "linear.cuh"
#include "pairs.cuh"

namespace
{

constexpr int FEW_BLOCKS = 2, FEW_COLS = 8; // of a multiprocessor; tokens at most

// What a lane has of a panel's sums: value i is of row lane / 4 + below(i) and token(i).
template <bool ONE> struct Share {
    static constexpr int ROWS = ONE ? 1 : 2, TOKENS = ONE ? 1 : 2, ALL = ROWS * TOKENS;
    static constexpr int LD = ONE ? 1 : FEW_COLS;          // of the activations' arrays
    static constexpr int RING = ONE ? 80 << 10 : 48 << 10; // bytes of a block, about

    // How far below row lane / 4 its row r is; its first token.
    static __device__ inline int below(int r, int lane)
    {
        return 8 * (ONE ? lane % 2 : r);
    }
    static __device__ inline int token(int lane)
    {
        return ONE ? 0 : lane % 4 * 2;
    }
    // Its value i of a product on tensor cores.
    static __device__ inline int of(const int v[4], int i, int lane)
    {
        return !ONE ? v[i] : lane % 2 ? v[2] : v[0];
    }
    // Its 16 bytes of the activations of a tile of 64 values.
    static __device__ inline uint4 acts(const struct cuda_act &a, int tile, int lane)
    {
        const int8_t *q = a.q + (size_t)tile * LD * 64 + (ONE ? lane % 4 : lane) * 16;

        return ONE || tile * 64 < a.cols ? *reinterpret_cast<const uint4 *>(q)
                                         : make_uint4(0, 0, 0, 0);
    }
    // Scales of block `at` of its tokens' activations.
    static __device__ inline void scales(float d[TOKENS], const struct cuda_act &a, int at,
                                         int lane)
    {
        if constexpr (ONE) {
            d[0] = a.d[at];
        } else {
            const float2 v = *reinterpret_cast<const float2 *>(a.d + (size_t)at * LD + token(lane));

            d[0] = v.x;
            d[1] = v.y;
        }
    }
};

template <class F> struct Few {
    static constexpr int PART = F::Share::RING / LINEAR_WARPS, FIT = (PART + F::SLOT / 2) / F::SLOT,
                         DEPTH = FIT < 2 ? 2 : FIT; // steps of a ring
    static constexpr int CHUNK = F::STEPS * F::TILES, RING = LINEAR_WARPS * DEPTH * F::SLOT;
};

// Bytes of one token's activations as blocks have them: without the sums that F does not read.
template <class F> __host__ __device__ inline size_t few_bytes(int cols, int block)
{
    const act_sizes z(1, cols, block);

    return z.values + z.scales + (F::SUMS == 16 ? z.s16 : F::SUMS == 32 ? z.s32 : 0);
}

// They are there when the block's threads, all of which come here, have met.
template <class F> __device__ inline struct cuda_act few_acts(uint8_t *own, struct cuda_act a)
{
    const act_sizes z(1, a.cols, a.block);
    const int first = (int)(z.values + z.scales), all = (int)few_bytes<F>(a.cols, a.block);
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

// v: of rows lane / 4 and eight below, of each token that the lane has, of n.
template <int TOKENS>
__device__ inline void few_put(float *y, int ldy, bool add, const struct cuda_matrix &m,
                               float v[2][TOKENS], int panel, int n, int token)
{
    const int g = late((int)threadIdx.x) % 32 / 4,
              row[2] = {matrix_row(&m, panel, g), matrix_row(&m, panel, g + 8)};

#pragma unroll
    for (int r = 0; r < 2; r++)
        if (m.bias && row[r] < m.rows)
#pragma unroll
            for (int t = 0; t < TOKENS; t++)
                v[r][t] = v[r][t] + m.bias[row[r]];
#pragma unroll
    for (int t = 0; t < TOKENS; t++) {
        if (token + t >= n)
            break;
        if (m.glu.y)
            glu_put(m, v[0][t], v[1][t], row[0], token + t);
        else if (m.turn.by)
            turn_put(m, y, ldy, v[0][t], v[1][t], row[0], token + t);
        else
            for (int r = 0; r < 2; r++)
                if (row[r] < m.rows)
                    put(y + (size_t)(token + t) * ldy + m.row0 + row[r], v[r][t], add);
    }
}

// Shared memory: (LINEAR_WARPS, DEPTH, SLOT) weights; the activations of one token.
template <class F>
__global__ void __launch_bounds__(32 * LINEAR_WARPS, FEW_BLOCKS)
    few(float *y, int ldy, bool add, struct cuda_matrix m, struct cuda_act a)
{
    using P = Few<F>;
    using S = typename F::Share;
    DYN_SHARED(uint8_t, shared);
    SHARED(uint64_t, turn, [LINEAR_WARPS]);
    SHARED(float, passed, [S::ALL][32]);
    const int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;
    const int tiles = F::tiles(m.cols), chunks = (tiles + P::CHUNK - 1) / P::CHUNK;
    uint8_t *ring = shared + warp * P::DEPTH * F::SLOT;
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
    if (S::LD == 1)
        a = few_acts<F>(shared + P::RING, a);
    __syncthreads();
    for (; now.panel * 16 < m.rows; now.on(LINEAR_WARPS, chunks)) {
        const int tile0 = now.chunk * P::CHUNK;
        typename F::Part part;
        float sum[S::ALL] = {};

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
#pragma unroll
            for (int i = 0; i < S::ALL; i++)
                sum[i] = passed_get(passed[i] + lane);
        part.join(sum, m, tile0);
#pragma unroll
        for (int i = 0; i < S::ALL; i++)
            passed_put(passed[i] + lane, sum[i]);
        __syncwarp();
        if (lane == 0)
            mbar_arrive(turn + (warp + 1) % LINEAR_WARPS);
        if (tile0 + P::CHUNK < tiles)
            continue;
        if constexpr (S::LD == 1) {
            float v[2][1] = {{sum[0]}, {__shfl_xor_sync(~0u, sum[0], 1)}};

            if (late((int)threadIdx.x) % 4 == 0)
                few_put<1>(y, ldy, add, m, v, now.panel, 1, 0);
        } else {
            float v[2][2] = {{sum[0], sum[1]}, {sum[2], sum[3]}};

            few_put<2>(y, ldy, add, m, v, now.panel, a.n, S::token(lane));
        }
    }
    cp_async_wait<0>();
}

template <class F>
void few_launch(float *y, int ldy, bool add, const struct cuda_matrix *m, const struct cuda_act *a,
                int sms, cudaStream_t s)
{
    const int panels = (m->rows + 15) / 16, slots = FEW_BLOCKS * sms;
    const size_t own = F::Share::LD == 1 ? few_bytes<F>(m->cols, a->block) : 0;

    LAUNCH_EARLY(few<F>, (unsigned)(panels < slots ? panels : slots), 32 * LINEAR_WARPS,
                 shared_of(FEW_BLOCKS, Few<F>::RING + own), s, y, ldy, add, *m, *a);
}

} // namespace
