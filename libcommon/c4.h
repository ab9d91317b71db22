/* c4.h - the lines of a text that C4 keeps, and what is in them.
 * Source: Raffel et al. 2020 (T5), section 2.2. */
#ifndef C4_H
#define C4_H

#include "buf.h"
#include "kinds.h"
#include "parts.h"

#include <stddef.h>

struct c4 {
    size_t sentences, lorem, curly; // lorem, curly: lines that hold "lorem ipsum", "{"
};
/* Of a text's lines (parts_lines). b is scratch. */
struct c4 c4_count(const struct kinds *text, const struct parts *lines, struct buf *b);

#endif
