/* ridge.c - a few weights and an offset that fit many values: penalized least squares. */
#include "ridge.h"

#include <math.h>
#include <string.h>

enum { SWEEPS = 200000 };

/* Means of the columns and of y; returns how many rows there are. */
static double means(int n, const double *x, const double *y, const bool *skip, size_t rows,
                    double *mean)
{
    double count = 0;

    memset(mean, 0, (size_t)(n + 1) * sizeof(*mean));
    for (size_t i = 0; i < rows; i++)
        if (!skip || !skip[i]) {
            for (int k = 0; k < n; k++)
                mean[k] += x[i * (size_t)n + (size_t)k];
            mean[n] += y[i];
            count++;
        }
    for (int k = 0; k <= n; k++)
        mean[k] /= count > 0 ? count : 1;
    return count;
}

/* The normal equations of what is left when the means are taken off: a w = b. */
static void normal(const struct ridge *r, const double *x, const double *y, const bool *skip,
                   size_t rows, const double *mean, double (*a)[RIDGE_MOST], double *b)
{
    double d[RIDGE_MOST], count = 0;

    for (size_t i = 0; i < rows; i++) {
        if (skip && skip[i])
            continue;
        count++;
        for (int k = 0; k < r->n; k++)
            d[k] = x[i * (size_t)r->n + (size_t)k] - mean[k];
        for (int k = 0; k < r->n; k++) {
            b[k] += d[k] * (y[i] - mean[r->n]);
            for (int j = 0; j < r->n; j++)
                a[k][j] += d[k] * d[j];
        }
    }
    for (int k = 0; k < r->n; k++)
        a[k][k] += r->penalty * count;
}

void ridge_fit(const struct ridge *r, const double *x, const double *y, const bool *skip,
               size_t rows, double *w, double *offset)
{
    double a[RIDGE_MOST][RIDGE_MOST] = {{0}}, b[RIDGE_MOST] = {0}, mean[RIDGE_MOST + 1];
    double count = means(r->n, x, y, skip, rows, mean), move = 1;

    normal(r, x, y, skip, rows, mean, a, b);
    memset(w, 0, (size_t)r->n * sizeof(*w));
    for (int sweep = 0; sweep < SWEEPS && move > 1e-14; sweep++) {
        move = 0;
        for (int k = 0; k < r->n; k++) {
            double rest = b[k], old = w[k];

            for (int j = 0; j < r->n; j++)
                rest -= j == k ? 0 : a[k][j] * w[j];
            w[k] = a[k][k] > 1e-12 * count ? rest / a[k][k] : 0; // a column that does not vary
            w[k] = r->only_above && w[k] < 0 ? 0 : w[k];
            move = fabs(w[k] - old) > move ? fabs(w[k] - old) : move;
        }
    }
    *offset = mean[r->n];
    for (int k = 0; k < r->n; k++)
        *offset -= w[k] * mean[k];
}
