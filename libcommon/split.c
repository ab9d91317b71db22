/* split.c - pre-tokenizers: normalized text into words. */
#include "split.h"

#include "arena.h"
#include "mem.h"
#include "utf8.h"

#include <stdlib.h>
#include <string.h>

/* What becomes of the text between words. */
enum behavior { REMOVED, ISOLATED, CONTIGUOUS, WITH_PREVIOUS, WITH_NEXT, N_BEHAVIORS };

enum kind { BY_PATTERN, BYTE_LEVEL, METASPACE };

struct step {
    enum kind kind;
    enum behavior behavior;
    bool invert;
    bool prefix;             // BYTE_LEVEL: a space before each text
    enum split_space space;  // METASPACE
    char mark[5];            // METASPACE: what stands for a space
    struct pattern *pattern; // NULL: no splitting
};

struct split {
    struct step step[SPLIT_STEPS];
    int n;
    char *source; // the only pattern of its own
    int n_sources;
    struct arena mem;
};

static const char *const behavior_name[N_BEHAVIORS] = {"Removed", "Isolated", "Contiguous",
                                                       "MergedWithPrevious", "MergedWithNext"};

static const char gpt2[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|"
                           "\\s+(?!\\S)|\\s+";
static const char word_or_marks[] = // Whitespace: \w as Rust has it, with joiners
    "[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{200c}\\x{200d}]+|"
    "[^\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{200c}\\x{200d}\\s]+";

static int add_steps(struct split *x, const struct json *j, int node, struct err *e);

static int add_sequence(struct split *x, const struct json *j, int node, struct err *e)
{
    int list = json_get(j, node, "pretokenizers");

    if (!json_is(j, list, JSON_ARRAY))
        return err_set(e, ERR_DATA, "a Sequence without 'pretokenizers'");
    for (uint32_t k = (uint32_t)list + 1; k < j->node[list].next; k = j->node[k].next)
        if (add_steps(x, j, (int)k, e) < 0)
            return -1;
    return 0;
}

static int set_pattern(struct step *s, const char *pattern, struct err *e)
{
    s->pattern = pattern_new(pattern, strlen(pattern), e);
    return s->pattern ? 0 : -1;
}

static int read_behavior(struct step *s, const struct json *j, int node, enum behavior none,
                         struct err *e)
{
    int b = json_get(j, node, "behavior");

    s->behavior = none;
    if (b < 0)
        return 0;
    for (int i = 0; i < N_BEHAVIORS; i++)
        if (json_str_is(j, b, behavior_name[i])) {
            s->behavior = (enum behavior)i;
            return 0;
        }
    return err_set(e, ERR_DATA, "unknown 'behavior'");
}

static int read_split(struct split *x, struct step *s, const struct json *j, int node,
                      struct err *e)
{
    int pattern = json_get(j, node, "pattern");
    size_t n;
    char *text = json_str(j, json_get(j, pattern, "Regex"), &x->mem, &n);

    s->invert = json_true(j, json_get(j, node, "invert"));
    if (read_behavior(s, j, node, ISOLATED, e) < 0)
        return -1;
    if (text) {
        x->source = x->n_sources++ ? NULL : text;
        s->pattern = pattern_new(text, n, e);
        return s->pattern ? 0 : -1;
    }
    text = json_str(j, json_get(j, pattern, "String"), &x->mem, &n);
    if (!text || !n)
        return err_set(e, ERR_DATA, "Split without a pattern");
    s->pattern = pattern_literal(text, n, e);
    return s->pattern ? 0 : -1;
}

/* One character of a string member, or the fallback when there is no member. */
static int one_char(struct split *x, const struct json *j, int node, const char *key,
                    const char *fallback, char out[5], struct err *e)
{
    size_t n;
    char *s = json_str(j, json_get(j, node, key), &x->mem, &n);
    uint32_t cp;

    if (!s) {
        strcpy(out, fallback);
        return *fallback ? 0 : err_set(e, ERR_DATA, "no '%s'", key);
    }
    if (!n || (size_t)utf8_get(s, n, &cp) != n)
        return err_set(e, ERR_DATA, "'%s' is not one character", key);
    memcpy(out, s, n + 1);
    return 0;
}

static int read_metaspace(struct split *x, struct step *s, const struct json *j, int node,
                          struct err *e)
{
    int scheme = json_get(j, node, "prepend_scheme"), cut = json_get(j, node, "split");

    s->kind = METASPACE;
    if (one_char(x, j, node, "replacement", "\xE2\x96\x81", s->mark, e) < 0)
        return -1;
    if (json_str_is(j, scheme, "first"))
        s->space = SPLIT_FIRST;
    else if (json_str_is(j, scheme, "never"))
        s->space = SPLIT_NO_SPACE;
    else if (scheme < 0 && json_is(j, json_get(j, node, "add_prefix_space"), JSON_BOOL) &&
             !json_true(j, json_get(j, node, "add_prefix_space")))
        s->space = SPLIT_NO_SPACE; // the older form of the same
    else
        s->space = SPLIT_ALWAYS;
    s->behavior = WITH_NEXT;
    if (json_is(j, cut, JSON_BOOL) && !json_true(j, cut))
        return 0;
    s->pattern = pattern_literal(s->mark, strlen(s->mark), e);
    return s->pattern ? 0 : -1;
}

static int read_byte_level(struct step *s, const struct json *j, int node, struct err *e)
{
    int prefix = json_get(j, node, "add_prefix_space"), use = json_get(j, node, "use_regex");

    s->kind = BYTE_LEVEL;
    s->behavior = ISOLATED;
    s->prefix = prefix < 0 || json_true(j, prefix);
    return use < 0 || json_true(j, use) ? set_pattern(s, gpt2, e) : 0;
}

static int read_step(struct split *x, struct step *s, const struct json *j, int node,
                     const char *type, struct err *e)
{
    s->behavior = REMOVED;
    if (!strcmp(type, "ByteLevel"))
        return read_byte_level(s, j, node, e);
    if (!strcmp(type, "Split"))
        return read_split(x, s, j, node, e);
    if (!strcmp(type, "Metaspace"))
        return read_metaspace(x, s, j, node, e);
    if (!strcmp(type, "Digits")) {
        s->behavior = json_true(j, json_get(j, node, "individual_digits")) ? ISOLATED : CONTIGUOUS;
        return set_pattern(s, "\\p{N}", e);
    }
    if (!strcmp(type, "Punctuation"))
        return read_behavior(s, j, node, ISOLATED, e) < 0 ? -1
                                                          : set_pattern(s, "[\\p{P}$+<=>^`|~]", e);
    if (!strcmp(type, "WhitespaceSplit"))
        return set_pattern(s, "\\s", e);
    if (!strcmp(type, "Whitespace")) {
        s->invert = true;
        return set_pattern(s, word_or_marks, e);
    }
    if (!strcmp(type, "CharDelimiterSplit")) {
        char c[5];

        if (one_char(x, j, node, "delimiter", "", c, e) < 0)
            return -1;
        s->pattern = pattern_literal(c, strlen(c), e);
        return s->pattern ? 0 : -1;
    }
    return err_set(e, ERR_DATA, "unsupported type '%.40s'", type);
}

static int add_steps(struct split *x, const struct json *j, int node, struct err *e)
{
    char *type = json_str(j, json_get(j, node, "type"), &x->mem, NULL);

    if (!type)
        return err_set(e, ERR_DATA, "an entry without a 'type'");
    if (!strcmp(type, "Sequence"))
        return add_sequence(x, j, node, e);
    if (x->n + !strcmp(type, "BertPreTokenizer") >= SPLIT_STEPS)
        return err_set(e, ERR_DATA, "more than %d steps", SPLIT_STEPS);
    if (!strcmp(type, "BertPreTokenizer")) // white space goes, then punctuation stands alone
        return read_step(x, &x->step[x->n++], j, node, "WhitespaceSplit", e) ||
                       read_step(x, &x->step[x->n++], j, node, "Punctuation", e)
                   ? -1
                   : 0;
    return read_step(x, &x->step[x->n++], j, node, type, e);
}

struct split *split_new(const struct json *j, int node, struct err *e)
{
    struct split *x = mem_zero(1, sizeof(*x));

    if (node < 0 || json_type(j, node) == JSON_NULL || add_steps(x, j, node, e) == 0)
        return x;
    err_wrap(e, "pre_tokenizer");
    split_free(x);
    return NULL;
}

void split_free(struct split *x)
{
    if (!x)
        return;
    for (int i = 0; i < x->n; i++)
        pattern_free(x->step[i].pattern);
    arena_free(&x->mem);
    free(x);
}

bool split_is_empty(const struct split *x)
{
    return !x->n;
}

bool split_is_byte_level(const struct split *x)
{
    for (int i = 0; i < x->n; i++)
        if (x->step[i].kind == BYTE_LEVEL)
            return true;
    return false;
}

bool split_escapes(const struct split *x)
{
    for (int i = 0; i < x->n; i++)
        if (x->step[i].kind == METASPACE && !strcmp(x->step[i].mark, "\xE2\x96\x81"))
            return true;
    return false;
}

enum split_space split_space(const struct split *x)
{
    for (int i = 0; i < x->n; i++) {
        if (x->step[i].kind == METASPACE)
            return x->step[i].space;
        if (x->step[i].kind == BYTE_LEVEL && x->step[i].prefix)
            return SPLIT_ALWAYS;
    }
    return SPLIT_NO_SPACE;
}

const char *split_pattern(const struct split *x)
{
    return x->n_sources == 1 ? x->source : NULL;
}

void split_done(struct split_work *w)
{
    pattern_done(&w->pattern);
    for (int i = 0; i < SPLIT_STEPS; i++)
        buf_free(&w->text[i]);
}

/* One run over a text: the chain, and where words go. */
struct run {
    const struct split *x;
    struct split_work *w;
    bool at_start;
    split_emit emit;
    void *arg;
    struct err *e;
};

static int run_step(struct run *r, int k, const char *s, size_t n);

/* The pieces of one step on their way to the next: those that may still grow
 * are held back. */
struct pieces {
    struct run *run;
    int next; // step
    enum behavior behavior;
    const char *s;
    size_t from, to; // held: s[from..to)
    bool held, was_match;
};

static int flush(struct pieces *p)
{
    if (!p->held)
        return 0;
    p->held = false;
    if (p->from) // only a piece at offset 0 of all its parents is at the start
        p->run->at_start = false;
    return p->from < p->to ? run_step(p->run, p->next, p->s + p->from, p->to - p->from) : 0;
}

/* Take s[from..to), a match or what lies between two. */
static int take(struct pieces *p, size_t from, size_t to, bool is_match)
{
    bool grow = false;

    if (p->behavior == REMOVED && is_match)
        return flush(p);
    if (p->behavior == CONTIGUOUS)
        grow = p->held && is_match == p->was_match;
    else if (p->behavior == WITH_PREVIOUS)
        grow = p->held && is_match && !p->was_match;
    else if (p->behavior == WITH_NEXT)
        grow = p->held && p->was_match && !is_match;
    if (!grow && flush(p) < 0)
        return -1;
    if (!grow)
        p->from = from;
    p->to = to;
    p->held = true;
    p->was_match = is_match;
    return 0;
}

static int cut(struct run *r, int k, const char *s, size_t n)
{
    const struct step *x = &r->x->step[k];
    struct pieces p = {r, k + 1, x->behavior, s, 0, 0, false, false};
    size_t done = 0, at = 0, from = 0, to = 0;
    int rc = 0;

    while (at <= n) {
        rc = pattern_find(x->pattern, &r->w->pattern, s, n, at, &from, &to, r->e);
        if (rc <= 0)
            break;
        at = to;
        if (from == to) { // an empty match cuts, except right behind another
            uint32_t cp;

            at = to < n ? to + (size_t)utf8_get(s + to, n - to, &cp) : n + 1;
            if (from == done)
                continue;
        }
        if (from > done && take(&p, done, from, x->invert) < 0)
            return -1;
        if (take(&p, from, to, !x->invert) < 0)
            return -1;
        done = to;
    }
    if (rc < 0 || (done < n && take(&p, done, n, x->invert) < 0))
        return -1;
    return flush(&p);
}

/* Metaspace: a mark for each space and, by its scheme, one in front. */
static void mark_spaces(struct run *r, const struct step *x, struct buf *b, const char *s, size_t n)
{
    size_t len = strlen(x->mark);
    bool first = x->space == SPLIT_ALWAYS || (x->space == SPLIT_FIRST && r->at_start);

    buf_reset(b);
    if (first && s[0] != ' ' && (n < len || memcmp(s, x->mark, len)))
        buf_add(b, x->mark, len);
    for (size_t i = 0; i < n; i++) {
        const char *space = memchr(s + i, ' ', n - i);
        size_t k = space ? (size_t)(space - s) : n;

        buf_add(b, s + i, k - i);
        if (space)
            buf_add(b, x->mark, len);
        i = k;
    }
}

static int run_step(struct run *r, int k, const char *s, size_t n)
{
    const struct step *x = &r->x->step[k];
    struct buf *b;

    if (k == r->x->n)
        return r->emit(r->arg, s, n, r->e);
    b = &r->w->text[k];
    if (x->kind == METASPACE) {
        mark_spaces(r, x, b, s, n);
        s = b->p;
        n = b->n;
    } else if (x->prefix && s[0] != ' ') {
        buf_reset(b);
        buf_char(b, ' ');
        buf_add(b, s, n);
        s = b->p;
        n = b->n;
    }
    if (x->pattern)
        return cut(r, k, s, n);
    return run_step(r, k + 1, s, n);
}

int split_run(const struct split *x, struct split_work *w, const char *s, size_t n, bool at_start,
              split_emit emit, void *arg, struct err *e)
{
    struct run r = {x, w, at_start, emit, arg, e};

    return n ? run_step(&r, 0, s, n) : 0;
}
