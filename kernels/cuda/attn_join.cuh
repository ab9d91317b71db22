/* attn_join.cuh - the ranges of a head, which blocks left as parts, joined in order. */
#ifndef ATTN_JOIN_CUH
#define ATTN_JOIN_CUH

#include "attn.cuh"

namespace
{

enum { ATTN_JOIN = 128 }; // threads of a head

/* y of a token's head out of its ranges' parts, in order: a thread a dimension. Lanes prepare the
 * factors of 32 ranges at a time. first, last: ranges. */
__device__ inline void attn_join_head(const attn_args &a, int head, int t, int first, int last)
{
    int lane = (int)threadIdx.x % 32, at0 = (int)threadIdx.x % ATTN_JOIN;

    for (int d0 = 0; d0 < a.head_dim; d0 += ATTN_JOIN) {
        int d = d0 + at0, at = d < a.head_dim ? d : 0;
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

#endif
