/* fence.h - fenced code blocks of a text (Markdown: ``` or ~~~, with an info string). */
#ifndef FENCE_H
#define FENCE_H

#include "buf.h"

#include <stdbool.h>
#include <stddef.h>

struct fence {
    const char *p; // (n) the lines between the fences, as they stand
    size_t n;
    int indent; // spaces before the opening fence, at most three
};

/* The next block at or after *at whose info string begins with the word `lang`, in any case. A
 * block that is not closed goes to the end. Source: CommonMark 0.31, section 4.5. */
bool fence_next(const char *s, size_t n, const char *lang, size_t *at, struct fence *f);

/* Append the block's content: of each line, as much of its indentation as the opening fence has is
 * the list's around it, and left out. */
void fence_text(const struct fence *f, struct buf *out);

#endif
