/* c4.h - the lines of a text that C4 keeps, and what is in them.
 * Source: Raffel et al. 2020 (T5), section 2.2. */
#ifndef C4_H
#define C4_H

#include "buf.h"
#include "kinds.h"
#include "parts.h"
#include "scan.h"

#include <stddef.h>

struct c4 {
    size_t sentences, lorem, curly; // lorem, curly: lines that hold "lorem ipsum", "{"
};
/* What it is done with. */
struct c4_desk {
    struct scan_threes rare; // stand in what is looked for
    struct buf line;         // without its notes
};
void c4_open(struct c4_desk *d);
void c4_close(struct c4_desk *d);
/* Of a text's lines (parts_lines). */
struct c4 c4_count(struct c4_desk *d, const struct kinds *text, const struct parts *lines);

#endif
