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
                     : cp <= 0x3000 && unorm_is_space(cp);
}

size_t parts_count(const char *s, size_t n, const char *what)
{
    size_t k = 0, len = strlen(what);
    const char *end = s + n;

    while ((size_t)(end - s) >= len && (s = memchr(s, *what, (size_t)(end - s) - len + 1))) {
        bool found = !memcmp(s, what, len);

        k += found;
        s += found ? len : 1;
    }
    return k;
}

void parts_room(struct parts *l, size_t n)
{
    mem_grow(&l->v, &l->cap, n, sizeof(*l->v));
}

static void add_line(struct parts *l, const char *p, size_t n)
{
    parts_room(l, l->n + 1);
    l->v[l->n++] = (struct part){p, n};
}

/* Bytes of the line end at s[0..n), or 0. */
static size_t line_end(const char *s, size_t n)
{
    unsigned char b = (unsigned char)*s;
    uint32_t cp;
    size_t len;

    if (b < 0x80)
        return (b >= 10 && b <= 13) || (b >= 0x1C && b <= 0x1E)
                   ? 1 + (size_t)(b == '\r' && n > 1 && s[1] == '\n')
                   : 0;
    if (b != 0xC2 && b != 0xE2)
        return 0;
    len = (size_t)parts_char(s, n, &cp);
    return cp == 0x85 || cp == 0x2028 || cp == 0x2029 ? len : 0;
}

/* Python's str.splitlines: at every kind of line end, none after the last. Of ASCII, ends are
 * known. */
void parts_lines(struct parts *l, const struct kinds *t)
{
    size_t start = 0;
    bool wide;

    l->n = 0;
    // those beyond ASCII begin with one of two bytes
    wide = !t->ascii && (memchr(t->s, 0xC2, t->n) || memchr(t->s, 0xE2, t->n));
    for (size_t b = 0; b < t->blocks; b++)
        for (uint64_t m = t->line[b] | (wide ? t->high[b] : 0); m; m &= m - 1) {
            size_t at = 64 * b + (size_t)__builtin_ctzll(m), len;

            if (at < start)
                continue;
            len = line_end(t->s + at, t->n - at);
            if (!len)
                continue;
            add_line(l, t->s + start, at - start);
            start = at + len;
        }
    if (t->n > start)
        add_line(l, t->s + start, t->n - start);
}

/* At runs of at least `least` newlines; the empty ends are parts too (Python's re.split). */
void parts_split(struct parts *l, const struct kinds *t, struct part of, size_t least)
{
    size_t start = (size_t)(of.p - t->s), end = start + of.n, at = start;

    l->n = 0;
    while ((at = kinds_next_before(t->newline, at, end)) < end) {
        size_t k = 1;

        while (at + k < end && t->s[at + k] == '\n')
            k++;
        if (k >= least) {
            add_line(l, t->s + start, at - start);
            start = at + k;
        }
        at += k;
    }
    add_line(l, t->s + start, end - start);
}

struct part parts_strip_all(struct part x)
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
