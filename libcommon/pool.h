/* pool.h - the tasks that a prompt may show, and what is new against them.
 *
 * Seeds first, then what was made, in order. New means: other words than any task
 * before, and by ROUGE-L not too near to the nearest.
 * Source: Wang et al. 2023 (Self-Instruct). */
#ifndef POOL_H
#define POOL_H

#include "buf.h"
#include "hash.h"
#include "rng.h"
#include "rouge.h"

#include <stdbool.h>

struct pool_entry {
    char *id, *text; // text (n) as it stands in a prompt: "instruction\nInput: input"
    size_t n;
    char *output; // what answers it, or ""
    int round;    // that made it; 0: a seed
};

struct pool_list {
    int *at; // (n) numbers
    int n;
    size_t cap;
};

struct pool {
    struct pool_entry *entry; // (n) of which n_seed are seeds
    int n, n_seed;
    size_t cap;
    struct rouge *rouge;          // the same numbers
    struct hash_table words;      // folded task -> number, -1: of none
    struct pool_list seeds, made; // that may be shown
};

void pool_init(struct pool *p);
void pool_free(struct pool *p); // zeroed is free

struct pool_new {
    const char *id;
    const struct buf *text, *fold, *output; // fold: its words (words_fold); output: or NULL
    int round;
    bool hidden; // nothing may be as near to it, but it is not shown
};
/* Add a task. Seeds (round 0) must come before all others. The strings are copied. */
void pool_add(struct pool *p, const struct pool_new *x);
/* Take back all but the first n, which the seeds are among; their words are needed again: fold[i]
 * those of number n + i. */
void pool_cut(struct pool *p, int n, const struct buf *const *fold);

/* The rule that a task breaks against the pool, or NULL: "duplicate" (the same words) or "rouge"
 * (nearest above `most`; equal is kept). value and limit get JSON values. *near: the nearest, which
 * the pool has unless it is empty. */
const char *pool_known(struct pool *p, const struct buf *fold, float most, struct rouge_near *near,
                       struct buf *value, struct buf *limit);

/* A similarity with four decimals. */
void pool_score(struct buf *b, double f);

/* Numbers of `examples` (at most 2^16) different entries into out, in random order: `made` of them
 * made, the others seeds; where there are too few of one kind, the other fills up. Drawn from r at
 * position `at`; returns how many. */
int pool_draw(const struct pool *p, const struct rng *r, uint64_t at, int examples, int made,
              int *out);

#endif
