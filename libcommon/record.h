/* record.h - one JSONL record: fields, id, append and replace.
 *
 * A record keeps the bytes of its line. What is not set again is written as it
 * was read; a field that is set replaces the old value in its place or is
 * appended at the end, in the order of setting. */
#ifndef RECORD_H
#define RECORD_H

#include "arena.h"
#include "buf.h"
#include "err.h"
#include "hash.h"
#include "json.h"
#include "mem.h"

#include <stdbool.h>

struct record {
    struct arena mem; // of everything below; released by record_reset
    const char *line; // (n) the JSON object's text, no newline
    size_t n;
    struct json json;
    uint64_t names;   // of its fields, a bit each by length and ends: what has none is not there
    const char *file; // for messages, borrowed; NULL for a derived record
    long line_no;
    int64_t seq;        // place in the input, from 1 (stream's); 0 for a derived record
    bool done;          // by an earlier run (stream's)
    char *id;           // the id as text, "#2" appended to the second of its kind, NUL-terminated
    struct hash128 key; // hash of id: what keyed noise and shards are made from
    struct record_set *set; // (n_set) what was set since
    int n_set, cap_set;
};

/* Parse a line of n bytes (copied) as one JSON object of valid UTF-8. Space
 * around the object is left away; a newline inside it (space between tokens) becomes
 * a space, so that a record is always one line. On error r is zeroed. ERR_DATA also
 * when the values are so many that they would need far more memory than the line. */
int record_parse(struct record *r, const char *line, size_t n, struct err *e);
/* An empty object, for records that a command makes. */
void record_new(struct record *r);
void record_reset(struct record *r); // zeroed again, memory released
/* The same for one record after the other: record_read is record_parse in the memory of a record
 * that is zeroed or emptied by record_clear, which keeps what a usual record needs. */
int record_read(struct record *r, const char *line, size_t n, struct err *e);
void record_clear(struct record *r);
/* As record_read, of a line without a newline, not copied: it must stay while the record does. */
int record_borrow(struct record *r, const char *line, size_t n, struct err *e);

/* The value of a field as it stands now; one that is null counts as absent. A string's text (NULL
 * when absent or no string; may hold NULs), a number (0 found, -1 absent or no number). */
const char *record_str(struct record *r, const char *field, size_t *n);
/* A string's text: 1 found, 0 absent (*s is NULL, *n 0), -1 of another type (ERR_DATA). */
int record_text(struct record *r, const char *field, const char **s, size_t *n, struct err *e);
int record_num(struct record *r, const char *field, double *out);
bool record_has(struct record *r, const char *field);
/* The value's own JSON bytes, or NULL when absent. */
const char *record_raw(struct record *r, const char *field, size_t *n);
/* The node of the value in *j, or -1. */
int record_node(struct record *r, const char *field, struct json *j);
int record_find(struct record *r, const char *field, size_t n, struct json *j);   // field[0..n)
int record_member(struct record *r, const char *field, size_t n, struct json *j); // null as well
/* The same of a member of the object `meta`. */
const char *record_meta(struct record *r, const char *key, size_t *n);
const char *record_meta_str(struct record *r, const char *key, size_t *n);
int record_meta_num(struct record *r, const char *key, double *out);

/* Set a field; raw must be one JSON value. record_set_meta sets a member of the
 * object `meta`, which is made when absent and whose other members stay; a `meta` that
 * is no object stays as its member `value`. */
void record_set(struct record *r, const char *field, const char *raw, size_t n);
void record_set_str(struct record *r, const char *field, const char *s, size_t n);
void record_set_num(struct record *r, const char *field, double x);
void record_set_int(struct record *r, const char *field, int64_t x);
void record_set_meta(struct record *r, const char *key, const char *raw, size_t n);
void record_set_meta_str(struct record *r, const char *key, const char *s);

/* A deep copy of the record as it stands now (its set fields written in). */
void record_copy(struct record *to, struct record *from);

/* Give the record an id: its own `id` (a string or an integer), else 32 hex
 * digits of XXH3-128 over the named fields' raw bytes (NULL-terminated list, those
 * present; the whole line when none is). Sets r->id and r->key and the field when it
 * was absent. ERR_DATA when `id` is of another type or holds a NUL. */
int record_identify(struct record *r, const char *const *fields, struct err *e);
/* The hash that such an id is made of, and of how many of the fields it is; 0: of the line. */
int record_hash(struct record *r, const char *const *fields, struct hash128 *h);
/* The list with one field more, own, unless that is NULL or in it; fields may be NULL. The names
 * are borrowed, the list is the caller's to free. */
const char **record_fields(const char *const *fields, const char *own);
/* The id of what a stage derives from a parent: hex of (parent id, stage, number). */
void record_derive_id(struct record *r, const char *parent, const char *stage, int64_t number);
/* Put another text in place of the id (for "#2"). */
void record_set_id(struct record *r, const char *id);

/* Append the record's line and '\n' to out. */
void record_write(struct record *r, struct buf *out);

#endif
