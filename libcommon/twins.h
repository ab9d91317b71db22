/* twins.h - semantic duplicates: rows of a cluster that say the same.
 *
 * In each cluster rows stand by their distance from the centroid, the farthest first (the
 * lowest row of equals). A row is a twin when its cosine to a row before it is above 1 - eps:
 * to any, or with `greedy` only to one that is no twin itself, so that a chain of
 * neighbours does not take away what is far from all that stays.
 * Source: Abbas et al. 2023 (SemDeDup). */
#ifndef TWINS_H
#define TWINS_H

#include "backend.h"
#include "choose.h"
#include "kmeans.h"
#include "thread.h"

struct twins_opt {
    float eps;
    bool greedy;
    const struct backend *b;
    struct thread_pool *pool; // NULL: this thread alone
};

/* Mark twins among the n rows of s: fate, the cosine to the nearest row before (the first
 * of equals) and that row. Others are not touched. Returns how many. */
int64_t twins_find(const struct twins_opt *o, const struct kmeans *s, const float *x, int64_t n,
                   int dim, struct choose_verdict *out);

#endif
