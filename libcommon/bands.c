/* bands.c - which texts have a band. */
#include "bands.h"

#include "buf.h"
#include "grow.h"
#include "hash.h"
#include "mem.h"
#include "pile.h"
#include "vec.h"

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
    PAIRS = 8,     // the same in places in memory
    LEAST = 1024,  // these, a power of two
    SHARE = 16,    // places in memory are at least this part of the file's pairs
    FULL = 3,      // fourths of the places that are used before there are more, or pairs are merged
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

/* Pairs are told in order, and then that there is none more. */
static void learn_until(struct bands *x, size_t bucket)
{
    while (x->known < bucket)
        ((uint64_t *)x->at.p)[x->known++] = x->n;
}

ANY_CPU static void fill(uint64_t *line, size_t lines, const struct pair *p, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        uint64_t *w = line + WORDS * part(p[k].tag, lines), h = bits_of(p[k].tag);

        for (int i = 0; i < WORDS; i++)
            w[i] |= 1ull << (h >> 6 * i & 63);
    }
}

static void learn(struct bands *x, const struct pair *p, size_t n)
{
    fill(x->filter.p, x->lines, p, n);
    for (size_t k = 0; k < n; k++) {
        learn_until(x, part(p[k].tag, x->buckets) + 1);
        x->n++;
    }
}

static int unread(struct err *e)
{
    return err_set(e, ERR_IO, "cannot read the table of near duplicates: %s", strerror(errno));
}

static int read_all(struct bands *x, struct err *e)
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
        }
        learn(x, p, k);
    }
    learn_until(x, x->buckets + 1);
    return 0;
}

/* ---- merging ---- */

struct merge {
    struct bands *x;
    struct pile to;
    struct pair *out; // (PART)
    size_t n_out;
    uint64_t n;    // pairs in `to`
    uint64_t last; // what went out last
};

static int drain(struct merge *m, struct err *e)
{
    uint64_t at = m->n * sizeof(*m->out);
    size_t n = m->n_out;

    learn(m->x, m->out, n);
    m->n += n;
    m->n_out = 0;
    return pile_put(&m->to, at, m->out, n * sizeof(*m->out), e);
}

/* A number for the order of pairs. */
static inline uint64_t key(struct pair p)
{
    return (uint64_t)p.tag << 32 | p.text;
}

/* What is left of a sorted list. */
struct list {
    const struct pair *p;
    size_t n;
};

/* As much of both as there is room for, or as there is of one; each pair once. Steps without
 * branches, as nobody can tell which list is next. */
static void join(struct merge *m, struct list *a, struct list *b)
{
    const struct pair *p = a->p, *q = b->p, *p_end = p + a->n, *q_end = q + b->n;
    size_t k = m->n_out;
    uint64_t last = m->last;

    while (k < PART && p < p_end && q < q_end) {
        bool first = key(*p) <= key(*q);
        struct pair x = first ? *p : *q;

        p += first;
        q += !first;
        m->out[k] = x;
        k += key(x) != last;
        last = key(x);
    }
    m->last = last;
    m->n_out = k;
    *a = (struct list){p, (size_t)(p_end - p)};
    *b = (struct list){q, (size_t)(q_end - q)};
}

/* The same of one when there is no other. */
static void take(struct merge *m, struct list *a)
{
    while (a->n && m->n_out < PART) {
        m->out[m->n_out] = *a->p;
        m->n_out += key(*a->p) != m->last;
        m->last = key(*a->p++);
        a->n--;
    }
}

/* The pairs of a line of places in order; how many. */
ANY_CPU static size_t sort_line(const struct pair *line, struct pair *out)
{
    uint64_t k[PAIRS];
    uint32_t less[PAIRS] = {0};
    size_t n = 0;

    for (size_t i = 0; i < PAIRS; i++) {
        k[i] = line[i].text ? key(line[i]) : UINT64_MAX;
        n += line[i].text != 0;
    }
    for (size_t j = 0; j < PAIRS; j++)
        for (size_t i = 0; i < PAIRS; i++)
            less[i] += k[j] < k[i];
    for (size_t i = 0; i < n; i++)
        out[less[i]] = (struct pair){(uint32_t)(k[i] >> 32), (uint32_t)k[i]};
    return n;
}

/* New pairs to the front of their places, sorted; all but those that found their line full are
 * when those of each line are. */
static size_t gather(struct bands *x)
{
    struct pair *p = x->fresh.p;
    size_t n = 0;

    for (size_t i = 0; i < x->places + BEYOND; i += PAIRS) {
        size_t to = n + sort_line(p + i, p + n);

        for (; n < to; n++) {
            struct pair v = p[n];
            size_t k = n;

            for (; k && key(p[k - 1]) > key(v); k--)
                p[k] = p[k - 1];
            p[k] = v;
        }
    }
    return n;
}

static int merge_all(struct merge *m, uint64_t n_old, struct err *e)
{
    struct bands *x = m->x;
    struct list fresh = {x->fresh.p, gather(x)}, old = {0};
    uint64_t at = 0;

    while (fresh.n || old.n || at < n_old) {
        if (!old.n && at < n_old) {
            old.n = n_old - at < PART ? (size_t)(n_old - at) : PART;
            old.p = pile_get(&x->file, at * sizeof(*old.p), old.n * sizeof(*old.p), &x->room);
            if (!old.p)
                return unread(e);
            at += old.n;
        }
        if (fresh.n && old.n)
            join(m, &fresh, &old);
        else
            take(m, fresh.n ? &fresh : &old);
        if (m->n_out == PART && drain(m, e))
            return -1;
    }
    return drain(m, e);
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

/* Places without pairs; those before may have had some. */
static int make_places(struct bands *x, size_t places, struct err *e)
{
    if (x->places)
        memset(x->fresh.p, 0, (x->places + BEYOND) * sizeof(struct pair));
    x->places = x->used = 0;
    if (grow_room(&x->fresh, (places + BEYOND) * sizeof(struct pair), e))
        return -1;
    x->places = places;
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
    return make_places(x, places > x->n / SHARE ? places : (size_t)(x->n / SHARE / PAIRS * PAIRS),
                       e);
}

/* ---- new pairs ---- */

/* The first place of the line where pairs of a tag stand, or from which on they do: in the first
 * that has a place left for each. */
static size_t home(const struct bands *x, uint32_t tag)
{
    return PAIRS * part(tag, x->places / PAIRS);
}

/* Twice the places, where there is room for them: what there is goes to their end, and from there
 * to where it belongs. None goes farther than the first of those that wait. */
static void widen(struct bands *x)
{
    struct pair *p = x->fresh.p, *from;
    size_t n = gather(x), before = x->places + BEYOND, to = 0;

    x->places *= 2;
    from = p + x->places + BEYOND - n;
    memmove(from, p, n * sizeof(*p));
    memset(p, 0, (before < (size_t)(from - p) ? before : (size_t)(from - p)) * sizeof(*p));
    for (; n--; from++) {
        struct pair v = *from;
        size_t h = home(x, v.tag);

        *from = (struct pair){0};
        to = h > to ? h : to;
        p[to++] = v;
    }
}

/* Is the tag among those of a line? */
static bool has(const struct pair *line, uint32_t tag)
{
    unsigned same = 0;

    for (int i = 0; i < PAIRS; i++)
        same |= line[i].tag == tag;
    return same;
}

static size_t used(const struct pair *line)
{
    size_t n = 0;

    for (int i = 0; i < PAIRS; i++)
        n += line[i].text != 0;
    return n;
}

int bands_put(struct bands *x, uint32_t tag, uint32_t text, struct err *e)
{
    struct pair v = {tag, text + 1}, *p;
    int merged = 0;

    if (4 * (x->used + 1) > FULL * x->places && x->places < x->most)
        widen(x);
    p = x->fresh.p;
    // the last place is always free
    if (4 * (x->used + 1) > FULL * x->places || p[x->places + BEYOND - 2].text) {
        if (merge(x, e))
            return -1;
        merged = 1;
        p = x->fresh.p;
    }
    for (p += home(x, tag);; p += PAIRS) {
        for (int i = 0; has(p, tag) && i < PAIRS; i++)
            if (p[i].tag == tag && p[i].text == v.text)
                return merged;
        if (!p[PAIRS - 1].text)
            break;
    }
    p[used(p)] = v;
    x->used++;
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
    for (p += home(x, tag);; p += PAIRS) {
        for (int i = 0; has(p, tag) && i < PAIRS; i++)
            if (p[i].tag == tag && p[i].text)
                found(x, n, p[i].text);
        if (!p[PAIRS - 1].text)
            break;
    }
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
        !grow_room(&x->fresh, (x->most + BEYOND) * sizeof(struct pair), e) &&
        (empty ? !bands_clear(x, e) : !make_places(x, LEAST, e) && !read_all(x, e)))
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
