/* runs.h - words of a text, and what stands between its spaces, as places out of bits. */
#ifndef RUNS_H
#define RUNS_H

#include "kinds.h"

#include <stddef.h>
#include <stdint.h>

/* Runs of bytes of a text, in order. Zeroed is empty. */
struct runs {
    uint32_t *begin, *end; // (n)
    size_t n, cap;
};
void runs_words(struct runs *r, const struct kinds *x); // of `word` and `high`
void runs_spans(struct runs *r, const struct kinds *x); // between `space`
void runs_units(struct runs *r, const struct kinds *x); // of `word`, and each of `single`
void runs_free(struct runs *r);

#endif
