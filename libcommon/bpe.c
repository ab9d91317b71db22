/* bpe.c - merging of symbols by rank. */
#include "bpe.h"

#include "mem.h"

#include <stdlib.h>
#include <string.h>

enum { NO_RANK = -1, SHORT = 48 }; // up to SHORT symbols a scan beats a heap

struct bpe_node {
    int32_t sym;
    uint32_t prev, next; // indices, END at the ends
};

#define END UINT32_MAX

static uint64_t mix(int32_t left, int32_t right)
{
    uint64_t h = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * 0x9E3779B97F4A7C15u;

    return h ^ h >> 29;
}

static struct bpe_pair *place(const struct bpe *b, uint64_t h, int32_t left, int32_t right)
{
    size_t i = h & (b->cap - 1);

    while (b->pair[i].left >= 0 && (b->pair[i].left != left || b->pair[i].right != right))
        i = (i + 1) & (b->cap - 1);
    return &b->pair[i];
}

/* Most pairs that texts ask for are unknown: eight bits for each place tell so
 * without going to the pairs themselves. */
static uint64_t *word_of(const struct bpe *b, uint64_t h)
{
    return &b->maybe[h >> 40 & (b->cap / 8 - 1)];
}

static uint64_t bit_of(uint64_t h)
{
    return (uint64_t)1 << (h >> 34 & 63);
}

static void put(struct bpe *b, const struct bpe_pair *p)
{
    uint64_t h = mix(p->left, p->right);

    *place(b, h, p->left, p->right) = *p;
    *word_of(b, h) |= bit_of(h);
}

static void rehash(struct bpe *b, size_t cap)
{
    struct bpe old = *b;

    b->cap = cap;
    b->pair = mem_new(cap * sizeof(*b->pair));
    memset(b->pair, 0xFF, cap * sizeof(*b->pair));
    b->maybe = mem_zero(cap / 8, sizeof(*b->maybe));
    for (size_t i = 0; i < old.cap; i++)
        if (old.pair[i].left >= 0)
            put(b, &old.pair[i]);
    free(old.pair);
    free(old.maybe);
}

void bpe_add(struct bpe *b, int32_t left, int32_t right, uint32_t rank, int32_t to)
{
    if (2 * (b->n + 1) > b->cap)
        rehash(b, b->cap ? 2 * b->cap : 1024);
    if (place(b, mix(left, right), left, right)->left >= 0)
        return;
    put(b, &(struct bpe_pair){left, right, rank, to});
    b->n++;
}

void bpe_add_all(struct bpe *b, const struct bpe_pair *p, size_t n)
{
    enum { AHEAD = 16 };

    for (size_t i = 0; i < n + AHEAD; i++) {
        if (i < n && b->cap) {
            uint64_t h = mix(p[i].left, p[i].right);

            __builtin_prefetch(&b->pair[h & (b->cap - 1)], 1);
            __builtin_prefetch(word_of(b, h), 1);
        }
        if (i >= AHEAD)
            bpe_add(b, p[i - AHEAD].left, p[i - AHEAD].right, p[i - AHEAD].rank, p[i - AHEAD].to);
    }
}

void bpe_reserve(struct bpe *b, size_t n)
{
    size_t cap = b->cap ? b->cap : 1024;

    while (cap < 2 * n)
        cap *= 2;
    if (cap > b->cap)
        rehash(b, cap);
}

void bpe_free(struct bpe *b)
{
    free(b->pair);
    free(b->maybe);
    *b = (struct bpe){0};
}

void bpe_done(struct bpe_work *w)
{
    free(w->node);
    free(w->heap);
    *w = (struct bpe_work){0};
}

/* The pair's entry, or NULL when it has no rank. */
static const struct bpe_pair *find(const struct bpe *b, int32_t left, int32_t right)
{
    const struct bpe_pair *p;
    uint64_t h;

    if (left < 0 || right < 0)
        return NULL;
    h = mix(left, right);
    if (!(*word_of(b, h) & bit_of(h)))
        return NULL;
    p = place(b, h, left, right);
    return p->left < 0 ? NULL : p;
}

/* Few symbols: keep each pair's entry and look for the lowest. */
static size_t merge_short(const struct bpe *b, int32_t *sym, size_t n)
{
    const struct bpe_pair *pair[SHORT];

    for (size_t i = 0; i + 1 < n; i++)
        pair[i] = find(b, sym[i], sym[i + 1]);
    while (n > 1) {
        const struct bpe_pair *best = NULL;
        size_t k = 0;

        for (size_t i = 0; i + 1 < n; i++)
            if (pair[i] && (!best || pair[i]->rank < best->rank)) {
                best = pair[i];
                k = i;
            }
        if (!best)
            break;
        sym[k] = best->to;
        n--;
        memmove(sym + k + 1, sym + k + 2, (n - k - 1) * sizeof(*sym));
        memmove(pair + k, pair + k + 1, (n - k - 1) * sizeof(*pair));
        if (k)
            pair[k - 1] = find(b, sym[k - 1], sym[k]);
        if (k + 1 < n)
            pair[k] = find(b, sym[k], sym[k + 1]);
    }
    return n;
}

/* A heap of rank << 32 | index: the lowest rank first, then the leftmost. */
static void sift_down(uint64_t *h, size_t n, size_t i)
{
    uint64_t x = h[i];

    for (size_t k; (k = 2 * i + 1) < n; i = k) {
        if (k + 1 < n && h[k + 1] < h[k])
            k++;
        if (x <= h[k])
            break;
        h[i] = h[k];
    }
    h[i] = x;
}

static void push(struct bpe_work *w, uint64_t x)
{
    size_t i;

    mem_grow(&w->heap, &w->cap_heap, w->n_heap + 1, sizeof(*w->heap));
    for (i = w->n_heap++; i && w->heap[(i - 1) / 2] > x; i = (i - 1) / 2)
        w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = x;
}

static uint64_t pop(struct bpe_work *w)
{
    uint64_t x = w->heap[0];

    w->heap[0] = w->heap[--w->n_heap];
    if (w->n_heap)
        sift_down(w->heap, w->n_heap, 0);
    return x;
}

/* The entry of the pair that begins at node i, or NULL. */
static const struct bpe_pair *pair_at(const struct bpe *b, const struct bpe_work *w, uint32_t i)
{
    uint32_t next = w->node[i].next;

    return next == END ? NULL : find(b, w->node[i].sym, w->node[next].sym);
}

static void push_pair(const struct bpe *b, struct bpe_work *w, uint32_t i)
{
    const struct bpe_pair *p = pair_at(b, w, i);

    if (p)
        push(w, (uint64_t)p->rank << 32 | i);
}

static void load(const struct bpe *b, struct bpe_work *w, const int32_t *sym, size_t n)
{
    mem_grow(&w->node, &w->cap_node, n, sizeof(*w->node));
    w->n_heap = 0;
    for (size_t i = 0; i < n; i++)
        w->node[i] =
            (struct bpe_node){sym[i], i ? (uint32_t)i - 1 : END, i + 1 < n ? (uint32_t)i + 1 : END};
    for (size_t i = 0; i + 1 < n; i++) {
        const struct bpe_pair *p = find(b, sym[i], sym[i + 1]);

        mem_grow(&w->heap, &w->cap_heap, w->n_heap + 1, sizeof(*w->heap));
        if (p)
            w->heap[w->n_heap++] = (uint64_t)p->rank << 32 | i;
    }
    for (size_t i = w->n_heap / 2; i-- > 0;)
        sift_down(w->heap, w->n_heap, i);
}

static size_t merge_long(const struct bpe *b, struct bpe_work *w, int32_t *sym, size_t n)
{
    size_t k = 0;

    load(b, w, sym, n);
    while (w->n_heap) {
        uint64_t top = pop(w);
        uint32_t i = (uint32_t)top, right, after;
        const struct bpe_pair *p = w->node[i].sym < 0 ? NULL : pair_at(b, w, i);

        /* The pair may have changed since it was pushed; if it has a rank now,
         * an entry of its own is in the heap. */
        if (!p || p->rank != top >> 32)
            continue;
        right = w->node[i].next;
        after = w->node[right].next;
        w->node[i].sym = p->to;
        w->node[i].next = after;
        w->node[right].sym = NO_RANK; // dead
        if (after != END)
            w->node[after].prev = i;
        push_pair(b, w, i);
        if (w->node[i].prev != END)
            push_pair(b, w, w->node[i].prev);
    }
    for (uint32_t i = 0; i != END; i = w->node[i].next)
        sym[k++] = w->node[i].sym;
    return k;
}

size_t bpe_merge(const struct bpe *b, struct bpe_work *w, int32_t *sym, size_t n)
{
    if (n < 2 || !b->n)
        return n;
    return n <= SHORT ? merge_short(b, sym, n) : merge_long(b, w, sym, n);
}
