/* onig.c - regular expressions out of Oniguruma's dialect into PCRE2's. */
#include "onig.h"

#include "mem.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum { GROUPS = 250, NAME = 64 }; // PCRE2's own limit of nested groups; bytes of a property's name

/* The expression being translated and the result. */
struct reader {
    const char *s;
    size_t n, i;
    int depth;            // of character classes
    size_t atom;          // where in out the last thing that can be repeated begins
    size_t group[GROUPS]; // where the open groups begin
    int n_groups;
    struct buf *out;
    struct buf other; // what the open class has besides: "[^...]|[^...]"
};

/* \s is Unicode's White_Space (PCRE2's has U+180E as well), \w takes marks and all connectors and,
 * outside a class, Latin-1's other numbers. */
#define SPACE        "\\t-\\r\\x{85}\\p{Z}"
#define WORD         "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"
#define HEX          "0-9a-fA-F"
#define WORD_OUTSIDE WORD "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}"
#define WORDS        "[" WORD_OUTSIDE "]"

static const struct {
    const char *name, *set;
} posix[] = {{"alpha", "\\p{Alphabetic}"}, {"alnum", "\\p{Alphabetic}\\p{Nd}"},
             {"upper", "\\p{Uppercase}"},  {"lower", "\\p{Lowercase}"},
             {"digit", "\\p{Nd}"},         {"space", SPACE},
             {"blank", "\\t\\p{Zs}"},      {"punct", "\\p{P}\\p{S}"},
             {"cntrl", "\\p{Cc}"},         {"xdigit", HEX},
             {"ascii", "\\x{0}-\\x{7f}"},  {"word", WORD}};

static bool at(const struct reader *r, const char *what)
{
    size_t n = strlen(what);

    return r->n - r->i >= n && !memcmp(r->s + r->i, what, n);
}

static bool move(struct reader *r, const char *from, const char *to)
{
    if (!at(r, from))
        return false;
    buf_str(r->out, to);
    r->i += strlen(from);
    return true;
}

/* A set, or all that is not in it. PCRE2 has no class inside a class: the latter stands aside. */
static void put_set(struct reader *r, const char *set, bool negated)
{
    if (!r->depth)
        buf_fmt(r->out, "[%s%s]", negated ? "^" : "", set);
    else if (negated)
        buf_fmt(&r->other, "%s[^%s]", r->other.n ? "|" : "", set);
    else
        buf_str(r->out, set);
}

/* \s, \w, \h, and where a word begins or ends. */
static bool shorthand(struct reader *r)
{
    static const char *const edge[] = {
        "(?:(?<=" WORDS ")(?!" WORDS ")|(?<!" WORDS ")(?=" WORDS "))",
        "(?:(?<=" WORDS ")(?=" WORDS ")|(?<!" WORDS ")(?!" WORDS "))"};
    char c = r->i + 1 < r->n ? r->s[r->i + 1] : 0;

    if (c == 's' || c == 'S')
        put_set(r, SPACE, c == 'S');
    else if (c == 'h' || c == 'H')
        put_set(r, HEX, c == 'H');
    else if (c == 'w' || c == 'W')
        put_set(r, r->depth ? WORD : WORD_OUTSIDE, c == 'W');
    else if (!r->depth && (c == 'b' || c == 'B'))
        buf_str(r->out, edge[c == 'B']);
    else
        return false;
    r->i += 2;
    return true;
}

static bool is_script(const char *name, size_t n)
{
    char text[NAME + 8];
    PCRE2_SIZE where;
    int code, len = snprintf(text, sizeof(text), "\\p{sc:%.*s}", (int)n, name);
    pcre2_code *c =
        pcre2_compile((PCRE2_SPTR)text, (PCRE2_SIZE)len, PCRE2_UTF, &code, &where, NULL);

    pcre2_code_free(c);
    return c != NULL;
}

/* \p{...}: a script's name means just that, not its extensions as PCRE2 has it. */
static const char *property(struct reader *r)
{
    const char *name = r->s + r->i + 3, *end = memchr(name, '}', r->n - r->i - 3);
    bool inverse = end && *name == '^';

    name += inverse;
    if (!end || end - name > NAME)
        return "a property without a name";
    buf_fmt(r->out, "%.3s%s%s", r->s + r->i, inverse ? "^" : "",
            is_script(name, (size_t)(end - name)) ? "sc:" : "");
    buf_add(r->out, name, (size_t)(end - name) + 1);
    r->i = (size_t)(end - r->s) + 1;
    return NULL;
}

static const char *escape(struct reader *r)
{
    char c = r->i + 1 < r->n ? r->s[r->i + 1] : 0;

    if (!r->depth)
        r->atom = r->out->n;
    if (shorthand(r) || move(r, "\\v", "\\x{b}"))
        return NULL;
    if (at(r, "\\p{") || at(r, "\\P{"))
        return property(r);
    if (c == 'u' && r->n - r->i >= 6) {
        buf_fmt(r->out, "\\x{%.4s}", r->s + r->i + 2);
        r->i += 6;
        return NULL;
    }
    if (c == 'x' && r->i + 2 < r->n && strchr("89abcdefABCDEF", r->s[r->i + 2]) &&
        r->i + 3 < r->n && isxdigit((unsigned char)r->s[r->i + 3]))
        return "a byte that is no ASCII";
    if (isalpha((unsigned char)c) && !strchr("dDntrfaeAzZRGKkgcNxb", c))
        return "an escape that is not known";
    buf_add(r->out, r->s + r->i, c ? 2 : 1);
    r->i += c ? 2 : 1;
    return NULL;
}

/* Make the last thing and its repetition one thing that can be repeated. */
static void wrap(struct reader *r)
{
    size_t n = r->out->n - r->atom;

    buf_str(r->out, "___)");
    memmove(r->out->p + r->atom + 3, r->out->p + r->atom, n);
    memcpy(r->out->p + r->atom, "(?:", 3);
}

/* `X{2,3}+` repeats the repetition in Oniguruma and is possessive in PCRE2, `X{2}?` is that or
 * nothing and not lazy; `X{,3}` is no text. */
static void braces(struct reader *r)
{
    size_t k = r->i + 1;
    bool comma = false, digit = false;

    for (; k < r->n && (isdigit((unsigned char)r->s[k]) || (r->s[k] == ',' && !comma)); k++)
        *(r->s[k] == ',' ? &comma : &digit) = true;
    if (k >= r->n || r->s[k] != '}' || !digit) {
        buf_char(r->out, r->s[r->i++]);
        return;
    }
    buf_str(r->out, r->s[r->i + 1] == ',' ? "{0" : "{");
    buf_add(r->out, r->s + r->i + 1, k - r->i);
    r->i = k + 1;
    if (r->i < r->n && (r->s[r->i] == '+' || (r->s[r->i] == '?' && !comma)))
        wrap(r);
}

/* Behind "(?": m is what PCRE2 calls s. */
static void options(struct reader *r)
{
    buf_char(r->out, r->s[r->i++]);
    for (; r->i < r->n && strchr("imx-", r->s[r->i]); r->i++)
        buf_char(r->out, r->s[r->i] == 'm' ? 's' : r->s[r->i]);
}

/* Groups, and the atoms that a quantifier may follow. */
static const char *plain(struct reader *r)
{
    char c = r->s[r->i++];

    if (c == '(') {
        if (r->n_groups == GROUPS)
            return "groups nested too deeply";
        r->group[r->n_groups++] = r->out->n;
    } else if (c == ')') {
        r->atom = r->n_groups ? r->group[--r->n_groups] : r->out->n;
    } else if (!strchr("*+?", c) && ((unsigned char)c & 0xC0) != 0x80) {
        r->atom = r->out->n;
    }
    buf_char(r->out, c);
    if (c == '(' && at(r, "?"))
        options(r);
    return NULL;
}

/* [:alpha:] and [:^alpha:]. */
static const char *posix_set(struct reader *r)
{
    const char *name = r->s + r->i + 2, *end = memchr(name, ':', r->n - r->i - 2);
    bool inverse = r->n - r->i > 2 && *name == '^';
    size_t n = end ? (size_t)(end - name) - inverse : 0;

    name += inverse;
    for (size_t k = 0; n && k < sizeof(posix) / sizeof(posix[0]); k++)
        if (strlen(posix[k].name) == n && !memcmp(posix[k].name, name, n) &&
            (size_t)(end - r->s) + 1 < r->n && end[1] == ']') {
            put_set(r, posix[k].set, inverse);
            r->i = (size_t)(end - r->s) + 2;
            return NULL;
        }
    return "a class that is not known";
}

/* The class's end: with what stands aside it becomes a group. */
static void close_class(struct reader *r)
{
    size_t n = r->out->n - r->atom;
    char *own = mem_dup(r->out->p + r->atom, n);
    bool inverse = n > 1 && own[1] == '^', empty = n == 1 + (size_t)inverse;

    if (r->other.n) {
        r->out->n = r->atom;
        buf_str(r->out, inverse ? "(?:(?!" : "(?:");
        buf_add(r->out, r->other.p, r->other.n);
        buf_str(r->out, inverse ? ")" : empty ? "" : "|");
        if (!empty)
            buf_add(r->out, own, n);
        buf_str(r->out, empty ? inverse ? "(?s:.))" : ")" : "])");
        r->other.n = 0;
    } else {
        buf_char(r->out, ']');
    }
    free(own);
}

/* One step inside a class: nested classes are unions, which PCRE2 does not
 * know, so their brackets are dropped; intersections are not supported. */
static const char *in_class(struct reader *r)
{
    if (at(r, "[:"))
        return posix_set(r);
    if (at(r, "[^") || at(r, "&&"))
        return "set operations in a character class";
    if (at(r, "[")) {
        r->depth++;
        r->i++;
    } else if (at(r, "]")) {
        if (--r->depth == 0)
            close_class(r);
        r->i++;
    } else {
        buf_char(r->out, r->s[r->i++]);
    }
    return NULL;
}

static void open_class(struct reader *r)
{
    r->atom = r->out->n;
    buf_char(r->out, '[');
    r->depth = 1;
    r->i++;
    if (r->i < r->n && r->s[r->i] == '^')
        buf_char(r->out, r->s[r->i++]);
    if (r->i < r->n && r->s[r->i] == ']') { // a first ']' stands for itself
        buf_str(r->out, "\\]");
        r->i++;
    }
}

const char *onig_translate(const char *s, size_t n, struct buf *out)
{
    struct reader r = {.s = s, .n = n, .out = out};
    const char *why = NULL;

    while (r.i < r.n && !why) {
        if (r.s[r.i] == '\\')
            why = escape(&r);
        else if (r.depth)
            why = in_class(&r);
        else if (r.s[r.i] == '[')
            open_class(&r);
        else if (r.s[r.i] == '{')
            braces(&r);
        else
            why = plain(&r);
    }
    buf_free(&r.other);
    return why;
}
