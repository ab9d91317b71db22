/* judge.c - rules applied to records. */
#include "judge.h"

#include "dupes.h"
#include "json.h"
#include "mem.h"
#include "pii.h"
#include "where.h"

#include <stdlib.h>
#include <string.h>

enum { LIST = 8 };

/* Fields that a rule looks at, by their numbers, -1 behind the last. */
struct reach {
    int field, list[LIST + 1]; // its own; those whose texts it looks at
    bool record;               // the rule is for the record, not for a text of it
    int measures;              // rules from it on that only measure the same text
};

struct judge {
    const struct rules *rules;
    struct field {
        const char *name; // (n) borrowed
        size_t n;
    } * field; // (n_fields) different ones
    size_t n_fields, cap_fields;
    struct reach *reach; // (rules->n)
    struct reach dupes_reach;
    int usual; // the field of a rule that names none
    struct trial *trial;
    struct dupes *dupes;
    int64_t n_masked;
};

/* The texts of a field: the field, when it is a string, or the strings in it. */
struct texts {
    const char *raw; // (n_raw) JSON, NULL: there is none
    size_t n_raw;
    bool known, is_text; // looked for in the record at hand; a string
    size_t first, n;     // of the desk's looks
};

struct judge_desk {
    struct trial_desk *trial;
    struct look **look; // (cap_look) n_look in use
    size_t n_look, cap_look;
    struct texts *texts; // (n_texts) by the field's number
    size_t n_texts, cap_texts;
    struct look raw; // of a field that is no string
    struct dupes_desk dupes;
    struct buf masked;
};

/* The number of a field. */
static int number_of(struct judge *j, const char *field)
{
    for (size_t i = 0; i < j->n_fields; i++)
        if (!strcmp(j->field[i].name, field))
            return (int)i;
    mem_grow(&j->field, &j->cap_fields, j->n_fields + 1, sizeof(*j->field));
    j->field[j->n_fields] = (struct field){field, strlen(field)};
    return (int)j->n_fields++;
}

static struct reach reach_of(struct judge *j, const char *own, const char *const *names)
{
    struct reach x = {.field = number_of(j, own)};
    int n = 0;

    for (; *names; names++)
        x.list[n++] = number_of(j, *names);
    x.list[n] = -1;
    return x;
}

static bool is_for_record(enum rule_id id)
{
    return id == RULE_MIN_SCORE || id == RULE_WHERE || id == RULE_LEAKS || id == RULE_BLACKLIST ||
           id == RULE_PII || id == RULE_DECONTAMINATE;
}

static void find_fields(struct judge *j)
{
    // the texts of a record: those that say what it is, and the one that rules are to look at
    const char **all = record_fields(dupes_fields, j->rules->set.field);

    j->reach = mem_zero((size_t)j->rules->n + 1, sizeof(*j->reach));
    j->dupes_reach = reach_of(j, j->rules->set.field, all);
    j->usual = number_of(j, j->rules->set.field);
    for (int i = 0; i < j->rules->n; i++) {
        const struct rule *x = &j->rules->v[i];
        const char *const leaks[] = {"instruction", x->field, NULL};
        const char *const listed[] = {"instruction", "input", x->field, NULL};
        const char *const own[] = {x->field, NULL};

        j->reach[i] = reach_of(j, x->field,
                               x->own_field              ? own
                               : x->id == RULE_LEAKS     ? leaks
                               : x->id == RULE_BLACKLIST ? listed
                                                         : all);
        j->reach[i].record = is_for_record(x->id);
    }
    free(all);
}

/* How many rules from i on measure the same text. */
static void find_measures(struct judge *j)
{
    for (int i = j->rules->n - 1; i >= 0; i--) {
        struct reach *x = &j->reach[i];

        if (trial_only_measures(j->trial, i))
            x->measures = x[1].field == x->field ? x[1].measures + 1 : 1;
    }
}

struct judge *judge_open(const struct rules *r, uint64_t run, struct err *e)
{
    struct judge *j = mem_zero(1, sizeof(*j));
    struct dupes_opt o = {.at = {r->set.near_index, (size_t)r->set.memory, r->set.tmp_dir},
                          .run = run};
    struct err why;
    int rc;

    j->rules = r;
    find_fields(j);
    j->trial = trial_open(r, e);
    rc = j->trial ? 0 : -1;
    if (!rc)
        find_measures(j);
    for (int i = 0; i < r->n; i++) {
        o.exact = o.exact || r->v[i].id == RULE_EXACT;
        o.near = r->v[i].id == RULE_NEAR ? r->v[i].limit : o.near;
    }
    if (!rc && (o.exact || o.near > 0)) {
        j->dupes = dupes_open(&o, e);
        rc = j->dupes ? 0 : err_wrap(e, "--near");
    }
    if (!rc)
        return j;
    judge_close(j, &why);
    return NULL;
}

int judge_close(struct judge *j, struct err *e)
{
    int rc;

    if (!j)
        return 0;
    rc = dupes_close(j->dupes, e);
    trial_close(j->trial);
    free(j->field);
    free(j->reach);
    free(j);
    return rc;
}

struct judge_desk *judge_desk(void)
{
    struct judge_desk *d = mem_zero(1, sizeof(*d));

    d->trial = trial_desk();
    return d;
}

void judge_desk_close(struct judge_desk *d)
{
    if (!d)
        return;
    trial_desk_close(d->trial);
    for (size_t i = 0; i < d->cap_look && d->look[i]; i++) {
        look_free(d->look[i]);
        free(d->look[i]);
    }
    free(d->look);
    free(d->texts);
    look_free(&d->raw);
    dupes_desk_free(&d->dupes);
    buf_free(&d->masked);
    free(d);
}

void judge_case_free(struct judge_case *c)
{
    buf_free(&c->why.value);
    buf_free(&c->why.limit);
    dupes_text_free(&c->text);
}

bool judge_is_parallel(const struct judge *j)
{
    for (int i = 0; i < j->rules->n; i++)
        if (j->rules->v[i].id == RULE_ROUGE) // its pool remembers the text in question
            return false;
    return true;
}

int64_t judge_masked(const struct judge *j)
{
    return j->n_masked;
}

struct hash128 judge_print(const struct judge *j)
{
    return trial_print(j->trial);
}

const struct near *judge_near(const struct judge *j)
{
    return dupes_near(j->dupes);
}

static int by_score(struct record *r, const struct rule *x, struct trial_reason *v)
{
    double score;

    if (!record_num(r, "score", &score)) {
        if (score >= x->limit)
            return 0;
        json_put_num(&v->value, score);
    }
    json_put_num(&v->limit, x->limit);
    return 1;
}

static int by_where(struct record *r, const struct where *w, struct trial_reason *v)
{
    const char *raw;
    size_t n = 0;

    if (where_holds(w, r))
        return 0;
    raw = where_get(r, w->field, &n);
    if (raw)
        buf_add(&v->value, raw, n);
    json_put_str(&v->limit, w->text, strlen(w->text));
    return 1;
}

/* ---- texts ---- */

static void forget(struct judge_desk *d)
{
    d->n_look = 0;
    for (size_t i = 0; i < d->n_texts; i++)
        d->texts[i].known = false;
    trial_begin(d->trial);
}

static void add_look(struct judge_desk *d, const char *s, size_t n)
{
    if (d->n_look == d->cap_look) {
        size_t cap = 2 * d->cap_look + 8;

        d->look = mem_resize(d->look, cap, sizeof(struct look *));
        memset(d->look + d->cap_look, 0, (cap - d->cap_look) * sizeof(struct look *));
        d->cap_look = cap;
    }
    if (!d->look[d->n_look])
        d->look[d->n_look] = mem_zero(1, sizeof(struct look));
    look_text(d->look[d->n_look++], s, n);
}

static void find_texts(struct judge_desk *d, struct record *r, const struct field *f,
                       struct texts *t)
{
    size_t n = 0;
    const char *s;
    struct json json;
    struct err why;
    int at;

    t->first = d->n_look;
    at = record_find(r, f->name, f->n, &json);
    t->raw = json_raw(&json, at, &t->n_raw);
    t->is_text = t->raw && *t->raw == '"';
    if (t->is_text) {
        s = json_text(&json, at, &r->mem, &n);
        add_look(d, s, n);
    } else if (t->raw && (*t->raw == '[' || *t->raw == '{') &&
               !json_parse(&json, &r->mem, t->raw, t->n_raw, &why))
        for (uint32_t k = 0; k < json.n_node; k++)
            if (json.node[k].type == JSON_STRING && !json_is_key(&json, (int)k)) {
                s = json_text(&json, (int)k, &r->mem, &n);
                add_look(d, s, n);
            }
    t->n = d->n_look - t->first;
}

/* The texts of a field of the record at hand. */
static const struct texts *texts_of(const struct judge *j, struct judge_desk *d, struct record *r,
                                    int field)
{
    struct texts *t;

    if (d->n_texts < j->n_fields) {
        mem_grow(&d->texts, &d->cap_texts, j->n_fields, sizeof(*d->texts));
        memset(d->texts, 0, j->n_fields * sizeof(*d->texts));
        d->n_texts = j->n_fields;
    }
    t = &d->texts[field];
    if (!t->known)
        find_texts(d, r, &j->field[field], t);
    t->known = true;
    return t;
}

/* ---- rules for all texts ---- */

/* Whether a record has any of the fields; when not, it cannot be looked at. */
static bool has_any(const struct judge *j, struct judge_desk *d, struct record *r,
                    const struct reach *x, struct judge_case *c)
{
    for (const int *list = x->list; *list >= 0; list++)
        if (texts_of(j, d, r, *list)->raw)
            return true;
    c->why.rule = j->field[x->field].name;
    c->says = JUDGE_NO_FIELD;
    return false;
}

static int by_texts(const struct judge *j, struct judge_desk *d, const struct rule *x,
                    struct record *r, struct trial_reason *v)
{
    const int *list = j->reach[x - j->rules->v].list;
    int rc = 0;

    for (; *list >= 0 && !rc; list++) {
        const struct texts *t = texts_of(j, d, r, *list);

        for (size_t k = 0; k < t->n && !rc; k++)
            rc = trial_piece(j->trial, d->trial, (int)(x - j->rules->v), d->look[t->first + k], v);
    }
    return rc;
}

/* Personal data masked in every string of a field; how much. */
static int mask_field(struct judge_desk *d, struct record *r, const char *field, unsigned kinds)
{
    size_t n = 0, done = 0;
    const char *raw = record_raw(r, field, &n);
    struct buf out = {0};
    struct json json;
    struct err why;
    int masked = 0;

    if (!raw || json_parse(&json, &r->mem, raw, n, &why))
        return 0;
    for (uint32_t k = 0; k < json.n_node; k++) {
        size_t len;
        const char *s = json_is_key(&json, (int)k) ? NULL : json_str(&json, (int)k, &r->mem, &len);
        int found;

        buf_reset(&d->masked);
        found = s ? pii_mask(s, len, kinds, &d->masked) : 0;
        if (!found)
            continue;
        masked += found;
        buf_add(&out, raw + done, json.node[k].start - 1 - done);
        json_put_str(&out, d->masked.p, d->masked.n);
        done = json.node[k].end + 1;
    }
    if (masked) {
        buf_add(&out, raw + done, n - done);
        record_set(r, field, out.p, out.n);
    }
    buf_free(&out);
    return masked;
}

static bool has_pii(const struct judge_desk *d, const struct texts *t, unsigned kinds)
{
    struct pii_hit hit;

    for (size_t k = 0; k < t->n; k++) {
        size_t at = 0;

        if (pii_next(look_kinds(d->look[t->first + k]), kinds, &at, &hit))
            return true;
    }
    return false;
}

static int by_pii(const struct judge *j, struct judge_desk *d, const struct rule *x,
                  struct record *r, struct judge_case *c)
{
    unsigned kinds = trial_kinds(j->trial, (int)(x - j->rules->v));
    int masked = 0;

    if (!kinds)
        return by_texts(j, d, x, r, &c->why);
    for (const int *f = j->reach[x - j->rules->v].list; *f >= 0; f++)
        if (has_pii(d, texts_of(j, d, r, *f), kinds))
            masked += mask_field(d, r, j->field[*f].name, kinds);
    if (masked)
        forget(d); // other texts now
    c->masked += masked;
    return 0;
}

static int by_record(const struct judge *j, struct judge_desk *d, const struct rule *x,
                     struct record *r, struct judge_case *c)
{
    switch (x->id) {
    case RULE_MIN_SCORE:
        return by_score(r, x, &c->why);
    case RULE_WHERE:
        return by_where(r, trial_where(j->trial, (int)(x - j->rules->v)), &c->why);
    case RULE_PII:
        return by_pii(j, d, x, r, c);
    default:
        return by_texts(j, d, x, r, &c->why);
    }
}

/* ---- duplicates ---- */

static void take_texts(const struct judge *j, struct judge_desk *d, struct record *r,
                       struct dupes_text *x)
{
    dupes_begin(x);
    for (const int *list = j->dupes_reach.list; *list >= 0; list++) {
        const struct texts *t = texts_of(j, d, r, *list);

        if (t->raw && !t->is_text) // messages
            look_text(&d->raw, t->raw, t->n_raw);
        dupes_add(j->dupes, &d->dupes, x, t->is_text ? d->look[t->first] : t->raw ? &d->raw : NULL);
    }
    dupes_end(j->dupes, x);
}

void judge_soon(const struct judge *j, const struct judge_case *c)
{
    if (j->dupes && c->says == JUDGE_KEEP)
        dupes_soon(j->dupes, &c->text);
}

void judge_among(struct judge *j, struct record *r, struct judge_case *c)
{
    struct trial_reason *v = &c->why;
    struct dupes_hit hit;
    int rc;

    j->n_masked += c->masked;
    if (c->says != JUDGE_KEEP || !j->dupes)
        return;
    rc = dupes_meet(j->dupes, &c->text, r->id, &hit, &c->err);
    if (rc <= 0) {
        c->says = rc ? JUDGE_ERROR : JUDGE_KEEP;
        return;
    }
    c->says = JUDGE_DROP;
    v->rule = rules_name(hit.exact ? RULE_EXACT : RULE_NEAR);
    if (hit.exact) {
        json_put_str(&v->value, hit.id, hit.n_id);
        return;
    }
    buf_str(&v->value, "{\"id\":");
    json_put_str(&v->value, hit.id, hit.n_id);
    buf_str(&v->value, ",\"similarity\":");
    json_put_num(&v->value, hit.similarity);
    buf_char(&v->value, '}');
    json_put_num(&v->limit, j->rules->v[j->rules->n - 1].limit); // near is the last
}

/* ---- records ---- */

/* Rules up to those for duplicates; 1 = broken. */
static int try_rules(const struct judge *j, struct judge_desk *d, struct record *r,
                     struct judge_case *c)
{
    int rc = 0, i = 0;

    for (; i < j->rules->n && j->rules->v[i].id < RULE_EXACT && !rc; i++) {
        const struct rule *x = &j->rules->v[i];
        const struct texts *t;
        struct look *text;

        if (j->reach[i].record) {
            if ((x->id == RULE_PII || x->id == RULE_DECONTAMINATE) &&
                !has_any(j, d, r, &j->reach[i], c))
                return 1;
            rc = by_record(j, d, x, r, c);
            continue;
        }
        t = texts_of(j, d, r, j->reach[i].field);
        if (!t->is_text) {
            c->why.rule = x->field;
            c->says = JUDGE_NO_FIELD;
            return 1;
        }
        text = d->look[t->first];
        if (j->reach[i].measures) {
            int n = j->reach[i].measures,
                k = trial_measures(j->trial, d->trial, i, n, text, &c->why);

            rc = k >= 0;
            i = rc ? k : i + n - 1;
            continue;
        }
        rc = trial_text(j->trial, d->trial, i, text, &c->why, &c->err);
    }
    if (rc)
        c->why.rule = rules_name(j->rules->v[i - 1].id);
    c->says = rc < 0 ? JUDGE_ERROR : rc ? JUDGE_DROP : JUDGE_KEEP;
    return rc;
}

void judge_alone(const struct judge *j, struct judge_desk *d, struct record *r,
                 struct judge_case *c)
{
    const struct texts *t;

    trial_reason_reset(&c->why);
    c->masked = 0;
    forget(d);
    if (!try_rules(j, d, r, c) && j->dupes && has_any(j, d, r, &j->dupes_reach, c))
        take_texts(j, d, r, &c->text);
    t = d->n_texts ? &d->texts[j->usual] : NULL;
    c->words = t && t->known && t->is_text ? d->look[t->first]->count : -1;
}

bool judge_recalls(const struct judge *j)
{
    return j->dupes;
}

void judge_kept(const struct judge *j, struct judge_desk *d, struct record *r, struct judge_case *c)
{
    forget(d);
    c->says = JUDGE_KEEP;
    if (has_any(j, d, r, &j->dupes_reach, c)) // or it was kept by other rules
        take_texts(j, d, r, &c->text);
}

int judge_recall(struct judge *j, struct record *r, struct judge_case *c, struct err *e)
{
    return c->says == JUDGE_KEEP ? dupes_recall(j->dupes, &c->text, r->id, e) : 0;
}

void judge_recalled(struct judge *j)
{
    dupes_recalled(j->dupes);
}
