/* chain.h - a record and what it becomes, round by round.
 *
 * In each round an operator, drawn by (seed, id, attempt), rewrites the newest version. What the
 * rules refuse is kept apart, and the version before it is tried again: in the same round while
 * there are tries, else in the next. A record, with all that came of it, is written at once.
 * Source: Xu et al. 2024 (WizardLM, Evol-Instruct). */
#ifndef CHAIN_H
#define CHAIN_H

#include "recipe.h"
#include "session.h"
#include "tally.h"
#include "tasks.h"
#include "ways.h"

/* What all chains of a run share. */
struct chains {
    struct session *ses;
    const struct recipe *recipe;
    struct ways *ways;
    uint64_t seed;
    int rounds, tries; // tries: of a round
    bool answers;      // new instructions get a response, which the rules look at too
};

/* What is asked of the model next. */
enum chain_step { CHAIN_REWRITE, CHAIN_EQUAL, CHAIN_ANSWER };

struct chain {
    struct record *rec; // (n_rec) as read, then what it became
    struct chain_refused {
        struct record r;
        enum ways_rule rule;
        struct buf value, limit;
        const char *lost; // a rule of the session's: not refused, but no answer came
        char *why;
    } * refused; // (n_refused)
    int n_rec, n_refused;
    int round, in_round, tries, attempts; // in_round, tries: on the newest version; attempts: all
    int op;
    enum chain_step step;
    struct tasks_task now, next; // the newest version, and what is made of it
    struct buf answer;           // to next's instruction
    struct recipe_call call;     // to be submitted when it waits, or submitted
    bool waits, done, torn;      // torn: an interrupted run has written some of it
    char *why;                   // the record cannot be used, or NULL
    const char *why_rule;
    struct chain *link; // the caller's
};

/* Begin with a record, which is taken over. NULL: error, which no record can help. */
struct chain *chain_open(struct chains *g, struct record *r, struct err *e);
void chain_close(struct chain *c); // NULL-safe

/* Take what came of the call, and go on: then it waits again, or is done. */
int chain_take(struct chains *g, struct chain *c, const struct session_result *d, struct err *e);

/* Write a chain that is done, what was refused first. Of a torn one, and of refused versions, what
 * is in `past` already is left out. */
int chain_write(struct chain *c, struct stream *s, const struct tally *past, struct err *e);

/* Whether a run with these settings made the record. */
bool chain_made(const struct chains *g, struct record *r);

#endif
