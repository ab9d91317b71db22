/* batch.h - many records of a stream at once, worked on by several threads.
 *
 * A command that looks at each record by itself reads lines as long as there are some, has all made
 * into records and worked on by whatever thread is free, and then goes through them in the order of
 * the input, while the next are worked on. What comes out does not depend on the threads, nor on
 * how lines fall into batches. */
#ifndef BATCH_H
#define BATCH_H

#include "err.h"
#include "stream.h"
#include "thread.h"

enum {
    BATCH_RECORDS = 256,            // at most; fewer for a few threads
    BATCH_BYTES = 1 << 18,          // but for one long line
    BATCH_ITEMS = 2 * BATCH_RECORDS // records in hand
};

struct batch;

struct batch *batch_open(struct stream *s, struct thread_pool *pool);
void batch_close(struct batch *b); // NULL-safe

/* Work on one record, by any thread: item is 0..BATCH_ITEMS-1, consecutive ones of a batch within a
 * half of these; worker is the thread's number. */
typedef void (*batch_work)(void *with, struct record *r, int item, int worker);
/* Finish one, in the order of the input, by any one thread, while others work on later ones: 0, or
 * -1 with e set. */
typedef int (*batch_finish)(void *with, struct record *r, int item, struct err *e);

/* The next batch, or as much of it as can be read without waiting for more. 1 = go on, 0 = the
 * input has ended or a signal came, -1 = error; records read before it are finished. */
int batch_run(struct batch *b, batch_work work, batch_finish finish, void *with, struct err *e);

#endif
