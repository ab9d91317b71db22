/* attn_join.cu - the ranges of a token's attention, which blocks left as parts, joined in order. */
#include "attn.cuh"

namespace
{

/* y of a token's head out of its ranges' parts, in order: a thread a dimension. Lanes prepare the
 * factors of 32 ranges at a time. */
__global__ void __launch_bounds__(128) attn_join_kernel(attn_args a, bool runs)
{
    int head = (int)blockIdx.x, t = attn_token(a, (int)blockIdx.y), lane = (int)threadIdx.x % 32;
    int first = attn_first(a, t) / CUDA_RANGE, last = a.st.last[t] / CUDA_RANGE;

    previous_done();
    if (a.runs && !runs && !a.st.lone && attn_in_run(a.st, t))
        return; // it has no parts
    for (int d0 = 0; d0 < a.head_dim; d0 += 128) {
        int d = d0 + (int)threadIdx.x, at = d < a.head_dim ? d : 0;
        float top = -INFINITY, sum = 0.0f, y = 0.0f, *ml;

        for (int r = first; r <= last; r += 32) {
            bool mine = r + lane <= last;
            const float *o = attn_part(a, t, head, r, &ml) + at;
            float m = mine ? ml[2 * lane] : -INFINITY, l = mine ? ml[2 * lane + 1] : 0.0f;
            float all = m, before, old, now;

            for (int i = 1; i < 32; i *= 2) {
                float other = __shfl_up_sync(~0u, all, i);

                if (lane >= i)
                    all = all > other ? all : other;
            }
            all = all > top ? all : top;
            before = __shfl_up_sync(~0u, all, 1);
            before = lane ? before : top;
            old = num_exp(before - all);
            now = num_exp(m - all);
            top = __shfl_sync(~0u, all, 31);
#pragma unroll 4
            for (int i = 0; i < (last - r < 31 ? last - r + 1 : 32); i++) {
                float x = o[(size_t)i * (size_t)a.head_dim], by = __shfl_sync(~0u, old, i);
                float part = __shfl_sync(~0u, now, i), more = __shfl_sync(~0u, l, i);
                bool begin = r + i == first;

                y = begin ? x : fmaf(x, part, y * by);
                sum = begin ? more : fmaf(more, part, sum * by);
            }
        }
        if (d < a.head_dim)
            attn_y(a, t, head)[d] = y / sum;
    }
}

} // namespace

void attn_join_ranges(const struct attn_args *a, bool runs, cudaStream_t s)
{
    attn_args g = *a;

    if (runs)
        g.st.lone = nullptr;
    if (attn_tokens(g) > 0)
        LAUNCH_EARLY(attn_join_kernel, dim3((unsigned)a->n_heads, (unsigned)attn_tokens(g)), 128u,
                     0, s, g, runs);
}
