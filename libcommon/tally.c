/* tally.c - how often each id was met, by 128-bit hash. */
#include "tally.h"

#include "mem.h"

#include <stdbool.h>
#include <stdlib.h>

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

/* The part a key belongs to. Only the upper half of a key chooses places: within a
 * shard the lower halves are all the same modulo N. */
static size_t part_of(struct hash128 key)
{
    return key.hi >> 58;
}

/* The entry of a key, or the free place where it belongs. */
static struct tally_entry *place(const struct tally_part *p, struct hash128 key)
{
    size_t i = (size_t)((hash_wide)(key.hi << 6) * p->cap >> 64);

    for (;; i = i + 1 < p->cap ? i + 1 : 0) {
        struct tally_entry *x = &p->entry[i];

        if (is_free(x) || (x->key.lo == key.lo && x->key.hi == key.hi))
            return x;
    }
}

static void rehash(struct tally_part *p)
{
    struct tally_part old = *p;

    p->cap = old.cap ? old.cap + old.cap / 4 : 8; // all parts grow at nearly the same time
    p->entry = mem_zero(p->cap, sizeof(*p->entry));
    for (size_t i = 0; i < old.cap; i++)
        if (!is_free(&old.entry[i]))
            *place(p, old.entry[i].key) = old.entry[i];
    free(old.entry);
}

struct tally_entry *tally_at(struct tally *t, struct hash128 key)
{
    struct tally_part *p = &t->part[part_of(key = not_zero(key))];
    struct tally_entry *x;

    if (8 * (p->n + 1) > 7 * p->cap)
        rehash(p);
    x = place(p, key);
    if (is_free(x)) {
        x->key = key;
        p->n++;
    }
    return x;
}

struct tally_entry *tally_find(const struct tally *t, struct hash128 key)
{
    const struct tally_part *p = &t->part[part_of(key = not_zero(key))];
    struct tally_entry *x;

    if (!p->cap)
        return NULL;
    x = place(p, key);
    return is_free(x) ? NULL : x;
}

void tally_free(struct tally *t)
{
    for (int i = 0; i < TALLY_PARTS; i++)
        free(t->part[i].entry);
    *t = (struct tally){0};
}
