// layers.cuh - all layers of a step of one token in one kernel: what is the same for all weights.
//
// A block a multiprocessor, all there at once (LAUNCH_TOGETHER). A layer is four products, each on
// all blocks, with positions and attention between the first two; blocks meet at a counter in
// device memory wherever one reads what others wrote: six times a layer, seven where a token's
// attention has several ranges. What is multiplied with is made by each block for itself in shared
// memory, as the kernels of few tokens do it (fuse.cuh).
//
// The point of it is that memory is never idle. Weights do not depend on what is computed, so each
// warp has a ring of its own in shared memory, which bulk copies fill for it; it asks for the next
// weights wherever it has read some, of the next panel, product or layer, and so they arrive while
// blocks meet, and through norms and attention: some 5 microseconds of reading.
//
// The work of a block is a row of items: of its panels of 16 rows the pieces of K that one warp
// sums up by itself. Warps take them in turn, on and on. Units are one panel, or two, gate and up,
// that go through the nonlinearity together. No sum is other than in the kernels that it stands
// for, whose functions these are: norm, rope, attn_one, attn_join, fuse, and a type's product.
//
// Of a type's struct W: BLOCK of its activations; ITEM and PLACE, the tiles of K of an item and of
// a place of the ring, of SLOT bytes; what is called below.
//
// Expected on an H200, a token of the 8B shape in BF16 at 128 keys: a layer's weights take 98
// microseconds to read; of what blocks wait for, rings do not hide some 4; with the head, 3.6 ms.
// Not measured yet.
#pragma once
#include "attn_join.cuh"
#include "attn_one.cuh"
#include "fuse.cuh"
#include "layers.h"
#include "rope.cuh"

namespace
{

constexpr int LAYERS_WARPS = 8, LAYERS_DEPTH = 16; // places of a ring, at most
constexpr int LAYERS_FURTHER = 4;                  // that are asked for where blocks wait longest
constexpr int LAYERS_STATIC = 4 << 10;             // shared memory that is not counted, at most

// A product as blocks share it.
struct Split {
    int tiles, segments, panels, items, units; // of K; of a panel; of a unit, twice; of the matrix
};

struct Plan {
    struct cuda_layers l;
    Split of[LAYER_PRODUCTS];
    int products, depth, sums; // of all layers; places of a ring; floats of a unit's sums
    size_t ring, room, all;    // bytes: of all rings; in front of room; of all
};

// Where a warp is in the work of its block.
template <class W> struct Walk {
    int i, unit, item, place;

    __device__ inline void settle(const Plan &p)
    {
        for (place = 0; i < p.products;) {
            const Split &s = p.of[i % LAYER_PRODUCTS];

            if (unit >= s.units) {
                unit = (int)blockIdx.x;
                i++;
            } else if (item >= s.items) {
                item -= s.items;
                unit += (int)gridDim.x;
            } else {
                break;
            }
        }
    }
    // The first tile of the place, and tiles.
    __device__ inline int tile(const Split &s) const
    {
        return item % s.segments * W::ITEM + place * W::PLACE;
    }
    // The same among all of the matrix; panels of up stand below those of gate.
    __device__ inline size_t first(const Split &s) const
    {
        return (size_t)(unit + (item >= s.segments ? s.units : 0)) * s.tiles + tile(s);
    }
    __device__ inline int tiles(const Split &s) const
    {
        const int begin = item % s.segments * W::ITEM, end = min(begin + W::ITEM, s.tiles);

        return min(end - begin - place * W::PLACE, W::PLACE);
    }
    __device__ inline void next(const Plan &p)
    {
        place++;
        if (place * W::PLACE < W::ITEM && tiles(p.of[i % LAYER_PRODUCTS]) > 0)
            return;
        item += LAYERS_WARPS;
        settle(p);
    }
};

// A warp's ring.
template <class W> struct Ring {
    uint8_t *at;
    uint64_t *full;
    Walk<W> ahead;
    int slot;
    unsigned parity;

    // What comes next is on its way to place `to`, which all lanes have read.
    __device__ inline void fill(const Plan &p, int to)
    {
        if (ahead.i >= p.products)
            return;
        if (threadIdx.x % 32 == 0) {
            const int which = ahead.i % LAYER_PRODUCTS;
            const Split &s = p.of[which];

            W::copy(at + to * W::SLOT, p.l.layer[ahead.i / LAYER_PRODUCTS].w[which], ahead.first(s),
                    ahead.tiles(s), full + to);
        }
        ahead.next(p);
    }
    __device__ inline void open(const Plan &p, uint8_t *ring, uint64_t *bars)
    {
        const int warp = (int)threadIdx.x / 32;

        at = ring + (size_t)warp * p.depth * W::SLOT;
        full = bars + warp * LAYERS_DEPTH;
        ahead = {0, (int)blockIdx.x, warp, 0};
        ahead.settle(p);
        slot = 0;
        parity = 0;
        if (threadIdx.x % 32 == 0) {
            for (int i = 0; i < p.depth; i++)
                mbar_init(full + i);
            mbar_ready();
        }
        __syncwarp();
        for (int i = 0; i < p.depth; i++)
            fill(p, i);
    }
    // What the ring has no room for is on its way to the cache of all multiprocessors.
    __device__ inline void further(const Plan &p) const
    {
        Walk<W> at = ahead;

        for (int i = 0; i < LAYERS_FURTHER && at.i < p.products; i++) {
            const int which = at.i % LAYER_PRODUCTS;

            W::prefetch(p.l.layer[at.i / LAYER_PRODUCTS].w[which], at.first(p.of[which]),
                        at.tiles(p.of[which]));
            at.next(p);
        }
    }
    __device__ inline const uint8_t *wait() const
    {
        mbar_wait(full + slot, parity);
        return at + slot * W::SLOT;
    }
    // All lanes have read the place.
    __device__ inline void next(const Plan &p)
    {
        __syncwarp();
        fill(p, slot);
        slot++;
        if (slot == p.depth) {
            slot = 0;
            parity ^= 1;
        }
    }
};

// ---- where blocks meet: what they wrote before arrive() is there after wait()
struct Meeting {
    unsigned *met, until;

    __device__ inline void open(unsigned *words)
    {
        met = words;
        if (threadIdx.x == 0)
            until = words[1]; // written when all blocks of the launch before had met
    }
    __device__ inline void arrive()
    {
        __syncthreads();
        if (threadIdx.x == 0)
            grid_arrive(met);
    }
    __device__ inline void wait()
    {
        if (threadIdx.x == 0)
            grid_wait(met, until += gridDim.x);
        __syncthreads();
    }
    __device__ inline void close()
    {
        if (threadIdx.x == 0 && blockIdx.x == 0)
            met[1] = until;
    }
};

// ---- positions and attention

template <class T> __device__ inline attn_args layer_attn(const Plan &p, const struct cuda_layer &w)
{
    const struct cuda_attn &a = p.l.attn;
    attn_args g = {};

    g.qkv = p.l.qkv;
    g.y = p.l.h;
    g.part = p.l.part;
    g.kv = static_cast<const unsigned char *>(w.kv);
    g.st = p.l.st;
    g.n_heads = a.n_heads;
    g.n_kv_heads = a.n_kv_heads;
    g.head_dim = a.head_dim;
    g.window = w.window;
    g.scale = a.scale;
    g.softcap = a.softcap;
    g.inverse = a.softcap > 0.0f ? 1.0f / a.softcap : 0.0f;
    g.parts = p.l.st.n_ranges > 1;
    return g;
}

// Heads to warps; cosines and sines are there when the blocks, which have arrived, meet. room:
// (rope_dims), then (LAYERS_WARPS, head_dim).
template <class T>
__device__ inline void layer_rope(const Plan &p, const struct cuda_layer &w, Meeting &meet,
                                  float *room)
{
    struct cuda_attn a = p.l.attn;
    const int heads = a.n_heads + 2 * a.n_kv_heads, half = a.rope_dims / 2,
              warp = (int)threadIdx.x / 32, pos = p.l.st.pos[0], slot = p.l.st.slot[0];
    const int page =
        p.l.st.page[(size_t)p.l.st.seq[0] * (size_t)p.l.st.max_pages + slot / CUDA_PAGE];

    a.q_norm = w.q_norm;
    a.k_norm = w.k_norm;
    if ((int)blockIdx.x < heads)
        for (int i = (int)threadIdx.x; i < half; i += (int)blockDim.x)
            num_sincos((float)pos * w.inv_freq[i], room + half + i, room + i);
    meet.wait();
    for (int h = (int)blockIdx.x + warp * (int)gridDim.x; h < heads;
         h += LAYERS_WARPS * (int)gridDim.x)
        rope_head<T>(p.l.qkv + (size_t)h * (size_t)a.head_dim,
                     room + a.rope_dims + warp * a.head_dim, room, a, h,
                     static_cast<typename T::value *>(w.kv), page, slot % CUDA_PAGE);
}

// A head and a range at a time.
using LayerRange = attn_plan<LAYERS_WARPS, 1, 1, 1, 1, 0, true>;

template <class T>
__device__ inline bool layer_range(const attn_args &a, attn_block<1> *block, int i)
{
    if (i >= a.n_heads * a.st.n_ranges ||
        !attn_begin<LayerRange>(a, block, i / a.n_heads, i % a.n_heads, 0))
        return false;
    attn_open<T, LayerRange>(a, block);
    __syncthreads();
    return true;
}

// room: what positions need, or a query, then its scores.
template <class W, class T>
__device__ inline void layer_attention(const Plan &p, const struct cuda_layer &w, Meeting &meet,
                                       const Ring<W> &ring, float *room)
{
    SHARED(attn_block<1>, block, [1]);
    const attn_args a = layer_attn<T>(p, w);

    meet.arrive();
    ring.further(p);
    if (layer_range<T>(a, block, (int)blockIdx.x)) // but for the newest key it is all there
        attn_ahead_of<T, LayerRange>(block, a.head_dim);
    layer_rope<T>(p, w, meet, room);
    meet.arrive();
    meet.wait();
    for (int i = (int)blockIdx.x; i < a.n_heads * a.st.n_ranges; i += (int)gridDim.x) {
        if (layer_range<T>(a, block, i))
            attn_range_rest<T, LayerRange>(a, room, block);
        __syncthreads();
    }
    if (a.parts) {
        const int first = attn_first(a, 0) / CUDA_RANGE, last = a.st.last[0] / CUDA_RANGE;
        constexpr int HEADS = 32 * LAYERS_WARPS / ATTN_JOIN; // of a block

        meet.arrive();
        meet.wait();
        for (int h = (int)blockIdx.x * HEADS + (int)threadIdx.x / ATTN_JOIN; h < a.n_heads;
             h += HEADS * (int)gridDim.x)
            attn_join_head(a, h, 0, first, last);
    }
}

// ---- products

// What product i multiplies with, as activations in room; before it, what this reads is there.
template <class W, class T>
__device__ inline struct cuda_act layer_inputs(const Plan &p, int i, Meeting &meet,
                                               const Ring<W> &ring, uint8_t *room)
{
    const int which = i % LAYER_PRODUCTS, cols = p.l.cols[which];
    const struct cuda_layer &w = p.l.layer[i / LAYER_PRODUCTS];
    const struct cuda_act a = act_place(room, 1, 1, cols, W::BLOCK);
    const size_t bytes = act_sizes(1, cols, W::BLOCK).all;
    float *scratch = reinterpret_cast<float *>(room + bytes);
    struct cuda_head head = {};

    if (which == LAYER_O)
        layer_attention<W, T>(p, w, meet, ring, reinterpret_cast<float *>(room));
    if (i > 0)
        meet.arrive();
    if (which == LAYER_QKV || which == LAYER_GATE_UP) {
        head.kind = CUDA_HEAD_NORM;
        head.x = p.l.x;
        head.norm = w.norm[which / 2];
        head_begin(head, a, scratch);
    } else {
        head.kind = CUDA_HEAD_ROWS;
        head.x = p.l.h;
    }
    if (i > 0)
        meet.wait();
    if (which == LAYER_DOWN && p.l.next.block) {
        const uint8_t *from = W::made(p.l.next);

#pragma unroll 4
        for (size_t k = 16 * threadIdx.x; k < bytes; k += 16 * blockDim.x)
            *reinterpret_cast<uint4 *>(room + k) = *reinterpret_cast<const uint4 *>(from + k);
        __syncthreads();
    } else {
        W::make(a, head, scratch);
    }
    return a;
}

// A unit's panels are summed up: what becomes of them.
template <class W>
__device__ inline void layer_finish(const Plan &p, int i, const struct cuda_matrix &m,
                                    const struct cuda_act &a, int unit, const float *sums)
{
    const int which = i % LAYER_PRODUCTS, segments = W::parts(p.of[which].segments);
    struct cuda_tail tail = {};

    if (which == LAYER_GATE_UP) {
        tail.kind = CUDA_TAIL_GLU;
        tail.glu = p.l.h;
        tail.act = p.l.act;
        tail.a = p.l.next;
        W::template finish<CUDA_TAIL_GLU>(p.l.gu, false, m, a, tail, sums, unit, segments);
    } else {
        W::template finish<CUDA_TAIL_NONE>(which == LAYER_QKV ? p.l.qkv : p.l.x, which != LAYER_QKV,
                                           m, a, tail, sums, unit, segments);
    }
}

// Shared memory: (LAYERS_WARPS, depth, SLOT) rings; sums of two units; room.
template <class W, class T>
__global__ void __launch_bounds__(32 * LAYERS_WARPS, 1) layers(const __grid_constant__ Plan p)
{
#if GPU_HOPPER
    DYN_SHARED(uint8_t, shared);
    SHARED(uint64_t, full, [LAYERS_WARPS * LAYERS_DEPTH]);
    float *const sums = reinterpret_cast<float *>(shared + p.ring);
    uint8_t *const room = shared + p.room;
    typename W::Turn turn;
    Ring<W> ring;
    Walk<W> now;
    Meeting meet;
    int flip = 0;

    turn.open();
    ring.open(p, shared, full);
    meet.open(p.l.met);
    now = {0, (int)blockIdx.x, (int)threadIdx.x / 32, 0};
    now.settle(p);
#pragma unroll 1
    for (int i = 0; i < p.products; i++) {
        const Split &s = p.of[i % LAYER_PRODUCTS];
        const struct cuda_matrix m = p.l.layer[i / LAYER_PRODUCTS].w[i % LAYER_PRODUCTS];
        const struct cuda_act a = layer_inputs<W, T>(p, i, meet, ring, room);

#pragma unroll 1
        for (int unit = (int)blockIdx.x; unit < s.units; unit += (int)gridDim.x) {
            float *const to = sums + flip * p.sums; // the other one is being read yet

            while (now.i == i && now.unit == unit) {
                typename W::Part part;
                const int item = now.item;

                part.begin();
#pragma unroll
                for (int k = 0; k < W::ITEM / W::PLACE; k++)
                    if (k == 0 || (now.i == i && now.item == item && now.place == k)) {
                        part.add(k, ring.wait(), a, now.tile(s), now.tiles(s));
                        ring.next(p);
                        now.next(p);
                    }
                part.end(to, item, s, m, turn);
            }
            __syncthreads();
            if (threadIdx.x < 16)
                layer_finish<W>(p, i, m, a, unit, to);
            flip ^= 1;
        }
    }
    meet.close();
#else
    no_code(); // cuda_layers_fit() says so
#endif
}

// ---- the host's part

template <class W> bool layers_plan(Plan *p, const struct cuda_layers *l)
{
    const struct cuda_attn &a = l->attn;
    size_t room = (size_t)(a.rope_dims + LAYERS_WARPS * a.head_dim) * 4,
           query = (size_t)(a.head_dim + 3 + CUDA_RANGE + 16) * 4;
    int device = 0, most = 0;

    static_assert(W::ITEM % W::PLACE == 0 && W::SLOT % 16 == 0, "an item is whole places");
    *p = {};
    p->l = *l;
    p->products = l->n * LAYER_PRODUCTS;
    room = room > query ? room : query;
    for (int i = 0; i < LAYER_PRODUCTS; i++) {
        Split &s = p->of[i];
        const bool norm = i == LAYER_QKV || i == LAYER_GATE_UP;
        const size_t in = act_sizes(1, l->cols[i], W::BLOCK).all +
                          (norm ? (size_t)l->cols[i] * 2 * sizeof(float) : 0);

        s.tiles = W::tiles(l->cols[i]);
        s.segments = (s.tiles + W::ITEM - 1) / W::ITEM;
        s.panels = i == LAYER_GATE_UP ? 2 : 1;
        s.items = s.segments * s.panels;
        s.units = l->rows[i] / MATRIX_ROWS / s.panels;
        p->sums = W::parts(s.segments) * s.panels * MATRIX_ROWS > p->sums
                      ? W::parts(s.segments) * s.panels * MATRIX_ROWS
                      : p->sums;
        room = in > room ? in : room;
    }
    if (cudaGetDevice(&device) != cudaSuccess ||
        cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device) !=
            cudaSuccess)
        return false;
    const size_t sums = act_up((size_t)p->sums * 2 * sizeof(float)), least = sums + act_up(room),
                 left = (size_t)most - LAYERS_STATIC, step = (size_t)LAYERS_WARPS * W::SLOT;
    if (least + 2 * step > left)
        return false;
    p->depth = (int)((left - least) / step);
    p->depth = p->depth < LAYERS_DEPTH ? p->depth : LAYERS_DEPTH;
    p->ring = (size_t)p->depth * step;
    p->room = p->ring + sums;
    p->all = p->ring + least;
    return true;
}

template <class W, class T> bool layers_fit(const struct cuda_layers *l)
{
    Plan p;

    return layers_plan<W>(&p, l) && blocks_at_once(layers<W, T>, 32 * LAYERS_WARPS, p.all) > 0;
}

template <class W, class T> void layers_launch(const struct cuda_layers *l, int sms, cudaStream_t s)
{
    Plan p;

    if (layers_plan<W>(&p, l))
        LAUNCH_TOGETHER((layers<W, T>), (unsigned)sms, 32 * LAYERS_WARPS, p.all, s, p);
}

// The same for what type the cache is of.
template <class W> bool layers_fit_kv(const struct cuda_layers *l)
{
#define LAYERS_FIT(TYPE, T)   \
    if (l->kv_type == (TYPE)) \
        return layers_fit<W, T>(l);
    KV_TYPES(LAYERS_FIT)
#undef LAYERS_FIT
    return false;
}

template <class W> void layers_launch_kv(const struct cuda_layers *l, int sms, cudaStream_t s)
{
#define LAYERS_LAUNCH(TYPE, T) \
    if (l->kv_type == (TYPE))  \
        layers_launch<W, T>(l, sms, s);
    KV_TYPES(LAYERS_LAUNCH)
#undef LAYERS_LAUNCH
}

} // namespace
