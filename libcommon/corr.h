/* corr.h - how two measures of the same things agree: ranks and pairs. */
#ifndef CORR_H
#define CORR_H

#include <stddef.h>

/* Pairs of values. Zeroed is empty. */
struct corr {
    double *x, *y; // (n)
    size_t n, cap_x, cap_y;
};

void corr_add(struct corr *c, double x, double y);
void corr_free(struct corr *c);

/* Spearman's rank correlation, ties at their mean rank; 0 when one side does not vary. Does not
 * depend on the order of the pairs. */
double corr_spearman(const struct corr *c);

/* Of all two pairs that differ in y, the part whose x differ in the same direction; equal x count
 * half. 0.5 when no y differ. Source: Lambert et al. 2024 (RewardBench), accuracy on pairs. */
double corr_concordance(const struct corr *c);

#endif
