/* rounds.h - the rounds of new tasks: what the model writes, its instances, what is new.
 *
 * A round depends on the rounds before it and on nothing else, so it can be made again: that is
 * how an interrupted run goes on. */
#ifndef ROUNDS_H
#define ROUNDS_H

#include "bootstrap.h"

/* Pass the seeds through and make tasks. 1 = done, 0 = asked to stop, -1 = error. */
int rounds_run(struct bootstrap *g, struct err *e);

/* Members for --stats, the curve of novelty among them. */
void rounds_stats(const struct bootstrap *g, struct buf *out);

#endif
