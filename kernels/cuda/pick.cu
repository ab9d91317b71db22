/* pick.cu - questions about rows of logits: the likeliest tokens, masses, draws, single logits.
 *
 * A token's key is its value, as an integer of the same order, and its id turned around: keys are
 * ordered as a sampler orders tokens, and no two are equal. Of the K likeliest, each lies in one of
 * the K blocks (of 128) with the largest maxima, and in one of the K pieces (of 16) of these with
 * the largest maxima: so a row is read once for its blocks' maxima, and then K blocks of it. What
 * is left is sorted by a bitonic network, 1024 keys at a time.
 * Masses are the CPU's: exponentials as num.h has them, a block as 16 strided sums and a tree, the
 * blocks one after the other in double. Draws are argmax of x / T + Gumbel noise, whose bits are
 * those of rng.h for the record, the position and the token.
 * Batcher 1968 (sorting networks); Salmon et al. 2011 (Philox); Gumbel 1954. */
#include "cuda.h"
#include "gpu.h"
#include "num.h"
#include "rng.h"

namespace
{

enum {
    PICK_BLOCK = 128, // BACKEND_ROW
    PICK_PIECE = 16,
    PICK_SORT = 1024, // keys of a network, and threads
    PICK_SUM = 32,    // blocks that a thread block of pick_sum_kernel takes
    PICK_SUM_WARPS = 8,
    PICK_LIST = CUDA_PICK_MOST * PICK_PIECE,
};

struct pick_row {
    const float *x;
    int vocab;
};

/* NaN and infinities count as -infinity. */
__device__ inline float pick_value(const pick_row &r, int id)
{
    float x = id < r.vocab ? r.x[id] : -INFINITY;

    return x < INFINITY ? x : -INFINITY; // false for NaN
}

/* 0 for what is not there. The zeros are one value. */
__device__ inline uint64_t pick_key(float x, int id)
{
    uint32_t u = num_bits(x == 0.0f ? 0.0f : x);

    u = u >> 31 ? ~u : u | 0x80000000u;
    return x > -INFINITY ? (uint64_t)u << 32 | (0xffffffffu - (uint32_t)id) : 0;
}

__device__ inline int pick_id(uint64_t key)
{
    return (int)(0xffffffffu - (uint32_t)key);
}

__device__ inline uint64_t pick_larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

__device__ inline uint64_t pick_warp_max(uint64_t key)
{
    for (int i = 16; i; i /= 2)
        key = pick_larger(key, __shfl_xor_sync(~0u, key, i));
    return key;
}

/* The largest of n keys that a block's threads may all read; part: shared, one for each warp. */
__device__ inline uint64_t pick_block_max(const uint64_t *keys, int n, uint64_t *part)
{
    uint64_t top = 0;

    for (int i = (int)threadIdx.x; i < n; i += (int)blockDim.x)
        top = pick_larger(top, keys[i]);
    top = pick_warp_max(top);
    if (threadIdx.x % 32 == 0)
        part[threadIdx.x / 32] = top;
    __syncthreads();
    top = threadIdx.x % 32 < blockDim.x / 32 ? part[threadIdx.x % 32] : 0;
    return pick_warp_max(top);
}

/* ---- maxima of blocks: a warp each ---- */

__global__ void __launch_bounds__(256)
    pick_max_kernel(uint64_t *maxima, const struct cuda_pick_ask *ask, const float *logits,
                    int vocab, int n_blocks)
{
    int block = (int)(blockIdx.x * 8 + threadIdx.x / 32), id;
    uint64_t key = 0;

    previous_done();
    if (block >= n_blocks) // all of a warp
        return;
    const pick_row row = {logits + (size_t)ask[blockIdx.y].row * (size_t)vocab, vocab};
    id = block * PICK_BLOCK + (int)(threadIdx.x % 32) * 4;
    if (vocab % 4 == 0 && id < vocab) {
        float4 v = *reinterpret_cast<const float4 *>(row.x + id);
        const float x[4] = {v.x, v.y, v.z, v.w};

        for (int k = 0; k < 4; k++)
            key = pick_larger(key, pick_key(x[k] < INFINITY ? x[k] : -INFINITY, id + k));
    } else {
        for (int k = 0; k < 4; k++)
            key = pick_larger(key, pick_key(pick_value(row, id + k), id + k));
    }
    key = pick_warp_max(key);
    if (threadIdx.x % 32 == 0)
        maxima[(size_t)blockIdx.y * (size_t)n_blocks + (size_t)block] = key;
}

/* ---- the front: a block of threads a row ---- */

/* A key a thread, in descending order over the block's threads; buf: shared, PICK_SORT keys, which
 * it leaves them in. */
__device__ inline uint64_t pick_sort(uint64_t key, uint64_t *buf)
{
    unsigned t = threadIdx.x;

    for (unsigned size = 2; size <= PICK_SORT; size *= 2)
        for (unsigned step = size / 2; step; step /= 2) {
            uint64_t other;
            bool up = ((t & step) == 0) == ((t & size) == 0); // whether the larger one stays here

            if (step >= 32) {
                __syncthreads();
                buf[t] = key;
                __syncthreads();
                other = buf[t ^ step];
            } else {
                other = __shfl_xor_sync(~0u, key, (int)step);
            }
            key = (key > other) == up ? key : other;
        }
    __syncthreads();
    buf[t] = key;
    __syncthreads();
    return key;
}

/* The k largest of n keys to the front of buf; k at most CUDA_PICK_MOST. */
__device__ inline void pick_top(const uint64_t *keys, int n, int k, uint64_t *buf)
{
    int t = (int)threadIdx.x;
    uint64_t key = pick_sort(t < n ? keys[t] : 0, buf);

    for (int at = PICK_SORT; at < n; at += PICK_SORT - k)
        key = pick_sort(t < k ? key : at + t - k < n ? keys[at + t - k] : 0, buf);
}

__global__ void __launch_bounds__(PICK_SORT)
    pick_front_kernel(struct cuda_pick *out, const uint64_t *maxima,
                      const struct cuda_pick_ask *asks, const float *logits, int vocab,
                      int n_blocks)
{
    SHARED(uint64_t, buf, [PICK_SORT]);
    SHARED(uint64_t, list, [PICK_LIST]);
    SHARED(int, from, [CUDA_PICK_MOST]);
    SHARED(int, n_list, );
    int t = (int)threadIdx.x, k;

    previous_done();
    const struct cuda_pick_ask *ask = asks + blockIdx.x;
    const pick_row row = {logits + (size_t)ask->row * (size_t)vocab, vocab};
    const uint64_t *max = maxima + (size_t)blockIdx.x * (size_t)n_blocks;
    uint64_t key = 0, floor;

    out += blockIdx.x;
    k = ask->n;
    if (t == 0)
        n_list = 0;
    if (t < ask->n_ids)
        out->x[t] = row.x[ask->id[t]];
    if (k == 1) {
        key = pick_block_max(max, n_blocks, buf);
    } else {
        pick_top(max, n_blocks, k, buf);
        if (t < k) // where the block of a maximum begins
            from[t] = buf[t] ? pick_id(buf[t]) / PICK_BLOCK * PICK_BLOCK : vocab;
        __syncthreads();
        if (t < k * (PICK_BLOCK / PICK_PIECE)) {
            int id =
                from[t / (PICK_BLOCK / PICK_PIECE)] + t % (PICK_BLOCK / PICK_PIECE) * PICK_PIECE;

            for (int i = id; i < id + PICK_PIECE; i++)
                key = pick_larger(key, pick_key(pick_value(row, i), i));
        }
        list[t] = key;
        __syncthreads();
        pick_top(list, PICK_SORT, k, buf);
        floor = buf[k - 1];
        if (t < k)
            from[t] = buf[t] ? pick_id(buf[t]) / PICK_PIECE * PICK_PIECE : vocab;
        __syncthreads();
        for (int i = t; i < k * PICK_PIECE; i += PICK_SORT) {
            int id = from[i / PICK_PIECE] + i % PICK_PIECE;

            key = pick_key(pick_value(row, id), id);
            if (key && key >= floor)
                list[atomicAdd(&n_list, 1)] = key;
        }
        __syncthreads();
        pick_top(list, n_list, k, buf);
        key = buf[t];
    }
    k = __syncthreads_count(t < k && key);
    if (t < k) {
        out->item[t].id = pick_id(key);
        out->item[t].x = row.x[pick_id(key)];
    }
    if (t == 0) {
        out->n = k;
        out->mass[0] = out->mass[1] = 0.0;
        out->drawn = -1;
        out->drawn_x = 0.0f;
        out->reserved = 0;
    }
}

/* ---- masses and draws ---- */

/* Sums of exp(x / temp - shift) of blocks, half a warp each (row_exp). */
__device__ inline void pick_sums(float *sums, const pick_row &row, int first, int end, float temp,
                                 float shift)
{
    int lane = (int)threadIdx.x % 16;

    for (int at = first; at < end; at += PICK_SUM_WARPS * 2) { // both halves of a warp, or none
        int b = at + (int)threadIdx.x / 16;
        float s = 0.0f;

        for (int i = b * PICK_BLOCK + lane; i < (b + 1) * PICK_BLOCK; i += 16)
            s = s + num_exp(pick_value(row, i) / temp - shift);
        for (int i = 8; i; i /= 2)
            s = s + __shfl_xor_sync(~0u, s, i);
        if (lane == 0 && b < end)
            sums[b] = s;
    }
}

/* The key of x / temp + noise where that is largest, of blocks, whose ids are four to a lane. What
 * is so far below `top` that no noise can lift it is left out (sample.c). */
__device__ inline uint64_t pick_draw(const pick_row &row, int first, int end,
                                     const struct cuda_pick_ask *ask, float top)
{
    const struct rng noise = {{ask->key[0], ask->key[1]}};
    float floor = top - 27.0f - fabsf(top) * 1e-6f;
    uint64_t won = 0;

    for (int b = first + (int)threadIdx.x / 32; b < end; b += PICK_SUM_WARPS) {
        int id = b * PICK_BLOCK + (int)threadIdx.x % 32 * 4;
        uint32_t bits[4];
        float x[4];
        bool any = false;

        for (int k = 0; k < 4; k++) {
            x[k] = pick_value(row, id + k) / ask->draw;
            any = any || (x[k] >= floor && x[k] > -INFINITY);
        }
        if (!any)
            continue;
        rng_quad(&noise, ask->pos, (uint32_t)id / 4, bits);
        for (int k = 0; k < 4; k++)
            if (x[k] >= floor && x[k] > -INFINITY)
                won = pick_larger(won, pick_key(x[k] + rng_gumbel(bits[k]), id + k));
    }
    return won;
}

__global__ void __launch_bounds__(PICK_SUM_WARPS * 32)
    pick_sum_kernel(float *sums, uint64_t *drawn, const struct cuda_pick *out,
                    const struct cuda_pick_ask *asks, const float *logits, int vocab, int n_blocks)
{
    SHARED(uint64_t, part, [PICK_SUM_WARPS]);
    int first = (int)blockIdx.x * PICK_SUM;
    int end = first + PICK_SUM < n_blocks ? first + PICK_SUM : n_blocks;

    previous_done();
    const struct cuda_pick_ask *ask = asks + blockIdx.y;
    const pick_row row = {logits + (size_t)ask->row * (size_t)vocab, vocab};
    float top = out[blockIdx.y].item[0].x;

    if (!out[blockIdx.y].n)
        return;
    for (int i = 0; i < 2; i++)
        if (ask->temp[i] > 0)
            pick_sums(sums + ((size_t)blockIdx.y * 2 + (size_t)i) * (size_t)n_blocks, row, first,
                      end, ask->temp[i], top / ask->temp[i]);
    if (ask->draw > 0) {
        uint64_t key = pick_warp_max(pick_draw(row, first, end, ask, top / ask->draw));

        if (threadIdx.x % 32 == 0)
            part[threadIdx.x / 32] = key;
        __syncthreads();
        if (threadIdx.x == 0) {
            for (int i = 1; i < PICK_SUM_WARPS; i++)
                key = pick_larger(key, part[i]);
            drawn[(size_t)blockIdx.y * gridDim.x + blockIdx.x] = key;
        }
    }
}

/* The sums of blocks in their order, in double, and the draw of all. */
__global__ void __launch_bounds__(256)
    pick_end_kernel(struct cuda_pick *out, const float *sums, const uint64_t *drawn,
                    const struct cuda_pick_ask *asks, const float *logits, int vocab, int n_blocks,
                    int n_parts)
{
    SHARED(uint64_t, part, [32]);
    DYN_SHARED(float, all);
    int t = (int)threadIdx.x;

    previous_done();
    const struct cuda_pick_ask *ask = asks + blockIdx.x;

    out += blockIdx.x;
    sums += (size_t)blockIdx.x * 2 * (size_t)n_blocks;
    drawn += (size_t)blockIdx.x * (size_t)n_parts;
    if (!out->n)
        return;
    for (int i = t; i < 2 * n_blocks; i += (int)blockDim.x)
        all[i] = ask->temp[i / n_blocks] > 0 ? sums[i] : 0.0f;
    __syncthreads();
    if (t < 2 && ask->temp[t] > 0) {
        const float *x = all + t * n_blocks;
        double sum = 0.0;

#pragma unroll 8
        for (int i = 0; i < n_blocks; i++)
            sum = sum + (double)x[i];
        out->mass[t] = sum;
    }
    if (ask->draw > 0) {
        uint64_t key = pick_block_max(drawn, n_parts, part);

        if (t == 0 && key) {
            out->drawn = pick_id(key);
            out->drawn_x = logits[(size_t)ask->row * (size_t)vocab + (size_t)pick_id(key)];
        }
    }
}

int pick_blocks(int vocab)
{
    return (vocab + PICK_BLOCK - 1) / PICK_BLOCK;
}

int pick_parts(int vocab)
{
    return (pick_blocks(vocab) + PICK_SUM - 1) / PICK_SUM;
}

} // namespace

size_t cuda_pick_bytes(int vocab, int n)
{
    size_t blocks = (size_t)pick_blocks(vocab), parts = (size_t)pick_parts(vocab);

    return (size_t)n * (blocks * (8 + 2 * 4) + parts * 8);
}

void cuda_pick(struct cuda_pick *out, const struct cuda_pick_ask *ask, int n, bool sums,
               const float *logits, int vocab, void *work, cudaStream_t s)
{
    int blocks = pick_blocks(vocab), parts = pick_parts(vocab);
    uint64_t *maxima = (uint64_t *)work, *drawn = maxima + (size_t)n * (size_t)blocks;
    float *sum = (float *)(drawn + (size_t)n * (size_t)parts);
    dim3 max_grid((unsigned)(blocks + 7) / 8, (unsigned)n), sum_grid((unsigned)parts, (unsigned)n);

    LAUNCH_EARLY(pick_max_kernel, max_grid, 256u, 0, s, maxima, ask, logits, vocab, blocks);
    LAUNCH_EARLY(pick_front_kernel, (unsigned)n, (unsigned)PICK_SORT, 0, s, out,
                 (const uint64_t *)maxima, ask, logits, vocab, blocks);
    if (!sums)
        return;
    LAUNCH_EARLY(pick_sum_kernel, sum_grid, (unsigned)PICK_SUM_WARPS * 32u, 0, s, sum, drawn,
                 (const struct cuda_pick *)out, ask, logits, vocab, blocks);
    LAUNCH_EARLY(pick_end_kernel, (unsigned)n, 256u, (size_t)blocks * 8, s, out, (const float *)sum,
                 (const uint64_t *)drawn, ask, logits, vocab, blocks, parts);
}
