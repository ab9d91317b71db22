/* dupes.c - records whose texts were met before. */
#include "dupes.h"

#include "bands.h"
#include "hash.h"
#include "kinds.h"
#include "mem.h"
#include "pile.h"
#include "scan.h"
#include "unorm.h"
#include "utf8.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

const char *const dupes_fields[] = {"messages", "conversations", "system", "instruction",
                                    "input",    "prompt",        "output", NULL};

/* A record that is kept: its key, and where its id is. */
struct kept {
    uint64_t key, id_at;
    uint64_t n_id;
};

struct dupes {
    struct dupes_opt o;
    struct near *near;
    /* Exact ones: kept records by the upper half of their keys, which few share with another. */
    struct bands *table;
    struct pile kept, ids;
    uint32_t n;
    struct buf one, id; // room for what is read of them
};

struct dupes *dupes_open(const struct dupes_opt *o, struct err *e)
{
    struct dupes *d = mem_zero(1, sizeof(*d));
    struct err why;

    d->o = *o;
    pile_temp(&d->ids, o->at.memory / 128, o->at.tmp);
    pile_temp(&d->kept, o->at.memory / 128, o->at.tmp);
    if ((!o->exact || (d->table = bands_open(NULL, true, o->at.memory / 16, o->at.tmp, e))) &&
        (o->near <= 0 || (d->near = near_open(o->near, &o->at, e))))
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
    bands_close(d->table);
    pile_close(&d->kept);
    pile_close(&d->ids);
    buf_free(&d->one);
    buf_free(&d->id);
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

static uint32_t tag_of(uint64_t key)
{
    return (uint32_t)(key >> 32);
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

static utf8proc_int32_t space_alike(utf8proc_int32_t c, void *with)
{
    (void)with;
    return unorm_is_space((uint32_t)c) ? ' ' : c;
}

/* s[from..to) composed and folded, each kind of space as ' '. */
static void map(const char *s, size_t from, size_t to, struct buf *out)
{
    utf8proc_uint8_t *u = NULL;
    utf8proc_ssize_t k = utf8proc_map_custom(
        (const utf8proc_uint8_t *)s + from, (utf8proc_ssize_t)(to - from), &u,
        UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD, space_alike, NULL);

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

/* May there be a space at an end, or two together? */
static bool may_have_spaces(const struct kinds *t)
{
    uint64_t before = 1, any = 0; // is the byte before a block a space?

    for (size_t k = 0; k < t->n / 64; k++) {
        any |= t->space[k] & (t->space[k] << 1 | before);
        before = t->space[k] >> 63;
    }
    if (t->n % 64) { // behind the text is space as well
        uint64_t last = t->space[t->n / 64] & ((1ull << t->n % 64 << 1) - 1);

        any |= last & (last << 1 | before);
        before = 0;
    }
    return any || before;
}

/* The text in w->one; true when its words are those of the text as it was. */
static bool normalize(struct dupes_desk *w, struct look *text)
{
    struct buf low = {0};
    bool same = true;

    mem_grow(&w->one.p, &w->one.cap, text->n + 1, 1);
    scan_lower(w->one.p, text->s, text->n, 1);
    w->one.n = text->n;
    if (!look_kinds(text)->easy) { // the rest is as it is after folding
        low = w->one;
        w->one = (struct buf){0};
        fold(low.p, low.n, &w->one);
        same = low.n == w->one.n && !memcmp(low.p, w->one.p, low.n);
        buf_free(&low);
    }
    if (!look_kinds(text)->easy || may_have_spaces(look_kinds(text)))
        join_spaces(&w->one);
    w->one.p[w->one.n] = 0;
    return same;
}

void dupes_begin(struct dupes_text *x)
{
    x->sum = (struct hash128){0, 0};
    minhash_begin(&x->set);
}

void dupes_add(const struct dupes *d, struct dupes_desk *w, struct dupes_text *x, struct look *text)
{
    bool same;

    if (!text) {
        x->sum = hash_add(x->sum, "", 0);
        return;
    }
    same = normalize(w, text);
    x->sum = hash_add(x->sum, w->one.p, w->one.n);
    if (!d->near)
        return;
    if (!same) {
        look_text(&w->look, w->one.p, w->one.n);
        text = &w->look;
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
    if (d->table)
        bands_soon(d->table, tag_of(x->key));
    if (d->near)
        near_soon(d->near, x->band);
}

void dupes_text_free(struct dupes_text *x)
{
    minhash_set_free(&x->set);
}

void dupes_desk_free(struct dupes_desk *w)
{
    buf_free(&w->one);
    look_free(&w->look);
}

/* ---- exact ---- */

/* 1 = a kept record has the key, in *x; 0 = none has. */
static int find(struct dupes *d, uint64_t key, struct kept *x, struct err *e)
{
    const uint32_t *list;
    size_t n;

    if (bands_find(d->table, tag_of(key), &list, &n, e))
        return -1;
    for (size_t i = 0; i < n; i++) {
        const void *p = pile_get(&d->kept, list[i] * sizeof(*x), sizeof(*x), &d->one);

        if (!p)
            return err_set(e, ERR_IO, "cannot read what is known of records that were kept");
        memcpy(x, p, sizeof(*x));
        if (x->key == key)
            return 1;
    }
    return 0;
}

static int keep(struct dupes *d, uint64_t key, const char *id, struct err *e)
{
    struct kept x = {key, d->ids.n, strlen(id)};

    if (d->n >= UINT32_MAX - 1)
        return err_set(e, ERR_MEM, "more than %u records that were kept", UINT32_MAX - 1);
    if (pile_put(&d->ids, x.id_at, id, x.n_id, e) ||
        pile_put(&d->kept, d->kept.n, &x, sizeof(x), e) ||
        bands_put(d->table, tag_of(key), d->n, e) < 0)
        return -1;
    d->n++;
    return 0;
}

int dupes_meet(struct dupes *d, struct dupes_text *t, const char *id, struct dupes_hit *hit,
               struct err *e)
{
    struct near_hit near;
    struct kept x;
    int rc = d->table ? find(d, t->key, &x, e) : 0;

    if (rc < 0)
        return -1;
    if (rc) {
        const char *kept = pile_get(&d->ids, x.id_at, x.n_id, &d->id);

        if (d->near)
            near_soon(d->near, NULL);
        *hit = (struct dupes_hit){true, kept, x.n_id, 1};
        return kept ? 1 : err_set(e, ERR_IO, "cannot read the id of a record that was kept");
    }
    if (d->near)
        rc = near_meet(d->near, &t->set, t->band, id, d->o.run, &near, e);
    if (rc > 0)
        *hit = (struct dupes_hit){false, near.id, near.n_id, near.similarity};
    return !rc && d->table ? keep(d, t->key, id, e) : rc;
}

int dupes_recall(struct dupes *d, struct dupes_text *t, const char *id, struct err *e)
{
    struct kept x;
    int rc = d->near ? near_add(d->near, &t->set, t->band, id, d->o.run, e) : 0;

    if (rc || !d->table)
        return rc;
    rc = find(d, t->key, &x, e);
    return rc ? (rc < 0 ? -1 : 0) : keep(d, t->key, id, e);
}
