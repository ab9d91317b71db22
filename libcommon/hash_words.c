/* hash_words.c - hashes of a text's words, eight at once where the processor can. */
#include "hash_words.h"

#include "hash.h"
#include "vec.h"

#include <string.h>

/* Of bytes at..end-1, as they are or, when the first is of ASCII, in lower case. */
static inline uint64_t hash_at(const char *s, size_t all, size_t at, size_t end, bool lower)
{
    unsigned char with = lower && (unsigned char)s[at] < 0x80 ? 0x20 : 0;
    size_t n = end - at, room = all - at;

    if (n <= 8 && room >= 8)
        return hash_short(s + at, n, with);
    return n <= 16 && room >= 16 ? hash_middle(s + at, n, with) : hash_word(s + at, n, room, with);
}

#if defined(WIDE)
WIDER static inline __m512i fold_eight(__m512i a, __m512i b)
{
    const __m512i half = _mm512_set1_epi64(UINT32_MAX);
    __m512i a1 = _mm512_srli_epi64(a, 32), b1 = _mm512_srli_epi64(b, 32);
    __m512i low = _mm512_mul_epu32(a, b), high = _mm512_mul_epu32(a1, b1), x, y;

    x = _mm512_add_epi64(_mm512_mul_epu32(a, b1), _mm512_srli_epi64(low, 32));
    y = _mm512_add_epi64(_mm512_mul_epu32(a1, b), _mm512_and_si512(x, half));
    high = _mm512_add_epi64(high, _mm512_srli_epi64(x, 32));
    high = _mm512_add_epi64(high, _mm512_srli_epi64(y, 32));
    low = _mm512_or_si512(_mm512_and_si512(low, half), _mm512_slli_epi64(y, 32));
    return _mm512_xor_si512(high, low);
}

static inline long long eight_bytes(const char *p)
{
    long long x;

    memcpy(&x, p, 8);
    return x;
}

/* hash_short of eight pieces; a bit for each that is longer. */
WIDER static inline unsigned hash_eight(const char *s, const uint32_t *begin, const uint32_t *end,
                                        bool lower, uint64_t *hash)
{
    const __m512i k = _mm512_set1_epi64(0x2D358DCCAA6C78A5 ^ (long long)0xA0761D6478BD642F);
    const uint32_t *b = begin;
    __m512i n, v, with = _mm512_set1_epi8(lower ? 0x20 : 0);

    n = _mm512_cvtepu32_epi64(
        _mm256_sub_epi32(_mm256_loadu_si256((const __m256i *)(const void *)end),
                         _mm256_loadu_si256((const __m256i *)(const void *)begin)));
    v = _mm512_set_epi64(eight_bytes(s + b[7]), eight_bytes(s + b[6]), eight_bytes(s + b[5]),
                         eight_bytes(s + b[4]), eight_bytes(s + b[3]), eight_bytes(s + b[2]),
                         eight_bytes(s + b[1]), eight_bytes(s + b[0]));
    with = _mm512_maskz_mov_epi64(_mm512_testn_epi64_mask(v, _mm512_set1_epi64(0x80)), with);
    v = _mm512_and_si512(
        _mm512_or_si512(v, with),
        _mm512_srlv_epi64(_mm512_set1_epi64(-1),
                          _mm512_sub_epi64(_mm512_set1_epi64(64), _mm512_slli_epi64(n, 3))));
    v = fold_eight(_mm512_xor_si512(n, k),
                   _mm512_xor_si512(v, _mm512_set1_epi64((long long)0xE7037ED1A0B428DB)));
    v = fold_eight(_mm512_xor_si512(v, _mm512_set1_epi64((long long)0x8EBC6AF09C88C6E3)),
                   _mm512_xor_si512(n, _mm512_set1_epi64(0x589965CC75374CC3)));
    _mm512_storeu_si512(hash, v);
    return _mm512_cmpgt_epu64_mask(n, _mm512_set1_epi64(8));
}

/* Of n pieces, a multiple of eight, from whose begin on eight bytes can be read. */
WIDER static void all_wider(const char *s, size_t all, const uint32_t *begin, const uint32_t *end,
                            size_t n, bool lower, uint64_t *hash)
{
    size_t next;

    for (size_t from = 0; from < n; from = next) {
        uint64_t longer = 0;

        next = n - from < 64 ? n : from + 64;
        for (size_t k = from; k < next; k += 8)
            longer |= (uint64_t)hash_eight(s, begin + k, end + k, lower, hash + k) << (k - from);
        for (; longer; longer &= longer - 1) {
            size_t k = from + (size_t)__builtin_ctzll(longer);

            hash[k] = hash_at(s, all, begin[k], end[k], lower);
        }
    }
}
#endif

void hash_words(const char *s, size_t all, const uint32_t *begin, const uint32_t *end, size_t n,
                bool lower, uint64_t *hash)
{
    size_t k = 0;

#if defined(WIDE)
    if (is_wider()) {
        k = n / 8 * 8;
        while (k && (size_t)begin[k - 1] + 8 > all)
            k -= 8;
        all_wider(s, all, begin, end, k, lower, hash);
    }
#endif
    for (; k < n; k++)
        hash[k] = hash_at(s, all, begin[k], end[k], lower);
}
