/* tally.c - how often each id was met, by 128-bit hash. */
#include "tally.h"

#include "mem.h"

#include <stdlib.h>

/* The entry of a key, or the free place where it belongs. The upper half is the index:
 * within a shard the lower half is the same modulo N. */
static struct tally_entry *place(const struct tally *t, struct hash128 key)
{
    size_t i = key.hi & (t->cap - 1);

    for (;; i = (i + 1) & (t->cap - 1)) {
        struct tally_entry *x = &t->entry[i];

        if ((!x->key.lo && !x->key.hi) || (x->key.lo == key.lo && x->key.hi == key.hi))
            return x;
    }
}

static struct hash128 not_zero(struct hash128 key)
{
    if (!key.lo && !key.hi)
        key.lo = 1;
    return key;
}

static void rehash(struct tally *t)
{
    struct tally old = *t;

    t->cap = old.cap ? old.cap * 2 : 64;
    t->entry = mem_zero(t->cap, sizeof(*t->entry));
    for (size_t i = 0; i < old.cap; i++)
        if (old.entry[i].key.lo || old.entry[i].key.hi)
            *place(t, old.entry[i].key) = old.entry[i];
    free(old.entry);
}

struct tally_entry *tally_at(struct tally *t, struct hash128 key)
{
    struct tally_entry *x;

    if (8 * (t->n + 1) > 7 * t->cap)
        rehash(t);
    key = not_zero(key);
    x = place(t, key);
    if (!x->key.lo && !x->key.hi) {
        x->key = key;
        t->n++;
    }
    return x;
}

struct tally_entry *tally_find(const struct tally *t, struct hash128 key)
{
    struct tally_entry *x;

    if (!t->cap)
        return NULL;
    x = place(t, not_zero(key));
    return x->key.lo || x->key.hi ? x : NULL;
}

void tally_free(struct tally *t)
{
    free(t->entry);
    *t = (struct tally){0};
}
