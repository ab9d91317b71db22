/* kmeans_bench.c - seconds of k-means: kmeans_bench ROWS.npy K ITERATIONS [THREADS [SEED]].
 *
 * Prints the seconds of the seeding and of the iterations, and the inertia (sum of 1 - cosine),
 * to be compared with a peer's on the same rows. */
#include "embed.h"
#include "kmeans.h"
#include "machine.h"
#include "mem.h"

#include <stdio.h>
#include <stdlib.h>

static bool note(void *with, int iteration, double x)
{
    double *seeded = with;

    (void)x;
    if (iteration == 1)
        *seeded = machine_now();
    return false;
}

int main(int argc, char **argv)
{
    struct embed_file f;
    struct kmeans_opt o = {.tick = note};
    struct kmeans s;
    struct err e;
    double start, first = 0, end;
    float *x;

    if (argc < 4 || embed_open(&f, argv[1], &e)) {
        fprintf(stderr, "usage: kmeans_bench rows.npy k iterations [threads [seed]]\n");
        return 2;
    }
    x = mem_zero((size_t)f.rows * (size_t)f.dim, sizeof(*x));
    for (int64_t i = 0; i < f.rows; i++) {
        embed_row(&f, i, x + i * f.dim);
        embed_shape(x + i * f.dim, f.dim, 0, true);
    }
    o.k = atoi(argv[2]);
    o.max_iter = atoi(argv[3]);
    o.seed = argc > 5 ? strtoull(argv[5], NULL, 10) : 1;
    o.pool = thread_open(argc > 4 ? atoi(argv[4]) : 0, &e);
    o.b = backend_cpu_open(1, ISA_AUTO, &e);
    o.with = &first;
    start = machine_now();
    kmeans_run(&o, x, f.rows, f.dim, &s);
    end = machine_now();
    printf("rows %lld x %d, %d clusters, %d iterations, %d threads: %.3f s (%.3f to the first "
           "iteration's end), inertia %.3f\n",
           (long long)f.rows, f.dim, s.k, s.iterations, thread_count(o.pool), end - start,
           first ? first - start : end - start, s.inertia);
    kmeans_free(&s);
    free(x);
    embed_close(&f);
    return 0;
}
