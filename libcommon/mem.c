/* mem.c - memory: allocation that cannot fail, checked products. */
#include "mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
