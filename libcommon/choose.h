/* choose.h - a choice of rows: by score, relevance against novelty, farthest first, coverage.
 *
 * Whatever the method, topics may have quotas, and nothing is kept that is closer than a limit to
 * what is kept. Every method is exact: the lazy ones compute a row's value again only
 * when its old value, which is never below, would win. Ties go to the row that
 * stands first in `order`. Results do not depend on threads or instruction set. */
#ifndef CHOOSE_H
#define CHOOSE_H

#include "backend.h"
#include "quota.h"
#include "thread.h"

#include <stdbool.h>
#include <stdint.h>

enum choose_method {
    CHOOSE_SCORE,    // best score first. Liu et al. 2023 (DEITA), as their paper means it
    CHOOSE_MMR,      // lambda * score - (1 - lambda) * cosine to the nearest kept row; scores
                     // scaled to 0..1. Carbonell & Goldstein 1998
    CHOOSE_KCENTER,  // the row farthest from what is kept; the first is the best
                     // score, without scores the row nearest to the mean. Gonzalez 1985
    CHOOSE_FACILITY, // the row that adds most to the sum of all rows' cosines to their nearest
                     // kept row (none below 0); with quotas, of all rows of its topic.
                     // Greedy: Nemhauser et al. 1978; lazy: Minoux 1978
};

enum choose_fate {
    CHOOSE_LEFT,    // over the count or the quota
    CHOOSE_KEPT,    //
    CHOOSE_SIMILAR, // above max_sim to a kept row
    CHOOSE_TWIN,    // a semantic duplicate (twins.h): left out before
};

struct choose_verdict {
    enum choose_fate fate;
    float sim;    // cosine to `near`: why it was refused
    int64_t near; // a row, or -1
};

struct choose_opt {
    enum choose_method method;
    enum quota_balance balance;
    double temp; // of QUOTA_TEMPERATURE
    int64_t count;
    float max_sim; // rows with a higher cosine to a kept row are not taken; >= 1: off
    float lambda;
    const struct backend *b;
    struct thread_pool *pool;
    /* Called with the number of kept rows, again and again, unless NULL; true: stop, nothing is
     * wanted. */
    bool (*tick)(void *with, int64_t kept);
    void *with;
};

struct choose_rows {
    const float *x; // (n, dim) unit rows, or zeros
    int64_t n;
    int dim, k;           // k topics
    const int32_t *of;    // (n) topic of each row
    const double *score;  // (n); -infinity without one
    const int64_t *order; // (n) all rows, the best first
};

/* order (n) = all rows, the highest score first, equals ascending. */
void choose_rank(const double *score, int64_t n, int64_t *order);

/* Choose rows. out (n) holds LEFT or TWIN on entry; twins are not looked at. The count is met
 * exactly as long as enough rows are far enough from each other: what topics cannot fill goes to
 * the others. Returns how many were kept, -1 when tick stopped it; kept (n), unless NULL, gets
 * their numbers in the order in which they were taken. */
int64_t choose_run(const struct choose_opt *o, const struct choose_rows *r,
                   struct choose_verdict *out, int64_t *kept);

/* The nearest kept row of every row: sim (n) and near (n); -2 and -1 when nothing is kept. */
void choose_nearest(const struct choose_opt *o, const struct choose_rows *r, const int64_t *kept,
                    int64_t n_kept, float *sim, int32_t *near);

#endif
