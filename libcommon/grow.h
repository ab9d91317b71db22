/* grow.h - bytes that grow, in memory or in a mapped file, or in memory up to a limit and then in a
 * file without a name. */
#ifndef GROW_H
#define GROW_H

#include "err.h"

#include <stddef.h>

struct grow {
    void *p;         // (cap) page-aligned; fresh bytes are zero
    size_t cap;      // bytes
    int fd;          // -1: memory
    char *path;      // for messages
    size_t limit;    // of memory, when not 0: bytes beyond which it goes to a file
    const char *dir; // where the file is made; borrowed
};

/* path NULL: memory. An existing file's bytes are mapped as they are. Errors: ERR_IO. */
int grow_open(struct grow *g, const char *path, struct err *e);
/* Memory up to `limit` bytes (at least 1), then a file in dir, which is removed from it at once and
 * goes with the process: its pages are the system's to keep or to write. */
void grow_temp(struct grow *g, size_t limit, const char *dir);
/* Make it hold at least n bytes; p may move. A file's blocks are reserved, so that a full disk
 * is an error here (ERR_STOP) and not a signal at a later store. */
int grow_room(struct grow *g, size_t n, struct err *e);
int grow_sync(const struct grow *g, struct err *e); // a file's bytes to the disk
void grow_close(struct grow *g);                    // zeroed is closed already

#endif
