/* figures.h - a record of what was measured: figures with their names, as JSON or a table. */
#ifndef FIGURES_H
#define FIGURES_H

#include "record.h"
#include "spread.h"

#include <stdbool.h>

/* Set a field of r: a number with six digits; a text. */
void figures_num(struct record *r, const char *name, double x);
void figures_str(struct record *r, const char *name, const char *s);

/* A quantity that was measured several times: its median goes to r, a member with the rest to the
 * open object `spread`. Nothing of one that was not. */
void figures_spread(struct record *r, struct buf *spread, const char *name, struct spread *s);

/* One line of JSON, or a line for each field that is no object. */
void figures_put(struct record *r, bool table, struct buf *out);

#endif
