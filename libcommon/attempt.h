/* attempt.h - files of several attempts at the same work: FILE.a0, FILE.a1 ...
 *
 * A scheduler that takes a node for dead starts the work again elsewhere while the first node may
 * still write. So each attempt writes to a file of its own, and reads those of the others. */
#ifndef ATTEMPT_H
#define ATTEMPT_H

#include <stddef.h>

enum { ATTEMPT_MAX = 9999 };

char *attempt_path(const char *base, int k); // caller frees

struct attempt_list {
    struct attempt {
        char *path;
        int k;
    } * v; // (n) by k, ascending
    size_t n;
};
/* The attempts at `base` whose files are there, but for attempt `own` (-1: all). */
void attempt_find(const char *base, int own, struct attempt_list *l);
void attempt_free(struct attempt_list *l);

#endif
