/* spread.h - the median of a quantity measured several times, and how far it spreads. */
#ifndef SPREAD_H
#define SPREAD_H

#include "buf.h"
#include "mem.h"

struct spread {
    double *x; // (n)
    size_t n, cap;
};

void spread_add(struct spread *s, double x);
void spread_free(struct spread *s);

/* The q-quantile, 0 <= q <= 1, between neighbours by their distance (Hyndman & Fan 1996, definition
 * 7); 0 of nothing. Sorts x. */
double spread_at(struct spread *s, double q);

/* {"min":..,"q1":..,"q3":..,"max":..,"n":..} */
void spread_put(struct spread *s, struct buf *out);

#endif
