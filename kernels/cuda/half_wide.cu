// half_wide.cu - half.cu's products by groups of four warps (wgmma), on GPUs that have them: the
// same sums in the same order, so its twin is half.cu's kernel, byte for byte.
//
// A block of three groups: the warps of one copy weights and activations into a ring of
// stages, 64 values of K each; the others multiply, each 64 rows (four panels) by up to 192 tokens.
// Weights lie in the order of fragments and go through registers; activations are read where they
// are. A lane keeps the sums of a segment, and those of segments before it. Barriers count what has
// come and what may be overwritten, so copies run ahead, into the next piece too: a block takes
// pieces (panels and tokens) one after the other. Of few tokens the weights that are next, when the
// ring is full at the start, are asked for. (Pairs of blocks with the same tokens, of which each
// copied half into both, took from 4 % less, gate_up of 128 tokens, to 6 % more, and far more where
// segments are taken in turn; in the median 1 % more.)
//
// With few tokens there are too few pieces for all multiprocessors. Then two or four blocks of a
// cluster take the segments of a piece in turn, and send the sums of each to those who add them up
// (Rounds): no sum goes through memory.
//
//     stage    (8 panels, 64 / 16, 512 B) weights, (64 / 8, tokens, 16 B) activations
//     shared   barriers: full (16), empty (16), sums that came (8), and are taken (8); sums; stages
//
// Measured on an H200 (2026-11-27), 8B shapes, microseconds a product and TFLOP/s:
//
//     tokens          qkv            o      gate_up         down
//         16    15.6    52   15.0   36   59.8    63   40.9    46
//         32    15.9   101   14.7   73   60.8   124   41.0    92
//         64    17.2   187   16.5  130   61.7   244   45.8   164
//        128    22.6   285   17.7  243   67.4   446   47.2   318
//        256    27.1   476   22.9  376    109   552   68.7   437
//        512    53.4   483   28.9  594    188   641   87.1   690
//       2048     151   683    106  646    718   670    350   687
//
// In a prompt of 2048 tokens, at the card's limit of power, gate_up takes 783, and leaves act(gate)
// * up. Blocks of 192 tokens need the registers of a lane for their sums; the warps that copy do
// with 24.
#include "half_wide.cuh"

namespace
{

#if GPU_WGMMA
// Sums of 64 tokens. WHOLE: all are there, and all rows.
template <bool WHOLE>
__device__ inline void store(float *y, int ldy, bool add, const struct cuda_matrix &m,
                             const struct cuda_act &a, const float sum[32], int panel, int tile)
{
    const int lane = late(threadIdx.x % 32), row = matrix_row(&m, panel, lane / 4),
              col0 = tile * 8 + lane % 4 * 2, below = m.apart ? m.apart : 8;
    const bool there[2] = {WHOLE || row < m.rows, WHOLE || row + below < m.rows};
    const float *scale = a.scale + col0;
    float bias[2];

#pragma unroll
    for (int h = 0; h < 2; h++)
        bias[h] = m.bias && there[h] ? m.bias[row + below * h] : 0.0f;
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
                    old[i] = from[(i % 2 ? ldy : 0) + i % 4 / 2 * below];
                if (i % 4 == 3)
                    from += 8 * (size_t)ldy;
            }
#pragma unroll
        for (int i = 0; i < 16; i++) {
            float v = sum[c * 4 + i] * (i % 2 ? by[i / 4].y : by[i / 4].x);

            v = m.bias ? v + bias[i % 4 / 2] : v;
            v = add ? old[i] + v : v;
            if ((WHOLE || col0 + (c + i / 4) * 8 + i % 2 < a.n) && there[i % 4 / 2])
                y[(i % 2 ? ldy : 0) + i % 4 / 2 * below] = v;
            if (i % 4 == 3)
                y += 8 * (size_t)ldy;
        }
    }
}

// Sums of all the tokens, of whose pairs of rows something becomes.
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

        put_fragments<8, true>(m, y, ldy, add, reinterpret_cast<const float(*)[4]>(sum[0]),
                               BF16 ? nullptr : a.scale, panel, a.n, // BF16's scales are 1
                               [&](int i) { return col + 8 * i; });
#pragma unroll
        for (int i = 0; i < 32 * (TILES - 1); i++)
            sum[i / 32][i % 32] = sum[i / 32 + 1][i % 32];
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

// Behind the last of a warp's pieces there is only what it writes.
template <class S> __device__ inline void leave(const Walk<S> &w)
{
    if (S::SPLIT > 1 && w.last())
        cluster_leave();
}

template <bool BF16, class S, int END>
__device__ inline void consume(const Ring<S> &ring, float *y, int ldy, bool add,
                               const struct cuda_matrix &m, const struct cuda_act &a,
                               const struct Work &work)
{
    constexpr int TILES = S::TILES;
    Place at = {0, 0};

    previous_done();
    for (Walk<S> w(work); w.more(); w.next()) {
        float sum[TILES][32];

        for (int i = 0; i < TILES * 32; i++)
            sum[i / 32][i % 32] = -0.0f; // to which adding a value gives that value
        for (int k = 0; k < work.steps; k += STEPS) {
            float acc[TILES][32];

            segment<BF16>(ring, at, min(STEPS, work.steps - k), acc);
            fold<TILES>(sum, acc);
        }
        w.piece = late(w.piece);
        const Piece to = w.at();
        leave(w);
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

// Of a cluster whose blocks take segments in turn: while a segment's products run, the sums of the
// one before are on their way.
template <bool BF16, class S>
__device__ inline void consume_rounds(const Ring<S> &ring, Rounds<S> rounds, float *y, int ldy,
                                      bool add, const struct cuda_matrix &m,
                                      const struct cuda_act &a, const struct Work &work)
{
    constexpr int ROUND = S::SPLIT * STEPS;
    const int part = S::part();
    Place at = {0, 0};

    previous_done();
    for (Walk<S> w(work); w.more(); w.next()) {
        const Piece to = w.at();
        const int tiles = min(8, up(a.n, 8) - to.tile), own = up(max(tiles - part, 0), S::SPLIT);
        float sum[Rounds<S>::OWN][4];

        for (int i = 0; i < Rounds<S>::OWN * 4; i++)
            sum[i / 4][i % 4] = -0.0f; // to which adding a value gives that value
        for (int k = 0; k < work.steps; k += ROUND) {
            const int mine =
                min(STEPS, work.steps - (k + part * STEPS)); // stages, if there are any
            float acc[1][32];

            if (mine > 0)
                segment<BF16>(ring, at, mine, acc);
            if (k)
                rounds.add(sum, S::SPLIT, own);
            rounds.send(acc[0], mine > 0 ? tiles : 0);
        }
        const int last = up(work.steps, STEPS) % S::SPLIT;
        rounds.add(sum, last ? last : S::SPLIT, own);
        leave(w);
        const int panel = to.panel + (int)threadIdx.x / 32 - 4,
                  col = (to.tile + part) * 8 + (int)threadIdx.x % 4 * 2;
        if (panel * 16 < m.rows)
            put_fragments<Rounds<S>::OWN, true>(m, y, ldy, add, sum, BF16 ? nullptr : a.scale,
                                                panel, a.n,
                                                [&](int i) { return col + 8 * S::SPLIT * i; });
    }
}
#endif

template <bool BF16, class S, int END>
__global__ void __launch_bounds__(THREADS, 1)
    half_wide(float *y, int ldy, bool add, struct cuda_matrix m, struct cuda_act a,
              struct Work work, int stages)
{
#if GPU_WGMMA
    DYN_SHARED(uint8_t, shared);
    uint64_t *const bar = reinterpret_cast<uint64_t *>(shared), *const sent = bar + 2 * MOST_STAGES;
    const Ring<S> ring = {bar, bar + MOST_STAGES, shared + BARRIERS + S::SUMS, stages};

    if (threadIdx.x == 0) {
        for (int i = 0; i < stages; i++) {
            bar_init(ring.full + i, 4);       // those that copy
            bar_init(ring.empty + i, PANELS); // a warp has a panel
        }
        for (int i = 0; S::SPLIT > 1 && i < PANELS; i++) {
            bar_init(sent + i, 1);
            bar_init(sent + PANELS + i, S::SPLIT);
        }
        bar_ready();
    }
    if (S::SPLIT == 1)
        __syncthreads();
    else
        cluster_begin();
    if (threadIdx.x < 128) {
        registers_down<S::TILES == 3 ? 24 : 40>();
        if (threadIdx.x / 32 % 2 == 0) {
            produce<S, true>(ring, m, a, work);
        } else {
            previous_done();
            produce<S, false>(ring, m, a, work);
        }
        if (S::SPLIT > 1)
            cluster_leave();
    } else {
        registers_up<S::TILES == 3 ? 240 : 232>();
        if constexpr (S::SPLIT > 1) {
            const int warp = (int)threadIdx.x / 32 - 4;
            const Rounds<S> rounds = {shared + BARRIERS + warp * (S::SUMS / PANELS), sent + warp,
                                      sent + PANELS + warp, 0};

            consume_rounds<BF16>(ring, rounds, y, ldy, add, m, a, work);
        } else {
            consume<BF16, S, END>(ring, y, ldy, add, m, a, work);
        }
    }
    if (S::SPLIT > 1)
        cluster_end(); // a block's memory stays until the others have written into it
#else
    no_code(); // no plan asks for it
    (void)y, (void)ldy, (void)add, (void)m, (void)a, (void)work, (void)stages;
#endif
}

template <bool BF16, class S>
void launch(const struct half_plan *p, float *y, int ldy, bool add, const struct cuda_matrix *m,
            const struct cuda_act *a, cudaStream_t s)
{
    const int tall = up(up(m->rows, 16), PANELS), wide = up(a->n, 64 * S::TILES);
    const struct Work work = {wide, tall * wide, tall * WIDE, up(m->cols, STEP)};
    const int at_once = p->blocks / S::SPLIT;
    const unsigned grid = (unsigned)((work.tiles < at_once ? work.tiles : at_once) * S::SPLIT);
    const size_t bytes = (size_t)BARRIERS + S::SUMS + (size_t)p->stages * S::STAGE;

    if constexpr (S::SPLIT == 1)
        if (!m->glu.y && !m->turn.by) {
            LAUNCH_GROUPS((half_wide<BF16, S, TO_ROWS>), S::SPLIT, grid, THREADS, bytes, s, y, ldy,
                          add, *m, *a, work, p->stages);
            return;
        }
    LAUNCH_GROUPS((half_wide<BF16, S, TO_PAIRS>), S::SPLIT, grid, THREADS, bytes, s, y, ldy, add,
                  *m, *a, work, p->stages);
}

// All shapes that there is code for: DO(tiles, split).
#define WIDE_SHAPES(DO)           DO(1, 1) DO(2, 1) DO(3, 1) DO(1, 2) DO(1, 4)
#define WIDE_NUMBER(tiles, split) ((tiles)*10 + (split))

template <bool BF16>
void run(const struct half_plan *p, float *y, int ldy, bool add, const struct cuda_matrix *m,
         const struct cuda_act *a, cudaStream_t s)
{
    switch (WIDE_NUMBER(p->tiles / 8, p->split)) {
#define WIDE_LAUNCH(tiles, split)   \
    case WIDE_NUMBER(tiles, split): \
        return launch<BF16, Shape<tiles, split>>(p, y, ldy, add, m, a, s);
        WIDE_SHAPES(WIDE_LAUNCH)
#undef WIDE_LAUNCH
    }
}

// Clusters that the device has room for at a time.
int clusters(int cluster, int sms)
{
    static int four = -1;

    if (cluster == 4 && four < 0)
        four =
            gpu_groups(half_wide<true, Shape<1, 4>, TO_PAIRS>, 4, THREADS, (size_t)shared_most());
    return cluster == 4 && four < sms / 4 ? four : sms / cluster;
}

// Clocks that it may take. A stage takes 545, 645 or 926 for 64, 128 or 192 tokens, however many of
// them there are; memory gives 2260 bytes a clock. (Measured on an H200; half_bench.)
double cost(const struct half_plan *p, const struct cuda_matrix *m, int n)
{
    static const int stage[] = {545, 645, 926};
    const int cols = 8 * p->tiles, tiles = up(up(m->rows, 16), PANELS) * up(n, cols);
    const double each =
        STEPS * stage[p->tiles / 8 - 1] + (p->split > 1 ? 570 + 8 * (n < 64 ? n : 64) : 0);
    const double blocks = (double)up(tiles, p->blocks / p->split) *
                          (up(up(m->cols, SEGMENT), p->split) * each + 1000 + 12 * cols);
    const double read = (double)m->rows * m->cols * 2 / 2260;

    return (blocks > read ? blocks : read) + blocks / 16 + 500 * p->split;
}

} // namespace

bool cuda_half_wide_plan(struct half_plan *best, const struct cuda_matrix *m, int n, int sms)
{
    static const int shapes[][2] = {
#define WIDE_SHAPE(tiles, split) {tiles, split},
        WIDE_SHAPES(WIDE_SHAPE)
#undef WIDE_SHAPE
    };
    int device = 0, major = 0, minor = -1;
    double least = 0;

    if (!HALF_WIDE || cudaGetDevice(&device) != cudaSuccess ||
        cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) != cudaSuccess ||
        cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device) != cudaSuccess ||
        major != 9 || minor != 0)
        return false;
    for (const int *shape : shapes) {
        struct half_plan p = {};

        p.wide = true;
        p.tiles = shape[0] * 8;
        p.across = 1;
        p.split = shape[1];
        p.warps = PANELS;
        p.blocks = cuda_half_wide_blocks(&p, sms);
        p.stages = cuda_half_wide_stages(&p, shared_most());
        if (p.blocks < 1 || (shape[0] - 1) * 64 >= n || p.split > up(m->cols, SEGMENT))
            continue;
        const double c = cost(&p, m, n);
        if (least == 0 || c < least) {
            *best = p;
            least = c;
        }
    }
    return least > 0;
}

int cuda_half_wide_blocks(const struct half_plan *p, int sms)
{
    return clusters(p->split, sms) * p->split;
}

int cuda_half_wide_stages(const struct half_plan *p, int shared)
{
    const int stages = (shared - BARRIERS - sums_bytes(p->split)) / stage_bytes(p->tiles / 8);

    return stages < MOST_STAGES ? stages : MOST_STAGES;
}

void cuda_half_wide(const struct half_plan *p, float *y, int ldy, bool add,
                    const struct cuda_matrix *m, const struct cuda_act *a, cudaStream_t s)
{
    if (m->type == 30)
        run<true>(p, y, ldy, add, m, a, s);
    else
        run<false>(p, y, ldy, add, m, a, s);
}
