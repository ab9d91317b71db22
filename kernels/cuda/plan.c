/* plan.c - what a run will take of the GPU's memory, and what the GPU is. */
#include "device.h"

#include <stdio.h>

int64_t cuda_available(struct backend *b)
{
    struct cuda *c = cuda_of(b);
    size_t left = 0, all = 0;

    if (!cuda_ok(c, cudaMemGetInfo(&left, &all), "memory"))
        return -1;
    return (int64_t)left;
}

static size_t up(size_t bytes)
{
    return (bytes + 255) / 256 * 256;
}

/* Each part as if it lay alone: never less than what they take together. */
size_t cuda_weight_bytes(const struct backend *b, const struct weight *w)
{
    size_t all = 0;

    (void)b;
    for (int i = 0; i < w->n_parts; i++) {
        struct matrix_planes p = matrix_planes((int)w->part[i].type, w->cols);
        size_t n = ((size_t)w->part[i].rows + MATRIX_ROWS - 1) / MATRIX_ROWS;

        all += up(n * p.low) + up(n * p.high) + up(n * p.scale) + up(n * p.min);
        all += w->part[i].bias ? up((size_t)w->part[i].rows * sizeof(float)) : 0;
    }
    return all;
}

size_t cuda_work_bytes(const struct backend *b, const struct attn_shape *a, int n, int positions,
                       int cols, int nodes)
{
    struct cuda_attn v = {
        .n_heads = a->n_heads, .n_kv_heads = a->n_kv_heads, .head_dim = a->head_dim};
    int tails = CUDA_MIN_TAILS;
    size_t act = cuda_act_bytes(n, cols, 1) + cuda_act_bytes(n, cols, 32);

    act += cuda_blas_bytes((const struct cuda *)b, n, cols);
    act += cols % 256 ? 0 : cuda_act_bytes(n, cols, 256);
    act += cuda_act_bytes(n, cols, 1); // that products leave
    act += CUDA_TURNS * cuda_turn_bytes(CUDA_GRAPH_TOKENS, a->rope_dims);
    while (tails < 2 * nodes) // of a path there are two at most; of a bucket, a power of two
        tails *= 2;
    act += nodes ? cuda_tails_bytes(a->n_kv_heads, a->head_dim, CUDA_KV_F32, tails) : 0;
    return act + cuda_attn_bytes(&v, n, positions / CUDA_RANGE + 1) + cuda_ask_bytes();
}

void cuda_describe(const struct backend *b, char *out, size_t size)
{
    const struct cuda *c = (const struct cuda *)b;

    snprintf(out, size, "cuda: GPU %d, %s, %d multiprocessors", c->device, c->name, c->sms);
}
