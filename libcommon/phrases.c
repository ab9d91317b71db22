/* phrases.c - lists of phrases. */
#include "phrases.h"

#include "mem.h"

#include <stdlib.h>
#include <string.h>

enum { SIEVE = 1 << 15, AT_ONCE = 64 }; // bits; words looked at together

struct phrase {
    char *text;
    uint64_t *word; // (n)
    size_t n;
    size_t next; // phrase + 1 that begins with the same word, later in the list; 0: none
};

struct phrases {
    struct phrase *v; // (n)
    size_t n, cap_v;
    struct place {
        uint64_t word;
        size_t first, last; // phrase + 1; first 0: free
    } * place;              // (cap) open addressing, a power of two, at most half of them used
    size_t cap, n_words, n_single; // phrases of one word
    /* A bit for the beginnings of phrases, so that others are passed by: their only word, or two.
     */
    uint64_t sieve[2][SIEVE / 64];
    struct kinds scan;
    struct words_row words;
    struct buf text;
};

struct phrases *phrases_open(void)
{
    struct phrases *p = mem_zero(1, sizeof(*p));

    p->cap = 64;
    p->place = mem_zero(p->cap, sizeof(*p->place));
    return p;
}

void phrases_close(struct phrases *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->n; i++) {
        free(p->v[i].text);
        free(p->v[i].word);
    }
    free(p->v);
    free(p->place);
    kinds_free(&p->scan);
    words_row_free(&p->words);
    buf_free(&p->text);
    free(p);
}

static struct place *find(const struct phrases *p, uint64_t word)
{
    size_t i = (size_t)word & (p->cap - 1);

    while (p->place[i].first && p->place[i].word != word)
        i = (i + 1) & (p->cap - 1);
    return &p->place[i];
}

static void room(struct phrases *p)
{
    struct place *old = p->place;
    size_t cap = p->cap;

    if (2 * (p->n_words + 1) <= cap)
        return;
    p->cap = 2 * cap;
    p->place = mem_zero(p->cap, sizeof(*p->place));
    for (size_t i = 0; i < cap; i++)
        if (old[i].first)
            *find(p, old[i].word) = old[i];
    free(old);
}

static uint64_t pair_of(const uint64_t *word)
{
    return word[0] * 0x9E3779B97F4A7C15u + word[1];
}

static void mark(uint64_t *sieve, uint64_t hash)
{
    hash >>= 40;
    sieve[hash % SIEVE / 64] |= 1ull << hash % 64;
}

static inline uint32_t is_in(const uint64_t *sieve, uint64_t hash)
{
    hash >>= 40;
    return (uint32_t)(sieve[hash % SIEVE / 64] >> hash % 64 & 1);
}

bool phrases_add(struct phrases *p, const char *s, size_t n)
{
    struct phrase x = {0};
    struct place *at;

    kinds_text(&p->scan, s, n);
    words_read(&p->words, &p->scan);
    if (!p->words.n)
        return false;
    buf_reset(&p->text);
    words_fold(s, n, &p->text);
    x.text = mem_dup(p->text.p + 1, p->text.n - 2); // without the spaces around it
    x.n = p->words.n;
    x.word = mem_new(x.n * sizeof(*x.word));
    memcpy(x.word, p->words.hash, x.n * sizeof(*x.word));
    mem_grow(&p->v, &p->cap_v, p->n + 1, sizeof(*p->v));
    p->v[p->n++] = x;
    mark(p->sieve[x.n > 1], x.n > 1 ? pair_of(x.word) : *x.word);
    p->n_single += x.n == 1;
    room(p);
    at = find(p, *x.word);
    if (at->first) {
        p->v[at->last - 1].next = p->n;
    } else {
        p->n_words++;
        *at = (struct place){.word = *x.word, .first = p->n};
    }
    at->last = p->n;
    return true;
}

/* Words from..to-1 that a phrase may begin with, in list. The last of all has no pair, and where
 * all phrases have two words or more, a word alone begins none. */
static size_t beginnings(const struct phrases *p, const struct words_row *w, size_t from, size_t to,
                         bool last, uint32_t *list)
{
    const uint64_t *hash = w->hash, *pair = w->pair, *one = p->sieve[0], *two = p->sieve[1];
    size_t n = 0, end = to - last;

    for (size_t i = from; i < end && !p->n_single; i++) {
        list[n] = (uint32_t)i;
        n += is_in(two, pair[i]);
    }
    for (size_t i = from; i < end && p->n_single; i++) {
        list[n] = (uint32_t)i;
        n += is_in(one, hash[i]) | is_in(two, pair[i]);
    }
    list[n] = (uint32_t)end;
    return n + (last && is_in(one, hash[end]));
}

int phrases_find(const struct phrases *p, const struct words_row *w, size_t most)
{
    size_t best = p->n, n = w->n < most ? w->n : most;
    uint32_t list[AT_ONCE + 1];

    for (size_t from = 0; from < n; from += AT_ONCE) {
        size_t to = n - from < AT_ONCE ? n : from + AT_ONCE;
        size_t some = beginnings(p, w, from, to, to == n, list);

        for (size_t m = 0; m < some; m++) {
            size_t i = list[m];
            const struct place *at = find(p, w->hash[i]);

            for (size_t k = at->first; k && k - 1 < best; k = p->v[k - 1].next) {
                const struct phrase *x = &p->v[k - 1];

                if (x->n <= n - i && !memcmp(x->word, w->hash + i, x->n * sizeof(*x->word)))
                    best = k - 1;
            }
        }
    }
    return best < p->n ? (int)best : -1;
}

const char *phrases_text(const struct phrases *p, int i)
{
    return p->v[i].text;
}
