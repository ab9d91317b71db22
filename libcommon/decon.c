/* decon.c - runs of words that a text shares with benchmark files. */
#include "decon.h"

#include "json.h"
#include "lines.h"
#include "mem.h"
#include "words.h"

#include <stdlib.h>
#include <string.h>

static const uint64_t BASE = 0x9E3779B97F4A7C15u;

struct slot {
    uint64_t key; // 0: free
    uint32_t line;
    uint16_t file, len;
};

struct decon {
    int ngram, n_files;
    bool has[DECON_MAX + 1];       // runs of this length are in the index
    uint64_t shift[DECON_MAX + 1]; // BASE to this power
    struct slot *slot;             // (cap) open addressing, a power of two
    size_t n, cap;
    struct hash128 print;
    struct buf word;
    uint64_t *sum; // (n_words + 1) polynomial over the words' hashes
    struct bytes {
        size_t begin, end;
    } * word_at; // (n_words)
    size_t n_words, cap_sum, cap_at;
};

struct decon *decon_open(int ngram)
{
    struct decon *d = mem_zero(1, sizeof(*d));

    d->ngram = ngram;
    d->shift[0] = 1;
    for (int i = 1; i <= DECON_MAX; i++)
        d->shift[i] = d->shift[i - 1] * BASE;
    return d;
}

void decon_close(struct decon *d)
{
    if (!d)
        return;
    free(d->slot);
    free(d->sum);
    free(d->word_at);
    buf_free(&d->word);
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

static void read_words(struct decon *d, const char *s, size_t n)
{
    size_t at = 0;

    d->n_words = 0;
    mem_grow(&d->sum, &d->cap_sum, 1, sizeof(*d->sum));
    d->sum[0] = 0;
    while (words_next(s, n, &at, &d->word)) {
        size_t k = d->n_words++;

        mem_grow(&d->sum, &d->cap_sum, k + 2, sizeof(*d->sum));
        mem_grow(&d->word_at, &d->cap_at, k + 1, sizeof(*d->word_at));
        d->sum[k + 1] = d->sum[k] * BASE + hash_bytes(d->word.p, d->word.n).lo;
        d->word_at[k].end = at; // the separator may be behind it
        d->word_at[k].begin = k ? d->word_at[k - 1].end : 0;
    }
}

static uint64_t run_key(const struct decon *d, size_t i, size_t len)
{
    uint64_t h = d->sum[i + len] - d->sum[i] * d->shift[len];

    h = (h ^ h >> 29) * 0xBF58476D1CE4E5B9u + len; // runs of two lengths are two keys
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

void decon_add(struct decon *d, int file, long line, const char *s, size_t n)
{
    size_t len = (size_t)d->ngram;

    d->print = hash_add(d->print, s, n);
    read_words(d, s, n);
    if (d->n_words < len) {
        if (2 * d->n_words < len || !d->n_words)
            return;
        len = d->n_words;
    }
    d->has[len] = true;
    for (size_t i = 0; i + len <= d->n_words; i++) {
        uint64_t key = run_key(d, i, len);
        struct slot *x;

        room(d);
        x = find(d, key);
        d->n += !x->key;
        if (!x->key)
            *x = (struct slot){key, (uint32_t)line, (uint16_t)file, (uint16_t)len};
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

/* Without the spaces and marks of ASCII around it. */
static void trim(const char *s, struct decon_hit *h)
{
    static const char marks[] = " \t\r\n!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

    while (h->n && strchr(marks, s[h->at + h->n - 1]))
        h->n--;
    while (h->n && strchr(marks, s[h->at])) {
        h->at++;
        h->n--;
    }
}

int decon_find(struct decon *d, const char *s, size_t n, struct decon_hit *h)
{
    if (!d->n)
        return 0;
    read_words(d, s, n);
    for (size_t i = 0; i < d->n_words; i++)
        for (size_t len = 1; len <= (size_t)d->ngram && i + len <= d->n_words; len++) {
            const struct slot *x = d->has[len] ? find(d, run_key(d, i, len)) : NULL;

            if (!x || !x->key)
                continue;
            *h = (struct decon_hit){x->file, (long)x->line, d->word_at[i].begin,
                                    d->word_at[i + len - 1].end - d->word_at[i].begin};
            trim(s, h);
            return 1;
        }
    return 0;
}
