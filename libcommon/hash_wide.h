/* hash_wide.h - XXH3-128 of many bytes, thirty-two at once. */
#ifndef HASH_WIDE_H
#define HASH_WIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool hash_wide_can(void); // this processor can
void hash_wide_bytes(const void *p, size_t n, uint64_t *lo, uint64_t *hi);

#endif
