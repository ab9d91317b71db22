/* tally.h - how often each id was met, by 128-bit hash; at most 40 bytes of memory an id,
 * 55 while there are few. */
#ifndef TALLY_H
#define TALLY_H

#include "hash.h"

#include <stddef.h>
#include <stdint.h>

struct tally_entry {
    struct hash128 key; // zero: free place
    uint32_t seen;      // in the input
    uint32_t done;      // lines in the output and rejects of earlier runs
};

/* Zeroed is empty. */
struct tally {
    struct tally_entry *entry; // (cap) open addressing, in the order of the keys' upper halves
    size_t n, cap;
};

/* The entry of a key, made when it was absent; valid until the next tally_at. */
struct tally_entry *tally_at(struct tally *t, struct hash128 key);
/* The entry of a key, or NULL. */
struct tally_entry *tally_find(const struct tally *t, struct hash128 key);
/* The key's entry is asked for soon: fetch it. By any thread, while none is made. */
void tally_soon(const struct tally *t, struct hash128 key);
void tally_free(struct tally *t);

#endif
