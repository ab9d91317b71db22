/* rows.h - the rows of a step: in host memory, or on a device that is asked about them.
 *
 * A row of logits is long, and what a sampler needs of it mostly short. So a device that can
 * (backend.h, pick) answers questions about its rows, and a row is fetched only where the answer
 * does not suffice (rank.h). What comes of it is the same. */
#ifndef ROWS_H
#define ROWS_H

#include "runner.h"
#include "sample.h"

struct rows {
    struct runner *run;
    struct sample_work work;
    const float *host;    // all of the step, or NULL: ask
    struct pick_ask *ask; // (n)
    struct pick *pick;    // (n)
    bool *whole;          // (n) the row itself is wanted
    int n, cap;
    struct err failed; // code: a row could not be fetched
};

void rows_open(struct rows *r, struct runner *run);
void rows_close(struct rows *r);

/* Compute a step. */
int rows_step(struct rows *r, const struct step *s, struct err *e);

/* What will be asked of a row, to be filled in; NULL where rows are in host memory. The row itself
 * is fetched where nothing was asked, or after rows_want. Then rows_go gets the answers. */
struct pick_ask *rows_ask(struct rows *r, int row);
void rows_want(struct rows *r, int row);
int rows_go(struct rows *r, struct err *e);

/* A row, or NULL with work's ask and pick for it. rows_fetch: the row; NULL, and failed, when the
 * device fails. */
const float *rows_at(struct rows *r, int row);
const float *rows_fetch(struct rows *r, int row);

/* As sample.h has them, of a row. When the device fails, what they return means nothing. */
int32_t rows_draw(struct rows *r, int row, const struct sample_opt *o, struct sample_seq *seq,
                  const uint64_t *allow, const struct rng *noise, int64_t pos);
float rows_logprobs(struct rows *r, int row, int32_t id, struct sample_top *top, int n);
int rows_choice(struct rows *r, int row, const int32_t *choice, int n, float *p);

#endif
