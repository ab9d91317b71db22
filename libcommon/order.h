/* order.h - rejects in the order of the input.
 *
 * A bad line is known when it is read, while records before it are still being worked
 * on. Its reject is held until they are finished, so that the rejects of a run that was
 * killed and resumed are those of an undisturbed one. */
#ifndef ORDER_H
#define ORDER_H

#include "err.h"
#include "sink.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* At most so many records wait for the first unfinished one, and so many bytes of
 * rejects; then all that is held is written (a command that reads everything
 * before it finishes anything). */
enum { ORDER_RECORDS = 1 << 16, ORDER_BYTES = 64 << 20 };

struct order {
    struct sink *to; // NULL: nothing is written, only finished
    bool at_once;    // hold nothing (--unordered)
    struct order_slot {
        bool done;
        char *line; // (n) or NULL
        size_t n;
    } * slot; // (cap) ring: slot of number i is i modulo cap
    size_t cap;
    int64_t low, next; // numbers low..next-1 are in the ring; low is not finished
    size_t bytes;      // held
};

void order_init(struct order *o, struct sink *to, bool at_once);
void order_free(struct order *o);

/* The next number, from 1. */
int order_begin(struct order *o, int64_t *number, struct err *e);
/* Number (0: of no place in the input) is finished, with n bytes of reject when
 * line is not NULL. Finishing again only writes the line. */
int order_finish(struct order *o, int64_t number, const char *line, size_t n, struct err *e);
bool order_open(const struct order *o);          // something is not finished
int order_flush(struct order *o, struct err *e); // write all that is held

#endif
