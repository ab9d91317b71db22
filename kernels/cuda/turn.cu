/* turn.cu - what products take that rotate the pairs of their outputs and append them to the cache
 * (pairs.cuh, struct cuda_turn): cosines and sines of a step's tokens, and their places in pages.
 *
 * Computed once for all layers, in double precision as in rope.cu. What a step of one token of the
 * 8B shape saves by it and by pairs of gate and up, on an H200 (2026-11-27): 142 of 4368 us. */
#include "kv.cuh"
#include "matrix.h"

namespace
{

/* A thread has an angle: by (n, half, 2), place (n). */
__global__ void __launch_bounds__(256)
    turn_kernel(float *by, int32_t *place, const float *inv_freq, int half, cuda_step st)
{
    int i = (int)(blockIdx.x * blockDim.x + threadIdx.x), t = i / half, slot;

    previous_done();
    if (t >= st.n)
        return;
    num_sincos((float)st.pos[t] * inv_freq[i % half], &by[2 * i + 1], &by[2 * i]);
    if (i % half)
        return;
    slot = st.slot[t];
    place[t] = st.page[(size_t)st.seq[t] * (size_t)st.max_pages + slot / CUDA_PAGE] * CUDA_PAGE +
               slot % CUDA_PAGE;
}

} // namespace

size_t cuda_turn_bytes(int n, int rope_dims)
{
    return (size_t)n * (size_t)(rope_dims + 1) * sizeof(float);
}

void cuda_turn_of(struct cuda_turn *t, void *room, const struct cuda_attn *a,
                  const struct cuda_kv *kv, int layer, const struct cuda_step *st)
{
    *t = (struct cuda_turn){};
    t->by = static_cast<const float *>(room);
    t->place = reinterpret_cast<const int32_t *>(t->by + (size_t)st->n * (size_t)a->rope_dims);
    t->pages = kv_layer(kv, layer);
    t->type = kv->type;
    t->n_heads = a->n_heads;
    t->n_kv_heads = a->n_kv_heads;
    t->head_dim = a->head_dim;
    t->rope_dims = a->rope_dims;
}

void cuda_turn_fill(const struct cuda_turn *t, const struct cuda_attn *a,
                    const struct cuda_step *st, cudaStream_t s)
{
    const int half = a->rope_dims / 2;

    LAUNCH_EARLY(turn_kernel, (unsigned)((st->n * half + 255) / 256), 256u, 0, s,
                 const_cast<float *>(t->by), const_cast<int32_t *>(t->place), a->inv_freq, half,
                 *st);
}
