/* dupes.c - records whose texts were met before. */
#include "dupes.h"

#include "grow.h"
#include "hash.h"
#include "mem.h"
#include "scan.h"
#include "utf8.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

const char *const dupes_fields[] = {"messages", "conversations", "system", "instruction",
                                    "input",    "prompt",        "output", NULL};

struct place {
    uint64_t key, at; // at: of the id in `ids`, + 1; 0: free
};

struct dupes {
    struct dupes_opt o;
    struct near *near;
    struct grow table; // (cap) struct place, open addressing, a power of two
    size_t n, cap, n_ids;
    struct grow ids; // NUL-terminated, one behind the other
};

struct dupes *dupes_open(const struct dupes_opt *o, struct err *e)
{
    struct dupes *d = mem_zero(1, sizeof(*d));
    struct err why;

    d->o = *o;
    grow_temp(&d->ids, o->at.memory / 16, o->at.tmp);
    grow_temp(&d->table, o->at.memory / 8, o->at.tmp);
    if (o->near <= 0 || (d->near = near_open(o->near, &o->at, e)))
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
    grow_close(&d->table);
    free(d);
    return rc;
}

void dupes_recalled(struct dupes *d)
{
    if (d && d->near)
        near_cut(d->near, d->o.run);
}

const struct near *dupes_near(const struct dupes *d)
{
    return d ? d->near : NULL;
}

static size_t home(size_t cap, uint64_t key)
{
    return (size_t)(key ^ key >> 32) & (cap - 1);
}

/* ---- texts ---- */

/* Characters that composition and case folding leave as they are, and that join with none before
 * them: most of what is written beyond ASCII. */
static bool is_plain(uint32_t c)
{
    return c < 0x80 || (c >= 0xAC00 && c <= 0xD7A3) || (c >= 0x4E00 && c <= 0x9FA5) ||
           (c >= 0x3041 && c <= 0x3094) || (c >= 0x30A1 && c <= 0x30FA) ||
           (c >= 0x3001 && c <= 0x3011) || (c >= 0x2010 && c <= 0x2027) ||
           (c >= 0xA1 && c <= 0xBF && c != 0xB5) || (c >= 0xE0 && c <= 0xFF) ||
           (c >= 0x430 && c <= 0x45F) || (c >= 0x1F300 && c <= 0x1F64F);
}

/* s[from..to) composed and folded. */
static void map(const char *s, size_t from, size_t to, struct buf *out)
{
    utf8proc_uint8_t *u = NULL;
    utf8proc_ssize_t k =
        utf8proc_map((const utf8proc_uint8_t *)s + from, (utf8proc_ssize_t)(to - from), &u,
                     UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD);

    if (k < 0)
        buf_add(out, s + from, to - from);
    else
        buf_add(out, u, (size_t)k);
    free(u);
}

/* Length of the character at s[0..n); is it plain? */
static size_t step(const char *s, size_t n, bool *plain)
{
    uint32_t c = 0xFFFD;
    int len = utf8_get(s, n, &c);

    *plain = is_plain(c);
    return len ? (size_t)len : 1;
}

/* Compose and fold all of s, which has ASCII in lower case already. What is not plain is mapped
 * together with the character before it. */
static void fold(const char *s, size_t n, struct buf *out)
{
    size_t done = 0, i = scan_ascii(s, n), before = i ? i - 1 : 0;

    buf_reset(out);
    while (i < n) {
        bool plain;
        size_t len = step(s + i, n - i, &plain), end = i;

        if (plain) {
            before = i;
            i += len;
            continue;
        }
        while (end < n && (len = step(s + end, n - end, &plain), !plain))
            end += len;
        buf_add(out, s + done, before - done);
        map(s, before, end, out);
        done = before = i = end;
    }
    buf_add(out, s + done, n - done);
}

/* Runs of spaces become one, those at the ends none. */
static void join_spaces(struct buf *b)
{
    size_t at = 0, to = 0, n;

    while (b->n && b->p[b->n - 1] == ' ')
        b->n--;
    while (at < b->n && b->p[at] == ' ')
        at++;
    while (at < b->n) { // up to the first space of two, with it
        n = scan_pairs(b->p + at, b->n - at, "  ");
        n += at + n < b->n;
        if (to != at)
            memmove(b->p + to, b->p + at, n);
        to += n;
        for (at += n; at < b->n && b->p[at] == ' ';)
            at++;
    }
    b->n = to;
    b->p[to] = 0;
}

/* The text in x->one; true when its words are those of the text as it was. */
static bool normalize(struct dupes_text *x, struct look *text)
{
    struct buf low = {0};
    bool same = true;

    mem_grow(&x->one.p, &x->one.cap, text->n + 1, 1);
    scan_lower(x->one.p, text->s, text->n, 1);
    x->one.n = text->n;
    if (!look_kinds(text)->ascii) {
        low = x->one;
        x->one = (struct buf){0};
        fold(low.p, low.n, &x->one);
        same = low.n == x->one.n && !memcmp(low.p, x->one.p, low.n);
        buf_free(&low);
    }
    join_spaces(&x->one);
    return same;
}

void dupes_begin(struct dupes_text *x)
{
    x->sum = (struct hash128){0, 0};
    minhash_begin(&x->set);
}

void dupes_add(const struct dupes *d, struct dupes_text *x, struct look *text)
{
    bool same;

    if (!text) {
        x->sum = hash_add(x->sum, "", 0);
        return;
    }
    same = normalize(x, text);
    x->sum = hash_add(x->sum, x->one.p, x->one.n);
    if (!d->near)
        return;
    if (!same) {
        look_text(&x->look, x->one.p, x->one.n);
        text = &x->look;
    }
    minhash_add(&x->set, look_words(text), look_threes(text));
}

void dupes_end(const struct dupes *d, struct dupes_text *x)
{
    x->key = x->sum.lo;
    if (!d->near)
        return;
    minhash_end(&x->set, x->key);
    near_keys(d->near, &x->set, x->band);
}

void dupes_soon(const struct dupes *d, const struct dupes_text *x)
{
    const struct place *p = d->table.p;

    if (d->o.exact && d->cap)
        __builtin_prefetch(&p[home(d->cap, x->key)], 1);
    if (d->near)
        near_soon(d->near, x->band);
}

void dupes_text_free(struct dupes_text *x)
{
    minhash_set_free(&x->set);
    buf_free(&x->one);
    look_free(&x->look);
}

/* ---- exact ---- */

static struct place *find(const struct grow *table, size_t cap, uint64_t key)
{
    struct place *p = table->p;
    size_t i = home(cap, key);

    while (p[i].at && p[i].key != key)
        i = (i + 1) & (cap - 1);
    return &p[i];
}

static int widen(struct dupes *d, struct err *e)
{
    size_t cap = d->cap ? 2 * d->cap : 4096;
    const struct place *old = d->table.p;
    struct grow g;

    grow_temp(&g, d->o.at.memory / 8, d->o.at.tmp);
    if (grow_room(&g, cap * sizeof(*old), e)) {
        grow_close(&g);
        return -1;
    }
    for (size_t i = 0; i < d->cap; i++)
        if (old[i].at)
            *find(&g, cap, old[i].key) = old[i];
    grow_close(&d->table);
    d->table = g;
    d->cap = cap;
    return 0;
}

static int keep(struct dupes *d, uint64_t key, const char *id, struct err *e)
{
    size_t n = strlen(id) + 1;

    if ((4 * (d->n + 1) > 3 * d->cap && widen(d, e)) || grow_room(&d->ids, d->n_ids + n, e))
        return -1;
    memcpy((char *)d->ids.p + d->n_ids, id, n);
    *find(&d->table, d->cap, key) = (struct place){key, d->n_ids + 1};
    d->n_ids += n;
    d->n++;
    return 0;
}

int dupes_meet(struct dupes *d, struct dupes_text *t, const char *id, struct dupes_hit *hit,
               struct err *e)
{
    const struct place *x = d->o.exact && d->cap ? find(&d->table, d->cap, t->key) : NULL;
    struct near_hit near;
    int rc = 0;

    if (x && x->at) {
        const char *kept = (const char *)d->ids.p + x->at - 1;

        *hit = (struct dupes_hit){true, kept, strlen(kept), 1};
        return 1;
    }
    if (d->near)
        rc = near_meet(d->near, &t->set, t->band, id, d->o.run, &near, e);
    if (rc > 0)
        *hit = (struct dupes_hit){false, near.id, near.n_id, near.similarity};
    return !rc && d->o.exact ? keep(d, t->key, id, e) : rc;
}
