/* trial.c - rules applied to a text. */
#include "trial.h"

#include "child.h"
#include "decon.h"
#include "fault.h"
#include "fence.h"
#include "file.h"
#include "json.h"
#include "kinds.h"
#include "lang.h"
#include "mem.h"
#include "phrases.h"
#include "pii.h"
#include "rouge.h"
#include "scan.h"
#include "script.h"
#include "tokload.h"
#include "where.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_MAX = 16 << 20, REFERENCE_MAX = 256 << 20 };

/* What a rule needs beside its limit. */
struct aid {
    struct where where;      // where, script
    struct phrases *phrases; // of a blacklist
    int script;
    bool mask;
};

struct trial {
    const struct rules *rules;
    struct aid *aid;             // (rules->n)
    struct quality_limit *limit; // (rules->n) of those that only measure
    struct tok *tok;
    struct decon *decon;
    struct rouge *rouge;
    unsigned kinds; // of personal data
    struct hash128 print;
};

struct trial_desk {
    struct quality *quality;
    struct fault *fault;
    struct lang *lang;
    const struct look *measured; // what quality has, of this record
    struct tok_ids ids;
    struct arena mem;
    struct buf block; // a fenced one
};

void trial_reason_reset(struct trial_reason *v)
{
    buf_reset(&v->value);
    buf_reset(&v->limit);
}

/* ---- what the rules need ---- */

static int read_blacklist(struct trial *t, struct aid *a, const char *path, struct err *e)
{
    char *text = file_text(path, LIST_MAX, NULL, e), *save = NULL;

    if (!text)
        return -1;
    a->phrases = phrases_open();
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        if (phrases_add(a->phrases, line, strlen(line)))
            t->print = hash_add(t->print, line, strlen(line));
    free(text);
    return 0;
}

/* Records with the field, or lines of text. */
static int read_reference(struct trial *t, const char *field, struct err *e)
{
    const char *path = t->rules->set.rouge_reference;
    char *text, *save = NULL;

    if (!path)
        return err_set(e, ERR_ARG, "--rouge needs --rouge-reference");
    text = file_text(path, REFERENCE_MAX, NULL, e);
    if (!text)
        return err_wrap(e, "--rouge-reference");
    t->rouge = rouge_open();
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        struct record r;
        struct err why;
        size_t n = strlen(line);
        const char *s = line;
        bool is_record = *line == '{' && !record_parse(&r, line, n, &why);

        if (is_record)
            s = record_str(&r, field, &n);
        if (s) {
            rouge_add(t->rouge, s, n);
            t->print = hash_add(t->print, s, n);
        }
        if (is_record)
            record_reset(&r);
    }
    free(text);
    return 0;
}

static int need_tokens(struct trial *t, struct err *e)
{
    const char *path = t->rules->set.tokenizer;

    if (!path)
        return err_set(e, ERR_ARG, "--min-tokens and --max-tokens need --tokenizer");
    if (!t->tok)
        t->tok = tokload_path(path, e);
    return t->tok ? 0 : err_wrap(e, "--tokenizer");
}

static int read_langs(const char *list, struct err *e)
{
    for (const char *p = list; *p;) {
        size_t n = strcspn(p, ",");
        char name[8] = "";

        if (n < sizeof(name))
            memcpy(name, p, n);
        if (!lang_known(name))
            return err_set(e, ERR_ARG, "'%.*s' is no language that can be told", (int)n, p);
        p += n + (p[n] == ',');
    }
    return 0;
}

static int need_script(struct aid *a, const char *text, struct err *e)
{
    if (where_parse(&a->where, text, e))
        return -1;
    a->script = script_find(a->where.field, strlen(a->where.field));
    if (a->script < 0)
        return err_set(e, ERR_ARG, "'%s' is no script that is known", a->where.field);
    if (!a->where.number)
        return err_set(e, ERR_ARG, "'%s': a share is a number", text);
    return 0;
}

static int need(struct trial *t, const struct rule *x, struct aid *a, struct err *e)
{
    switch (x->id) {
    case RULE_WHERE:
        return where_parse(&a->where, x->text, e);
    case RULE_SCRIPT:
        return need_script(a, x->text, e);
    case RULE_LANG:
        return read_langs(x->text, e);
    case RULE_BLACKLIST:
        return read_blacklist(t, a, x->text, e);
    case RULE_PII:
        a->mask = !strcmp(x->text, "mask");
        if (!a->mask && strcmp(x->text, "drop") != 0)
            return err_set(e, ERR_ARG, "'%s' is neither drop nor mask", x->text);
        return pii_parse(t->rules->set.pii_kinds, &t->kinds, e);
    case RULE_MIN_TOKENS:
    case RULE_MAX_TOKENS:
        return need_tokens(t, e);
    case RULE_DECONTAMINATE:
        t->decon = t->decon ? t->decon : decon_open(t->rules->set.ngram);
        return decon_read(t->decon, x->text, e);
    case RULE_ROUGE:
        return t->rouge ? 0 : read_reference(t, x->field, e);
    default:
        return 0;
    }
}

static void print_rule(struct trial *t, const struct rule *x)
{
    const char *name = rules_name(x->id);
    bool is_file = x->id == RULE_BLACKLIST || x->id == RULE_DECONTAMINATE;

    t->print = hash_add(t->print, name, strlen(name));
    t->print = hash_add(t->print, x->field, strlen(x->field));
    t->print = hash_add(t->print, &x->limit, sizeof(x->limit));
    if (x->text && !is_file) // the file's content counts, not its name
        t->print = hash_add(t->print, x->text, strlen(x->text));
}

struct trial *trial_open(const struct rules *r, struct err *e)
{
    struct trial *t = mem_zero(1, sizeof(*t));
    int rc = 0;

    t->rules = r;
    t->aid = mem_zero((size_t)r->n + 1, sizeof(*t->aid));
    t->limit = mem_zero((size_t)r->n + 1, sizeof(*t->limit));
    for (int i = 0; i < r->n && !rc; i++) {
        if (r->file) // options are in the fingerprint themselves
            print_rule(t, &r->v[i]);
        if (trial_only_measures(t, i))
            t->limit[i] = (struct quality_limit){r->v[i].id - RULE_QUALITY, r->v[i].limit};
        rc = need(t, &r->v[i], &t->aid[i], e);
        if (rc && strncmp(e->msg, "--", 2) != 0)
            err_wrap(e, "--%s", rules_name(r->v[i].id));
    }
    if (!rc && t->decon) {
        struct hash128 h = decon_print(t->decon);

        t->print = hash_add(t->print, &h, sizeof(h));
    }
    if (!rc)
        return t;
    trial_close(t);
    return NULL;
}

void trial_close(struct trial *t)
{
    if (!t)
        return;
    for (int i = 0; i < t->rules->n; i++) {
        where_free(&t->aid[i].where);
        phrases_close(t->aid[i].phrases);
    }
    free(t->aid);
    free(t->limit);
    tok_close(t->tok);
    decon_close(t->decon);
    rouge_close(t->rouge);
    free(t);
}

struct trial_desk *trial_desk(void)
{
    struct trial_desk *d = mem_zero(1, sizeof(*d));

    d->quality = quality_open();
    d->fault = fault_open();
    d->lang = lang_open();
    return d;
}

void trial_desk_close(struct trial_desk *d)
{
    if (!d)
        return;
    quality_close(d->quality);
    fault_close(d->fault);
    lang_close(d->lang);
    tok_ids_free(&d->ids);
    arena_free(&d->mem);
    buf_free(&d->block);
    free(d);
}

const struct where *trial_where(const struct trial *t, int i)
{
    return &t->aid[i].where;
}

unsigned trial_kinds(const struct trial *t, int i)
{
    return t->aid[i].mask ? t->kinds : 0;
}

struct hash128 trial_print(const struct trial *t)
{
    return t->print;
}

void trial_begin(struct trial_desk *d)
{
    d->measured = NULL;
}

/* ---- verdicts ---- */

static int drop_int(struct trial_reason *v, int64_t value, int64_t limit)
{
    json_put_int(&v->value, value);
    json_put_int(&v->limit, limit);
    return 1;
}

static int drop_num(struct trial_reason *v, double value, double limit)
{
    json_put_num(&v->value, value);
    json_put_num(&v->limit, limit);
    return 1;
}

static int drop_text(struct trial_reason *v, const char *value, size_t n, const char *limit)
{
    json_put_str(&v->value, value, n);
    if (limit)
        json_put_str(&v->limit, limit, strlen(limit));
    return 1;
}

/* ---- rules for a text: 1 = broken, 0, -1 = error ---- */

static int by_lang(struct trial_desk *d, const struct rule *x, struct look *text,
                   struct trial_reason *v)
{
    const char *is = lang_of(d->lang, text), *p = strstr(x->text, is);
    size_t len = strlen(is);

    while (p && ((p != x->text && p[-1] != ',') || (p[len] && p[len] != ',')))
        p = strstr(p + 1, is);
    return p ? 0 : drop_text(v, is, len, x->text);
}

static int by_script(const struct aid *a, struct look *text, struct trial_reason *v)
{
    const size_t *count = look_scripts(text);
    double share = text->letters ? (double)count[a->script] / (double)text->letters : 0;

    if (where_compare(&a->where, share))
        return 0;
    json_put_num(&v->value, share);
    json_put_str(&v->limit, a->where.text, strlen(a->where.text));
    return 1;
}

static int by_tokens(const struct trial *t, struct trial_desk *d, const struct rule *x,
                     const struct look *text, struct trial_reason *v, struct err *e)
{
    int64_t k;

    d->ids.n = 0;
    if (tok_encode(t->tok, text->s, text->n, 0, &d->ids, e))
        return -1;
    k = (int64_t)d->ids.n;
    if (x->id == RULE_MIN_TOKENS ? (double)k < x->limit : (double)k > x->limit)
        return drop_int(v, k, (int64_t)x->limit);
    return 0;
}

static int one_json(struct trial_desk *d, const char *s, size_t n, struct trial_reason *v)
{
    struct json json;
    struct err why;

    arena_reset(&d->mem);
    if (!json_parse(&json, &d->mem, s, n, &why))
        return 0;
    return drop_text(v, why.msg, strlen(why.msg), NULL);
}

static int by_json(struct trial_desk *d, const char *s, size_t n, struct trial_reason *v)
{
    struct fence f = {0};
    int blocks = 0;

    for (; fence_next(s, n, "json", &f); blocks++)
        if (one_json(d, f.p, f.n, v))
            return 1;
    return blocks ? 0 : one_json(d, s, n, v);
}

static int one_check(const struct trial *t, const struct rule *x, const char *s, size_t n,
                     struct trial_reason *v, struct err *e)
{
    int status = child_status(x->text, s, n, (double)t->rules->set.check_timeout, e);

    if (status == -1 || !status)
        return status;
    if (status == CHILD_NO_EXEC || status == CHILD_NO_COMMAND) // true of all texts: no verdict
        return err_set(e, ERR_ARG, "--check: '%s' ends with %d: %s", x->text, status,
                       status == CHILD_NO_EXEC ? "what it names cannot be executed"
                                               : "a command that it names is not there");
    if (status == CHILD_TIMEOUT)
        buf_str(&v->value, "\"timeout\"");
    else
        json_put_int(&v->value, status);
    json_put_str(&v->limit, x->text, strlen(x->text));
    return 1;
}

static int by_check(const struct trial *t, struct trial_desk *d, const struct rule *x,
                    const char *s, size_t n, struct trial_reason *v, struct err *e)
{
    struct fence f = {0};
    int rc = 0;

    if (!t->rules->set.check_lang)
        return one_check(t, x, s, n, v, e);
    while (!rc && fence_next(s, n, t->rules->set.check_lang, &f)) {
        buf_reset(&d->block);
        fence_text(&f, &d->block);
        rc = one_check(t, x, d->block.p, d->block.n, v, e);
    }
    return rc;
}

static int by_rouge(const struct trial *t, const struct rule *x, const char *s, size_t n,
                    struct trial_reason *v)
{
    struct rouge_near near = rouge_nearest(t->rouge, s, n);

    if (near.f <= x->limit)
        return 0;
    buf_fmt(&v->value, "{\"reference\":%d,\"f\":", near.index);
    json_put_num(&v->value, near.f);
    buf_char(&v->value, '}');
    json_put_num(&v->limit, x->limit);
    return 1;
}

bool trial_only_measures(const struct trial *t, int i)
{
    return t->rules->v[i].id >= RULE_QUALITY && t->rules->v[i].id < RULE_MAX_REPEAT;
}

int trial_measures(const struct trial *t, struct trial_desk *d, int i, int n, struct look *text,
                   struct trial_reason *v)
{
    int k;

    if (d->measured != text) {
        quality_text(d->quality, text);
        d->measured = text;
    }
    k = quality_beyond(d->quality, t->limit + i, n);
    if (k == n)
        return -1;
    drop_num(v, quality_value(d->quality, t->limit[i + k].id), t->limit[i + k].limit);
    return i + k;
}

int trial_text(const struct trial *t, struct trial_desk *d, int i, struct look *text,
               struct trial_reason *v, struct err *e)
{
    const struct rule *x = &t->rules->v[i];
    int64_t limit = (int64_t)x->limit, k;
    const char *found, *s = text->s;
    size_t n = text->n;
    double share;

    switch (x->id) {
    case RULE_MIN_WORDS:
    case RULE_MAX_WORDS:
        k = look_count(text);
        return (x->id == RULE_MIN_WORDS ? k < limit : k > limit) ? drop_int(v, k, limit) : 0;
    case RULE_MIN_CHARS:
    case RULE_MAX_CHARS:
        k = (int64_t)look_chars(text);
        return (x->id == RULE_MIN_CHARS ? k < limit : k > limit) ? drop_int(v, k, limit) : 0;
    case RULE_LANG:
        return by_lang(d, x, text, v);
    case RULE_SCRIPT:
        return by_script(&t->aid[i], text, v);
    case RULE_MAX_REPEAT:
        share = fault_repetition_beyond(d->fault, text, x->limit);
        return share > x->limit ? drop_num(v, share, x->limit) : 0;
    case RULE_REFUSALS:
        found = fault_refusal_of(d->fault, look_words(text));
        return found ? drop_text(v, found, strlen(found), NULL) : 0;
    case RULE_JSON:
        return by_json(d, s, n, v);
    case RULE_MIN_TOKENS:
    case RULE_MAX_TOKENS:
        return by_tokens(t, d, x, text, v, e);
    case RULE_CHECK:
        return by_check(t, d, x, s, n, v, e);
    default:
        return by_rouge(t, x, s, n, v);
    }
}

int trial_piece(const struct trial *t, struct trial_desk *d, int i, struct look *text,
                struct trial_reason *v)
{
    const struct rule *x = &t->rules->v[i];
    struct decon_hit hit;
    struct pii_hit pii;
    const char *found;
    size_t at = 0;
    int phrase;

    switch (x->id) {
    case RULE_LEAKS:
        found = fault_leak_of(d->fault, look_kinds(text));
        return found ? drop_text(v, found, strlen(found), NULL) : 0;
    case RULE_BLACKLIST:
        phrase = phrases_find(t->aid[i].phrases, look_words(text), SIZE_MAX);
        found = phrase < 0 ? NULL : phrases_text(t->aid[i].phrases, phrase);
        return found ? drop_text(v, found, strlen(found), NULL) : 0;
    case RULE_PII:
        if (!pii_next(look_kinds(text), t->kinds, &at, &pii))
            return 0;
        return drop_text(v, pii_names[pii.kind], strlen(pii_names[pii.kind]), NULL);
    default:
        if (!decon_find(t->decon, text, &hit))
            return 0;
        buf_fmt(&v->value, "{\"file\":%d,\"line\":%ld,\"words\":", hit.file + 1, hit.line);
        json_put_str(&v->value, text->s + hit.at, hit.n);
        buf_char(&v->value, '}');
        json_put_int(&v->limit, t->rules->set.ngram);
        return 1;
    }
}
