// many.cuh - what the products of many tokens share: how they are cut into jobs of blocks, and the
// ring of stages in shared memory through which weights and activations pass.
//
// A job is some panels by COLS tokens, all of K. A warp of its block has PW panels by TW tokens, so
// WC warps stand side by side on the same panels. Blocks take jobs in turn, and what is on its way
// to the ring is already of the next one when a job ends. A stage of the ring is STEP tiles of K:
//   q (STEP, COLS, 64)  d (F::D, COLS) floats  sums (COLS, F::SUMS)  panels of: low, high, scale,
//   min
// with the planes as they lie in device memory (matrix.h); what is beyond K is 0, which adds
// nothing. In each 16 tokens, columns of two products of mma.sync are spread so that a lane's four
// tokens are neighbours: column j of the first is token 4 (j / 2) + j % 2, of the second two more.
#pragma once
#include "linear.cuh"
#include "pairs.cuh"

namespace
{

constexpr int MAGIC = 0x4b400000; // the bits of NUM_ROUND
constexpr int MOST_STAGES = 8;

template <int PW_, int TW_, int COLS_> struct Cut {
    static constexpr int PW = PW_, TW = TW_, COLS = COLS_, WC = COLS / TW;
    static constexpr int WARPS = PW * TW > 32 ? 12 : 16, PANELS = WARPS / WC * PW; // at most
};

// How a product is cut: groups of rows and of tokens; panels of most groups, `rest` have one more;
// room for so many, and stages.
struct Plan {
    int rows, cols, each, rest, panels, stages;
};

// A block's job.
struct Job {
    int at, panel, end, col;

    // Job i, of groups of `cols` tokens; false: there is none.
    __device__ inline bool set(const struct Plan &p, int i, int cols)
    {
        const int r = i / p.cols;

        at = i;
        if (r >= p.rows)
            return false;
        panel = r * p.each + min(r, p.rest);
        end = panel + p.each + (r < p.rest);
        col = (i - r * p.cols) * cols;
        return true;
    }
};

// Bytes of F's planes, a tile and panel: L, H, S, M.
template <class F, class C> struct Ring {
    static constexpr int Q = F::STEP * C::COLS * 64, D = F::D * C::COLS * 4;
    static constexpr int FIXED = Q + D + C::COLS * F::SUMS;
    static constexpr int PANEL = F::STEP * (F::L + F::H + F::S + F::M);
    static constexpr int HIGH = F::STEP * F::L, SCALE = HIGH + F::STEP * F::H,
                         MIN = SCALE + F::STEP * F::S;

    __host__ __device__ static constexpr int bytes(int panels)
    {
        return FIXED + panels * PANEL;
    }

    // A plane's bytes of a stage (BYTES a tile), by warp c of WC, from tile `at` of the plane on,
    // of which `left` are there.
    template <int BYTES>
    __device__ static inline void plane_in(uint8_t *to, const uint8_t *plane, unsigned at, int left,
                                           int c, int lane)
    {
        constexpr int CHUNKS = F::STEP * BYTES / 16, EACH = 32 * C::WC;
        const int i0 = c * 32 + lane, most = left * BYTES - i0 * 16;
        const uint8_t *from = plane + (size_t)(at * (BYTES / 16) + (unsigned)i0) * 16;

        to += i0 * 16;
#pragma unroll
        for (int u = 0; u < CHUNKS; u += EACH)
            if (CHUNKS % EACH == 0 || u + i0 < CHUNKS)
                cp_async16(to + u * 16, from + u * 16, u * 16 < most);
    }

    __device__ static inline void weights_in(uint8_t *slot, const struct cuda_matrix &m,
                                             const Job &job, int tile, int tiles, int tid)
    {
        const int lane = tid % 32, warp = tid / 32, c = warp % C::WC, p0 = warp / C::WC * C::PW,
                  last = C::WC - 1 - c, left = tiles - tile;
#pragma unroll
        for (int p = 0; p < C::PW; p++) {
            const unsigned at = (unsigned)(job.panel + p0 + p) * tiles + tile;
            uint8_t *to = slot + FIXED + (p0 + p) * PANEL;

            if (job.panel + p0 + p >= job.end)
                break;
            plane_in<F::L>(to, m.low, at, left, c, lane);
            plane_in<F::H>(to + HIGH, m.high, at, left, last, lane);
            plane_in<F::S>(to + SCALE, m.scale, at, left, last, lane);
            plane_in<F::M>(to + MIN, m.min, at, left, last, lane);
        }
    }

    __device__ static inline void acts_in(uint8_t *slot, const struct cuda_act &a, int col0,
                                          int tile, int tiles, int tid, int threads)
    {
        constexpr int TILE = C::COLS * 4, AT_ONCE = 256 / TILE; // chunks of a tile; tiles
        const int rows = a.cols / (F::STEP * 64 / F::D);
        const uint8_t *sums = reinterpret_cast<const uint8_t *>(F::SUMS == 32 ? a.s16 : a.s32);

        for (int i = tid; i < TILE * AT_ONCE; i += threads) {
            const int first = i / TILE,
                      left = col0 + i % TILE / 4 < a.ld ? tiles - tile - first : 0;
            const int8_t *from =
                a.q + (size_t)(((unsigned)(tile + first) * a.ld + col0) * 4 + i % TILE) * 16;

#pragma unroll
            for (int u = 0; u < F::STEP; u += AT_ONCE, from += (size_t)a.ld * (64 * AT_ONCE))
                cp_async16(slot + (u * TILE + i) * 16, from, u < left);
        }
        for (int i = tid; i < F::D * C::COLS / 4; i += threads) {
            const int at = tile * F::D / F::STEP + i / (C::COLS / 4);
            const int col = col0 + i % (C::COLS / 4) * 4;

            cp_async16(slot + Q + i * 16, a.d + (size_t)((unsigned)at * a.ld + col),
                       at < rows && col < a.ld);
        }
        for (int i = tid; i < C::COLS * F::SUMS / 16; i += threads) {
            const unsigned at = ((unsigned)(tile / 4) * a.ld + col0) * (F::SUMS / 16) + i;

            cp_async16(slot + Q + D + i * 16, sums + (size_t)at * 16,
                       col0 + i * 16 / (F::SUMS ? F::SUMS : 1) < a.ld);
        }
    }
};

// All groups but the newest `keep` are done, or more of them.
__device__ inline void ring_wait(int keep)
{
    if (keep >= 6)
        cp_async_wait<6>();
    else if (keep >= 4)
        cp_async_wait<4>();
    else if (keep >= 2)
        cp_async_wait<2>();
    else if (keep == 1)
        cp_async_wait<1>();
    else
        cp_async_wait<0>();
}

// The token, within a warp's, of column j of product c.
template <int TW> __device__ inline int token_of(int c, int j)
{
    return TW == 8 ? j : c / 2 * 16 + j / 2 * 4 + c % 2 * 2 + j % 2;
}

// Where a warp finds its part of a stage: activations of the lane's column, sums of its tokens, its
// first panel, scales of the lane's tokens.
struct Place_in {
    const uint8_t *x, *sums, *w;
    const float *d;
};

// F::stage adds a stage to the sums of a warp.
template <class F, class C>
__device__ inline void many_jobs(uint8_t *shared, float *y, int ldy, bool add,
                                 const struct cuda_matrix &m, const struct cuda_act &a,
                                 const struct Plan &plan)
{
    using R = Ring<F, C>;
    const int tid = threadIdx.x, threads = blockDim.x, lane = tid % 32, warp = tid / 32,
              g = lane / 4, t = lane % 4;
    const int col0 = warp % C::WC * C::TW, p0 = warp / C::WC * C::PW;
    const int tiles = (m.cols + 63) / 64, bytes = R::bytes(plan.panels);
    Job in = {}, now;
    int in_tile = 0, in_slot = 0, slot = 0;
    bool more = in.set(plan, blockIdx.x, C::COLS);
    const auto advance = [&]() { // to what the next slot gets
        cp_async_commit();
        in_slot = in_slot + 1 == plan.stages ? 0 : in_slot + 1;
        in_tile += F::STEP;
        if (in_tile >= tiles) {
            in_tile = 0;
            more = more && in.set(plan, in.at + (int)gridDim.x, C::COLS);
        }
    };

    if (more)
        R::weights_in(shared, m, in, 0, tiles, tid);
    previous_done();
    for (int i = 0; i < plan.stages - 1; i++) {
        if (more && i)
            R::weights_in(shared + in_slot * bytes, m, in, in_tile, tiles, tid);
        if (more)
            R::acts_in(shared + in_slot * bytes, a, in.col, in_tile, tiles, tid, threads);
        advance();
    }
    for (int job = blockIdx.x; now.set(plan, job, C::COLS); job += gridDim.x) {
        const bool mine = now.panel + p0 < now.end;
        float acc[C::PW][C::TW / 8][4] = {};

        for (int tile = 0; tile < tiles; tile += F::STEP) {
            const uint8_t *from = shared + slot * bytes;
            uint8_t *to = shared + in_slot * bytes;

            ring_wait(plan.stages - 2);
            __syncthreads();
            if (more) {
                R::weights_in(to, m, in, in_tile, tiles, tid);
                R::acts_in(to, a, in.col, in_tile, tiles, tid, threads);
            }
            advance();

            const Place_in at = {
                from + (col0 + token_of<C::TW>(0, g)) * 64 + t * 16,
                from + R::Q + R::D + col0 * F::SUMS, from + R::FIXED + p0 * R::PANEL,
                reinterpret_cast<const float *>(from + R::Q) + col0 + token_of<C::TW>(0, 2 * t)};
            if (mine)
                F::template stage<C>(acc, at, tile, lane);
            slot = slot + 1 == plan.stages ? 0 : slot + 1;
        }
#pragma unroll
        for (int p = 0; p < C::PW; p++)
            if (now.panel + p0 + p < now.end)
                put_fragments<C::TW / 8, false>(
                    m, y, ldy, add, acc[p], nullptr, now.panel + p0 + p, a.n,
                    [&](int c) { return now.col + col0 + token_of<C::TW>(c, 2 * t); });
    }
    cp_async_wait<0>();
}

template <class F, class C>
__global__ void __launch_bounds__(32 * C::WARPS, 1)
    many(float *y, int ldy, bool add, struct cuda_matrix m, struct cuda_act a, struct Plan plan)
{
    DYN_SHARED(uint8_t, shared);

    many_jobs<F, C>(shared, y, ldy, add, m, a, plan);
}

// ---- launch

// A cut's plan for a product, and what it takes, in instructions a multiprocessor and tile.
struct Bid {
    struct Plan plan;
    double cost;
    int warps;
};

template <class F, class C>
Bid bid(const struct cuda_matrix *m, const struct cuda_act *a, const struct many_way *way)
{
    const int panels = (m->rows + 15) / 16, cols = (a->n + C::COLS - 1) / C::COLS, sms = way->sms;
    // panels of a group: as many as warps, and two stages of them, have room for
    const int room = (way->shared / 2 - Ring<F, C>::FIXED) / Ring<F, C>::PANEL / C::PW * C::PW;
    const int most = room < C::PANELS ? room : C::PANELS;
    Bid b = {};

    if (most < C::PW) {
        b.cost = 1e30;
        return b;
    }
    // as many groups of rows as give every multiprocessor as many jobs as the one with most
    const int least = (panels + most - 1) / most, pairs = (panels + C::PW - 1) / C::PW;
    int rows = (least * cols + sms - 1) / sms * sms / cols;
    rows = rows < least ? least : rows > pairs ? pairs : rows;
    b.plan.rows = rows;
    b.plan.cols = cols;
    b.plan.each = panels / rows;
    b.plan.rest = panels % rows;
    b.plan.panels = (b.plan.each + (b.plan.rest != 0) + C::PW - 1) / C::PW * C::PW;
    b.warps = b.plan.panels / C::PW * C::WC;
    b.plan.stages = way->shared / Ring<F, C>::bytes(b.plan.panels);
    b.plan.stages = b.plan.stages > MOST_STAGES ? MOST_STAGES : b.plan.stages;

    // a warp's instructions: 13 a product of mma.sync, and what is done once for its tokens, its
    // panels or for both; four warps at a time
    const double one = C::PW * C::TW / 8 * 26 + C::PW * 22 + C::TW / 8 * 4 + 8;
    const double all = one * b.warps / 4, alone = 2 * one;
    b.cost = (rows * cols + sms - 1) / sms * (all > alone ? all : alone);
    return b;
}

template <class F, class C>
void start(float *y, int ldy, bool add, const struct cuda_matrix *m, const struct cuda_act *a,
           const Bid &b, int sms, cudaStream_t s)
{
    const int jobs = b.plan.rows * b.plan.cols;

    LAUNCH_EARLY((many<F, C>), (unsigned)(jobs < sms ? jobs : sms), 32u * (unsigned)b.warps,
                 (unsigned)(b.plan.stages * Ring<F, C>::bytes(b.plan.panels)), s, y, ldy, add, *m,
                 *a, b.plan);
}

// By the cheapest cut, or the one that is asked for; which it was.
template <class F>
int launch(float *y, int ldy, bool add, const struct cuda_matrix *m, const struct cuda_act *a,
           const struct many_way *asked, cudaStream_t s)
{
    using C0 = Cut<1, 8, 16>;
    using C1 = Cut<1, 16, 16>;
    using C2 = Cut<1, 32, 32>;
    using C3 = Cut<F::PW, F::TW, 64>;
    struct many_way way = *asked;

    way.shared = way.shared ? way.shared : shared_most();
    const Bid b[MANY_CUTS] = {bid<F, C0>(m, a, &way), bid<F, C1>(m, a, &way),
                              bid<F, C2>(m, a, &way), bid<F, C3>(m, a, &way)};
    void (*const by[MANY_CUTS])(float *, int, bool, const struct cuda_matrix *,
                                const struct cuda_act *, const Bid &, int, cudaStream_t) = {
        start<F, C0>, start<F, C1>, start<F, C2>, start<F, C3>};
    int cut = way.cut < 0 ? 0 : way.cut;

    for (int i = 1; way.cut < 0 && i < MANY_CUTS; i++)
        cut = b[i].cost < b[cut].cost ? i : cut;
    by[cut](y, ldy, add, m, a, b[cut], way.sms, s);
    return cut;
}

} // namespace
