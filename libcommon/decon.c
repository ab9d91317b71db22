/* decon.c - runs of words that a text shares with benchmark files. */
#include "decon.h"

#include "json.h"
#include "lines.h"
#include "mem.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct slot {
    uint64_t key; // 0: free
    uint32_t line;
    uint16_t file, len;
};

struct decon {
    int ngram, n_files;
    size_t len[DECON_MAX + 1], n_len; // lengths of runs in the index, ascending
    uint64_t shift[DECON_MAX + 1];    // words_shift
    struct slot *slot;                // (cap) open addressing, a power of two
    size_t n, cap;
    uint64_t
        *sieve; // (cap / 8) a bit for 8 places of runs, so that most of any text looks no further
    struct hash128 print;
    struct scan scan;
    struct words_row words; // of what is read
};

struct decon *decon_open(int ngram)
{
    struct decon *d = mem_zero(1, sizeof(*d));

    d->ngram = ngram;
    for (size_t i = 0; i <= DECON_MAX; i++)
        d->shift[i] = words_shift(i);
    return d;
}

void decon_close(struct decon *d)
{
    if (!d)
        return;
    free(d->slot);
    free(d->sieve);
    scan_free(&d->scan);
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

static uint64_t run_key(const struct decon *d, const struct words_row *w, size_t i, size_t len)
{
    uint64_t h = words_run(w, i, len, d->shift[len]);

    return h ? h : 1;
}

/* The bit of a key: 8 bits a place of the table, of which a run sets one. */
static size_t bit_of(const struct decon *d, uint64_t key)
{
    return (size_t)(key >> 20) & (8 * d->cap - 1);
}

static void mark(struct decon *d, uint64_t key)
{
    size_t bit = bit_of(d, key);

    d->sieve[bit / 64] |= 1ull << bit % 64;
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
    free(d->sieve);
    d->sieve = mem_zero(d->cap / 8, sizeof(*d->sieve));
    for (size_t i = 0; i < cap; i++)
        if (old[i].key) {
            *find(d, old[i].key) = old[i];
            mark(d, old[i].key);
        }
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
    scan_text(&d->scan, s, n);
    words_read(&d->words, &d->scan);
    if (d->words.n < len) {
        if (2 * d->words.n < len || !d->words.n)
            return;
        len = d->words.n;
    }
    note_length(d, len);
    for (size_t i = 0; i + len <= d->words.n; i++) {
        uint64_t key = run_key(d, &d->words, i, len);
        struct slot *x;

        room(d);
        x = find(d, key);
        d->n += !x->key;
        if (!x->key)
            *x = (struct slot){key, (uint32_t)line, (uint16_t)file, (uint16_t)len};
        mark(d, key);
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

int decon_find(const struct decon *d, const struct words_row *w, struct decon_hit *h)
{
    if (!d->n)
        return 0;
    for (size_t i = 0; i < w->n; i++)
        for (size_t k = 0; k < d->n_len && i + d->len[k] <= w->n; k++) {
            uint64_t key = run_key(d, w, i, d->len[k]);
            size_t bit = bit_of(d, key);
            const struct slot *x;

            if (!(d->sieve[bit / 64] >> bit % 64 & 1))
                continue;
            x = find(d, key);
            if (!x->key)
                continue;
            *h = (struct decon_hit){x->file, (long)x->line, w->begin[i],
                                    w->end[i + d->len[k] - 1] - w->begin[i]};
            return 1;
        }
    return 0;
}
