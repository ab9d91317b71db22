/* kv.c - pages of the key/value cache. */
#include "kv.h"

#include "mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Checked when the model was opened: layers, heads and head_dim are small. */
size_t kv_page_bytes(const struct model *m, enum kv_type type)
{
    return (size_t)m->n_layers * (size_t)m->attn.n_kv_heads * 2 * BACKEND_PAGE *
           (size_t)m->attn.head_dim * kv_value_bytes(type);
}

int64_t kv_most_pages(int window, int64_t n, int chunk)
{
    int64_t all = (n + BACKEND_PAGE - 1) / BACKEND_PAGE, seen;

    seen = ((int64_t)window - 1 + chunk + BACKEND_PAGE - 1) / BACKEND_PAGE + 1;
    return window && seen < all ? seen : all;
}

/* ---- free pages ---- */

/* Into the list: at its end (given out after all others) or at its head. */
static void put_free(struct kv *kv, int p, bool end)
{
    struct kv_page *x = &kv->page[p];

    x->before = end ? kv->last : -1;
    x->behind = end ? -1 : kv->first;
    if (x->before < 0)
        kv->first = p;
    else
        kv->page[x->before].behind = p;
    if (x->behind < 0)
        kv->last = p;
    else
        kv->page[x->behind].before = p;
    kv->n_free++;
}

static void take_free(struct kv *kv, int p)
{
    struct kv_page *x = &kv->page[p];

    if (x->before < 0)
        kv->first = x->behind;
    else
        kv->page[x->before].behind = x->behind;
    if (x->behind < 0)
        kv->last = x->before;
    else
        kv->page[x->behind].before = x->before;
    kv->n_free--;
}

static int new_page(struct kv *kv)
{
    int p = kv->first;

    assert(p >= 0);
    take_free(kv, p);
    kv->page[p].refs = 1;
    kv->page[p].name = 0;
    if (kv->cache)
        prefix_drop(&kv->prefix, p);
    return p;
}

static void hold(struct kv *kv, int p)
{
    if (!kv->page[p].refs++)
        take_free(kv, p);
}

/* The list is in the order of last use; what is of no use to others goes first. */
static void drop(struct kv *kv, int p)
{
    assert(kv->page[p].refs > 0);
    if (!--kv->page[p].refs)
        put_free(kv, p, kv->cache && prefix_has(&kv->prefix, p));
}

/* ---- the pool ---- */

int kv_open(struct kv *kv, const struct model *m, struct backend *b, enum kv_type type, int n_pages,
            struct err *e)
{
    size_t page = kv_page_bytes(m, type);
    void *p;

    *kv = (struct kv){.backend = b, .window = m->window, .first = -1, .last = -1};
    if (n_pages < 1 || !mem_mul(page, (size_t)n_pages, &kv->bytes))
        return err_set(e, ERR_ARG, "%d pages of %zu bytes: not a possible cache", n_pages, page);
    if (b->ops->alloc(b, kv->bytes, &p, e)) {
        *kv = (struct kv){0};
        return err_wrap(e, "cache of %d pages", n_pages);
    }
    kv->pages =
        (struct kv_pages){p, m->n_layers, n_pages, m->attn.n_kv_heads, m->attn.head_dim, type};
    kv->page = mem_zero((size_t)n_pages, sizeof(*kv->page));
    for (int i = n_pages - 1; i >= 0; i--)
        put_free(kv, i, false);
    return 0;
}

void kv_cache(struct kv *kv)
{
    kv->cache = true;
    prefix_open(&kv->prefix, kv->pages.n_pages);
}

void kv_close(struct kv *kv)
{
    if (kv->pages.data_d)
        kv->backend->ops->free(kv->backend, kv->pages.data_d, kv->bytes);
    free(kv->page);
    prefix_close(&kv->prefix);
    *kv = (struct kv){0};
}

/* ---- sequences ---- */

/* The page at position len will be written behind len: does that spoil it for others? */
static bool spoils(const struct kv *kv, const struct kv_seq *s)
{
    int p = s->page[s->len / BACKEND_PAGE];

    return kv->page[p].refs > 1 ||
           (kv->cache && prefix_tokens(&kv->prefix, p) > s->len % BACKEND_PAGE);
}

static void copy_page(struct kv *kv, int32_t *page)
{
    int copy = new_page(kv);

    kv->backend->ops->copy(kv->backend, &kv->pages, copy, *page);
    drop(kv, *page);
    *page = copy;
}

int kv_reserve(struct kv *kv, struct kv_seq *s, int n)
{
    int64_t want = ((int64_t)s->len + n + BACKEND_PAGE - 1) / BACKEND_PAGE;
    int at = s->len / BACKEND_PAGE;
    bool spoil = n > 0 && at < s->n_pages && spoils(kv, s);
    bool copy = spoil && (kv->page[s->page[at]].refs > 1 || want - s->n_pages < kv->n_free);

    if (want - s->n_pages + copy > kv->n_free)
        return -1;
    if (copy)
        copy_page(kv, &s->page[at]);
    else if (spoil) // no page for a copy, and nobody else holds it now
        prefix_drop(&kv->prefix, s->page[at]);
    if (n > 0 && at < s->n_pages)
        kv->page[s->page[at]].name = 0; // it may have been full, before a cut
    if (want > s->n_pages)
        mem_grow(&s->page, &s->cap, (size_t)want, sizeof(*s->page));
    while (s->n_pages < want)
        s->page[s->n_pages++] = new_page(kv);
    return 0;
}

static struct kv_place place_of(const struct kv_seq *s, int slot)
{
    assert(slot / BACKEND_PAGE < s->n_pages);
    return (struct kv_place){s->page[slot / BACKEND_PAGE], slot % BACKEND_PAGE};
}

void kv_keep(struct kv *kv, struct kv_seq *s, uint64_t path)
{
    struct kv_place dst[BACKEND_TREE], src[BACKEND_TREE];
    int base = s->len, n = 0;

    for (; path; path &= path - 1, s->len++) { // each goes to its own slot, or one before it
        int from = base + __builtin_ctzll(path);

        if (from == s->len)
            continue;
        dst[n] = place_of(s, s->len);
        src[n++] = place_of(s, from);
    }
    if (n)
        kv->backend->ops->move(kv->backend, &kv->pages, dst, src, n);
    kv_cut(kv, s, s->len);
}

/* Pages before the window of the token at position len. */
static int unseen(const struct kv *kv, int len)
{
    return kv->window && len >= kv->window ? (len - kv->window + 1) / BACKEND_PAGE : 0;
}

void kv_cut(struct kv *kv, struct kv_seq *s, int len)
{
    int keep;

    assert(len >= 0);
    if (len < s->len && unseen(kv, len) < s->gone)
        len = 0;
    keep = len / BACKEND_PAGE + (len % BACKEND_PAGE != 0);
    while (s->n_pages > keep && s->n_pages > s->gone)
        drop(kv, s->page[--s->n_pages]);
    if (!keep)
        s->n_pages = s->gone = 0;
    if (s->len > len)
        s->len = len;
}

void kv_leave(struct kv *kv, struct kv_seq *s)
{
    int n = unseen(kv, s->len);

    for (; s->gone < n && s->gone < s->n_pages; s->gone++) {
        int32_t *page = &s->page[s->gone];

        s->name = kv->page[*page].name;
        drop(kv, *page);
        *page = 0;
    }
}

void kv_release(struct kv *kv, struct kv_seq *s)
{
    kv_cut(kv, s, 0);
    free(s->page);
    *s = (struct kv_seq){0};
}

void kv_fork(struct kv *kv, struct kv_seq *dst, const struct kv_seq *src)
{
    assert(dst != src);
    for (int i = src->gone; i < src->n_pages; i++)
        hold(kv, src->page[i]);
    kv_cut(kv, dst, 0);
    if (src->n_pages) {
        mem_grow(&dst->page, &dst->cap, (size_t)src->n_pages, sizeof(*dst->page));
        memcpy(dst->page, src->page, (size_t)src->n_pages * sizeof(*dst->page));
    }
    dst->n_pages = src->n_pages;
    dst->len = src->len;
    dst->gone = src->gone;
    dst->name = src->name;
}

/* ---- what pages hold ---- */

/* The prefix's name of the first i pages, 0 when it is not known or there are none. */
static uint64_t name_of(const struct kv *kv, const struct kv_seq *s, int i)
{
    return !i ? 0 : i == s->gone ? s->name : kv->page[s->page[i - 1]].name;
}

static void take_over(struct kv *kv, struct kv_seq *s, int page, int n)
{
    hold(kv, page);
    mem_grow(&s->page, &s->cap, (size_t)s->n_pages + 1, sizeof(*s->page));
    s->page[s->n_pages++] = page;
    s->len += n;
}

int kv_match(struct kv *kv, struct kv_seq *s, const int32_t *token, int n)
{
    uint64_t name;
    int page, same, soon;

    if (!kv->cache || s->len % BACKEND_PAGE || s->len != s->n_pages * BACKEND_PAGE)
        return 0;
    name = name_of(kv, s, s->n_pages);
    if (s->n_pages && !name)
        return 0;
    while (n - s->len >= BACKEND_PAGE) {
        page = prefix_find(&kv->prefix, name, token + s->len, &name);
        if (page < 0)
            break;
        take_over(kv, s, page, BACKEND_PAGE);
    }
    page = prefix_near(&kv->prefix, name, token + s->len, n - s->len, &same, &soon);
    if (soon - same >= KV_WAIT_MIN)
        return 1;
    if (page >= 0 && same >= KV_MATCH_MIN)
        take_over(kv, s, page, same);
    return 0;
}

void kv_note(struct kv *kv, const struct kv_seq *s, const int32_t *token, bool tail)
{
    int full = s->len / BACKEND_PAGE, rest = s->len % BACKEND_PAGE, i = full;
    uint64_t name;

    if (!kv->cache)
        return;
    while (i > s->gone && !name_of(kv, s, i))
        i--;
    name = name_of(kv, s, i);
    if (i && !name) // of the last page that is gone
        return;
    for (; i < full + (tail && rest); i++) {
        struct kv_page *x = &kv->page[s->page[i]];
        uint64_t put = prefix_put(&kv->prefix, s->page[i], name, token + i * BACKEND_PAGE,
                                  i < full ? BACKEND_PAGE : rest);

        if (i < full)
            x->name = name = put;
    }
}

void kv_written(struct kv *kv)
{
    if (kv->cache)
        prefix_step(&kv->prefix);
}
