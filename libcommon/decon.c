/* decon.c - runs of words that a text shares with benchmark files. */
#include "decon.h"

#include "json.h"
#include "lines.h"
#include "mem.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Bits at first, and at least so many for each that is set; threes, one behind the other, that are
 * looked for together. */
enum { SIEVE = 1 << 13, FREE = 8, THREES = 3 };

struct slot {
    uint64_t key; // 0: free
    uint32_t line;
    uint16_t file, len;
};

struct decon {
    int ngram, n_files;
    size_t len[DECON_MAX + 1], n_len; // lengths of runs in the index, ascending
    struct slot *slot;                // (cap) open addressing, a power of two
    size_t n, cap;
    /* A bit for each run, for its first `start` words and, apart, for the threes among these: most
     * of any text is passed by. */
    struct sieve {
        uint64_t *bit;  // (bits / 64)
        uint64_t *hash; // (n) what has a bit
        size_t bits, n, cap;
    } run, three;
    size_t start;
    struct hash128 print;
    struct kinds scan;
    struct words_row words; // of what is read
};

/* ---- sieves ---- */

static size_t bit_of(const struct sieve *x, uint64_t hash)
{
    return (size_t)hash & (x->bits - 1);
}

static void mark(struct sieve *x, uint64_t hash)
{
    size_t bit = bit_of(x, hash);

    x->bit[bit / 64] |= 1ull << bit % 64;
}

static void note(struct sieve *x, uint64_t hash)
{
    mem_grow(&x->hash, &x->cap, x->n + 1, sizeof(*x->hash));
    x->hash[x->n++] = hash;
    if (FREE * x->n > x->bits) {
        x->bits = x->bits ? 4 * x->bits : SIEVE;
        free(x->bit);
        x->bit = mem_zero(x->bits / 64, sizeof(*x->bit));
        for (size_t k = 0; k < x->n; k++)
            mark(x, x->hash[k]);
    }
    mark(x, hash);
}

static void sieve_free(struct sieve *x)
{
    free(x->bit);
    free(x->hash);
}

/* ---- the index ---- */

struct decon *decon_open(int ngram)
{
    struct decon *d = mem_zero(1, sizeof(*d));

    d->ngram = ngram;
    d->start = (size_t)(ngram + 1) / 2; // as many as the shortest run has
    return d;
}

void decon_close(struct decon *d)
{
    if (!d)
        return;
    free(d->slot);
    sieve_free(&d->run);
    sieve_free(&d->three);
    kinds_free(&d->scan);
    words_row_free(&d->words);
    free(d);
}

size_t decon_size(const struct decon *d)
{
    return d->n;
}

struct hash128 decon_print(const struct decon *d)
{
    return d->print;
}

static uint64_t run_key(const struct words_row *w, size_t i, size_t len)
{
    uint64_t h = words_run(w, i, len);

    return h ? h : 1;
}

static struct slot *find(const struct decon *d, uint64_t key)
{
    size_t i = (size_t)(key ^ key >> 32) & (d->cap - 1);

    while (d->slot[i].key && d->slot[i].key != key)
        i = (i + 1) & (d->cap - 1);
    return &d->slot[i];
}

static void room(struct decon *d)
{
    struct slot *old = d->slot;
    size_t cap = d->cap;

    if (4 * (d->n + 1) <= 3 * cap)
        return;
    d->cap = cap ? 2 * cap : 1024;
    d->slot = mem_zero(d->cap, sizeof(*d->slot));
    for (size_t i = 0; i < cap; i++)
        if (old[i].key)
            *find(d, old[i].key) = old[i];
    free(old);
}

static void note_length(struct decon *d, size_t len)
{
    size_t k = d->n_len;

    while (k && d->len[k - 1] >= len)
        k--;
    if (k < d->n_len && d->len[k] == len)
        return;
    memmove(d->len + k + 1, d->len + k, (d->n_len++ - k) * sizeof(*d->len));
    d->len[k] = len;
}

void decon_add(struct decon *d, int file, long line, const char *s, size_t n)
{
    size_t len = (size_t)d->ngram;

    d->print = hash_add(d->print, s, n);
    kinds_text(&d->scan, s, n);
    words_read(&d->words, &d->scan);
    if (d->words.n < len) {
        if (2 * d->words.n < len || !d->words.n)
            return;
        len = d->words.n;
    }
    note_length(d, len);
    for (size_t i = 0; i + len <= d->words.n; i++) {
        uint64_t key = run_key(&d->words, i, len);
        struct slot *x;

        room(d);
        x = find(d, key);
        d->n += !x->key;
        if (!x->key)
            *x = (struct slot){key, (uint32_t)line, (uint16_t)file, (uint16_t)len};
        note(&d->run, words_run(&d->words, i, d->start) >> 20);
        if (len != d->start)
            note(&d->run, key >> 20);
        for (size_t k = 0; k < THREES && k + 3 <= d->start; k++)
            if (!k || i + len == d->words.n) // the others are first ones themselves
                note(&d->three, words_three(d->words.hash + i + k));
    }
}

/* Every string of a record but its id. */
static void add_record(struct decon *d, int file, long line, const struct json *j,
                       struct arena *mem)
{
    for (uint32_t k = 1; k < j->n_node; k++) {
        size_t n;
        const char *s;

        if (json_is_key(j, (int)k)) {
            if (json_str_is(j, (int)k, "id"))
                k = j->node[k + 1].next - 1;
            continue;
        }
        s = json_str(j, (int)k, mem, &n);
        if (s)
            decon_add(d, file, line, s, n);
    }
}

int decon_read(struct decon *d, const char *path, struct err *e)
{
    char *file[] = {(char *)(uintptr_t)path};
    struct lines in;
    struct lines_line x;
    struct arena mem = {0};
    int rc = lines_open(&in, 1, file, NULL, e);

    while (!rc && (rc = lines_next(&in, &x, true, e)) == 1) {
        struct json j;
        struct err why;

        rc = 0;
        if (x.n && *x.p == '{' && !json_parse(&j, &mem, x.p, x.n, &why))
            add_record(d, d->n_files, x.no, &j, &mem);
        else
            decon_add(d, d->n_files, x.no, x.p, x.n);
        arena_reset(&mem);
    }
    d->n_files++;
    lines_close(&in);
    arena_free(&mem);
    return rc ? -1 : 0;
}

static bool may_be(const struct decon *d, uint64_t hash)
{
    size_t bit = bit_of(&d->run, hash >> 20);

    return d->run.bit[bit / 64] >> bit % 64 & 1;
}

/* Is a run that begins at word i in the index? */
static int find_at(const struct decon *d, const struct words_row *w, size_t i, struct decon_hit *h)
{
    for (size_t k = 0; k < d->n_len && i + d->len[k] <= w->n; k++) {
        uint64_t key = run_key(w, i, d->len[k]);
        const struct slot *x = may_be(d, key) ? find(d, key) : NULL;

        if (!x || !x->key)
            continue;
        *h = (struct decon_hit){x->file, (long)x->line, w->begin[i],
                                w->end[i + d->len[k] - 1] - w->begin[i]};
        return 1;
    }
    return 0;
}

/* The same, when its first words begin one there. */
static int try_at(const struct decon *d, const struct words_row *w, size_t i, struct decon_hit *h)
{
    return may_be(d, words_run(w, i, d->start)) && find_at(d, w, i, h);
}

/* Threes from..to-1 that are in the sieve, a bit each; to is at most from + 64. */
static uint64_t threes_in(const struct sieve *x, const uint32_t *three, size_t from, size_t to)
{
    size_t mask = x->bits - 1;
    uint64_t m = 0;

    for (size_t i = to; i > from; i--) {
        size_t bit = three[i - 1] & mask;

        m = m << 1 | (x->bit[bit / 64] >> bit % 64 & 1);
    }
    return m;
}

int decon_find(const struct decon *d, struct look *text, struct decon_hit *h)
{
    const struct words_row *w = look_words(text);
    size_t n = w->n < d->start ? 0 : w->n - d->start + 1, more, threes;
    const uint32_t *three;
    uint64_t next;

    if (!d->n)
        return 0;
    for (size_t i = 0; i < n && d->start < 3; i++)
        if (try_at(d, w, i, h))
            return 1;
    if (d->start < 3 || !n)
        return 0;
    three = look_threes(text);
    more = d->start - 3 < THREES - 1 ? d->start - 3 : THREES - 1;
    threes = n + more;
    next = threes_in(&d->three, three, 0, threes < 64 ? threes : 64);
    for (size_t from = 0; from < n; from += 64) {
        size_t end = from + 64 < threes ? from + 64 : threes;
        uint64_t here = next, all = here;

        next = threes_in(&d->three, three, end, end + 64 < threes ? end + 64 : threes);
        for (size_t k = 1; k <= more; k++)
            all &= here >> k | next << (64 - k);
        for (; all; all &= all - 1) { // few are
            size_t i = from + (size_t)__builtin_ctzll(all);

            if (i < n && try_at(d, w, i, h))
                return 1;
        }
    }
    return 0;
}
