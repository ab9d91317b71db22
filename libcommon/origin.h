/* origin.h - where a record of a round was made, and the id that follows from it. */
#ifndef ORIGIN_H
#define ORIGIN_H

#include "record.h"

#include <stdint.h>

struct origin {
    int round, prompt, item; // round from 1, prompt of the round, item of its list; -1: the prompt
    int instance;            // of several that a task has; -1: it is not one of several
};

/* Set the id of a record. parents: (n) a JSON array. */
void origin_derive(struct record *r, const char *stage, uint64_t seed, const struct origin *o,
                   const char *parents, size_t n);

/* Where a run with this seed made a record, out of its `meta` (source, parents, round, prompt,
 * item, instance), which must give its id; round 0 of any other record. */
struct origin origin_of(struct record *r, const char *stage, const char *source, uint64_t seed);

#endif
