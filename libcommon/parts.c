/* parts.c - a text's characters, lines and paragraphs, as Python's str splits them. */
#include "parts.h"

#include "mem.h"
#include "unorm.h"
#include "utf8.h"

#include <stdlib.h>
#include <string.h>

void parts_free(struct parts *l)
{
    free(l->v);
    *l = (struct parts){0};
}

size_t parts_chars(const char *s, size_t n)
{
    size_t k = 0;

    for (size_t i = 0; i < n; i++)
        k += ((unsigned char)s[i] & 0xC0) != 0x80;
    return k;
}

int parts_char(const char *s, size_t n, uint32_t *cp)
{
    int len;

    *cp = (unsigned char)*s;
    if (*cp < 0x80)
        return 1;
    len = utf8_get(s, n, cp);
    return len ? len : 1;
}

/* White_Space and four controls. */
bool parts_is_space(uint32_t cp)
{
    return cp < 0x80 ? cp == ' ' || (cp >= 9 && cp <= 13) || (cp >= 0x1C && cp <= 0x1F)
                     : unorm_is_space(cp);
}

size_t parts_count(const char *s, size_t n, const char *what)
{
    size_t k = 0, len = strlen(what);
    const char *end = s + n;

    while ((s = memmem(s, (size_t)(end - s), what, len))) {
        k++;
        s += len;
    }
    return k;
}

static void add_line(struct parts *l, const char *p, size_t n)
{
    mem_grow(&l->v, &l->cap, l->n + 1, sizeof(*l->v));
    l->v[l->n++] = (struct part){p, n};
}

/* Python's str.splitlines: at every kind of line end, none after the last. */
void parts_lines(struct parts *l, const char *s, size_t n)
{
    size_t start = 0, at = 0;

    l->n = 0;
    while (at < n) {
        unsigned char b = (unsigned char)s[at];
        uint32_t cp = b;
        size_t len = b >= 0x80 ? (size_t)parts_char(s + at, n - at, &cp) : 1;

        if ((cp >= 10 && cp <= 13) || (cp >= 0x1C && cp <= 0x1E) || cp == 0x85 || cp == 0x2028 ||
            cp == 0x2029) {
            add_line(l, s + start, at - start);
            len += b == '\r' && at + 1 < n && s[at + 1] == '\n';
            start = at + len;
        }
        at += len;
    }
    if (at > start)
        add_line(l, s + start, at - start);
}

/* At runs of at least `least` newlines; the empty ends are parts too (Python's re.split). */
void parts_split(struct parts *l, const char *s, size_t n, size_t least)
{
    size_t start = 0, at = 0;

    l->n = 0;
    while (at < n) {
        const char *nl = memchr(s + at, '\n', n - at);
        size_t k = 0;

        at = nl ? (size_t)(nl - s) : n;
        while (at + k < n && s[at + k] == '\n')
            k++;
        if (k >= least) {
            add_line(l, s + start, at - start);
            start = at + k;
        }
        at += k;
    }
    add_line(l, s + start, n - start);
}

struct part parts_strip(struct part x)
{
    uint32_t cp;

    while (x.n) {
        size_t len = (size_t)parts_char(x.p, x.n, &cp);

        if (!parts_is_space(cp))
            break;
        x.p += len;
        x.n -= len;
    }
    while (x.n) {
        size_t len = 1;

        while (len < x.n && ((unsigned char)x.p[x.n - len] & 0xC0) == 0x80)
            len++;
        parts_char(x.p + x.n - len, len, &cp);
        if (!parts_is_space(cp))
            break;
        x.n -= len;
    }
    return x;
}

bool parts_begin(struct part x, const char *with)
{
    return x.n >= strlen(with) && !memcmp(x.p, with, strlen(with));
}

bool parts_end(struct part x, const char *with)
{
    return x.n >= strlen(with) && !memcmp(x.p + x.n - strlen(with), with, strlen(with));
}
