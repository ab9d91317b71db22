/* utf8.c - UTF-8: check, walk, encode, whole-character prefixes. */
#include "utf8.h"

/* Length that a lead byte announces, or 0; the range of its second byte in lo..hi. */
static int lead(unsigned char c, unsigned char *lo, unsigned char *hi)
{
    *lo = 0x80;
    *hi = 0xBF;
    if (c < 0x80)
        return 1;
    if (c >= 0xC2 && c <= 0xDF)
        return 2;
    if (c >= 0xE0 && c <= 0xEF) {
        *lo = c == 0xE0 ? 0xA0 : 0x80;
        *hi = c == 0xED ? 0x9F : 0xBF;
        return 3;
    }
    if (c >= 0xF0 && c <= 0xF4) {
        *lo = c == 0xF0 ? 0x90 : 0x80;
        *hi = c == 0xF4 ? 0x8F : 0xBF;
        return 4;
    }
    return 0;
}

static int is_tail(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80;
}

int utf8_get(const char *s, size_t n, uint32_t *cp)
{
    unsigned char lo, hi, c;
    int len;

    if (!n)
        return 0;
    c = (unsigned char)s[0];
    if (c > 0xE0 && c < 0xF0 && n >= 3 && is_tail(s[1]) && is_tail(s[2]) &&
        !(c == 0xED && (unsigned char)s[1] >= 0xA0)) { // most beyond ASCII
        *cp = (c & 0xFu) << 12 | ((unsigned char)s[1] & 0x3Fu) << 6 | ((unsigned char)s[2] & 0x3Fu);
        return 3;
    }
    len = lead(c, &lo, &hi);
    if (!len || (size_t)len > n)
        return 0;
    *cp = len == 1 ? c : c & (0x7Fu >> len);
    for (int i = 1; i < len; i++) {
        c = (unsigned char)s[i];
        if (c < lo || c > hi)
            return 0;
        *cp = *cp << 6 | (c & 0x3Fu);
        lo = 0x80;
        hi = 0xBF;
    }
    return len;
}

size_t utf8_run(const char *s, size_t n)
{
    size_t i = 0;
    uint32_t cp;

    while (i < n && (unsigned char)s[i] >= 0x80) {
        unsigned char c = (unsigned char)s[i];
        int len;

        // those whose second byte has no range of its own
        if (c > 0xE0 && c < 0xF0 && c != 0xED && n - i >= 3 && is_tail(s[i + 1]) &&
            is_tail(s[i + 2])) {
            i += 3;
            continue;
        }
        if (c >= 0xC2 && c < 0xE0 && n - i >= 2 && is_tail(s[i + 1])) {
            i += 2;
            continue;
        }
        len = utf8_get(s + i, n - i, &cp);
        if (!len)
            break;
        i += (size_t)len;
    }
    return i;
}

size_t utf8_check(const char *s, size_t n)
{
    size_t i = 0;

    while (i < n) {
        size_t len = 1;

        if ((unsigned char)s[i] >= 0x80 && !(len = utf8_run(s + i, n - i)))
            return i;
        i += len;
    }
    return n;
}

int utf8_put(char out[4], uint32_t cp)
{
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    if (cp < 0x800) {
        out[0] = (char)(0xC0 | cp >> 6);
        out[1] = (char)(0x80 | (cp & 0x3F));
        return 2;
    }
    if (cp < 0x10000) {
        out[0] = (char)(0xE0 | cp >> 12);
        out[1] = (char)(0x80 | (cp >> 6 & 0x3F));
        out[2] = (char)(0x80 | (cp & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | cp >> 18);
    out[1] = (char)(0x80 | (cp >> 12 & 0x3F));
    out[2] = (char)(0x80 | (cp >> 6 & 0x3F));
    out[3] = (char)(0x80 | (cp & 0x3F));
    return 4;
}

size_t utf8_whole(const char *s, size_t n)
{
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        unsigned char lo, hi, c = (unsigned char)s[n - back];
        int len;

        if (c >= 0x80 && c < 0xC0)
            continue;
        len = lead(c, &lo, &hi);
        if ((size_t)len <= back)
            return n;
        if (back >= 2 &&
            ((unsigned char)s[n - back + 1] < lo || (unsigned char)s[n - back + 1] > hi))
            return n;
        return n - back;
    }
    return n;
}
