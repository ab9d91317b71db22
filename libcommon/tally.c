/* tally.c - how often each id was met, by 128-bit hash.
 *
 * Ids are met in no order, so the table lies in large pages: with small ones the processor looks
 * up where a page is for nearly every id. */
#include "tally.h"

#include "mem.h"

#include <stdbool.h>

/* Places: of the first table, of one that still doubles; moved before theirs are given back. */
enum { LEAST = 512, SMALL = 1 << 17, PIECE = 1 << 17 };

static bool is_free(const struct tally_entry *x)
{
    return !x->key.lo && !x->key.hi;
}

static struct hash128 not_zero(struct hash128 key)
{
    if (!key.lo && !key.hi)
        key.lo = 1;
    return key;
}

/* A key's place, or one of the next. Only the upper half of a key chooses it: within a shard the
 * lower halves are all the same modulo N. */
static size_t first(const struct tally *t, struct hash128 key)
{
    return (size_t)((hash_wide)key.hi * t->cap >> 64);
}

/* The entry of a key, or the free place where it belongs. */
static struct tally_entry *place(const struct tally *t, struct hash128 key)
{
    for (size_t i = first(t, key);; i = i + 1 < t->cap ? i + 1 : 0) {
        struct tally_entry *x = &t->entry[i];

        if (is_free(x) || (x->key.lo == key.lo && x->key.hi == key.hi))
            return x;
    }
}

/* Both tables are in the same order, so that the old one can be given back as the new one fills. */
static void rehash(struct tally *t)
{
    struct tally old = *t;

    t->cap = !old.cap ? LEAST : old.cap < SMALL ? 2 * old.cap : old.cap + old.cap / 8 * 3;
    t->entry = mem_table(t->cap, sizeof(*t->entry));
    for (size_t i = 0; i < old.cap; i++) {
        if (!is_free(&old.entry[i]))
            *place(t, old.entry[i].key) = old.entry[i];
        if (i % PIECE == PIECE - 1)
            mem_table_drop(&old.entry[i + 1 - PIECE], PIECE, sizeof(*old.entry));
    }
    mem_table_free(old.entry, old.cap, sizeof(*old.entry));
}

struct tally_entry *tally_at(struct tally *t, struct hash128 key)
{
    struct tally_entry *x;

    key = not_zero(key);
    if (8 * (t->n + 1) > 7 * t->cap)
        rehash(t);
    x = place(t, key);
    if (is_free(x)) {
        x->key = key;
        t->n++;
    }
    return x;
}

struct tally_entry *tally_find(const struct tally *t, struct hash128 key)
{
    struct tally_entry *x;

    key = not_zero(key);
    if (!t->cap)
        return NULL;
    x = place(t, key);
    return is_free(x) ? NULL : x;
}

void tally_soon(const struct tally *t, struct hash128 key)
{
    if (t->cap)
        __builtin_prefetch(&t->entry[first(t, key)]);
}

void tally_free(struct tally *t)
{
    mem_table_free(t->entry, t->cap, sizeof(*t->entry));
    *t = (struct tally){0};
}
