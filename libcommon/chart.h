/* chart.h - points of topics, kept and dropped, drawn by gnuplot. */
#ifndef CHART_H
#define CHART_H

#include "buf.h"
#include "err.h"

#include <stdbool.h>
#include <stdint.h>

struct chart {
    const char *title, *x_label, *y_label;
    const float *xy;      // (n, 2)
    const int32_t *topic; // (n)
    const bool *kept;     // (n)
    int64_t n;
    int topics;
    const char *const *label; // (topics), may hold NULLs
};

/* ERR_ARG when a file of this name cannot be drawn: neither .png, .svg nor .gp (the script alone,
 * with the data in it), there is no gnuplot to draw it, or the file exists and may not be replaced;
 * ERR_IO when it cannot be created. */
int chart_check(const char *path, bool replace, struct err *e);
/* Draw into a file, which appears under its name when it is whole. */
int chart_draw(const struct chart *c, const char *path, struct err *e);

#endif
