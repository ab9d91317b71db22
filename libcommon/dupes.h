/* dupes.h - records whose texts were met before: exactly, or nearly. */
#ifndef DUPES_H
#define DUPES_H

#include "err.h"
#include "near.h"
#include "record.h"

#include <stdbool.h>

struct dupes;

/* near 0: exact ones only. dir and the run's number: near.h. */
struct dupes *dupes_open(bool exact, double near, const char *dir, uint64_t run, struct err *e);
int dupes_close(struct dupes *d, struct err *e); // NULL-safe

struct dupes_hit {
    bool exact;
    const char *id; // (n_id) of the record that was kept; until the next call
    size_t n_id;
    double similarity;
};
/* 1 = the record's texts are those of a kept one, 0 = they are not, and it is a kept one
 * now; -1 = error. Texts are composed, case-folded, runs of space one space; the same in the same
 * fields is exact (two are taken for the same when their 64-bit hashes are). Memory a
 * kept record for exact ones: 16 to 43 bytes and its id. */
int dupes_meet(struct dupes *d, struct record *r, struct dupes_hit *hit, struct err *e);
const struct near *dupes_near(const struct dupes *d); // or NULL

/* The fields that say what a record is; NULL-terminated. */
extern const char *const dupes_fields[];

#endif
