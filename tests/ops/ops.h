/* ops.h - what the tests of the ops share: random data, the backends that must agree, comparison.
 *
 * With LLM_TEST_DEVICE=llm-cuda.so in the environment the device must agree with the oracle,
 * without it all that this CPU has. With LLM_TEST_PART=I/N only every Nth case is tried, where
 * the checks of memory and races make each slow. */
#ifndef OPS_H
#define OPS_H

#include "../unit/test.h"
#include "backend.h"
#include "mem.h"
#include "mirror.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { OPS_BACKENDS = 10 };

struct ops {
    struct backend *b[OPS_BACKENDS]; // the first is scalar, one thread: the oracle
    int n;
    uint64_t random;
    int at, part, parts; // cases so far; which are tried
    bool device; // the last one sums half floats on its tensor cores, in an order of its own
};

/* Every instruction set that this machine has, with 1 and with 7 threads. */
static inline void ops_open(struct ops *o)
{
    static const enum backend_isa isa[] = {ISA_SCALAR, ISA_AVX2, ISA_AVXVNNI, ISA_AVX512, ISA_VNNI};
    const char *so = getenv("LLM_TEST_DEVICE");
    struct err e;

    *o = (struct ops){.random = 1, .parts = 1};
    if (getenv("LLM_TEST_PART"))
        sscanf(getenv("LLM_TEST_PART"), "%d/%d", &o->part, &o->parts);
    if (so) {
        o->b[0] = backend_cpu_open(1, ISA_SCALAR, &e);
        o->b[1] = mirror_open(so, o->b[0]);
        o->device = o->b[1] != NULL;
        o->n = o->device ? 2 : 1;
        TEST("the device is there");
        CHECK(o->device);
        return;
    }
    for (int i = 0; i < 5; i++)
        for (int threads = 1; threads <= 7; threads += 6) {
            o->b[o->n] = backend_cpu_open(threads, isa[i], &e);
            if (!o->b[o->n])
                printf("# %s: not tested\n", e.msg);
            else
                printf("# backend %d: %s, %d threads\n", o->n, backend_cpu_isa(o->b[o->n]),
                       threads);
            if (o->b[o->n])
                backend_cpu_repack(o->b[o->n], true);
            o->n += o->b[o->n] != NULL;
        }
}

/* Whether the next case is left out. */
static inline bool ops_skip(struct ops *o)
{
    return o->at++ % o->parts != o->part % o->parts;
}

static inline void ops_close(struct ops *o)
{
    for (int i = o->n - 1; i >= 0; i--)
        backend_close(o->b[i]);
}

/* splitmix64 */
static inline uint64_t ops_bits(struct ops *o)
{
    uint64_t z = o->random += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* In -1..1. */
static inline float ops_float(struct ops *o)
{
    return (float)(int32_t)(ops_bits(o) >> 32) * 0x1p-31f;
}

static inline float *ops_floats(struct ops *o, size_t n)
{
    float *p = mem_new(n * sizeof(*p));

    for (size_t i = 0; i < n; i++)
        p[i] = ops_float(o);
    return p;
}

static inline int ops_pick(struct ops *o, int lo, int hi)
{
    return lo + (int)(ops_bits(o) % (uint64_t)(hi - lo + 1));
}

/* The first float that differs, or -1. */
static inline long ops_differs(const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (memcmp(a + i, b + i, sizeof(*a)))
            return (long)i;
    return -1;
}

/* Run a step's bracket around one op, so that scratch is there. */
static inline void ops_begin(struct backend *b, const struct step *s)
{
    struct err e;

    CHECK(b->ops->step_begin(b, s, &e) == STEP_RUN);
}

static inline void ops_end(struct backend *b)
{
    struct err e;

    CHECK(b->ops->step_end(b, &e) == 0);
}

#endif
