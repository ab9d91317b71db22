/* variety.c - how different the texts of a set are in their words: distinct-n and self-BLEU. */
#include "variety.h"

#include "buf.h"
#include "hash.h"
#include "mem.h"
#include "num.h"
#include "words.h"

#include <stdlib.h>
#include <string.h>

enum { BLEU = 4 };

/* What is known of a run of words: which sets have it, and the two largest counts in one text. */
struct run {
    uint64_t key; // never 0
    uint32_t sets;
    uint32_t most, second, owner; // owner: the text with `most`
};

/* Open addressing; cap a power of two. */
struct variety_runs {
    struct run *slot;
    size_t n, cap;
};

/* A text of the sample: hashes of its words. */
struct text {
    uint64_t *word; // (n)
    int n;
};

struct set {
    int64_t n, seen; // texts that will come, that have come
    struct text *text;
    size_t n_text, cap;
    double total[VARIETY_GRAMS], different[VARIETY_GRAMS];
};

struct variety {
    struct set set[2];
    struct variety_runs runs[VARIETY_GRAMS];
    uint64_t *word; // of the text at work
    size_t cap;
};

static void grow(struct variety_runs *r)
{
    struct variety_runs old = *r;

    r->cap = old.cap ? 2 * old.cap : 1024;
    r->slot = mem_zero(r->cap, sizeof(*r->slot));
    for (size_t i = 0; i < old.cap; i++) {
        size_t at = old.slot[i].key & (r->cap - 1);

        if (!old.slot[i].key)
            continue;
        while (r->slot[at].key)
            at = (at + 1) & (r->cap - 1);
        r->slot[at] = old.slot[i];
    }
    free(old.slot);
}

static struct run *find(struct variety_runs *r, uint64_t key)
{
    size_t at;

    if (2 * (r->n + 1) > r->cap)
        grow(r);
    key += !key;
    at = key & (r->cap - 1);
    while (r->slot[at].key && r->slot[at].key != key)
        at = (at + 1) & (r->cap - 1);
    if (!r->slot[at].key) {
        r->slot[at].key = key;
        r->n++;
    }
    return &r->slot[at];
}

static uint64_t key_of(const uint64_t *word, int n)
{
    return hash_bytes(word, (size_t)n * sizeof(*word)).lo;
}

struct variety *variety_open(int64_t n, int64_t n_kept)
{
    struct variety *v = mem_zero(1, sizeof(*v));

    v->set[0].n = n;
    v->set[1].n = n_kept;
    return v;
}

/* Whether the next of a set's texts belongs to its even sample. */
static bool sampled(struct set *s)
{
    int64_t i = s->seen++;

    return s->n <= VARIETY_BLEU || (i + 1) * VARIETY_BLEU / s->n != i * VARIETY_BLEU / s->n;
}

static void put_text(struct set *s, const uint64_t *word, int n)
{
    struct text t = {mem_new((size_t)n * sizeof(*word)), n};

    if (n)
        memcpy(t.word, word, (size_t)n * sizeof(*word));
    mem_grow(&s->text, &s->cap, s->n_text + 1, sizeof(*s->text));
    s->text[s->n_text++] = t;
}

void variety_add(struct variety *v, const char *s, size_t n, bool kept)
{
    struct buf w = {0};
    size_t at = 0;
    int k = 0;

    while (words_next(s, n, &at, &w)) {
        mem_grow(&v->word, &v->cap, (size_t)k + 1, sizeof(*v->word));
        v->word[k++] = hash_bytes(w.p, w.n).lo;
    }
    buf_free(&w);
    for (int m = 1; m <= VARIETY_GRAMS; m++)
        for (int i = 0; i + m <= k; i++) {
            struct run *r = find(&v->runs[m - 1], key_of(v->word + i, m));

            for (uint32_t side = 0; side < 1U + kept; side++) {
                v->set[side].total[m - 1]++;
                v->set[side].different[m - 1] += !(r->sets >> side & 1);
                r->sets |= 1U << side;
            }
        }
    for (int side = 0; side < 1 + kept; side++)
        if (sampled(&v->set[side]))
            put_text(&v->set[side], v->word, k);
}

/* ---- self-BLEU ---- */

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static int by_int(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;

    return (x > y) - (x < y);
}

/* The keys of a text's runs of m words, sorted; key has room for them. Returns how many. */
static int sorted_runs(const struct text *t, int m, uint64_t *key)
{
    int n = 0;

    for (int i = 0; i + m <= t->n; i++)
        key[n++] = key_of(t->word + i, m);
    if (n)
        qsort(key, (size_t)n, sizeof(*key), by_value);
    return n;
}

/* Note the counts of a text's runs. */
static void note(struct variety_runs *r, const uint64_t *key, int n, uint32_t owner)
{
    for (int i = 0, j; i < n; i = j) {
        struct run *x = find(r, key[i]);
        uint32_t count;

        for (j = i; j < n && key[j] == key[i]; j++)
            continue;
        count = (uint32_t)(j - i);
        if (count > x->most) {
            x->second = x->most;
            x->most = count;
            x->owner = owner;
        } else if (count > x->second) {
            x->second = count;
        }
    }
}

/* Runs of a text that stand in another one, each as often as in the one that has it most. */
static int64_t matches(struct variety_runs *r, const uint64_t *key, int n, uint32_t owner)
{
    int64_t sum = 0;

    for (int i = 0, j; i < n; i = j) {
        const struct run *x = find(r, key[i]);
        uint32_t count, limit = x->owner == owner ? x->second : x->most;

        for (j = i; j < n && key[j] == key[i]; j++)
            continue;
        count = (uint32_t)(j - i);
        sum += count < limit ? count : limit;
    }
    return sum;
}

/* The length, of all texts but one of n words, that is nearest to n; the shorter of two. sorted
 * (k) holds all lengths. */
static int nearest_length(const int *sorted, int k, int n)
{
    int low = 0, high = k, same = 0, best = -1;

    while (low < high) {
        int mid = (low + high) / 2;

        if (sorted[mid] < n)
            low = mid + 1;
        else
            high = mid;
    }
    while (low + same < k && sorted[low + same] == n)
        same++;
    if (same > 1)
        return n;
    if (low > 0)
        best = sorted[low - 1];
    if (low + same < k && (best < 0 || sorted[low + same] - n < n - best))
        best = sorted[low + same];
    return best;
}

static double bleu(const double *match, const double *total, int n, int reference)
{
    double s = 0;

    if (!(match[0] > 0))
        return 0;
    for (int m = 0; m < BLEU; m++) {
        double all = total[m] > 1 ? total[m] : 1;

        s += num_log_d((match[m] > 0 ? match[m] : 0.1) / all) / BLEU;
    }
    if (n < reference)
        s += 1 - (double)reference / (double)n;
    return num_exp_d(s);
}

static double self_bleu(const struct set *s)
{
    size_t k = s->n_text;
    double(*match)[BLEU] = mem_zero(k, sizeof(*match)), (*total)[BLEU];
    int *length = mem_zero(k, sizeof(*length));
    uint64_t *key;
    double sum = 0;
    int longest = 0;

    total = mem_zero(k, sizeof(*total));
    for (size_t i = 0; i < k; i++) {
        length[i] = s->text[i].n;
        longest = length[i] > longest ? length[i] : longest;
    }
    if (k)
        qsort(length, k, sizeof(*length), by_int);
    key = mem_zero((size_t)longest + 1, sizeof(*key));
    for (int m = 1; m <= BLEU; m++) {
        struct variety_runs r = {0};

        for (size_t i = 0; i < k; i++)
            note(&r, key, sorted_runs(&s->text[i], m, key), (uint32_t)i);
        for (size_t i = 0; i < k; i++) {
            int n = sorted_runs(&s->text[i], m, key);

            match[i][m - 1] = (double)matches(&r, key, n, (uint32_t)i);
            total[i][m - 1] = n;
        }
        free(r.slot);
    }
    for (size_t i = 0; i < k && k > 1; i++)
        sum += bleu(match[i], total[i], s->text[i].n, nearest_length(length, (int)k, s->text[i].n));
    free(match);
    free(total);
    free(length);
    free(key);
    return k > 1 ? sum / (double)k : 0;
}

void variety_read(struct variety *v, struct variety_figures out[2])
{
    for (int side = 0; side < 2; side++) {
        const struct set *s = &v->set[side];

        out[side] =
            (struct variety_figures){.self_bleu = self_bleu(s), .sample = (int64_t)s->n_text};
        for (int m = 0; m < VARIETY_GRAMS; m++)
            out[side].distinct[m] = s->total[m] > 0 ? s->different[m] / s->total[m] : 0;
    }
}

void variety_close(struct variety *v)
{
    if (!v)
        return;
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < v->set[side].n_text; i++)
            free(v->set[side].text[i].word);
        free(v->set[side].text);
    }
    for (int m = 0; m < VARIETY_GRAMS; m++)
        free(v->runs[m].slot);
    free(v->word);
    free(v);
}
