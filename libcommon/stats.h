/* stats.h - the counts of a run, and the JSON object of --stats. */
#ifndef STATS_H
#define STATS_H

#include "err.h"

#include <stdint.h>

enum { STATS_RULES = 96 }; // rules of one command that are counted apart; later ones together

struct stats {
    int64_t read;     // records given to the command
    int64_t written;  // output lines
    int64_t rejected; // failures, bad lines included
    int64_t dropped;  // by a rule
    struct stats_rule {
        const char *name;
        int64_t n;
    } rule[STATS_RULES];            // in the order in which each was first used; then a NULL name
    int64_t skipped;                // done before (--resume)
    int64_t other;                  // of other shards
    int64_t blank;                  // blank lines
    uint64_t bytes_in, bytes_total; // read so far; size of all inputs, 0 when unknown
    double seconds;
};

/* Count what a rule, whose name is borrowed, has removed. */
void stats_drop(struct stats *s, const char *rule);

/* Write the object in place of the file `path` (NULL: nothing to do): stage, exit status, what
 * stopped the run before its end (a message), the counts of s and `more`, which is JSON members
 * such as "\"tokens\":12"; stopped, s and more may be NULL. ERR_OUT. */
int stats_write(const char *path, const char *stage, int status, const char *stopped,
                const struct stats *s, const char *more, struct err *e);

#endif
