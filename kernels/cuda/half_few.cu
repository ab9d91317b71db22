// half_few.cu - y = W x with F16 and BF16 weights for up to eight tokens, on tensor cores.
//
// The sums are half.cu's. A block takes panels of 16 rows, one after the other; its warps
// take the segments in turn. Each thread copies the 16 bytes of weights that
// it multiplies with into a ring of its own in shared memory, DEPTH steps ahead and on into the
// next panel, so that memory is never without requests, and no thread waits for another but where
// the sums of segments are added. Activations come from device memory, some steps ahead in
// registers, or are the block's own.
//
// Measured on an H200 (2026-11-27), 8B shapes, eight tokens whose activations are there: qkv 14.8
// us, o 10.0, gate_up 57.0, down 30.0, where reading the weights at 4473 GB/s takes 11.3, 7.5, 52.5
// and 26.2. Asking for the steps behind the ring's as soon as activations are asked for cost 0.3 to
// 1.1 us each, and a third block on a multiprocessor, of the product behind, up to 18.
#include "fuse.cuh"
#include "pairs.cuh"

namespace
{

constexpr int DEPTH = 8, AHEAD = 4; // steps of 32 values of K: of the ring; of activations
constexpr int STEPS = HALF_SEGMENT / 32, FEW_BLOCKS = 2; // of a segment; blocks a multiprocessor

// What all threads of a block know.
struct Few {
    int steps, segments, panels;
    const uint8_t *low;
};

// A warp's walk over steps, segments, panels.
struct Walk {
    int panel, segment, k, end, stop; // stop: end, rounded up to AHEAD
    const uint8_t *w;

    __device__ inline void enter(const Few &f, int lane)
    {
        k = segment * STEPS;
        end = min(k + STEPS, f.steps);
        stop = k + (end - k + AHEAD - 1) / AHEAD * AHEAD;
        w = f.low + (size_t)(panel < f.panels ? panel : 0) * f.steps * 1024 + lane * 16;
    }
    __device__ inline void next(const Few &f, int warp, int warps, int lane)
    {
        if (++k < stop)
            return;
        segment += warps;
        if (segment >= f.segments) {
            segment = warp;
            panel += (int)gridDim.x;
        }
        enter(f, lane);
    }
    // This step's weights are on their way to `to`.
    __device__ inline void load(const Few &f, uint8_t *to) const
    {
        if (panel < f.panels && k < end) {
            cp_async16(to, w + (size_t)k * 1024);
            cp_async16(to + 512, w + (size_t)k * 1024 + 512);
        }
        cp_async_commit();
    }
};

// The activations of a warp's steps, over and over: of the step that is AHEAD of the sums.
struct Feed {
    int k, stop, segment;

    __device__ inline uint4 next(const Few &f, const struct cuda_act &a, const uint8_t *x, int warp,
                                 int warps, int g)
    {
        if (k == stop) {
            k = segment * STEPS;
            stop = k + (min(STEPS, f.steps - k) + AHEAD - 1) / AHEAD * AHEAD;
            segment = segment + warps < f.segments ? segment + warps : warp < f.segments ? warp : 0;
        }
        const int at = k++;
        if (g < a.ld && at < f.steps)
            return *reinterpret_cast<const uint4 *>(x + (size_t)at * a.ld * 64);
        return make_uint4(0, 0, 0, 0);
    }
};

// The segments of a panel are in part, of 128 sums each: add them up, and write what becomes of
// them. A thread has a row, or both of a pair.
__device__ inline void finish(float *y, int ldy, bool add, const struct cuda_matrix &m,
                              const struct cuda_act &a, const float *part, int panel, int segments)
{
    const int at = (int)threadIdx.x / 8, col = (int)threadIdx.x % 8;
    const bool paired = m.glu.y || m.turn.by;
    float v[2] = {0.0f, 0.0f};

    if (at >= (paired ? 8 : 16))
        return;
#pragma unroll
    for (int i = 0; i < 2; i++) {
        const float *p = part + i * 64 + threadIdx.x;
        const int r = matrix_row(&m, panel, at + 8 * i);

        if (i && !paired)
            break;
        v[i] = p[0];
        for (int s = 1; s < segments; s++)
            v[i] += p[s * 128];
        if (col < a.n)
            v[i] = v[i] * a.scale[col];
        if (m.bias && r < m.rows)
            v[i] = v[i] + m.bias[r];
    }
    const int row = matrix_row(&m, panel, at);
    if (row >= m.rows || col >= a.n)
        return;
    if (m.glu.y)
        glu_put(m, v[0], v[1], row, col);
    else if (m.turn.by)
        turn_put(m, y, ldy, v[0], v[1], row, col);
    else
        put(y + (size_t)col * ldy + m.row0 + row, v[0], add);
}

// Shared memory: (warps, DEPTH, 1024) weights; 1 or 2 of (segments, 16, 8) sums, in front the
// head's scratch; the block's activations.
template <bool BF16>
__global__ void __launch_bounds__(32 * LINEAR_WARPS, FEW_BLOCKS)
    half_few(float *y, int ldy, bool add, struct cuda_matrix m, struct cuda_act a,
             struct cuda_head head, int scratch)
{
    DYN_SHARED(uint8_t, shared);
    const int warps = (int)blockDim.x / 32, warp = (int)threadIdx.x / 32,
              lane = (int)threadIdx.x % 32, g = lane / 4, t = lane % 4;
    uint8_t *ring = shared + (size_t)warp * DEPTH * 1024 + lane * 16;
    float *part = reinterpret_cast<float *>(shared + (size_t)warps * DEPTH * 1024);
    uint8_t *own = reinterpret_cast<uint8_t *>(part) + scratch;
    Few f;
    Walk ahead;
    uint4 v[AHEAD];

    f.steps = (m.cols + 63) / 64 * 2;
    f.segments = (m.cols + HALF_SEGMENT - 1) / HALF_SEGMENT;
    f.panels = (m.rows + 15) / 16;
    f.low = m.low;
    const int first = warp < f.segments ? warp : 0;
    ahead.panel = warp < f.segments ? (int)blockIdx.x : f.panels;
    ahead.segment = first;
    ahead.enter(f, lane);
    head_begin(head, a, part);
#pragma unroll 1
    for (int i = 0; i < DEPTH - 1; i++) {
        ahead.load(f, ring + i * 1024);
        ahead.next(f, first, warps, lane);
    }
    previous_done();
    if (head.kind) {
        a = act_place(own, a.n, a.n, a.cols, 1);
        head_make<DEPTH - 1, !BF16>(a, head, part);
    }
    const uint8_t *x = a.h + ((size_t)g * 4 + t) * 16;
    Feed feed = {0, 0, first};
    int slot = 0;
#pragma unroll
    for (int u = 0; u < AHEAD; u++)
        v[u] = feed.next(f, a, x, warp, warps, g);
    float *sums = part;
    for (int panel = (int)blockIdx.x; panel < f.panels; panel += (int)gridDim.x) {
        for (int i = warp; i < f.segments; i += warps) {
            const int from = i * STEPS, end = min(from + STEPS, f.steps);
            float acc[4] = {0.0f, 0.0f, 0.0f, 0.0f};

#pragma unroll 1
            for (int k0 = from; k0 < end; k0 += AHEAD)
#pragma unroll
                for (int u = 0; u < AHEAD; u++) {
                    cp_async_wait<DEPTH - 2>();
                    const uint8_t *at = ring + slot * 1024;
                    const uint4 w0 = *reinterpret_cast<const uint4 *>(at),
                                w1 = *reinterpret_cast<const uint4 *>(at + 512), b = v[u];

                    ahead.load(f, ring + (slot + DEPTH - 1) % DEPTH * 1024); // the step before's
                    ahead.next(f, warp, warps, lane);
                    slot = (slot + 1) % DEPTH;
                    v[u] = feed.next(f, a, x, warp, warps, g);
                    if (k0 + u < end) {
                        half_mma<BF16>(acc, w0, b.x, b.y);
                        half_mma<BF16>(acc, w1, b.z, b.w);
                    }
                }
            float *to = sums + i * 128 + 2 * t;
            to[g * 8] = acc[0];
            to[g * 8 + 1] = acc[1];
            to[g * 8 + 64] = acc[2];
            to[g * 8 + 65] = acc[3];
        }
        __syncthreads();
        if (threadIdx.x < 128)
            finish(y, ldy, add, m, a, sums, panel, f.segments);
        sums = sums == part ? part + f.segments * 128 : part; // while the first threads finish
    }
    cp_async_wait<0>();
}

template <bool BF16>
void launch(float *y, int ldy, bool add, const struct cuda_matrix *m, const struct cuda_act *a,
            const struct cuda_head *head, int sms, cudaStream_t s)
{
    const int segments = (m->cols + HALF_SEGMENT - 1) / HALF_SEGMENT;
    const int panels = (m->rows + 15) / 16, slots = FEW_BLOCKS * sms;
    const int each = (panels + slots - 1) / slots, grid = (panels + each - 1) / each;
    size_t sums = (size_t)segments * 512 * (each > 1 ? 2 : 1),
           scratch = head_scratch(*head, a->n, a->cols) * 4;
    int warps = LINEAR_WARPS; // at least 4: as many threads as outputs

    while (warps > 4 && (segments + warps - 2) / (warps - 1) == (segments + warps - 1) / warps)
        warps--;
    scratch = act_up(scratch > sums ? scratch : sums);
    const size_t bytes = (size_t)warps * DEPTH * 1024 + scratch + head_bytes(*head, *a);
    LAUNCH_EARLY(half_few<BF16>, (unsigned)grid, 32 * warps, shared_of(FEW_BLOCKS, bytes), s, y,
                 ldy, add, *m, *a, *head, (int)scratch);
}

} // namespace

void cuda_linear_half_few(float *y, int ldy, bool add, const struct cuda_matrix *m,
                          const struct cuda_act *a, const struct cuda_head *head, int sms,
                          cudaStream_t s)
{
    if (m->type == 30)
        launch<true>(y, ldy, add, m, a, head, sms, s);
    else
        launch<false>(y, ldy, add, m, a, head, sms, s);
}
