/* pattern.h - regular expressions of tokenizers: PCRE2 with JIT and limits.
 *
 * Tokenizer files write their expressions in Oniguruma's dialect. The few
 * things that mean something else in PCRE2 are translated; what cannot be
 * translated is refused when the file is read, not when a text meets it. */
#ifndef PATTERN_H
#define PATTERN_H

#include "err.h"

#include <stddef.h>

enum { PATTERN_MAX = 1 << 16 }; // bytes of one expression

struct pattern; // compiled; unchanged by matching, so threads may share it

/* Compile n bytes of UTF-8. Errors: ERR_DATA "unsupported pattern '...': ...". */
struct pattern *pattern_new(const char *s, size_t n, struct err *e);
/* An expression that matches exactly these bytes. */
struct pattern *pattern_literal(const char *s, size_t n, struct err *e);
void pattern_free(struct pattern *p);

/* What one thread needs to match. Zeroed is fresh; pattern_done frees it. */
struct pattern_work {
    struct pcre2_real_match_data_8 *data;
    struct pcre2_real_match_context_8 *limits;
    struct pcre2_real_jit_stack_8 *stack;
};
void pattern_done(struct pattern_work *w);

/* The first match in s[0..n), which is valid UTF-8, that begins at or after
 * `at`: 1 with its ends in *from and *to, 0 when there is none, -1 when the
 * search costs more than any reasonable expression would (ERR_DATA). Text
 * before `at` is seen by lookbehinds only. */
int pattern_find(const struct pattern *p, struct pattern_work *w, const char *s, size_t n,
                 size_t at, size_t *from, size_t *to, struct err *e);

#endif
