/* rouge.c - ROUGE-L over words, bit-parallel, against a pool.
 *
 * Words become numbers. The pool's texts lie in buckets of equal length, each one array
 * of word numbers, so that a scan runs over memory in order. For a question, each of its distinct
 * words gets a slot with a bit mask of the places where it stands; all other
 * words share slot 0, whose mask is empty.
 *
 * The masks of a long question would take the square of its words. So for one of more than WIDE
 * blocks they are made of the shorter one of each pair, WIDE blocks at a time: what the additions
 * carry out of a part goes into the next. */
#include "rouge.h"

#include "buf.h"
#include "hash.h"
#include "mem.h"
#include "words.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { WIDE = 256 }; // blocks of 64 words; their masks take at most 32 MiB

struct bucket {
    int len;       // words of a text
    size_t n;      // texts
    int32_t *word; // (n, len)
    int *index;    // (n) numbers in the pool
    size_t cap_word, cap_index;
};

struct rouge {
    struct hash_table vocab; // word -> number
    struct bucket *bucket;   // (n_bucket) by ascending length
    size_t n_bucket, cap_bucket;
    int n; // texts
    struct buf text;
    /* The text in question. */
    int32_t *word; // (m) -1: not in the vocabulary
    int m;
    size_t cap_m;
    int32_t *slot; // (vocab.n) 0 unless the word is in question
    size_t cap_slot, n_slot;
    uint64_t *mask; // (1 + distinct words, blocks)
    size_t cap_mask;
    uint64_t *v; // (blocks)
    size_t cap_v;
    uint8_t *carry; // (words of the longer one) 0 or 1
    size_t cap_carry;
};

struct rouge *rouge_open(void)
{
    return mem_zero(1, sizeof(struct rouge));
}

void rouge_close(struct rouge *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n_bucket; i++) {
        free(r->bucket[i].word);
        free(r->bucket[i].index);
    }
    free(r->bucket);
    hash_free(&r->vocab);
    buf_free(&r->text);
    free(r->word);
    free(r->slot);
    free(r->mask);
    free(r->v);
    free(r->carry);
    free(r);
}

int rouge_size(const struct rouge *r)
{
    return r->n;
}

/* Fill r->word with the text's words; `learn` gives new ones a number. */
static void take_words(struct rouge *r, const char *s, size_t n, bool learn)
{
    size_t at = 0;

    r->m = 0;
    while (words_next(s, n, &at, &r->text)) {
        int *number = learn ? hash_put(&r->vocab, r->text.p, r->text.n, -1)
                            : hash_find(&r->vocab, r->text.p, r->text.n);

        if (number && *number < 0)
            *number = (int)r->vocab.n - 1;
        mem_grow(&r->word, &r->cap_m, (size_t)r->m + 1, sizeof(*r->word));
        r->word[r->m++] = number ? *number : -1;
    }
}

/* Place of the first bucket whose texts have at least len words. */
static size_t find_bucket(const struct rouge *r, int len)
{
    size_t lo = 0, hi = r->n_bucket;

    while (lo < hi) {
        size_t mid = (lo + hi) / 2;

        if (r->bucket[mid].len < len)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

int rouge_add(struct rouge *r, const char *s, size_t n)
{
    struct bucket *b;
    size_t at, len;

    take_words(r, s, n, true);
    len = (size_t)r->m;
    at = find_bucket(r, r->m);
    if (at == r->n_bucket || r->bucket[at].len != r->m) {
        mem_grow(&r->bucket, &r->cap_bucket, r->n_bucket + 1, sizeof(*r->bucket));
        memmove(r->bucket + at + 1, r->bucket + at, (r->n_bucket - at) * sizeof(*r->bucket));
        r->bucket[at] = (struct bucket){.len = r->m};
        r->n_bucket++;
    }
    b = &r->bucket[at];
    mem_grow(&b->index, &b->cap_index, b->n + 1, sizeof(*b->index));
    b->index[b->n] = r->n;
    if (len) {
        mem_grow(&b->word, &b->cap_word, (b->n + 1) * len, sizeof(*b->word));
        memcpy(b->word + b->n * len, r->word, len * sizeof(*b->word));
    }
    b->n++;
    return r->n++;
}

void rouge_cut(struct rouge *r, int n)
{
    for (size_t i = 0; i < r->n_bucket; i++)
        while (r->bucket[i].n && r->bucket[i].index[r->bucket[i].n - 1] >= n)
            r->bucket[i].n--;
    if (n < r->n)
        r->n = n;
}

/* Give n words their slots and masks. Returns the blocks of a mask. */
static size_t prepare(struct rouge *r, const int32_t *word, int n)
{
    size_t blocks = ((size_t)n + 63) / 64, old = r->cap_slot, slots = 1;

    mem_grow(&r->slot, &r->cap_slot, r->vocab.n + 1, sizeof(*r->slot));
    if (r->cap_slot > old)
        memset(r->slot + old, 0, (r->cap_slot - old) * sizeof(*r->slot));
    for (int i = 0; i < n; i++)
        if (word[i] >= 0 && !r->slot[word[i]])
            r->slot[word[i]] = (int32_t)slots++;
    mem_grow(&r->mask, &r->cap_mask, slots * blocks, sizeof(*r->mask));
    mem_grow(&r->v, &r->cap_v, blocks, sizeof(*r->v));
    memset(r->mask, 0, slots * blocks * sizeof(*r->mask));
    for (int i = 0; i < n; i++)
        if (word[i] >= 0)
            r->mask[(size_t)r->slot[word[i]] * blocks + (size_t)i / 64] |= 1ull << (i % 64);
    return blocks;
}

static void forget(struct rouge *r, const int32_t *word, int n)
{
    for (int i = 0; i < n; i++)
        if (word[i] >= 0)
            r->slot[word[i]] = 0;
}

/* Length of the longest common subsequence; the question has at most 64 words. A
 * bit of v is 0 where the row of the table steps up. */
static int lcs_one(const struct rouge *r, const int32_t *word, int len)
{
    uint64_t v = ~0ull;

    for (int i = 0; i < len; i++) {
        uint64_t u = v & r->mask[r->slot[word[i]]];

        v = (v + u) | (v - u);
    }
    return __builtin_popcountll(~v);
}

/* One word for all blocks, with the carry passed from block to block; returns the last one. */
static unsigned step(const struct rouge *r, const uint64_t *mask, size_t blocks, unsigned carry)
{
    for (size_t k = 0; k < blocks; k++) {
        uint64_t v = r->v[k], u = v & mask[k], sum;
        unsigned over = __builtin_add_overflow(v, u, &sum);

        over |= __builtin_add_overflow(sum, (uint64_t)carry, &sum);
        r->v[k] = sum | (v - u);
        carry = over;
    }
    return carry;
}

static int count_steps(const struct rouge *r, size_t blocks)
{
    int n = 0;

    for (size_t k = 0; k < blocks; k++)
        n += __builtin_popcountll(~r->v[k]);
    return n;
}

/* The same for questions of up to WIDE blocks. */
static int lcs_many(const struct rouge *r, const int32_t *word, int len, size_t blocks)
{
    memset(r->v, 0xff, blocks * sizeof(*r->v));
    for (int i = 0; i < len; i++)
        if (r->slot[word[i]])
            step(r, r->mask + (size_t)r->slot[word[i]] * blocks, blocks, 0);
    return count_steps(r, blocks);
}

/* The same for the question, of any length, without its masks being there. */
static int lcs_long(struct rouge *r, const int32_t *word, int len)
{
    bool swap = r->m < len;
    const int32_t *few = swap ? r->word : word, *many = swap ? word : r->word;
    int n_few = swap ? r->m : len, n_many = swap ? len : r->m, n = 0;

    mem_grow(&r->carry, &r->cap_carry, (size_t)n_many, sizeof(*r->carry));
    memset(r->carry, 0, (size_t)n_many);
    for (int at = 0; at < n_few; at += WIDE * 64) {
        int part = n_few - at < WIDE * 64 ? n_few - at : WIDE * 64;
        size_t blocks = prepare(r, few + at, part);

        memset(r->v, 0xff, blocks * sizeof(*r->v));
        for (int i = 0; i < n_many; i++) {
            int32_t slot = many[i] < 0 ? 0 : r->slot[many[i]];

            if (slot || r->carry[i]) // a carry moves what no mask touches
                r->carry[i] =
                    (uint8_t)step(r, r->mask + (size_t)slot * blocks, blocks, r->carry[i]);
        }
        n += count_steps(r, blocks);
        forget(r, few + at, part);
    }
    return n;
}

/* The F-measure of two texts of these lengths and this common length, in the steps of rouge_score:
 * where it is a threshold itself, rounding decides, and it must decide alike. */
static double f_of(int common, int a, int b)
{
    double p, r;

    if (!common)
        return 0;
    p = (double)common / a;
    r = (double)common / b;
    return 2 * p * r / (p + r);
}

/* Compare with all texts of a bucket; no blocks: the question's masks are not made. */
static void scan(struct rouge *r, const struct bucket *b, size_t blocks, struct rouge_near *best)
{
    int most = 0, index = 0;
    double f;

    for (size_t i = 0; b->len && i < b->n; i++) {
        const int32_t *word = b->word + i * (size_t)b->len;
        int common = blocks == 1  ? lcs_one(r, word, b->len)
                     : blocks > 0 ? lcs_many(r, word, b->len, blocks)
                                  : lcs_long(r, word, b->len);

        if (common > most) {
            most = common;
            index = b->index[i];
        }
    }
    f = f_of(most, r->m, b->len);
    if (f > best->f || (most && f >= best->f && index < best->index))
        *best = (struct rouge_near){index, f};
}

struct rouge_near rouge_nearest(struct rouge *r, const char *s, size_t n)
{
    struct rouge_near best = {r->n ? 0 : -1, 0};
    size_t blocks = 0, hi, lo;

    take_words(r, s, n, false);
    if (!r->n || !r->m)
        return best;
    if (r->m <= WIDE * 64)
        blocks = prepare(r, r->word, r->m);
    hi = lo = find_bucket(r, r->m); // [0, lo) and [hi, n_bucket) are still to be looked at
    for (;;) {
        double above = -1, below = -1; // the most that the next bucket on a side can reach

        if (hi < r->n_bucket)
            above = f_of(r->m, r->m, r->bucket[hi].len);
        if (lo > 0)
            below = f_of(r->bucket[lo - 1].len, r->m, r->bucket[lo - 1].len);
        if (above < best.f && below < best.f)
            break;
        if (above < 0 && below < 0)
            break;
        scan(r, above >= below ? &r->bucket[hi++] : &r->bucket[--lo], blocks, &best);
    }
    if (blocks)
        forget(r, r->word, r->m);
    return best;
}
