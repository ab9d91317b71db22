/* near.c - near-duplicate texts: MinHash signatures, LSH bands, exact Jaccard. */
#include "near.h"

#include "arena.h"
#include "buf.h"
#include "hash.h"
#include "mem.h"
#include "rng.h"
#include "words.h"

#include <stdlib.h>
#include <string.h>

enum { STREAM_NAME = 0x6e656172 }; // "near": the stream of the hash functions' constants

struct text {
    uint32_t *run; // (n) ascending, without repeats
    uint32_t n;
};

struct slot {
    uint64_t key;
    uint32_t head; // entry + 1; 0: free
};

struct entry {
    uint32_t text, next; // next: entry + 1; 0: last
};

struct near {
    double threshold;
    int bands, rows;
    uint64_t mul[NEAR_MAX], add[NEAR_MAX];
    struct text *text; // (n_text)
    size_t n_text, cap_text;
    struct entry *entry; // (n_entry)
    size_t n_entry, cap_entry;
    struct slot *slot; // (cap_slot) open addressing, a power of two
    size_t n_slot, cap_slot;
    struct arena mem; // the texts' runs
    uint32_t *run;    // (cap_run) of the text at hand
    size_t n_run, cap_run;
    uint32_t *seen; // (cap_seen) stamp: text compared already
    size_t cap_seen;
    uint32_t stamp;
};

static double power(double x, int n)
{
    double p = 1;

    while (n-- > 0)
        p *= x;
    return p;
}

static double recall(double s, int bands, int rows)
{
    return 1 - power(1 - power(s, rows), bands);
}

struct near *near_open(double threshold)
{
    struct near *x = mem_zero(1, sizeof(*x));
    struct rng g = rng_stream(0, 0, STREAM_NAME);

    x->threshold = threshold;
    x->rows = 1;
    /* The most rows, which is the fewest false candidates, that still find enough. */
    for (int r = 2; r <= 32; r++)
        if (recall(threshold, NEAR_MAX / r, r) >= 0.995)
            x->rows = r;
    x->bands = NEAR_MAX / x->rows;
    while (x->bands > 1 && recall(threshold, x->bands - 1, x->rows) >= 0.995)
        x->bands--;
    for (int i = 0; i < NEAR_MAX; i++) {
        uint32_t w[4];

        rng_quad(&g, (uint64_t)i, 0, w);
        x->mul[i] = ((uint64_t)w[0] << 32) | w[1] | 1;
        x->add[i] = ((uint64_t)w[2] << 32) | w[3];
    }
    return x;
}

void near_close(struct near *x)
{
    if (!x)
        return;
    arena_free(&x->mem);
    free(x->text);
    free(x->entry);
    free(x->slot);
    free(x->run);
    free(x->seen);
    free(x);
}

int near_bands(const struct near *x)
{
    return x->bands;
}

int near_rows(const struct near *x)
{
    return x->rows;
}

double near_recall(const struct near *x)
{
    return recall(x->threshold, x->bands, x->rows);
}

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* The text's set of runs into x->run, sorted. */
static void take_runs(struct near *x, const char *s, size_t n)
{
    struct buf all = {0}, w = {0};
    size_t at = 0, k = 0, begin[NEAR_WORDS] = {0};
    size_t out = 0;

    x->n_run = 0;
    while (words_next(s, n, &at, &w)) {
        begin[k++ % NEAR_WORDS] = all.n;
        buf_add(&all, buf_cstr(&w), w.n);
        buf_char(&all, ' ');
        if (k < NEAR_WORDS)
            continue;
        size_t from = begin[k % NEAR_WORDS]; // the oldest of the last NEAR_WORDS words
        mem_grow(&x->run, &x->cap_run, x->n_run + 1, sizeof(*x->run));
        x->run[x->n_run++] = (uint32_t)hash_bytes(all.p + from, all.n - from).lo;
    }
    if (!x->n_run) { // fewer words than a run has: all of them, or the text itself without any
        mem_grow(&x->run, &x->cap_run, 1, sizeof(*x->run));
        x->run[x->n_run++] =
            k ? (uint32_t)hash_bytes(all.p, all.n).lo : (uint32_t)hash_bytes(s, n).lo;
    }
    qsort(x->run, x->n_run, sizeof(*x->run), ascending);
    for (size_t i = 0; i < x->n_run; i++)
        if (!i || x->run[i] != x->run[i - 1])
            x->run[out++] = x->run[i];
    x->n_run = out;
    buf_free(&all);
    buf_free(&w);
}

static void sign(const struct near *x, uint32_t *sig)
{
    int n = x->bands * x->rows;

    for (int i = 0; i < n; i++)
        sig[i] = UINT32_MAX;
    for (size_t k = 0; k < x->n_run; k++)
        for (int i = 0; i < n; i++) {
            uint32_t h = (uint32_t)((x->mul[i] * x->run[k] + x->add[i]) >> 32);

            sig[i] = h < sig[i] ? h : sig[i];
        }
}

/* Jaccard similarity of the text at hand with an earlier one: one merge. */
static double similarity(const struct near *x, const struct text *t)
{
    size_t i = 0, j = 0, both = 0;

    while (i < x->n_run && j < t->n) {
        both += x->run[i] == t->run[j];
        uint32_t a = x->run[i], b = t->run[j];
        i += a <= b;
        j += b <= a;
    }
    return (double)both / (double)(x->n_run + t->n - both);
}

static struct slot *find(const struct near *x, uint64_t key)
{
    size_t i = (size_t)key & (x->cap_slot - 1);

    while (x->slot[i].head && x->slot[i].key != key)
        i = (i + 1) & (x->cap_slot - 1);
    return &x->slot[i];
}

static void room(struct near *x)
{
    struct slot *old = x->slot;
    size_t cap = x->cap_slot;

    if ((x->n_slot + NEAR_MAX) * 2 <= cap)
        return;
    x->cap_slot = cap ? cap * 2 : 1024;
    x->slot = mem_zero(x->cap_slot, sizeof(*x->slot));
    for (size_t i = 0; i < cap; i++)
        if (old[i].head)
            *find(x, old[i].key) = old[i];
    free(old);
}

static uint64_t band_key(const struct near *x, const uint32_t *sig, int band)
{
    struct hash128 h = hash_bytes(sig + band * x->rows, (size_t)x->rows * sizeof(*sig));

    return h.lo + (uint64_t)band * 0x9e3779b97f4a7c15u;
}

static void add(struct near *x, const uint64_t *key)
{
    struct text t = {arena_new(&x->mem, x->n_run * sizeof(*t.run)), (uint32_t)x->n_run};

    memcpy(t.run, x->run, x->n_run * sizeof(*t.run));
    mem_grow(&x->entry, &x->cap_entry, x->n_entry + (size_t)x->bands, sizeof(*x->entry));
    for (int b = 0; b < x->bands; b++) {
        struct slot *s = find(x, key[b]);

        x->n_slot += !s->head;
        x->entry[x->n_entry] = (struct entry){(uint32_t)x->n_text, s->head};
        s->key = key[b];
        s->head = (uint32_t)++x->n_entry;
    }
    mem_grow(&x->text, &x->cap_text, x->n_text + 1, sizeof(*x->text));
    x->text[x->n_text++] = t;
}

int64_t near_add(struct near *x, const char *s, size_t n, double *sim)
{
    uint32_t sig[NEAR_MAX];
    uint64_t key[NEAR_MAX];
    size_t seen = x->cap_seen;
    int64_t best = -1;

    take_runs(x, s, n);
    sign(x, sig);
    room(x);
    mem_grow(&x->seen, &x->cap_seen, x->n_text + 1, sizeof(*x->seen));
    if (x->cap_seen > seen)
        memset(x->seen + seen, 0, (x->cap_seen - seen) * sizeof(*x->seen));
    x->stamp++;
    *sim = 0;
    for (int b = 0; b < x->bands; b++) {
        key[b] = band_key(x, sig, b);
        for (uint32_t i = find(x, key[b])->head; i; i = x->entry[i - 1].next) {
            uint32_t t = x->entry[i - 1].text;
            double j;

            if (x->seen[t] == x->stamp)
                continue;
            x->seen[t] = x->stamp;
            j = similarity(x, &x->text[t]);
            if (j >= x->threshold && (j > *sim || (j == *sim && (int64_t)t < best))) {
                *sim = j;
                best = t;
            }
        }
    }
    if (best < 0)
        add(x, key);
    return best;
}
