/* past.h - what an interrupted run left behind, read again.
 *
 * For commands whose work depends on what they wrote before, and that write records of
 * their own making: stream skips inputs that are done, this tells what became of them.
 * Errors: what `take` says, with file and line; ERR_STOP once the stream has met a signal, asked
 * for before some records at a time; ERR_IO, ERR_DATA. */
#ifndef PAST_H
#define PAST_H

#include "err.h"
#include "record.h"
#include "stream.h"
#include "tally.h"
#include "thread.h"

#include <stdbool.h>
#include <stdint.h>

/* Hand every record of a file of whole lines (as stream_open leaves it) to `take`, in order, with
 * its id set; stops when that returns -1. A file that is not there is empty. */
int past_read(struct stream *s, const char *path,
              int (*take)(void *with, struct record *r, struct err *e), void *with, struct err *e);

/* The same for the first `bytes` of a file that may grow. */
int past_part(struct stream *s, const char *path, uint64_t bytes,
              int (*take)(void *with, struct record *r, struct err *e), void *with, struct err *e);

/* The same where there is work to do for each record, by several threads: `look`, by any of them,
 * then `take`, by the caller's. An item is 0..PAST_ITEMS-1, that of the record before and one more,
 * or 0. */
enum { PAST_ITEMS = 256 };
struct past_work {
    void (*look)(void *with, struct record *r, int item, int worker); // or NULL
    int (*take)(void *with, struct record *r, int item, struct err *e);
    void *with;
    struct thread_pool *pool; // NULL: the caller's thread
};
int past_many(struct stream *s, const char *path, uint64_t bytes, const struct past_work *w,
              struct err *e);

/* Ids of a run's records. */
void past_note(struct tally *t, const struct record *r);
bool past_has(const struct tally *t, const struct record *r);
bool past_has_id(const struct tally *t, const char *id, size_t n);

#endif
