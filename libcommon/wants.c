/* wants.c - what a JSON Schema asks of a value. */
#include "wants.h"

#include "meet.h"
#include "mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Keywords that are supported beside anyOf and oneOf, and those that say nothing about values. */
static const char *const keywords[] = {"type",
                                       "enum",
                                       "const",
                                       "nullable",
                                       "properties",
                                       "required",
                                       "additionalProperties",
                                       "unevaluatedProperties",
                                       "items",
                                       "prefixItems",
                                       "minItems",
                                       "maxItems",
                                       "uniqueItems",
                                       "minLength",
                                       "maxLength",
                                       "pattern",
                                       "format",
                                       "minimum",
                                       "maximum",
                                       "exclusiveMinimum",
                                       "exclusiveMaximum",
                                       "multipleOf"};
static const char *const notes[] = {"$ref",
                                    "allOf",
                                    "$defs",
                                    "definitions",
                                    "$schema",
                                    "$comment",
                                    "$anchor",
                                    "title",
                                    "description",
                                    "default",
                                    "examples",
                                    "example",
                                    "deprecated",
                                    "readOnly",
                                    "writeOnly",
                                    "contentEncoding",
                                    "contentMediaType",
                                    "contentSchema"};

/* ---- places in the text ---- */

static void member_key(struct buf *b, uint32_t node, const char *key, size_t n)
{
    buf_reset(b);
    buf_add(b, &node, sizeof(node));
    buf_add(b, key, n);
}

void wants_init(struct wants_text *t, const struct json *j, struct arena *mem, struct err *e)
{
    struct buf b = {0};

    *t = (struct wants_text){.json = j, .mem = mem, .left = MEET_STEPS, .e = e};
    for (uint32_t o = 0; o < j->n_node; o++)
        for (uint32_t k = o + 1; j->node[o].type == JSON_OBJECT && k < j->node[o].next;
             k = j->node[k + 1].next) {
            size_t n;
            const char *key = json_str(j, (int)k, mem, &n);

            member_key(&b, o, key, n);
            hash_put(&t->member, b.p, b.n, (int)k + 1);
        }
    buf_free(&b);
}

void wants_done(struct wants_text *t)
{
    hash_free(&t->member);
    *t = (struct wants_text){0};
}

void wants_free(struct wants *w)
{
    free(w->w);
    *w = (struct wants){0};
}

int wants_find(const struct wants_text *t, uint32_t node, const char *key, size_t n)
{
    struct buf b = {0};
    const int *at;

    member_key(&b, node, key, n);
    at = hash_find(&t->member, b.p, b.n);
    buf_free(&b);
    return at ? *at : -1;
}

int wants_get(const struct wants_text *t, uint32_t node, const char *key)
{
    return wants_find(t, node, key, strlen(key));
}

static void put_key(const struct wants_text *t, int key, struct buf *b)
{
    size_t n;
    const char *s = json_str(t->json, key, t->mem, &n);

    buf_char(b, '/');
    for (size_t i = 0; i < n && i < 80; i++) {
        if (s[i] == '~' || s[i] == '/')
            buf_str(b, s[i] == '~' ? "~0" : "~1");
        else
            buf_char(b, s[i]);
    }
}

/* The JSON pointer of a node. */
static void pointer(const struct wants_text *t, int node, struct buf *b)
{
    const struct json *j = t->json;
    uint32_t at = 0;

    while (node >= 0 && at != (uint32_t)node) {
        bool object = j->node[at].type == JSON_OBJECT;
        uint32_t k = at + 1, i = 0, v = object ? k + 1 : k;

        for (; j->node[v].next <= (uint32_t)node; i++) {
            k = j->node[v].next;
            v = object ? k + 1 : k;
        }
        if (object)
            put_key(t, (int)k, b);
        else
            buf_fmt(b, "/%u", i);
        if (v > (uint32_t)node) // the key itself
            return;
        at = v;
    }
}

int wants_fail(const struct wants_text *t, int node, const char *fmt, ...)
{
    struct buf at = {0};
    char what[300];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    pointer(t, node, &at);
    err_set(t->e, ERR_DATA, "%.150s: %s", at.n ? at.p : "the schema", what);
    buf_free(&at);
    return -1;
}

/* Append one character of a pointer in a reference, which may be escaped (~1, %20); returns how
 * many characters more than one it was. */
static int pointer_char(const char *s, struct buf *b)
{
    unsigned c;

    if (*s == '~' && (s[1] == '0' || s[1] == '1')) {
        buf_char(b, s[1] == '0' ? '~' : '/');
        return 1;
    }
    if (*s == '%' && s[1] && s[2] && sscanf(s + 1, "%2x", &c) == 1) {
        buf_char(b, (char)c);
        return 2;
    }
    buf_char(b, *s);
    return 0;
}

/* The node that "#", "#/a/b" or "#anchor" names. */
static int resolve(struct wants_text *t, int ref, uint32_t *node)
{
    const struct json *j = t->json;
    size_t n = 0;
    const char *s = json_str(j, ref, t->mem, &n);
    struct buf b = {0};
    int at = 0;

    if (!s || *s != '#')
        return wants_fail(t, ref, "only references within the schema ('#...') are supported");
    if (s[1] && s[1] != '/') {
        for (uint32_t o = 0; o < j->n_node; o++) {
            int a = wants_get(t, o, "$anchor");

            if (a >= 0 && json_str_is(j, a, s + 1)) {
                *node = o;
                return 0;
            }
        }
        at = -1;
    }
    for (s++; at >= 0 && *s == '/';) {
        buf_reset(&b);
        for (s++; *s && *s != '/'; s++)
            s += pointer_char(s, &b);
        if (j->node[at].type == JSON_ARRAY)
            at = b.n && b.n < 9 && strspn(b.p, "0123456789") == b.n
                     ? json_at(j, at, (uint32_t)atoi(b.p))
                     : -1;
        else
            at = wants_find(t, (uint32_t)at, buf_cstr(&b), b.n);
    }
    buf_free(&b);
    if (at < 0)
        return wants_fail(t, ref, "the reference leads nowhere");
    *node = (uint32_t)at;
    return 0;
}

/* ---- sets ---- */

static bool among(const struct json *j, uint32_t key, const char *const *name, size_t n)
{
    size_t i = 0;

    while (i < n && !json_str_is(j, (int)key, name[i]))
        i++;
    return i < n;
}

enum { SAYS = 1, BRANCHES = 2 };

/* What a schema itself asks of values: SAYS something, has BRANCHES; $ref and allOf only lead on.
 * -1 when a keyword is not supported. */
static int check(struct wants_text *t, uint32_t node)
{
    const struct json *j = t->json;
    int says = 0;

    for (uint32_t k = node + 1; k < j->node[node].next; k = j->node[k + 1].next) {
        if (json_str_is(j, (int)k, "anyOf") || json_str_is(j, (int)k, "oneOf"))
            says |= BRANCHES;
        else if (among(j, k, keywords, sizeof(keywords) / sizeof(*keywords)))
            says |= SAYS;
        else if (!among(j, k, notes, sizeof(notes) / sizeof(*notes)) &&
                 (node || !json_str_is(j, (int)k, "$id"))) // $id of the whole is a note
            return wants_fail(t, (int)node, "keyword '%.60s' is not supported",
                              json_str(j, (int)k, t->mem, NULL));
    }
    return says;
}

static int push(struct wants_text *t, struct wants *w, struct want x)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->w[i].node == x.node && w->w[i].taken == x.taken)
            return 0;
    if (w->n == WANTS_MAX)
        return wants_fail(t, (int)x.node, "more than %d schemas for one value", WANTS_MAX);
    mem_grow(&w->w, &w->cap, w->n + 1, sizeof(*w->w));
    w->w[w->n++] = x;
    return 0;
}

static int follow(struct wants_text *t, struct wants *w, uint32_t node, int depth)
{
    const struct json *j = t->json;
    int says, ref, all;

    if (j->node[node].type == JSON_BOOL) {
        w->never = w->never || !json_true(j, (int)node);
        return 0;
    }
    if (j->node[node].type != JSON_OBJECT)
        return wants_fail(t, (int)node, "a schema must be an object, true or false");
    for (int i = 0; i < depth; i++)
        if (t->path[i] == node)
            return wants_fail(t, (int)node, "references lead back to where they began");
    if (depth == WANTS_DEPTH)
        return wants_fail(t, (int)node, "references are nested too deeply");
    t->path[depth] = node;
    says = check(t, node);
    if (says < 0 || (says && push(t, w, (struct want){node, 0})))
        return -1;
    ref = wants_get(t, node, "$ref");
    if (ref >= 0) {
        uint32_t to = 0;

        if (resolve(t, ref, &to) || follow(t, w, to, depth + 1))
            return -1;
    }
    all = wants_get(t, node, "allOf");
    if (all < 0)
        return 0;
    if (j->node[all].type != JSON_ARRAY)
        return wants_fail(t, all, "must be an array");
    for (uint32_t k = (uint32_t)all + 1; k < j->node[all].next; k = j->node[k].next)
        if (follow(t, w, k, depth + 1))
            return -1;
    return 0;
}

int wants_add(struct wants_text *t, struct wants *w, int node)
{
    int rc = follow(t, w, (uint32_t)node, 0);

    if (rc)
        wants_free(w);
    return rc;
}

static const char *const lists[] = {"anyOf", "oneOf"};

int wants_beneath(struct wants_text *t, struct wants *w, int node)
{
    const struct json *j = t->json;

    if (wants_add(t, w, node))
        return -1;
    for (size_t i = 0; i < w->n; i++)
        for (int k = 0; k < 2; k++) {
            int list = wants_get(t, w->w[i].node, lists[k]);

            for (uint32_t v = (uint32_t)list + 1; list >= 0 && v < j->node[list].next;
                 v = j->node[v].next)
                if (wants_add(t, w, (int)v))
                    return -1;
        }
    return 0;
}

static int by_node(const void *a, const void *b)
{
    const struct want *x = a, *y = b;

    if (x->node != y->node)
        return x->node < y->node ? -1 : 1;
    return x->taken < y->taken ? -1 : x->taken > y->taken;
}

void wants_sort(struct wants *w)
{
    qsort(w->w, w->n, sizeof(*w->w), by_node);
}

int wants_branches(struct wants_text *t, const struct wants *w)
{
    for (size_t i = 0; i < w->n; i++)
        for (int k = 0; k < 2; k++) {
            int list = wants_get(t, w->w[i].node, lists[k]);

            if (list < 0 || w->w[i].taken >> k & 1)
                continue;
            if (t->json->node[list].type == JSON_ARRAY)
                return list;
            wants_fail(t, list, "must be an array");
            return -2;
        }
    return -1;
}

int wants_branch(struct wants_text *t, const struct wants *w, int list, int branch,
                 struct wants *out)
{
    *out = (struct wants){0};
    for (size_t i = 0; i < w->n; i++) {
        struct want x = w->w[i];
        bool left = false;

        for (uint32_t k = 0; k < 2; k++) {
            int at = wants_get(t, x.node, lists[k]);

            x.taken |= at == list ? (uint32_t)1 << k : 0;
            left = left || (at >= 0 && !(x.taken >> k & 1));
        }
        /* A schema of which all is done is left out: so recursion comes back to equal sets. */
        if ((left || check(t, x.node) & SAYS) && push(t, out, x)) {
            wants_free(out);
            return -1;
        }
    }
    return wants_add(t, out, branch);
}
