/* escape.c - escapes of JSON strings. */
#include "escape.h"

#include "scan.h"
#include "utf8.h"

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

size_t escape_get(const char *s, size_t n, uint32_t *cp)
{
    static const unsigned char stands_for['u'] = {
        ['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
        ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t'};
    uint32_t low;

    if (n < 2)
        return 0;
    if ((unsigned char)s[1] < sizeof(stands_for) && stands_for[(unsigned char)s[1]]) {
        *cp = stands_for[(unsigned char)s[1]];
        return 2;
    }
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

size_t escape_undo(const char *s, size_t n, char *out)
{
    size_t i = 0, to = 0;
    uint32_t cp = 0;

    for (;;) {
        size_t len = scan_copy(out + to, s + i, n - i, '\\');

        to += len;
        i += len;
        if (i == n)
            break;
        i += escape_get(s + i, n - i, &cp);
        to += (size_t)utf8_put(out + to, cp);
    }
    return to;
}
