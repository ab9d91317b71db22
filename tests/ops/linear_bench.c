/* linear_bench.c - what y = W x costs with weights out of the second-level cache.
 *
 *     linear_bench [isa [types]]
 *
 * One thread; nanoseconds of processor time per 512 weights (16 rows of 32) and
 * token, for several numbers of tokens. What memory adds is forward_bench's. */
#include "ops.h"
#include "quant.h"
#include "tensor.h"

#include <time.h>

enum { COLS = 2048, ROWS = 512, MOST = 64, MEMORY = 128 << 20 };

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Best of several runs. */
static double seconds(struct backend *b, const struct weight *w, const float *x, float *y, int n)
{
    double best = 1e9, work = 2e-3 * 20e9 / ((double)w->rows * COLS * n);
    int times = work < 1 ? 1 : (int)work;

    for (int i = 0; i < (w->rows > ROWS ? 1 : 8); i++) {
        double t = now();

        for (int k = 0; k < times; k++)
            b->ops->linear(b, y, w, x, n);
        best = fmin(best, (now() - t) / times);
    }
    return best;
}

int main(int argc, char **argv)
{
    static const enum tensor_type types[] = {T_F16,  T_BF16, T_Q8_0,   T_Q4_0,  T_Q4_1,
                                             T_Q5_0, T_Q5_1, T_Q2_K,   T_Q3_K,  T_Q4_K,
                                             T_Q5_K, T_Q6_K, T_IQ4_NL, T_MXFP4, T_NVFP4};
    static const int counts[] = {1, 2, 3, 4, 8, 16, MOST};
    enum backend_isa isa = argc > 1 ? (enum backend_isa)atoi(argv[1]) : ISA_AUTO;
    struct ops o = {.random = 1};
    struct step s = {.n = MOST};
    struct backend_rates rates;
    struct err e;
    struct backend *b = backend_cpu_open(1, isa, &e);
    float *x = ops_floats(&o, MOST * COLS), *y = mem_new(sizeof(*y) * MOST * ROWS);
    float *z = mem_new(sizeof(*z) << 18);

    if (!b) {
        printf("%s\n", e.msg);
        return 1;
    }
    backend_cpu_probe(b, &rates, &e);
    printf("%s, reads %.1f GB/s, tokens:", backend_cpu_isa(b), rates.read_bytes / 1e9);
    for (size_t k = 0; k < sizeof(counts) / sizeof(*counts); k++)
        printf(" %6d", counts[k]);
    printf("\n");
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        uint8_t *p = mem_zero(tensor_row_bytes(types[i], COLS), ROWS);
        double best = 1e9;
        struct weight w = {.rows = ROWS, .cols = COLS, .n_parts = 1};

        w.part[0] = (struct weight_part){.type = types[i], .rows = ROWS, .host = p};
        CHECK(b->ops->weight(b, &w, &e) == 0);
        ops_begin(b, &s);
        if (argc > 2 && !strstr(argv[2], tensor_type_name(types[i])))
            continue;
        printf("%-8s", tensor_type_name(types[i]));
        for (size_t k = 0; k < sizeof(counts) / sizeof(*counts); k++)
            printf(" %6.2f",
                   1e9 * seconds(b, &w, x, y, counts[k]) / (ROWS / 16) / (COLS / 32) / counts[k]);
        free(p);
        w.rows = w.part[0].rows = (int)(MEMORY / tensor_row_bytes(types[i], COLS));
        p = mem_zero(tensor_row_bytes(types[i], COLS), (size_t)w.rows);
        memset(p, 17, tensor_row_bytes(types[i], COLS) * (size_t)w.rows);
        w.part[0].host = p;
        CHECK(b->ops->weight(b, &w, &e) == 0);
        for (int k = 0; k < 4; k++)
            best = fmin(best, seconds(b, &w, x, z, 1));
        printf("  %5.1f GB/s\n", MEMORY / best / 1e9);
        fflush(stdout);
        free(p);
    }
    backend_close(b);
    free(x);
    free(y);
    return 0;
}
