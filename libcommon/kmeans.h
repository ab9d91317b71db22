/* kmeans.h - spherical k-means of unit rows.
 *
 * All sums run in a written order and all draws are keyed, so a result depends on the rows,
 * their order and the options only, never on threads or instruction set. */
#ifndef KMEANS_H
#define KMEANS_H

#include "backend.h"
#include "thread.h"

#include <stdbool.h>
#include <stdint.h>

struct kmeans_opt {
    int k;        // clusters wanted, at least 1
    int max_iter; // Lloyd iterations, or batches, at most
    float tol;    // stop when an iteration lowers the inertia by less than this share; 0: never
    int batch;    // rows of a mini-batch; 0: Lloyd's iterations over all rows
    uint64_t seed;
    const struct backend *b;
    struct thread_pool *pool; // NULL: this thread alone
    /* Called after each iteration with its number and the inertia per row (while seeding with 0 and
     * the centres so far), unless NULL; true: stop, nothing of the result is wanted. */
    bool (*tick)(void *with, int iteration, double inertia);
    void *with;
};

struct kmeans {
    int k;           // at most opt.k: no more than there are different rows
    int32_t *of;     // (n) cluster of each row
    float *cos;      // (n) cosine of each row to its centroid
    float *centroid; // (k, dim) unit rows
    int64_t *size;   // (k)
    int iterations;
    double inertia; // sum of 1 - cos
    bool stopped;   // by tick
};

/* Cluster n rows x (n, dim), unit or zero.
 *
 * Seeding is k-means++: the next centre is a row drawn with probability proportional to
 * 1 - cosine to the nearest centre so far, which for unit rows is half their squared distance.
 * Distances are brought up to date for many centres at once; in between a draw by the old ones is
 * accepted with probability new / old, which gives the same distribution. Then rows go to
 * the centre with the largest dot product, the lowest of equals, and centres to the normalized
 * means, in double over ascending rows, until nothing changes or tol is met; a cluster that runs
 * empty takes the row farthest from its centroid. With mini-batches: seeding on a sample,
 * batches drawn with replacement, means over all that a centre was ever given, and one
 * assignment of all rows at the end.
 * Sources: Arthur and Vassilvitskii 2007; Dhillon and Modha 2001; Sculley 2010. */
void kmeans_run(const struct kmeans_opt *o, const float *x, int64_t n, int dim, struct kmeans *out);
void kmeans_free(struct kmeans *s);

/* Bytes that kmeans_run needs besides the rows. */
size_t kmeans_bytes(int64_t n, int dim, int k);

#endif
