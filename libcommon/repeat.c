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

void repeat_sieve_clear(struct repeat_sieve *s, size_t n)
{
    size_t use = 8;

    while (4 * use < n) // 16 bits a key
        use *= 2;
    if (use > s->cap) {
        s->once = mem_resize(s->once, use, sizeof(*s->once));
        s->twice = mem_resize(s->twice, use, sizeof(*s->twice));
        s->cap = use;
    }
    memset(s->once, 0, use * sizeof(*s->once));
    memset(s->twice, 0, use * sizeof(*s->twice));
    s->mask = 64 * use - 1;
}

void repeat_sieve_free(struct repeat_sieve *s)
{
    free(s->once);
    free(s->twice);
    *s = (struct repeat_sieve){0};
}

void repeat_words_clear(struct repeat_words *w)
{
    if (!w->cap)
        repeat_words_room(w);
    w->sum[0] = (struct repeat_sum){0, 0};
    w->n = 0;
}

void repeat_words_room(struct repeat_words *w)
{
    w->cap = 2 * w->cap + 64;
    w->sum = mem_resize(w->sum, w->cap, sizeof(*w->sum));
}

void repeat_words_free(struct repeat_words *w)
{
    free(w->sum);
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
    uint64_t h = w->sum[i + run].hash - w->sum[i].hash * shift;

    return h ^ h >> 32;
}

static size_t run_chars(const struct repeat_words *w, size_t i, size_t run)
{
    return w->sum[i + run].chars - w->sum[i].chars;
}

/* Pairs of words that may stand twice. */
void repeat_grams_begin(struct repeat_grams *g, const struct repeat_words *w)
{
    uint64_t shift = power(2), *key;
    const struct repeat_words row = *w;
    struct repeat_sieve sieve;
    struct repeat_gram *again;
    size_t n = 0;

    g->length = 1;
    g->n_again = 0;
    if (w->n < 2)
        return;
    repeat_sieve_clear(&g->sieve, w->n);
    mem_grow(&g->again, &g->cap, w->n, sizeof(*g->again));
    mem_grow(&g->key, &g->cap_key, w->n, sizeof(*g->key));
    sieve = g->sieve;
    again = g->again;
    key = g->key;
    for (size_t i = 0; i + 1 < row.n; i++) {
        key[i] = run_key(&row, i, 2, shift);
        repeat_sieve_add(&sieve, key[i]);
    }
    for (size_t i = 0; i + 1 < row.n; i++) {
        again[n].word = (uint32_t)i;
        n += repeat_sieve_hit(&sieve, key[i]);
    }
    g->n_again = n;
}

void repeat_grams_free(struct repeat_grams *g)
{
    repeat_sieve_free(&g->sieve);
    repeat_free(&g->table);
    free(g->again);
    free(g->key);
    *g = (struct repeat_grams){0};
}

/* Runs a word longer: where one begins whose two parts stand twice. */
static void lengthen(struct repeat_grams *g)
{
    size_t n = 0;

    for (size_t k = 0; k + 1 < g->n_again; k++)
        if (g->again[k + 1].word == g->again[k].word + 1)
            g->again[n++].word = g->again[k].word;
    g->n_again = n;
}

size_t repeat_top(struct repeat_grams *g, const struct repeat_words *w)
{
    size_t run = ++g->length, first = 0, n = 0;
    uint64_t shift = power(run);
    uint32_t most = 1;

    if (w->n < run)
        return g->n_again = 0;
    if (run > 2)
        lengthen(g);
    if (g->n_again)
        repeat_clear(&g->table, g->n_again);
    for (size_t k = 0; k < g->n_again; k++) {
        size_t i = g->again[k].word;
        uint64_t key = run_key(w, i, run, shift);
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
