/* attn.cu - attention over the pages: of single tokens.
 *
 * A block takes a token, up to Q of the heads that share a KV head, and a range of 512 keys:
 *
 *   scores   a thread has KEYS neighbouring keys and all queries; it reads its keys' values of a
 *            dimension at once, several dimensions ahead, in registers
 *   softmax  in shared memory: the pages' maxima, exponentials, the sixteen sums
 *   values   a thread has DIMS neighbouring dimensions and QV queries, and reads values of a key
 *            at once, several keys ahead
 *
 * With one warp a block, twelve of them on a multiprocessor have 48 KiB of reads in flight and
 * read no byte twice. Where tokens and ranges are few, what counts is how soon a block is done:
 * then eight warps take four queries, or one, with a key or two and one dimension a thread, and ask
 * for what they will read before the kernel in front of this one has ended. */
#include "attn_one.cuh"

namespace
{

template <class T, class P>
__global__ void __launch_bounds__(P::THREADS, P::BLOCKS) attn_range_kernel(attn_args a, int range0)
{
    DYN_SHARED(float, q); // (Q, stride), then scores (Q, SCORES)
    SHARED(attn_block<P::Q>, block, [1]);

    if (!attn_begin<P>(a, block, range0 + (int)blockIdx.x, (int)blockIdx.y, (int)blockIdx.z)) {
        previous_done();
        return; // the whole block
    }
    attn_open<T, P>(a, block);
    if (P::WARPS >= 4) {
        __syncthreads();
        attn_ahead_of<T, P>(block, attn_dim<P>(a));
    }
    previous_done();
    attn_range_rest<T, P>(a, q, block);
}

template <class T, class P> void attn_range_launch(const attn_args &a, cudaStream_t s)
{
    int group = a.n_heads / a.n_kv_heads, splits = (group + P::Q - 1) / P::Q;
    int stride = (a.head_dim + 3) / 4 * 4;
    size_t bytes = (size_t)P::Q * (size_t)(stride + P::SCORES) * sizeof(float);
    dim3 grid((unsigned)(a.parts ? a.st.n_ranges : 1), (unsigned)(a.n_kv_heads * splits),
              (unsigned)a.st.n);

    for (int i = 0; i < (a.parts ? 1 : a.st.n_ranges); i++)
        LAUNCH_EARLY((attn_range_kernel<T, P>), grid, (unsigned)P::THREADS, bytes, s, a, i);
}

enum { ATTN_FEW = 264 }; // blocks: two for each multiprocessor of a large GPU

template <class T, int DIM, int DIMS> void attn_range_of(const attn_args &a, cudaStream_t s)
{
    constexpr int KEYS = T::BYTES == 4 ? 4 : 8;
    int group = a.n_heads / a.n_kv_heads;
    int64_t ranges = (int64_t)a.st.n * (a.parts ? a.st.n_ranges : 1);

    if (ranges * a.n_heads <= ATTN_FEW)
        attn_range_launch<T, attn_plan<8, 1, 1, 1, 1, DIM>>(a, s);
    else if (group > 1 && ranges * a.n_kv_heads * ((group + 3) / 4) <= 2 * ATTN_FEW)
        attn_range_launch<T, attn_plan<8, 4, 2, 4, 1, DIM>>(a, s);
    else if (group == 1)
        attn_range_launch<T, attn_plan<1, 1, KEYS, 1, DIMS, DIM>>(a, s);
    else if (group <= 4)
        attn_range_launch<T, attn_plan<1, 4, KEYS, 4, DIMS, DIM>>(a, s);
    else
        attn_range_launch<T, attn_plan<2, 8, 4, 4, DIMS, DIM>>(a, s);
}

template <class T> void attn_range(const attn_args &a, cudaStream_t s)
{
    if (a.head_dim == 128)
        attn_range_of<T, 128, 4>(a, s);
    else if (a.head_dim == 64)
        attn_range_of<T, 64, 2>(a, s);
    else if (a.head_dim % 4 == 0)
        attn_range_launch<T, attn_plan<2, 4, 4, 4, 4, 0>>(a, s);
    else
        attn_range_launch<T, attn_plan<4, 1, 4, 1, 1, 0>>(a, s);
}

/* Parts are kept where they fit, and for prompts where their blocks are too few otherwise. */
enum { ATTN_PART_BYTES = 128 << 20, ATTN_TILE_FEW = 528 };

size_t attn_part_bytes(const struct cuda_attn *a, int n, int n_ranges)
{
    return (size_t)n * (size_t)a->n_heads * (size_t)n_ranges * (size_t)(a->head_dim + 2) *
           sizeof(float);
}

} // namespace

/* A smaller step may keep parts where the largest does not: without them, m and l of queries. */
size_t cuda_attn_bytes(const struct cuda_attn *a, int n, int n_ranges)
{
    size_t all = attn_part_bytes(a, n, n_ranges), one = (size_t)n * (size_t)a->n_heads * 8;

    if (n_ranges < 2)
        return 0;
    return all < ATTN_PART_BYTES ? all : one > ATTN_PART_BYTES ? one : (size_t)ATTN_PART_BYTES;
}

void cuda_attn(float *y, const float *qkv, const struct cuda_attn *a, const struct cuda_kv *kv,
               int layer, const struct cuda_step *st, bool fast, void *part, cudaStream_t s)
{
    attn_args g = {qkv,
                   y,
                   static_cast<float *>(part),
                   kv_layer(kv, layer),
                   *st,
                   a->n_heads,
                   a->n_kv_heads,
                   a->head_dim,
                   a->window,
                   a->scale,
                   a->softcap,
                   a->softcap > 0.0f ? 1.0f / a->softcap : 0.0f,
                   st->n_ranges > 1 && attn_part_bytes(a, st->n, st->n_ranges) <= ATTN_PART_BYTES,
                   st->n - st->n_seq + 1 >= ATTN_RUN && attn_tile_fits(a)};
    attn_args tile = g;

    if (st->n < 1)
        return;
#define ATTN_OF(TYPE, T)    \
    if (kv->type == (TYPE)) \
        attn_range<T>(g, s);
    /* for any step: one that is recorded with one sequence is replayed with others */
    KV_TYPES(ATTN_OF)
#undef ATTN_OF
    fast = fast && attn_fast_fits(a);
    tile.parts = g.parts && !fast && attn_tile_blocks(a, st->n) < ATTN_TILE_FEW;
    if (g.runs && fast)
        attn_fast(&tile, kv->type, s);
    else if (g.runs)
        attn_tile(&tile, kv->type, s);
    if (g.parts)
        attn_join_ranges(&g, tile.parts, s);
}
