/* keyword.c - the words that set the texts of one topic apart from those of the others. */
#include "keyword.h"

#include "hash.h"
#include "mem.h"
#include "num.h"
#include "words.h"

#include <stdlib.h>
#include <string.h>

/* How many texts of a topic have a word. Pairs are noted as they come and summed when read. */
struct pair {
    int32_t topic, word, n;
};

struct keyword {
    struct hash_table ids;
    struct word {
        char *s;
        int32_t in;   // texts that have it
        int64_t last; // the text that was counted last, from 1
    } * word;         // (n_word)
    size_t n_word, cap_word;
    struct pair *pair; // (n_pair)
    size_t n_pair, cap_pair;
    size_t sorted;  // pairs that are sorted and summed
    int64_t n_text; // of all topics
    int64_t *size;  // (topics) texts of each
    int topics;
};

struct keyword *keyword_open(int topics)
{
    struct keyword *k = mem_zero(1, sizeof(*k));

    k->topics = topics;
    k->size = mem_zero((size_t)topics, sizeof(*k->size));
    return k;
}

static int has_letter(const char *s, size_t n)
{
    int letter = 0;

    for (size_t i = 0; i < n; i++)
        letter |= (unsigned char)s[i] >= 0x80 || (s[i] >= 'a' && s[i] <= 'z');
    return letter && (n > 1);
}

static int by_pair(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;

    if (x->topic != y->topic)
        return x->topic < y->topic ? -1 : 1;
    return (x->word > y->word) - (x->word < y->word);
}

/* Sort the pairs and add equal ones up. */
static void settle(struct keyword *k)
{
    size_t out = 0;

    if (k->sorted == k->n_pair)
        return;
    qsort(k->pair, k->n_pair, sizeof(*k->pair), by_pair);
    for (size_t i = 0; i < k->n_pair; i++)
        if (out && !by_pair(&k->pair[out - 1], &k->pair[i]))
            k->pair[out - 1].n += k->pair[i].n;
        else
            k->pair[out++] = k->pair[i];
    k->n_pair = k->sorted = out;
}

void keyword_add(struct keyword *k, int topic, const char *s, size_t n)
{
    struct buf w = {0};
    size_t at = 0;

    k->n_text++;
    k->size[topic]++;
    while (words_next(s, n, &at, &w)) {
        int *id;

        if (!has_letter(w.p, w.n))
            continue;
        id = hash_put(&k->ids, w.p, w.n, (int)k->n_word);
        if (*id == (int)k->n_word) {
            mem_grow(&k->word, &k->cap_word, k->n_word + 1, sizeof(*k->word));
            k->word[k->n_word++] = (struct word){mem_dup(w.p, w.n), 0, 0};
        }
        if (k->word[*id].last == k->n_text)
            continue;
        k->word[*id].last = k->n_text;
        k->word[*id].in++;
        mem_grow(&k->pair, &k->cap_pair, k->n_pair + 1, sizeof(*k->pair));
        k->pair[k->n_pair++] = (struct pair){topic, *id, 1};
    }
    if (k->n_pair > 2 * k->sorted + (1 << 20))
        settle(k);
    buf_free(&w);
}

/* Whether a word of weight x goes before one of weight y. */
static int heavier(double x, const char *a, double y, const char *b)
{
    return x != y ? x > y : strcmp(a, b) < 0;
}

void keyword_top(struct keyword *k, int topic, int n, struct buf *out)
{
    struct top {
        double weight;
        const char *s;
    } *top = mem_zero((size_t)n + 1, sizeof(*top));
    size_t low = 0, high;
    int have = 0;

    settle(k);
    high = k->n_pair;
    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (k->pair[mid].topic < topic)
            low = mid + 1;
        else
            high = mid;
    }
    for (; low < k->n_pair && k->pair[low].topic == topic; low++) {
        const struct word *w = &k->word[k->pair[low].word];
        double weight = (double)k->pair[low].n / (double)k->size[topic] *
                        num_log_d((double)k->n_text / (double)w->in);
        int i = have;

        /* one topic alone has no others to be set apart from: its most frequent words */
        if (k->size[topic] == k->n_text)
            weight = (double)k->pair[low].n;
        if (!(weight > 0))
            continue;
        for (; i && heavier(weight, w->s, top[i - 1].weight, top[i - 1].s); i--)
            top[i] = top[i - 1];
        top[i] = (struct top){weight, w->s};
        have += have < n;
    }
    for (int i = 0; i < have; i++) {
        buf_str(out, i ? ", " : "");
        buf_str(out, top[i].s);
    }
    free(top);
}

void keyword_close(struct keyword *k)
{
    if (!k)
        return;
    for (size_t i = 0; i < k->n_word; i++)
        free(k->word[i].s);
    hash_free(&k->ids);
    free(k->word);
    free(k->pair);
    free(k->size);
    free(k);
}
