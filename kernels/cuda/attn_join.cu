/* attn_join.cu - the ranges of a token's attention, which blocks left as parts, joined in order. */
#include "attn.cuh"

namespace
{

enum { JOIN_THREADS = 128 };

/* V neighbouring values. */
template <int V> struct join_values {
    float v[V];

    __device__ inline explicit join_values(const float *p)
    {
        if constexpr (V == 4)
            *reinterpret_cast<float4 *>(v) = *reinterpret_cast<const float4 *>(p);
        else
            v[0] = *p;
    }
};

/* y / sum of a token's head from dimension d on; four are left as activations as well. */
template <int V>
__device__ inline void join_put(const attn_args &a, int t, int head, int d, const float (&y)[V],
                                float sum)
{
    bool there = d < a.head_dim;
    float *to = attn_y(a, t, head) + d;

    if constexpr (V == 4) {
        float4 v = make_float4(0.0f, 0.0f, 0.0f, 0.0f);

        if (there)
            v = attn_quotients(to, make_float4(y[0], y[1], y[2], y[3]), sum);
        act_four(a.act, t, there ? head * a.head_dim + d : a.act.cols, v, nullptr);
    } else if (there) {
        *to = y[0] / sum;
    }
}

/* y of a token's head out of its ranges' parts, in order: a thread has V neighbouring dimensions.
 * Lanes prepare the factors of 32 ranges at a time. */
template <int V>
__global__ void __launch_bounds__(JOIN_THREADS) attn_join_kernel(attn_args a, bool runs)
{
    int head = (int)blockIdx.x, t = attn_token(a, (int)blockIdx.y), lane = (int)threadIdx.x % 32;
    int first = attn_first(a, t) / CUDA_RANGE, last = a.st.last[t] / CUDA_RANGE;

    previous_done();
    if (a.runs && !runs && !a.st.lone && attn_in_run(a.st, t))
        return; // it has no parts
    for (int d0 = 0; d0 < a.head_dim; d0 += V * (int)blockDim.x) {
        int d = d0 + V * (int)threadIdx.x, at = d < a.head_dim ? d : 0;
        float top = -INFINITY, sum = 0.0f, y[V] = {}, *ml;

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
                join_values<V> x(o + (size_t)i * (size_t)a.head_dim);
                float by = __shfl_sync(~0u, old, i), part = __shfl_sync(~0u, now, i),
                      more = __shfl_sync(~0u, l, i);
                bool begin = r + i == first;

#pragma unroll
                for (int k = 0; k < V; k++)
                    y[k] = begin ? x.v[k] : fmaf(x.v[k], part, y[k] * by);
                sum = begin ? more : fmaf(more, part, sum * by);
            }
        }
        join_put(a, t, head, d, y, sum);
    }
}

} // namespace

void attn_join_ranges(const struct attn_args *a, bool runs, cudaStream_t s)
{
    attn_args g = *a;
    int threads = (a->head_dim / 4 + 31) / 32 * 32;

    if (runs)
        g.st.lone = nullptr;
    dim3 grid((unsigned)a->n_heads, (unsigned)attn_tokens(g));
    if (attn_tokens(g) > 0 && a->head_dim % 4 == 0)
        LAUNCH_EARLY(attn_join_kernel<4>, grid,
                     (unsigned)(threads < JOIN_THREADS ? threads : JOIN_THREADS), 0, s, g, runs);
    else if (attn_tokens(g) > 0)
        LAUNCH_EARLY(attn_join_kernel<1>, grid, (unsigned)JOIN_THREADS, 0, s, g, runs);
}
