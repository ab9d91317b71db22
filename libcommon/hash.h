/* hash.h - XXH3-128 of bytes, and a string -> int table. */
#ifndef HASH_H
#define HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct hash128 {
    uint64_t lo, hi;
};

struct hash128 hash_bytes(const void *p, size_t n);

/* Several pieces as one value: each piece is hashed with its length, so that
 * ("ab","c") and ("a","bc") differ. Start from the zeroed struct. */
struct hash128 hash_add(struct hash128 h, const void *p, size_t n);

/* 32 hex digits and a NUL: hi, then lo. */
void hash_hex(struct hash128 h, char out[33]);

/* 64 bits of a short string, such as a word: n bytes of which `room` >= n can be read. The bits of
 * `with` are set in every byte first: 0x20 makes letters of ASCII lower case, and leaves digits. */
__extension__ typedef unsigned __int128 hash_wide;
static inline uint64_t hash_fold(uint64_t a, uint64_t b)
{
    hash_wide x = (hash_wide)a * b;

    return (uint64_t)x ^ (uint64_t)(x >> 64);
}
static inline uint64_t hash_word(const char *p, size_t n, size_t room, unsigned char with)
{
    const uint64_t bits = 0x0101010101010101u * with;
    uint64_t h = 0x2D358DCCAA6C78A5u ^ n, v;
    size_t i = 0;

    for (; i + 8 < n; i += 8) {
        memcpy(&v, p + i, 8);
        h = hash_fold(h ^ 0x8BB84B93962EACC9u, (v | bits) ^ 0x4B33A62ED433D4A3u);
    }
    if (room - i >= 8) {
        memcpy(&v, p + i, 8);
        v |= bits;
        v = n == i ? 0 : v & (~0ull >> (64 - 8 * (n - i)));
    } else {
        v = 0;
        memcpy(&v, p + i, n - i);
        v |= n == i ? 0 : bits & (~0ull >> (64 - 8 * (n - i)));
    }
    h = hash_fold(h ^ 0xA0761D6478BD642Fu, v ^ 0xE7037ED1A0B428DBu);
    return hash_fold(h ^ 0x8EBC6AF09C88C6E3u, 0x589965CC75374CC3u ^ n);
}

/* The same for 1 to 8 bytes of which 8 can be read, and, without a branch, for 1 to 16 of 16. */
static inline uint64_t hash_short(const char *p, size_t n, unsigned char with)
{
    uint64_t v;

    memcpy(&v, p, 8);
    v = (v | 0x0101010101010101u * with) & ~0ull >> (64 - 8 * n);
    v = hash_fold(0x2D358DCCAA6C78A5u ^ n ^ 0xA0761D6478BD642Fu, v ^ 0xE7037ED1A0B428DBu);
    return hash_fold(v ^ 0x8EBC6AF09C88C6E3u, 0x589965CC75374CC3u ^ n);
}
static inline uint64_t hash_middle(const char *p, size_t n, unsigned char with)
{
    uint64_t bits = 0x0101010101010101u * with, longer = -(uint64_t)(n > 8);
    uint64_t h = 0x2D358DCCAA6C78A5u ^ n, v, behind;

    memcpy(&v, p, 8);
    memcpy(&behind, p + 8, 8);
    h ^= (h ^ hash_fold(h ^ 0x8BB84B93962EACC9u, (v | bits) ^ 0x4B33A62ED433D4A3u)) & longer;
    v = ((v ^ ((v ^ behind) & longer)) | bits) & ~0ull >> ((64 - 8 * n) & 63);
    h = hash_fold(h ^ 0xA0761D6478BD642Fu, v ^ 0xE7037ED1A0B428DBu);
    return hash_fold(h ^ 0x8EBC6AF09C88C6E3u, 0x589965CC75374CC3u ^ n);
}

/* A table from byte strings to int. Keys are copied. Zeroed is empty. */
struct hash_table {
    struct hash_entry *entry; // (cap) open addressing, cap a power of two
    size_t n, cap;
    struct hash_block *block; // key bytes
};

/* The value slot of a key, created with value `fresh` when it was absent;
 * valid until the next hash_put. */
int *hash_put(struct hash_table *t, const void *key, size_t n, int fresh);
/* Room for n keys at once, instead of by doubling. */
void hash_reserve(struct hash_table *t, size_t n);
/* The value slot of a key, or NULL. */
int *hash_find(const struct hash_table *t, const void *key, size_t n);
void hash_free(struct hash_table *t);

#endif
