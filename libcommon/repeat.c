/* repeat.c - what is repeated in a text: pieces, and runs of words. */
#include "repeat.h"

#include "mem.h"

#include <stdlib.h>
#include <string.h>

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

void repeat_words_clear(struct repeat_words *w)
{
    mem_grow(&w->hash, &w->cap_hash, 1, sizeof(*w->hash));
    mem_grow(&w->chars, &w->cap_chars, 1, sizeof(*w->chars));
    w->hash[0] = w->chars[0] = w->n = 0;
}

void repeat_words_add(struct repeat_words *w, uint64_t hash, size_t chars)
{
    size_t k = w->n++;

    if (k + 2 > w->cap_hash || k + 2 > w->cap_chars) {
        mem_grow(&w->hash, &w->cap_hash, k + 2, sizeof(*w->hash));
        mem_grow(&w->chars, &w->cap_chars, k + 2, sizeof(*w->chars));
    }
    w->hash[k + 1] = w->hash[k] * BASE + hash;
    w->chars[k + 1] = w->chars[k] + chars;
}

void repeat_words_free(struct repeat_words *w)
{
    free(w->hash);
    free(w->chars);
    *w = (struct repeat_words){0};
}

static uint64_t power(size_t n)
{
    uint64_t p = 1;

    while (n--)
        p *= BASE;
    return p;
}

static uint64_t run_key(const struct repeat_words *w, size_t i, size_t run, uint64_t shift)
{
    uint64_t h = w->hash[i + run] - w->hash[i] * shift;

    return h ^ h >> 32;
}

void repeat_grams_begin(struct repeat_grams *g, const struct repeat_words *w)
{
    mem_grow(&g->again, &g->cap_again, w->n + 1, sizeof(*g->again));
    mem_grow(&g->at, &g->cap_at, w->n + 1, sizeof(*g->at));
    memset(g->again, 1, w->n);
    g->length = 1;
    g->n_again = w->n;
}

void repeat_grams_free(struct repeat_grams *g)
{
    repeat_free(&g->table);
    free(g->again);
    free(g->at);
    *g = (struct repeat_grams){0};
}

size_t repeat_top(struct repeat_grams *g, const struct repeat_words *w)
{
    size_t run = ++g->length, first = 0, runs = w->n < run ? 0 : w->n - run + 1;
    uint64_t shift = power(run);
    uint32_t most = 1;

    if (!runs) {
        g->n_again = 0;
        return 0;
    }
    if (g->n_again) {
        repeat_clear(&g->table, g->n_again);
        g->n_again = 0;
        for (size_t i = 0; i < runs; i++) {
            struct repeat_place *x;

            if (!g->again[i] || !g->again[i + 1]) {
                g->again[i] = false;
                continue;
            }
            x = find(&g->table, run_key(w, i, run, shift));
            if (!x->count++) {
                x->key = run_key(w, i, run, shift);
                x->first = (uint32_t)i;
            }
            if (x->count > most || (x->count == most && most > 1 && x->first < first)) {
                most = x->count;
                first = x->first;
            }
            g->at[i] = (uint32_t)(x - g->table.place);
        }
        for (size_t i = 0; i < runs; i++) {
            g->again[i] = g->again[i] && g->table.place[g->at[i]].count > 1;
            g->n_again += g->again[i];
        }
        memset(g->again + runs, 0, w->n - runs);
    }
    return (w->chars[first + run] - w->chars[first] + run - 1) * most;
}

size_t repeat_runs(struct repeat_grams *g, const struct repeat_words *w)
{
    size_t chars = 0, i = 0, run = g->length;

    while (g->n_again && i + run <= w->n) {
        struct repeat_place *x = &g->table.place[g->at[i]];

        if (!g->again[i]) {
            i++;
        } else if (x->first == UINT32_MAX) { // met in this walk
            chars += w->chars[i + run] - w->chars[i];
            i += run;
        } else {
            x->first = UINT32_MAX;
            i++;
        }
    }
    return chars;
}
