/* escape.c - escapes of JSON strings. */
#include "escape.h"

#include "utf8.h"
#include "vec.h"

static int hex4(const char *s, uint32_t *out)
{
    *out = 0;
    for (int i = 0; i < 4; i++) {
        char c = s[i];
        int d = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;

        if (d < 0)
            return -1;
        *out = *out << 4 | (uint32_t)d;
    }
    return 0;
}

/* What the byte after a backslash stands for, or 0. */
static const unsigned char stands_for[256] = {
    ['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
    ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t'};

size_t escape_get(const char *s, size_t n, uint32_t *cp)
{
    uint32_t low;

    if (n < 2)
        return 0;
    *cp = stands_for[(unsigned char)s[1]];
    if (*cp)
        return 2;
    if (s[1] != 'u' || n < 6 || hex4(s + 2, cp))
        return 0;
    if (*cp < 0xD800 || *cp > 0xDFFF)
        return 6;
    if (*cp > 0xDBFF || n < 12 || s[6] != '\\' || s[7] != 'u' || hex4(s + 8, &low) ||
        low < 0xDC00 || low > 0xDFFF)
        return 0;
    *cp = 0x10000 + ((*cp - 0xD800) << 10) + (low - 0xDC00);
    return 12;
}

#if defined(WIDE)
/* The same as far as 32 bytes can be read and every escape is of one byte; *i of s are undone.
 * Room for what is copied too much is there: nothing grows. */
WIDE static size_t undo_wide(const char *s, size_t n, char *out, size_t *i)
{
    const wide backslash = _mm256_set1_epi8('\\');
    size_t at = 0, to = 0;

    while (at + 33 <= n) {
        wide x = wide_load(s + at);
        unsigned m = (unsigned)_mm256_movemask_epi8(_mm256_cmpeq_epi8(x, backslash)), k;
        unsigned char c;

        _mm256_storeu_si256((__m256i *)(void *)(out + to), x);
        k = m ? (unsigned)__builtin_ctz(m) : 32;
        at += k;
        to += k;
        if (!m)
            continue;
        c = stands_for[(unsigned char)s[at + 1]];
        if (!c)
            break;
        out[to++] = (char)c;
        at += 2;
    }
    *i = at;
    return to;
}
#endif

size_t escape_undo(const char *s, size_t n, char *out)
{
    size_t i = 0, to = 0;
    uint32_t cp = 0;

    while (i < n) {
#if defined(WIDE)
        if (is_wide(n - i)) {
            size_t k;

            to += undo_wide(s + i, n - i, out + to, &k);
            i += k;
        }
#endif
        for (; i < n && s[i] != '\\'; i++)
            out[to++] = s[i];
        if (i == n)
            break;
        i += escape_get(s + i, n - i, &cp);
        to += (size_t)utf8_put(out + to, cp);
    }
    return to;
}
