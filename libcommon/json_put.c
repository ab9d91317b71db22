/* json_put.c - JSON: append strings, numbers and keys. */
#include "json_put.h"

#include "decimal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void json_put_str(struct buf *b, const char *s, size_t n)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    size_t done = 0;

    buf_char(b, '"');
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        const char *short_form;

        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        buf_add(b, s + done, i - done);
        done = i + 1;
        short_form = c ? strchr(from, c) : NULL;
        if (short_form) {
            buf_char(b, '\\');
            buf_char(b, to[short_form - from]);
        } else {
            buf_fmt(b, "\\u%04x", c);
        }
    }
    buf_add(b, s + done, n - done);
    buf_char(b, '"');
}

void json_put_num(struct buf *b, double x)
{
    char s[DECIMAL_MAX] = "null";
    size_t n = decimal_put(x, false, s);

    if (n) {
        buf_add(b, s, n);
        return;
    }
    // as many digits as every double keeps, and more only while they are needed
    for (int d = 15; d <= 17 && isfinite(x); d++) {
        snprintf(s, sizeof(s), "%.*g", d, x);
        if (strtod(s, NULL) == x)
            break;
    }
    buf_str(b, s);
}

void json_put_float(struct buf *b, float x)
{
    char s[DECIMAL_MAX] = "null";
    size_t n = decimal_put((double)x, true, s);

    if (n) {
        buf_add(b, s, n);
        return;
    }
    for (int d = 6; d <= 9 && isfinite(x); d++) {
        snprintf(s, sizeof(s), "%.*g", d, (double)x);
        if (strtof(s, NULL) == x)
            break;
    }
    buf_str(b, s);
}

void json_put_int(struct buf *b, int64_t x)
{
    buf_fmt(b, "%lld", (long long)x);
}

void json_put_key(struct buf *b, const char *name)
{
    if (b->n && b->p[b->n - 1] != '{' && b->p[b->n - 1] != '[')
        buf_char(b, ',');
    json_put_str(b, name, strlen(name));
    buf_char(b, ':');
}
