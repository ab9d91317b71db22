/* kv.h - pages of the key/value cache.
 *
 * A pool of pages of 64 positions (all layers of a position share a page
 * number) and, per sequence, the list of its pages. Memory is reserved for the
 * whole pool and becomes resident as pages are first written. */
#ifndef KV_H
#define KV_H

#include "backend.h"
#include "model.h"

struct kv {
    struct backend *backend;
    struct kv_pages pages;
    size_t bytes;
    int32_t *free; // (n_free) stack of free pages, lowest on top at first
    int n_free;
};

struct kv_seq {
    int32_t *page; // (n_pages)
    int n_pages;
    size_t cap;
    int len; // positions written
};

/* Bytes of one page, all layers. */
size_t kv_page_bytes(const struct model *m);
int kv_open(struct kv *kv, const struct model *m, struct backend *b, int n_pages, struct err *e);
void kv_close(struct kv *kv);

/* Make room for positions up to len + n; -1 (nothing changed) when the pool is
 * empty. kv_cut gives back all pages beyond the first len positions. */
int kv_reserve(struct kv *kv, struct kv_seq *s, int n);
void kv_cut(struct kv *kv, struct kv_seq *s, int len);
void kv_release(struct kv *kv, struct kv_seq *s); // all pages, and the list itself

#endif
