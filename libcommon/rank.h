/* rank.h - the likeliest of a row of logits, without sorting it.
 *
 * The maxima of blocks say which blocks can hold one of the first m values, so that only
 * those are looked into. Values are x / temp in float; their order is that of
 * the value, then of the id, so a set cut from a row is the same however it is found.
 * A row that holds NaN or +infinity is taken as if -infinity stood there, and
 * values of -infinity are as good as not there.
 *
 * Of a row that stayed on a device only its front is here, the likeliest tokens, and what else was
 * asked for. What follows from that is the same as of the row; what does not sets `lacks`, and the
 * row itself is needed. */
#ifndef RANK_H
#define RANK_H

#include "backend.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rank_item {
    float x; // logit / temp
    int32_t id;
};

/* What is known of tokens that are not in a front: their values are less than floor.x, or equal
 * and their ids are above floor.id. */
struct rank_known {
    struct rank_item item[PICK_MOST]; // (n) in order
    int n;
    bool whole; // there are no more tokens
    struct rank_item floor;
    const struct pick *pick; // for its masses, until values change
    const struct pick_ask *ask;
};

/* A row under work and the scratch for it. Zeroed, but for backend, is empty. */
struct rank {
    struct backend *backend; // lent, for row_max and row_exp
    const float *row;        // (n); NULL: front is what is known of it
    struct rank_known front;
    bool lacks; // the front did not suffice: what came of it means nothing
    int n;
    float temp;
    struct rank_item best;
    struct rank_item *item; // (n_items) what is kept, once something was cut
    int n_items;
    bool listed;           // item holds what is kept; else it is the whole row
    bool have_e;           // e and sum are those of this row
    float *max;            // (blocks)
    float *e, *sum;        // (n) exp(x / temp - best.x) and (blocks) their sums
    float *clean;          // (n) the row with -infinity for what is no number
    struct rank_item *cut; // (n) those of one bucket
    uint16_t *place;       // (n) bucket of each
    double *bucket;        // masses of ranges of values
    int cap;
};

void rank_free(struct rank *r);

/* Begin with a row, which is borrowed until the next one. False when it has no finite
 * number. best, the greedy choice, is set. */
bool rank_row(struct rank *r, const float *row, int n);
/* The same with what a device said of a row of n; both are borrowed. */
bool rank_pick(struct rank *r, const struct pick_ask *ask, const struct pick *pick, int n);
/* The front's values have become others, none of them larger, as those of tokens outside may have.
 * Sets them in order again; false when none is finite. */
bool rank_lowered(struct rank *r);
/* The value of a token before it was divided by a temperature. */
float rank_logit(struct rank *r, int32_t id);

/* Divide by a temperature before anything is cut; best.id stays. */
void rank_temper(struct rank *r, float temp);

/* Sort the first m of n items to the front. */
void rank_sort(struct rank_item *item, int n, int m);

/* Keep, of what is kept so far: the first m, sorted; those of at least `floor`; the fewest
 * first that have at least p of the mass. rank_list only lists what is kept. */
void rank_front(struct rank *r, int m);
void rank_above(struct rank *r, float floor);
void rank_reach(struct rank *r, float p);
void rank_list(struct rank *r);

/* Sum of exp(x / temp - best.x) over what is kept: items in their order; a whole row in blocks
 * (backend.h), the blocks in order. */
double rank_mass(struct rank *r);
/* Move the fewest of n items, first in order first, to the front, otherwise as they stood, so that
 * their values in the row have a mass of at least `want`; returns how many, at least one. Their x
 * may be any measure. */
int rank_cover(struct rank *r, struct rank_item *item, int n, double want);
/* exp(x - best.x) of an item. */
float rank_exp(const struct rank *r, const struct rank_item *item);

#endif
