/* cfg.c - context-free grammars as expressions over code points. */
#include "cfg.h"

#include "mem.h"
#include "utf8.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void cfg_free(struct cfg *c)
{
    free(c->node);
    free(c->range);
    free(c->part);
    free(c->body);
    *c = (struct cfg){0};
}

bool cfg_fits(const struct cfg *c)
{
    return c->n_nodes < CFG_NODES && c->n_parts < CFG_NODES && c->n_ranges < CFG_NODES &&
           c->n_rules < CFG_NODES;
}

static int add(struct cfg *c, struct cfg_node x)
{
    mem_grow(&c->node, &c->cap_nodes, c->n_nodes + 1, sizeof(*c->node));
    c->node[c->n_nodes] = x;
    return (int)c->n_nodes++;
}

static int by_lo(const void *a, const void *b)
{
    const struct cfg_range *x = a, *y = b;

    return x->lo < y->lo ? -1 : x->lo > y->lo;
}

int cfg_class(struct cfg *c, const struct cfg_range *range, int n)
{
    size_t from = c->n_ranges, to = from;
    struct cfg_range *r;

    mem_grow(&c->range, &c->cap_ranges, from + (size_t)n, sizeof(*c->range));
    r = c->range;
    if (n)
        memcpy(r + from, range, (size_t)n * sizeof(*r));
    if (n)
        qsort(r + from, (size_t)n, sizeof(*r), by_lo);
    for (size_t i = from; i < from + (size_t)n; i++) {
        if (to > from && r[i].lo <= r[to - 1].hi + 1)
            r[to - 1].hi = r[i].hi > r[to - 1].hi ? r[i].hi : r[to - 1].hi;
        else
            r[to++] = r[i];
    }
    c->n_ranges = to;
    return add(c, (struct cfg_node){CFG_CLASS, (int)from, (int)(to - from), 0, 0});
}

int cfg_not(struct cfg *c, const struct cfg_range *range, int n)
{
    int x = cfg_class(c, range, n);
    size_t from = (size_t)c->node[x].at, k = (size_t)c->node[x].n;
    uint32_t next = 0;

    mem_grow(&c->range, &c->cap_ranges, from + 2 * k + 1, sizeof(*c->range));
    for (size_t i = from; i < from + k; i++) { // what lies between goes behind, then to the front
        if (c->range[i].lo > next)
            c->range[c->n_ranges++] = (struct cfg_range){next, c->range[i].lo - 1};
        next = c->range[i].hi + 1;
    }
    if (next <= CFG_LAST)
        c->range[c->n_ranges++] = (struct cfg_range){next, CFG_LAST};
    c->node[x].at = (int)(from + k);
    c->node[x].n = (int)(c->n_ranges - from - k);
    return x;
}

int cfg_text(struct cfg *c, const char *s, size_t n)
{
    int *part = mem_new((n + 1) * sizeof(*part)), k = 0, x;
    uint32_t cp;

    for (size_t i = 0; i < n;) {
        i += (size_t)utf8_get(s + i, n - i, &cp);
        part[k++] = cfg_class(c, &(struct cfg_range){cp, cp}, 1);
    }
    x = cfg_seq(c, part, k);
    free(part);
    return x;
}

static int list(struct cfg *c, enum cfg_op op, const int *part, int n)
{
    size_t from = c->n_parts;

    if (n == 1)
        return part[0];
    mem_grow(&c->part, &c->cap_parts, from + (size_t)n, sizeof(*c->part));
    if (n)
        memcpy(c->part + from, part, (size_t)n * sizeof(*part));
    c->n_parts += (size_t)n;
    return add(c, (struct cfg_node){op, (int)from, n, 0, 0});
}

int cfg_seq(struct cfg *c, const int *part, int n)
{
    return list(c, CFG_SEQ, part, n);
}

int cfg_alt(struct cfg *c, const int *part, int n)
{
    return list(c, CFG_ALT, part, n);
}

int cfg_repeat(struct cfg *c, int body, int min, int max)
{
    assert(min >= 0 && (max < 0 || max >= min));
    if (!max)
        return cfg_seq(c, NULL, 0);
    if (min == 1 && max == 1)
        return body;
    return add(c, (struct cfg_node){CFG_REPEAT, body, 0, min, max});
}

int cfg_call(struct cfg *c, int rule)
{
    return add(c, (struct cfg_node){CFG_CALL, rule, 0, 0, 0});
}

int cfg_rule(struct cfg *c)
{
    mem_grow(&c->body, &c->cap_rules, c->n_rules + 1, sizeof(*c->body));
    c->body[c->n_rules] = -1;
    return (int)c->n_rules++;
}

void cfg_define(struct cfg *c, int rule, int body)
{
    c->body[rule] = body;
}
