// embed.cu - rows of the embedding, and of learned positions, out of their panels.
//
// Measured on an H200 (2026-11-26), rows of 4096: one 1.3 to 1.6 us, 2048 81 (BF16, Q8_0, Q4_0).
#include "value.cuh"

namespace
{

constexpr int THREADS = 128;

__global__ void __launch_bounds__(THREADS)
    embed(float *y, struct cuda_matrix m, struct cuda_matrix positions, bool has_positions,
          float scale, struct cuda_step st)
{
    const int i = blockIdx.y, k = blockIdx.x * THREADS + threadIdx.x;

    previous_done();
    if (k >= m.cols)
        return;
    float v = value(m, st.token[i], k) * scale;
    if (has_positions)
        v += value(positions, st.pos[i], k);
    y[(size_t)i * m.cols + k] = v;
}

} // namespace

void cuda_embed(float *y, const struct cuda_matrix *m, const struct cuda_matrix *positions,
                float scale, const struct cuda_step *st, cudaStream_t s)
{
    LAUNCH_EARLY(embed, dim3((unsigned)(m->cols + THREADS - 1) / THREADS, (unsigned)st->n), THREADS,
                 0, s, y, *m, positions ? *positions : *m, positions != nullptr, scale, *st);
}
