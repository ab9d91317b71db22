/* hidden.h - one vector out of the hidden states of a text's tokens. */
#ifndef HIDDEN_H
#define HIDDEN_H

#include <stdbool.h>

/* How the vector is made: of the last token, the mean of all, of the first ("[CLS]"). */
enum hidden_pool { HIDDEN_NONE, HIDDEN_LAST, HIDDEN_MEAN, HIDDEN_FIRST };

extern const char *const hidden_pools[]; // "none", "last", "mean", "cls"; NULL-terminated

/* A vector that is being made. Zeroed is closed. */
struct hidden {
    enum hidden_pool pool;
    int dim, n;  // n: states that were added
    float *v;    // (dim)
    double *sum; // (dim) of a mean
};

void hidden_open(struct hidden *h, enum hidden_pool pool, int dim);
void hidden_free(struct hidden *h);

/* Add the states x (n, dim) of the next n tokens: all of them, or for HIDDEN_LAST at least the
 * last one. A mean is summed in double, in the order of the tokens, so that it does not depend on
 * how they were cut. */
void hidden_add(struct hidden *h, const float *x, int n);
/* The vector is complete. False when it is not finite. */
bool hidden_end(struct hidden *h);

#endif
