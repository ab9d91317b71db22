/* pattern.c - regular expressions of tokenizers: PCRE2 with JIT and limits. */
#include "pattern.h"

#include "buf.h"
#include "mem.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* Steps one match may take. Real expressions need a few per character; the
 * ones that need more would hang instead of failing. */
enum { STEPS = 10000000, STEPS_PER_BYTE = 16, JIT_STACK = 256 << 20 };

struct pattern {
    pcre2_code *code;
    bool jit;
};

enum { GROUPS = 250 }; // PCRE2's own limit of nested groups

/* The expression being translated and the result. */
struct reader {
    const char *s;
    size_t n, i;
    int depth;            // of character classes
    size_t atom;          // where in out the last thing that can be repeated begins
    size_t group[GROUPS]; // where the open groups begin
    int n_groups;
    struct buf out;
};

static bool at(const struct reader *r, const char *what)
{
    size_t n = strlen(what);

    return r->n - r->i >= n && !memcmp(r->s + r->i, what, n);
}

static bool move(struct reader *r, const char *from, const char *to)
{
    if (!at(r, from))
        return false;
    buf_str(&r->out, to);
    r->i += strlen(from);
    return true;
}

/* \s is Unicode's White_Space (PCRE2's has U+180E as well), \w takes marks and
 * all connectors, \h is a hexadecimal digit, \uHHHH a code point. */
static void escape(struct reader *r)
{
    bool in = r->depth > 0;
    const char *end;
    size_t n;

    if (!in)
        r->atom = r->out.n;
    if (move(r, "\\s", in ? "\\t-\\r\\x{85}\\p{Z}" : "[\\t-\\r\\x{85}\\p{Z}]") ||
        move(r, "\\w",
             in ? "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"
                : "[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}]") ||
        move(r, "\\h", in ? "0-9a-fA-F" : "[0-9a-fA-F]"))
        return;
    if (!in && (move(r, "\\S", "[^\\t-\\r\\x{85}\\p{Z}]") ||
                move(r, "\\W", "[^\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}]") ||
                move(r, "\\H", "[^0-9a-fA-F]")))
        return;
    if (at(r, "\\u") && r->n - r->i >= 6) {
        buf_fmt(&r->out, "\\x{%.4s}", r->s + r->i + 2);
        r->i += 6;
        return;
    }
    n = r->n - r->i < 2 ? 1 : 2;
    if ((at(r, "\\p{") || at(r, "\\P{") || at(r, "\\x{")) &&
        (end = memchr(r->s + r->i, '}', r->n - r->i)))
        n = (size_t)(end - (r->s + r->i)) + 1;
    buf_add(&r->out, r->s + r->i, n);
    r->i += n;
}

/* `X{2,3}+` repeats the repetition in Oniguruma and is possessive in PCRE2:
 * it becomes `(?:X{2,3})+`. */
static void braces(struct reader *r)
{
    size_t k = r->i + 1, n;

    while (k < r->n && ((r->s[k] >= '0' && r->s[k] <= '9') || r->s[k] == ','))
        k++;
    if (k >= r->n || r->s[k] != '}' || k == r->i + 1) {
        buf_char(&r->out, r->s[r->i++]);
        return;
    }
    buf_add(&r->out, r->s + r->i, k + 1 - r->i);
    r->i = k + 1;
    if (r->i >= r->n || r->s[r->i] != '+')
        return;
    r->i++;
    buf_str(&r->out, "___)+");
    n = r->out.n - r->atom;
    memmove(r->out.p + r->atom + 3, r->out.p + r->atom, n - 5);
    memcpy(r->out.p + r->atom, "(?:", 3);
}

/* Groups, and the atoms that a quantifier may follow. */
static const char *plain(struct reader *r)
{
    char c = r->s[r->i++];

    if (c == '(') {
        if (r->n_groups == GROUPS)
            return "groups nested too deeply";
        r->group[r->n_groups++] = r->out.n;
    } else if (c == ')') {
        r->atom = r->n_groups ? r->group[--r->n_groups] : r->out.n;
    } else if (!strchr("*+?", c) && ((unsigned char)c & 0xC0) != 0x80) {
        r->atom = r->out.n;
    }
    buf_char(&r->out, c);
    return NULL;
}

/* One step inside a class: nested classes are unions, which PCRE2 does not
 * know, so their brackets are dropped; intersections are not supported. */
static const char *in_class(struct reader *r)
{
    if (at(r, "[:")) {
        const char *end = memchr(r->s + r->i, ']', r->n - r->i);
        size_t n = end ? (size_t)(end - (r->s + r->i)) + 1 : 1;

        buf_add(&r->out, r->s + r->i, n);
        r->i += n;
    } else if (at(r, "[^") || at(r, "&&")) {
        return "set operations in a character class";
    } else if (at(r, "[")) {
        r->depth++;
        r->i++;
    } else if (at(r, "]")) {
        if (--r->depth == 0)
            buf_char(&r->out, ']');
        r->i++;
    } else {
        buf_char(&r->out, r->s[r->i++]);
    }
    return NULL;
}

static void open_class(struct reader *r)
{
    r->atom = r->out.n;
    buf_char(&r->out, '[');
    r->depth = 1;
    r->i++;
    if (r->i < r->n && r->s[r->i] == '^')
        buf_char(&r->out, r->s[r->i++]);
    if (r->i < r->n && r->s[r->i] == ']') { // a first ']' stands for itself
        buf_str(&r->out, "\\]");
        r->i++;
    }
}

/* NULL, or why the expression cannot be translated. */
static const char *translate(struct reader *r)
{
    while (r->i < r->n) {
        const char *why = NULL;

        if (r->s[r->i] == '\\')
            escape(r);
        else if (r->depth)
            why = in_class(r);
        else if (r->s[r->i] == '[')
            open_class(r);
        else if (r->s[r->i] == '{')
            braces(r);
        else
            why = plain(r);
        if (why)
            return why;
    }
    return NULL;
}

static int refuse(struct err *e, const char *s, size_t n, const char *why)
{
    return err_set(e, ERR_DATA, "unsupported pattern '%.*s%s': %s", n > 60 ? 60 : (int)n, s,
                   n > 60 ? "..." : "", why);
}

static struct pattern *compile(const char *text, size_t len, const char *s, size_t n,
                               uint32_t flags, struct err *e)
{
    struct pattern *p;
    PCRE2_SIZE where;
    int code;
    PCRE2_UCHAR msg[128];
    pcre2_code *c = pcre2_compile((PCRE2_SPTR)text, len, PCRE2_UTF | flags, &code, &where, NULL);

    if (!c) {
        pcre2_get_error_message(code, msg, sizeof(msg));
        refuse(e, s, n, (const char *)msg);
        return NULL;
    }
    p = mem_zero(1, sizeof(*p));
    p->code = c;
    p->jit = pcre2_jit_compile(c, PCRE2_JIT_COMPLETE) == 0;
    return p;
}

struct pattern *pattern_new(const char *s, size_t n, struct err *e)
{
    struct reader r = {.s = s, .n = n};
    struct pattern *p = NULL;
    const char *why;

    if (n > PATTERN_MAX) {
        refuse(e, s, n, "longer than 65536 bytes");
        return NULL;
    }
    why = translate(&r);
    if (why)
        refuse(e, s, n, why);
    else // ^ and $ stand at line ends, as in Oniguruma's default syntax
        p = compile(buf_cstr(&r.out), r.out.n, s, n,
                    PCRE2_MULTILINE | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, e);
    buf_free(&r.out);
    return p;
}

struct pattern *pattern_literal(const char *s, size_t n, struct err *e)
{
    if (n > PATTERN_MAX) {
        refuse(e, s, n, "longer than 65536 bytes");
        return NULL;
    }
    return compile(s, n, s, n, PCRE2_LITERAL, e);
}

void pattern_free(struct pattern *p)
{
    if (!p)
        return;
    pcre2_code_free(p->code);
    free(p);
}

void pattern_done(struct pattern_work *w)
{
    pcre2_match_data_free(w->data);
    pcre2_match_context_free(w->limits);
    pcre2_jit_stack_free(w->stack);
    *w = (struct pattern_work){0};
}

static void prepare(struct pattern_work *w)
{
    w->data = pcre2_match_data_create(1, NULL);
    w->limits = pcre2_match_context_create(NULL);
    if (!w->data || !w->limits)
        mem_new((size_t)-1); // ends the process: memory is out
    pcre2_set_match_limit(w->limits, STEPS);
    pcre2_set_depth_limit(w->limits, STEPS);
    pcre2_set_heap_limit(w->limits, JIT_STACK >> 10);
}

static int match(const struct pattern *p, struct pattern_work *w, const char *s, size_t n,
                 size_t at_)
{
    if (p->jit)
        return pcre2_jit_match(p->code, (PCRE2_SPTR)s, n, at_, PCRE2_NO_UTF_CHECK, w->data,
                               w->limits);
    return pcre2_match(p->code, (PCRE2_SPTR)s, n, at_, PCRE2_NO_UTF_CHECK, w->data, w->limits);
}

int pattern_find(const struct pattern *p, struct pattern_work *w, const char *s, size_t n,
                 size_t at_, size_t *from, size_t *to, struct err *e)
{
    const PCRE2_SIZE *v;
    int rc;

    if (!w->data)
        prepare(w);
    if (n > STEPS / STEPS_PER_BYTE) {
        size_t steps = n > UINT32_MAX / STEPS_PER_BYTE ? UINT32_MAX : n * STEPS_PER_BYTE;

        pcre2_set_match_limit(w->limits, (uint32_t)steps);
    }
    rc = match(p, w, s, n, at_);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT && !w->stack) {
        w->stack = pcre2_jit_stack_create(1 << 16, JIT_STACK, NULL);
        pcre2_jit_stack_assign(w->limits, NULL, w->stack);
        rc = match(p, w, s, n, at_);
    }
    if (rc == PCRE2_ERROR_NOMATCH)
        return 0;
    if (rc < 0) {
        PCRE2_UCHAR msg[128];

        pcre2_get_error_message(rc, msg, sizeof(msg));
        return err_set(e, ERR_DATA, "the tokenizer's pattern fails on this text: %s",
                       (const char *)msg);
    }
    v = pcre2_get_ovector_pointer(w->data);
    *from = v[0];
    *to = v[1];
    return 1;
}
