/* kv.c - pages of the key/value cache. */
#include "kv.h"

#include "mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Checked when the model was opened: layers, heads and head_dim are small. */
size_t kv_page_bytes(const struct model *m)
{
    return (size_t)m->n_layers * (size_t)m->attn.n_kv_heads * 2 * BACKEND_PAGE *
           (size_t)m->attn.head_dim * sizeof(float);
}

/* ---- free pages ---- */

/* Put a page at the head of the list: it is given out next. */
static void put_free(struct kv *kv, int p)
{
    kv->page[p].before = -1;
    kv->page[p].behind = kv->first;
    if (kv->first < 0)
        kv->last = p;
    else
        kv->page[kv->first].before = p;
    kv->first = p;
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
    return p;
}

static void drop(struct kv *kv, int p)
{
    assert(kv->page[p].refs > 0);
    if (!--kv->page[p].refs)
        put_free(kv, p);
}

/* ---- the pool ---- */

int kv_open(struct kv *kv, const struct model *m, struct backend *b, int n_pages, struct err *e)
{
    void *p;

    *kv = (struct kv){.backend = b, .first = -1, .last = -1};
    if (n_pages < 1 || !mem_mul(kv_page_bytes(m), (size_t)n_pages, &kv->bytes))
        return err_set(e, ERR_ARG, "%d pages of %zu bytes: not a possible cache", n_pages,
                       kv_page_bytes(m));
    if (b->ops->alloc(b, kv->bytes, &p, e)) {
        *kv = (struct kv){0};
        return err_wrap(e, "cache of %d pages", n_pages);
    }
    kv->pages = (struct kv_pages){p, m->n_layers, n_pages, m->attn.n_kv_heads, m->attn.head_dim};
    kv->page = mem_zero((size_t)n_pages, sizeof(*kv->page));
    for (int i = n_pages - 1; i >= 0; i--)
        put_free(kv, i);
    return 0;
}

void kv_close(struct kv *kv)
{
    if (kv->pages.data_d)
        kv->backend->ops->free(kv->backend, kv->pages.data_d, kv->bytes);
    free(kv->page);
    *kv = (struct kv){0};
}

/* ---- sequences ---- */

int kv_reserve(struct kv *kv, struct kv_seq *s, int n)
{
    int64_t want = ((int64_t)s->len + n + BACKEND_PAGE - 1) / BACKEND_PAGE;
    int at = s->len / BACKEND_PAGE; // the page to be written first
    bool shared = n > 0 && at < s->n_pages && kv->page[s->page[at]].refs > 1;

    if (want - s->n_pages + shared > kv->n_free)
        return -1;
    if (shared) {
        int copy = new_page(kv);

        kv->backend->ops->copy(kv->backend, &kv->pages, copy, s->page[at]);
        drop(kv, s->page[at]);
        s->page[at] = copy;
    }
    if (want > s->n_pages)
        mem_grow(&s->page, &s->cap, (size_t)want, sizeof(*s->page));
    while (s->n_pages < want)
        s->page[s->n_pages++] = new_page(kv);
    return 0;
}

void kv_cut(struct kv *kv, struct kv_seq *s, int len)
{
    int keep = len / BACKEND_PAGE + (len % BACKEND_PAGE != 0);

    assert(len >= 0);
    while (s->n_pages > keep)
        drop(kv, s->page[--s->n_pages]);
    if (s->len > len)
        s->len = len;
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
    for (int i = 0; i < src->n_pages; i++)
        kv->page[src->page[i]].refs++;
    kv_cut(kv, dst, 0);
    if (src->n_pages) {
        mem_grow(&dst->page, &dst->cap, (size_t)src->n_pages, sizeof(*dst->page));
        memcpy(dst->page, src->page, (size_t)src->n_pages * sizeof(*dst->page));
    }
    dst->n_pages = src->n_pages;
    dst->len = src->len;
}
