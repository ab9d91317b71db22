/* attn.cu - attention over the pages: which kernels compute it.
 *
 * Over a cache of F32 the sums are the CPU's, value by value: attn_range.cu has single tokens,
 * attn_tile.cu runs of them. Over one of half floats or FP8, with heads of 64 or 128 dimensions,
 * they are those of tensor cores: attn_mma.cu and attn_mma_tile.cu, which agree with each other. */
#include "attn.cuh"

namespace
{

/* Parts are kept where they fit, and for prompts where their blocks are too few otherwise. */
enum { ATTN_PART_BYTES = 128 << 20, ATTN_TILE_FEW = 528, ATTN_MMA_FEW = 264 };

size_t part_bytes(const struct cuda_attn *a, int n, int n_ranges)
{
    return (size_t)n * (size_t)a->n_heads * (size_t)n_ranges * (size_t)(a->head_dim + 2) *
           sizeof(float);
}

} // namespace

/* A smaller step may keep parts where the largest does not: without them, m and l of queries. */
size_t cuda_attn_bytes(const struct cuda_attn *a, int n, int n_ranges)
{
    size_t all = part_bytes(a, n, n_ranges), one = (size_t)n * (size_t)a->n_heads * 8;

    if (n_ranges < 2)
        return 0;
    return all < ATTN_PART_BYTES ? all : one > ATTN_PART_BYTES ? one : (size_t)ATTN_PART_BYTES;
}

void cuda_attn(float *y, const float *qkv, const struct cuda_attn *a, const struct cuda_kv *kv,
               int layer, const struct cuda_step *st, void *part, const struct cuda_act *act,
               cudaStream_t s)
{
    bool mma = attn_mma_fits(a, kv->type);
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
                   st->n_ranges > 1 && part_bytes(a, st->n, st->n_ranges) <= ATTN_PART_BYTES,
                   st->runs && (mma || attn_tile_fits(a)),
                   act ? *act : cuda_act()};
    attn_args tile = g;

    if (st->n < 1)
        return;
    if (!g.runs)
        g.st.lone = nullptr; // all tokens are those of no run
    if (attn_tokens(g) > 0 && mma)
        attn_mma(&g, kv->type, s);
    else if (attn_tokens(g) > 0)
        attn_range(&g, kv->type, s);
    tile.parts = g.parts && (mma ? attn_mma_tile_blocks(a, st->n) < ATTN_MMA_FEW
                                 : attn_tile_blocks(a, st->n) < ATTN_TILE_FEW);
    if (g.runs && mma)
        attn_mma_tile(&tile, kv->type, s);
    else if (g.runs)
        attn_tile(&tile, kv->type, s);
    if (g.parts)
        attn_join_ranges(&g, tile.parts, s);
}
