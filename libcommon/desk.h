/* desk.h - records in hand: read in order, worked on together, written in order.
 *
 * A task is a structure of the command's own that begins with a struct desk_item. */
#ifndef DESK_H
#define DESK_H

#include "err.h"
#include "record.h"
#include "stream.h"

#include <stdbool.h>
#include <stddef.h>

struct desk_item {
    struct record r;
    struct desk_item *next;
    bool done; // finished: written when its turn comes, unless
    bool gone; // rejected, dropped or not to be written
};

struct desk {
    struct stream *s;                        // borrowed
    size_t size;                             // of a task
    bool unordered;                          // write what is done at once
    void (*release)(void *task);             // what it holds besides the record
    void (*written)(void *with, void *task); // called for each that is written
    void *with;
    struct desk_item *head, **tail; // in the order of the input
    int n;
};

void desk_init(struct desk *d);
void desk_free(struct desk *d);

/* Read a record into a new task of zeros: 1, 0 at the end, 2 nothing yet, -1 fatal (stream_read).
 */
int desk_read(struct desk *d, bool wait, void **task, struct err *e);

/* Reject a task's record with the message in *e. The strings are "" or JSON values. -1: fatal. */
int desk_reject(struct desk *d, struct desk_item *t, const char *rule, const char *value,
                const char *limit, struct err *e);
/* Drop it: no failure. */
int desk_drop(struct desk *d, struct desk_item *t, const char *rule, const char *value,
              const char *limit, struct err *e);
/* Nothing becomes of it, and nothing is said. */
int desk_finish(struct desk *d, struct desk_item *t, struct err *e);

/* Write what is done: in the order of the input, unless `unordered`. */
int desk_write(struct desk *d, struct err *e);

#endif
