/* where.c - comparisons of a record's fields. */
#include "where.h"

#include "mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Longest first, so that ">=" is not read as ">". */
static const struct {
    const char *text;
    enum where_op op;
} ops[] = {{">=", WHERE_GE}, {"<=", WHERE_LE}, {"==", WHERE_EQ}, {"!=", WHERE_NE},
           {">", WHERE_GT},  {"<", WHERE_LT},  {"=", WHERE_EQ},  {NULL, WHERE_EQ}};

static char *trimmed(const char *s, const char *end)
{
    while (s < end && (*s == ' ' || *s == '\t'))
        s++;
    while (s < end && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    return mem_dup(s, (size_t)(end - s));
}

int where_parse(struct where *w, const char *text, struct err *e)
{
    const char *at = text + strcspn(text, "<>=!");
    char *end;
    size_t n;
    int i = 0;

    *w = (struct where){.text = text};
    while (ops[i].text && strncmp(at, ops[i].text, strlen(ops[i].text)))
        i++;
    if (!*at || !ops[i].text)
        return err_set(e, ERR_ARG, "'%s' is not FIELD OP VALUE with OP one of >= <= == = != > <",
                       text);
    w->op = ops[i].op;
    w->field = trimmed(text, at);
    at += strlen(ops[i].text);
    w->value = trimmed(at, at + strlen(at));
    n = strlen(w->value);
    if (!*w->field || !n) {
        where_free(w);
        return err_set(e, ERR_ARG, "'%s' has no %s", text, *at ? "field" : "value");
    }
    if (n >= 2 && (*w->value == '"' || *w->value == '\'') && w->value[n - 1] == *w->value) {
        memmove(w->value, w->value + 1, n - 2);
        w->value[n - 2] = 0;
    } else {
        w->x = strtod(w->value, &end);
        w->number = !*end && isfinite(w->x);
    }
    if (w->number || w->op == WHERE_EQ || w->op == WHERE_NE)
        return 0;
    where_free(w);
    return err_set(e, ERR_ARG, "'%s': text can be compared by == and != only", text);
}

void where_free(struct where *w)
{
    free(w->field);
    free(w->value);
    *w = (struct where){0};
}

/* The node of a field's value in *j, or -1. Names with dots go through objects. */
static int find(struct record *r, const char *field, struct json *j)
{
    size_t n = strlen(field), k = strcspn(field, ".");
    int at = record_member(r, field, n, j);

    if (at >= 0 || k == n)
        return at;
    at = record_member(r, field, k, j);
    while (at >= 0 && k < n) {
        const char *name = field + k + 1;
        size_t len = strcspn(name, ".");

        at = json_find(j, at, name, len);
        k += len + 1;
    }
    return at;
}

const char *where_get(struct record *r, const char *field, size_t *n)
{
    struct json j;
    int at = find(r, field, &j);

    return at < 0 ? NULL : json_raw(&j, at, n);
}

int where_num(struct record *r, const char *field, double *out)
{
    struct json j;
    int at = find(r, field, &j);

    return at < 0 ? -1 : json_num(&j, at, out);
}

static bool equal_text(const char *a, size_t n, const char *b)
{
    return n == strlen(b) && !memcmp(a, b, n);
}

bool where_compare(const struct where *w, double x)
{
    return w->op == WHERE_GE   ? x >= w->x
           : w->op == WHERE_LE ? x <= w->x
           : w->op == WHERE_EQ ? x == w->x
           : w->op == WHERE_NE ? x != w->x
           : w->op == WHERE_GT ? x > w->x
                               : x < w->x;
}

bool where_holds(const struct where *w, struct record *r)
{
    size_t n = 0;
    const char *s;
    struct json j;
    int at = find(r, w->field, &j);
    double x;

    if (at < 0)
        return false;
    if (!w->number) {
        s = json_str(&j, at, &r->mem, &n);
        s = s ? s : json_raw(&j, at, &n); // true, null
        return equal_text(s, n, w->value) == (w->op == WHERE_EQ);
    }
    if (json_num(&j, at, &x)) // of another type, so unequal
        return w->op == WHERE_NE;
    return where_compare(w, x);
}
