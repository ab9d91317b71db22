/* mem.c - memory: allocation that cannot fail, checked products. */
#include "mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, LARGE = 2 << 20 }; // bytes of a small page, of a large one

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

/* Whole large pages, which the system then lays where one begins. */
static size_t table_bytes(size_t n, size_t size)
{
    size_t bytes;

    if (!mem_mul(n, size, &bytes) || bytes > SIZE_MAX - LARGE)
        return SIZE_MAX;
    return bytes < 2 * LARGE ? bytes : (bytes + LARGE - 1) / LARGE * LARGE;
}

void *mem_table(size_t n, size_t size)
{
    size_t bytes = table_bytes(n, size);
    void *p = MAP_FAILED;

    if (bytes != SIZE_MAX)
        p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(p == MAP_FAILED ? NULL : p, bytes);
    if (bytes >= 2 * LARGE)
        madvise(p, bytes, MADV_HUGEPAGE); // a wish
    return p;
}

void mem_table_drop(void *p, size_t n, size_t size)
{
    uintptr_t from = ((uintptr_t)p + PAGE - 1) / PAGE * PAGE;
    uintptr_t to = ((uintptr_t)p + n * size) / PAGE * PAGE;

    if (from < to)
        madvise((void *)from, to - from, MADV_DONTNEED);
}

void mem_table_free(void *p, size_t n, size_t size)
{
    if (p)
        munmap(p, table_bytes(n, size));
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
