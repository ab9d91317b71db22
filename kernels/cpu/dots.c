/* dots.c - rows against rows on the CPU: the caller's threads split the work. */
#include "cpu.h"

void cpu_dots(const struct backend *b, float *y, const float *x, int n, const float *c, int m,
              int dim)
{
    ((const struct cpu *)b)->k->dots(y, x, n, c, m, dim);
}

void cpu_nearest(const struct backend *b, float *best, int32_t *at, const float *x, int n,
                 const float *c, int m, int dim, int first, const float *x_rest,
                 const float *c_rest)
{
    ((const struct cpu *)b)->k->nearest(best, at, x, n, c, m, dim, first, x_rest, c_rest);
}
