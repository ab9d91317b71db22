/* spread.c - the median of a quantity measured several times, and how far it spreads. */
#include "spread.h"

#include "json_put.h"

#include <stdlib.h>

void spread_add(struct spread *s, double x)
{
    mem_grow(&s->x, &s->cap, s->n + 1, sizeof(*s->x));
    s->x[s->n++] = x;
}

void spread_free(struct spread *s)
{
    free(s->x);
    *s = (struct spread){0};
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double spread_at(struct spread *s, double q)
{
    double at = q * (double)(s->n ? s->n - 1 : 0);
    size_t i = (size_t)at;

    if (!s->n)
        return 0;
    qsort(s->x, s->n, sizeof(*s->x), by_size);
    if (i + 1 >= s->n)
        return s->x[s->n - 1];
    return s->x[i] + (at - (double)i) * (s->x[i + 1] - s->x[i]);
}

void spread_put(struct spread *s, struct buf *out)
{
    static const struct {
        const char *name;
        double q;
    } row[] = {{"min", 0}, {"q1", 0.25}, {"q3", 0.75}, {"max", 1}};

    buf_char(out, '{');
    for (size_t i = 0; i < sizeof(row) / sizeof(*row); i++) {
        json_put_key(out, row[i].name);
        buf_fmt(out, "%.6g", spread_at(s, row[i].q));
    }
    json_put_key(out, "n");
    json_put_int(out, (int64_t)s->n);
    buf_char(out, '}');
}
