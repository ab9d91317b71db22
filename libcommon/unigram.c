/* unigram.c - the most likely cutting of a text into pieces with scores. */
#include "unigram.h"

#include "mem.h"

#include <stdbool.h>
#include <stdlib.h>

static const double penalty = 10; // of an unknown character, below the lowest score

struct unigram_best {
    double score;
    uint32_t from; // where the best last piece begins
    int32_t id;    // of that piece; -1 unknown, -2 not reached
};

void unigram_init(struct unigram *u, struct trie_key *key, size_t n, const double *score,
                  size_t n_score, double lowest)
{
    trie_build(&u->trie, key, n);
    u->score = mem_new(n_score * sizeof(*score));
    if (n_score)
        memcpy(u->score, score, n_score * sizeof(*score));
    u->unknown = lowest - penalty;
}

void unigram_free(struct unigram *u)
{
    trie_free(&u->trie);
    free(u->score);
    *u = (struct unigram){0};
}

void unigram_done(struct unigram_work *w)
{
    free(w->best);
    free(w->piece);
    *w = (struct unigram_work){0};
}

static void offer(struct unigram_best *b, double score, size_t from, int32_t id)
{
    if (b->id == -2 || score > b->score)
        *b = (struct unigram_best){score, (uint32_t)from, id};
}

/* All pieces that begin at s[i]. */
static void extend(const struct unigram *u, struct unigram_best *best, const char *s, size_t n,
                   size_t i, size_t len)
{
    double here = best[i].score;
    bool single = false;
    uint32_t node = 0;

    for (size_t k = i; k < n; k++) {
        int32_t id;

        node = trie_step(&u->trie, node, s[k]);
        if (!node)
            break;
        id = u->trie.value[node];
        if (id < 0)
            continue;
        offer(&best[k + 1], here + u->score[id], i, id);
        single |= k + 1 - i == len;
    }
    if (!single)
        offer(&best[i + len], here + u->unknown, i, -1);
}

static size_t char_len(char c)
{
    unsigned char x = (unsigned char)c;

    return x < 0x80 ? 1 : x < 0xE0 ? 2 : x < 0xF0 ? 3 : 4;
}

static void collect(struct unigram_work *w, size_t n)
{
    size_t a, b;

    w->n_piece = 0;
    for (size_t end = n; end > 0; end = w->best[end].from) {
        const struct unigram_best *x = &w->best[end];
        struct unigram_piece *last = w->n_piece ? &w->piece[w->n_piece - 1] : NULL;

        if (x->id < 0 && last && last->id < 0) {
            last->from = x->from;
            continue;
        }
        mem_grow(&w->piece, &w->cap_piece, w->n_piece + 1, sizeof(*w->piece));
        w->piece[w->n_piece++] = (struct unigram_piece){x->id, x->from, (uint32_t)end};
    }
    for (a = 0, b = w->n_piece; a + 1 < b; a++) {
        struct unigram_piece t = w->piece[a];

        w->piece[a] = w->piece[--b];
        w->piece[b] = t;
    }
}

void unigram_cut(const struct unigram *u, struct unigram_work *w, const char *s, size_t n)
{
    mem_grow(&w->best, &w->cap_best, n + 1, sizeof(*w->best));
    w->best[0] = (struct unigram_best){0, 0, -1};
    for (size_t i = 1; i <= n; i++)
        w->best[i].id = -2;
    for (size_t i = 0; i < n; i += char_len(s[i]))
        extend(u, w->best, s, n, i, char_len(s[i]));
    collect(w, n);
}
