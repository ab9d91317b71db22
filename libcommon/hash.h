/* hash.h - XXH3-128 of bytes, and a string -> int table. */
#ifndef HASH_H
#define HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash128 {
    uint64_t lo, hi;
};

struct hash128 hash_bytes(const void *p, size_t n);

/* Several pieces as one value: each piece is hashed with its length, so that
 * ("ab","c") and ("a","bc") differ. Start from the zeroed struct. */
struct hash128 hash_add(struct hash128 h, const void *p, size_t n);

/* 32 hex digits and a NUL: hi, then lo. */
void hash_hex(struct hash128 h, char out[33]);

/* A table from byte strings to int. Keys are copied. Zeroed is empty. */
struct hash_table {
    struct hash_entry *entry; // (cap) open addressing, cap a power of two
    size_t n, cap;
    struct hash_block *block; // key bytes
};

/* The value slot of a key, created with value `fresh` when it was absent;
 * valid until the next hash_put. */
int *hash_put(struct hash_table *t, const void *key, size_t n, int fresh);
/* The value slot of a key, or NULL. */
int *hash_find(const struct hash_table *t, const void *key, size_t n);
void hash_free(struct hash_table *t);

#endif
