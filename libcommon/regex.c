/* regex.c - regular expressions of JSON Schema. */
#include "regex.h"

#include "mem.h"
#include "utf8.h"

#include <stdlib.h>
#include <string.h>

struct parse {
    struct cfg *c;
    const char *s;
    size_t n, i;
    regex_put put;
    int depth;
    int *stack; // parts of the sequences and alternatives that are open
    size_t n_stack, cap_stack;
    struct cfg_range *range; // of the class that is read
    size_t n_range, cap_range;
    struct err *e;
};

static int alternatives(struct parse *p, bool whole);

static int fail(struct parse *p, const char *what)
{
    return err_set(p->e, ERR_DATA, "pattern '%.*s': byte %zu: %s", p->n < 60 ? (int)p->n : 60, p->s,
                   p->i, what);
}

static char peek(const struct parse *p)
{
    return p->i < p->n ? p->s[p->i] : 0;
}

static bool take(struct parse *p, const char *text)
{
    size_t n = strlen(text);

    if (p->n - p->i < n || memcmp(p->s + p->i, text, n))
        return false;
    p->i += n;
    return true;
}

static void push(struct parse *p, int x)
{
    mem_grow(&p->stack, &p->cap_stack, p->n_stack + 1, sizeof(*p->stack));
    p->stack[p->n_stack++] = x;
}

static int pop(struct parse *p, size_t from, bool alt)
{
    int n = (int)(p->n_stack - from);
    const int *part = p->stack ? p->stack + from : NULL;
    int x = alt ? cfg_alt(p->c, part, n) : cfg_seq(p->c, part, n);

    p->n_stack = from;
    return x;
}

/* ---- sets of characters ---- */

static void add(struct parse *p, uint32_t lo, uint32_t hi)
{
    mem_grow(&p->range, &p->cap_range, p->n_range + 1, sizeof(*p->range));
    p->range[p->n_range++] = (struct cfg_range){lo, hi};
}

static int by_lo(const void *a, const void *b)
{
    const struct cfg_range *x = a, *y = b;

    return x->lo < y->lo ? -1 : x->lo > y->lo;
}

/* Replace the ranges since `from` by what is in none of them. */
static void invert(struct parse *p, size_t from)
{
    size_t n = p->n_range - from;
    struct cfg_range *old = mem_new((n + 1) * sizeof(*old));
    uint32_t next = 0;

    if (n)
        memcpy(old, p->range + from, n * sizeof(*old));
    qsort(old, n, sizeof(*old), by_lo);
    p->n_range = from;
    for (size_t i = 0; i < n; i++) {
        if (old[i].lo > next)
            add(p, next, old[i].lo - 1);
        next = old[i].hi + 1 > next ? old[i].hi + 1 : next;
    }
    if (next <= CFG_LAST)
        add(p, next, CFG_LAST);
    free(old);
}

/* \d \w \s and their opposites; false when c names none of them. */
static bool add_kind(struct parse *p, char c)
{
    static const struct cfg_range space[] = {
        {9, 13},          {32, 32},         {0xA0, 0xA0},     {0x1680, 0x1680}, {0x2000, 0x200A},
        {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
    size_t from = p->n_range;

    switch (c) {
    case 'd':
    case 'D':
        add(p, '0', '9');
        break;
    case 'w':
    case 'W':
        add(p, '0', '9');
        add(p, 'A', 'Z');
        add(p, '_', '_');
        add(p, 'a', 'z');
        break;
    case 's':
    case 'S':
        for (size_t i = 0; i < sizeof(space) / sizeof(*space); i++)
            add(p, space[i].lo, space[i].hi);
        break;
    default:
        return false;
    }
    if (c < 'a')
        invert(p, from);
    return true;
}

static int hex(struct parse *p, int digits, uint32_t *cp)
{
    *cp = 0;
    for (int k = 0; k < digits; k++) {
        char c = peek(p);
        int d = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;

        if (d < 0)
            return fail(p, "an escape has too few hexadecimal digits");
        *cp = *cp << 4 | (uint32_t)d;
        p->i++;
    }
    return 0;
}

/* What follows "\u": four digits, two such that are a surrogate pair, or digits in braces. */
static int unicode(struct parse *p, uint32_t *cp)
{
    uint32_t low;
    int digits = 0;

    if (take(p, "{")) {
        while (p->i + (size_t)digits < p->n && p->s[p->i + (size_t)digits] != '}' && digits < 7)
            digits++;
        if (hex(p, digits, cp))
            return -1;
        if (!digits || *cp > CFG_LAST || !take(p, "}"))
            return fail(p, "an escape names no character");
        return 0;
    }
    if (hex(p, 4, cp))
        return -1;
    if (*cp >= 0xD800 && *cp < 0xDC00 && take(p, "\\u")) {
        if (hex(p, 4, &low))
            return -1;
        if (low < 0xDC00 || low > 0xDFFF)
            return fail(p, "a surrogate stands alone");
        *cp = 0x10000 + ((*cp - 0xD800) << 10) + (low - 0xDC00);
    }
    return 0;
}

/* After a backslash: a character, alone or in a class. */
static int escape(struct parse *p, bool in_class, uint32_t *cp)
{
    static const char letter[] = "tnvfr0", value[] = "\t\n\v\f\r";
    static const char marks[] = "^$\\.*+?()[]{}|/-!\"#%&',:;<=>@_`~ ";
    char c = peek(p);
    const char *at = c ? strchr(letter, c) : NULL;

    p->i += p->i < p->n;
    if (at && c != '0')
        *cp = (uint32_t)value[at - letter];
    else if (at && (peek(p) < '0' || peek(p) > '9'))
        *cp = 0;
    else if (c == 'x')
        return hex(p, 2, cp);
    else if (c == 'u')
        return unicode(p, cp);
    else if (c == 'c' && ((peek(p) >= 'a' && peek(p) <= 'z') || (peek(p) >= 'A' && peek(p) <= 'Z')))
        *cp = (uint32_t)p->s[p->i++] & 31;
    else if (c && strchr(marks, c))
        *cp = (uint32_t)c;
    else if (c == 'b' && in_class)
        *cp = '\b';
    else if (c == 'p' || c == 'P')
        return fail(p, "Unicode properties (\\p) are not supported");
    else if (c == 'b' || c == 'B')
        return fail(p, "word boundaries (\\b) are not supported");
    else if (c == 'k' || (c >= '1' && c <= '9'))
        return fail(p, "back references are not supported");
    else
        return fail(p, "unknown escape");
    return 0;
}

static int plain(struct parse *p, uint32_t *cp)
{
    int n = utf8_get(p->s + p->i, p->n - p->i, cp);

    p->i += (size_t)n;
    return n ? 0 : fail(p, "a character is missing");
}

/* One member of a class: 1 when it was a character, in *cp; 0 when it was a kind. */
static int member(struct parse *p, uint32_t *cp)
{
    if (!take(p, "\\"))
        return plain(p, cp) ? -1 : 1;
    if (add_kind(p, peek(p))) {
        p->i++;
        return 0;
    }
    return escape(p, true, cp) ? -1 : 1;
}

static int class(struct parse *p)
{
    bool not = take(p, "^");

    p->n_range = 0;
    while (!take(p, "]")) {
        uint32_t lo, hi;
        int one = p->i < p->n ? member(p, &lo) : fail(p, "a class has no closing bracket"), two = 1;

        if (one < 0)
            return -1;
        if (peek(p) == '-' && p->i + 1 < p->n && p->s[p->i + 1] != ']') {
            p->i++;
            two = member(p, &hi);
            if (two < 0)
                return -1;
            if (!one || !two)
                return fail(p, "a range needs a character at both ends");
            if (hi < lo)
                return fail(p, "a range ends before it begins");
            add(p, lo, hi);
        } else if (one) {
            add(p, lo, lo);
        }
    }
    if (not )
        invert(p, 0);
    return p->put(p->c, p->range, (int)p->n_range);
}

static int dot(struct parse *p)
{
    static const struct cfg_range lines[] = {{10, 10}, {13, 13}, {0x2028, 0x2029}};

    p->n_range = 0;
    for (int i = 0; i < 3; i++)
        add(p, lines[i].lo, lines[i].hi);
    invert(p, 0);
    return p->put(p->c, p->range, (int)p->n_range);
}

/* ---- groups, quantifiers, alternatives ---- */

static int group(struct parse *p)
{
    int x;

    if (++p->depth > REGEX_DEPTH)
        return fail(p, "groups are nested too deeply");
    if (take(p, "?=") || take(p, "?!") || take(p, "?<=") || take(p, "?<!"))
        return fail(p, "lookaround is not supported");
    if (take(p, "?<"))
        while (p->i < p->n && p->s[p->i++] != '>')
            ;
    else if (take(p, "?") && !take(p, ":"))
        return fail(p, "an unknown kind of group");
    x = alternatives(p, false);
    if (x >= 0 && !take(p, ")"))
        return fail(p, "expected ')'");
    p->depth--;
    return x;
}

static int count(struct parse *p, int *out)
{
    int64_t v = 0;
    size_t from = p->i;

    while (peek(p) >= '0' && peek(p) <= '9' && v <= CFG_TIMES)
        v = 10 * v + (p->s[p->i++] - '0');
    if (p->i == from || v > CFG_TIMES)
        return fail(p, p->i == from ? "expected a number" : "a repetition of more than 2^30 times");
    *out = (int)v;
    return 0;
}

static int quantified(struct parse *p, int x)
{
    int min, max = -1;

    if (take(p, "*")) {
        min = 0;
    } else if (take(p, "+")) {
        min = 1;
    } else if (take(p, "?")) {
        min = 0;
        max = 1;
    } else if (take(p, "{")) {
        if (count(p, &min))
            return -1;
        max = min;
        if (take(p, ",")) {
            max = -1;
            if (peek(p) != '}' && count(p, &max))
                return -1;
        }
        if (!take(p, "}"))
            return fail(p, "expected '}'");
        if (max >= 0 && max < min)
            return fail(p, "a repetition has fewer times at most than at least");
    } else {
        return x;
    }
    take(p, "?"); // lazy: the same texts
    if (peek(p) && strchr("*+?{", peek(p)))
        return fail(p, "nothing to repeat");
    return cfg_repeat(p->c, x, min, max);
}

static int atom(struct parse *p)
{
    struct cfg_range r;
    char c = peek(p);

    if (take(p, "("))
        return group(p);
    if (take(p, "["))
        return class(p);
    if (take(p, "."))
        return dot(p);
    if (c && strchr("*+?{}]", c))
        return fail(p, c == '}' || c == ']' ? "a bracket without its counterpart; escape it"
                                            : "nothing to repeat");
    if (c == '^' || c == '$')
        return fail(p, "^ and $ are supported only at the ends of the whole pattern");
    p->n_range = 0;
    if (take(p, "\\")) {
        if (add_kind(p, peek(p))) {
            p->i++;
            return p->put(p->c, p->range, (int)p->n_range);
        }
        if (escape(p, false, &r.lo))
            return -1;
    } else if (plain(p, &r.lo)) {
        return -1;
    }
    r.hi = r.lo;
    return p->put(p->c, &r, 1);
}

static int anything(struct parse *p)
{
    const struct cfg_range all = {0, CFG_LAST};

    return cfg_repeat(p->c, p->put(p->c, &all, 1), 0, -1);
}

static int sequence(struct parse *p, bool whole)
{
    size_t from = p->n_stack;
    bool ended = false;

    if (whole && !take(p, "^"))
        push(p, anything(p));
    while (p->i < p->n && peek(p) != '|' && peek(p) != ')' && !ended) {
        int x;

        if (!cfg_fits(p->c))
            return fail(p, "too large");
        ended =
            whole && peek(p) == '$' && (p->i + 1 == p->n || p->s[p->i + 1] == '|') && take(p, "$");
        if (ended)
            break;
        x = atom(p);
        if (x < 0 || (x = quantified(p, x)) < 0)
            return -1;
        push(p, x);
    }
    if (whole && !ended)
        push(p, anything(p));
    return pop(p, from, false);
}

static int alternatives(struct parse *p, bool whole)
{
    size_t from = p->n_stack;

    do {
        int x = sequence(p, whole);

        if (x < 0)
            return -1;
        push(p, x);
    } while (take(p, "|"));
    return pop(p, from, true);
}

int regex_read(struct cfg *c, const char *s, size_t n, regex_put put, int *x, struct err *e)
{
    struct parse p = {.c = c, .s = s, .n = n, .put = put, .e = e};

    *x = alternatives(&p, true);
    if (*x >= 0 && p.i < p.n)
        *x = fail(&p, "')' without '('");
    free(p.stack);
    free(p.range);
    return *x < 0 ? -1 : 0;
}
