/* calibrate.h - weights of the axes out of people's labels.
 *
 * Records with the five axes and a label; ridge regression of the labels, on a scale of 0 to 1,
 * with figures by cross-validation: what is said of a record comes from weights that were fitted
 * without it. Does not depend on the order of the records. */
#ifndef CALIBRATE_H
#define CALIBRATE_H

#include "cli.h"

#include <stdbool.h>

struct calibrate_opt {
    const char *label; // field with the label
    const char *scale; // "lo,hi" of the labels, or NULL: the least and the greatest found
    int folds;
    float penalty; // of ridge.h, or -1: the best of a few
    bool only_above;
    const struct stream_opt *io; // output is the file of weights, stats the figures
};

/* Read, fit, write; without an output, the file's text is appended to `text`. *status as of a
 * stream. ERR_DATA when there are too few records. */
int calibrate_run(const struct calibrate_opt *o, const struct cli *c, int n, char **file,
                  int *status, struct buf *text, struct err *e);

#endif
