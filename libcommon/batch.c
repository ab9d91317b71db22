/* batch.c - many records of a stream at once. */
#include "batch.h"

#include "buf.h"
#include "lines.h"
#include "mem.h"

#include <stdlib.h>

enum { GRAIN = 4 }; // records: some 100 us

struct item {
    struct lines_line line; // line.p in `text` once all are there
    size_t at;
    struct record r;
    enum stream_made made;
    struct err why;
    bool taken; // a record to work on
};

struct batch {
    struct stream *s;
    struct thread_pool *pool;
    struct item item[BATCH_RECORDS];
    int n;
    struct buf text; // of the lines
    batch_work work;
    void *with;
};

struct batch *batch_open(struct stream *s, struct thread_pool *pool)
{
    struct batch *b = mem_zero(1, sizeof(*b));

    b->s = s;
    b->pool = pool;
    return b;
}

void batch_close(struct batch *b)
{
    if (!b)
        return;
    buf_free(&b->text);
    free(b);
}

/* Read lines, waiting for the first only; what stream_line said last. */
static int read_lines(struct batch *b, struct err *e)
{
    int rc = 1;

    b->n = 0;
    buf_reset(&b->text);
    if (b->text.cap > 2 * BATCH_BYTES) // a long line is over
        buf_free(&b->text);
    while (b->n < BATCH_RECORDS && b->text.n < BATCH_BYTES) {
        struct item *x = &b->item[b->n];

        rc = stream_line(b->s, &x->line, !b->n, e);
        if (rc != 1)
            break;
        x->at = b->text.n;
        buf_add(&b->text, x->line.p, x->line.n);
        b->n++;
    }
    for (int i = 0; i < b->n; i++)
        b->item[i].line.p = b->text.p + b->item[i].at;
    return rc;
}

static void make(void *ctx, int64_t begin, int64_t end, int worker)
{
    struct batch *b = ctx;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        struct item *x = &b->item[i];

        x->made = stream_make(b->s, &x->line, &x->r, &x->why);
    }
}

static void work(void *ctx, int64_t begin, int64_t end, int worker)
{
    struct batch *b = ctx;

    for (int64_t i = begin; i < end; i++)
        if (b->item[i].taken)
            b->work(b->with, &b->item[i].r, (int)i, worker);
}

static int accept_all(struct batch *b, struct err *e)
{
    int rc = 0;

    for (int i = 0; i < b->n; i++) {
        struct item *x = &b->item[i];

        x->taken = false;
        if (rc < 0) {
            if (x->made == STREAM_RECORD)
                record_reset(&x->r);
            continue;
        }
        rc = stream_accept(b->s, &x->line, x->made, &x->r, &x->why, e);
        x->taken = rc == 1;
    }
    return rc < 0 ? -1 : 0;
}

int batch_run(struct batch *b, batch_work fn, batch_finish finish, void *with, struct err *e)
{
    struct err later;
    int more = read_lines(b, &later), rc;

    b->work = fn;
    b->with = with;
    thread_run(b->pool, make, b, b->n, GRAIN);
    rc = accept_all(b, e);
    if (!rc)
        thread_run(b->pool, work, b, b->n, GRAIN);
    for (int i = 0; i < b->n; i++) {
        struct item *x = &b->item[i];

        if (!x->taken)
            continue;
        if (!rc)
            rc = finish(with, &x->r, i, e);
        record_reset(&x->r);
    }
    if (rc)
        return -1;
    if (more < 0)
        *e = later;
    return more < 0 ? -1 : more != 0;
}
