/* dupes.h - records whose texts were met before: exactly, or nearly. */
#ifndef DUPES_H
#define DUPES_H

#include "err.h"
#include "hash.h"
#include "look.h"
#include "near.h"

#include <stdbool.h>

struct dupes;

struct dupes_opt {
    bool exact;           // exact ones are looked for
    double near;          // the threshold of near ones, 0: they are not
    struct near_place at; // of what is kept; a `dir` is for near ones only
    uint64_t run;         // its number: near.h
};
struct dupes *dupes_open(const struct dupes_opt *o, struct err *e);
int dupes_close(struct dupes *d, struct err *e); // NULL-safe

/* What is compared of a record: made by any thread. Zeroed is empty; memory is kept. */
struct dupes_text {
    uint64_t key; // equal texts in equal fields
    struct hash128 sum;
    struct minhash_set set;
    uint64_t band[MINHASH_MAX];
};
/* What a thread makes it with. Zeroed is empty; memory is kept. */
struct dupes_desk {
    struct buf one;   // a text, normalized
    struct look look; // of it, where it is another
};
void dupes_desk_free(struct dupes_desk *w);

void dupes_begin(struct dupes_text *x);
/* The text of the next of dupes_fields, NULL when the record has none. Texts are composed,
 * case-folded, runs of space one space. */
void dupes_add(const struct dupes *d, struct dupes_desk *w, struct dupes_text *x,
               struct look *text);
void dupes_end(const struct dupes *d, struct dupes_text *x);
void dupes_soon(const struct dupes *d, const struct dupes_text *x); // it is met soon, after others
void dupes_text_free(struct dupes_text *x);

struct dupes_hit {
    bool exact;
    const char *id; // (n_id) of the record that was kept; until the next call
    size_t n_id;
    double similarity;
};
/* 1 = the record's texts are those of a kept one, 0 = they are not, and it is a kept one
 * now; -1 = error. The same in the same fields is exact (two are taken for the same when their
 * 64-bit hashes are). A kept record's id and 32 bytes are in memory up to a limit, then in files;
 * of those, memory has two bytes a record (bands.h). */
int dupes_meet(struct dupes *d, struct dupes_text *x, const char *id, struct dupes_hit *hit,
               struct err *e);
/* A record that this run kept before: it is a kept one again, compared with none. 0, or -1. */
int dupes_recall(struct dupes *d, struct dupes_text *x, const char *id, struct err *e);
void dupes_recalled(struct dupes *d);                 // there are no more of them: near_cut
const struct near *dupes_near(const struct dupes *d); // or NULL

/* The fields that say what a record is; NULL-terminated. */
extern const char *const dupes_fields[];

#endif
