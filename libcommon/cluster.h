/* cluster.h - hashed n-gram vectors and spherical k-means.
 *
 * Texts become unit vectors of CLUSTER_DIM floats without a model: their words,
 * pairs of words and runs of 4 characters inside words are hashed to a place and
 * a sign, weighted (1 + ln tf) x idf, summed and normalized (Weinberger et al.
 * 2009). The same functions work on any unit vectors. All sums run in a written
 * order and all draws are keyed, so a result depends on the texts, their order
 * and the seed only, never on threads. */
#ifndef CLUSTER_H
#define CLUSTER_H

#include "thread.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CLUSTER_DIM = 384, CLUSTER_LANES = 16 }; // dimensions are multiples of CLUSTER_LANES

/* In how many texts each feature stands. Features share 2^18 counters. Zeroed is empty. */
struct cluster_df {
    uint32_t *count;
    int64_t n_text;
};
void cluster_df_add(struct cluster_df *df, const char *s, size_t n);
void cluster_df_free(struct cluster_df *df);

/* The unit vector v (CLUSTER_DIM) of a text; all zeros when it has no words. df
 * may be NULL: no idf. */
void cluster_vector(const char *s, size_t n, const struct cluster_df *df, float *v);

/* Dot product of two rows: 16 partial sums, then a fixed tree. */
float cluster_dot(const float *a, const float *b, int dim);

struct cluster_opt {
    int k;        // clusters wanted, at least 1
    int max_iter; // Lloyd iterations at most
    uint64_t seed;
    struct thread_pool *pool; // NULL: this thread alone
};

struct cluster_set {
    int k;           // at most opt.k: no more than there are different rows
    int32_t *of;     // (n) cluster of each row
    float *cos;      // (n) cosine of each row to its centroid
    float *centroid; // (k, dim) unit rows
    int64_t *size;   // (k)
    int iterations;
    double inertia; // sum of 1 - cos
};

/* Spherical k-means of n rows x (n, dim), unit or zero: k-means++ seeding (the next
 * centre with probability 1 - cos to the nearest so far), then assignment by the
 * largest dot product, ties to the lowest cluster, and normalized means in double
 * over ascending rows; a cluster that runs empty takes the row farthest from its centroid.
 * Sources: Arthur and Vassilvitskii 2007; Dhillon and Modha 2001. */
void cluster_run(const struct cluster_opt *o, const float *x, int64_t n, int dim,
                 struct cluster_set *out);
void cluster_set_free(struct cluster_set *s);

#endif
