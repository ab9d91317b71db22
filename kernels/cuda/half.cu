// half.cu - y = W x with F16 and BF16 weights, on tensor cores (mma.sync m16n8k16), for more than
// eight tokens; half_few.cu is for fewer.
//
// K is cut into segments of 512 from its start. A segment is summed from 0, 16 values a step in
// ascending order; the sums of segments are then added in ascending order. That is the same for any
// number of tokens and any grid, and so are the bytes, on one kind of GPU.
//
// A block is 128 rows by 64 tokens, whose activations pass through shared memory; where that makes
// too few blocks, each takes some segments and a second kernel adds them up.
#include "linear.cuh"

namespace
{

constexpr int SEGMENT = HALF_SEGMENT, WARPS = LINEAR_WARPS;

__device__ inline void put_half(float *y, int ldy, bool add, const struct cuda_matrix &m,
                                const struct cuda_act &a, float v, int row, int col)
{
    if (row >= m.rows || col >= a.n)
        return;
    v = v * a.scale[col];
    put(y + (size_t)col * ldy + m.row0 + row, m.bias ? v + m.bias[row] : v, add);
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
                    half_mma<BF16>(acc[p][c], v[p][0], b.x, b.y);
                    half_mma<BF16>(acc[p][c], v[p][1], b.z, b.w);
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
