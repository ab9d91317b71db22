/* bands.h - which texts have a band: numbers under 32-bit tags, far more than memory holds.
 *
 * What is new is in memory; from time to time it is merged, in one pass, into a file in which
 * pairs stand sorted by their tags. Of that file memory holds a filter, in which a tag's bits
 * lie in one line of memory, and where each 64th pair or so is, so that the file itself is read
 * where a tag is there, and in one of a hundred cases where it is not. Bytes of memory: 1.4 a pair
 * of the file, and for the new ones the bytes given, or half a byte a pair of the file, whichever
 * is more.
 * Source of the filter: Putze, Sanders and Singler 2007 (blocked Bloom filters). */
#ifndef BANDS_H
#define BANDS_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bands;

/* In dir/table, which may be there; NULL: in a file without a name in tmp. Errors: ERR_IO, ERR_ARG;
 * ERR_DATA a file that no bands_put made. `empty`: what is there is not looked at, and goes. */
struct bands *bands_open(const char *dir, bool empty, size_t memory, const char *tmp,
                         struct err *e);
void bands_close(struct bands *x); // NULL-safe; what is in memory only is lost
int bands_sync(struct bands *x, struct err *e);
int bands_clear(struct bands *x, struct err *e);

/* Add a pair, if it is not there. 1 = all pairs before this one are in the file now; 0 = some may
 * be in memory only; -1 = error. */
int bands_put(struct bands *x, uint32_t tag, uint32_t text, struct err *e);

void bands_soon(const struct bands *x, uint32_t tag); // it is looked for soon, and put

/* The texts of a tag, until the next call; -1 = error. Some may stand there twice. */
int bands_find(struct bands *x, uint32_t tag, const uint32_t **text, size_t *n, struct err *e);

#endif
