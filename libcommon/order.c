/* order.c - rejects in the order of the input. */
#include "order.h"

#include "mem.h"

#include <stdlib.h>

void order_init(struct order *o, struct sink *to, bool at_once)
{
    *o = (struct order){.to = to, .at_once = at_once, .low = 1, .next = 1};
}

static struct order_slot *slot(const struct order *o, int64_t number)
{
    return &o->slot[(size_t)number & (o->cap - 1)];
}

void order_free(struct order *o)
{
    for (int64_t i = o->low; i < o->next; i++)
        free(slot(o, i)->line);
    free(o->slot);
    o->slot = NULL;
    o->low = o->next;
}

static void grow(struct order *o)
{
    struct order old = *o;

    o->cap = old.cap ? old.cap * 2 : 64;
    o->slot = mem_zero(o->cap, sizeof(*o->slot));
    for (int64_t i = o->low; i < o->next; i++)
        *slot(o, i) = *slot(&old, i);
    free(old.slot);
}

/* Take the lowest number out of the ring and write what it holds. */
static int pop(struct order *o, struct err *e)
{
    struct order_slot x = *slot(o, o->low);
    int rc = 0;

    *slot(o, o->low++) = (struct order_slot){0};
    o->bytes -= x.n;
    if (x.line && o->to)
        rc = sink_write(o->to, x.line, x.n, e);
    free(x.line);
    return rc;
}

int order_begin(struct order *o, int64_t *number, struct err *e)
{
    if (o->next - o->low >= ORDER_RECORDS && order_flush(o, e))
        return -1;
    if ((size_t)(o->next - o->low) == o->cap)
        grow(o);
    *slot(o, o->next) = (struct order_slot){0};
    *number = o->next++;
    return 0;
}

int order_finish(struct order *o, int64_t number, const char *line, size_t n, struct err *e)
{
    struct order_slot *x = number >= o->low && number < o->next ? slot(o, number) : NULL;
    bool hold = x && !x->done && !o->at_once && number > o->low;

    if (line && o->to && !hold && sink_write(o->to, line, n, e))
        return -1;
    if (x)
        x->done = true;
    if (line && o->to && hold) {
        x->line = mem_dup(line, n);
        x->n = n;
        o->bytes += n;
    }
    while (o->low < o->next && slot(o, o->low)->done)
        if (pop(o, e))
            return -1;
    return o->bytes > ORDER_BYTES ? order_flush(o, e) : 0;
}

bool order_open(const struct order *o)
{
    for (int64_t i = o->low; i < o->next; i++)
        if (!slot(o, i)->done)
            return true;
    return false;
}

int order_flush(struct order *o, struct err *e)
{
    while (o->low < o->next)
        if (pop(o, e))
            return -1;
    return 0;
}
