/* attn_join.cu - the ranges of a token's attention, which blocks left as parts, joined in order. */
#include "attn_join.cuh"

namespace
{

__global__ void __launch_bounds__(ATTN_JOIN) attn_join_kernel(attn_args a, bool runs)
{
    int head = (int)blockIdx.x, t = (int)blockIdx.y;
    int first = attn_first(a, t) / CUDA_RANGE, last = a.st.last[t] / CUDA_RANGE;

    previous_done();
    if (!a.runs || runs || !attn_in_run(a.st, t)) // else it has no parts
        attn_join_head(a, head, t, first, last);
}

} // namespace

void attn_join_ranges(const struct attn_args *a, bool runs, cudaStream_t s)
{
    LAUNCH_EARLY(attn_join_kernel, dim3((unsigned)a->n_heads, (unsigned)a->st.n),
                 (unsigned)ATTN_JOIN, 0, s, *a, runs);
}
