/* shard.h - which part of the input is a run's: I of N, by the ids of records. */
#ifndef SHARD_H
#define SHARD_H

#include "err.h"
#include "hash.h"

#include <stdbool.h>
#include <stdint.h>

struct shard {
    uint64_t i, n;
};

/* "I/N", I in 1..N; NULL: all of the input. 0, or ERR_ARG. */
int shard_parse(struct shard *s, const char *text, struct err *e);
/* Each key is of one shard of n. */
bool shard_has(const struct shard *s, struct hash128 key);

#endif
