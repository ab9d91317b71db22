/* asks.c - what the keywords of a set of schemas ask of a value. */
#include "asks.h"

#include "meet.h"
#include "mem.h"
#include "utf8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Keywords that speak of values of some types only. */
static const struct keyword {
    const char *name;
    unsigned types;
} keywords[] = {
    {"properties", WANTS_OBJECT},
    {"required", WANTS_OBJECT},
    {"additionalProperties", WANTS_OBJECT},
    {"unevaluatedProperties", WANTS_OBJECT},
    {"items", WANTS_ARRAY},
    {"prefixItems", WANTS_ARRAY},
    {"minItems", WANTS_ARRAY},
    {"maxItems", WANTS_ARRAY},
    {"uniqueItems", WANTS_ARRAY},
    {"minLength", WANTS_STRING},
    {"maxLength", WANTS_STRING},
    {"pattern", WANTS_STRING},
    {"minimum", WANTS_INTEGER | WANTS_NUMBER},
    {"maximum", WANTS_INTEGER | WANTS_NUMBER},
    {"exclusiveMinimum", WANTS_INTEGER | WANTS_NUMBER},
    {"exclusiveMaximum", WANTS_INTEGER | WANTS_NUMBER},
    {"multipleOf", WANTS_INTEGER | WANTS_NUMBER},
};

enum { KEYWORDS = sizeof(keywords) / sizeof(*keywords) };

/* ---- types ---- */

static unsigned type_named(const struct json *j, int node)
{
    static const struct {
        const char *name;
        unsigned bits;
    } types[] = {{"null", WANTS_NULL},       {"boolean", WANTS_BOOL},
                 {"integer", WANTS_INTEGER}, {"number", WANTS_INTEGER | WANTS_NUMBER},
                 {"string", WANTS_STRING},   {"object", WANTS_OBJECT},
                 {"array", WANTS_ARRAY}};

    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
        if (json_str_is(j, node, types[i].name))
            return types[i].bits;
    return 0;
}

/* The types that `type` of one schema allows; WANTS_ALL without it, 0 on error. */
static unsigned types_said(struct wants_text *t, uint32_t node)
{
    const struct json *j = t->json;
    int at = wants_get(t, node, "type");
    unsigned bits = 0, one;

    if (at < 0)
        return WANTS_ALL;
    if (j->node[at].type != JSON_ARRAY) {
        bits = type_named(j, at);
        if (!bits)
            wants_fail(t, at, "no known type");
    }
    for (uint32_t k = (uint32_t)at + 1; j->node[at].type == JSON_ARRAY && k < j->node[at].next;
         k = j->node[k].next) {
        one = type_named(j, (int)k);
        if (!one) {
            wants_fail(t, (int)k, "no known type");
            return 0;
        }
        bits |= one;
    }
    if (!bits && j->node[at].type == JSON_ARRAY)
        wants_fail(t, at, "no type at all");
    if (bits && json_true(j, wants_get(t, node, "nullable")))
        bits |= WANTS_NULL;
    return bits;
}

static unsigned types_meant(struct wants_text *t, uint32_t node, asks_format *format)
{
    int named = wants_get(t, node, "format");
    const char *name = named < 0 ? NULL : json_str(t->json, named, t->mem, NULL);
    unsigned bits = name && format(name) ? WANTS_STRING : 0;

    for (int i = 0; i < KEYWORDS; i++)
        if (wants_get(t, node, keywords[i].name) >= 0)
            bits |= keywords[i].types;
    return bits;
}

int asks_types(struct wants_text *t, const struct wants *w, asks_format *format, unsigned *types)
{
    unsigned meant = 0;
    bool said = false;

    *types = WANTS_ALL;
    for (size_t i = 0; i < w->n; i++) {
        uint32_t node = w->w[i].node;
        unsigned bits = types_said(t, node);

        if (!bits)
            return -1;
        *types &= bits;
        said = said || wants_get(t, node, "type") >= 0 || wants_get(t, node, "enum") >= 0 ||
               wants_get(t, node, "const") >= 0;
        meant |= types_meant(t, node, format);
    }
    if (!said && meant)
        *types &= meant;
    return 0;
}

/* ---- values ---- */

int asks_values(struct wants_text *t, const struct wants *w, int *node, bool *many)
{
    *node = -1;
    for (size_t i = 0; i < w->n; i++)
        for (int k = 0; k < 2; k++) {
            int at = wants_get(t, w->w[i].node, k ? "const" : "enum");

            if (at < 0)
                continue;
            if (!k && t->json->node[at].type != JSON_ARRAY)
                return wants_fail(t, at, "must be an array");
            *node = at;
            *many = !k;
        }
    return 0;
}

static bool same_number(const struct json *j, uint32_t a, uint32_t b)
{
    struct jsoncfg_end x, y;
    size_t n, m;
    const char *s = json_raw(j, (int)a, &n), *r = json_raw(j, (int)b, &m);

    if (n == m && !memcmp(s, r, n))
        return true;
    return !jsoncfg_end_read(&x, s, n, false) && !jsoncfg_end_read(&y, r, m, false) &&
           !jsoncfg_end_compare(&x, &y);
}

static bool same(struct wants_text *t, uint32_t a, uint32_t b)
{
    const struct json *j = t->json;
    const struct json_node *x = &j->node[a], *y = &j->node[b];
    size_t n, m;
    const char *s, *r;

    if (x->type != y->type || x->size != y->size)
        return false;
    switch (x->type) {
    case JSON_NUMBER:
        return same_number(j, a, b);
    case JSON_STRING:
        s = json_str(j, (int)a, t->mem, &n);
        r = json_str(j, (int)b, t->mem, &m);
        return n == m && !memcmp(s, r, n);
    case JSON_ARRAY:
        for (a++, b++; a < x->next; a = j->node[a].next, b = j->node[b].next)
            if (!same(t, a, b))
                return false;
        return true;
    case JSON_OBJECT:
        for (uint32_t k = a + 1; k < x->next; k = j->node[k + 1].next) {
            int v;

            s = json_str(j, (int)k, t->mem, &n);
            v = wants_find(t, b, s, n);
            if (v < 0 || !same(t, k + 1, (uint32_t)v))
                return false;
        }
        return true;
    case JSON_BOOL:
        return json_true(j, (int)a) == json_true(j, (int)b);
    default:
        return true;
    }
}

static unsigned type_of(const struct json *j, int v)
{
    static const unsigned bits[] = {WANTS_NULL,   WANTS_BOOL,  WANTS_NUMBER,
                                    WANTS_STRING, WANTS_ARRAY, WANTS_OBJECT};
    enum json_type type = json_type(j, v);
    double x;

    if (type == JSON_NUMBER && !json_num(j, v, &x) && x > -1e15 && x < 1e15 &&
        x == (double)(int64_t)x)
        return WANTS_INTEGER;
    return bits[type];
}

/* Is v in a list, or like a value in it? */
static bool listed(struct wants_text *t, int list, int v)
{
    const struct json *j = t->json;

    if (v > list && v < (int)j->node[list].next)
        return true;
    for (uint32_t k = (uint32_t)list + 1; k < j->node[list].next; k = j->node[k].next)
        if (same(t, k, (uint32_t)v))
            return true;
    return false;
}

/* Within the lengths or the range that the set asks for? */
static int measured(struct wants_text *t, const struct wants *w, unsigned type, int v)
{
    size_t n, len;
    const char *s = json_raw(t->json, v, &len);
    struct jsoncfg_end lo, hi, x;
    int min, max, count = 0;
    bool integer = false;
    uint32_t cp;

    if (type == WANTS_STRING) {
        if (asks_lengths(t, w, "minLength", "maxLength", &min, &max))
            return -1;
        s = json_str(t->json, v, t->mem, &n);
        for (size_t i = 0; i < n; count++)
            i += (size_t)utf8_get(s + i, n - i, &cp);
        return count >= min && (max < 0 || count <= max);
    }
    if (asks_range(t, w, &lo, &hi, &integer))
        return -1;
    if (!lo.there && !hi.there)
        return !integer || type == WANTS_INTEGER;
    if (jsoncfg_end_read(&x, s, len, false))
        return wants_fail(t, v, "a number of more than 15 digits beside a range");
    min = lo.there ? jsoncfg_end_compare(&x, &lo) : 1;
    max = hi.there ? jsoncfg_end_compare(&x, &hi) : -1;
    return (!integer || type == WANTS_INTEGER) && min >= (lo.there && lo.exclusive) &&
           max <= -(int)(hi.there && hi.exclusive);
}

/* Does a string match an expression that is read at a node? */
static int matches(struct wants_text *t, int node, const char *p, size_t m, int v)
{
    size_t n;
    const char *s = json_str(t->json, v, t->mem, &n);
    struct cfg c = {0};
    int x, rc = -1;

    t->left -= (int64_t)m;
    if (!regex_read(&c, p, m, cfg_class, &x, t->e))
        rc = meet_has(&c, x, s, n, &t->left, t->e);
    if (rc < 0)
        wants_fail(t, node, "%s", t->e->msg);
    cfg_free(&c);
    return rc;
}

/* Is a string of the pattern and the format of one schema? What the format's expression leaves out
 * may be of it all the same. */
static int well_formed(struct wants_text *t, uint32_t node, asks_format *format, int v)
{
    int pattern = wants_get(t, node, "pattern"), named = wants_get(t, node, "format"), rc = 1;
    size_t n;
    const char *s;

    if (pattern >= 0) {
        s = json_str(t->json, pattern, t->mem, &n);
        rc = s ? matches(t, pattern, s, n, v) : wants_fail(t, pattern, "is no string");
    }
    if (named < 0 || rc != 1)
        return rc;
    s = json_str(t->json, named, t->mem, NULL);
    if (!s)
        return wants_fail(t, named, "is no string");
    if (!format(s))
        return wants_fail(t, named, "format '%.60s' is not supported", s);
    rc = matches(t, named, format(s), strlen(format(s)), v);
    return rc ? rc : wants_fail(t, v, "cannot be told to be of format '%.60s'", s);
}

int asks_allow(struct wants_text *t, const struct wants *w, asks_format *format, unsigned types,
               int value)
{
    unsigned type = type_of(t->json, value);

    if (!(type & types))
        return 0;
    for (size_t i = 0; i < w->n; i++) {
        uint32_t node = w->w[i].node;
        int list = wants_get(t, node, "enum"), one = wants_get(t, node, "const");
        int match = 1;

        if ((list >= 0 && !listed(t, list, value)) ||
            (one >= 0 && !same(t, (uint32_t)one, (uint32_t)value)))
            return 0;
        if (type == WANTS_STRING)
            match = well_formed(t, node, format, value);
        if (match != 1)
            return match;
        for (int k = 0; k < KEYWORDS; k++) {
            bool simple = strstr(keywords[k].name, "Length") || keywords[k].types & WANTS_NUMBER ||
                          !strcmp(keywords[k].name, "pattern");

            if (keywords[k].types & type && !simple && wants_get(t, node, keywords[k].name) >= 0)
                return wants_fail(t, (int)node, "'%s' beside enum or const is not supported",
                                  keywords[k].name);
        }
    }
    return type & (WANTS_STRING | WANTS_NUMBER | WANTS_INTEGER) ? measured(t, w, type, value) : 1;
}

/* ---- measures ---- */

/* A keyword that is a count: 0 or more; what is above CFG_TIMES is no limit. */
static int count_of(struct wants_text *t, uint32_t node, const char *key, int *at, int *v)
{
    double x;

    *at = wants_get(t, node, key);
    if (*at < 0)
        return 0;
    if (json_num(t->json, *at, &x) || x < 0 || x != floor(x))
        return wants_fail(t, *at, "must be an integer that is not negative");
    *v = x < CFG_TIMES ? (int)x : CFG_TIMES;
    return 0;
}

int asks_lengths(struct wants_text *t, const struct wants *w, const char *min, const char *max,
                 int *lo, int *hi)
{
    *lo = 0;
    *hi = -1;
    for (size_t i = 0; i < w->n; i++) {
        int at, v = 0;

        if (count_of(t, w->w[i].node, min, &at, &v))
            return -1;
        if (at >= 0 && v > *lo)
            *lo = v;
        if (count_of(t, w->w[i].node, max, &at, &v))
            return -1;
        if (at >= 0 && v < CFG_TIMES && (*hi < 0 || v < *hi))
            *hi = v;
    }
    return 0;
}

static int end(struct wants_text *t, uint32_t node, const char *key, bool exclusive, int sign,
               struct jsoncfg_end *x)
{
    int at = wants_get(t, node, key), order;
    struct jsoncfg_end y;
    size_t n;
    const char *s;

    if (at < 0)
        return 0;
    s = json_raw(t->json, at, &n);
    if (!json_is(t->json, at, JSON_NUMBER))
        return wants_fail(t, at, "must be a number");
    if (jsoncfg_end_read(&y, s, n, exclusive))
        return wants_fail(t, at, "a number of more than 15 digits");
    if (y.n_int > 15 && y.negative == (sign < 0))
        return wants_fail(t, at, "numbers have at most 15 digits before the point here");
    order = x->there ? sign * jsoncfg_end_compare(&y, x) : 1;
    if (order > 0 || (!order && exclusive))
        *x = y;
    return 0;
}

int asks_range(struct wants_text *t, const struct wants *w, struct jsoncfg_end *lo,
               struct jsoncfg_end *hi, bool *integer)
{
    *lo = *hi = (struct jsoncfg_end){0};
    for (size_t i = 0; i < w->n; i++) {
        uint32_t node = w->w[i].node;
        int of = wants_get(t, node, "multipleOf");
        double x;

        if (of >= 0 && (json_num(t->json, of, &x) || x != 1))
            return wants_fail(t, of, "'multipleOf' is supported for 1 only");
        *integer = *integer || of >= 0;
        if (end(t, node, "minimum", false, 1, lo) ||
            end(t, node, "exclusiveMinimum", true, 1, lo) ||
            end(t, node, "maximum", false, -1, hi) ||
            end(t, node, "exclusiveMaximum", true, -1, hi))
            return -1;
    }
    return 0;
}

/* ---- objects ---- */

struct naming {
    struct asks_name *name;
    size_t n, cap;
    struct hash_table seen; // name -> index
};

/* A name of a member, from a string node. */
static int add_name(struct wants_text *t, struct naming *x, int node, bool required)
{
    size_t n;
    const char *s = json_str(t->json, node, t->mem, &n);
    int *at;

    if (!s)
        return wants_fail(t, node, "must be a string");
    if (n > CFG_DEPTH)
        return wants_fail(t, node, "a name of more than %d bytes", CFG_DEPTH);
    at = hash_put(&x->seen, s, n, (int)x->n);
    if (*at == (int)x->n) {
        mem_grow(&x->name, &x->cap, x->n + 1, sizeof(*x->name));
        x->name[x->n++] = (struct asks_name){s, n, false, false};
    }
    x->name[*at].required = x->name[*at].required || required;
    return 0;
}

static bool holds(const struct wants *w, uint32_t node)
{
    size_t i = 0;

    while (i < w->n && w->w[i].node != node)
        i++;
    return i < w->n;
}

/* Bar the names that an unevaluatedProperties of a schema does not see: it looks at the schema
 * and what is beneath it, of which the set holds what is true of the value. *open: it sees all. */
static int bar(struct wants_text *t, const struct wants *w, uint32_t node, struct naming *x,
               bool *open)
{
    const struct json *j = t->json;
    int rest = wants_get(t, node, "unevaluatedProperties");
    bool *seen = mem_zero(x->n + 1, sizeof(*seen));
    struct wants in = {0};
    int rc = 0;

    *open = rest < 0 || json_true(j, rest);
    if (rest >= 0 && !json_is(j, rest, JSON_BOOL))
        rc = wants_fail(t, rest, "'unevaluatedProperties' is supported as true or false only");
    if (!rc && !*open)
        rc = wants_beneath(t, &in, (int)node);
    for (size_t i = 0; i < in.n && !rc && !*open; i++) {
        uint32_t at = in.w[i].node;
        int named = wants_get(t, at, "properties");

        if (!holds(w, at))
            continue;
        *open = wants_get(t, at, "additionalProperties") >= 0 ||
                json_true(j, wants_get(t, at, "unevaluatedProperties"));
        for (size_t k = 0; k < x->n && named >= 0; k++)
            seen[k] = seen[k] || wants_find(t, (uint32_t)named, x->name[k].s, x->name[k].n) >= 0;
    }
    for (size_t k = 0; k < x->n && !*open; k++)
        x->name[k].barred = x->name[k].barred || !seen[k];
    free(seen);
    wants_free(&in);
    return rc;
}

int asks_names(struct wants_text *t, const struct wants *w, struct asks_name **name, size_t *n)
{
    const struct json *j = t->json;
    struct naming x = {0};
    bool open;
    int rc = 0;

    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < w->n && !rc; i++) {
            int at = wants_get(t, w->w[i].node, pass ? "required" : "properties");
            uint32_t k = (uint32_t)at + 1;

            if (at < 0)
                continue;
            if (j->node[at].type != (pass ? JSON_ARRAY : JSON_OBJECT))
                rc = wants_fail(t, at, pass ? "must be an array" : "must be an object");
            for (; !rc && k < j->node[at].next; k = pass ? j->node[k].next : j->node[k + 1].next)
                rc = add_name(t, &x, (int)k, pass);
        }
    for (size_t i = 0; i < w->n && !rc; i++)
        rc = bar(t, w, w->w[i].node, &x, &open);
    hash_free(&x.seen);
    *name = x.name;
    *n = x.n;
    return rc;
}

int asks_member(struct wants_text *t, const struct wants *w, const char *name, size_t n,
                struct wants *out)
{
    *out = (struct wants){0};
    for (size_t i = 0; i < w->n; i++) {
        uint32_t node = w->w[i].node;
        int all = wants_get(t, node, "properties");
        int at = all < 0 ? -1 : wants_find(t, (uint32_t)all, name, n);

        if (at < 0)
            at = wants_get(t, node, "additionalProperties");
        if (at >= 0 && wants_add(t, out, at))
            return -1;
    }
    return 0;
}

int asks_more_members(struct wants_text *t, const struct wants *w, bool named, struct wants *out)
{
    bool said = false, closed = false, open;

    *out = (struct wants){0};
    for (size_t i = 0; i < w->n; i++) {
        int at = wants_get(t, w->w[i].node, "additionalProperties");

        if (bar(t, w, w->w[i].node, &(struct naming){0}, &open)) {
            wants_free(out);
            return -1;
        }
        closed = closed || !open;
        said = said || at >= 0;
        if (at >= 0 && wants_add(t, out, at))
            return -1;
    }
    if (!out->never && !closed && (said || !named))
        return 1;
    wants_free(out);
    return 0;
}

/* ---- arrays ---- */

int asks_prefix(struct wants_text *t, const struct wants *w)
{
    uint32_t most = 0;

    for (size_t i = 0; i < w->n; i++) {
        int at = wants_get(t, w->w[i].node, "prefixItems");
        int unique = wants_get(t, w->w[i].node, "uniqueItems");

        if (json_true(t->json, unique))
            return wants_fail(t, unique, "'uniqueItems' is not supported");
        if (at >= 0 && t->json->node[at].type != JSON_ARRAY)
            return wants_fail(t, at, "must be an array");
        if (at >= 0 && t->json->node[at].size > most)
            most = t->json->node[at].size;
    }
    return (int)most;
}

int asks_item(struct wants_text *t, const struct wants *w, int i, bool needed, struct wants *out)
{
    bool said = false, prefixed = false;

    *out = (struct wants){0};
    for (size_t k = 0; k < w->n; k++) {
        int list = wants_get(t, w->w[k].node, "prefixItems");
        int at = i >= 0 && list >= 0 ? json_at(t->json, list, (uint32_t)i) : -1;

        prefixed = prefixed || list >= 0;
        if (at < 0) {
            at = wants_get(t, w->w[k].node, "items");
            said = said || at >= 0;
        }
        if (at >= 0 && wants_add(t, out, at))
            return -1;
    }
    if (i >= 0 || (!out->never && (said || needed || !prefixed)))
        return 1;
    wants_free(out);
    return 0;
}
