/* resume.h - what is done already: reading the files of an earlier run. */
#ifndef RESUME_H
#define RESUME_H

#include "buf.h"
#include "err.h"
#include "sink.h"
#include "tally.h"

/* Read a file of records that an earlier run wrote and add its ids to the tally: `each`
 * to entry.done a line. Lines come in groups of `group` with the same id. A torn or
 * damaged last line, and then an incomplete last group, are cut off, and `note`
 * gets one line of text that says so; s->lines is what is left. Errors: ERR_DATA a damaged line or
 * group that is not the last, with its line number. */
int resume_scan(struct sink *s, int group, uint32_t each, struct tally *t, struct buf *note,
                struct err *e);

/* The same for a file that another process may be writing: nothing is cut, what is not whole at the
 * end is not counted. *good is the length of what is. */
int resume_read(const char *path, int group, uint32_t each, struct tally *t, uint64_t *good,
                struct err *e);

/* Compare the fingerprint in path (a JSON object) with ours, then write ours when it is
 * not there. `begun`: the file beside it holds lines, so that they must be equal. ERR_ARG
 * names the first field that differs, and both values. A missing file is noted. */
int resume_meta(const char *path, const char *ours, size_t n, bool begun, struct buf *note,
                struct err *e);

#endif
