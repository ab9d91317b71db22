/* gain.h - what a choice has done to a set of records: figures before and after. */
#ifndef GAIN_H
#define GAIN_H

#include "choose.h"
#include "corpus.h"
#include "kmeans.h"
#include "variety.h"

#include <stdint.h>

struct gain {
    int k;
    int64_t *size; // (k) records of each topic that are kept
    struct gain_side {
        int64_t n;
        double entropy, topics; // of the topics, in nats, and its exp
        double vendi;           // eigen.h
        struct variety_figures words;
        double coverage; // mean, over all records, of the cosine to the nearest of these
        int64_t covered; // topics with a record
    } side[2];           // before, after
};

/* sim (n): of every record to the nearest kept one (choose_nearest). */
void gain_measure(struct gain *g, const struct corpus *c, const struct kmeans *s,
                  const struct choose_verdict *v, const float *sim, struct thread_pool *pool);
void gain_free(struct gain *g);

/* Append `"before":{...},"after":{...}`. */
void gain_json(const struct gain *g, struct buf *out);
/* Append a table for people. */
void gain_table(const struct gain *g, struct buf *out);

#endif
