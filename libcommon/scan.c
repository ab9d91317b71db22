/* scan.c - bytes of a kind, found sixteen at a time. */
#include "scan.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

size_t scan_plain(const char *s, size_t n)
{
    size_t i = 0;

#if defined(__SSE2__)
    const __m128i space = _mm_set1_epi8(0x20), quote = _mm_set1_epi8('"'),
                  back = _mm_set1_epi8('\\');

    for (; i + 16 <= n; i += 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)(s + i));
        // bytes beyond ASCII are negative: less than a space too
        __m128i bad = _mm_or_si128(_mm_cmplt_epi8(x, space),
                                   _mm_or_si128(_mm_cmpeq_epi8(x, quote), _mm_cmpeq_epi8(x, back)));
        int mask = _mm_movemask_epi8(bad);

        if (mask)
            return i + (size_t)__builtin_ctz((unsigned)mask);
    }
#endif
    while (i < n && (signed char)s[i] >= 0x20 && s[i] != '"' && s[i] != '\\')
        i++;
    return i;
}

size_t scan_ascii(const char *s, size_t n)
{
    size_t i = 0;

#if defined(__SSE2__)
    for (; i + 16 <= n; i += 16) {
        int mask = _mm_movemask_epi8(_mm_loadu_si128((const __m128i *)(const void *)(s + i)));

        if (mask)
            return i + (size_t)__builtin_ctz((unsigned)mask);
    }
#endif
    while (i < n && (signed char)s[i] >= 0)
        i++;
    return i;
}
