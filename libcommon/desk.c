/* desk.c - records in hand: read in order, worked on together, written in order. */
#include "desk.h"

#include "mem.h"

#include <stdlib.h>

static void item_free(struct desk *d, struct desk_item *t)
{
    if (d->release)
        d->release(t);
    record_reset(&t->r);
    free(t);
}

void desk_init(struct desk *d)
{
    d->tail = &d->head;
}

void desk_free(struct desk *d)
{
    while (d->head) {
        struct desk_item *t = d->head;

        d->head = t->next;
        item_free(d, t);
    }
}

int desk_read(struct desk *d, bool wait, void **task, struct err *e)
{
    struct desk_item *t = mem_zero(1, d->size);
    int rc = stream_read(d->s, &t->r, wait, e);

    if (rc != 1) {
        free(t);
        return rc;
    }
    *d->tail = t;
    d->tail = &t->next;
    d->n++;
    *task = t;
    return 1;
}

static const char *given(const char *s)
{
    return s && *s ? s : NULL;
}

int desk_reject(struct desk *d, struct desk_item *t, const char *rule, const char *value,
                const char *limit, struct err *e)
{
    struct err why = *e;

    t->done = t->gone = true;
    return stream_reject(d->s, &t->r, rule, given(value), given(limit), why.msg, e);
}

int desk_drop(struct desk *d, struct desk_item *t, const char *rule, const char *value,
              const char *limit, struct err *e)
{
    t->done = t->gone = true;
    return stream_drop(d->s, &t->r, rule, given(value), given(limit), e);
}

int desk_finish(struct desk *d, struct desk_item *t, struct err *e)
{
    t->done = t->gone = true;
    return t->r.done ? 0 : stream_finish(d->s, &t->r, e);
}

int desk_write(struct desk *d, struct err *e)
{
    for (struct desk_item **at = &d->head; *at;) {
        struct desk_item *t = *at;
        int rc;

        if (!t->done && !d->unordered)
            return 0;
        if (!t->done) {
            at = &t->next;
            continue;
        }
        *at = t->next;
        if (d->tail == &t->next)
            d->tail = at;
        d->n--;
        rc = t->gone ? 0 : stream_write(d->s, &t->r, e);
        if (!rc && !t->gone && d->written)
            d->written(d->with, t);
        item_free(d, t);
        if (rc)
            return -1;
    }
    return 0;
}
