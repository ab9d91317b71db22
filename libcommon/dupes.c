/* dupes.c - records whose texts were met before. */
#include "dupes.h"

#include "grow.h"
#include "hash.h"
#include "mem.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

const char *const dupes_fields[] = {"messages", "conversations", "system", "instruction",
                                    "input",    "prompt",        "output", NULL};

struct place {
    uint64_t key, at; // at: of the id in `ids`, + 1; 0: free
};

struct dupes {
    bool exact;
    struct near *near;
    uint64_t run;
    struct place *place; // (cap) open addressing, a power of two
    size_t n, cap, n_ids;
    struct grow ids; // NUL-terminated, one behind the other
    struct buf all, one;
};

struct dupes *dupes_open(bool exact, double near, const char *dir, uint64_t run, struct err *e)
{
    struct dupes *d = mem_zero(1, sizeof(*d));
    struct err why;

    d->exact = exact;
    d->run = run;
    if (!grow_open(&d->ids, NULL, e) && (near <= 0 || (d->near = near_open(near, dir, e))))
        return d;
    dupes_close(d, &why);
    return NULL;
}

int dupes_close(struct dupes *d, struct err *e)
{
    int rc;

    if (!d)
        return 0;
    rc = near_close(d->near, e);
    grow_close(&d->ids);
    free(d->place);
    buf_free(&d->all);
    buf_free(&d->one);
    free(d);
    return rc;
}

const struct near *dupes_near(const struct dupes *d)
{
    return d ? d->near : NULL;
}

/* ---- texts ---- */

/* Composed, lower-cased, one space between words: what two writings of the same text share. */
static void normalize(const char *s, size_t n, struct buf *out)
{
    utf8proc_uint8_t *u = NULL;
    utf8proc_ssize_t k = -1;
    bool ascii = true, space = false;

    for (size_t i = 0; i < n; i++)
        ascii = ascii && !((unsigned char)s[i] & 0x80);
    if (!ascii)
        k = utf8proc_map((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)n, &u,
                         UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD);
    const char *p = k < 0 ? s : (const char *)u;
    size_t len = k < 0 ? n : (size_t)k, first = out->n, done = 0;

    for (size_t i = 0; i <= len; i++) { // runs without space are added at once
        if (i < len && p[i] != ' ' && p[i] != '\n' && p[i] != '\t' && p[i] != '\r')
            continue;
        if (i > done) {
            if (space && out->n > first)
                buf_char(out, ' ');
            buf_add(out, p + done, i - done);
        }
        space = true;
        done = i + 1;
    }
    free(u);
    for (size_t i = first; ascii && i < out->n; i++)
        if (out->p[i] >= 'A' && out->p[i] <= 'Z')
            out->p[i] += 32;
}

/* The record's texts: hashed field by field, and joined in d->all. */
static uint64_t texts(struct dupes *d, struct record *r)
{
    struct hash128 h = {0, 0};

    buf_reset(&d->all);
    for (int i = 0; dupes_fields[i]; i++) {
        size_t n = 0, from = d->all.n;
        const char *s = record_str(r, dupes_fields[i], &n);

        s = s ? s : record_raw(r, dupes_fields[i], &n); // messages
        if (s)
            normalize(s, n, &d->all);
        h = hash_add(h, buf_cstr(&d->all) + from, d->all.n - from);
        buf_char(&d->all, '\n');
    }
    return h.lo;
}

/* ---- exact ---- */

static struct place *find(const struct dupes *d, uint64_t key)
{
    size_t i = (size_t)(key ^ key >> 32) & (d->cap - 1);

    while (d->place[i].at && d->place[i].key != key)
        i = (i + 1) & (d->cap - 1);
    return &d->place[i];
}

static int keep(struct dupes *d, uint64_t key, const char *id, struct err *e)
{
    struct place *old = d->place;
    size_t cap = d->cap, n = strlen(id) + 1;

    if (4 * (d->n + 1) > 3 * cap) {
        d->cap = cap ? 2 * cap : 256;
        d->place = mem_zero(d->cap, sizeof(*d->place));
        for (size_t i = 0; i < cap; i++)
            if (old[i].at)
                *find(d, old[i].key) = old[i];
        free(old);
    }
    if (grow_room(&d->ids, d->n_ids + n, e))
        return -1;
    memcpy((char *)d->ids.p + d->n_ids, id, n);
    *find(d, key) = (struct place){key, d->n_ids + 1};
    d->n_ids += n;
    d->n++;
    return 0;
}

int dupes_meet(struct dupes *d, struct record *r, struct dupes_hit *hit, struct err *e)
{
    uint64_t key = texts(d, r);
    const struct place *x = d->exact && d->cap ? find(d, key) : NULL;
    struct near_hit near;
    int rc = 0;

    if (x && x->at) {
        const char *id = (const char *)d->ids.p + x->at - 1;

        *hit = (struct dupes_hit){true, id, strlen(id), 1};
        return 1;
    }
    if (d->near)
        rc = near_meet(d->near, d->all.p, d->all.n, r->id, d->run, &near, e);
    if (rc > 0)
        *hit = (struct dupes_hit){false, near.id, near.n_id, near.similarity};
    return !rc && d->exact ? keep(d, key, r->id, e) : rc;
}
