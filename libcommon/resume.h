/* resume.h - what is done already: reading the files of an earlier run. */
#ifndef RESUME_H
#define RESUME_H

#include "buf.h"
#include "err.h"
#include "sink.h"
#include "stop.h"
#include "tally.h"

/* How far a file is whole, and what is wrong with the rest. */
struct resume_end {
    uint64_t good;
    struct err why;
};

/* Read a file of records that an earlier run wrote and add its ids to the tally: `each`
 * to entry.done a line. Lines come in groups of `group` with the same id, blank ones do not count.
 * A torn or damaged last line, and then an incomplete last group, do not belong to what is good;
 * s->lines is how many do. Errors: ERR_DATA a damaged line or group that is not the last, with its
 * line number; ERR_ARG a file without a whole line that is not known to be of such a run (`known`),
 * and is not the beginning of a record either: another file, which must not be cut; ERR_STOP when a
 * signal came. */
int resume_scan(struct sink *s, int group, uint32_t each, bool known, struct tally *t,
                struct resume_end *end, struct err *e);
/* Cut off what is not good; `note` gets one line of text that says so. */
int resume_cut(struct sink *s, const struct resume_end *end, struct buf *note, struct err *e);

/* The same for a file that another process may be writing: nothing is cut, what is not whole at the
 * end is not counted. *good is the length of what is. */
int resume_read(const char *path, int group, uint32_t each, struct stop *stop, struct tally *t,
                uint64_t *good, struct err *e);

/* Is the fingerprint in path (a JSON object) the same as ours? 1, 0 when it is not there, or -1 as
 * below. */
int resume_same(const char *path, const char *ours, size_t n, struct err *e);

/* Compare the fingerprint in path (a JSON object) with ours, then write ours when it is
 * not there. `begun`: the file beside it holds lines, so that they must be equal. ERR_ARG
 * names the first field that differs, and both values. A missing file is noted. */
int resume_meta(const char *path, const char *ours, size_t n, bool begun, struct buf *note,
                struct err *e);

/* Shards to be joined: the outputs a and b with their .meta beside them. ERR_ARG when they are
 * shards of different runs of one command. Where only its version or the model is another one,
 * which a GPU of another kind is too, `note` gets a line. What has no .meta is of any run. */
int resume_alike(const char *a, const char *b, struct buf *note, struct err *e);
bool resume_is_shard(const char *output); // by its .meta
/* Lines that a record has in an output: its .meta's group, 1 without one. */
int resume_group(const char *output);

#endif
