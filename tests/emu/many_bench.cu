/* many_bench.cu - how fast products with quantized weights are on this GPU, at the shapes of an 8B
 * model: of up to eight tokens by few.cu's kernels ("cut": -1), and by many.cu's, by the cut that
 * it chooses and by every other. "chosen" is what a step takes. One JSON object a line.
 * Times are medians of graphs of launches, whose weights are copies that together do not fit into
 * the cache; operations are multiplications and additions. */
#include "bench.h"
#include "gpu.h"
#include "matrix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

namespace
{

enum { RUNS = 5, MOST = 2048, FEW = 8, WIDEST = 14336, CACHE = 150 << 20 };

const struct {
    const char *name;
    int type;
} types[] = {{"Q8_0", 8}, {"Q4_0", 2}, {"Q4_K", 12}, {"Q6_K", 14}};

const struct {
    const char *name;
    int rows, cols;
} shapes[] = {
    {"qkv", 6144, 4096}, {"o", 4096, 4096}, {"gate_up", 28672, 4096}, {"down", 4096, WIDEST}};

void *noise(size_t bytes, uint32_t keep, uint32_t set)
{
    void *p;

    TRY(cudaMalloc(&p, bytes + 16));
    LAUNCH(fill_kernel, 1024u, 256u, 0, 0, static_cast<uint32_t *>(p), bytes / 4 + 4, keep, set);
    TRY(cudaGetLastError());
    return p;
}

struct bench {
    float *y;
    uint8_t *low, *high, *scale, *min; // room for the copies of any matrix
    void *q, *d, *sums;
    int sms;
};

/* Copy i of a matrix whose panels' planes are of p's bytes. */
struct cuda_matrix matrix_of(const struct bench *b, int type, int rows, int cols, int i)
{
    const struct matrix_planes p = matrix_planes(type, cols);
    const size_t at = (size_t)i * (size_t)(rows / 16);
    struct cuda_matrix m = {};

    m.type = type;
    m.rows = rows;
    m.cols = cols;
    m.low = b->low + at * p.low;
    m.high = b->high + at * p.high;
    m.scale = b->scale + at * p.scale;
    m.min = b->min + at * p.min;
    return m;
}

void product(const struct bench *b, int type, int shape, int n)
{
    const int rows = shapes[shape].rows, cols = shapes[shape].cols;
    const struct matrix_planes p = matrix_planes(types[type].type, cols);
    const double bytes = (double)(p.low + p.high + p.scale + p.min) * rows / 16;
    const int copies = (int)(CACHE / bytes) + 2, each = n > 512 ? 2 : copies < 8 ? 8 : copies;
    struct cuda_act a = {};
    int chosen = MANY_CUTS; // of many.cu: none yet

    a.n = n;
    a.ld = n == 1 ? 1 : n <= FEW ? FEW : n;
    a.cols = cols;
    a.block = matrix_format(types[type].type).block;
    a.q = static_cast<const int8_t *>(b->q);
    a.d = static_cast<const float *>(b->d);
    a.s16 = a.s32 = static_cast<const int16_t *>(b->sums);
    const auto time = [&](int cut, bool few, bool is) { // cut -1 of many.cu's: its choice
        const struct many_way way = {b->sms, 0, cut};
        int used = cut;
        const double us = timed<RUNS>(each, [&](int i, cudaStream_t s) {
            struct cuda_matrix m = matrix_of(b, types[type].type, rows, cols, i % copies);

            if (!few)
                used = cuda_linear_many_by(&way, b->y, rows, false, &m, &a, s);
            else if (a.block == 256)
                cuda_linear_few_k(b->y, rows, false, &m, &a, b->sms, s);
            else
                cuda_linear_few(b->y, rows, false, &m, &a, b->sms, s);
        });

        printf("{\"bench\":\"many\",\"type\":\"%s\",\"shape\":\"%s\",\"tokens\":%d,\"cut\":%d,"
               "\"chosen\":%d,\"us\":%.2f,\"top_s\":%.1f,\"gb_s\":%.0f}\n",
               types[type].name, shapes[shape].name, n, used, is, us,
               2.0 * rows * cols * n / us / 1e6, bytes / us / 1e3);
        fflush(stdout);
        return used;
    };

    if (n <= FEW)
        time(-1, true, true);
    if (n > 1)
        chosen = time(-1, false, n > FEW);
    for (int cut = 0; n > FEW && cut < MANY_CUTS; cut++)
        if (cut != chosen)
            time(cut, false, false);
}

} // namespace

/* many_bench [TYPE...] */
int main(int argc, char **argv)
{
    const int counts[] = {1, 2, 4, 8, 16, 32, 64, 128, 512, 2048};
    const size_t weights = (size_t)2 * 28672 * 4096 + CACHE + ((size_t)64 << 20);
    const size_t values = (size_t)MOST * WIDEST;
    struct cudaDeviceProp p;
    struct bench b = {};

    TRY(cudaGetDeviceProperties(&p, 0));
    b.sms = p.multiProcessorCount;
    b.y = static_cast<float *>(noise((size_t)MOST * 28672 * 4, 0, 0));
    b.low = static_cast<uint8_t *>(noise(weights, ~0u, 0));
    b.high = b.low + 4096;
    b.scale = static_cast<uint8_t *>(noise(weights / 4, 0x83ff83ffu, 0x20002000u));
    b.min = static_cast<uint8_t *>(noise(weights / 4, 0x3f3f3f3fu, 0));
    b.q = noise(values, ~0u, 0);
    b.d = noise(values / 8, 0x007fffffu, 0x3c000000u);
    b.sums = noise(values / 8, 0x01ff01ffu, 0);
    TRY(cudaDeviceSynchronize());
    for (int t = 0; t < (int)(sizeof(types) / sizeof(types[0])); t++) {
        bool wanted = argc == 1;

        for (int i = 1; i < argc; i++)
            wanted = wanted || !strcmp(argv[i], types[t].name);
        for (int i = 0; wanted && i < (int)(sizeof(counts) / sizeof(counts[0])); i++)
            for (int s = 0; s < (int)(sizeof(shapes) / sizeof(shapes[0])); s++)
                product(&b, t, s, counts[i]);
    }
    return 0;
}
