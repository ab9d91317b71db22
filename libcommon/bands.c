/* bands.c - which texts have a band. */
#include "bands.h"

#include "buf.h"
#include "grow.h"
#include "hash.h"
#include "mem.h"
#include "pile.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PART = 8192,   // pairs of a file read or written together
    BUCKET = 64,   // pairs of a file between two of which memory knows the places, on the average
    BITS = 10,     // of memory a pair of the file
    LINE = 64,     // bytes of memory that come together
    WORDS = 8,     // of a line, in each of which a tag has a bit
    LEAST = 1024,  // places in memory
    SHARE = 16,    // places in memory are at least this part of the file's pairs
    FULL = 3,      // fourths of the places that are used before pairs are merged
    WIDE = 2,      // and before there are more places, while there may be
    BEYOND = 4096, // places behind the last home
};

struct pair {
    uint32_t tag, text; // text + 1; 0: a free place
};

struct bands {
    const char *dir, *tmp;
    size_t most; // places in memory at first
    struct grow fresh;
    size_t places, used;
    struct pile file;
    uint64_t n;         // pairs in the file
    struct grow at;     // (buckets + 1) u64: where the pairs of a bucket begin
    size_t buckets;     // equal parts of all tags
    size_t known;       // buckets whose places are in `at`, while pairs are learned
    struct grow filter; // (lines, WORDS) u64: bits of the tags of the file
    size_t lines;
    uint32_t *found;
    size_t cap;
    struct buf room;
};

/* ---- the file ---- */

/* The part of all tags to which one belongs, when there are n that are equal. */
static size_t part(uint32_t tag, size_t n)
{
    return (size_t)(tag * (uint64_t)n >> 32);
}

static void forget(struct bands *x)
{
    grow_close(&x->at);
    grow_close(&x->filter);
    x->n = x->buckets = x->lines = x->known = 0;
}

/* Room for what memory holds of n pairs. */
static int prepare(struct bands *x, uint64_t n, struct err *e)
{
    forget(x);
    x->buckets = (size_t)(n / BUCKET) + 1;
    x->lines = (size_t)(n * BITS / (8 * LINE)) + 1;
    return grow_room(&x->at, (x->buckets + 1) * sizeof(uint64_t), e) ||
                   grow_room(&x->filter, x->lines * LINE, e)
               ? -1
               : 0;
}

static uint64_t *line(const struct bands *x, uint32_t tag)
{
    return (uint64_t *)x->filter.p + WORDS * part(tag, x->lines);
}

/* Six bits a word of its line. */
static uint64_t bits_of(uint32_t tag)
{
    return hash_fold(tag ^ 0x9E3779B97F4A7C15u, 0xBF58476D1CE4E5B9u);
}

static bool may_have(const struct bands *x, uint32_t tag)
{
    const uint64_t *w = line(x, tag);
    uint64_t h = bits_of(tag), yes = 1;

    for (int i = 0; i < WORDS; i++)
        yes &= w[i] >> (h >> 6 * i & 63);
    return yes;
}

/* Pairs are told one by one, in order, and then that there is none more. */
static void learn_until(struct bands *x, size_t bucket)
{
    while (x->known < bucket)
        ((uint64_t *)x->at.p)[x->known++] = x->n;
}

static void learn(struct bands *x, uint32_t tag)
{
    uint64_t *w = line(x, tag), h = bits_of(tag);

    learn_until(x, part(tag, x->buckets) + 1);
    for (int i = 0; i < WORDS; i++)
        w[i] |= 1ull << (h >> 6 * i & 63);
    x->n++;
}

static int unread(struct err *e)
{
    return err_set(e, ERR_IO, "cannot read the table of near duplicates: %s", strerror(errno));
}

static int load(struct bands *x, struct err *e)
{
    uint64_t n = x->file.n / sizeof(struct pair);
    uint32_t before = 0;

    if (prepare(x, n, e))
        return -1;
    while (x->n < n) {
        size_t k = n - x->n < PART ? (size_t)(n - x->n) : PART;
        const struct pair *p = pile_get(&x->file, x->n * sizeof(*p), k * sizeof(*p), &x->room);

        if (!p)
            return unread(e);
        for (size_t i = 0; i < k; before = p[i++].tag) {
            if (p[i].tag < before || !p[i].text)
                return err_set(e, ERR_DATA, "the table of near duplicates is not in order");
            learn(x, p[i].tag);
        }
    }
    learn_until(x, x->buckets + 1);
    return 0;
}

/* ---- merging ---- */

struct merge {
    struct bands *x;
    struct pile to;
    struct pair *out;
    size_t n_out;
    uint64_t n;
    struct pair last;
};

static int drain(struct merge *m, struct err *e)
{
    uint64_t at = m->n * sizeof(*m->out);

    m->n += m->n_out;
    return pile_put(&m->to, at, m->out, m->n_out * sizeof(*m->out), e);
}

static int emit(struct merge *m, struct pair p, struct err *e)
{
    if (p.tag == m->last.tag && p.text == m->last.text)
        return 0;
    if (m->n_out == PART) {
        if (drain(m, e))
            return -1;
        m->n_out = 0;
    }
    m->out[m->n_out++] = m->last = p;
    learn(m->x, p.tag);
    return 0;
}

/* New pairs to the front of their places, sorted; they nearly are. */
static size_t sort_fresh(struct bands *x)
{
    struct pair *p = x->fresh.p;
    size_t n = 0;

    for (size_t i = 0; i < x->places + BEYOND; i++) {
        struct pair v = p[i];
        size_t k = n;

        if (!v.text)
            continue;
        for (; k && p[k - 1].tag > v.tag; k--)
            p[k] = p[k - 1];
        p[k] = v;
        n++;
    }
    return n;
}

static bool before(struct pair a, struct pair b)
{
    return a.tag != b.tag ? a.tag < b.tag : a.text <= b.text;
}

static int merge_all(struct merge *m, uint64_t n_old, struct err *e)
{
    struct bands *x = m->x;
    const struct pair *fresh = x->fresh.p;
    size_t n = sort_fresh(x), i = 0;
    int rc = 0;

    for (uint64_t at = 0; at < n_old && !rc;) {
        size_t k = n_old - at < PART ? (size_t)(n_old - at) : PART;
        const struct pair *old = pile_get(&x->file, at * sizeof(*old), k * sizeof(*old), &x->room);

        if (!old)
            return unread(e);
        for (size_t j = 0; j < k && !rc;)
            rc = i < n && before(fresh[i], old[j]) ? emit(m, fresh[i++], e) : emit(m, old[j++], e);
        at += k;
    }
    while (i < n && !rc)
        rc = emit(m, fresh[i++], e);
    return rc || drain(m, e) ? -1 : 0;
}

static int open_file(const struct bands *x, struct pile *p, const char *name, struct err *e)
{
    struct buf path = {0};
    int rc = 0;

    if (!x->dir) {
        pile_temp(p, 1, x->tmp);
        return 0;
    }
    buf_fmt(&path, "%s/%s", x->dir, name);
    rc = pile_open(p, path.p, e);
    buf_free(&path);
    return rc;
}

/* dir/table.new gets the name of the table, or is removed. */
static int name_file(const struct bands *x, bool take, struct err *e)
{
    struct buf from = {0}, to = {0};
    int rc = 0;

    if (!x->dir)
        return 0;
    buf_fmt(&from, "%s/table.new", x->dir);
    buf_fmt(&to, "%s/table", x->dir);
    if (!take)
        unlink(from.p);
    else if (rename(from.p, to.p))
        rc = err_set(e, ERR_IO, "cannot rename '%s': %s", from.p, strerror(errno));
    buf_free(&from);
    buf_free(&to);
    return rc;
}

static int make_places(struct bands *x, size_t places, struct err *e)
{
    size_t size = (places + BEYOND) * sizeof(struct pair), old = x->fresh.cap;

    if (grow_room(&x->fresh, size, e))
        return -1;
    if (old) // what is new is zero
        memset(x->fresh.p, 0, old < size ? old : size);
    x->places = places;
    x->used = 0;
    return 0;
}

static int merge(struct bands *x, struct err *e)
{
    struct merge m = {.x = x, .out = mem_zero(PART, sizeof(struct pair))};
    uint64_t n_old = x->n;
    size_t places = x->places;
    int rc;

    name_file(x, false, e);
    rc = open_file(x, &m.to, "table.new", e);
    if (!rc)
        rc = prepare(x, n_old + x->used, e);
    if (!rc)
        rc = merge_all(&m, n_old, e);
    if (!rc)
        rc = name_file(x, true, e);
    free(m.out);
    if (rc) {
        pile_close(&m.to);
        return -1;
    }
    learn_until(x, x->buckets + 1);
    pile_close(&x->file);
    x->file = m.to;
    return make_places(x, places > x->n / SHARE ? places : (size_t)(x->n / SHARE), e);
}

/* ---- new pairs ---- */

static size_t home(const struct bands *x, uint32_t tag)
{
    return part(tag, x->places);
}

/* The place of a pair, or the free one where it belongs; -1: there is none left for it. */
static int64_t place(const struct bands *x, struct pair v)
{
    const struct pair *p = x->fresh.p;

    for (size_t i = home(x, v.tag); i < x->places + BEYOND; i++)
        if (!p[i].text || (p[i].tag == v.tag && p[i].text == v.text))
            return (int64_t)i;
    return -1;
}

/* Twice the places. A pair behind the old last place is before the new one as well. */
static int widen(struct bands *x, struct err *e)
{
    struct grow old = x->fresh;
    const struct pair *p = old.p;
    size_t n = x->places + BEYOND;

    grow_open(&x->fresh, NULL, e);
    if (make_places(x, 2 * x->places, e)) {
        grow_close(&x->fresh);
        x->fresh = old;
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        int64_t to = p[i].text ? place(x, p[i]) : -1;

        if (to >= 0)
            ((struct pair *)x->fresh.p)[to] = p[i];
        x->used += to >= 0;
    }
    grow_close(&old);
    return 0;
}

int bands_put(struct bands *x, uint32_t tag, uint32_t text, struct err *e)
{
    struct pair v = {tag, text + 1};
    int64_t i;
    int merged = 0;

    if (4 * (x->used + 1) > WIDE * x->places && x->places < x->most && widen(x, e))
        return -1;
    i = place(x, v);
    if (i < 0 || 4 * (x->used + 1) > FULL * x->places) {
        if (merge(x, e))
            return -1;
        merged = 1;
        i = place(x, v);
    }
    x->used += !((struct pair *)x->fresh.p)[i].text;
    ((struct pair *)x->fresh.p)[i] = v;
    return merged;
}

/* ---- finding ---- */

void bands_soon(const struct bands *x, uint32_t tag)
{
    __builtin_prefetch((const struct pair *)x->fresh.p + home(x, tag), 1);
    if (x->n)
        __builtin_prefetch(line(x, tag));
}

static void found(struct bands *x, size_t *n, uint32_t text)
{
    mem_grow(&x->found, &x->cap, *n + 1, sizeof(*x->found));
    x->found[(*n)++] = text - 1;
}

static int find_in_file(struct bands *x, uint32_t tag, size_t *n, struct err *e)
{
    const uint64_t *bucket = (const uint64_t *)x->at.p + part(tag, x->buckets);
    bool behind = false; // the tag

    for (uint64_t at = bucket[0]; at < bucket[1] && !behind;) {
        size_t k = bucket[1] - at < PART ? (size_t)(bucket[1] - at) : PART;
        const struct pair *p = pile_get(&x->file, at * sizeof(*p), k * sizeof(*p), &x->room);

        if (!p)
            return unread(e);
        for (size_t i = 0; i < k && !behind; i++) {
            if (p[i].tag == tag)
                found(x, n, p[i].text);
            behind = p[i].tag > tag;
        }
        at += k;
    }
    return 0;
}

int bands_find(struct bands *x, uint32_t tag, const uint32_t **text, size_t *n, struct err *e)
{
    const struct pair *p = x->fresh.p;

    *n = 0;
    if (x->n && may_have(x, tag) && find_in_file(x, tag, n, e))
        return -1;
    for (size_t i = home(x, tag); i < x->places + BEYOND && p[i].text; i++)
        if (p[i].tag == tag)
            found(x, n, p[i].text);
    *text = x->found;
    return 0;
}

/* ---- all of it ---- */

struct bands *bands_open(const char *dir, bool empty, size_t memory, const char *tmp, struct err *e)
{
    struct bands *x = mem_zero(1, sizeof(*x));

    x->dir = dir;
    x->tmp = tmp;
    x->most = LEAST;
    while (2 * x->most * sizeof(struct pair) <= memory)
        x->most *= 2;
    grow_open(&x->fresh, NULL, e);
    grow_open(&x->at, NULL, e);
    grow_open(&x->filter, NULL, e);
    x->file.fd = -1;
    name_file(x, false, e);
    if (!open_file(x, &x->file, "table", e) &&
        (empty ? !bands_clear(x, e) : !make_places(x, LEAST, e) && !load(x, e)))
        return x;
    bands_close(x);
    return NULL;
}

void bands_close(struct bands *x)
{
    if (!x)
        return;
    grow_close(&x->fresh);
    pile_close(&x->file);
    forget(x);
    free(x->found);
    buf_free(&x->room);
    free(x);
}

int bands_sync(struct bands *x, struct err *e)
{
    return pile_sync(&x->file, e);
}

int bands_clear(struct bands *x, struct err *e)
{
    if (x->file.path && ftruncate(x->file.fd, 0))
        return err_set(e, ERR_IO, "cannot write '%s': %s", x->file.path, strerror(errno));
    pile_close(&x->file);
    forget(x);
    return open_file(x, &x->file, "table", e) || make_places(x, LEAST, e);
}
