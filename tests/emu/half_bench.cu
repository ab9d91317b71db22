/* half_bench.cu - how fast this GPU multiplies BF16 weights with 8 to 2048 tokens, at the shapes of
 * an 8B model: by the plan that is used (half.h), "plan": 1, and by others. One JSON object a line:
 * operations are two a multiply-add, bytes those of the weights. Times are medians of launches in a
 * graph, over copies of the weights that together fit into no cache. "hash" is of the outputs of
 * the first eight tokens: one for a shape, or status 1.
 *
 *     half_bench [all | wide]     all: every plan for up to 64 tokens, not only those of the used
 *                                 warps; wide: half_wide.cu's alone */
#include "bench.h"
#include "gpu.h"
#include "half.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

namespace
{

enum { RUNS = 7, MOST = 2048, POOL = 300 << 20 };

__device__ inline uint32_t mix(uint32_t h)
{
    h *= 2654435761u;
    h = (h ^ h >> 15) * 2246822519u;
    return h ^ h >> 13;
}

// Pairs of BF16 between 1/2 and 1 of either sign.
__global__ void fill_half(uint32_t *p, size_t n)
{
    const size_t step = (size_t)gridDim.x * blockDim.x;

    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step)
        p[i] = (mix((uint32_t)i) & 0x807f807fu) | 0x3f003f00u;
}

__global__ void fill_float(float *p, size_t n)
{
    const size_t step = (size_t)gridDim.x * blockDim.x;

    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step)
        p[i] = (float)(int32_t)mix((uint32_t)i ^ 0x5555u) * 0x1p-31f;
}

__global__ void hash_kernel(uint32_t *sum, const uint32_t *p, int n)
{
    for (int i = (int)(blockIdx.x * blockDim.x + threadIdx.x); i < n;
         i += (int)(gridDim.x * blockDim.x))
        atomicAdd(sum, mix(p[i] ^ mix((uint32_t)i)));
}

void *room(size_t bytes)
{
    void *p;

    TRY(cudaMalloc(&p, bytes));
    return p;
}

struct bench {
    struct cuda_matrix m;
    const char *name;
    int sms, copies;
    uint8_t *pool;
    float *x, *y;
    uint32_t *hash;
    void *act, *part;
    uint32_t *first; // the shape's hash, and whether a plan had another
};

size_t bytes_of(const struct cuda_matrix *m)
{
    return (size_t)m->rows * (size_t)m->cols * 2;
}

struct cuda_matrix copy_of(const struct bench *b, int i)
{
    struct cuda_matrix m = b->m;

    m.low = b->pool + (size_t)(i % b->copies) * bytes_of(&b->m);
    return m;
}

void multiply(const struct bench *b, const struct half_plan *p, const struct cuda_act *a, int i,
              cudaStream_t s)
{
    const struct cuda_matrix m = copy_of(b, i);
    const struct cuda_head head = {};

    if (p)
        cuda_half_run(p, b->y, m.rows, false, &m, a, b->part, s);
    else
        cuda_linear_half_few(b->y, m.rows, false, &m, a, &head, b->sms, s);
}

/* p NULL: half_few.cu. */
void run(const struct bench *b, const struct half_plan *p, bool plan, int n)
{
    const struct half_plan none = {}, *q = p ? p : &none;
    const struct cuda_act a = cuda_act_place(b->act, n, b->m.cols, 1);
    uint32_t hash = 0;

    cuda_act_half(&a, b->x, 30, 0);
    multiply(b, p, &a, 0, 0);
    TRY(cudaMemset(b->hash, 0, 4));
    LAUNCH(hash_kernel, 64, 256, 0, 0, b->hash, (const uint32_t *)b->y, 8 * b->m.rows);
    TRY(cudaMemcpy(&hash, b->hash, 4, cudaMemcpyDeviceToHost));
    const double us = timed<RUNS>(n <= 64    ? 12
                                  : n <= 256 ? 4
                                             : 2,
                                  [&](int i, cudaStream_t s) { multiply(b, p, &a, i, s); });
    printf(
        "{\"bench\":\"half\",\"shape\":\"%s\",\"tokens\":%d,\"wide\":%d,\"tiles\":%d,"
        "\"across\":%d,\"split\":%d,\"warps\":%d,\"turn\":%d,\"stages\":%d,\"plan\":%d,\"us\":%.1f,"
        "\"gb_s\":%.0f,\"tflop_s\":%.0f,\"hash\":\"%08x\"}\n",
        b->name, n, q->wide, q->tiles, q->across, q->split, q->warps, q->turn, q->stages, plan, us,
        (double)bytes_of(&b->m) / us / 1e3, 2.0 * b->m.rows * b->m.cols * (double)n / us / 1e6,
        (unsigned)hash);
    fflush(stdout);
    b->first[0] = p ? b->first[0] : hash;
    b->first[1] |= hash != b->first[0];
}

/* The plan's stages, warps and pieces of K varied. */
void vary(const struct bench *b, int n, bool all)
{
    const struct half_plan plan = cuda_half_plan(&b->m, n, b->sms);
    const int segments = (b->m.cols + 511) / 512;
    struct half_plan p = plan;

    run(b, &plan, true, n);
    for (p.stages = 3; p.stages < plan.stages; p.stages++)
        run(b, &p, false, n);
    for (p.warps = all ? 3 : plan.warps; n <= 64 && p.warps <= (all ? 8 : plan.warps); p.warps++)
        for (int pieces = 1, last = 0; pieces <= 8; pieces++) {
            p.turn = (segments + pieces - 1) / pieces;
            p.stages = 210 * 1024 / (p.warps * 4096 + p.tiles * 1024);
            p.stages = p.stages < 6 ? p.stages : 6;
            if (p.turn != last && cuda_half_part(&p, &b->m, n) <= HALF_PART)
                run(b, &p, false, n);
            last = p.turn;
        }
}

/* half_wide.cu's plan, and others: tokens of a block, blocks that take segments in turn, stages. */
void vary_wide(const struct bench *b, int n)
{
    struct half_plan plan, p;

    if (!cuda_half_wide_plan(&plan, &b->m, n, b->sms))
        return;
    run(b, &plan, true, n);
    p = plan;
    for (p.tiles = 8; p.tiles <= 24 && p.tiles - 8 < n / 8; p.tiles += 8)
        for (p.split = 1; p.split <= (p.tiles == 8 && n <= 512 ? 4 : 1); p.split *= 2) {
            p.blocks = cuda_half_wide_blocks(&p, b->sms);
            p.stages = cuda_half_wide_stages(&p, shared_most());
            run(b, &p, false, n);
        }
    for (p = plan, p.stages = 3; p.stages < plan.stages; p.stages++)
        run(b, &p, false, n);
}

void shape(struct bench *b, const char *name, int rows, int cols, const char *what)
{
    static const int tokens[] = {16, 32, 64, 128, 256, 512, MOST};

    b->name = name;
    b->m.type = 30;
    b->m.rows = rows;
    b->m.cols = cols;
    b->copies = (int)(POOL / bytes_of(&b->m)) + 1;
    run(b, nullptr, true, 8);
    for (size_t i = 0; i < sizeof(tokens) / sizeof(*tokens); i++) {
        if (strcmp(what, "wide"))
            vary(b, tokens[i], !strcmp(what, "all"));
        vary_wide(b, tokens[i]);
    }
}

} // namespace

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    struct cudaDeviceProp p;
    uint32_t first[2] = {};
    struct bench b = {};
    const size_t pool = 2 * (size_t)POOL, x = (size_t)MOST * 14336, y = (size_t)MOST * 28672;

    TRY(cudaGetDeviceProperties(&p, 0));
    printf("{\"bench\":\"device\",\"name\":\"%s\",\"multiprocessors\":%d}\n", p.name,
           p.multiProcessorCount);
    b.sms = p.multiProcessorCount;
    b.pool = (uint8_t *)room(pool);
    b.x = (float *)room(x * 4);
    b.y = (float *)room(y * 4);
    b.hash = (uint32_t *)room(4);
    b.act = room(cuda_act_bytes(MOST, 14336, 1));
    b.part = room(HALF_PART);
    b.first = first;
    LAUNCH(fill_half, 1024, 256, 0, 0, (uint32_t *)b.pool, pool / 4);
    LAUNCH(fill_float, 1024, 256, 0, 0, b.x, x);
    shape(&b, "qkv", 6144, 4096, what);
    shape(&b, "o", 4096, 4096, what);
    shape(&b, "gate_up", 28672, 4096, what);
    shape(&b, "down", 4096, 14336, what);
    if (first[1])
        fprintf(stderr, "half_bench: plans of a shape give different sums\n");
    return first[1] != 0;
}
