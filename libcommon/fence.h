/* fence.h - fenced code blocks of a text (Markdown: ``` or ~~~, with an info string). */
#ifndef FENCE_H
#define FENCE_H

#include "buf.h"

#include <stdbool.h>
#include <stddef.h>

enum { FENCE_DEPTH = 16 }; // list items in each other

/* A block, and where the search for the next one goes on; zeroed at first. */
struct fence {
    const char *p; // (n) the lines between the fences, as they stand
    size_t n;
    int indent;                   // columns before the opening fence
    size_t at;                    // behind the block
    int item[FENCE_DEPTH], depth; // columns of the content of the list items that are open there
};

/* The next block whose info string begins with the word `lang`, in any case. A fence has at most
 * three spaces before it, or before it in the list item that it is in; with more it is code that
 * shows one. A block that is not closed goes to the end. Source: CommonMark 0.31, sections 4.5 and
 * 5.2, but what is indented less than the item does not end a block in it. */
bool fence_next(const char *s, size_t n, const char *lang, struct fence *f);

/* Append the block's content: of each line, as much of its indentation as the opening fence has is
 * the list's around it, and left out. */
void fence_text(const struct fence *f, struct buf *out);

#endif
