/* spool.h - bytes at rest: in memory up to a limit, beyond it in a file without a name. */
#ifndef SPOOL_H
#define SPOOL_H

#include "err.h"
#include "grow.h"

#include <stdint.h>

struct spool {
    struct grow g;
    uint64_t n; // bytes
};

/* Empty. Nothing is made before the limit is met. */
void spool_open(struct spool *s, uint64_t limit, const char *dir);
void spool_close(struct spool *s); // zeroed is closed

/* Append n bytes; *at gets where they lie. Errors: ERR_STOP a full disk, ERR_IO. */
int spool_add(struct spool *s, const void *p, size_t n, uint64_t *at, struct err *e);
/* The same for n bytes of zeros. */
int spool_room(struct spool *s, size_t n, uint64_t *at, struct err *e);
/* The bytes at a place; valid until the next spool_add. */
void *spool_at(const struct spool *s, uint64_t at);
int spool_on_disk(const struct spool *s);

#endif
