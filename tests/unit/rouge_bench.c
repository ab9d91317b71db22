/* rouge_bench.c [TEXTS] - CPU seconds of all pairs of a pool: each text's nearest among those
 * before it. Words follow Zipf's law over 8,000; texts have 6 to 26 words. */
#include "buf.h"
#include "rng.h"
#include "rouge.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int main(int argc, char **argv)
{
    int n = argc > 1 ? atoi(argv[1]) : 5000;
    const struct rng r = rng_stream(1, 0, 0);
    struct rouge *pool = rouge_open();
    struct buf b = {0};
    double sum = 0, seconds;
    clock_t start = clock();

    for (int i = 0; i < n; i++) {
        uint64_t at = (uint64_t)i;
        int words = 6 + (int)rng_below(&r, at, 1u << 30, 21);

        buf_reset(&b);
        for (int k = 0; k < words; k++) {
            double u = rng_unit(&r, at, (uint32_t)k);

            buf_fmt(&b, "w%d ", (int)(8000 * u * u * u * u));
        }
        sum += rouge_nearest(pool, b.p, b.n).f;
        rouge_add(pool, b.p, b.n);
    }
    seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    printf("%d texts, %.3g pairs: %.2f CPU seconds, %.1f ns a pair (mean nearest %.4f)\n", n,
           0.5 * n * n, seconds, 2e9 * seconds / ((double)n * n), sum / n);
    buf_free(&b);
    rouge_close(pool);
    return 0;
}
