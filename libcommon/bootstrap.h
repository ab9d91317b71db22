/* bootstrap.h - what rounds of new tasks begin with: options, seeds, what is made already.
 *
 * A round's prompts show tasks of the pool, which grows by what passes the rules, is new, and,
 * where instances are asked for, has one. Sources: Wang et al. 2023 (Self-Instruct); Taori et al.
 * 2023 (Alpaca); Xu et al. 2024 (Magpie), where the model itself writes the user's turn; Ge et al.
 * 2024 (Persona Hub). */
#ifndef BOOTSTRAP_H
#define BOOTSTRAP_H

#include "drafts.h"
#include "personas.h"
#include "pool.h"
#include "questions.h"
#include "recipe.h"
#include "tally.h"
#include "tasks.h"

enum bootstrap_style { BOOTSTRAP_SELFINSTRUCT, BOOTSTRAP_ALPACA, BOOTSTRAP_MAGPIE };
extern const char *const bootstrap_styles[];             // their names, also of the prompt files
extern const char bootstrap_stage[], bootstrap_source[]; // in ids and meta.source

struct bootstrap_opt {
    int style;
    const char *prompts, *personas, *off; // off: rules that do not hold, with commas
    int count, max_rounds, per_round, instances;
    int examples, generated; // -1: what the prompt file says, else 8 and 2
    float rouge;
    bool classification, bare, no_seeds; // bare: novelty by the instruction alone
};

struct bootstrap {
    struct bootstrap_opt o;
    struct tasks_rules rules;
    const struct cli *cli;
    const struct stream_opt *io;
    struct cli_sample given;
    struct session ses;
    struct stream *s;
    struct cli_progress progress;
    struct kept kept;
    struct recipe recipe;
    struct questions questions;
    struct personas personas;
    struct pool pool;
    struct tasks_off off;
    int asked;                // new tasks in a completion
    struct tasks_task task;   // in hand
    struct tally past, items; // ids of the round that was begun; items of rounds before it
    struct tally seeds;       // ids of the seeds
    int past_round, rounds;
    int made_before; // of the records, by earlier runs in rounds that are over
    int64_t completions;
    struct bootstrap_round {
        int items, accepted;
    } * curve; // (n_curve) of each round, from 1
    int n_curve;
    size_t cap_curve;
};

/* Read the prompt file and what else the options name; they are checked. */
int bootstrap_open(struct bootstrap *g, struct err *e);
/* Members for the fingerprint. */
void bootstrap_print(const struct bootstrap *g, struct buf *out);
void bootstrap_close(struct bootstrap *g); // the session and the stream are the caller's

/* Read the seeds, pass them through, and what earlier runs made: into the pool. */
int bootstrap_fill(struct bootstrap *g, struct err *e);

enum listing_form bootstrap_form(const struct bootstrap *g); // of what the model writes
int bootstrap_made(const struct bootstrap *g);               // tasks, without the seeds
struct bootstrap_round *bootstrap_curve(struct bootstrap *g, int round);
/* A task into the pool; hidden: no prompt shows it. */
void bootstrap_add(struct bootstrap *g, const struct tasks_task *t, const char *id, int round,
                   bool hidden);

#endif
