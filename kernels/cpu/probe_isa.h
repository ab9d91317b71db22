/* probe_isa.h - what a core can do at most: read, multiply int8, multiply floats.
 *
 * Loops with nothing else in them, so that kernels have something to be measured by. */
#ifndef PROBE_ISA_H
#define PROBE_ISA_H

#include "vec.h"

/* ---- reading ---- */

#if defined(__AVX512F__)
enum { PROBE_WORD = 64 };
#elif defined(__AVX2__)
enum { PROBE_WORD = 32 };
#else
enum { PROBE_WORD = 16 };
#endif
enum { PROBE_STREAMS = 4 }; // of one core

typedef uint64_t probe_word __attribute__((vector_size(PROBE_WORD), may_alias));

/* The exclusive or of n bytes (a multiple of 256), each read once. */
static uint64_t probe_read(const void *p, size_t n)
{
    const size_t part = n / PROBE_STREAMS;
    const char *at = p;
    probe_word x[PROBE_STREAMS] = {{0}};

    for (size_t i = 0; i < part; i += PROBE_WORD) {
        UNROLL
        for (size_t k = 0; k < PROBE_STREAMS; k++)
            x[k] ^= *(const probe_word *)(at + k * part + i);
    }
    UNROLL
    for (int k = 1; k < PROBE_STREAMS; k++)
        x[0] ^= x[k];
    return x[0][0] ^ x[0][1];
}

/* ---- int8 dot products, as the kernels of this instruction set do them ---- */

#if defined(__AVX512VNNI__)
typedef __m512i probe_int;

INLINE probe_int probe_dot(probe_int x, probe_int a)
{
    return _mm512_dpbusd_epi32(x, a, a);
}
#elif defined(__AVX512BW__)
typedef __m512i probe_int;

INLINE probe_int probe_dot(probe_int x, probe_int a)
{
    const __m512i one = _mm512_set1_epi16(1);

    return _mm512_add_epi32(x, _mm512_madd_epi16(_mm512_maddubs_epi16(a, a), one));
}
#elif defined(__AVXVNNI__)
typedef __m256i probe_int;

INLINE probe_int probe_dot(probe_int x, probe_int a)
{
    return _mm256_dpbusd_avx_epi32(x, a, a);
}
#elif defined(__AVX2__)
typedef __m256i probe_int;

INLINE probe_int probe_dot(probe_int x, probe_int a)
{
    const __m256i one = _mm256_set1_epi16(1);

    return _mm256_add_epi32(x, _mm256_madd_epi16(_mm256_maddubs_epi16(a, a), one));
}
#else
typedef int32_t probe_int;

INLINE probe_int probe_dot(probe_int x, probe_int a)
{
    return x + (int8_t)a * (int8_t)a;
}
#endif

/* Tell the compiler that v changed: without it what is computed twice is computed once. */
#if defined(__AVX2__)
#define PROBE_CHANGED(v) __asm__ volatile("" : "+x"(v))
#else
#define PROBE_CHANGED(v) __asm__ volatile("" : "+r"(v))
#endif

enum {
    PROBE_CHAINS = 10, // independent sums: more than a latency's worth, fewer than registers
    PROBE_INT8 = PROBE_CHAINS * (sizeof(probe_int) > 4 ? sizeof(probe_int) : 1),
};

/* `rounds` times PROBE_INT8 multiply-adds. */
static uint64_t probe_int8(int64_t rounds)
{
    probe_int a = {0}, sum = {0}, x[PROBE_CHAINS];
    uint32_t first;

    for (int k = 0; k < PROBE_CHAINS; k++)
        x[k] = a;
    for (; rounds > 0; rounds--) {
        UNROLL
        for (int k = 0; k < PROBE_CHAINS; k++) {
            PROBE_CHANGED(a);
            x[k] = probe_dot(x[k], a);
        }
    }
    UNROLL
    for (int k = 0; k < PROBE_CHAINS; k++)
        sum ^= x[k];
    memcpy(&first, &sum, sizeof(first));
    return first;
}

/* ---- floats ---- */

#if defined(__AVX512F__)
enum { PROBE_SUMS = 10, PROBE_FMA = 16 * PROBE_SUMS };
#else
enum { PROBE_SUMS = 5, PROBE_FMA = 16 * PROBE_SUMS }; // a v16 is two registers in AVX2
#endif

/* `rounds` times PROBE_FMA multiply-adds; the sums stay finite. */
static uint64_t probe_fma(int64_t rounds)
{
    struct v16 a = v16_set(0.5f), x[PROBE_SUMS];
    float start[16], sum = 0;

    for (int i = 0; i < 16; i++)
        start[i] = (float)i; // lanes that differ: equal halves would be computed once
    for (int k = 0; k < PROBE_SUMS; k++)
        x[k] = v16_add(v16_load(start), v16_set((float)k));
    for (; rounds > 0; rounds--) {
        UNROLL
        for (int k = 0; k < PROBE_SUMS; k++)
            x[k] = v16_fma(x[k], a, a);
    }
    for (int k = 0; k < PROBE_SUMS; k++)
        sum += v16_sum(x[k]);
    return sum > 0;
}

static const struct cpu_probe probe_loops = {
    .read = probe_read,
    .int8 = probe_int8,
    .fma = probe_fma,
    .int8_of_round = PROBE_INT8,
    .fma_of_round = PROBE_FMA,
};

#endif
