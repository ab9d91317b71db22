/* score.h - what all ways of scoring answers share: options, the loop over records, counts.
 *
 * A way (grade.h, duel.h, reward.h) is a table of functions; this reads the records, hands them to
 * it, hands it what the model says, and writes what is done. */
#ifndef SCORE_H
#define SCORE_H

#include "axes.h"
#include "cli.h"
#include "corr.h"
#include "desk.h"
#include "quiz.h"
#include "session.h"

struct score;

struct score_way {
    const char *name;
    const char *const *fields; // that ids are made of; NULL-terminated
    size_t task;               // bytes of a task, which begins with a struct desk_item
    bool hidden;               // asks for hidden states (engine.h)
    bool all;                  // reads the whole input before it submits anything
    size_t work;               // bytes of its own state, score.work
    /* Before the stream is opened: prompts, weights; members of the fingerprint to `print`. */
    int (*open)(struct score *g, struct buf *print, struct err *e);
    void (*close)(struct score *g);
    int (*start)(struct score *g, void *task, struct err *e); // with a record just read
    int (*more)(struct score *g, struct err *e); // submit what there is room for; may be NULL
    bool (*left)(const struct score *g);         // has `more` work? May be NULL
    int (*take)(struct score *g, const struct session_result *d, struct err *e);
    void (*count)(struct score *g, void *task);
    void (*stats)(const struct score *g, struct buf *out); // ",\"key\":..." of its own
    void (*release)(void *task);
};

struct score {
    /* Options */
    struct cli_model model;
    struct stream_opt io;
    struct cli_notes notes;
    const char *prompts, *weights, *reference, *field, *again; // judge
    const char *group;                                         // pairwise
    int opponents;
    bool pairs;
    float margin;
    int max_tokens;
    const struct cli *cli;

    const struct score_way *way;
    void *work; // the way's own
    struct session ses;
    struct desk desk;
    struct cli_progress progress;
    int64_t n;                 // scored
    bool referred;             // some record had the field --reference
    struct corr words, tokens; // length against score, for --stats
};

/* Open the model and the stream, score all records. */
int score_run(struct score *g, const struct score_way *way, int n, char **file, int *status,
              struct err *e);
void score_close(struct score *g, const struct err *why); // why: as stream_abandon has it

/* Of a record: the instruction (also the last user message, or the prompt); NULL when there is
 * none. The answer is the field --field. */
const char *score_instruction(struct record *r, size_t *n);

/* Why a record has no score, with the reason in e: it is without instruction or answer (white space
 * is none), or what is read of it is no text. NULL: it can be scored. */
const char *score_lacks(const struct score *g, struct record *r, struct err *e);
/* Reject such a record: 1 it can be scored, 0 rejected, -1 fatal. */
int score_check(struct score *g, struct desk_item *t, struct err *e);

/* The text of the field --reference, NULL when there is none to show (or it is "self"); that one
 * has it is noted. */
const char *score_reference(struct score *g, struct record *r, size_t *n);

/* For length bias: a score, and the answer that has it. */
void score_length(struct score *g, struct record *r, double score);

#endif
