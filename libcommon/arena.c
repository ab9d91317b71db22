/* arena.c - many small allocations that are released together. */
#include "arena.h"

#include "mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 1 << 14, KEEP = 1 << 20, ALIGN = 16 };

struct arena_block {
    _Alignas(ALIGN) struct arena_block *next; // what follows is aligned too
    size_t used, cap;
};

void *arena_new(struct arena *a, size_t n)
{
    struct arena_block *b = a->block;
    void *p;

    n = n > SIZE_MAX - ALIGN ? SIZE_MAX : (n + ALIGN - 1) / ALIGN * ALIGN;
    if (!b || n > b->cap - b->used) {
        size_t cap = n > BLOCK ? n : a->total > BLOCK ? a->total : BLOCK;

        if (cap > KEEP && n < KEEP)
            cap = KEEP;
        b = mem_new(cap > SIZE_MAX - sizeof(*b) ? SIZE_MAX : sizeof(*b) + cap);
        *b = (struct arena_block){a->block, 0, cap};
        a->block = b;
        a->total += cap;
    }
    p = (char *)(b + 1) + b->used;
    b->used += n;
    return p;
}

char *arena_dup(struct arena *a, const char *s, size_t n)
{
    char *p = arena_new(a, n + 1);

    if (n)
        memcpy(p, s, n);
    p[n] = 0;
    return p;
}

void arena_reset(struct arena *a)
{
    struct arena_block *b = a->block;

    if (!b)
        return;
    a->block = b->next;
    b->next = NULL;
    arena_free(a);
    if (b->cap > KEEP) {
        free(b);
        return;
    }
    b->used = 0;
    a->block = b;
    a->total = b->cap;
}

void arena_free(struct arena *a)
{
    for (struct arena_block *b = a->block, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    *a = (struct arena){0};
}
