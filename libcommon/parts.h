/* parts.h - a text's characters, lines and paragraphs, as Python's str splits them. */
#ifndef PARTS_H
#define PARTS_H

#include "kinds.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct part {
    const char *p; // (n) into the text
    size_t n;
};

struct parts {
    struct part *v; // (n)
    size_t n, cap;
};
void parts_room(struct parts *l, size_t n); // for n in all
void parts_free(struct parts *l);

/* str.splitlines: at every kind of line end, none after the last. */
void parts_lines(struct parts *l, const struct kinds *text);
/* re.split at runs of at least `least` newlines; the empty ends are parts too. */
void parts_split(struct parts *l, const struct kinds *t, struct part of, size_t least); // of t

struct part parts_strip_all(struct part x);
static inline struct part parts_strip(struct part x) // str.strip
{
    // most begin and end with what is no space
    bool solid = x.n && (unsigned)*x.p - '!' < 94 && (unsigned)x.p[x.n - 1] - '!' < 94;

    return solid ? x : parts_strip_all(x);
}
static inline bool parts_begin(struct part x, const char *with)
{
    return x.n >= strlen(with) && !memcmp(x.p, with, strlen(with));
}
static inline bool parts_end(struct part x, const char *with)
{
    return x.n >= strlen(with) && !memcmp(x.p + x.n - strlen(with), with, strlen(with));
}

/* The character at s[0..n), n > 0: its length; a stray byte counts as one. */
int parts_char(const char *s, size_t n, uint32_t *cp);
bool parts_is_space(uint32_t cp);                              // str.isspace
size_t parts_count(const char *s, size_t n, const char *what); // str.count

#endif
