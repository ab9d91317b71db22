// one.cu - y = W x for one token, quantized weights.
//
// As few.cu and few_k.cu, whose bytes it gives; but with one token tensor cores have little to do,
// and the integer dots are made of dp4a: a lane has four values of eight places in two rows. Blocks
// of 32 leave the four parts of a sum in shared memory, where all threads turn them into floats for
// the few that add these in order; of blocks of 256 a warp adds up the groups first.
#include "fuse.cuh"

namespace
{

// Blocks on a multiprocessor; by themselves as measured, fused as registers allow.
template <int LOW, int HIGH, bool MIN> constexpr int one_blocks(bool fused)
{
    return fused ? (LOW == 8 || MIN ? 2 : 3) : LOW == 8 || (HIGH && MIN) ? 3 : 4;
}

template <int HIGH> constexpr int one_k_blocks(bool fused)
{
    return HIGH == 2 || (fused && HIGH) ? 2 : 3;
}

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

// room: bytes of phases, or of the head's scratch; behind them the block's activations, then
// cosines and sines.
template <int LOW, int HIGH, int LEVELS, int BLOCK, bool MIN, bool FUSED>
__global__ void __launch_bounds__(32 * LINEAR_WARPS, one_blocks<LOW, HIGH, MIN>(FUSED))
    one(float *y, bool add, struct cuda_matrix m, struct cuda_act a, struct cuda_head head,
        struct cuda_tail tail, int room_bytes)
{
    using P = One<LOW, HIGH, LEVELS, BLOCK, MIN>;
    DYN_SHARED(uint8_t, shared);
    typename P::Room *rooms = reinterpret_cast<typename P::Room *>(shared); // two phases
    float *cs = reinterpret_cast<float *>(shared + room_bytes + head_bytes(head, a));
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int tiles = (m.cols + 63) / 64, blocks = m.cols / BLOCK, row = threadIdx.x;
    const size_t low = (size_t)tiles * 128 * LOW, high = (size_t)tiles * 128 * HIGH, // of a panel
        scales = (size_t)tiles * P::PER * 16;
    if (!FUSED)
        head.kind = tail.kind = 0;
    Turn now = turn_first(tail, m.rows);
    float first = 0.0f;
    Tile<LOW, HIGH> ring[P::AHEAD];
    Scales<LEVELS, BLOCK, MIN> scale[P::AHEAD];
    const auto load = [&](int u, int panel, int tile) {
        ring[u].load(m.low + panel * low, m.high + panel * high, tile, lane);
        scale[u].load(m, panel * scales + (size_t)tile * P::PER * 16, lane);
    };

    head_begin(head, a, reinterpret_cast<float *>(shared));
#pragma unroll
    for (int u = 0; u < P::AHEAD; u++)
        if (u * LINEAR_WARPS + warp < tiles)
            load(u, now.panel, u * LINEAR_WARPS + warp);
    tail_begin(tail, cs);
    previous_done();
    if (head.kind) {
        a = act_place(shared + room_bytes, 1, 1, a.cols, a.block);
        head_make<0, false>(a, head, reinterpret_cast<float *>(shared));
    }
    for (int phase = 0; now.there;) {
        const Turn then = FUSED ? now.after(tail, m.rows) : Turn{0, 0, 0, false};
        float acc = 0.0f;

        for (int tile0 = 0; tile0 < tiles; tile0 += P::TILES, phase ^= 1) {
            typename P::Room *room = rooms + phase;
            const int at = tile0 * P::PER, n = min(P::BLOCKS, blocks - at);

#pragma unroll
            for (int u = 0; u < P::AHEAD; u++) {
                const int in = u * LINEAR_WARPS + warp, tile = tile0 + in;
                const Tile<LOW, HIGH> w = ring[u];
                const Scales<LEVELS, BLOCK, MIN> d = scale[u];

                if (tile >= tiles)
                    break;
                if (tile + P::TILES < tiles)
                    load(u, now.panel, tile + P::TILES);
                else if (then.there)
                    load(u, then.panel, in);
                produce<P, LOW, HIGH, LEVELS, BLOCK, MIN>(room, w, d, a, tile, in, lane);
            }
            __syncthreads();
            settle<P, BLOCK, MIN>(room, a, at, n);
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
        if (warp == 0)
            tail_put(tail, cs, y, 0, add, m, now, row, row / 16, 1, 1, acc, first);
        now = then;
    }
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
template <int LOW, int HIGH, int GROUP, bool MIN, bool FUSED>
__global__ void __launch_bounds__(32 * LINEAR_WARPS, one_k_blocks<HIGH>(FUSED))
    one_k(float *y, bool add, struct cuda_matrix m, struct cuda_act a, struct cuda_head head,
          struct cuda_tail tail, int room_bytes)
{
    DYN_SHARED(uint8_t, shared); // as of one: two rooms, (blocks, 16) of value and scale, of minima
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, t = lane % 4;
    const int supers = m.cols / 256, row = threadIdx.x, size = supers * 16 * (MIN ? 2 : 1);
    const size_t low = (size_t)supers * 512 * LOW, high = (size_t)supers * 512 * HIGH,
                 group = (size_t)supers * 256;
    float *cs = reinterpret_cast<float *>(shared + room_bytes + head_bytes(head, a));
    float2 *room = reinterpret_cast<float2 *>(shared);
    if (!FUSED)
        head.kind = tail.kind = 0;
    Turn now = turn_first(tail, m.rows);
    float first = 0.0f;
    Super<LOW, HIGH> next;
    const auto load = [&](int panel, int super) {
        next.load(m.low + panel * low, m.high + panel * high, m.min + panel * group, super, lane);
    };

    head_begin(head, a, reinterpret_cast<float *>(shared));
    if (warp < supers)
        load(now.panel, warp);
    tail_begin(tail, cs);
    previous_done();
    if (head.kind) {
        a = act_place(shared + room_bytes, 1, 1, a.cols, a.block);
        head_make<0, false>(a, head, reinterpret_cast<float *>(shared));
    }
    for (; now.there;) {
        const Turn then = FUSED ? now.after(tail, m.rows) : Turn{0, 0, 0, false};
        const uint32_t *scale =
            reinterpret_cast<const uint32_t *>(m.scale) + (size_t)now.panel * supers * 16;

        for (int super = warp; super < supers; super += LINEAR_WARPS) {
            const Super<LOW, HIGH> w = next;
            Part<LOW, HIGH, GROUP, MIN> part;
            const int r = lane / 4 + 8 * t; // of lanes t = 0 and 1
            float dx = 0.0f;
            uint32_t dm = 0;

            if (super + LINEAR_WARPS < supers)
                load(now.panel, super + LINEAR_WARPS);
            else if (then.there)
                load(then.panel, warp);
            if (t < 2) {
                dx = a.d[(size_t)super * a.ld];
                dm = scale[super * 16 + r];
            }
            part.dots(w, a.q + ((size_t)super * 4 * a.ld * 4 + t) * 16, (size_t)a.ld * 64);
            part.extras(w, (GROUP == 32 ? a.s32 : a.s16) + (size_t)super * a.ld * (256 / GROUP), t);
            part.gather();
            if (t < 2) {
                const int s = t ? part.sum[1] : part.sum[0], l = t ? part.extra[1] : part.extra[0];
                room[super * 16 + r] = make_float2((float)s, half_to_float((uint16_t)dm) * dx);
                if (MIN)
                    room[(supers + super) * 16 + r] =
                        make_float2((float)l, -half_to_float((uint16_t)(dm >> 16)) * dx);
            }
        }
        __syncthreads();
        if (warp == 0) {
            float acc = 0.0f;

#pragma unroll 8
            for (int b = 0; b < supers; b++) {
                const float2 v = room[b * 16 + row % 16];

                acc = fmaf(v.x, v.y, acc);
                if (MIN) {
                    const float2 l = room[(supers + b) * 16 + row % 16];
                    acc = fmaf(l.x, l.y, acc);
                }
            }
            tail_put(tail, cs, y, 0, add, m, now, row, row / 16, 1, 1, acc, first);
        }
        room = reinterpret_cast<float2 *>(shared) +
               (room == reinterpret_cast<float2 *>(shared) ? size : 0);
        now = then;
    }
}

template <int LOW, int HIGH, int LEVELS, int BLOCK, bool MIN>
void launch(float *y, bool add, const struct cuda_matrix *m, const struct cuda_act *a,
            const struct cuda_head *head, const struct cuda_tail *tail, int sms, cudaStream_t s)
{
    using P = One<LOW, HIGH, LEVELS, BLOCK, MIN>;
    const bool fused = head->kind || tail->kind;
    const Fit f(m, a, head, tail, one_blocks<LOW, HIGH, MIN>(fused) * sms, sizeof(typename P::Room),
                (m->cols + 63) / 64 > P::TILES);

    if (fused)
        LAUNCH_EARLY((one<LOW, HIGH, LEVELS, BLOCK, MIN, true>), f.grid, 32 * LINEAR_WARPS, f.all,
                     s, y, add, *m, *a, *head, tail_of(tail), (int)f.room);
    else
        LAUNCH_EARLY((one<LOW, HIGH, LEVELS, BLOCK, MIN, false>), f.grid, 32 * LINEAR_WARPS, f.all,
                     s, y, add, *m, *a, *head, *tail, (int)f.room);
}

template <int LOW, int HIGH, int GROUP, bool MIN>
void launch_k(float *y, bool add, const struct cuda_matrix *m, const struct cuda_act *a,
              const struct cuda_head *head, const struct cuda_tail *tail, int sms, cudaStream_t s)
{
    const bool fused = head->kind || tail->kind;
    const Fit f(m, a, head, tail, one_k_blocks<HIGH>(fused) * sms,
                (size_t)m->cols / 256 * 16 * sizeof(float2) * (MIN ? 2 : 1), false);

    if (fused)
        LAUNCH_EARLY((one_k<LOW, HIGH, GROUP, MIN, true>), f.grid, 32 * LINEAR_WARPS, f.all, s, y,
                     add, *m, *a, *head, tail_of(tail), (int)f.room);
    else
        LAUNCH_EARLY((one_k<LOW, HIGH, GROUP, MIN, false>), f.grid, 32 * LINEAR_WARPS, f.all, s, y,
                     add, *m, *a, *head, *tail, (int)f.room);
}

} // namespace

void cuda_linear_one(float *y, bool add, const struct cuda_matrix *m, const struct cuda_act *a,
                     const struct cuda_head *head, const struct cuda_tail *tail, int sms,
                     cudaStream_t s)
{
    struct matrix_format f = matrix_format(m->type);

    if (f.block == 256 && f.low == 2)
        f.high ? launch_k<2, 1, 16, false>(y, add, m, a, head, tail, sms, s)
               : launch_k<2, 0, 16, true>(y, add, m, a, head, tail, sms, s);
    else if (f.block == 256 && f.high != 1)
        f.high ? launch_k<4, 2, 16, false>(y, add, m, a, head, tail, sms, s)
               : launch_k<4, 0, 32, true>(y, add, m, a, head, tail, sms, s);
    else if (f.block == 256)
        launch_k<4, 1, 32, true>(y, add, m, a, head, tail, sms, s);
    else if (f.low == 8)
        launch<8, 0, 0, 32, false>(y, add, m, a, head, tail, sms, s);
    else if (f.levels == 1)
        launch<4, 0, 1, 32, false>(y, add, m, a, head, tail, sms, s);
    else if (f.levels == 2)
        f.block == 16 ? launch<4, 0, 2, 16, false>(y, add, m, a, head, tail, sms, s)
                      : launch<4, 0, 2, 32, false>(y, add, m, a, head, tail, sms, s);
    else if (f.high)
        f.min ? launch<4, 1, 0, 32, true>(y, add, m, a, head, tail, sms, s)
              : launch<4, 1, 0, 32, false>(y, add, m, a, head, tail, sms, s);
    else
        f.min ? launch<4, 0, 0, 32, true>(y, add, m, a, head, tail, sms, s)
              : launch<4, 0, 0, 32, false>(y, add, m, a, head, tail, sms, s);
}
