/* repeat.c - what is repeated in a text: pieces, and runs of words. */
#include "repeat.h"

#include "mem.h"
#include "vec.h"

#include <stdlib.h>
#include <string.h>

enum { MAP = 2048 }; // places, a byte each

static const uint64_t BASE = 0x9E3779B97F4A7C15u;

void repeat_clear(struct repeat *r, size_t n)
{
    size_t use = 64;

    while (use < 2 * n)
        use *= 2;
    if (use > r->cap) {
        free(r->place);
        r->place = mem_zero(use, sizeof(*r->place));
        r->cap = use;
    } else {
        memset(r->place, 0, use * sizeof(*r->place));
    }
    r->mask = use - 1;
}

static struct repeat_place *find(const struct repeat *r, uint64_t key)
{
    size_t i = (size_t)(key ^ key >> 31) & r->mask;

    while (r->place[i].count && r->place[i].key != key)
        i = (i + 1) & r->mask;
    return &r->place[i];
}

uint32_t repeat_add(struct repeat *r, uint64_t key, uint32_t number)
{
    struct repeat_place *x = find(r, key);

    if (!x->count) {
        x->key = key;
        x->first = number;
    }
    return x->count++;
}

void repeat_free(struct repeat *r)
{
    free(r->place);
    *r = (struct repeat){0};
}

/* ---- keys that stood before ---- */

static void back_room(struct repeat_back *b, size_t n)
{
    size_t use = 256;

    while (use < 6 * n)
        use *= 2;
    if (use > b->cap_last || n > UINT32_MAX - b->base) {
        free(b->last);
        b->last = mem_zero(use, sizeof(*b->last));
        b->cap_last = use;
        b->base = 1;
    }
    b->mask = use - 1;
    if (n < b->cap)
        return;
    b->cap = 2 * n + 64;
    b->again = mem_resize(b->again, b->cap, sizeof(*b->again));
    b->first = mem_resize(b->first, b->cap, sizeof(*b->first));
    b->before = mem_resize(b->before, b->cap, sizeof(*b->before));
}

/* Numbers of keys whose places were taken. */
static size_t taken(const struct repeat_back *b, const uint32_t *restrict key, size_t n)
{
    uint32_t *restrict last = b->last, *restrict before = b->before, *restrict again = b->again;
    size_t mask = b->mask, some = 0;
    uint32_t base = b->base;

    for (size_t i = 0; i < n; i++) {
        uint32_t *p = last + (key[i] & mask), old = *p;

        *p = base + (uint32_t)i;
        before[i] = old;
        again[some] = (uint32_t)i;
        some += old >= base;
    }
    return some;
}

size_t repeat_back_find(struct repeat_back *b, const uint32_t *key, size_t n)
{
    size_t some, found = 0;
    uint32_t base;

    back_room(b, n);
    base = b->base;
    some = taken(b, key, n);
    for (size_t k = 0; k < some; k++) {
        uint32_t i = b->again[k], j = b->before[i];

        while (j >= base && key[j - base] != key[i])
            j = b->before[j - base];
        b->again[found] = i;
        b->first[found] = j - base;
        found += j >= base;
    }
    b->base += (uint32_t)n;
    return found;
}

void repeat_back_free(struct repeat_back *b)
{
    free(b->again);
    free(b->first);
    free(b->last);
    free(b->before);
    *b = (struct repeat_back){0};
}

/* How many of the bytes are 1, others being 0. */
ANY_CPU static size_t count_ones(const unsigned char met[MAP])
{
    unsigned char sum[64] = {0};
    size_t n = 0;

    for (int i = 0; i < MAP; i += 64)
        for (int k = 0; k < 64; k++)
            sum[k] = (unsigned char)(sum[k] + met[i + k]);
    for (int k = 0; k < 64; k++)
        n += sum[k];
    return n;
}

size_t repeat_at_most(const uint32_t *key, size_t n)
{
    unsigned char met[MAP] = {0};

    for (size_t i = 0; i < n; i++)
        met[key[i] % MAP] = 1;
    return n - count_ones(met);
}

/* ---- words ---- */

void repeat_words_clear(struct repeat_words *w)
{
    repeat_words_room(w, 1);
    w->upto[0] = 0;
    w->n = 0;
}

void repeat_words_room(struct repeat_words *w, size_t n)
{
    if (w->n + n + 1 <= w->cap)
        return;
    w->cap = 2 * (w->n + n) + 64;
    w->hash = mem_resize(w->hash, w->cap, sizeof(*w->hash));
    w->upto = mem_resize(w->upto, w->cap, sizeof(*w->upto));
}

void repeat_words_free(struct repeat_words *w)
{
    free(w->hash);
    free(w->upto);
    *w = (struct repeat_words){0};
}

/* ---- runs of words ---- */

static size_t run_chars(const struct repeat_words *w, size_t i, size_t run)
{
    return w->upto[i + run] - w->upto[i];
}

static inline uint64_t longer(uint64_t key, uint64_t hash)
{
    return key * BASE + hash;
}

ANY_CPU static void make_keys(uint32_t *restrict key, const uint64_t *restrict hash, size_t n)
{
    for (size_t i = 0; i < n; i++)
        key[i] = (uint32_t)(longer(hash[i], hash[i + 1]) >> 32);
}

/* May the pair at word i have stood before? */
static bool is_again(const struct repeat_grams *g, size_t i)
{
    return g->bits[i / 64] >> i % 64 & 1;
}

void repeat_grams_begin(struct repeat_grams *g, const struct repeat_words *w)
{
    size_t blocks = w->n / 64 + 2;

    g->length = g->n_again = 0;
    g->n_pairs = 0;
    g->most = 1;
    g->pair = 0;
    mem_grow(&g->bits, &g->cap_bits, blocks, sizeof(*g->bits));
    memset(g->bits, 0, blocks * sizeof(*g->bits));
    if (w->n < 2)
        return;
    if (w->n > g->cap_key) {
        free(g->count);
        mem_grow(&g->key, &g->cap_key, w->n, sizeof(*g->key));
        g->count = mem_new(g->cap_key * sizeof(*g->count));
    }
    make_keys(g->key, w->hash, w->n - 1);
    g->n_pairs = repeat_back_find(&g->back, g->key, w->n - 1);
    for (size_t k = 0; k < g->n_pairs; k++) {
        size_t i = g->back.again[k], j = g->back.first[k], chars = run_chars(w, i, 2) + 1;
        uint32_t n = is_again(g, j) ? g->count[j] + 1 : 2;

        g->bits[i / 64] |= 1ull << i % 64;
        g->count[i] = n;
        g->most = n > g->most ? n : g->most;
        g->pair = n * chars > g->pair ? n * chars : g->pair;
    }
}

/* Runs longer than a pair are bounded by those all of whose pairs stood before. */
void repeat_grams_bound(const struct repeat_grams *g, const struct repeat_words *w,
                        size_t most[REPEAT_LENGTHS])
{
    size_t end[REPEAT_LENGTHS] = {0}; // of the runs before

    for (size_t run = 2; run < 2 + REPEAT_LENGTHS; run++)
        most[run - 2] = run < REPEAT_LONG && run <= w->n ? run_chars(w, 0, run) + run - 1 : 0;
    most[0] = g->pair > most[0] ? g->pair : most[0];
    for (size_t b = 0; b < w->n / 64 + 1; b++) {
        const uint64_t *bits = g->bits + b;
        uint64_t begin = bits[0];

        for (size_t run = 3; run < 2 + REPEAT_LENGTHS && begin; run++) {
            size_t *to = &most[run - 2];

            begin &= bits[0] >> (run - 2) | bits[1] << (66 - run);
            for (uint64_t m = begin; m; m &= m - 1) {
                size_t i = 64 * b + (size_t)__builtin_ctzll(m);
                size_t from = i > end[run - 2] ? i : end[run - 2];
                size_t chars = run_chars(w, i, run) + run - 1;

                end[run - 2] = i + run;
                if (run >= REPEAT_LONG)
                    *to += run_chars(w, from, i + run - from);
                else if (*to < g->most * chars)
                    *to = g->most * chars;
            }
        }
    }
}

/* Runs all of whose pairs may stand twice: both of two that have one key. */
static void list_runs(struct repeat_grams *g, const struct repeat_words *w, size_t run)
{
    for (; g->n_pairs; g->n_pairs--) { // those before them as well now
        uint32_t j = g->back.first[g->n_pairs - 1];

        g->bits[j / 64] |= 1ull << j % 64;
    }
    g->n_again = 0;
    for (size_t b = 0; b < w->n / 64 + 1; b++) {
        uint64_t m = g->bits[b];

        for (size_t k = 1; m && k + 1 < run; k++)
            m &= g->bits[b] >> k | g->bits[b + 1] << (64 - k);
        mem_grow(&g->again, &g->cap, g->n_again + 64, sizeof(*g->again));
        for (; m; m &= m - 1) {
            size_t i = 64 * b + (size_t)__builtin_ctzll(m);
            uint64_t key = w->hash[i];

            for (size_t k = 1; k < run; k++)
                key = longer(key, w->hash[i + k]);
            g->again[g->n_again++] = (struct repeat_gram){key, (uint32_t)i, 0};
        }
    }
}

void repeat_grams_free(struct repeat_grams *g)
{
    repeat_back_free(&g->back);
    repeat_free(&g->table);
    free(g->again);
    free(g->key);
    free(g->count);
    free(g->bits);
    *g = (struct repeat_grams){0};
}

/* Runs a word longer: where one begins whose two parts stand twice. */
static void lengthen(struct repeat_grams *g, const struct repeat_words *w)
{
    size_t n = 0;

    for (size_t k = 0; k + 1 < g->n_again; k++) {
        struct repeat_gram x = g->again[k];

        if (g->again[k + 1].word != x.word + 1)
            continue;
        x.key = longer(x.key, w->hash[x.word + g->length]);
        g->again[n++] = x;
    }
    g->n_again = n;
}

size_t repeat_top(struct repeat_grams *g, const struct repeat_words *w, size_t run)
{
    size_t first = 0, n = 0;
    uint32_t most = 1;

    if (w->n < run) {
        g->length = g->n_again = 0;
        return 0;
    }
    if (run > 2 && g->length == run - 1)
        lengthen(g, w);
    else
        list_runs(g, w, run);
    g->length = run;
    if (g->n_again)
        repeat_clear(&g->table, g->n_again);
    for (size_t k = 0; k < g->n_again; k++) {
        size_t i = g->again[k].word;
        uint64_t key = g->again[k].key;
        struct repeat_place *x = find(&g->table, key);

        if (!x->count++) {
            x->key = key;
            x->first = (uint32_t)i;
        }
        if (x->count > most || (x->count == most && most > 1 && x->first < first)) {
            most = x->count;
            first = x->first;
        }
        g->again[k].at = (uint32_t)(x - g->table.place);
    }
    for (size_t k = 0; k < g->n_again; k++)
        if (g->table.place[g->again[k].at].count > 1)
            g->again[n++] = g->again[k];
    g->n_again = n;
    return (run_chars(w, first, run) + run - 1) * most;
}

size_t repeat_runs(struct repeat_grams *g, const struct repeat_words *w)
{
    size_t chars = 0, next = 0, run = g->length;

    for (size_t k = 0; k < g->n_again; k++) {
        struct repeat_place *x = &g->table.place[g->again[k].at];
        size_t i = g->again[k].word;

        if (i < next)
            continue;
        if (x->first == UINT32_MAX) { // met in this walk
            chars += run_chars(w, i, run);
            next = i + run;
        } else {
            x->first = UINT32_MAX;
        }
    }
    return chars;
}
