/* dry.c - tokens that would go on with a repetition (DRY). */
#include "dry.h"

#include "mem.h"
#include "num.h"

#include <stdlib.h>
#include <string.h>

static const float penalty_max = 1e6f; // as good as a ban, and still a number

void dry_free(struct dry *d)
{
    free(d->hit);
    free(d->z);
    *d = (struct dry){0};
}

static bool breaks(const struct dry_opt *o, int32_t id)
{
    return o->breaker && (o->breaker[id / 64] >> (id % 64) & 1);
}

/* z[i]: how many of the tokens that end at last[-i] equal those that end at last[0],
 * for the n tokens up to `last`. */
static void suffixes(int32_t *z, const int32_t *last, int n)
{
    int begin = 0, end = 0; // the match that reaches furthest back

    for (int i = 1; i < n; i++) {
        int k = i < end ? (z[i - begin] < end - i ? z[i - begin] : end - i) : 0;

        while (i + k < n && last[-k] == last[-(i + k)])
            k++;
        z[i] = k;
        if (i + k > end) {
            begin = i;
            end = i + k;
        }
    }
}

static float penalty(const struct dry_opt *o, int length)
{
    double y = (double)(length - o->allowed), log_base = num_log_d((double)o->base), x;

    x = y * log_base > 100 ? (double)penalty_max : num_exp_d(y * log_base) * (double)o->multiplier;
    return x < (double)penalty_max ? (float)x : penalty_max;
}

static int by_id(const void *a, const void *b)
{
    const struct dry_hit *x = a, *y = b;

    return x->id != y->id ? (x->id < y->id ? -1 : 1) : y->length - x->length;
}

void dry_find(struct dry *d, const struct dry_opt *o, const int32_t *token, int n)
{
    const int32_t *last = token + n - 1;
    int window = o->range > 0 && o->range < n ? o->range : n, open = 0, kept = 0;

    d->n_hits = 0;
    while (open < window && !breaks(o, last[-open]))
        open++;
    if (open < o->allowed || !open)
        return;
    mem_grow(&d->z, &d->cap_z, (size_t)window, sizeof(*d->z));
    suffixes(d->z, last, window);
    for (int i = 1; i < window; i++) {
        int length = d->z[i] < open ? d->z[i] : open;
        int32_t next = last[1 - i];

        if (length < o->allowed || !length || breaks(o, next))
            continue;
        mem_grow(&d->hit, &d->cap_hit, (size_t)d->n_hits + 1, sizeof(*d->hit));
        d->hit[d->n_hits++] = (struct dry_hit){next, length, penalty(o, length)};
    }
    if (!d->n_hits)
        return;
    qsort(d->hit, (size_t)d->n_hits, sizeof(*d->hit), by_id); // a token's longest first
    for (int i = 0; i < d->n_hits; i++)
        if (!i || d->hit[i].id != d->hit[kept - 1].id)
            d->hit[kept++] = d->hit[i];
    d->n_hits = kept;
}

uint64_t *dry_breakers(const struct tok *t, int n_vocab, const char *const *text, int n)
{
    uint64_t *bits = mem_zero((size_t)n_vocab / 64 + 1, sizeof(*bits));
    struct buf b = {0};

    for (int id = 0; id < tok_size(t) && id < n_vocab; id++) {
        b.n = 0;
        tok_bytes(t, id, true, &b);
        for (int i = 0; i < n; i++)
            if (b.n && *text[i] && memmem(b.p, b.n, text[i], strlen(text[i])))
                bits[id / 64] |= (uint64_t)1 << (id % 64);
    }
    buf_free(&b);
    return bits;
}
