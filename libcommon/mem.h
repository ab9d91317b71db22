/* mem.h - memory: allocation that cannot fail, checked products.
 *
 * Host memory that runs out ends the process with one line (mem.c is the only
 * place that may): no caller could do better. What a file declares is checked
 * against the file's size before it becomes an allocation (design, section 8),
 * so running out here means the machine is full, not that an input lied. */
#ifndef MEM_H
#define MEM_H

#include <stdbool.h>
#include <stddef.h>

/* malloc, calloc, realloc and strndup that return or end the process.
 * mem_new(0) returns a pointer that may be freed. Free with free(3). */
void *mem_new(size_t bytes);
void *mem_zero(size_t n, size_t size);
void *mem_resize(void *p, size_t n, size_t size);
char *mem_dup(const char *s, size_t n); // n bytes and a NUL

/* Memory aligned to 64 bytes, zeroed; free with free(3). */
void *mem_aligned(size_t bytes);

/* n zeroed items, a table whose places are met in no order: in pages of their own, large ones when
 * it is large. To give back, of some of its items, the pages that hold no others, zeroed if asked
 * for again; to free all n, NULL-safe. */
void *mem_table(size_t n, size_t size);
void mem_table_drop(void *p, size_t n, size_t size);
void mem_table_free(void *p, size_t n, size_t size);

/* a * b and a + b into *out; false when the result does not fit. */
bool mem_mul(size_t a, size_t b, size_t *out);
bool mem_sum(size_t a, size_t b, size_t *out);

/* Grow *p, an array of *cap items of `size` bytes, to hold at least n items.
 * Doubles, so that n appends cost O(n). */
void mem_grow(void *p, size_t *cap, size_t n, size_t size);

#endif
