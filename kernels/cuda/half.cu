// half.cu - y = W x with F16 and BF16 weights, on tensor cores (mma.sync m16n8k16).
//
// K is cut into segments of 512 from its start. A segment is summed by one warp from 0, 16 values
// a step in ascending order; the sums of segments are then added in ascending order. That is the
// same for any number of tokens and any grid, and so are the bytes, on one kind of GPU.
//
// Up to eight tokens: a block is a panel of 16 rows, its eight warps take the segments, weights are
// read once, 16 bytes a lane. More tokens: a block is 128 rows by 64 tokens, whose activations pass
// through shared memory; where that makes too few blocks, each takes some segments and a second
// kernel adds them up.
#include "linear.cuh"

namespace
{

constexpr int SEGMENT = 512, WARPS = LINEAR_WARPS;

template <bool BF16> __device__ inline void mma(float d[4], uint4 a, uint32_t b0, uint32_t b1)
{
    const uint32_t r[4] = {a.x, a.y, a.z, a.w}, b[2] = {b0, b1};

    if (BF16)
        mma_bf16(d, r, b);
    else
        mma_f16(d, r, b);
}

__device__ inline void put_half(float *y, int ldy, bool add, const struct cuda_matrix &m,
                                const struct cuda_act &a, float v, int row, int col)
{
    if (row >= m.rows || col >= a.n)
        return;
    v = v * a.scale[col];
    put(y + (size_t)col * ldy + m.row0 + row, m.bias ? v + m.bias[row] : v, add);
}

template <bool BF16>
__global__ void __launch_bounds__(32 * WARPS, 3)
    half_few(float *y, int ldy, bool add, struct cuda_matrix m, struct cuda_act a)
{
    const int warps = blockDim.x / 32;
    constexpr int AHEAD = 4; // k32 steps in registers
    DYN_SHARED(float, part); // (segments, 16, 8)
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    const int steps = (m.cols + 63) / 64 * 2,
              segments = (m.cols + SEGMENT - 1) / SEGMENT; // steps of 32
    const uint8_t *w = m.low + (size_t)blockIdx.x * steps * 1024 + lane * 16;
    const uint8_t *x = a.h + ((size_t)g * 4 + t) * 16;

    uint4 ring[AHEAD][2];

#pragma unroll
    for (int u = 0; u < AHEAD; u++)
        for (int h = 0; h < 2; h++)
            if (warp * (SEGMENT / 32) + u < steps)
                ring[u][h] = load_once(w + (size_t)(warp * (SEGMENT / 32) + u) * 1024 + h * 512);
    previous_done();
    for (int s = warp; s < segments; s += warps) {
        const int first = s * (SEGMENT / 32), end = min(first + SEGMENT / 32, steps);
        const int then = first + warps * (SEGMENT / 32); // the warp's next segment
        float acc[4] = {0.0f, 0.0f, 0.0f, 0.0f};

        for (int k0 = first; k0 < end; k0 += AHEAD)
#pragma unroll
            for (int u = 0; u < AHEAD; u++) {
                const int k = k0 + u;
                if (k >= end)
                    break;
                const uint4 w0 = ring[u][0], w1 = ring[u][1];
                uint4 v = make_uint4(0, 0, 0, 0);

                if (g < a.ld)
                    v = *reinterpret_cast<const uint4 *>(x + (size_t)k * a.ld * 64);
                const int ahead = k + AHEAD < end ? k + AHEAD : then + k + AHEAD - end;
                if (ahead < steps)
                    for (int h = 0; h < 2; h++)
                        ring[u][h] = load_once(w + (size_t)ahead * 1024 + h * 512);
                mma<BF16>(acc, w0, v.x, v.y);
                mma<BF16>(acc, w1, v.z, v.w);
            }
        float *to = part + s * 128 + 2 * t;
        to[g * 8] = acc[0];
        to[g * 8 + 1] = acc[1];
        to[g * 8 + 64] = acc[2];
        to[g * 8 + 65] = acc[3];
    }
    __syncthreads();
    if (threadIdx.x >= 128)
        return;
    float sum = part[threadIdx.x];
    for (int s = 1; s < segments; s++)
        sum += part[s * 128 + threadIdx.x];
    put_half(y, ldy, add, m, a, sum, blockIdx.x * 16 + threadIdx.x / 8, threadIdx.x % 8);
}

constexpr int COLS = 64, TILES = COLS / 8, STAGES = 4, STEP = 2; // STEP: k32 steps of a stage

__device__ inline void stage_in(uint8_t *to, const struct cuda_act &a, int step, int end, int col0)
{
    for (int i = threadIdx.x; i < STEP * COLS * 4; i += 32 * WARPS) {
        int at = step + i / (COLS * 4), col = col0 + i / 4 % COLS;
        bool there = at < end && col < a.ld;
        size_t from = there ? (((size_t)at * a.ld + col) * 4 + i % 4) * 16 : 0;

        cp_async16(to + i * 16, a.h + from, there);
    }
    cp_async_commit();
}

// PANELS of a warp; part NULL: all segments are this block's. Else (segments, n, rows of panels).
template <bool BF16, int PANELS>
__global__ void __launch_bounds__(32 * WARPS, PANELS == 1 && GPU_HOPPER ? 2 : 1)
    half_many(float *y, int ldy, bool add, struct cuda_matrix m, struct cuda_act a, float *part,
              int turn)
{
    DYN_SHARED(uint8_t, shared);
    const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    const int panel = (blockIdx.x * WARPS + threadIdx.x / 32) * PANELS, panels = (m.rows + 15) / 16,
              col0 = blockIdx.y * COLS;
    const int steps = (m.cols + 63) / 64 * 2, first = blockIdx.z * turn * (SEGMENT / 32);
    const int end = min(first + turn * (SEGMENT / 32), steps);
    const uint8_t *w = m.low + (size_t)panel * steps * 1024 + lane * 16;
    float acc[PANELS][TILES][4] = {}, sum[PANELS][TILES][4] = {};
    uint4 next[PANELS][2];

    previous_done();
    for (int i = 0; i < STAGES - 1; i++)
        stage_in(shared + i * STEP * COLS * 64, a, first + i * STEP, end, col0);
#pragma unroll
    for (int p = 0; p < PANELS; p++)
        for (int h = 0; h < 2; h++)
            if (panel + p < panels)
                next[p][h] = load_once(w + ((size_t)p * steps + first) * 1024 + h * 512);
    for (int k0 = first, stage = 0; k0 < end; k0 += STEP, stage = (stage + 1) % STAGES) {
        cp_async_wait<STAGES - 2>();
        __syncthreads();
        stage_in(shared + (stage + STAGES - 1) % STAGES * STEP * COLS * 64, a,
                 k0 + (STAGES - 1) * STEP, end, col0);
#pragma unroll 1
        for (int u = 0; u < STEP; u++) {
            const int k = k0 + u;
            const uint8_t *x = shared + (stage * STEP + u) * COLS * 64 + lane * 16;
            uint4 v[PANELS][2];

#pragma unroll
            for (int p = 0; p < PANELS; p++)
                for (int h = 0; h < 2; h++) {
                    v[p][h] = next[p][h];
                    if (panel + p < panels && k + 1 < end)
                        next[p][h] = load_once(w + ((size_t)p * steps + k + 1) * 1024 + h * 512);
                }
#pragma unroll
            for (int c = 0; c < TILES; c++) {
                if (col0 + 8 * c >= a.ld)
                    break;
                const uint4 b = *reinterpret_cast<const uint4 *>(x + c * 512);
#pragma unroll
                for (int p = 0; p < PANELS; p++) {
                    mma<BF16>(acc[p][c], v[p][0], b.x, b.y);
                    mma<BF16>(acc[p][c], v[p][1], b.z, b.w);
                }
            }
        }
        const int done = k0 + STEP; // steps are even, and so are segments
        if (done % (SEGMENT / 32) && done < steps)
            continue;
        const int s = (done - 1) / (SEGMENT / 32);
#pragma unroll
        for (int p = 0; p < PANELS; p++)
#pragma unroll
            for (int c = 0; c < TILES; c++)
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    const int row = (panel + p) * 16 + g + i / 2 * 8,
                              col = col0 + 8 * c + 2 * t + i % 2;
                    if (!part)
                        sum[p][c][i] = s ? sum[p][c][i] + acc[p][c][i] : acc[p][c][i];
                    else if (panel + p < panels && col < a.n)
                        part[((size_t)s * a.n + col) * panels * 16 + row] = acc[p][c][i];
                    acc[p][c][i] = 0.0f;
                }
    }
    cp_async_wait<0>();
    if (part)
        return;
#pragma unroll
    for (int p = 0; p < PANELS; p++)
#pragma unroll
        for (int c = 0; c < TILES; c++)
#pragma unroll
            for (int i = 0; i < 4; i++)
                put_half(y, ldy, add, m, a, sum[p][c][i], (panel + p) * 16 + g + i / 2 * 8,
                         col0 + 8 * c + 2 * t + i % 2);
}

// The segments of half_many's parts, in order.
__global__ void __launch_bounds__(128) half_join(float *y, int ldy, bool add, struct cuda_matrix m,
                                                 struct cuda_act a, const float *part)
{
    const int row = blockIdx.x * 128 + threadIdx.x, col = blockIdx.y,
              segments = (m.cols + SEGMENT - 1) / SEGMENT;
    const size_t rows = (size_t)(m.rows + 15) / 16 * 16;

    if (row >= m.rows)
        return;
    previous_done();
    float sum = part[(size_t)col * rows + row];
    for (int s = 1; s < segments; s++)
        sum += part[((size_t)s * a.n + col) * rows + row];
    put_half(y, ldy, add, m, a, sum, row, col);
}

template <bool BF16>
void launch(float *y, int ldy, bool add, const struct cuda_matrix *m, const struct cuda_act *a,
            void *part, size_t part_bytes, int sms, cudaStream_t s)
{
    const int segments = (m->cols + SEGMENT - 1) / SEGMENT, panels = (m->rows + 15) / 16;
    const size_t bytes = STAGES * STEP * COLS * 64;

    if (a->n <= 8) {
        int warps = WARPS; // at least 4: as many threads as outputs

        while (warps > 4 && (segments + warps - 2) / (warps - 1) == (segments + warps - 1) / warps)
            warps--;
        LAUNCH_EARLY(half_few<BF16>, (unsigned)panels, 32 * warps, (size_t)segments * 512, s, y,
                     ldy, add, *m, *a);
        return;
    }
    dim3 grid((unsigned)(panels + WARPS - 1) / WARPS, (unsigned)(a->n + COLS - 1) / COLS, 1);
    if ((int)(grid.x * grid.y) < sms && segments > 1 &&
        part_bytes >= cuda_linear_part_bytes(m, a->n)) {
        int pieces = (2 * sms + (int)(grid.x * grid.y) - 1) / (int)(grid.x * grid.y);
        int turn = pieces >= segments ? 1 : (segments + pieces - 1) / pieces;

        grid.z = (unsigned)((segments + turn - 1) / turn);
        LAUNCH_EARLY((half_many<BF16, 1>), grid, 32 * WARPS, bytes, s, y, ldy, add, *m, *a,
                     static_cast<float *>(part), turn);
        LAUNCH_EARLY(half_join, dim3((unsigned)(m->rows + 127) / 128, (unsigned)a->n), 128, 0, s, y,
                     ldy, add, *m, *a, static_cast<const float *>(part));
    } else if ((int)(grid.x * grid.y) < 4 * sms) {
        LAUNCH_EARLY((half_many<BF16, 1>), grid, 32 * WARPS, bytes, s, y, ldy, add, *m, *a,
                     static_cast<float *>(nullptr), segments);
    } else {
        grid.x = (grid.x + 1) / 2;
        LAUNCH_EARLY((half_many<BF16, 2>), grid, 32 * WARPS, bytes, s, y, ldy, add, *m, *a,
                     static_cast<float *>(nullptr), segments);
    }
}

} // namespace

size_t cuda_linear_part_bytes(const struct cuda_matrix *m, int n)
{
    const size_t segments = ((size_t)m->cols + SEGMENT - 1) / SEGMENT,
                 rows = ((size_t)m->rows + 15) / 16 * 16;

    return m->type == 1 || m->type == 30 ? segments * rows * (size_t)n * 4 : 0;
}

void cuda_linear_half(float *y, int ldy, bool add, const struct cuda_matrix *m,
                      const struct cuda_act *a, void *part, size_t part_bytes, int sms,
                      cudaStream_t s)
{
    if (m->type == 30)
        launch<true>(y, ldy, add, m, a, part, part_bytes, sms, s);
    else
        launch<false>(y, ldy, add, m, a, part, part_bytes, sms, s);
}
