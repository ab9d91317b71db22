/* embed.h - vectors of records: in a field, or as the rows of a .npy file.
 *
 * In a record: "embedding", an array of numbers; as int8 an array of integers -127..127 with the
 * factor beside it, "embedding_scale". As a file: X.npy with the vectors and, of int8, X.scale.npy
 * with their factors; row i belongs to the i-th line of the records that were written with it. */
#ifndef EMBED_H
#define EMBED_H

#include "npy.h"
#include "record.h"

#include <stdint.h>

enum embed_type { EMBED_F32, EMBED_I8 };
extern const char *const embed_types[]; // "f32", "int8"; NULL-terminated

/* The first `to` values of v (0: all of dim), then, with unit, made a vector of length 1 (all zeros
 * stay). Returns how many. */
int embed_shape(float *v, int dim, int to, bool unit);

/* Values as integers, q (dim), round to even; returns the factor, max |v| / 127 (0 of zeros). */
float embed_int8(const float *v, int dim, int8_t *q);

/* Set the fields of a record. */
void embed_put(struct record *r, const float *v, int dim, enum embed_type type);
/* Read them, in either form, into the record's memory: v (dim). ERR_DATA when there is no field
 * 'embedding' that is a list of numbers, or a value is too large for a float. */
int embed_get(struct record *r, const float **v, int *dim, struct err *e);

/* A file of vectors, and its factors. */
struct embed_file {
    struct npy v, scale;
    int64_t rows;
    int dim;
};
/* ERR_DATA also when there are other factors than vectors. */
int embed_open(struct embed_file *f, const char *path, struct err *e);
void embed_close(struct embed_file *f);
void embed_row(const struct embed_file *f, int64_t i, float *out); // (dim)

/* The same, written; see npy_create. */
struct embed_out {
    struct npy_out v, scale;
    int8_t *q; // (cap)
    size_t cap;
};
int embed_create(struct embed_out *o, const char *path, enum embed_type type, bool resume,
                 int64_t rows, struct err *e);
int embed_add(struct embed_out *o, const float *v, int dim, struct err *e);
int embed_finish(struct embed_out *o, struct err *e);
void embed_abandon(struct embed_out *o);

#endif
