/* batch.c - many records of a stream at once. */
#include "batch.h"

#include "buf.h"
#include "lines.h"
#include "mem.h"

#include <stdlib.h>

/* Records: some 100 us; a thread's share of a batch. What all of a batch need is touched several
 * times, so few at a time stay in the processor's caches. */
enum { GRAIN = 4, SHARE = 32 };

struct item {
    struct lines_line line; // line.p in `text` once all are there
    size_t at;
    struct record r;
    enum stream_made made;
    struct err why;
    bool taken; // a record to work on
};

/* A batch from its lines to the last of its records. */
struct half {
    struct item item[BATCH_RECORDS];
    int n;
    struct buf text; // of the lines
};

/* While one half is finished, the other is worked on. */
struct batch {
    struct stream *s;
    struct thread_pool *pool;
    struct half half[2];
    int most;     // records of a half
    int now;      // the half that is read and worked on
    bool pending; // the other is worked on and not finished
    batch_work work;
    batch_finish finish;
    void *with;
    int rc; // of finishing
    struct err *e;
};

struct batch *batch_open(struct stream *s, struct thread_pool *pool)
{
    struct batch *b = mem_zero(1, sizeof(*b));

    b->s = s;
    b->pool = pool;
    b->most = SHARE * thread_count(pool);
    b->most = b->most < BATCH_RECORDS ? b->most : BATCH_RECORDS;
    return b;
}

void batch_close(struct batch *b)
{
    if (!b)
        return;
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < BATCH_RECORDS; i++)
            record_reset(&b->half[k].item[i].r);
        buf_free(&b->half[k].text);
    }
    free(b);
}

/* ---- finishing ---- */

/* The records of the half that is not read into, in order; after an error they are only let go. */
static void finish_other(struct batch *b)
{
    struct half *h = &b->half[!b->now];

    for (int i = 0; b->pending && i < h->n; i++) {
        if (!h->item[i].taken)
            continue;
        if (!b->rc)
            b->rc = b->finish(b->with, &h->item[i].r, !b->now * BATCH_RECORDS + i, b->e);
        record_clear(&h->item[i].r);
    }
    b->pending = false;
}

/* ---- reading ---- */

/* Read lines, waiting for the first only, and not before all else is finished; what stream_line
 * said last. */
static int read_lines(struct batch *b, struct half *h, struct err *e)
{
    int rc = 1;

    h->n = 0;
    buf_reset(&h->text);
    if (h->text.cap > 2 * BATCH_BYTES) // a long line is over
        buf_free(&h->text);
    while (h->n < b->most && h->text.n < BATCH_BYTES) {
        struct item *x = &h->item[h->n];

        rc = stream_line(b->s, &x->line, !h->n && !b->pending, e);
        if (rc == 2 && !h->n && b->pending) {
            finish_other(b);
            continue;
        }
        if (rc != 1)
            break;
        x->at = h->text.n;
        buf_add(&h->text, x->line.p, x->line.n);
        h->n++;
    }
    for (int i = 0; i < h->n; i++) {
        h->item[i].line.p = h->text.p + h->item[i].at;
        h->item[i].line.stays = true;
    }
    return rc;
}

static void make(void *ctx, int64_t begin, int64_t end, int worker)
{
    struct batch *b = ctx;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        struct item *x = &b->half[b->now].item[i];

        x->made = stream_make(b->s, &x->line, &x->r, &x->why);
    }
}

static int accept_all(struct batch *b, struct half *h, struct err *e)
{
    int rc = 0;

    for (int i = 0; i < h->n; i++) {
        struct item *x = &h->item[i];

        x->taken = false;
        if (rc < 0) {
            if (x->made == STREAM_RECORD)
                record_clear(&x->r);
            continue;
        }
        rc = stream_accept(b->s, &x->line, x->made, &x->r, &x->why, e);
        x->taken = rc == 1;
    }
    return rc < 0 ? -1 : 0;
}

/* ---- working ---- */

/* The first chunk, of which the rest is empty, finishes the batch before; the others work on this
 * one's records. */
static void work(void *ctx, int64_t begin, int64_t end, int worker)
{
    struct batch *b = ctx;
    struct half *h = &b->half[b->now];

    if (!begin)
        finish_other(b);
    for (int64_t i = begin > GRAIN ? begin - GRAIN : 0; i < end - GRAIN; i++)
        if (h->item[i].taken)
            b->work(b->with, &h->item[i].r, b->now * BATCH_RECORDS + (int)i, worker);
}

int batch_run(struct batch *b, batch_work fn, batch_finish finish, void *with, struct err *e)
{
    struct half *h = &b->half[b->now];
    struct err later;
    int more;

    b->work = fn;
    b->finish = finish;
    b->with = with;
    b->rc = 0;
    b->e = e;
    more = read_lines(b, h, &later);
    thread_run(b->pool, make, b, h->n, GRAIN);
    if (!b->rc && accept_all(b, h, &later))
        more = -1;
    if (h->n > GRAIN) // the first chunk may be empty, and a record take seconds
        thread_run_long(b->pool, work, b, GRAIN + h->n, GRAIN);
    else
        thread_run(b->pool, work, b, GRAIN + h->n, GRAIN);
    b->now = !b->now;
    b->pending = true;
    if (more != 1 || b->rc) // nothing may come for long
        finish_other(b);
    if (b->rc)
        return -1;
    if (more < 0)
        *e = later;
    return more < 0 ? -1 : more != 0;
}
