/* cluster.h - hashed n-gram vectors.
 *
 * Texts become unit vectors of CLUSTER_DIM floats without a model: their words,
 * pairs of words and runs of 4 characters inside words are hashed to a place and
 * a sign, weighted (1 + ln tf) x idf, summed and normalized (Weinberger et al.
 * 2009). */
#ifndef CLUSTER_H
#define CLUSTER_H

#include <stddef.h>
#include <stdint.h>

enum { CLUSTER_DIM = 384, CLUSTER_LANES = 16 }; // dimensions are multiples of CLUSTER_LANES

/* In how many texts each feature stands. Features share 2^18 counters. Zeroed is empty. */
struct cluster_df {
    uint32_t *count;
    int64_t n_text;
};
void cluster_df_add(struct cluster_df *df, const char *s, size_t n);
/* Add another one's counts. */
void cluster_df_join(struct cluster_df *df, const struct cluster_df *other);
void cluster_df_free(struct cluster_df *df);

/* The unit vector v (CLUSTER_DIM) of a text; all zeros when it has no words. df
 * may be NULL: no idf. */
void cluster_vector(const char *s, size_t n, const struct cluster_df *df, float *v);

/* Dot product of two rows: 16 partial sums, then a fixed tree. */
float cluster_dot(const float *a, const float *b, int dim);

#endif
