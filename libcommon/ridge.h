/* ridge.h - a few weights and an offset that fit many values: penalized least squares. */
#ifndef RIDGE_H
#define RIDGE_H

#include <stdbool.h>
#include <stddef.h>

enum { RIDGE_MOST = 8 }; // weights

struct ridge {
    int n;           // weights
    double penalty;  // of the sum of their squares, for each value fitted
    bool only_above; // none below 0
};

/* Minimize the sum over i of (y[i] - offset - w x[i])^2 + penalty * w^2, by one weight after the
 * other until none moves. x (rows, r->n); rows with skip[i] are left out (skip may be NULL). */
void ridge_fit(const struct ridge *r, const double *x, const double *y, const bool *skip,
               size_t rows, double *w, double *offset);

#endif
