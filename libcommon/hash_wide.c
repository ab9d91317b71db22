/* hash_wide.c - XXH3-128 of many bytes, thirty-two at once. Compiled for AVX2, so nothing of it may
 * be shared with other files. */
#include "hash_wide.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

bool hash_wide_can(void)
{
    return __builtin_cpu_supports("avx2");
}

void hash_wide_bytes(const void *p, size_t n, uint64_t *lo, uint64_t *hi)
{
    XXH128_hash_t h = XXH3_128bits(p, n);

    *lo = h.low64;
    *hi = h.high64;
}
