/* pile.h - bytes that are added at an end and read anywhere: in a file that is written and read,
 * not mapped, so that what lies there is no memory of the process; or in memory up to a limit and
 * then in a file without a name. */
#ifndef PILE_H
#define PILE_H

#include "buf.h"
#include "err.h"

#include <stddef.h>
#include <stdint.h>

struct pile {
    uint64_t n;      // bytes; those of an existing file are there
    int fd;          // -1: all is in memory
    char *path;      // for messages; NULL: a file without a name
    uint64_t base;   // from here on bytes are in `tail`
    struct buf tail; // not in the file yet; always empty for one with a name
    size_t limit;    // of memory
    const char *dir; // where the file is made; borrowed
};

/* What is put into a file with a name is in it at once, and there after a kill. Errors: ERR_IO. */
int pile_open(struct pile *x, const char *path, struct err *e);
void pile_temp(struct pile *x, size_t limit, const char *dir);
/* Bytes to the place `at`, at most x->n, and none behind them: the pile ends there. Errors:
 * ERR_STOP a full disk, ERR_IO. */
int pile_put(struct pile *x, uint64_t at, const void *p, size_t n, struct err *e);
/* n bytes at a place, in `room` or in the pile itself, until the next call; NULL when they are not
 * there. */
const void *pile_get(const struct pile *x, uint64_t at, size_t n, struct buf *room);
int pile_sync(const struct pile *x, struct err *e); // a file with a name to the disk
void pile_close(struct pile *x);                    // zeroed is closed already

#endif
