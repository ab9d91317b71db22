/* sched.h - who runs in the next step, and with how many tokens.
 *
 * Sequences come in the order in which they were submitted, and the first come first: a
 * step carries one token of each that generates, then chunks of prompts, within a budget of
 * tokens. A sequence begins when the cache has pages for all that it holds; when pages
 * run out later, the youngest gives its own back and is computed again when there are some.
 * Who ran in which step never shows in what comes out.
 * Sources: Yu et al. 2022 (Orca), Agrawal et al. 2024 (Sarathi), chunked prefill. */
#ifndef SCHED_H
#define SCHED_H

#include "kv.h"
#include "step.h"

#include <stdbool.h>
#include <stdint.h>

/* Tokens, of which the first kv.len are in the cache (or in the step being built). Zeroed is
 * empty. Sequences of one request have the same group and stand together. */
struct sched_seq {
    int32_t *token; // (n)
    int n;
    size_t cap;
    int want; // the next token whose logits are wanted, and of all behind it; n: none, it rests
    int64_t group; // ascending in the order of submission
    struct kv_seq kv;
    int row, n_rows; // of the step's logits: those after tokens want - n_rows .. want - 1
    int plan;        // tokens of it in this step
    int high;        // positions that were in the cache once
    int n_prompt;    // tokens that count as prompt
};

/* Since the beginning. Pages are those that sequences hold, shared ones once. */
struct sched_counts {
    int64_t steps;
    int64_t prompt;      // tokens of prompts, computed or found in the cache
    int64_t hits;        // tokens found in the cache
    int64_t again;       // tokens computed again after a preemption
    int64_t preemptions; // of requests
    int peak_pages;
    double prefill_seconds, decode_seconds; // of steps with, and without, chunks of prompts
    double page_seconds, unused_seconds;    // positions held over time; those of them not written
};

struct sched {
    struct kv *kv;
    struct step_build build;
    int budget, most_rows;
    int room, rows; // left in the step being built
    bool prefill;   // it has chunks of prompts
    int held;       // pages of its sequences
    int64_t unused; // positions in them behind the ends of sequences
    struct sched_counts count;
};

/* Steps of at most `budget` tokens, `batch` sequences and `rows` (at least batch) rows of logits;
 * kv is lent. With build.whole set after it, a sequence is computed in one step or not at all:
 * the budget must hold any, and pages are not shared. */
void sched_open(struct sched *s, struct kv *kv, int budget, int batch, int rows);
void sched_close(struct sched *s);

/* Append a token; the logits after it, and none before it, are wanted. */
void sched_push(struct sched_seq *q, int32_t id);
void sched_free(struct sched_seq *q, struct kv *kv);

/* Build the next step of n <= batch sequences; each one's n_rows says whether logits come.
 * NULL when all rest. Else at least one advances, given that the pool holds what
 * any one group can need. */
const struct step *sched_step(struct sched *s, struct sched_seq *const *q, int n);
/* That step has been computed. */
void sched_done(struct sched *s, double seconds);

#endif
