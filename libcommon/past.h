/* past.h - what an interrupted run left behind, read again.
 *
 * For commands whose work depends on what they wrote before, and that write records of
 * their own making: stream skips inputs that are done, this tells what became of them. */
#ifndef PAST_H
#define PAST_H

#include "err.h"
#include "record.h"
#include "tally.h"

#include <stdbool.h>
#include <stdint.h>

/* Hand every record of a file of whole lines (as stream_open leaves it) to `take`, in order, with
 * its id set; stops when that returns -1. A file that is not there is empty. */
int past_read(const char *path, int (*take)(void *with, struct record *r, struct err *e),
              void *with, struct err *e);

/* The same for the first `bytes` of a file that may grow. */
int past_part(const char *path, uint64_t bytes,
              int (*take)(void *with, struct record *r, struct err *e), void *with, struct err *e);

/* Ids of a run's records. */
void past_note(struct tally *t, const struct record *r);
bool past_has(const struct tally *t, const struct record *r);

#endif
