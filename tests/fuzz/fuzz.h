/* fuzz.h - a deterministic mutator, so that the test suite runs the same changed
 * files everywhere. A driver defines LLVMFuzzerTestOneInput and, unless it is
 * built for libFuzzer (cc -DLIBFUZZER -fsanitize=fuzzer), a main that calls fuzz_run. */
#ifndef FUZZ_H
#define FUZZ_H

#include "../unit/test.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static inline uint64_t fuzz_next(uint64_t *state)
{
    uint64_t x = *state += 0x9E3779B97F4A7C15; // splitmix64

    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9;
    x = (x ^ x >> 27) * 0x94D049BB133111EB;
    return x ^ x >> 31;
}

/* Change 1..4 places among the first n bytes: a byte, or a number that lies at an edge. */
static inline void fuzz_mutate(uint8_t *p, size_t n, uint64_t *state)
{
    static const uint64_t edge[] = {
        0,          1,          0x7F,       0x80,       0xFF,           0xFFFF,
        0x10000,    0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1ull << 32,     1ull << 40,
        1ull << 61, 1ull << 62, 1ull << 63, UINT64_MAX, UINT64_MAX - 31};

    for (uint64_t k = fuzz_next(state) % 4 + 1; k; k--) {
        uint64_t how = fuzz_next(state), v = edge[(how >> 8) % (sizeof(edge) / sizeof(*edge))];
        size_t at = (size_t)(fuzz_next(state) % n), size = how % 4 == 1 ? 4 : 8;

        if (how % 4 > 1)
            p[at] ^= (uint8_t)(1 << (how >> 16) % 8);
        else if (how >> 20 & 1)
            p[at] = (uint8_t)(how >> 24);
        else
            memcpy(p + at, &v, size < n - at ? size : n - at);
    }
}

/* `times` changed copies of a seed, changed within its first n_head bytes, then
 * the seed cut at every 1 %. Each is a separate allocation, so that a sanitizer
 * sees a step past its end. */
static inline void fuzz_run(const char *what, const uint8_t *seed, size_t n, size_t n_head,
                            int times)
{
    char name[100];
    uint64_t state = 20240607;

    snprintf(name, sizeof(name), "%s: %d changed copies", what, times);
    TEST(name);
    for (int i = 0; i <= times + 100; i++) {
        size_t size = i < times ? n : n * (size_t)(i - times) / 100;
        uint8_t *p = malloc(size ? size : 1);

        if (!p)
            abort();
        memcpy(p, seed, size);
        if (i < times)
            fuzz_mutate(p, n_head, &state);
        CHECK(LLVMFuzzerTestOneInput(p, size) == 0);
        free(p);
    }
    test_close();
    test_name = NULL;
}

/* The path of a file in memory with these bytes; close the descriptor afterwards. */
static inline int fuzz_file(const uint8_t *p, size_t n, char path[32])
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);

    if (fd < 0 || write(fd, p, n) != (ssize_t)n)
        abort();
    snprintf(path, 32, "/proc/self/fd/%d", fd);
    return fd;
}

#endif
