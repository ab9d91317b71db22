// one.cu - y = W x for one token, quantized weights.
//
// As few.cu and few_k.cu, whose bytes it gives; but with one token tensor cores have little to do,
// and the integer dots are made of dp4a: a lane has four values of eight places in two rows. Blocks
// of 32 leave the four parts of a sum in shared memory, where all threads turn them into floats for
// the few that add these in order; of blocks of 256 a warp adds up the groups first.
#include "linear.cuh"

namespace
{

template <int LOW, int HIGH, int LEVELS, int BLOCK, bool MIN> struct One {
    static constexpr int TILES = 32, AHEAD = 4; // of a phase; of a warp in registers
    static constexpr int PER = 64 / BLOCK, BLOCKS = TILES * PER, ITEMS = BLOCKS * 16;
    static constexpr int ZERO = LOW == 8 || LEVELS || MIN ? 0 : HIGH ? 16 : 8;

    // A phase in shared memory: (BLOCKS, 16, 4) parts of sums; (BLOCKS, 16) of value and scale.
    struct Room {
        int4 part[ITEMS];
        float2 value[ITEMS], least[MIN ? ITEMS : 1];
    };
};

// A tile's parts of sums, and its scales.
template <class P, int LOW, int HIGH, int LEVELS, int BLOCK, bool MIN>
__device__ inline void produce(typename P::Room *room, const Tile<LOW, HIGH> &w,
                               const Scales<LEVELS, BLOCK, MIN> &scale, const struct cuda_act &a,
                               int tile, int in, int lane)
{
    const uint4 table = levels_of(LEVELS);
    const int g = lane / 4, t = lane % 4;
    const uint4 x = *reinterpret_cast<const uint4 *>(a.q + ((size_t)tile * a.ld * 4 + t) * 16);
    int *part = reinterpret_cast<int *>(room->part + in * P::PER * 16) + g * 4 + t;

#pragma unroll
    for (int i = 0; i < P::PER / 2; i++) {
        room->value[in * P::PER * 16 + i * 32 + lane].y = scale_of<LEVELS, BLOCK>(scale.d[i]);
        if (MIN)
            room->least[in * P::PER * 16 + i * 32 + lane].y = scale_of<0, 32>(scale.min[i]);
    }
#pragma unroll
    for (int i = 0; i < 2; i++) {
        int s[4];
#pragma unroll
        for (int r = 0; r < 4; r++)
            s[r] = dp4a(w.template reg<LEVELS>(table, i, r), word_of(x, 2 * i + r / 2), 0);
        if (BLOCK == 16) {
#pragma unroll
            for (int r = 0; r < 4; r++)
                part[((2 * i + r / 2) * 16 + r % 2 * 8) * 4] = s[r];
        } else {
            part[i * 64] = s[0] + s[2];
            part[i * 64 + 32] = s[1] + s[3];
        }
    }
}

// Sums to floats, scales times the token's; with minima, the activations' sums.
template <class P, int BLOCK, bool MIN>
__device__ inline void settle(typename P::Room *room, const struct cuda_act &a, int first, int n)
{
    for (int i = threadIdx.x; i < n * 16; i += 32 * LINEAR_WARPS) {
        const int at = (first + i / 16) * BLOCK / 32;
        const float dx = a.d[(size_t)at * a.ld];
        const int x = P::ZERO || MIN ? a.s32[(size_t)(at / 8) * a.ld * 8 + at % 8] : 0;
        const int4 v = room->part[i];

        room->value[i] =
            make_float2((float)(v.x + v.y + v.z + v.w - P::ZERO * x), room->value[i].y * dx);
        if (MIN)
            room->least[i] = make_float2((float)x, room->least[i].y * dx);
    }
}

template <int LOW, int HIGH, int LEVELS, int BLOCK, bool MIN>
__global__ void __launch_bounds__(32 * LINEAR_WARPS, LOW == 8 || (HIGH && MIN) ? 3 : 4)
    one(float *y, bool add, struct cuda_matrix m, struct cuda_act a)
{
    using P = One<LOW, HIGH, LEVELS, BLOCK, MIN>;
    DYN_SHARED(typename P::Room, rooms); // two phases
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, panel = blockIdx.x;
    const int tiles = (m.cols + 63) / 64, blocks = m.cols / BLOCK, row = threadIdx.x;
    const uint8_t *low = m.low + (size_t)panel * tiles * 128 * LOW;
    const uint8_t *high = m.high + (size_t)panel * tiles * 128 * HIGH;
    const size_t scales = (size_t)panel * tiles * P::PER * 16;
    float acc = 0.0f;
    Tile<LOW, HIGH> ring[P::AHEAD];
    Scales<LEVELS, BLOCK, MIN> scale[P::AHEAD];

#pragma unroll
    for (int u = 0; u < P::AHEAD; u++)
        if (u * LINEAR_WARPS + warp < tiles) {
            ring[u].load(low, high, u * LINEAR_WARPS + warp, lane);
            scale[u].load(m, scales + (size_t)(u * LINEAR_WARPS + warp) * P::PER * 16, lane);
        }
    previous_done();
    for (int tile0 = 0, phase = 0; tile0 < tiles; tile0 += P::TILES, phase ^= 1) {
        typename P::Room *room = rooms + phase;
        const int first = tile0 * P::PER, n = min(P::BLOCKS, blocks - first);

#pragma unroll
        for (int u = 0; u < P::AHEAD; u++) {
            const int in = u * LINEAR_WARPS + warp, tile = tile0 + in;
            const Tile<LOW, HIGH> w = ring[u];
            const Scales<LEVELS, BLOCK, MIN> d = scale[u];

            if (tile >= tiles)
                break;
            if (tile + P::TILES < tiles) {
                ring[u].load(low, high, tile + P::TILES, lane);
                scale[u].load(m, scales + (size_t)(tile + P::TILES) * P::PER * 16, lane);
            }
            produce<P, LOW, HIGH, LEVELS, BLOCK, MIN>(room, w, d, a, tile, in, lane);
        }
        __syncthreads();
        settle<P, BLOCK, MIN>(room, a, first, n);
        __syncthreads();
        if (row < 16)
#pragma unroll 16
            for (int b = 0; b < n; b++) {
                const float2 v = room->value[b * 16 + row];

                acc = fmaf(v.x, v.y, acc);
                if (MIN) {
                    const float2 l = room->least[b * 16 + row];
                    acc = fmaf(l.x, l.y, acc);
                }
            }
    }
    if (row < 16 && panel * 16 + row < m.rows)
        put(y + m.row0 + panel * 16 + row, m.bias ? acc + m.bias[panel * 16 + row] : acc, add);
}

// The lane's part of the sum of a block of 256 in its row, or the one eight below; with it, its
// quarter of the sum of scales, or of minima, times the activations' sums.
template <int LOW, int HIGH, int GROUP, bool MIN> struct Part {
    static constexpr int ZERO = LOW == 2 && HIGH ? 4 : HIGH == 2 ? 32 : 0;
    int sum[2] = {0, 0}, extra[2] = {0, 0};

    static __device__ inline int scale(int byte)
    {
        return LOW == 2 && !HIGH ? byte & 15 : GROUP == 32 ? byte : (int)(int8_t)byte;
    }

    __device__ inline void dots(const Super<LOW, HIGH> &w, const int8_t *q, size_t step)
    {
#pragma unroll
        for (int tile = 0; tile < 4; tile++) {
            const uint4 x = *reinterpret_cast<const uint4 *>(q + tile * step);
#pragma unroll
            for (int i = 0; i < 2; i++) {
                const int b = tile * 2 + i;
                const uint32_t x0 = word_of(x, 2 * i), x1 = word_of(x, 2 * i + 1);
#pragma unroll
                for (int below = 0; below < 2; below++) {
                    if (GROUP == 32) {
                        int s = dp4a(w.reg(b, below), x0, 0);
                        s = dp4a(w.reg(b, below + 2), x1, s);
                        sum[below] += scale(w.byte(below, b)) * s;
                    } else {
                        sum[below] += scale(w.byte(below, 2 * b)) * dp4a(w.reg(b, below), x0, 0);
                        sum[below] +=
                            scale(w.byte(below, 2 * b + 1)) * dp4a(w.reg(b, below + 2), x1, 0);
                    }
                }
            }
        }
    }

    // Lane % 4 = t takes groups 256 / GROUP / 4 * t on.
    __device__ inline void extras(const Super<LOW, HIGH> &w, const int16_t *x, int t)
    {
        if (!MIN && !ZERO)
            return;
#pragma unroll
        for (int below = 0; below < 2; below++) {
            if (GROUP == 32) { // minima are bytes 8 on
                const uint32_t v = t < 2 ? w.group[below].z : w.group[below].w;
#pragma unroll
                for (int i = 0; i < 2; i++)
                    extra[below] += (int)(v >> (t % 2 * 16 + 8 * i) & 255) * x[2 * t + i];
            } else {
                const uint32_t v = word_of(w.group[below], t);
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    const int byte = v >> 8 * i & 255;
                    extra[below] += (MIN ? byte >> 4 : scale(byte)) * x[4 * t + i];
                }
            }
        }
    }

    // The sums of the four lanes.
    __device__ inline void gather()
    {
#pragma unroll
        for (int below = 0; below < 2; below++) {
            if (ZERO)
                sum[below] -= ZERO * extra[below];
            for (int o = 1; o < 4; o *= 2) {
                sum[below] += __shfl_xor_sync(~0u, sum[below], o);
                if (MIN)
                    extra[below] += __shfl_xor_sync(~0u, extra[below], o);
            }
        }
    }
};

// As few_k.cu: warps take blocks in turn; then sixteen threads add them in order.
template <int LOW, int HIGH, int GROUP, bool MIN>
__global__ void __launch_bounds__(32 * LINEAR_WARPS, HIGH == 2 ? 2 : 3)
    one_k(float *y, bool add, struct cuda_matrix m, struct cuda_act a)
{
    DYN_SHARED(float2, shared); // (blocks, 16) of value and scale, then of minima
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, panel = blockIdx.x, t = lane % 4;
    const int supers = m.cols / 256, row = threadIdx.x;
    const uint8_t *low = m.low + (size_t)panel * supers * 512 * LOW;
    const uint8_t *high = m.high + (size_t)panel * supers * 512 * HIGH;
    const uint8_t *group = m.min + (size_t)panel * supers * 256;
    const uint32_t *scale =
        reinterpret_cast<const uint32_t *>(m.scale) + (size_t)panel * supers * 16;
    Super<LOW, HIGH> next;

    if (warp < supers)
        next.load(low, high, group, warp, lane);
    previous_done();
    for (int super = warp; super < supers; super += LINEAR_WARPS) {
        const Super<LOW, HIGH> w = next;
        Part<LOW, HIGH, GROUP, MIN> part;
        const int r = lane / 4 + 8 * t; // of lanes t = 0 and 1
        float dx = 0.0f;
        uint32_t dm = 0;

        if (super + LINEAR_WARPS < supers)
            next.load(low, high, group, super + LINEAR_WARPS, lane);
        if (t < 2) {
            dx = a.d[(size_t)super * a.ld];
            dm = scale[super * 16 + r];
        }
        part.dots(w, a.q + ((size_t)super * 4 * a.ld * 4 + t) * 16, (size_t)a.ld * 64);
        part.extras(w, (GROUP == 32 ? a.s32 : a.s16) + (size_t)super * a.ld * (256 / GROUP), t);
        part.gather();
        if (t < 2) {
            const int s = t ? part.sum[1] : part.sum[0], l = t ? part.extra[1] : part.extra[0];
            shared[super * 16 + r] = make_float2((float)s, half_to_float((uint16_t)dm) * dx);
            if (MIN)
                shared[(supers + super) * 16 + r] =
                    make_float2((float)l, -half_to_float((uint16_t)(dm >> 16)) * dx);
        }
    }
    __syncthreads();
    if (row >= 16 || panel * 16 + row >= m.rows)
        return;
    float acc = 0.0f;
#pragma unroll 8
    for (int b = 0; b < supers; b++) {
        const float2 v = shared[b * 16 + row];

        acc = fmaf(v.x, v.y, acc);
        if (MIN) {
            const float2 l = shared[(supers + b) * 16 + row];
            acc = fmaf(l.x, l.y, acc);
        }
    }
    put(y + m.row0 + panel * 16 + row, m.bias ? acc + m.bias[panel * 16 + row] : acc, add);
}

template <int LOW, int HIGH, int LEVELS, int BLOCK, bool MIN>
void launch(float *y, bool add, const struct cuda_matrix *m, const struct cuda_act *a,
            cudaStream_t s)
{
    using P = One<LOW, HIGH, LEVELS, BLOCK, MIN>;

    LAUNCH_EARLY(
        (one<LOW, HIGH, LEVELS, BLOCK, MIN>), (unsigned)(m->rows + 15) / 16, 32 * LINEAR_WARPS,
        sizeof(typename P::Room) * ((m->cols + 63) / 64 > P::TILES ? 2 : 1), s, y, add, *m, *a);
}

template <int LOW, int HIGH, int GROUP, bool MIN>
void launch_k(float *y, bool add, const struct cuda_matrix *m, const struct cuda_act *a,
              cudaStream_t s)
{
    LAUNCH_EARLY((one_k<LOW, HIGH, GROUP, MIN>), (unsigned)(m->rows + 15) / 16, 32 * LINEAR_WARPS,
                 (size_t)m->cols / 256 * 16 * sizeof(float2) * (MIN ? 2 : 1), s, y, add, *m, *a);
}

} // namespace

void cuda_linear_one(float *y, bool add, const struct cuda_matrix *m, const struct cuda_act *a,
                     cudaStream_t s)
{
    struct matrix_format f = matrix_format(m->type);

    if (f.block == 256 && f.low == 2)
        f.high ? launch_k<2, 1, 16, false>(y, add, m, a, s)
               : launch_k<2, 0, 16, true>(y, add, m, a, s);
    else if (f.block == 256 && f.high != 1)
        f.high ? launch_k<4, 2, 16, false>(y, add, m, a, s)
               : launch_k<4, 0, 32, true>(y, add, m, a, s);
    else if (f.block == 256)
        launch_k<4, 1, 32, true>(y, add, m, a, s);
    else if (f.low == 8)
        launch<8, 0, 0, 32, false>(y, add, m, a, s);
    else if (f.levels == 1)
        launch<4, 0, 1, 32, false>(y, add, m, a, s);
    else if (f.levels == 2)
        f.block == 16 ? launch<4, 0, 2, 16, false>(y, add, m, a, s)
                      : launch<4, 0, 2, 32, false>(y, add, m, a, s);
    else if (f.high)
        f.min ? launch<4, 1, 0, 32, true>(y, add, m, a, s)
              : launch<4, 1, 0, 32, false>(y, add, m, a, s);
    else
        f.min ? launch<4, 0, 0, 32, true>(y, add, m, a, s)
              : launch<4, 0, 0, 32, false>(y, add, m, a, s);
}
