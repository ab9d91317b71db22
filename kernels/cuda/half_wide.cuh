// half_wide.cuh - what half_wide.cu's blocks do: their pieces of work, the ring of stages between
// the warps that copy and those that multiply, the products of a segment, and the sums of segments
// that blocks of a cluster took in turn.
#pragma once
#include "gpu_90a.h"
#include "half.h"
#include "pairs.cuh"

#ifndef HALF_WIDE // 1: code for sm_90a is in this build
#define HALF_WIDE 0
#endif

namespace
{

constexpr int SEGMENT = HALF_SEGMENT, STEP = 64, STEPS = SEGMENT / STEP; // values of K of a stage
constexpr int PANELS = 8, THREADS = 384, MOST_STAGES = 16;
constexpr int COPY = 4; // copies of a stage by a warp: two have its weights, two its activations
constexpr int ASK = 3;  // stages of weights
constexpr int BARRIERS = (2 * MOST_STAGES + 2 * PANELS) * 8; // bytes
constexpr int WIDE = 16; // tiles of tokens that stand side by side in time

__host__ __device__ inline int up(int n, int by)
{
    return (n + by - 1) / by;
}

// Where sums go: rows of the output, or whatever put_fragments() does with them.
enum { TO_ROWS, TO_PAIRS };

// Bytes of a stage of so many times 64 tokens, and of a segment's sums that blocks send each other.
__host__ __device__ constexpr int stage_bytes(int tiles)
{
    return PANELS * 2048 + tiles * 64 * STEP * 2;
}

__host__ __device__ constexpr int sums_bytes(int split)
{
    return split > 1 ? PANELS * 16 * 64 * 4 : 0;
}

// A block's 64 * TILES tokens; and the blocks of a cluster, which take segments of K in turn.
template <int T, int S> struct Shape {
    static constexpr int TILES = T, SPLIT = S;
    static constexpr int STAGE = stage_bytes(T), SUMS = sums_bytes(S);
    static_assert(T == 1 || S == 1, "sums are sent of 64 tokens");

    // Which of them a block is.
    __device__ static inline int part()
    {
        return S == 1 ? 0 : (int)blockIdx.x % S;
    }
};

// What there is to do, counted on the host, for registers are few: tiles along the tokens, all
// tiles, those of WIDE along the tokens; steps of K.
struct Work {
    int wide, tiles, group, steps;
};

// Where a piece starts: its panels, and tokens in tiles of 8.
struct Piece {
    int panel, tile;
};

// The pieces of a block.
template <class S> struct Walk {
    const struct Work &work;
    int piece;

    __device__ inline explicit Walk(const struct Work &work)
        : work(work), piece((int)blockIdx.x / S::SPLIT)
    {
    }
    __device__ inline Piece at() const
    {
        const int group = piece / work.group, i = piece % work.group,
                  width = min(WIDE, work.wide - group * WIDE);

        return {i / width * PANELS, (group * WIDE + i % width) * S::TILES * 8};
    }
    __device__ inline bool more() const
    {
        return piece < work.tiles;
    }
    __device__ inline bool last() const
    {
        return piece + (int)gridDim.x / S::SPLIT >= work.tiles;
    }
    __device__ inline void next()
    {
        piece += late((int)gridDim.x) / S::SPLIT; // not in a register all the while
    }
};

#if GPU_WGMMA
// What a block's warps share: where stages and their barriers are.
template <class S> struct Ring {
    uint64_t *full, *empty;
    uint8_t *stage;
    int stages;

    __device__ inline uint8_t *at(int slot) const
    {
        return stage + slot * S::STAGE;
    }
};

// Which half of a stage's weights, or of its activations, a warp copies.
__device__ inline int copies_from()
{
    return (int)threadIdx.x / 64 * COPY;
}

// A warp of weights: its lanes have a panel each. Weights are nobody's result. A copy takes its
// operands from registers that all lanes share, so lanes take turns, by the machine code some 70
// clocks each. One warp for all eight panels would have a stage take 750 then, which is what stages
// of 64 tokens took (bfa8cc9), of whose products tensor cores need 256.
template <class S>
__device__ inline void copy_weights(const Ring<S> &ring, int slot, const struct cuda_matrix &m,
                                    const struct Work &work, int panel, int k)
{
    const int lane = threadIdx.x % 32, own = copies_from() + lane,
              panels = min(COPY, max(0, up(m.rows, 16) - panel - copies_from()));

    if (lane == 0)
        bar_expect(ring.full + slot, panels * 2048);
    __syncwarp();
    if (lane < panels)
        bulk_copy(ring.at(slot) + own * 2048,
                  m.low + ((size_t)(panel + own) * work.steps + k) * 2048, 2048, ring.full + slot,
                  work.wide == 1);
}

// The ring is full of weights, and the first activations can come only when the kernel in front is
// over. While they do, memory has nothing else to do: the weights of stages from k on, for which
// there is no room yet, are asked for.
template <class S>
__device__ inline void ask_weights(const struct cuda_matrix &m, const struct Work &work, int panel,
                                   int k)
{
    const int own = panel + copies_from() + (int)threadIdx.x % 32,
              steps = min(ASK, min(work.steps - k, S::SPLIT > 1 ? STEPS - k % STEPS : ASK));

    previous_done();
    if ((int)threadIdx.x % 32 < COPY && own < up(m.rows, 16) && steps > 0)
        bulk_prefetch(m.low + ((size_t)own * work.steps + k) * 2048, steps * 2048);
}

// A warp of activations: its lanes have eight values of K each.
template <class S>
__device__ inline void copy_acts(const Ring<S> &ring, int slot, const struct cuda_act &a, int tile,
                                 int k)
{
    const int lane = threadIdx.x % 32, own = copies_from() + lane,
              bytes = min(64 * S::TILES, a.ld - tile * 8) * 16;
    uint8_t *to = ring.at(slot) + PANELS * 2048 + own * S::TILES * 1024;
    const uint8_t *from = a.h + ((size_t)(k * 8 + own) * a.ld + tile * 8) * 16;

    if (lane == 0)
        bar_expect(ring.full + slot, COPY * bytes);
    __syncwarp();
    if (lane < COPY)
        bulk_copy(to, from, bytes, ring.full + slot);
}

template <class S, bool WEIGHTS>
__device__ inline void produce(const Ring<S> &ring, const struct cuda_matrix &m,
                               const struct cuda_act &a, const struct Work &work)
{
    int slot = 0, parity = 1; // at first all stages are free
    bool few = work.wide == 1;

    for (Walk<S> w(work); w.more(); w.next()) {
        const Piece at = w.at();

        for (int k = S::part() * STEPS; k < work.steps; k++) {
            bar_wait(ring.empty + slot, parity);
            __syncwarp(); // a lane that has not seen it yet could miss it: a phase later it is over
            if (WEIGHTS)
                copy_weights(ring, slot, m, work, at.panel, k);
            else
                copy_acts(ring, slot, a, at.tile, k);
            if (++slot == ring.stages) {
                slot = 0;
                parity ^= 1;
            }
            if (S::SPLIT > 1 && k % STEPS == STEPS - 1)
                k += (S::SPLIT - 1) * STEPS; // the others' segments
            if (WEIGHTS && few && slot == 0) {
                ask_weights<S>(m, work, at.panel, k + 1);
                few = false;
            }
        }
    }
}

// A stage may be overwritten, as far as this warp goes.
template <class S> __device__ inline void release(const Ring<S> &ring, int slot)
{
    if (threadIdx.x % 32 == 0)
        bar_arrive(ring.empty + slot);
}

// A consumer's place in the ring.
struct Place {
    int slot, parity;

    __device__ inline void next(int stages)
    {
        if (++slot == stages) {
            slot = 0;
            parity ^= 1;
        }
    }
};

// A stage's products. FIRST: of a segment; else those of stage `used` may still run. They are in
// groups: while one runs, the weights of the next go to registers. A group of two steps of 16
// values takes half as many rounds of load, start and wait as one; with 192 tokens, where registers
// are few, a step has work enough to hide them. (Not all four steps: the registers of a stage's
// only group would be loaded anew while it reads them, and were, with other sums.)
template <bool BF16, class S, bool FIRST>
__device__ inline void multiply(const Ring<S> &ring, const Place &place, int used,
                                float acc[S::TILES][32])
{
    constexpr int TILES = S::TILES, GROUP = TILES == 3 ? 1 : 2;
    const int mine = threadIdx.x / 32 - 4, lane = threadIdx.x % 32;
    const uint8_t *at = ring.at(place.slot), *low = at + mine * 2048 + lane * 16;
    const uint64_t x = wgmma_place(at + PANELS * 2048, TILES * 1024);

    bar_wait(ring.full + place.slot, place.parity);
#pragma unroll
    for (int i = 0; i < STEP / 16; i += GROUP) {
        uint4 v[GROUP];

#pragma unroll
        for (int j = 0; j < GROUP; j++)
            v[j] = *reinterpret_cast<const uint4 *>(low + (i + j) * 512);
        wgmma_begin();
#pragma unroll
        for (int j = 0; j < GROUP; j++)
#pragma unroll
            for (int c = 0; c < TILES; c++)
                if (FIRST && i + j == 0)
                    wgmma_64<BF16, true>(acc[c], v[j], x + c * 64);
                else
                    wgmma_64<BF16, false>(acc[c], v[j], x + (i + j) * TILES * 128 + c * 64);
        wgmma_commit();
        wgmma_wait<1>();
        if (!FIRST && i == 0)
            release<S>(ring, used);
    }
}

// The sums of a segment of so many stages.
template <bool BF16, class S>
__device__ inline void segment(const Ring<S> &ring, Place &at, int stages, float acc[S::TILES][32])
{
    int used = at.slot;

    multiply<BF16, S, true>(ring, at, 0, acc);
    for (int k = 1; k < stages; k++) {
        at.next(ring.stages);
        multiply<BF16, S, false>(ring, at, used, acc);
        used = at.slot;
    }
    wgmma_wait<0>();
    release<S>(ring, used);
    at.next(ring.stages);
#pragma unroll
    for (int c = 0; c < S::TILES; c++)
        wgmma_hold(acc[c]);
}

// Segments in turn: a warp sends the sums of its segment, of eight tiles of eight tokens, to the
// warps of the same panel in the cluster's blocks, of which each adds up its tiles (those i with
// i % SPLIT its own), in ascending order of segments. come: what a round's sends have brought;
// taken: the blocks have added theirs, so the next may come.
template <class S> struct Rounds {
    static constexpr int OWN = 8 / S::SPLIT;
    uint8_t *sums; // (SPLIT, OWN, lane, 16 B)
    uint64_t *come, *taken;
    int parity;

    // tiles: those that there are; 0 of a block without a segment, which waits as the others do.
    __device__ inline void send(const float acc[32], int tiles) const
    {
        const int at = S::part() * OWN * 512 + (int)threadIdx.x % 32 * 16;

        bar_wait(taken, parity ^ 1);
#pragma unroll
        for (int i = 0; i < 8; i++)
            if (i < tiles)
                send_to(sums, at + i / S::SPLIT * 512, come, i % S::SPLIT,
                        make_float4(acc[4 * i], acc[4 * i + 1], acc[4 * i + 2], acc[4 * i + 3]));
    }
    // Of the first `parts` blocks; own: how many tiles are.
    __device__ inline void add(float sum[OWN][4], int parts, int own)
    {
        const int lane = (int)threadIdx.x % 32;

        if (lane == 0)
            bar_expect(come, parts * own * 512);
        bar_wait(come, parity);
#pragma unroll
        for (int p = 0; p < S::SPLIT; p++)
#pragma unroll
            for (int j = 0; j < OWN; j++)
                if (p < parts && j < own) {
                    const float4 v =
                        *reinterpret_cast<const float4 *>(sums + ((p * OWN + j) * 32 + lane) * 16);

                    sum[j][0] += v.x;
                    sum[j][1] += v.y;
                    sum[j][2] += v.z;
                    sum[j][3] += v.w;
                }
        reads_done();
        __syncwarp();
        if (lane < S::SPLIT)
            bar_arrive_at(taken, lane);
        parity ^= 1;
    }
};
#endif

} // namespace
