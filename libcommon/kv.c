/* kv.c - pages of the key/value cache. */
#include "kv.h"

#include "mem.h"

#include <assert.h>
#include <stdlib.h>

/* Checked when the model was opened: layers, heads and head_dim are small. */
size_t kv_page_bytes(const struct model *m)
{
    return (size_t)m->n_layers * (size_t)m->attn.n_kv_heads * 2 * BACKEND_PAGE *
           (size_t)m->attn.head_dim * sizeof(float);
}

int kv_open(struct kv *kv, const struct model *m, struct backend *b, int n_pages, struct err *e)
{
    void *p;

    *kv = (struct kv){.backend = b};
    if (n_pages < 1 || !mem_mul(kv_page_bytes(m), (size_t)n_pages, &kv->bytes))
        return err_set(e, ERR_ARG, "%d pages of %zu bytes: not a possible cache", n_pages,
                       kv_page_bytes(m));
    if (b->ops->alloc(b, kv->bytes, &p, e)) {
        *kv = (struct kv){0};
        return err_wrap(e, "cache of %d pages", n_pages);
    }
    kv->pages = (struct kv_pages){p, m->n_layers, n_pages, m->attn.n_kv_heads, m->attn.head_dim};
    kv->free = mem_new((size_t)n_pages * sizeof(*kv->free));
    for (kv->n_free = 0; kv->n_free < n_pages; kv->n_free++)
        kv->free[kv->n_free] = n_pages - 1 - kv->n_free;
    return 0;
}

void kv_close(struct kv *kv)
{
    if (kv->pages.data_d)
        kv->backend->ops->free(kv->backend, kv->pages.data_d, kv->bytes);
    free(kv->free);
    *kv = (struct kv){0};
}

int kv_reserve(struct kv *kv, struct kv_seq *s, int n)
{
    int64_t want = ((int64_t)s->len + n + BACKEND_PAGE - 1) / BACKEND_PAGE;

    if (want - s->n_pages > kv->n_free)
        return -1;
    if (want > s->n_pages)
        mem_grow(&s->page, &s->cap, (size_t)want, sizeof(*s->page));
    while (s->n_pages < want)
        s->page[s->n_pages++] = kv->free[--kv->n_free];
    return 0;
}

void kv_cut(struct kv *kv, struct kv_seq *s, int len)
{
    int keep = len / BACKEND_PAGE + (len % BACKEND_PAGE != 0);

    assert(len >= 0);
    while (s->n_pages > keep) {
        assert(kv->n_free < kv->pages.n_pages);
        kv->free[kv->n_free++] = s->page[--s->n_pages];
    }
    if (s->len > len)
        s->len = len;
}

void kv_release(struct kv *kv, struct kv_seq *s)
{
    kv_cut(kv, s, 0);
    free(s->page);
    *s = (struct kv_seq){0};
}
