/* gbnf.c - grammars written in GBNF. */
#include "gbnf.h"

#include "hash.h"
#include "mem.h"
#include "utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct parse {
    struct cfg *c;
    const char *s;
    size_t n, i;
    int depth;
    struct hash_table rules; // name -> rule
    int *stack;              // parts of the sequences and alternatives that are open
    size_t n_stack, cap_stack;
    struct cfg_range *range; // of the class that is read
    size_t n_range, cap_range;
    struct err *e;
};

static int alternatives(struct parse *p, bool nested);

static int fail(struct parse *p, size_t at, const char *what)
{
    size_t line = 1;

    for (size_t i = 0; i < at && i < p->n; i++)
        line += p->s[i] == '\n';
    return err_set(p->e, ERR_DATA, "line %zu: %s%s", line, what,
                   at >= p->n ? " before the end of the grammar" : "");
}

static char peek(const struct parse *p)
{
    return p->i < p->n ? p->s[p->i] : 0;
}

/* Spaces and comments; line ends too when asked. */
static void space(struct parse *p, bool lines)
{
    while (p->i < p->n) {
        char c = p->s[p->i];

        if (c == '#')
            while (p->i < p->n && p->s[p->i] != '\n' && p->s[p->i] != '\r')
                p->i++;
        else if (c == ' ' || c == '\t' || (lines && (c == '\n' || c == '\r')))
            p->i++;
        else
            return;
    }
}

static bool word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

static size_t word(struct parse *p)
{
    size_t from = p->i;

    while (p->i < p->n && word_char(p->s[p->i]))
        p->i++;
    return p->i - from;
}

static bool assigns(const struct parse *p)
{
    return p->n - p->i >= 3 && !memcmp(p->s + p->i, "::=", 3);
}

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static int code(struct parse *p, int digits, uint32_t *cp)
{
    *cp = 0;
    for (int k = 0; k < digits; k++) {
        int d = hex(peek(p));

        if (d < 0)
            return fail(p, p->i, "an escape has too few hexadecimal digits");
        *cp = *cp << 4 | (uint32_t)d;
        p->i++;
    }
    if (*cp > CFG_LAST || (*cp >= 0xD800 && *cp <= 0xDFFF))
        return fail(p, p->i - 1, "an escape names no character");
    return 0;
}

/* One character of a literal or class, escaped or not. */
static int character(struct parse *p, uint32_t *cp)
{
    static const char *const plain = "\\\"[]nrt", *const value = "\\\"[]\n\r\t";
    const char *at;
    char c;

    if (peek(p) != '\\') {
        int k = utf8_get(p->s + p->i, p->n - p->i, cp);

        p->i += (size_t)k;
        return k ? 0 : fail(p, p->i, p->i < p->n ? "invalid UTF-8" : "a character is missing");
    }
    p->i++;
    c = peek(p);
    p->i += p->i < p->n;
    if (c == 'x' || c == 'u' || c == 'U')
        return code(p, c == 'x' ? 2 : c == 'u' ? 4 : 8, cp);
    at = c ? strchr(plain, c) : NULL;
    if (!at)
        return fail(p, p->i - 1, "unknown escape");
    *cp = (uint32_t)(unsigned char)value[at - plain];
    return 0;
}

static void push(struct parse *p, int x)
{
    mem_grow(&p->stack, &p->cap_stack, p->n_stack + 1, sizeof(*p->stack));
    p->stack[p->n_stack++] = x;
}

/* All that was pushed since `from`, as one list. */
static int pop(struct parse *p, size_t from, bool alt)
{
    int n = (int)(p->n_stack - from);
    const int *part = p->stack ? p->stack + from : NULL;
    int x = alt ? cfg_alt(p->c, part, n) : cfg_seq(p->c, part, n);

    p->n_stack = from;
    return x;
}

static int literal(struct parse *p)
{
    size_t from = p->n_stack;
    uint32_t cp;

    p->i++;
    while (peek(p) != '"') {
        if (p->i >= p->n || peek(p) == '\n')
            return fail(p, p->i, "a literal has no closing quote");
        if (character(p, &cp))
            return -1;
        push(p, cfg_class(p->c, &(struct cfg_range){cp, cp}, 1));
    }
    p->i++;
    return pop(p, from, false);
}

static int class(struct parse *p)
{
    bool invert;

    p->i++;
    invert = peek(p) == '^';
    p->i += invert;
    p->n_range = 0;
    while (peek(p) != ']') {
        struct cfg_range r;

        if (p->i >= p->n || peek(p) == '\n')
            return fail(p, p->i, "a class has no closing bracket");
        if (character(p, &r.lo))
            return -1;
        r.hi = r.lo;
        if (peek(p) == '-' && p->i + 1 < p->n && p->s[p->i + 1] != ']') {
            p->i++;
            if (character(p, &r.hi))
                return -1;
        }
        if (r.hi < r.lo)
            return fail(p, p->i - 1, "the range of a class ends before it begins");
        mem_grow(&p->range, &p->cap_range, p->n_range + 1, sizeof(*p->range));
        p->range[p->n_range++] = r;
    }
    p->i++;
    return invert ? cfg_not(p->c, p->range, (int)p->n_range)
                  : cfg_class(p->c, p->range, (int)p->n_range);
}

static int rule(struct parse *p, const char *name, size_t n)
{
    int *slot = hash_put(&p->rules, name, n, -1);

    if (*slot < 0)
        *slot = cfg_rule(p->c);
    return *slot;
}

static int group(struct parse *p)
{
    int x;

    if (++p->depth > CFG_DEPTH)
        return fail(p, p->i, "groups are nested too deeply");
    p->i++;
    space(p, true);
    x = alternatives(p, true);
    if (x < 0)
        return -1;
    if (peek(p) != ')')
        return fail(p, p->i, "expected ')'");
    p->i++;
    p->depth--;
    return x;
}

static int count(struct parse *p, int *out)
{
    int64_t v = 0;
    size_t from = p->i;

    while (peek(p) >= '0' && peek(p) <= '9') {
        v = 10 * v + (p->s[p->i++] - '0');
        if (v > CFG_TIMES)
            return fail(p, p->i - 1, "a repetition of more than 2^30 times");
    }
    if (p->i == from)
        return fail(p, p->i, "expected a number in a repetition");
    *out = (int)v;
    return 0;
}

static int bounds(struct parse *p, int *min, int *max)
{
    p->i++;
    space(p, true);
    if (count(p, min))
        return -1;
    *max = *min;
    space(p, true);
    if (peek(p) == ',') {
        p->i++;
        space(p, true);
        *max = -1;
        if (peek(p) != '}' && count(p, max))
            return -1;
        space(p, true);
    }
    if (peek(p) != '}')
        return fail(p, p->i, "expected '}'");
    if (*max >= 0 && *max < *min)
        return fail(p, p->i, "a repetition has fewer times at most than at least");
    p->i++;
    return 0;
}

/* What is repeated, with the repetitions behind it. */
static int repeated(struct parse *p, int x, bool nested)
{
    int min, max;

    for (int times = 0;; times++) {
        char c = (space(p, nested), peek(p));

        if (c == '{') {
            if (bounds(p, &min, &max))
                return -1;
        } else if (c == '*' || c == '+' || c == '?') {
            min = c == '+';
            max = c == '?' ? 1 : -1;
            p->i++;
        } else {
            return x;
        }
        if (times == 8)
            return fail(p, p->i - 1, "too many repetitions of one another");
        x = cfg_repeat(p->c, x, min, max);
    }
}

static int sequence(struct parse *p, bool nested)
{
    size_t from = p->n_stack;

    for (;;) {
        char c = peek(p);
        int x;

        if (!cfg_fits(p->c))
            return fail(p, p->i, "the grammar is too large");
        if (c == '"') {
            x = literal(p);
        } else if (c == '[') {
            x = class(p);
        } else if (c == '(') {
            x = group(p);
        } else if (c == '.') {
            p->i++;
            x = cfg_not(p->c, NULL, 0);
        } else if (word_char(c)) {
            size_t at = p->i, n = word(p), end = p->i;

            space(p, false);
            if (assigns(p)) { // the next rule begins: it is no part of this one
                p->i = at;
                return pop(p, from, false);
            }
            p->i = end;
            x = cfg_call(p->c, rule(p, p->s + at, n));
        } else if (c == '<' || c == '!') {
            return fail(p, p->i, "tokens in a grammar are not supported");
        } else {
            return pop(p, from, false);
        }
        if (x < 0 || (x = repeated(p, x, nested)) < 0)
            return -1;
        push(p, x);
    }
}

/* After a line end: does the next line that says anything begin with '|'? */
static bool goes_on(struct parse *p)
{
    size_t at = p->i;

    space(p, true);
    if (peek(p) == '|')
        return true;
    p->i = at;
    return false;
}

static int alternatives(struct parse *p, bool nested)
{
    size_t from = p->n_stack;

    for (;;) {
        int x = sequence(p, nested);

        if (x < 0)
            return -1;
        push(p, x);
        if (peek(p) != '|' && !goes_on(p))
            return pop(p, from, true);
        p->i++;
        space(p, true);
    }
}

static int define(struct parse *p)
{
    size_t at = p->i, n = word(p);
    int r, x;

    if (!n)
        return fail(p, at, "expected the name of a rule");
    space(p, false);
    if (!assigns(p))
        return fail(p, p->i, "expected '::='");
    p->i += 3;
    r = rule(p, p->s + at, n);
    if (p->c->body[r] >= 0)
        return fail(p, at, "a rule is defined a second time");
    space(p, true);
    x = alternatives(p, false);
    if (x < 0)
        return -1;
    cfg_define(p->c, r, x);
    if (p->i < p->n && peek(p) != '\n' && peek(p) != '\r')
        return fail(p, p->i, "expected the end of the line");
    space(p, true);
    return 0;
}

/* Every rule that is named must be defined: which is not, by its first place in the text. */
static int check(struct parse *p)
{
    const int *root = hash_find(&p->rules, "root", 4);

    if (!root || p->c->body[*root] < 0)
        return err_set(p->e, ERR_DATA, "the grammar has no rule 'root'");
    p->c->root = *root;
    for (p->i = 0; p->i < p->n; p->i++) {
        size_t at = p->i, n = word(p);
        const int *r = n ? hash_find(&p->rules, p->s + at, n) : NULL;

        if (r && p->c->body[*r] < 0) {
            char what[100];

            snprintf(what, sizeof(what), "rule '%.*s' is not defined", n < 60 ? (int)n : 60,
                     p->s + at);
            return fail(p, at, what);
        }
    }
    return 0;
}

int gbnf_read(struct cfg *c, const char *s, size_t n, struct err *e)
{
    struct parse p = {.c = c, .s = s, .n = n, .e = e};
    int rc = 0;

    *c = (struct cfg){0};
    if (n > CFG_TEXT)
        return err_set(e, ERR_DATA, "a grammar of %zu bytes, at most %d are supported", n,
                       CFG_TEXT);
    space(&p, true);
    while (!rc && p.i < p.n)
        rc = define(&p);
    if (!rc)
        rc = check(&p);
    if (rc)
        cfg_free(c);
    hash_free(&p.rules);
    free(p.stack);
    free(p.range);
    return rc;
}
