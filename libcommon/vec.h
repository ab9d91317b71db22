/* vec.h - sixteen bytes at once, or thirty-two where the processor can.
 *
 * SSE2 is in every x86-64 processor; elsewhere the compiler makes what it can of the same steps,
 * written for a vector of sixteen bytes in plain C. */
#ifndef VEC_H
#define VEC_H

#include <stddef.h>
#include <string.h>
#if defined(__SSE2__)
#include <immintrin.h>
typedef __m128i vec;
/* For processors that have it, thirty-two at a time. */
#define WIDE  __attribute__((target("avx2,bmi,popcnt")))
#define WIDER __attribute__((target("avx512f,avx512bw,avx512vbmi,avx512vbmi2,bmi,popcnt")))
#else
typedef struct {
    signed char b[16];
} vec;
#endif

enum { STEP = 16 };

/* Loops over integers: the same ones on every machine; where the loader can choose, the faster code
 * for them. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__)
#define ANY_CPU __attribute__((target_clones("avx512f", "avx2", "default"), optimize("O3")))
#else
#define ANY_CPU
#endif

#if defined(__SSE2__)
static inline vec load(const char *s)
{
    return _mm_loadu_si128((const __m128i *)(const void *)s);
}

static inline unsigned equal(vec x, char c)
{
    return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(x, _mm_set1_epi8(c)));
}

/* Bytes, as signed numbers, that are less. */
static inline unsigned less(vec x, int c)
{
    return (unsigned)_mm_movemask_epi8(_mm_cmplt_epi8(x, _mm_set1_epi8((char)c)));
}

/* Bytes from lo to lo + span - 1, span < 128. */
static inline unsigned within(vec x, char lo, int span)
{
    __m128i y = _mm_sub_epi8(_mm_sub_epi8(x, _mm_set1_epi8(lo)), _mm_set1_epi8((char)-128));

    return (unsigned)_mm_movemask_epi8(_mm_cmplt_epi8(y, _mm_set1_epi8((char)(span - 128))));
}

static inline vec with(vec x, char bits)
{
    return _mm_or_si128(x, _mm_set1_epi8(bits));
}

/* Bits set; a call of the library without the processor's own instruction. */
static inline size_t ones(unsigned m)
{
    m -= m >> 1 & 0x5555;
    m = (m & 0x3333) + (m >> 2 & 0x3333);
    m = (m + (m >> 4)) & 0x0F0F;
    return (m + (m >> 8)) & 0x1F;
}
#else
static inline size_t ones(unsigned m)
{
    return (size_t)__builtin_popcount(m);
}

static inline vec load(const char *s)
{
    vec x;

    memcpy(&x, s, STEP);
    return x;
}

static inline unsigned equal(vec x, char c)
{
    unsigned m = 0;

    for (unsigned i = 0; i < STEP; i++)
        m |= (unsigned)(x.b[i] == (signed char)c) << i;
    return m;
}

static inline unsigned less(vec x, int c)
{
    unsigned m = 0;

    for (unsigned i = 0; i < STEP; i++)
        m |= (unsigned)(x.b[i] < c) << i;
    return m;
}

static inline unsigned within(vec x, char lo, int span)
{
    unsigned m = 0;

    for (unsigned i = 0; i < STEP; i++)
        m |= (unsigned)((unsigned char)(x.b[i] - lo) < span) << i;
    return m;
}

static inline vec with(vec x, char bits)
{
    for (int i = 0; i < STEP; i++)
        x.b[i] = (signed char)(x.b[i] | bits);
    return x;
}
#endif

#if defined(WIDE)
typedef __m256i wide;

WIDE static inline wide wide_load(const char *s)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)s);
}

WIDE static inline unsigned wide_equal(wide x, char c)
{
    return (unsigned)_mm256_movemask_epi8(_mm256_cmpeq_epi8(x, _mm256_set1_epi8(c)));
}

/* As equal, less, within. */
WIDE static inline unsigned wide_less(wide x, int c)
{
    return (unsigned)_mm256_movemask_epi8(_mm256_cmpgt_epi8(_mm256_set1_epi8((char)c), x));
}

WIDE static inline unsigned wide_within(wide x, char lo, int span)
{
    wide y = _mm256_sub_epi8(x, _mm256_set1_epi8((char)(lo - 128)));

    return (unsigned)_mm256_movemask_epi8(
        _mm256_cmpgt_epi8(_mm256_set1_epi8((char)(span - 128)), y));
}

WIDE static inline wide wide_with(wide x, char bits)
{
    return _mm256_or_si256(x, _mm256_set1_epi8(bits));
}

static inline int is_wide(size_t n)
{
    return n >= 32 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt") &&
           __builtin_cpu_supports("bmi");
}

/* Sixty-four at a time, and bytes pressed together. */
static inline int is_wider(void)
{
    return __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("avx512vbmi") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("popcnt") &&
           __builtin_cpu_supports("bmi");
}
#endif

/* The last bytes, behind them `fill`. */
static inline vec tail(const char *s, size_t n, char fill)
{
    char t[STEP];

    memset(t, fill, STEP);
    if (n)
        memcpy(t, s, n);
    return load(t);
}

#endif
