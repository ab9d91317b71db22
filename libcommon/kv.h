/* kv.h - pages of the key/value cache.
 *
 * A pool of pages of 64 positions (all layers of a position share a page
 * number) and, per sequence, the list of its pages. Pages are counted: sequences
 * may share them, and who writes into a page that another one holds gets a copy
 * first. Memory is reserved for the whole pool and becomes resident as pages are
 * first written. Source: Kwon et al. 2023 (PagedAttention), sections 4.1-4.4. */
#ifndef KV_H
#define KV_H

#include "backend.h"
#include "model.h"

struct kv {
    struct backend *backend;
    struct kv_pages pages;
    size_t bytes;
    struct kv_page *page;    // (n_pages)
    int n_free, first, last; // free pages as a list, the one to be given next first; -1: none
};

struct kv_page {
    int refs;               // sequences that hold it
    int32_t before, behind; // in the list of free pages, -1: none
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

/* Make room to write positions len .. len + n - 1; a partly filled page at len that
 * others hold too is replaced by a copy. -1 (nothing changed) when the pool has
 * too few free pages. kv_cut gives back all pages beyond the first len positions. */
int kv_reserve(struct kv *kv, struct kv_seq *s, int n);
void kv_cut(struct kv *kv, struct kv_seq *s, int len);
void kv_release(struct kv *kv, struct kv_seq *s); // all pages, and the list itself

/* dst (its old pages are given back; may be zeroed, must not be src) becomes
 * src: the same pages, no bytes moved. Whoever writes next copies one page. */
void kv_fork(struct kv *kv, struct kv_seq *dst, const struct kv_seq *src);

#endif
