// half.cu - y = W x with F16 and BF16 weights, on tensor cores (mma.sync m16n8k16), for more than
// eight tokens; half_few.cu is for fewer.
//
// K is cut into segments of 512 from its start. A segment is summed from 0, 16 values a step in
// ascending order; the sums of segments are then added in ascending order. That is the same for any
// number of tokens and any grid, and so are the bytes, on one kind of GPU.
//
// A warp has two panels of 16 rows and 16 to 64 tokens. Weights and activations go through shared
// memory, some steps of 64 values of K ahead: weights in the order of fragments, activations as
// matrices of 8 tokens by 16 bytes (act.cuh). Up to 64 tokens, weights are what it takes time to
// read: a block's warps have rows of their own, and where that makes too few blocks each takes some
// segments and a second kernel adds them up. With more tokens warps share both.
//
// Measured on an H200 (2026-11-27; weights read at 4473 GB/s: qkv in 11.3 us, o 7.5, gate_up 52.5,
// down 26.2), 8B shapes, microseconds a product:
//
//     tokens    qkv      o  gate_up    down
//         16   19.0   13.8     61.4    43.5
//         32   20.4   14.9     62.8    43.3
//         64   27.2   18.9     72.9    60.7
//        128   43.8   30.0      159    91.7
//        512    154   78.3      698     253
//       2048    452    304     2325    1196   201 to 228 TFLOP/s; mma.sync alone gives 641
//
// GPUs with wgmma take half_wide.cu's kernel instead.
#include "half.h"
#include "pairs.cuh"

namespace
{

constexpr int SEGMENT = HALF_SEGMENT, WARPS = LINEAR_WARPS, STEP = 2; // STEP: k32 steps of a stage
constexpr int WIDE = 16; // tiles of tokens that stand side by side in time

// Where in part the sums of a segment lie: (segments, panels, tiles of 8 tokens, lane) of four.
__device__ inline float4 *half_part_at(float *part, const struct cuda_matrix &m,
                                       const struct cuda_act &a, int segment, int panel, int tile)
{
    const size_t panels = (size_t)(m.rows + 15) / 16, tiles = (size_t)(a.n + 7) / 8;

    return reinterpret_cast<float4 *>(part) +
           (((size_t)segment * panels + panel) * tiles + tile) * 32 + threadIdx.x % 32;
}

// Fragments of N tiles from `tile` on, of a panel.
template <int N>
__device__ inline void put_tiles(float *y, int ldy, bool add, const struct cuda_matrix &m,
                                 const struct cuda_act &a, const float v[N][4], int panel, int tile)
{
    const int col = tile * 8 + (int)threadIdx.x % 4 * 2;

    if (panel * 16 < m.rows)
        put_fragments<N, true>(m, y, ldy, add, v, m.type == 30 ? nullptr : a.scale, panel, a.n,
                               [&](int c) { return col + 8 * c; }); // BF16's scales are 1
}

// All stages but the newest `keep` are there.
__device__ inline void stage_wait(int keep)
{
    if (keep == 4)
        cp_async_wait<4>();
    else if (keep == 3)
        cp_async_wait<3>();
    else if (keep == 2)
        cp_async_wait<2>();
    else
        cp_async_wait<1>();
}

// What a block works on, in panels and tokens; steps are of 32 values of K.
struct Place {
    int panel, high, tile, steps, first, end; // panel: the block's first; high: panels of it
};

template <int TILES, int ACROSS>
__device__ inline Place place(const struct cuda_matrix &m, const struct cuda_act &a, int turn)
{
    constexpr int COLS = 8 * TILES * ACROSS;
    Place b;

    b.high = (int)blockDim.x / 32 / ACROSS * 2;
    const int tall = ((m.rows + 15) / 16 + b.high - 1) / b.high, wide = (a.n + COLS - 1) / COLS;
    const int group = (int)blockIdx.x / (WIDE * tall), i = (int)blockIdx.x % (WIDE * tall);
    const int width = min(WIDE, wide - group * WIDE);

    b.panel = i / width * b.high;
    b.tile = (group * WIDE + i % width) * (COLS / 8);
    b.steps = (m.cols + 63) / 64 * 2;
    b.first = (int)blockIdx.y * turn * (SEGMENT / 32);
    b.end = min(b.first + turn * (SEGMENT / 32), b.steps);
    return b;
}

// A stage: (panels of the block, STEP, 1024) weights, (k8 of them, COLS, 16) activations. The
// warps that share panels load them in turn, lanes what they will read if there is one.
template <int ACROSS>
__device__ inline void load_weights(uint8_t *to, const uint8_t *const w[2], int k, bool there)
{
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;

#pragma unroll
    for (int p = 0; p < 2; p++) {
        uint8_t *at = to + (warp / ACROSS * 2 + p) * STEP * 1024 + lane * 16;

        if (p % ACROSS == warp % ACROSS && there && w[p])
#pragma unroll
            for (int i = 0; i < 2 * STEP; i++)
                cp_async16(at + i * 512, w[p] + (size_t)k * 1024 + i * 512);
    }
}

template <int COLS>
__device__ inline void load_acts(uint8_t *to, const struct cuda_act &a, int k, int col0, bool there)
{
    if (!there)
        return;
    for (int i = threadIdx.x; i < STEP * 4 * COLS; i += blockDim.x) {
        const int col = col0 + i % COLS;
        const size_t from = (size_t)(k * 4 + i / COLS) * a.ld + col;

        cp_async16(to + i * 16, a.h + (col < a.ld ? from * 16 : 0), col < a.ld);
    }
}

// A stage's products. x: of the lane's row of ldmatrix.
template <bool BF16, int TILES, int COLS>
__device__ inline void multiply(float acc[2][TILES][4], const uint8_t *w, const uint8_t *x)
{
    uint4 v[STEP][2][2];
    uint32_t b[2][4];

#pragma unroll
    for (int u = 0; u < STEP; u++)
#pragma unroll
        for (int i = 0; i < 4; i++)
            v[u][i / 2][i % 2] =
                *reinterpret_cast<const uint4 *>(w + (i / 2 * STEP + u) * 1024 + i % 2 * 512);
    ldmatrix_x4(b[0], x);
#pragma unroll
    for (int i = 0; i < STEP * TILES; i++) {
        const int c = i % TILES, u = i / TILES, next = i + 1;
        const uint32_t *r = b[i % 2];

        if (next < STEP * TILES)
            ldmatrix_x4(b[next % 2], x + next / TILES * COLS * 64 + next % TILES * 128);
#pragma unroll
        for (int h = 0; h < 2; h++)
#pragma unroll
            for (int p = 0; p < 2; p++)
                half_mma<BF16>(acc[p][c], v[u][p][h], r[2 * h], r[2 * h + 1]);
    }
}

// part NULL: all segments are this block's; else where their sums go.
template <bool BF16, int TILES, int ACROSS>
__global__ void __launch_bounds__(32 * WARPS, 1)
    half_many(float *y, int ldy, bool add, struct cuda_matrix m, struct cuda_act a, float *part,
              int turn, int stages)
{
    constexpr int COLS = 8 * TILES * ACROSS;
    DYN_SHARED(uint8_t, shared);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, panels = (m.rows + 15) / 16;
    const Place b = place<TILES, ACROSS>(m, a, turn);
    const int panel = b.panel + warp / ACROSS * 2, tile = b.tile + warp % ACROSS * TILES,
              held = b.high * STEP * 1024, size = held + STEP * COLS * 64;
    const uint8_t *w[2];
    float acc[2][TILES][4] = {}, sum[2][TILES][4] = {};

    for (int p = 0; p < 2; p++)
        w[p] =
            panel + p < panels ? m.low + (size_t)(panel + p) * b.steps * 1024 + lane * 16 : nullptr;
    for (int i = 0; i < stages - 1; i++)
        load_weights<ACROSS>(shared + i * size, w, b.first + i * STEP, b.first + i * STEP < b.end);
    previous_done();
    for (int i = 0; i < stages - 1; i++) {
        load_acts<COLS>(shared + i * size + held, a, b.first + i * STEP, b.tile * 8,
                        b.first + i * STEP < b.end);
        cp_async_commit();
    }
    int slot = 0, free = stages - 1; // where this step is; where one may be loaded
    for (int k = b.first; k < b.end; k += STEP) {
        const int ahead = k + (stages - 1) * STEP;

        stage_wait(stages - 2);
        __syncthreads();
        load_weights<ACROSS>(shared + free * size, w, ahead, ahead < b.end);
        load_acts<COLS>(shared + free * size + held, a, ahead, b.tile * 8, ahead < b.end);
        cp_async_commit();
        const uint8_t *at = shared + slot * size;
        if (panel < panels)
            multiply<BF16, TILES, COLS>(
                acc, at + warp / ACROSS * 2 * STEP * 1024 + lane * 16,
                at + held + (lane / 8 * COLS + warp % ACROSS * TILES * 8 + lane % 8) * 16);
        free = slot;
        slot = slot + 1 == stages ? 0 : slot + 1;
        const int done = k + STEP; // steps are even, and so are segments
        if (done % (SEGMENT / 32) && done < b.steps)
            continue;
        const int s = (done - 1) / (SEGMENT / 32);
#pragma unroll
        for (int p = 0; p < 2; p++)
#pragma unroll
            for (int c = 0; c < TILES; c++) {
                float *v = acc[p][c];

                if (part && panel + p < panels && (tile + c) * 8 < a.n)
                    *half_part_at(part, m, a, s, panel + p, tile + c) =
                        make_float4(v[0], v[1], v[2], v[3]);
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    sum[p][c][i] = s ? sum[p][c][i] + v[i] : v[i];
                    v[i] = 0.0f;
                }
            }
    }
    cp_async_wait<0>();
    if (part)
        return;
#pragma unroll
    for (int p = 0; p < 2; p++)
        put_tiles<TILES>(y, ldy, add, m, a, sum[p], panel + p, tile);
}

// The segments of half_many's parts, in order.
__global__ void __launch_bounds__(128, 16)
    half_join(float *y, int ldy, bool add, struct cuda_matrix m, struct cuda_act a, float *part)
{
    const int tiles = (a.n + 7) / 8, i = (int)(blockIdx.x * 4 + threadIdx.x / 32),
              panel = i / tiles, tile = i % tiles, segments = (m.cols + SEGMENT - 1) / SEGMENT;

    previous_done();
    if (panel >= (m.rows + 15) / 16)
        return;
    float4 sum = *half_part_at(part, m, a, 0, panel, tile);
#pragma unroll 8
    for (int s = 1; s < segments; s++) {
        const float4 v = *half_part_at(part, m, a, s, panel, tile);

        sum = make_float4(sum.x + v.x, sum.y + v.y, sum.z + v.z, sum.w + v.w);
    }
    const float v[1][4] = {{sum.x, sum.y, sum.z, sum.w}};
    put_tiles<1>(y, ldy, add, m, a, v, panel, tile);
}

int up(int n, int by)
{
    return (n + by - 1) / by;
}

int stage_bytes(const struct half_plan *p)
{
    return p->warps / p->across * 2 * STEP * 1024 + 8 * p->tiles * p->across * STEP * 64;
}

int segments_of(const struct cuda_matrix *m)
{
    return up(m->cols, SEGMENT);
}

// Blocks of a plan but for those that take other segments.
int blocks_of(const struct half_plan *p, const struct cuda_matrix *m, int n)
{
    return up(up(m->rows, 16), p->warps / p->across * 2) * up(n, 8 * p->tiles * p->across);
}

// Clocks that it may take, where a multiprocessor reads 20 bytes a clock and multiplies 1300 times.
double cost(const struct half_plan *p, const struct cuda_matrix *m, int n, int sms)
{
    const int high = p->warps / p->across * 32, cols = 8 * p->tiles * p->across;
    const double read = (high + cols) * SEGMENT * 2 / 20.0,
                 multiply = (double)high * cols * SEGMENT / 1300.0;
    const int pieces = up(segments_of(m), p->turn), waves = up(blocks_of(p, m, n) * pieces, sms);
    const double part = (double)cuda_half_part(p, m, n) * 2 / 20 / sms;

    return waves * (p->turn * (read > multiply ? read : multiply) + 2000) +
           (pieces > 1 ? part + 3000 : 0);
}

template <bool BF16, int TILES, int ACROSS>
void launch(const struct half_plan *p, float *y, int ldy, bool add, const struct cuda_matrix *m,
            const struct cuda_act *a, float *part, cudaStream_t s)
{
    const dim3 grid((unsigned)blocks_of(p, m, a->n), (unsigned)up(segments_of(m), p->turn));
    const size_t bytes = (size_t)stage_bytes(p) * p->stages;

    LAUNCH_EARLY((half_many<BF16, TILES, ACROSS>), grid, 32 * p->warps, bytes, s, y, ldy, add, *m,
                 *a, part, p->turn, p->stages);
}

template <bool BF16>
void run(const struct half_plan *p, float *y, int ldy, bool add, const struct cuda_matrix *m,
         const struct cuda_act *a, float *part, cudaStream_t s)
{
    if (p->across == 2)
        launch<BF16, 8, 2>(p, y, ldy, add, m, a, part, s);
    else if (p->tiles == 8)
        launch<BF16, 8, 1>(p, y, ldy, add, m, a, part, s);
    else if (p->tiles == 4)
        launch<BF16, 4, 1>(p, y, ldy, add, m, a, part, s);
    else
        launch<BF16, 2, 1>(p, y, ldy, add, m, a, part, s);
}

} // namespace

size_t cuda_half_part(const struct half_plan *p, const struct cuda_matrix *m, int n)
{
    return !p->wide && p->turn < segments_of(m)
               ? (size_t)segments_of(m) * (size_t)up(m->rows, 16) * (size_t)up(n, 8) * 512
               : 0;
}

struct half_plan cuda_half_plan(const struct cuda_matrix *m, int n, int sms)
{
    struct half_plan best = {}, p = {};
    int device = 0, most = 0;
    double least = 0;

    if (cudaGetDevice(&device) != cudaSuccess ||
        cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device) !=
            cudaSuccess)
        most = 48 << 10;
    p.tiles = n <= 16 ? 2 : n <= 32 ? 4 : 8;
    p.across = n > 64 ? 2 : 1;
    for (p.warps = p.across; p.warps <= WARPS; p.warps += p.across) {
        const int stages = most / stage_bytes(&p) < 6 ? most / stage_bytes(&p) : 6;

        if (stages < 3 || (p.warps > p.across && up(m->rows, 32) * p.across < p.warps))
            break;
        for (p.turn = segments_of(m); p.turn > 0; p.turn--) {
            // of a segment's eight, more were never faster: the next block starts sooner
            p.stages = p.turn > 1 ? stages : 3;
            const double c = cuda_half_part(&p, m, n) > HALF_PART ? 0 : cost(&p, m, n, sms);

            if (c > 0 && (!best.warps || c < least)) {
                best = p;
                least = c;
            }
        }
    }
    return best;
}

void cuda_half_run(const struct half_plan *p, float *y, int ldy, bool add,
                   const struct cuda_matrix *m, const struct cuda_act *a, void *part,
                   cudaStream_t s)
{
    float *sums = p->turn < segments_of(m) ? static_cast<float *>(part) : nullptr;

    if (p->wide)
        return cuda_half_wide(p, y, ldy, add, m, a, s);
    if (m->type == 30)
        run<true>(p, y, ldy, add, m, a, sums, s);
    else
        run<false>(p, y, ldy, add, m, a, sums, s);
    if (sums)
        LAUNCH_EARLY(half_join, (unsigned)up(up(m->rows, 16) * up(a->n, 8), 4), 128, 0, s, y, ldy,
                     add, *m, *a, sums);
}

static struct half_plan plan_of(const struct cuda_matrix *m, int n, int sms)
{
    struct half_plan p;

    return cuda_half_wide_plan(&p, m, n, sms) ? p : cuda_half_plan(m, n, sms);
}

bool cuda_linear_is_wide(const struct cuda_matrix *m, int n, int sms)
{
    struct half_plan p;

    return cuda_half_wide_plan(&p, m, n, sms);
}

size_t cuda_linear_part_bytes(const struct cuda_matrix *m, int n, int sms)
{
    const struct half_plan p = plan_of(m, n, sms);

    return cuda_half_part(&p, m, n);
}

void cuda_linear_half(float *y, int ldy, bool add, const struct cuda_matrix *m,
                      const struct cuda_act *a, void *part, int sms, cudaStream_t s)
{
    const struct half_plan p = plan_of(m, a->n, sms);

    cuda_half_run(&p, y, ldy, add, m, a, part, s);
}
