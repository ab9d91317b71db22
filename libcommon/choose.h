/* choose.h - a balanced choice of rows: quotas by cluster, best first, none too similar. */
#ifndef CHOOSE_H
#define CHOOSE_H

#include "cluster.h"

#include <stdint.h>

/* Shares of `count` by weight: exact by largest remainder (ties to the lowest
 * index), none above its cap; what a full one cannot take goes to the others
 * (water-fill). Returns the sum given, less than count only when all caps are
 * full or the others' weights are 0. */
int64_t choose_quota(const double *weight, const int64_t *cap, int k, int64_t count,
                     int64_t *quota);

/* Shannon entropy (nats) of sizes; its exp is the effective number of topics. */
double choose_entropy(const int64_t *size, int k);

enum choose_balance { CHOOSE_UNIFORM, CHOOSE_SQRT, CHOOSE_PROPORTIONAL };

enum choose_fate { CHOOSE_LEFT, CHOOSE_KEPT, CHOOSE_SIMILAR }; // left: over the quota

struct choose_verdict {
    enum choose_fate fate;
    float sim;    // highest cosine to what was kept before it, when similar
    int64_t near; // the row that it is similar to
};

struct choose_opt {
    enum choose_balance balance;
    int64_t count;
    float max_sim; // rows with a higher cosine to a kept row are not taken; >= 1: off
};

/* Choose rows, best first: `order` (n) lists all rows from best to worst. Each
 * cluster has a quota by its size and the balance; a row is kept when its cluster's quota
 * is not full and its cosine to every kept row is at most max_sim. What clusters
 * cannot fill goes to the others. Returns how many were kept.
 * Source: Liu et al. 2023 (DEITA), score-first selection, as their paper means it. */
int64_t choose_rows(const struct choose_opt *c, const struct cluster_set *s, const float *x,
                    int64_t n, int dim, const int64_t *order, struct choose_verdict *out);

#endif
