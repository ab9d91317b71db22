/* row.c - a row of logits on the CPU: too short to be split over threads. */
#include "cpu.h"

void cpu_row_max(struct backend *b, float *max, const float *x, int n)
{
    cpu_of(b)->k->row_max(max, x, n);
}

void cpu_row_exp(struct backend *b, float *e, float *sum, const float *x, int n, float temp,
                 float shift)
{
    cpu_of(b)->k->row_exp(e, sum, x, n, temp, shift);
}
