/* arena.h - many small allocations that are released together. */
#ifndef ARENA_H
#define ARENA_H

#include <stddef.h>

/* Zeroed is empty. */
struct arena {
    struct arena_block *block; // the newest block, links to the older ones
    size_t total;              // bytes of all blocks
};

/* n bytes, aligned to 16, from the arena; valid until arena_reset or arena_free. */
void *arena_new(struct arena *a, size_t n);
char *arena_dup(struct arena *a, const char *s, size_t n); // n bytes and a NUL

/* Forget all allocations; keeps one block for reuse unless it is large. */
void arena_reset(struct arena *a);
void arena_free(struct arena *a);

#endif
