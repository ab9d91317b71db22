/* merge.h - files of records joined by id, in the order of another file.
 *
 * An index says where the lines of each id lie; the lines themselves stay in their files and are
 * read again when it is their turn. Memory: about 100 bytes an id. */
#ifndef MERGE_H
#define MERGE_H

#include "buf.h"
#include "err.h"
#include "hash.h"
#include "stop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* After a signal (stop; NULL: they kill) all below end with ERR_STOP, soon. */
struct merge;
struct merge *merge_open(struct stop *stop);
void merge_close(struct merge *m); // NULL-safe

typedef int (*merge_take)(void *with, const char *p, size_t n, struct err *e);

/* Index the lines of a file, in which a record has `group` of them. A last line that is not whole
 * is left out, and `note` gets a line of text that says so. Two lines with the same id and `sample`
 * are the same, or counted as conflicts, of which the first ten are described in `note`. Errors:
 * ERR_DATA a line elsewhere that is no record with an id, with its number. */
int merge_add(struct merge *m, const char *path, int group, struct buf *note, struct err *e);
/* Ids of a file of rejects: they are not missing. Lines that are not whole as above. */
int merge_reject(struct merge *m, const char *path, struct buf *note, struct err *e);

/* After the files: records that have not all of their lines are left out and counted; `note` gets
 * a line for each of the first ten. */
int merge_settle(struct merge *m, struct buf *note, struct err *e);

/* Then: an input whose order the lines shall have. Its ids are those the commands give:
 * the record's own, else one made from the fields a command reads (whichever is found, the one of
 * --field too), "#2" appended for the second of its kind; bad lines have one made of their bytes.
 * `missing` gets each line of the input that has none in the files, with a newline. */
int merge_like(struct merge *m, const char *path, merge_take missing, void *with, struct err *e);

struct merge_counts {
    int64_t wanted;     // records of the input
    int64_t written;    // lines, after merge_write
    int64_t same;       // equal lines taken once
    int64_t incomplete; // records without some of their lines
    int64_t conflicts;  // lines that differ from one with their id
    int64_t missing;    // wanted records without a line
    int64_t rejected;   // the same, but in the rejects
    int64_t foreign;    // lines that belong to no record of the input
    uint64_t bytes;     // read: once of rejects and inputs (of pipes none), twice of the others
};
const struct merge_counts *merge_counts(const struct merge *m);

/* Call tick after every line that is read or handed out. */
void merge_watch(struct merge *m, void (*tick)(void *with, const struct merge_counts *c),
                 void *with);

/* Hand out all lines: those of an input in its order, each followed by what was derived from it
 * (meta.parent) and is not in the input itself, samples in theirs; then what belongs to no record
 * of the input. Without an input: in the order of the files. */
int merge_write(struct merge *m, merge_take take, void *with, struct err *e);

#endif
