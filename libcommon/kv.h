/* kv.h - pages of the key/value cache.
 *
 * A pool of pages of 64 positions (all layers of a position share a page
 * number) and, per sequence, the list of its pages. Pages are counted: sequences
 * may share them, and who writes into a page that another one holds gets a copy
 * first. Memory is reserved for the whole pool and becomes resident as pages are
 * first written.
 *
 * Free pages keep what they hold, and prefix knows what that is: a new sequence that
 * begins with the same tokens takes them over instead of computing them. What a
 * position holds depends on the tokens up to it alone, so this never shows.
 * Source: Kwon et al. 2023 (PagedAttention), sections 4.1-4.4. */
#ifndef KV_H
#define KV_H

#include "backend.h"
#include "model.h"
#include "prefix.h"

enum {
    KV_MATCH_MIN = 8, // tokens from which the beginning of a page is worth a copy,
    KV_WAIT_MIN = 16, // and worth waiting for a step
};

struct kv {
    struct backend *backend;
    int window; // of the model
    struct kv_pages pages;
    size_t bytes;
    struct kv_page *page; // (n_pages)
    int n_free;           // free pages form a list, the one to be given next first
    int first, last;      // -1: none
    bool cache;
    struct prefix prefix; // what pages hold; with cache only
};

struct kv_page {
    int refs;               // sequences that hold it
    int32_t before, behind; // in the list of free pages, -1: none
    uint64_t name;          // the prefix's, of the full page and all before it; 0: not known
};

struct kv_seq {
    int32_t *page; // (n_pages)
    int n_pages;
    size_t cap;
    int len;       // positions written
    int gone;      // first pages that no token to come sees: given back, their numbers mean nothing
    uint64_t name; // of the last of these
};

/* Bytes of one page, all layers. */
size_t kv_page_bytes(const struct model *m, enum kv_type type);
/* Pages that a sequence of n positions holds at most at once, when chunks of at most `chunk` are
 * reserved after kv_leave. */
int64_t kv_most_pages(int window, int64_t n, int chunk);
int kv_open(struct kv *kv, const struct model *m, struct backend *b, enum kv_type type, int n_pages,
            struct err *e);
/* From now on keep what free pages hold; without it kv_match and kv_note do nothing. */
void kv_cache(struct kv *kv);
void kv_close(struct kv *kv);

/* Make room to write positions len .. len + n - 1; a partly filled page at len that
 * others hold too, or whose further tokens may be of use, is replaced by a copy. -1 (nothing
 * changed) when the pool has too few free pages. kv_cut gives back all pages beyond the
 * first len positions. */
int kv_reserve(struct kv *kv, struct kv_seq *s, int n);
void kv_cut(struct kv *kv, struct kv_seq *s, int len);
void kv_release(struct kv *kv, struct kv_seq *s); // all pages, and the list itself
/* Of a tree that steps have written behind the first s->len positions (backend.h) keep the path of
 * the node with these bits, 0: nothing: it becomes the next positions, s->len grows, and the pages
 * behind are given back. Before the next step. */
void kv_keep(struct kv *kv, struct kv_seq *s, uint64_t path);
/* Give back the pages that no layer's window reaches from position len on. A cut to where they
 * would be seen again begins anew: len is 0 then. */
void kv_leave(struct kv *kv, struct kv_seq *s);

/* dst (its old pages are given back; may be zeroed, must not be src) becomes
 * src: the same pages, no bytes moved. Whoever writes next copies one page. */
void kv_fork(struct kv *kv, struct kv_seq *dst, const struct kv_seq *src);

/* Take over pages that hold the tokens from s->len on (0, or the end of a page), for
 * at most n tokens of the sequence in all; s->len grows. Pages that the step being built
 * writes count as well: it may be added to the same step. A page of which only the beginning
 * is of use must be written already; returns 1 when waiting for that until the next step
 * would save KV_WAIT_MIN tokens, else 0. */
int kv_match(struct kv *kv, struct kv_seq *s, const int32_t *token, int n);
/* Note what the step being built will have written: the full pages among the first s->len
 * tokens of s, and with `tail` the last, partly filled one. */
void kv_note(struct kv *kv, const struct kv_seq *s, const int32_t *token, bool tail);
/* The step being built has been computed. */
void kv_written(struct kv *kv);

#endif
