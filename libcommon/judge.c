/* judge.c - rules applied to records. */
#include "judge.h"

#include "dupes.h"
#include "json.h"
#include "mem.h"
#include "pii.h"
#include "where.h"

#include <stdlib.h>
#include <string.h>

struct judge {
    const struct rules *rules;
    struct trial *trial;
    struct dupes *dupes;
    int64_t n_masked;
    struct buf text;
};

struct judge *judge_open(const struct rules *r, uint64_t run, struct err *e)
{
    struct judge *j = mem_zero(1, sizeof(*j));
    bool exact = false;
    double near = 0;
    struct err why;
    int rc;

    j->rules = r;
    j->trial = trial_open(r, e);
    rc = j->trial ? 0 : -1;
    for (int i = 0; i < r->n; i++) {
        exact = exact || r->v[i].id == RULE_EXACT;
        near = r->v[i].id == RULE_NEAR ? r->v[i].limit : near;
    }
    if (!rc && (exact || near > 0)) {
        j->dupes = dupes_open(exact, near, r->set.near_index, run, e);
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
    buf_free(&j->text);
    free(j);
    return rc;
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

/* Every text in a field: a string, or the strings in messages. */
static int by_field(struct judge *j, const struct rule *x, struct record *r, const char *field,
                    struct trial_reason *v)
{
    size_t n = 0;
    const char *s = record_str(r, field, &n);
    struct json json;
    struct err why;
    int rc = 0;

    if (s)
        return trial_piece(j->trial, (int)(x - j->rules->v), s, n, v);
    s = record_raw(r, field, &n);
    if (!s || (*s != '[' && *s != '{') || json_parse(&json, &r->mem, s, n, &why))
        return 0;
    for (uint32_t k = 0; k < json.n_node && !rc; k++)
        if (json.node[k].type == JSON_STRING && !json_is_key(&json, (int)k)) {
            s = json_str(&json, (int)k, &r->mem, &n);
            rc = trial_piece(j->trial, (int)(x - j->rules->v), s, n, v);
        }
    return rc;
}

static int by_texts(struct judge *j, const struct rule *x, struct record *r, struct trial_reason *v)
{
    const char *const leaks[] = {"instruction", x->field, NULL};
    const char *const listed[] = {"instruction", "input", x->field, NULL};
    const char *const own[] = {x->own_field ? x->field : NULL, NULL};
    const char *const *names = x->own_field              ? own
                               : x->id == RULE_LEAKS     ? leaks
                               : x->id == RULE_BLACKLIST ? listed
                                                         : dupes_fields;
    int rc = 0;

    for (; *names && !rc; names++)
        rc = by_field(j, x, r, *names, v);
    return rc;
}

/* Personal data masked in every string of a field. */
static void mask_field(struct judge *j, struct record *r, const char *field, unsigned kinds)
{
    size_t n = 0, done = 0;
    const char *raw = record_raw(r, field, &n);
    struct buf out = {0};
    struct json json;
    struct err why;
    int masked = 0;

    if (!raw || json_parse(&json, &r->mem, raw, n, &why))
        return;
    for (uint32_t k = 0; k < json.n_node; k++) {
        size_t len;
        const char *s = json_is_key(&json, (int)k) ? NULL : json_str(&json, (int)k, &r->mem, &len);
        int found;

        buf_reset(&j->text);
        found = s ? pii_mask(s, len, kinds, &j->text) : 0;
        if (!found)
            continue;
        masked += found;
        buf_add(&out, raw + done, json.node[k].start - 1 - done);
        json_put_str(&out, j->text.p, j->text.n);
        done = json.node[k].end + 1;
    }
    if (masked) {
        buf_add(&out, raw + done, n - done);
        record_set(r, field, out.p, out.n);
        j->n_masked += masked;
    }
    buf_free(&out);
}

static int by_pii(struct judge *j, const struct rule *x, struct record *r, struct trial_reason *v)
{
    unsigned kinds = trial_kinds(j->trial, (int)(x - j->rules->v));

    if (!kinds)
        return by_texts(j, x, r, v);
    if (x->own_field)
        mask_field(j, r, x->field, kinds);
    for (int i = 0; dupes_fields[i] && !x->own_field; i++)
        mask_field(j, r, dupes_fields[i], kinds);
    return 0;
}

/* Exact and near ones at once: the index of both holds kept records only. */
static int by_duplicates(struct judge *j, struct record *r, struct trial_reason *v, struct err *e)
{
    struct dupes_hit hit;
    int rc = dupes_meet(j->dupes, r, &hit, e);

    if (rc <= 0)
        return rc;
    v->rule = rules_name(hit.exact ? RULE_EXACT : RULE_NEAR);
    if (hit.exact) {
        json_put_str(&v->value, hit.id, hit.n_id);
        return 1;
    }
    buf_str(&v->value, "{\"id\":");
    json_put_str(&v->value, hit.id, hit.n_id);
    buf_str(&v->value, ",\"similarity\":");
    json_put_num(&v->value, hit.similarity);
    buf_char(&v->value, '}');
    json_put_num(&v->limit, j->rules->v[j->rules->n - 1].limit); // near is the last
    return 1;
}

static int by_record(struct judge *j, const struct rule *x, struct record *r,
                     struct trial_reason *v, struct err *e)
{
    switch (x->id) {
    case RULE_MIN_SCORE:
        return by_score(r, x, v);
    case RULE_WHERE:
        return by_where(r, trial_where(j->trial, (int)(x - j->rules->v)), v);
    case RULE_LEAKS:
    case RULE_BLACKLIST:
    case RULE_DECONTAMINATE:
        return by_texts(j, x, r, v);
    case RULE_PII:
        return by_pii(j, x, r, v);
    default:
        return by_duplicates(j, r, v, e);
    }
}

static bool is_for_record(enum rule_id id)
{
    return id == RULE_MIN_SCORE || id == RULE_WHERE || id == RULE_LEAKS || id == RULE_BLACKLIST ||
           id == RULE_PII || id == RULE_DECONTAMINATE || id >= RULE_EXACT;
}

enum judge_says judge_record(struct judge *j, struct record *r, struct trial_reason *v,
                             struct err *e)
{
    const char *field = NULL, *s = NULL;
    size_t n = 0;
    int rc = 0;

    trial_begin(j->trial);
    for (int i = 0; i < j->rules->n && !rc; i++) {
        const struct rule *x = &j->rules->v[i];

        v->rule = rules_name(x->id);
        if (is_for_record(x->id)) {
            rc = by_record(j, x, r, v, e);
            field = x->id == RULE_PII ? NULL : field; // it may be another text now
            if (x->id >= RULE_EXACT)                  // both are done
                break;
            continue;
        }
        if (!field || strcmp(field, x->field) != 0) {
            field = x->field;
            s = record_str(r, field, &n);
            trial_begin(j->trial);
        }
        if (!s) {
            v->rule = field;
            return JUDGE_NO_FIELD;
        }
        rc = trial_text(j->trial, i, s, n, v, e);
    }
    return rc < 0 ? JUDGE_ERROR : rc ? JUDGE_DROP : JUDGE_KEEP;
}

int judge_recall(struct judge *j, struct record *r, struct err *e)
{
    struct dupes_hit hit;

    return j->dupes && dupes_meet(j->dupes, r, &hit, e) < 0 ? -1 : 0;
}
