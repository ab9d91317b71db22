/* mem.c - memory: allocation that cannot fail, arenas, checked products. */
#include "mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 1 << 14, KEEP = 1 << 20, ALIGN = 16 };

struct arena_block {
    _Alignas(ALIGN) struct arena_block *next; // what follows is aligned too
    size_t used, cap;
};

static void *check(void *p, size_t bytes)
{
    if (p)
        return p;
    fprintf(stderr, "out of memory (asked for %zu bytes)\n", bytes);
    exit(2);
}

void *mem_new(size_t bytes)
{
    return check(malloc(bytes ? bytes : 1), bytes);
}

void *mem_zero(size_t n, size_t size)
{
    return check(calloc(n ? n : 1, size ? size : 1), n * size);
}

void *mem_resize(void *p, size_t n, size_t size)
{
    size_t bytes;

    if (!mem_mul(n, size, &bytes))
        bytes = SIZE_MAX;
    return check(bytes == SIZE_MAX ? NULL : realloc(p, bytes ? bytes : 1), bytes);
}

char *mem_dup(const char *s, size_t n)
{
    char *p = mem_new(n + 1);

    if (n)
        memcpy(p, s, n);
    p[n] = 0;
    return p;
}

void *mem_aligned(size_t bytes)
{
    void *p = NULL;

    bytes = bytes > SIZE_MAX - 64 ? SIZE_MAX : (bytes + 63) / 64 * 64 + (bytes ? 0 : 64);
    if (bytes == SIZE_MAX || posix_memalign(&p, 64, bytes))
        p = NULL;
    check(p, bytes);
    memset(p, 0, bytes);
    return p;
}

bool mem_mul(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

bool mem_sum(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

void mem_grow(void *p, size_t *cap, size_t n, size_t size)
{
    void **at = p;

    if (n <= *cap)
        return;
    *cap = n < 16 ? 16 : n > SIZE_MAX / 2 ? n : n + n / 2;
    *at = mem_resize(*at, *cap, size);
}

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
