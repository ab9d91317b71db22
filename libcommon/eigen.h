/* eigen.h - products of rows with themselves, their eigenvalues, the Vendi score, and a map.
 *
 * Sums run in a written order; results do not depend on threads or instruction set. */
#ifndef EIGEN_H
#define EIGEN_H

#include "thread.h"

#include <stdbool.h>
#include <stdint.h>

/* The eigenvalues of a symmetric matrix a (n, n), which is destroyed, into value (n), in no order.
 * Householder's reduction and QL with implicit shifts: Wilkinson & Reinsch 1971. */
void eigen_values(double *a, int n, struct thread_pool *pool, double *value);

/* The Vendi score of n unit rows x (n, dim): exp of the Shannon entropy of the eigenvalues of
 * x x' / n, the number of rows that are as different as can be; 0 for no rows. row (n), unless
 * NULL, lists the rows that are meant. Computed from x' x or x x', whichever is smaller.
 * Friedman & Dieng 2023. */
double eigen_vendi(struct thread_pool *pool, const float *x, const int64_t *row, int64_t n,
                   int dim);

/* A map of n rows x (n, dim): xy (n, 2), their coordinates on two axes about their mean. With
 * topics (of (n), k of them, 3 or more that have rows) the axes are those on which the topics'
 * means, weighted by size, vary most, so that topics stand apart; else the first two principal
 * components of the rows. The first axis has the larger variance, the largest coordinate of an axis
 * is positive. share (2): of the variance (of means, or of rows) on each axis. Returns whether it
 * is that of the means. */
bool eigen_map(struct thread_pool *pool, const float *x, int64_t n, int dim, const int32_t *of,
               int k, float *xy, double share[2]);

#endif
