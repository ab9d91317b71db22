/* attempt.h - files of several attempts at the same work: FILE.a0, FILE.a1 ...
 *
 * A scheduler that takes a node for dead starts the work again elsewhere while the first node may
 * still write. So each attempt writes to a file of its own, and reads those of the others. */
#ifndef ATTEMPT_H
#define ATTEMPT_H

#include "buf.h"
#include "err.h"
#include "stop.h"
#include "tally.h"

#include <stddef.h>
#include <stdint.h>

enum { ATTEMPT_MAX = 9999 };

char *attempt_path(const char *base, int k); // caller frees

/* K out of "0".."9999"; ERR_ARG. */
int attempt_parse(const char *text, int *k, struct err *e);

struct attempt_list {
    struct attempt {
        char *path;
        int k;         // -1: the file `base` itself
        uint64_t good; // bytes that were whole when they were read
    } * v;             // (n) by k, ascending
    size_t n;
};
/* The attempts at `base` whose files are there, and that file itself when it is, but for attempt
 * `own` (-1: all). */
void attempt_find(const char *base, int own, struct attempt_list *l);
/* Count what the files hold as done (resume_read), the `meta` beside each compared with
 * ours (NULL: none is looked at). Errors: as those of resume_read and resume_meta. */
int attempt_scan(struct attempt_list *l, int group, uint32_t each, struct stop *stop,
                 struct tally *t, const struct buf *meta, struct err *e);
void attempt_free(struct attempt_list *l);

#endif
