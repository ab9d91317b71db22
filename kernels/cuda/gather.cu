/* gather.cu - the rows whose logits are wanted. */
#include "cuda.h"
#include "gpu.h"

namespace
{

__global__ void __launch_bounds__(256)
    gather_kernel(float *y, const float *x, const int32_t *out, int dim)
{
    previous_done();
    const float *row = x + (size_t)out[blockIdx.x] * (size_t)dim;

    y += (size_t)blockIdx.x * (size_t)dim;
    if (dim % 4 == 0) {
        const float4 *from = reinterpret_cast<const float4 *>(row);
        float4 *to = reinterpret_cast<float4 *>(y);

        for (int i = (int)threadIdx.x; i < dim / 4; i += (int)blockDim.x)
            to[i] = from[i];
    } else {
        for (int i = (int)threadIdx.x; i < dim; i += (int)blockDim.x)
            y[i] = row[i];
    }
}

} // namespace

void cuda_gather(float *y, const float *x, const struct cuda_step *st, int dim, cudaStream_t s)
{
    if (st->n_out > 0)
        LAUNCH_EARLY(gather_kernel, (unsigned)st->n_out, 256u, 0, s, y, x, st->out, dim);
}
