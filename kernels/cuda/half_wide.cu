// half_wide.cu - half.cu's products by groups of four warps (wgmma), on GPUs that have them: the
// same sums in the same order, so its twin is half.cu's kernel, byte for byte.
//
// A block of three groups: two warps of one copy weights and activations into a ring of
// stages, 64 values of K each; the others multiply, each 64 rows (four panels) by up to 192 tokens.
// Weights lie in the order of fragments and go through registers; activations are read where they
// are. A lane keeps the sums of a segment, and those of segments before it. Barriers count what has
// come and what may be overwritten, so copies run ahead, into the next piece too: a block takes
// pieces (tile, some segments) one after the other. Two blocks may be a cluster: they have panels
// of their own and the same tokens, of which each copies half into both.
//
//     stage    (8 panels, 64 / 16, 512 B) weights, (64 / 8, tokens, 16 B) activations
//     shared   barriers: full (16), empty (16); then stages
//
// Measured on an H200 (2026-11-26), 8B shapes, microseconds a product and TFLOP/s:
//
//     tokens          qkv            o      gate_up         down
//         64    21.5   150   15.6  138   65.7   229   48.3   156
//        128    28.9   223   20.9  205   70.4   427   64.5   233
//        256    31.1   414   28.4  302    119   506   84.7   355
//        512    58.8   438   32.9  522    215   559   97.8   615
//       2048     153   674    115  595    775   620    355   677
//
// Blocks of 192 tokens need the registers of a lane for their sums; the warps that copy do with 24.
#include "glu.cuh"
#include "gpu_90a.h"
#include "half.cuh"
#include "half.h"

#ifndef HALF_WIDE // 1: code for sm_90a is in this build
#define HALF_WIDE 0
#endif

namespace
{

constexpr int SEGMENT = HALF_SEGMENT, STEP = 64, STEPS = SEGMENT / STEP; // values of K of a stage
constexpr int PANELS = 8, THREADS = 384, MOST_STAGES = 16, BARRIERS = 2 * MOST_STAGES * 8;
constexpr int SHARED_RING = 160 << 10; // bytes, where blocks share K: more are slower, by a tenth
constexpr int WIDE = 16;               // tiles of tokens that stand side by side in time

__host__ __device__ inline int up(int n, int by)
{
    return (n + by - 1) / by;
}

// Where sums go: rows of the output, parts that a join adds up, or pairs of rows.
enum { TO_ROWS, TO_PART, TO_PAIRS };

// tiles of 64 tokens; panels and steps of K.
template <int TILES> __host__ __device__ constexpr int stage_bytes()
{
    return PANELS * 2048 + TILES * 64 * STEP * 2;
}

// What there is to do, counted on the host, for registers are few: tiles along the tokens, all
// tiles, those of WIDE along the tokens; steps of K, and those of a piece.
struct Work {
    int wide, tiles, group, steps, turn;
};

// Where a piece starts: its panels, and tokens in tiles of 8.
struct Piece {
    int panel, tile;
};

// The pieces of a block.
template <int TILES, int ACROSS> struct Walk {
    const struct Work &work;
    int piece;

    __device__ inline explicit Walk(const struct Work &work)
        : work(work), piece((int)blockIdx.x / ACROSS)
    {
    }
    __device__ inline Piece at() const
    {
        const int at = piece % work.tiles, group = at / work.group, i = at % work.group,
                  width = min(WIDE, work.wide - group * WIDE);

        return {(i / width * ACROSS + (int)blockIdx.x % ACROSS) * PANELS,
                (group * WIDE + i % width) * TILES * 8};
    }
    __device__ inline int first() const
    {
        return piece / work.tiles * work.turn;
    }
    __device__ inline int end() const
    {
        return min(first() + work.turn, work.steps);
    }
    __device__ inline bool more() const
    {
        return first() < work.steps;
    }
    __device__ inline void next()
    {
        piece += (int)gridDim.x / ACROSS;
    }
};

#if GPU_WGMMA
// What a block's warps share: where stages and their barriers are.
template <int TILES> struct Ring {
    uint64_t *full, *empty;
    uint8_t *stage;
    int stages;

    __device__ inline uint8_t *at(int slot) const
    {
        return stage + slot * stage_bytes<TILES>();
    }
};

// The warp of weights: lanes 0 to 7 have a panel each. Weights are nobody's result.
template <int TILES>
__device__ inline void copy_weights(const Ring<TILES> &ring, int slot, const struct cuda_matrix &m,
                                    const struct Work &work, int panel, int k)
{
    const int lane = threadIdx.x % 32, panels = min(PANELS, max(0, up(m.rows, 16) - panel));

    if (lane == 0)
        bar_expect(ring.full + slot, panels * 2048);
    __syncwarp();
    if (lane < panels)
        bulk_copy<false>(ring.at(slot) + lane * 2048,
                         m.low + ((size_t)(panel + lane) * work.steps + k) * 2048, 2048,
                         ring.full + slot, work.wide == 1);
}

// The warp of activations: lanes 0 to 7 have eight values of K each; of blocks that share tokens,
// every other one.
template <int TILES, int ACROSS>
__device__ inline void copy_acts(const Ring<TILES> &ring, int slot, const struct cuda_act &a,
                                 int tile, int k)
{
    const int lane = threadIdx.x % 32, bytes = min(64 * TILES, a.ld - tile * 8) * 16;

    if (lane == 0)
        bar_expect(ring.full + slot, 8 * bytes);
    __syncwarp();
    if (lane < 8 && lane % ACROSS == (int)blockIdx.x % ACROSS)
        bulk_copy<ACROSS == 2>(ring.at(slot) + PANELS * 2048 + lane * TILES * 1024,
                               a.h + ((size_t)(k * 8 + lane) * a.ld + tile * 8) * 16, bytes,
                               ring.full + slot);
}

template <int TILES, int ACROSS, bool WEIGHTS>
__device__ inline void produce(const Ring<TILES> &ring, const struct cuda_matrix &m,
                               const struct cuda_act &a, const struct Work &work)
{
    int slot = 0, parity = 1; // at first all stages are free

    for (Walk<TILES, ACROSS> w(work); w.more(); w.next()) {
        const Piece at = w.at();
        const int end = w.end();

        for (int k = w.first(); k < end; k++) {
            bar_wait(ring.empty + slot, parity);
            __syncwarp(); // a lane that has not seen it yet could miss it: a phase later it is over
            if (WEIGHTS)
                copy_weights(ring, slot, m, work, at.panel, k);
            else
                copy_acts<TILES, ACROSS>(ring, slot, a, at.tile, k);
            if (++slot == ring.stages) {
                slot = 0;
                parity ^= 1;
            }
        }
    }
}

// A stage may be overwritten, as far as this warp goes.
template <int TILES, int ACROSS> __device__ inline void release(const Ring<TILES> &ring, int slot)
{
    if (threadIdx.x % 32)
        return;
    if (ACROSS == 1)
        bar_arrive(ring.empty + slot);
    else
        for (int i = 0; i < ACROSS; i++)
            bar_arrive_at(ring.empty + slot, i);
}

// Sums of 64 tokens. WHOLE: all are there, and all rows.
template <bool WHOLE>
__device__ inline void store(float *y, int ldy, bool add, const struct cuda_matrix &m,
                             const struct cuda_act &a, const float sum[32], int panel, int tile)
{
    const int lane = late(threadIdx.x % 32), row = panel * 16 + lane / 4,
              col0 = tile * 8 + lane % 4 * 2;
    const bool there[2] = {WHOLE || row < m.rows, WHOLE || row + 8 < m.rows};
    const float *scale = a.scale + col0;
    float bias[2];

#pragma unroll
    for (int h = 0; h < 2; h++)
        bias[h] = m.bias && there[h] ? m.bias[row + 8 * h] : 0.0f;
    y += (size_t)col0 * ldy + m.row0 + row;
#pragma unroll
    for (int c = 0; c < 8; c += 4) { // what is read, then what is written
        float *from = y;
        float2 by[4];
        float old[16];

#pragma unroll
        for (int i = 0; i < 4; i++)
            if (WHOLE || col0 + (c + i) * 8 < a.n)
                by[i] = *reinterpret_cast<const float2 *>(scale + (c + i) * 8);
        if (add)
#pragma unroll
            for (int i = 0; i < 16; i++) {
                if ((WHOLE || col0 + (c + i / 4) * 8 + i % 2 < a.n) && there[i % 4 / 2])
                    old[i] = from[(i % 2 ? ldy : 0) + i % 4 / 2 * 8];
                if (i % 4 == 3)
                    from += 8 * (size_t)ldy;
            }
#pragma unroll
        for (int i = 0; i < 16; i++) {
            float v = sum[c * 4 + i] * (i % 2 ? by[i / 4].y : by[i / 4].x);

            v = m.bias ? v + bias[i % 4 / 2] : v;
            v = add ? old[i] + v : v;
            if ((WHOLE || col0 + (c + i / 4) * 8 + i % 2 < a.n) && there[i % 4 / 2])
                y[(i % 2 ? ldy : 0) + i % 4 / 2 * 8] = v;
            if (i % 4 == 3)
                y += 8 * (size_t)ldy;
        }
    }
}

// Sums of all the tokens, whose rows stand in pairs.
template <bool BF16, int TILES>
__device__ inline void store_pairs(float *y, int ldy, bool add, const struct cuda_matrix &m,
                                   const struct cuda_act &a, float sum[TILES][32], int panel,
                                   int tile)
{
    if (panel * 16 >= m.rows)
        return;
#pragma unroll 1
    for (int c = 0; c < TILES; c++, tile += 8) {
        const int col = tile * 8 + (int)threadIdx.x % 4 * 2;

        put_fragments<8>(m, y, ldy, add, reinterpret_cast<const float(*)[4]>(sum[0]),
                         BF16 ? nullptr : a.scale, panel, a.n, // BF16's scales are 1
                         [&](int i) { return col + 8 * i; });
#pragma unroll
        for (int i = 0; i < 32 * (TILES - 1); i++)
            sum[i / 32][i % 32] = sum[i / 32 + 1][i % 32];
    }
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
// values takes half as many turns of load, start and wait as one; with 192 tokens, where registers
// are few, a step has work enough to hide them.
template <bool BF16, int TILES, int ACROSS, bool FIRST>
__device__ inline void multiply(const Ring<TILES> &ring, const Place &place, int used,
                                float acc[TILES][32])
{
    constexpr int GROUP = TILES == 3 ? 1 : 2;
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
            release<TILES, ACROSS>(ring, used);
    }
}

// The sums of a segment of so many stages.
template <bool BF16, int TILES, int ACROSS>
__device__ inline void segment(const Ring<TILES> &ring, Place &at, int stages, float acc[TILES][32])
{
    int used = at.slot;

    multiply<BF16, TILES, ACROSS, true>(ring, at, 0, acc);
    for (int k = 1; k < stages; k++) {
        at.next(ring.stages);
        multiply<BF16, TILES, ACROSS, false>(ring, at, used, acc);
        used = at.slot;
    }
    wgmma_wait<0>();
    release<TILES, ACROSS>(ring, used);
    at.next(ring.stages);
#pragma unroll
    for (int c = 0; c < TILES; c++)
        wgmma_hold(acc[c]);
}

// Where the sums of a segment go: into part, or onto those of the segments before it.
template <int TILES>
__device__ inline void put_part(float *part, const float acc[TILES][32],
                                const struct cuda_matrix &m, const struct cuda_act &a, int s,
                                int panel, int tile)
{
    if (panel * 16 < m.rows)
#pragma unroll
        for (int i = 0; i < TILES * 8; i++)
            if ((tile + i) * 8 < a.n) {
                const float *v = acc[i / 8] + i % 8 * 4;

                *half_part_at(part, m, a, s, panel, tile + i) = make_float4(v[0], v[1], v[2], v[3]);
            }
}

template <int TILES> __device__ inline void fold(float sum[TILES][32], const float acc[TILES][32])
{
#pragma unroll
    for (int c = 0; c < TILES; c++)
#pragma unroll
        for (int i = 0; i < 32; i++)
            sum[c][i] += acc[c][i];
}

template <bool BF16, int TILES, int ACROSS, int END>
__device__ inline void consume(const Ring<TILES> &ring, float *y, int ldy, bool add,
                               const struct cuda_matrix &m, const struct cuda_act &a, float *part,
                               const struct Work &work)
{
    const int mine = (int)threadIdx.x / 32 - 4; // panel of the block's
    Place at = {0, 0};

    previous_done();
    for (Walk<TILES, ACROSS> w(work); w.more(); w.next()) {
        float sum[TILES][32];

        for (int i = 0; i < TILES * 32; i++)
            sum[i / 32][i % 32] = -0.0f; // to which adding a value gives that value
        for (int k = w.first(); k < w.end();) {
            const int s = k / STEPS, end = min(w.end(), (s + 1) * STEPS);
            float acc[TILES][32];

            segment<BF16, TILES, ACROSS>(ring, at, end - k, acc);
            k = end;
            if (END == TO_PART)
                put_part<TILES>(part, acc, m, a, s, w.at().panel + mine, w.at().tile);
            else
                fold<TILES>(sum, acc);
        }
        if constexpr (END != TO_PART) {
            w.piece = late(w.piece);
            const Piece to = w.at();
            const int panel = to.panel + late((int)threadIdx.x / 32 - 4);

            if constexpr (END == TO_PAIRS)
                store_pairs<BF16, TILES>(y, ldy, add, m, a, sum, panel, to.tile);
#pragma unroll
            for (int c = 0; END == TO_ROWS && c < TILES; c++) {
                const int tile = to.tile + c * 8;

                if (panel * 16 + 16 <= m.rows && tile * 8 + 64 <= a.n)
                    store<true>(y, ldy, add, m, a, sum[c], panel, tile);
                else
                    store<false>(y, ldy, add, m, a, sum[c], panel, tile);
            }
        }
    }
}
#endif

template <bool BF16, int TILES, int ACROSS, int END>
__global__ void __launch_bounds__(THREADS, 1)
    half_wide(float *y, int ldy, bool add, struct cuda_matrix m, struct cuda_act a, float *part,
              struct Work work, int stages)
{
#if GPU_WGMMA
    DYN_SHARED(uint8_t, shared);
    const Ring<TILES> ring = {reinterpret_cast<uint64_t *>(shared),
                              reinterpret_cast<uint64_t *>(shared) + MOST_STAGES, shared + BARRIERS,
                              stages};

    if (threadIdx.x == 0) {
        for (int i = 0; i < stages; i++) {
            bar_init(ring.full + i, 2);                // the two that copy
            bar_init(ring.empty + i, PANELS * ACROSS); // a warp has a panel
        }
        bar_ready();
    }
    if (ACROSS == 1)
        __syncthreads();
    else
        cluster_sync();
    if (threadIdx.x < 128) {
        registers_down<TILES == 3 ? 24 : 40>();
        if (threadIdx.x < 32) {
            produce<TILES, ACROSS, true>(ring, m, a, work);
        } else if (threadIdx.x < 64) {
            previous_done();
            produce<TILES, ACROSS, false>(ring, m, a, work);
        }
    } else {
        registers_up<TILES == 3 ? 240 : 232>();
        consume<BF16, TILES, ACROSS, END>(ring, y, ldy, add, m, a, part, work);
    }
    if (ACROSS == 2)
        cluster_sync(); // a block's memory stays until the other one has copied into it
#else
    no_code(); // no plan asks for it
    (void)y, (void)ldy, (void)add, (void)m, (void)a, (void)part, (void)work, (void)stages;
#endif
}

template <bool BF16, int TILES, int ACROSS>
void launch(const struct half_plan *p, float *y, int ldy, bool add, const struct cuda_matrix *m,
            const struct cuda_act *a, float *part, cudaStream_t s)
{
    const int tall = up(up(m->rows, 16), PANELS * ACROSS), wide = up(a->n, 64 * TILES);
    const struct Work work = {wide, tall * wide, tall * WIDE, up(m->cols, STEP), p->turn * STEPS};
    const int pieces = work.tiles * up(work.steps, work.turn);
    const int grid = (pieces < p->blocks / ACROSS ? pieces : p->blocks / ACROSS) * ACROSS;
    const size_t bytes = (size_t)BARRIERS + (size_t)p->stages * stage_bytes<TILES>();

    if (part)
        LAUNCH_GROUPS((half_wide<BF16, TILES, ACROSS, TO_PART>), ACROSS, (unsigned)grid, THREADS,
                      bytes, s, y, ldy, add, *m, *a, part, work, p->stages);
    else if (m->apart)
        LAUNCH_GROUPS((half_wide<BF16, TILES, ACROSS, TO_PAIRS>), ACROSS, (unsigned)grid, THREADS,
                      bytes, s, y, ldy, add, *m, *a, part, work, p->stages);
    else
        LAUNCH_GROUPS((half_wide<BF16, TILES, ACROSS, TO_ROWS>), ACROSS, (unsigned)grid, THREADS,
                      bytes, s, y, ldy, add, *m, *a, part, work, p->stages);
}

template <bool BF16>
void run(const struct half_plan *p, float *y, int ldy, bool add, const struct cuda_matrix *m,
         const struct cuda_act *a, float *part, cudaStream_t s)
{
    switch (p->tiles / 8 * 2 + p->across - 1) {
    case 2:
        return launch<BF16, 1, 1>(p, y, ldy, add, m, a, part, s);
    case 3:
        return launch<BF16, 1, 2>(p, y, ldy, add, m, a, part, s);
    case 4:
        return launch<BF16, 2, 1>(p, y, ldy, add, m, a, part, s);
    case 5:
        return launch<BF16, 2, 2>(p, y, ldy, add, m, a, part, s);
    case 6:
        return launch<BF16, 3, 1>(p, y, ldy, add, m, a, part, s);
    default:
        return launch<BF16, 3, 2>(p, y, ldy, add, m, a, part, s);
    }
}

// Clocks that it may take, where a multiprocessor reads 24 bytes a clock and multiplies 1500 times.
double cost(const struct half_plan *p, const struct cuda_matrix *m, int n, int sms)
{
    const int cols = 8 * p->tiles, segments = up(m->cols, SEGMENT), pieces = up(segments, p->turn);
    const int tiles = up(up(m->rows, 16), PANELS * p->across) * up(n, cols);
    const double read = (PANELS * 16 + (double)cols / p->across) * SEGMENT * 2 / 24,
                 multiply = PANELS * 16.0 * cols * SEGMENT / 1500;
    const double each = (read > multiply ? read : multiply) * p->turn + 1000 + 12 * cols;

    return up(tiles * pieces, p->blocks / p->across) * each + 2000 +
           (pieces > 1 ? (double)cuda_half_part(p, m, n) * 2 / 24 / sms + 3000 : 0);
}

} // namespace

bool cuda_half_wide_plan(struct half_plan *best, const struct cuda_matrix *m, int n, int sms)
{
    const int segments = up(m->cols, SEGMENT);
    struct half_plan p = {};
    int device = 0, major = 0, minor = -1, most = 0;
    double least = 0;

    if (!HALF_WIDE || cudaGetDevice(&device) != cudaSuccess ||
        cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) != cudaSuccess ||
        cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device) != cudaSuccess ||
        cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device) !=
            cudaSuccess ||
        major != 9 || minor != 0)
        return false;
    p.wide = true;
    p.warps = PANELS;
    p.across = n > 64 && m->rows > PANELS * 16 ? 2 : 1;
    p.blocks = sms / p.across * p.across;
    for (p.tiles = 8; p.tiles <= 24 && p.tiles - 8 < n / 8; p.tiles += 8) {
        for (p.turn = segments; p.turn > 0; p.turn--) {
            const int room = p.turn < segments ? SHARED_RING : most - BARRIERS,
                      stages = room / (PANELS * 2048 + p.tiles * 8 * STEP * 2);

            p.stages = stages < MOST_STAGES ? stages : MOST_STAGES;
            const double c = cuda_half_part(&p, m, n) > HALF_PART ? 0 : cost(&p, m, n, sms);

            if (c > 0 && (least == 0 || c < least)) {
                *best = p;
                least = c;
            }
        }
    }
    return least > 0;
}

void cuda_half_wide(const struct half_plan *p, float *y, int ldy, bool add,
                    const struct cuda_matrix *m, const struct cuda_act *a, float *part,
                    cudaStream_t s)
{
    if (m->type == 30)
        run<true>(p, y, ldy, add, m, a, part, s);
    else
        run<false>(p, y, ldy, add, m, a, part, s);
}
