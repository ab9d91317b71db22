/* past.c - what an interrupted run left behind, read again. */
#include "past.h"

#include "buf.h"
#include "mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GRAIN = 4, BYTES = 1 << 18 }; // records of a chunk; bytes read together, but for a long line

/* Lines that are read together, and what is made of them. */
struct batch {
    const struct past_work *w;
    FILE *f;
    uint64_t left; // bytes that count
    long no;       // lines read
    char *line;
    size_t cap;
    struct buf text; // of the lines
    int n;
    struct item {
        size_t at, n; // in `text`
        long no;
        struct record r;
        int rc;
        struct err why;
    } item[PAST_ITEMS];
};

static void read_lines(struct batch *b)
{
    ssize_t n;

    b->n = 0;
    buf_reset(&b->text);
    while (b->n < PAST_ITEMS && b->text.n < BYTES && b->left &&
           (n = getline(&b->line, &b->cap, b->f)) > 0) {
        size_t bom = !b->no++ && n >= 3 && !memcmp(b->line, "\xEF\xBB\xBF", 3) ? 3 : 0;
        struct item *x = &b->item[b->n];

        b->left -= b->left < (uint64_t)n ? b->left : (uint64_t)n;
        if (strspn(b->line + bom, " \t\r\n") + bom >= (size_t)n)
            continue;
        x->at = b->text.n;
        x->n = (size_t)n - bom;
        x->no = b->no;
        buf_add(&b->text, b->line + bom, x->n);
        b->n++;
    }
}

static void make(void *ctx, int64_t begin, int64_t end, int worker)
{
    static const char *const none[] = {NULL};
    struct batch *b = ctx;

    for (int64_t i = begin; i < end; i++) {
        struct item *x = &b->item[i];

        x->rc = record_read(&x->r, b->text.p + x->at, x->n, &x->why) ||
                        record_identify(&x->r, none, &x->why)
                    ? -1
                    : 0;
        if (!x->rc && b->w->look)
            b->w->look(b->w->with, &x->r, (int)i, worker);
    }
}

/* In order; after an error they are only let go. */
static int take_all(struct batch *b, const char *path, struct err *e)
{
    int rc = 0;

    for (int i = 0; i < b->n; i++) {
        struct item *x = &b->item[i];

        if (!rc && x->rc) {
            *e = x->why;
            rc = err_wrap(e, "%s:%ld", path, x->no);
        } else if (!rc) {
            rc = b->w->take(b->w->with, &x->r, i, e);
            if (rc)
                err_wrap(e, "%s:%ld", path, x->no);
        }
        record_clear(&x->r);
    }
    return rc;
}

int past_many(struct stream *s, const char *path, uint64_t bytes, const struct past_work *w,
              struct err *e)
{
    struct batch *b;
    FILE *f = fopen(path, "re");
    int rc = 0;

    if (!f && errno == ENOENT)
        return 0;
    if (!f)
        return err_set(e, ERR_IO, "cannot open '%s': %s", path, strerror(errno));
    b = mem_zero(1, sizeof(*b));
    b->w = w;
    b->f = f;
    b->left = bytes;
    do {
        if (stream_stopped(s)) {
            rc = err_set(e, ERR_STOP, "stopped while '%s' was read", path);
            break;
        }
        read_lines(b);
        if (w->pool)
            thread_run(w->pool, make, b, b->n, GRAIN);
        else
            make(b, 0, b->n, 0);
        rc = take_all(b, path, e);
    } while (!rc && b->n);
    if (!rc && ferror(f))
        rc = err_set(e, ERR_IO, "cannot read '%s': %s", path, strerror(errno));
    for (int i = 0; i < PAST_ITEMS; i++)
        record_reset(&b->item[i].r);
    buf_free(&b->text);
    free(b->line);
    free(b);
    fclose(f);
    return rc;
}

/* ---- without work ---- */

struct plain {
    int (*take)(void *with, struct record *r, struct err *e);
    void *with;
};

static int take_plain(void *with, struct record *r, int item, struct err *e)
{
    const struct plain *p = with;

    (void)item;
    return p->take(p->with, r, e);
}

int past_part(struct stream *s, const char *path, uint64_t bytes,
              int (*take)(void *with, struct record *r, struct err *e), void *with, struct err *e)
{
    struct plain p = {take, with};

    return past_many(s, path, bytes, &(struct past_work){.take = take_plain, .with = &p}, e);
}

int past_read(struct stream *s, const char *path,
              int (*take)(void *with, struct record *r, struct err *e), void *with, struct err *e)
{
    return past_part(s, path, UINT64_MAX, take, with, e);
}

/* ---- ids ---- */

void past_note(struct tally *t, const struct record *r)
{
    tally_at(t, r->key)->done++;
}

static bool has(const struct tally *t, struct hash128 key)
{
    const struct tally_entry *x = tally_find(t, key);

    return x && x->done;
}

bool past_has(const struct tally *t, const struct record *r)
{
    return has(t, r->key);
}

bool past_has_id(const struct tally *t, const char *id, size_t n)
{
    return has(t, hash_bytes(id, n));
}
