/* batch.h - many records of a stream at once, worked on by several threads.
 *
 * A command that looks at each record by itself reads lines as long as there are some, has all made
 * into records and worked on by whatever thread is free, and then goes through them in the order of
 * the input. What comes out does not depend on the threads, nor on how lines fall into batches. */
#ifndef BATCH_H
#define BATCH_H

#include "err.h"
#include "stream.h"
#include "thread.h"

enum { BATCH_RECORDS = 256, BATCH_BYTES = 1 << 18 }; // at most, but for one long line

struct batch;

struct batch *batch_open(struct stream *s, struct thread_pool *pool);
void batch_close(struct batch *b); // NULL-safe

/* Work on one record, by any thread: item is 0..BATCH_RECORDS-1, worker the thread's number. */
typedef void (*batch_work)(void *with, struct record *r, int item, int worker);
/* Finish one, in the order of the input: 0, or -1 with e set. */
typedef int (*batch_finish)(void *with, struct record *r, int item, struct err *e);

/* The next batch, or as much of it as can be read without waiting for more. 1 = go on, 0 = the
 * input has ended or a signal came, -1 = error; records read before it are finished. */
int batch_run(struct batch *b, batch_work work, batch_finish finish, void *with, struct err *e);

#endif
