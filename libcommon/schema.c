/* schema.c - JSON Schema as a grammar.
 *
 * What a value must satisfy is a set of schemas (struct wants): a schema, what it refers to, and
 * the parts of allOf. Each set that is met becomes a rule, so a recursive schema becomes recursive
 * rules; alternatives (anyOf) are sets with one branch added each. */
#include "schema.h"

#include "asks.h"
#include "hash.h"
#include "jsoncfg.h"
#include "meet.h"

#include <stdlib.h>
#include <string.h>

enum { RULES = 1 << 16, PARTS = 1 << 20 }; // sets, and schemas in them all

struct build {
    struct wants_text t;
    struct cfg *c;
    struct jsoncfg j;
    struct hash_table rules; // set -> rule
    struct queued {          // sets whose rule has no body yet
        int rule;
        struct wants w;
    } * queue;
    size_t n_queue, cap_queue, n_parts;
    struct err *e;
};

/* The expression of a set: a call of its rule, which is made when the set is new. Takes w over. */
static int call(struct build *b, struct wants *w)
{
    int *rule, x;

    if (w->never) {
        wants_free(w);
        return cfg_alt(b->c, NULL, 0);
    }
    if (!w->n)
        return cfg_call(b->c, b->j.any);
    wants_sort(w);
    rule = hash_put(&b->rules, w->w, w->n * sizeof(*w->w), -1);
    if (*rule >= 0) {
        x = cfg_call(b->c, *rule);
        wants_free(w);
        return x;
    }
    *rule = cfg_rule(b->c);
    b->n_parts += w->n;
    mem_grow(&b->queue, &b->cap_queue, b->n_queue + 1, sizeof(*b->queue));
    b->queue[b->n_queue++] = (struct queued){*rule, *w};
    return cfg_call(b->c, *rule);
}

/* ---- strings and numbers ---- */

/* Source: JSON Schema 2020-12, validation 7.3; a part of what each format allows. */
static const struct format {
    const char *name, *pattern;
} formats[] = {
#define DATE                                                                                         \
    "[1-9][0-9]{3}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-" \
    "(0[1-9]|1[0-9]|2[0-8]))"
#define TIME \
    "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
#define LABEL "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?"
#define OCTET "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
    {"date", "^" DATE "$"},
    {"time", "^" TIME "$"},
    {"date-time", "^" DATE "T" TIME "$"},
    {"duration",
     "^P([0-9]{1,4}D(T[0-9]{1,4}(H|M|S))?|T[0-9]{1,4}(H|M|S)|[0-9]{1,4}W|[0-9]{1,4}Y)$"},
    {"uuid", "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"},
    {"email", "^[a-z0-9]([a-z0-9_+-]{0,20}[a-z0-9])?(\\.[a-z0-9]{1,20}){0,2}@" LABEL "(\\." LABEL
              "){0,2}\\.[a-z]{2,10}$"},
    {"hostname", "^" LABEL "(\\." LABEL "){0,4}$"},
    {"ipv4", "^" OCTET "(\\." OCTET "){3}$"},
    {"ipv6", "^[0-9a-f]{1,4}(:[0-9a-f]{1,4}){7}$"},
    {"uri", "^https?://" LABEL "(\\." LABEL "){0,3}(:[1-9][0-9]{0,3})?(/[a-zA-Z0-9._~-]{0,30}){0,5}"
            "(\\?[a-zA-Z0-9=&_~-]{0,60})?$"},
};

static const char *format_of(const char *name)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++)
        if (!strcmp(formats[i].name, name))
            return formats[i].pattern;
    return NULL;
}

/* What the set asks a string to match; n is their number. */
struct patterns {
    struct {
        const char *s;
        size_t n;
        int node;
    } of[MEET_EXPRESSIONS];
    int n;
};

static int add_pattern(struct build *b, struct patterns *p, int node, const char *s, size_t n)
{
    for (int i = 0; i < p->n; i++)
        if (p->of[i].n == n && !memcmp(p->of[i].s, s, n))
            return 0;
    if (p->n == MEET_EXPRESSIONS)
        return wants_fail(&b->t, node, "more than %d patterns for one string", MEET_EXPRESSIONS);
    p->of[p->n].s = s;
    p->of[p->n].n = n;
    p->of[p->n++].node = node;
    return 0;
}

static int patterns(struct build *b, const struct wants *w, struct patterns *p)
{
    const struct json *t = b->t.json;

    p->n = 0;
    for (size_t i = 0; i < w->n; i++)
        for (int k = 0; k < 2; k++) {
            int at = wants_get(&b->t, w->w[i].node, k ? "format" : "pattern");
            size_t n;
            const char *s = at < 0 ? NULL : json_str(t, at, b->t.mem, &n);
            const char *f;

            if (at < 0)
                continue;
            if (!s)
                return wants_fail(&b->t, at, "is no string");
            if (k && !(f = format_of(s)))
                return wants_fail(&b->t, at, "format '%.60s' is not supported", s);
            if (k) {
                s = f;
                n = strlen(s);
            }
            if (add_pattern(b, p, at, s, n))
                return -1;
        }
    return 0;
}

/* Strings of min..max characters that match all patterns. */
static int matching(struct build *b, const struct patterns *p, int min, int max, int *x)
{
    bool alone = p->n == 1 && !min && max < 0;
    struct cfg from = {0};
    int part[MEET_EXPRESSIONS], rc = 0;

    for (int i = 0; i < p->n && !rc; i++)
        if (regex_read(alone ? b->c : &from, p->of[i].s, p->of[i].n,
                       alone ? jsoncfg_class : cfg_class, &part[i], b->e))
            rc = wants_fail(&b->t, p->of[i].node, "%s", b->e->msg);
    *x = part[0];
    if (!rc && !alone &&
        meet(b->c, &from, part, p->n, min, max, jsoncfg_class, &b->t.left, x, b->e))
        rc = wants_fail(&b->t, p->of[0].node, "patterns and lengths of a string: %s", b->e->msg);
    cfg_free(&from);
    return rc;
}

static int string(struct build *b, const struct wants *w, int *x)
{
    struct patterns p;
    int min, max;

    if (asks_lengths(&b->t, w, "minLength", "maxLength", &min, &max) || patterns(b, w, &p))
        return -1;
    if (max >= 0 && min > max) {
        *x = cfg_alt(b->c, NULL, 0);
    } else if (!p.n) {
        *x = jsoncfg_string(&b->j, min, max);
    } else {
        if (matching(b, &p, min, max, x))
            return -1;
        *x = jsoncfg_quoted(&b->j, *x);
    }
    return 0;
}

static int number(struct build *b, const struct wants *w, bool integer, int *x)
{
    struct jsoncfg_end lo, hi;

    if (asks_range(&b->t, w, &lo, &hi, &integer))
        return -1;
    *x = jsoncfg_range(&b->j, integer, &lo, &hi);
    return 0;
}

/* ---- objects ---- */

struct members {
    struct asks_name *name; // (n)
    size_t n, first_required;
    int *x;    // (n) the expression of each: name, colon, value
    int extra; // that of one more member, or -1
};

static int member_expressions(struct build *b, const struct wants *w, struct members *m)
{
    struct cfg *c = b->c;
    int ws = cfg_call(c, b->j.ws),
        colon = CFG_SEQ(c, cfg_class(c, &(struct cfg_range){':', ':'}, 1), ws);
    const char **text = mem_new((m->n + 1) * sizeof(*text));
    size_t *len = mem_new((m->n + 1) * sizeof(*len));
    struct wants v = {0};
    int rc = 0, more;

    m->x = mem_new((m->n + 1) * sizeof(*m->x));
    m->first_required = m->n;
    for (size_t i = 0; i < m->n && !rc; i++) {
        rc = asks_member(&b->t, w, m->name[i].s, m->name[i].n, &v);
        if (rc) // v holds nothing then
            break;
        v.never = v.never || m->name[i].barred;
        text[i] = m->name[i].s;
        len[i] = m->name[i].n;
        m->x[i] = CFG_SEQ(c, jsoncfg_text(&b->j, text[i], len[i]), colon, call(b, &v));
        if (m->name[i].required && m->first_required == m->n)
            m->first_required = i;
    }
    m->extra = -1;
    more = rc ? -1 : asks_more_members(&b->t, w, m->n > 0, &v);
    if (more > 0) {
        int key = m->n ? jsoncfg_other(&b->j, text, len, (int)m->n) : cfg_call(c, b->j.string);

        m->extra = CFG_SEQ(c, key, colon, call(b, &v));
    }
    free(text);
    free(len);
    return more < 0 ? -1 : 0;
}

/* What follows when some member stands before member i: rules of their own as long as members may
 * be left out from the front on, since each of them is where the text can go on then. */
static int object_body(struct build *b, const struct members *m)
{
    struct cfg *c = b->c;
    int comma = CFG_SEQ(c, cfg_class(c, &(struct cfg_range){',', ','}, 1), cfg_call(c, b->j.ws));
    int after, first, none = cfg_seq(c, NULL, 0);

    after = m->extra < 0 ? none : cfg_repeat(c, CFG_SEQ(c, comma, m->extra), 0, -1);
    first = m->extra < 0 ? none : cfg_repeat(c, CFG_SEQ(c, m->extra, after), 0, 1);
    for (size_t i = m->n; i-- > 0;) {
        int rule, with = CFG_SEQ(c, m->x[i], after);

        if (i <= m->first_required)
            first = m->name[i].required ? with : CFG_ALT(c, with, first);
        after =
            CFG_SEQ(c, cfg_repeat(c, CFG_SEQ(c, comma, m->x[i]), m->name[i].required, 1), after);
        if (i > m->first_required || !i)
            continue;
        rule = cfg_rule(c);
        cfg_define(c, rule, after);
        after = cfg_call(c, rule);
    }
    return first;
}

static int object(struct build *b, const struct wants *w, int *x)
{
    struct cfg *c = b->c;
    struct members m = {0};
    int ws = cfg_call(c, b->j.ws), rc = asks_names(&b->t, w, &m.name, &m.n);
    bool empty = true;

    if (!rc)
        rc = member_expressions(b, w, &m);
    if (!rc) {
        int body = object_body(b, &m);

        empty = m.first_required == m.n;
        body = CFG_SEQ(c, body, ws);
        *x =
            CFG_SEQ(c, cfg_class(c, &(struct cfg_range){'{', '{'}, 1), ws,
                    cfg_repeat(c, body, !empty, 1), cfg_class(c, &(struct cfg_range){'}', '}'}, 1));
    }
    free(m.name);
    free(m.x);
    return rc;
}

/* ---- arrays ---- */

static int array(struct build *b, const struct wants *w, int *x)
{
    struct cfg *c = b->c;
    int ws = cfg_call(c, b->j.ws),
        comma = CFG_SEQ(c, cfg_class(c, &(struct cfg_range){',', ','}, 1), ws);
    int n_prefix = asks_prefix(&b->t, w), min, max, more, item, body = cfg_seq(c, NULL, 0);
    struct wants v = {0};

    if (n_prefix < 0 || asks_lengths(&b->t, w, "minItems", "maxItems", &min, &max))
        return -1;
    if (max >= 0 && min > max) {
        *x = cfg_alt(c, NULL, 0);
        return 0;
    }
    n_prefix = max >= 0 && max < n_prefix ? max : n_prefix;
    more = asks_item(&b->t, w, -1, n_prefix < min, &v);
    if (more < 0)
        return -1;
    if (more && (max < 0 || max > n_prefix)) {
        int least = min > n_prefix ? min - n_prefix : 0, most = max < 0 ? -1 : max - n_prefix;

        item = call(b, &v);
        if (n_prefix)
            body = cfg_repeat(c, CFG_SEQ(c, comma, item), least, most);
        else
            body = cfg_repeat(c,
                              CFG_SEQ(c, item,
                                      cfg_repeat(c, CFG_SEQ(c, comma, item), least ? least - 1 : 0,
                                                 most < 0 ? -1 : most - 1)),
                              least > 0, 1);
    } else {
        wants_free(&v);
        if (min > n_prefix) // more than there may be
            body = cfg_alt(c, NULL, 0);
    }
    for (int i = n_prefix - 1; i >= 0; i--) {
        if (asks_item(&b->t, w, i, false, &v) < 0)
            return -1;
        item = call(b, &v);
        body =
            cfg_repeat(c, i ? CFG_SEQ(c, comma, item, body) : CFG_SEQ(c, item, body), i < min, 1);
    }
    body = CFG_SEQ(c, body, ws);
    *x = CFG_SEQ(c, cfg_class(c, &(struct cfg_range){'[', '['}, 1), ws,
                 cfg_repeat(c, body, min > 0, 1), cfg_class(c, &(struct cfg_range){']', ']'}, 1));
    return 0;
}

/* ---- a set's rule ---- */

/* The values that enum or const give, as far as the set allows them. */
static int literals(struct build *b, const struct wants *w, int list, bool many, unsigned types,
                    int *x)
{
    const struct json *t = b->t.json;
    uint32_t from = many ? (uint32_t)list + 1 : (uint32_t)list;
    uint32_t to = many ? t->node[list].next : from + 1;
    int *part = NULL, n = 0, rc = 0;
    size_t cap = 0;

    for (uint32_t v = from; v < to && !rc; v = many ? t->node[v].next : to) {
        rc = asks_allow(&b->t, w, format_of, types, (int)v);
        if (rc == 1) {
            mem_grow(&part, &cap, (size_t)n + 1, sizeof(*part));
            part[n++] = jsoncfg_literal(&b->j, t, (int)v);
        }
        rc = rc < 0 ? -1 : 0;
    }
    *x = cfg_alt(b->c, part, n);
    free(part);
    return rc;
}

static int by_types(struct build *b, const struct wants *w, unsigned types, int *x)
{
    int part[6], k = 0;

    if (types & WANTS_NULL)
        part[k++] = cfg_text(b->c, "null", 4);
    if (types & WANTS_BOOL)
        part[k++] = CFG_ALT(b->c, cfg_text(b->c, "true", 4), cfg_text(b->c, "false", 5));
    if (types & (WANTS_NUMBER | WANTS_INTEGER) && number(b, w, !(types & WANTS_NUMBER), &part[k++]))
        return -1;
    if (types & WANTS_STRING && string(b, w, &part[k++]))
        return -1;
    if (types & WANTS_OBJECT && object(b, w, &part[k++]))
        return -1;
    if (types & WANTS_ARRAY && array(b, w, &part[k++]))
        return -1;
    *x = cfg_alt(b->c, part, k);
    return 0;
}

/* The branches of one anyOf or oneOf of the set; 0 when there is none left, else 1. */
static int branches(struct build *b, const struct wants *w, int *x)
{
    const struct json *t = b->t.json;
    int list = wants_branches(&b->t, w), *part, n = 0;

    if (list < 0)
        return list == -1 ? 0 : -1;
    part = mem_new(((size_t)t->node[list].size + 1) * sizeof(*part));
    for (uint32_t v = (uint32_t)list + 1; v < t->node[list].next; v = t->node[v].next) {
        struct wants y = {0};

        if (wants_branch(&b->t, w, list, (int)v, &y)) {
            free(part);
            return -1;
        }
        part[n++] = call(b, &y);
    }
    *x = cfg_alt(b->c, part, n);
    free(part);
    return 1;
}

static int rule_body(struct build *b, const struct wants *w, int *x)
{
    int list, rc = branches(b, w, x);
    unsigned types;
    bool many;

    if (rc)
        return rc < 0 ? -1 : 0;
    if (asks_types(&b->t, w, format_of, &types) || asks_values(&b->t, w, &list, &many))
        return -1;
    return list >= 0 ? literals(b, w, list, many, types, x) : by_types(b, w, types, x);
}

static int build(struct build *b)
{
    struct wants w = {0};
    int root = cfg_rule(b->c), x;

    b->c->root = root;
    jsoncfg_init(&b->j, b->c);
    if (wants_add(&b->t, &w, 0))
        return -1;
    cfg_define(b->c, root, call(b, &w));
    while (b->n_queue) {
        struct queued q = b->queue[--b->n_queue];
        int rc = rule_body(b, &q.w, &x);

        wants_free(&q.w);
        if (rc)
            return -1;
        cfg_define(b->c, q.rule, x);
        if (!cfg_fits(b->c) || b->rules.n > RULES || b->n_parts > PARTS)
            return err_set(b->e, ERR_DATA, "the schema is too large, or has too many combinations");
    }
    return 0;
}

int schema_read(struct cfg *c, const char *s, size_t n, struct err *e)
{
    struct arena mem = {0};
    struct json t;
    struct build b = {.c = c, .e = e};
    int rc = -1;

    *c = (struct cfg){0};
    if (n > CFG_TEXT) {
        err_set(e, ERR_DATA, "a schema of %zu bytes, at most %d are supported", n, CFG_TEXT);
    } else if (!json_parse(&t, &mem, s, n, e)) {
        wants_init(&b.t, &t, &mem, e);
        rc = build(&b);
        wants_done(&b.t);
    }
    for (size_t i = 0; i < b.n_queue; i++)
        wants_free(&b.queue[i].w);
    free(b.queue);
    hash_free(&b.rules);
    arena_free(&mem);
    if (rc)
        cfg_free(c);
    return rc;
}
