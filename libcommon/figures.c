/* figures.c - a record of what was measured. */
#include "figures.h"

#include "json.h"
#include "json_put.h"
#include "say.h"

#include <stdio.h>

void figures_num(struct record *r, const char *name, double x)
{
    char text[32];
    int n = snprintf(text, sizeof(text), "%.6g", x);

    record_set(r, name, text, (size_t)n);
}

void figures_str(struct record *r, const char *name, const char *s)
{
    struct buf b = {0};

    say_json(&b, s);
    record_set(r, name, b.p, b.n);
    buf_free(&b);
}

void figures_spread(struct record *r, struct buf *spread, const char *name, struct spread *s)
{
    if (!s->n)
        return;
    figures_num(r, name, spread_at(s, 0.5));
    json_put_key(spread, name);
    spread_put(s, spread);
}

void figures_put(struct record *r, bool table, struct buf *out)
{
    struct buf b = {0};
    struct json j;
    struct err e;

    record_write(r, &b);
    if (table && !json_parse(&j, &r->mem, b.p, b.n, &e))
        for (uint32_t k = 1; k < j.node[0].next; k = j.node[k + 1].next) {
            size_t n, v;
            const char *name = json_raw(&j, (int)k, &n), *value = json_raw(&j, (int)k + 1, &v);

            if (*value != '{')
                buf_fmt(out, "%-22.*s%.*s\n", (int)n - 2, name + 1, (int)v, value);
        }
    else
        buf_add(out, b.p, b.n);
    buf_free(&b);
}
