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

    mem_grow(&w->hash, &w->cap_hash, k + 2, sizeof(*w->hash));
    mem_grow(&w->chars, &w->cap_chars, k + 2, sizeof(*w->chars));
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

size_t repeat_top(struct repeat *r, const struct repeat_words *w, size_t run, uint32_t *most)
{
    uint64_t shift = power(run);
    size_t first = 0;

    *most = 0;
    if (w->n < run)
        return 0;
    repeat_clear(r, w->n);
    for (size_t i = 0; i + run <= w->n; i++)
        repeat_add(r, run_key(w, i, run, shift), (uint32_t)i);
    for (size_t i = 0; i <= r->mask; i++) {
        const struct repeat_place *x = &r->place[i];

        if (x->count > *most || (x->count && x->count == *most && x->first < first)) {
            *most = x->count;
            first = x->first;
        }
    }
    return (w->chars[first + run] - w->chars[first] + run - 1) * *most;
}

size_t repeat_runs(struct repeat *r, const struct repeat_words *w, size_t run, bool *any)
{
    uint64_t shift = power(run);
    size_t chars = 0, i = 0;

    *any = false;
    repeat_clear(r, w->n);
    while (i + run <= w->n) {
        if (repeat_add(r, run_key(w, i, run, shift), 0)) {
            chars += w->chars[i + run] - w->chars[i];
            *any = true;
            i += run;
        } else {
            i++;
        }
    }
    return chars;
}
