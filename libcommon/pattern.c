/* pattern.c - regular expressions of tokenizers: PCRE2 with JIT and limits. */
#include "pattern.h"

#include "buf.h"
#include "mem.h"
#include "onig.h"

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
    struct buf b = {0};
    struct pattern *p = NULL;
    const char *why;

    if (n > PATTERN_MAX) {
        refuse(e, s, n, "longer than 65536 bytes");
        return NULL;
    }
    why = onig_translate(s, n, &b);
    if (why)
        refuse(e, s, n, why);
    else // ^ and $ stand at line ends, as in Oniguruma's default syntax
        p = compile(buf_cstr(&b), b.n, s, n, PCRE2_MULTILINE | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C,
                    e);
    buf_free(&b);
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
