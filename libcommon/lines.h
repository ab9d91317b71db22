/* lines.h - lines out of several inputs, with bounded memory and without waiting when asked.
 *
 * Owns the descriptors and one buffer. Knows nothing of JSON. A line longer than
 * LINES_MAX is cut to its first LINES_KEEP bytes; reading goes on after its newline. */
#ifndef LINES_H
#define LINES_H

#include "err.h"
#include "stop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LINES_MAX = 64 << 20, LINES_KEEP = 4096 };

struct lines {
    char **file;           // (n) borrowed; "-" is standard input
    char dash[2], *one[1]; // what file points to when none is given
    int n, i;              // inputs, the one after the open one
    int fd;                // -1: none open
    bool own, eof;
    const char *name; // of the open one, for messages
    long no;
    uint64_t at;       // where the buffered bytes begin in their file
    struct stop *stop; // NULL: waits for nobody
    char *p;           // (cap) bytes start..end are not handed out yet
    size_t start, end, scan, cap;
    uint64_t dropped;      // bytes of an overlong line that were let go
    uint64_t bytes, total; // read so far; size of all inputs, 0 when unknown
};

struct lines_line {
    const char *p; // (n) without newline, carriage return and a file's BOM; until the next call
    size_t n;
    uint64_t size;    // of the whole line; more than n when it was cut
    uint64_t at, end; // place of p in the file; behind the newline
    bool ended;       // a newline was there
    bool stays;       // p is the caller's own, longer than what is made of the line
    const char *file;
    long no; // from 1
};

/* n files (none: standard input). All are looked at now and opened in their turn.
 * Errors: ERR_IO not there or not readable, ERR_ARG a directory. */
int lines_open(struct lines *l, int n, char **file, struct stop *stop, struct err *e);
/* One open descriptor, which lines_close closes. */
void lines_open_fd(struct lines *l, int fd, const char *name, struct stop *stop);
/* 1 = a line, 0 = no more (or asked to stop), 2 = none yet (wait = false only), -1 = error. */
int lines_next(struct lines *l, struct lines_line *x, bool wait, struct err *e);
void lines_close(struct lines *l);

bool lines_blank(const struct lines_line *x); // nothing but spaces and tabs

#endif
