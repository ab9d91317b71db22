/* norm.c - text normalizers of tokenizers: reading them, and the chain. */
#include "norm.h"

#include "arena.h"
#include "charsmap.h"
#include "mem.h"
#include "unorm.h"
#include "utf8.h"

#include <stdlib.h>
#include <string.h>

enum kind {
    FORM,
    LOWER,
    ACCENTS,
    CLEAN,
    CJK,
    NONSPACING,
    STRIP,
    NMT,
    PREPEND,
    REPLACE_STRING,
    REPLACE_PATTERN,
    CHARSMAP,
    SPACES
};

struct step {
    enum kind kind;
    enum unorm_form form;
    bool left, right;          // STRIP
    bool merge, before, after; // SPACES
    bool longest;              // CHARSMAP
    char *from, *to;
    size_t n_from, n_to;
    struct pattern *pattern;
    struct charsmap map;
};

struct norm {
    struct step step[NORM_STEPS];
    int n;
    struct arena mem;
};

static const char meta[] = "\xE2\x96\x81"; // U+2581, SentencePiece's space

static int add_steps(struct norm *x, const struct json *j, int node, struct err *e);

static int add_sequence(struct norm *x, const struct json *j, int node, struct err *e)
{
    int list = json_get(j, node, "normalizers");

    if (!json_is(j, list, JSON_ARRAY))
        return err_set(e, ERR_DATA, "a Sequence without 'normalizers'");
    for (uint32_t k = (uint32_t)list + 1; k < j->node[list].next; k = j->node[k].next)
        if (add_steps(x, j, (int)k, e) < 0)
            return -1;
    return 0;
}

/* A required string member. */
static char *text(struct norm *x, const struct json *j, int node, const char *key, size_t *n,
                  struct err *e)
{
    char *s = json_str(j, json_get(j, node, key), &x->mem, n);

    if (!s)
        err_set(e, ERR_DATA, "no string '%s'", key);
    return s;
}

static int read_replace(struct norm *x, struct step *s, const struct json *j, int node,
                        struct err *e)
{
    int pattern = json_get(j, node, "pattern");

    s->to = text(x, j, node, "content", &s->n_to, e);
    if (!s->to)
        return -1;
    s->kind = REPLACE_STRING;
    s->from = json_str(j, json_get(j, pattern, "String"), &x->mem, &s->n_from);
    if (s->from && s->n_from)
        return 0;
    s->kind = REPLACE_PATTERN;
    s->from = json_str(j, json_get(j, pattern, "Regex"), &x->mem, &s->n_from);
    if (!s->from || !s->n_from)
        return err_set(e, ERR_DATA, "Replace without a pattern");
    s->pattern = pattern_new(s->from, s->n_from, e);
    return s->pattern ? 0 : -1;
}

static int read_charsmap(struct norm *x, struct step *s, const struct json *j, int node,
                         struct err *e)
{
    size_t n;
    char *b64 = text(x, j, node, "precompiled_charsmap", &n, e);

    s->kind = CHARSMAP;
    s->longest = json_true(j, json_get(j, node, "longest"));
    return b64 ? charsmap_from_base64(&s->map, b64, n, e) : -1;
}

static int read_step(struct norm *x, struct step *s, const struct json *j, int node,
                     const char *type, struct err *e)
{
    static const char *const form[] = {"NFC", "NFD", "NFKC", "NFKD"};

    for (int i = 0; i < 4; i++)
        if (!strcmp(type, form[i])) {
            *s = (struct step){.kind = FORM, .form = (enum unorm_form)i};
            return 0;
        }
    if (!strcmp(type, "Lowercase")) {
        s->kind = LOWER;
    } else if (!strcmp(type, "StripAccents")) {
        s->kind = ACCENTS;
    } else if (!strcmp(type, "Nmt")) {
        s->kind = NMT;
    } else if (!strcmp(type, "Strip")) {
        s->kind = STRIP;
        s->left = json_true(j, json_get(j, node, "strip_left"));
        s->right = json_true(j, json_get(j, node, "strip_right"));
    } else if (!strcmp(type, "Prepend")) {
        s->kind = PREPEND;
        s->to = text(x, j, node, "prepend", &s->n_to, e);
        return s->to ? 0 : -1;
    } else if (!strcmp(type, "Replace")) {
        return read_replace(x, s, j, node, e);
    } else if (!strcmp(type, "Precompiled")) {
        return read_charsmap(x, s, j, node, e);
    } else if (!strcmp(type, "Spaces")) {
        s->kind = SPACES;
        s->merge = json_true(j, json_get(j, node, "merge"));
        s->before = json_true(j, json_get(j, node, "prefix"));
        s->after = json_true(j, json_get(j, node, "suffix"));
    } else {
        return err_set(e, ERR_DATA, "unsupported type '%.40s'", type);
    }
    return 0;
}

/* BertNormalizer: a step for each of its flags. strip_accents null: when it lowers. */
static int add_bert(struct norm *x, const struct json *j, int node, struct err *e)
{
    int accents = json_get(j, node, "strip_accents");
    bool lower = json_true(j, json_get(j, node, "lowercase"));
    bool strip = json_is(j, accents, JSON_BOOL) ? json_true(j, accents) : lower;
    const struct {
        bool on;
        struct step step;
    } of[] = {{json_true(j, json_get(j, node, "clean_text")), {.kind = CLEAN}},
              {json_true(j, json_get(j, node, "handle_chinese_chars")), {.kind = CJK}},
              {strip, {.kind = FORM, .form = UNORM_NFD}},
              {strip, {.kind = NONSPACING}},
              {lower, {.kind = LOWER}}};

    for (size_t i = 0; i < sizeof(of) / sizeof(of[0]); i++) {
        if (of[i].on && x->n == NORM_STEPS)
            return err_set(e, ERR_DATA, "more than %d steps", NORM_STEPS);
        if (of[i].on)
            x->step[x->n++] = of[i].step;
    }
    return 0;
}

static int add_steps(struct norm *x, const struct json *j, int node, struct err *e)
{
    char *type = json_str(j, json_get(j, node, "type"), &x->mem, NULL);

    if (!type)
        return err_set(e, ERR_DATA, "an entry without a 'type'");
    if (!strcmp(type, "Sequence"))
        return add_sequence(x, j, node, e);
    if (!strcmp(type, "BertNormalizer"))
        return add_bert(x, j, node, e);
    if (x->n == NORM_STEPS)
        return err_set(e, ERR_DATA, "more than %d steps", NORM_STEPS);
    return read_step(x, &x->step[x->n++], j, node, type, e);
}

struct norm *norm_new(const struct json *j, int node, struct err *e)
{
    struct norm *x = mem_zero(1, sizeof(*x));

    if (node < 0 || json_type(j, node) == JSON_NULL || add_steps(x, j, node, e) == 0)
        return x;
    err_wrap(e, "normalizer");
    norm_free(x);
    return NULL;
}

void norm_free(struct norm *x)
{
    if (!x)
        return;
    for (int i = 0; i < x->n; i++) {
        pattern_free(x->step[i].pattern);
        charsmap_free(&x->step[i].map);
    }
    arena_free(&x->mem);
    free(x);
}

bool norm_is_empty(const struct norm *x)
{
    return !x->n;
}

bool norm_escapes(const struct norm *x)
{
    for (int i = 0; i < x->n; i++)
        if (x->step[i].kind == SPACES ||
            (x->step[i].kind == REPLACE_STRING && !strcmp(x->step[i].from, " ") &&
             !strcmp(x->step[i].to, meta)))
            return true;
    return false;
}

bool norm_prepends(const struct norm *x)
{
    for (int i = 0; i < x->n; i++)
        if (x->step[i].kind == PREPEND || (x->step[i].kind == SPACES && x->step[i].before))
            return true;
    return false;
}

void norm_done(struct norm_work *w)
{
    pattern_done(&w->pattern);
    buf_free(&w->spare);
    free(w->cp);
    *w = (struct norm_work){0};
}

/* A space is what nearly all tokenizers of this kind replace: one pass to
 * count, one to write. */
static void replace_byte(const struct step *x, const char *s, size_t n, struct buf *out)
{
    size_t k = 0, more = x->n_to;
    char c = x->from[0], *p;

    for (size_t i = 0; i < n; i++)
        k += s[i] == c;
    mem_grow(&out->p, &out->cap, n + k * more + 1, 1);
    p = out->p;
    for (size_t i = 0; i < n; i++) {
        if (s[i] == c) {
            memcpy(p, x->to, more);
            p += more;
        } else {
            *p++ = s[i];
        }
    }
    out->n = (size_t)(p - out->p);
    *p = 0;
}

static void replace_string(const struct step *x, const char *s, size_t n, struct buf *out)
{
    const char *end = s + n, *p;

    if (x->n_from == 1) {
        replace_byte(x, s, n, out);
        return;
    }

    while ((p = memmem(s, (size_t)(end - s), x->from, x->n_from))) {
        buf_add(out, s, (size_t)(p - s));
        buf_add(out, x->to, x->n_to);
        s = p + x->n_from;
    }
    buf_add(out, s, (size_t)(end - s));
}

static int replace_pattern(const struct step *x, struct norm_work *w, const char *s, size_t n,
                           struct buf *out, struct err *e)
{
    size_t done = 0, at = 0, last = SIZE_MAX, from, to;
    int rc;

    while (at <= n && (rc = pattern_find(x->pattern, &w->pattern, s, n, at, &from, &to, e))) {
        if (rc < 0)
            return -1;
        if (from < to || from != last) { // nothing right behind a match is no match
            buf_add(out, s + done, from - done);
            buf_add(out, x->to, x->n_to);
            done = last = to;
        }
        at = to;
        if (from == to) { // nothing was matched: go on behind the next character
            uint32_t cp;

            at += to < n ? (size_t)utf8_get(s + to, n - to, &cp) : 1;
        }
    }
    buf_add(out, s + done, n - done);
    return 0;
}

static int map_longest(const struct step *x, const char *s, size_t n, struct buf *out,
                       struct err *e)
{
    for (size_t i = 0; i < n;) {
        const char *to;
        size_t n_to;
        uint32_t cp;
        int len = charsmap_find(&x->map, s + i, n - i, true, &to, &n_to, e);

        if (len < 0)
            return -1;
        if (len) {
            buf_add(out, to, n_to);
        } else {
            len = utf8_get(s + i, n - i, &cp);
            buf_add(out, s + i, (size_t)len);
        }
        i += (size_t)len;
    }
    return 0;
}

/* HF's rule: a grapheme of up to 5 bytes is replaced as a whole by the map's
 * first match in it; else each of its characters by itself. */
static int map_graphemes(const struct step *x, const char *s, size_t n, struct buf *out,
                         struct err *e)
{
    const char *to;
    size_t n_to;

    for (size_t i = 0; i < n;) {
        size_t end = i + unorm_grapheme(s + i, n - i);
        int rc = end - i < 6 ? charsmap_find(&x->map, s + i, end - i, false, &to, &n_to, e) : 0;

        if (rc < 0)
            return -1;
        if (rc) {
            buf_add(out, to, n_to);
            i = end;
        }
        while (i < end) {
            uint32_t cp;
            size_t len = (size_t)utf8_get(s + i, end - i, &cp);

            rc = charsmap_find(&x->map, s + i, len, false, &to, &n_to, e);
            if (rc < 0)
                return -1;
            buf_add(out, rc ? to : s + i, rc ? n_to : len);
            i += len;
        }
    }
    return 0;
}

/* SentencePiece's own spaces: U+2581 for each space; with merge, one before
 * each word and none elsewhere. Source: llama.cpp's t5 tokenizer, by behaviour. */
static void spaces(const struct step *x, const char *s, size_t n, struct buf *out)
{
    bool begun = false, in_word = false;

    for (size_t i = 0; i < n; i++) {
        if (s[i] == ' ') {
            in_word = false;
            if (!x->merge)
                buf_add(out, meta, 3);
            continue;
        }
        if (!in_word && (x->merge || (x->before && !x->after && !begun))) {
            buf_add(out, meta, 3);
            begun = true;
        }
        in_word = true;
        buf_char(out, s[i]);
    }
    if (x->after)
        buf_add(out, meta, 3);
}

static int apply(const struct step *x, struct norm_work *w, const char *s, size_t n,
                 struct buf *out, struct err *e)
{
    buf_reset(out);
    switch (x->kind) {
    case FORM:
        unorm_form(s, n, x->form, &w->cp, &w->cap, out);
        return 0;
    case LOWER:
        unorm_lower(s, n, out);
        return 0;
    case ACCENTS:
        unorm_drop_marks(s, n, out);
        return 0;
    case NMT:
        unorm_nmt(s, n, out);
        return 0;
    case CLEAN:
        unorm_clean(s, n, out);
        return 0;
    case CJK:
        unorm_space_cjk(s, n, out);
        return 0;
    case NONSPACING:
        unorm_drop_accents(s, n, out);
        return 0;
    case STRIP:
        unorm_strip(&s, &n, x->left, x->right);
        buf_add(out, s, n);
        return 0;
    case PREPEND:
        if (n)
            buf_add(out, x->to, x->n_to);
        buf_add(out, s, n);
        return 0;
    case REPLACE_STRING:
        replace_string(x, s, n, out);
        return 0;
    case REPLACE_PATTERN:
        return replace_pattern(x, w, s, n, out, e);
    case CHARSMAP:
        return x->longest ? map_longest(x, s, n, out, e) : map_graphemes(x, s, n, out, e);
    case SPACES:
        spaces(x, s, n, out);
        return 0;
    }
    return 0;
}

int norm_apply(const struct norm *x, struct norm_work *w, const char *s, size_t n, struct buf *out,
               struct err *e)
{
    if (!x->n) {
        buf_reset(out);
        buf_add(out, s, n);
    }
    for (int i = 0; i < x->n; i++) {
        struct buf t;

        if (apply(&x->step[i], w, i ? out->p : s, i ? out->n : n, i ? &w->spare : out, e) < 0)
            return -1;
        if (!i)
            continue;
        t = *out; // the last result is always in out
        *out = w->spare;
        w->spare = t;
    }
    return 0;
}

int norm_drops_start(const struct norm *x, struct norm_work *w, const char *s, size_t n,
                     struct err *e)
{
    struct buf with = {0}, without = {0};
    char text[5]; // the character and one behind it, where no step drops what ends a text
    uint32_t cp;
    size_t len = (size_t)utf8_get(s, n, &cp);
    int rc;

    memcpy(text, s, len);
    text[len] = 'a';
    rc = norm_apply(x, w, text, len + 1, &with, e) || norm_apply(x, w, "a", 1, &without, e)
             ? -1
             : with.n == without.n && !memcmp(buf_cstr(&with), buf_cstr(&without), with.n);
    buf_free(&with);
    buf_free(&without);
    return rc;
}
