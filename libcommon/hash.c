/* hash.c - XXH3-128 of bytes, and a string -> int table. */
#include "hash.h"

#include "hash_wide.h"
#include "mem.h"

#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

/* Keys lie in blocks that never move, so entries may point at them. */
enum { KEYS = 1 << 16, LEAST = 64, LONG = 256 }; // bytes of keys; places of a table; bytes

struct hash_block {
    struct hash_block *next;
    size_t used, cap;
};

struct hash_entry {
    const char *key; // NULL = free place
    uint64_t h;
    uint32_t n;
    int value;
};

struct hash128 hash_bytes(const void *p, size_t n)
{
    XXH128_hash_t h;

    if (n >= LONG && hash_wide_can()) {
        struct hash128 x;

        hash_wide_bytes(p, n, &x.lo, &x.hi);
        return x;
    }
    h = XXH3_128bits(p ? p : "", n);
    return (struct hash128){h.low64, h.high64};
}

struct hash128 hash_add(struct hash128 h, const void *p, size_t n)
{
    struct hash128 part = hash_bytes(p, n);
    uint64_t all[5] = {h.lo, h.hi, part.lo, part.hi, n};

    return hash_bytes(all, sizeof(all));
}

void hash_hex(struct hash128 h, char out[33])
{
    static const char digit[] = "0123456789abcdef";

    for (int i = 0; i < 16; i++) {
        out[i] = digit[h.hi >> (60 - 4 * i) & 15];
        out[16 + i] = digit[h.lo >> (60 - 4 * i) & 15];
    }
    out[32] = 0;
}

/* The entry of a key, or the free place where it belongs. */
static struct hash_entry *place(const struct hash_table *t, const void *key, size_t n, uint64_t h)
{
    size_t i = h & (t->cap - 1);

    for (;; i = (i + 1) & (t->cap - 1)) {
        struct hash_entry *x = &t->entry[i];

        if (!x->key || (x->h == h && x->n == n && !memcmp(x->key, key, n)))
            return x;
    }
}

static void rehash(struct hash_table *t, size_t cap)
{
    struct hash_table old = *t;

    t->cap = cap;
    t->entry = mem_zero(t->cap, sizeof(*t->entry));
    for (size_t i = 0; i < old.cap; i++)
        if (old.entry[i].key)
            *place(t, old.entry[i].key, old.entry[i].n, old.entry[i].h) = old.entry[i];
    free(old.entry);
}

static const char *keep(struct hash_table *t, const void *key, size_t n)
{
    struct hash_block *b = t->block;
    char *p;

    if (!b || n > b->cap - b->used) {
        size_t cap = n > KEYS ? n : KEYS;

        b = mem_new(sizeof(*b) + cap);
        *b = (struct hash_block){t->block, 0, cap};
        t->block = b;
    }
    p = (char *)(b + 1) + b->used;
    memcpy(p, key, n);
    b->used += n;
    return p;
}

int *hash_put(struct hash_table *t, const void *key, size_t n, int fresh)
{
    uint64_t h = XXH3_64bits(n ? key : "", n);
    struct hash_entry *x;

    if (4 * (t->n + 1) > 3 * t->cap)
        rehash(t, t->cap ? 2 * t->cap : LEAST);
    key = n ? key : "";
    x = place(t, key, n, h);
    if (!x->key) {
        *x = (struct hash_entry){keep(t, key, n), h, (uint32_t)n, fresh};
        t->n++;
    }
    return &x->value;
}

void hash_reserve(struct hash_table *t, size_t n)
{
    size_t cap = t->cap ? t->cap : LEAST;

    while (3 * cap < 4 * n)
        cap *= 2;
    if (cap > t->cap)
        rehash(t, cap);
}

int *hash_find(const struct hash_table *t, const void *key, size_t n)
{
    struct hash_entry *x;

    if (!t->cap)
        return NULL;
    key = n ? key : "";
    x = place(t, key, n, XXH3_64bits(key, n));
    return x->key ? &x->value : NULL;
}

void hash_free(struct hash_table *t)
{
    for (struct hash_block *b = t->block, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(t->entry);
    *t = (struct hash_table){0};
}
