/* axes.h - the five axes of an answer, and weights that make one score of them.
 *
 * Names and scale are HelpSteer's: helpfulness, correctness, coherence, complexity, verbosity, 0
 * to 4. Source: Wang et al. 2024 (HelpSteer2); the weights "nemotron" are those of the model card
 * of Nemotron-4-340B-Reward. */
#ifndef AXES_H
#define AXES_H

#include "buf.h"
#include "err.h"
#include "hash.h"
#include "record.h"

#include <stdint.h>

enum { AXES = 5, AXES_MOST = 4 };

extern const char *const axes_names[AXES];

struct axes_weights {
    double w[AXES];      // in the order of axes_names
    double offset;       // of the score
    char name[64];       // for the records: the preset's, the file's, or the numbers
    struct hash128 hash; // of all the above
};

/* "default", "nemotron", five numbers "h,c,o,x,v", or the path of a file of weights (YAML: name,
 * offset and the five axes). ERR_ARG, ERR_DATA. */
int axes_weights(struct axes_weights *w, const char *text, struct err *e);

/* offset + sum w x / 4, and the standard deviation of it for independent axes of these
 * variances. */
double axes_score(const struct axes_weights *w, const double *x);
double axes_spread(const struct axes_weights *w, const double *var);

/* Four decimals: more than scores mean, and readable. */
double axes_round(double x);

/* Set the fields: five axes, score, score_sd (var NULL: none), and the weights' name in meta. */
void axes_put(struct record *r, const struct axes_weights *w, const double *x, const double *var);

/* Sums over records, for --stats: the axes and the score. */
struct axes_sums {
    int64_t n;
    double sum[AXES + 1], sq[AXES + 1];
};
void axes_count(struct axes_sums *s, struct record *r);
/* ,"mean":{...},"sd":{...} of the axes and the score, or of the score alone. */
void axes_stats(const struct axes_sums *s, bool score_only, struct buf *out);

#endif
