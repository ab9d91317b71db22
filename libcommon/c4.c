/* c4.c - the lines of a text that C4 keeps, and what is in them. */
#include "c4.h"

#include "mem.h"
#include "scan.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

enum { LONG_WORD = 1000 }; // characters

static const char *const policies[] = {"terms of use", "privacy policy", "cookie policy",
                                       "uses cookies", "use of cookies", "use cookies"};

/* Words of the line, of a short one not more than three; is one of them too long? */
static bool has_long_word(struct part x, size_t *words)
{
    size_t at = 0, chars = 0, longest = 0;
    uint32_t cp;

    *words = 0;
    while (at < x.n && (x.n > LONG_WORD || *words < 3)) {
        unsigned char c = (unsigned char)x.p[at];
        bool space;

        if (c < 0x80) { // most
            space = c == ' ' || (c >= 9 && c <= 13) || (c >= 28 && c <= 31);
            at++;
        } else {
            at += (size_t)parts_char(x.p + at, x.n - at, &cp);
            space = parts_is_space(cp);
        }
        chars = space ? 0 : chars + 1;
        *words += chars == 1;
        longest = chars > longest ? chars : longest;
    }
    return longest > LONG_WORD;
}

/* The line without "[12]", "[edit]" and "[citation needed]", lower-cased (ASCII). */
static void clean(struct part x, struct buf *out)
{
    static const char *const notes[] = {"[edit]", "[citation needed]"};

    buf_reset(out);
    if (x.n && !memchr(x.p, '[', x.n)) {
        mem_grow(&out->p, &out->cap, x.n + 1, 1);
        scan_lower(out->p, x.p, x.n, 0);
        out->n = x.n;
        out->p[x.n] = 0;
        return;
    }
    for (size_t i = 0, k; i < x.n; i += k) {
        struct part rest = {x.p + i, x.n - i};

        k = 1;
        if (x.p[i] == '[') {
            while (i + k < x.n && x.p[i + k] >= '0' && x.p[i + k] <= '9')
                k++;
            k = i + k < x.n && x.p[i + k] == ']' ? k + 1 : 1;
            for (int m = 0; m < 2 && k == 1; m++)
                k = parts_begin(rest, notes[m]) ? strlen(notes[m]) : 1;
        }
        if (k == 1)
            buf_char(out, x.p[i] >= 'A' && x.p[i] <= 'Z' ? (char)(x.p[i] + 32) : x.p[i]);
    }
}

static bool holds(const struct buf *b, const char *what)
{
    return b->n && memmem(b->p, b->n, what, strlen(what));
}

/* One of .?!"' and, with `more`, )] */
static inline bool is_end(char c, bool more)
{
    return c == '.' || c == '!' || c == '?' || c == '"' || c == '\'' ||
           (more && (c == ')' || c == ']'));
}

/* Ends of sentences in a line: . ! ? and closing marks before a space or the end. */
static size_t sentences(const struct buf *b)
{
    size_t n = 0, at = 0;
    bool open = false;

    while (at < b->n) {
        size_t k = at;

        at += scan_stop(b->p + at, b->n - at);
        open = open || at > k;
        if (at >= b->n)
            break;
        while (at < b->n && is_end(b->p[at], true))
            at++;
        if (at >= b->n || b->p[at] == ' ' || b->p[at] == '\t') {
            n++;
            open = false;
            at += at < b->n;
        }
    }
    return n + open;
}

/* A line, of which notes are taken out first. */
static void count_noted(struct part x, struct buf *b, struct c4 *c)
{
    struct part y;
    size_t words;
    bool policy = false;

    if (has_long_word(x, &words))
        return;
    clean(x, b);
    y = (struct part){buf_cstr(b), b->n};
    if (!b->n || !is_end(b->p[b->n - 1], false) || parts_end(y, "...") || words < 3)
        return;
    if (scan_pairs(b->p, b->n, "psscmskicy") < b->n) { // of what is looked for here
        c->lorem += holds(b, "lorem ipsum");
        if (holds(b, "javascript"))
            return;
        for (size_t k = 0; k < sizeof(policies) / sizeof(*policies) && !policy; k++)
            policy = holds(b, policies[k]);
    }
    c->curly += memchr(b->p, '{', b->n) != NULL;
    c->sentences += policy ? 0 : sentences(b);
}

/* ---- lines without notes, as most are: nothing is copied ---- */

/* What is looked for in a line, and where three letters stand in it that are rare together. */
enum { LOREM, SCRIPT, POLICY };
static const struct {
    const char *text;
    size_t at;
    int kind;
} phrases[] = {{"lorem ipsum", 7, LOREM},      {"javascript", 4, SCRIPT},
               {"terms of use", 3, POLICY},    {"privacy policy", 4, POLICY},
               {"cookie policy", 3, POLICY},   {"uses cookies", 8, POLICY},
               {"use of cookies", 10, POLICY}, {"use cookies", 7, POLICY}};
static const char threes[] = "psuscrms acykie";

/* The kinds that stand in the line, a bit each. */
static unsigned phrases_of(const struct scan_threes *rare, struct part x)
{
    unsigned found = 0;

    for (size_t i = 0; (i += scan_threes(rare, x.p + i, x.n - i)) < x.n; i++)
        for (size_t k = 0; k < sizeof(phrases) / sizeof(*phrases); k++) {
            size_t before = phrases[k].at, len = strlen(phrases[k].text);

            if ((x.p[i] | 32) == phrases[k].text[before] && i >= before &&
                x.n - (i - before) >= len && !strncasecmp(x.p + i - before, phrases[k].text, len))
                found |= 1u << phrases[k].kind;
        }
    return found;
}

/* Is every mark of from..to-1 alone before a space or the end? How many; where the last is. */
static bool marks_alone(const struct kinds *t, size_t from, size_t to, size_t *n, size_t *last)
{
    for (size_t b = from / 64; 64 * b < to; b++) {
        uint64_t m = t->stop[b], behind = t->space[b] >> 1;

        m &= 64 * b < from ? ~0ull << from % 64 : ~0ull;
        m &= to - 64 * b < 64 ? ~(~0ull << to % 64) : ~0ull;
        behind |= (b + 1 < t->blocks ? t->space[b + 1] : 1) << 63;
        if (to - 64 * b <= 64)
            behind |= 1ull << (to - 1) % 64;
        if (m & ~behind)
            return false;
        *n += kinds_ones(m);
        *last = m ? 64 * b + 63 - (size_t)__builtin_clzll(m) : *last;
    }
    return true;
}

/* `sentences` by the marks that are known. */
static size_t sentences_of(const struct kinds *t, size_t at, size_t end)
{
    size_t n = 0, last = end;
    bool open = false;

    if (!t->control && marks_alone(t, at, end, &n, &last)) // what is behind the last is one more
        return n + (last + 1 != end);
    n = 0;
    while (at < end) {
        size_t k = at;

        at = kinds_next_before(t->stop, at, end);
        open = open || at > k;
        if (at >= end)
            break;
        while (at < end && is_end(t->s[at], true))
            at++;
        if (at >= end || t->s[at] == ' ' || t->s[at] == '\t') {
            n++;
            open = false;
            at += at < end;
        }
    }
    return n + open;
}

/* Three words, by the spaces of ASCII. */
static bool has_three(const struct kinds *t, size_t at, size_t end)
{
    uint64_t before = 0;
    size_t n = 0;

    for (size_t b = at / 64; n < 3 && 64 * b < end; b++) {
        uint64_t in = ~t->space[b] & (64 * b < at ? ~0ull << at % 64 : ~0ull);

        in &= end - 64 * b < 64 ? ~(~0ull << (end - 64 * b)) : ~0ull;
        n += kinds_ones(in & ~(in << 1 | before));
        before = in >> 63;
    }
    return n >= 3;
}

/* Is there a word too long, by its bytes? It has no space in so many blocks. */
static bool may_be_long(const struct kinds *t, size_t at, size_t end)
{
    size_t solid = 0;

    if (end - at <= LONG_WORD)
        return false;
    for (size_t b = at / 64; b <= end / 64 && solid < LONG_WORD / 64 - 1; b++)
        solid = t->space[b] ? 0 : solid + 1;
    return solid >= LONG_WORD / 64 - 1;
}

static bool is_kept(const struct kinds *t, struct part x)
{
    size_t begin = (size_t)(x.p - t->s), words;

    if (!x.n || !is_end(x.p[x.n - 1], false) || parts_end(x, "..."))
        return false;
    if (t->easy && !may_be_long(t, begin, begin + x.n))
        return has_three(t, begin, begin + x.n);
    return !has_long_word(x, &words) && words >= 3;
}

static void count_plain(const struct kinds *t, struct part x, const struct scan_threes *rare,
                        struct c4 *c)
{
    size_t begin = (size_t)(x.p - t->s);
    unsigned found;

    if (!is_kept(t, x))
        return;
    found = rare ? phrases_of(rare, x) : 0;
    c->lorem += found >> LOREM & 1;
    if (found >> SCRIPT & 1)
        return;
    c->curly += t->odd && memchr(x.p, '{', x.n);
    c->sentences += found >> POLICY & 1 ? 0 : sentences_of(t, begin, begin + x.n);
}

void c4_open(struct c4_desk *d)
{
    *d = (struct c4_desk){0};
    scan_threes_make(&d->rare, threes);
}

void c4_close(struct c4_desk *d)
{
    buf_free(&d->line);
}

struct c4 c4_count(struct c4_desk *d, const struct kinds *t, const struct parts *lines)
{
    bool some = phrases_of(&d->rare, (struct part){t->s, t->n});
    struct c4 c = {0};

    for (size_t i = 0; i < lines->n; i++) {
        struct part x = parts_strip(lines->v[i]);

        if (t->odd && x.n && memchr(x.p, '[', x.n))
            count_noted(x, &d->line, &c);
        else
            count_plain(t, x, some ? &d->rare : NULL, &c);
    }
    return c;
}
