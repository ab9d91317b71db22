/* bytes.c - a checked walk over the bytes of a file. */
#include "bytes.h"

#include "utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

size_t bytes_left(const struct bytes *b)
{
    return b->n - b->at;
}

int bytes_fail(const struct bytes *b, size_t at, const char *fmt, ...)
{
    char what[sizeof(b->e->msg)];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    return err_set(b->e, ERR_DATA, "%s: byte %zu: %s", b->path, at, what);
}

const uint8_t *bytes_take(struct bytes *b, uint64_t n, const char *what)
{
    if (n > bytes_left(b)) {
        bytes_fail(b, b->at, "truncated: %s needs %llu bytes, %zu are left", what,
                   (unsigned long long)n, bytes_left(b));
        return NULL;
    }
    b->at += (size_t)n;
    return b->p + b->at - n;
}

int bytes_u32(struct bytes *b, uint32_t *out, const char *what)
{
    const uint8_t *p = bytes_take(b, sizeof(*out), what);

    if (!p)
        return -1;
    memcpy(out, p, sizeof(*out));
    return 0;
}

int bytes_u64(struct bytes *b, uint64_t *out, const char *what)
{
    const uint8_t *p = bytes_take(b, sizeof(*out), what);

    if (!p)
        return -1;
    memcpy(out, p, sizeof(*out));
    return 0;
}

int bytes_str(struct bytes *b, uint64_t min, uint64_t max, const char *what, const char **s,
              size_t *n)
{
    size_t at = b->at;
    uint64_t len;

    if (bytes_u64(b, &len, what))
        return -1;
    if (len < min)
        return bytes_fail(b, at, "empty %s", what);
    if (len > bytes_left(b))
        return bytes_fail(b, at, "%s length %llu exceeds the %zu bytes left", what,
                          (unsigned long long)len, bytes_left(b));
    if (len > max)
        return bytes_fail(b, at, "%s length %llu exceeds the limit of %llu", what,
                          (unsigned long long)len, (unsigned long long)max);
    *s = (const char *)bytes_take(b, len, what);
    *n = (size_t)len;
    return 0;
}

int bytes_name(struct bytes *b, uint64_t max, const char *what, const char **s, size_t *n)
{
    size_t at = b->at;

    if (bytes_str(b, 1, max, what, s, n))
        return -1;
    for (size_t i = 0; i < *n; i++)
        if ((unsigned char)(*s)[i] < 0x20 || (*s)[i] == 0x7F)
            return bytes_fail(b, at, "bad %s: control character", what);
    if (utf8_check(*s, *n) != *n)
        return bytes_fail(b, at, "bad %s: not valid UTF-8", what);
    return 0;
}
