/* npy.h - NumPy's .npy files of vectors: read, and written row by row.
 *
 * A file is a magic number, a version, the length of a header, the header (a Python dictionary of
 * 'descr', 'fortran_order' and 'shape', padded so that the data begin at a multiple of 64 bytes)
 * and the data. Source: numpy.lib.format, versions 1.0 to 3.0. What is written is version 1.0
 * with 128 bytes before the data. */
#ifndef NPY_H
#define NPY_H

#include "err.h"
#include "file.h"

#include <stdbool.h>
#include <stdint.h>

enum { NPY_DIM = 1 << 20 }; // values of a row at most

/* "<f4", "|i1" ("<i1"), "<f2", "<f8". */
enum npy_type { NPY_F32, NPY_I8, NPY_F16, NPY_F64 };

struct npy {
    struct file_map map;
    enum npy_type type;
    int64_t rows;
    int dim;             // of a file of one dimension 1
    const uint8_t *data; // (rows, dim), not aligned
};

/* Open a file of one or two dimensions in C order and of one of the types. Everything is checked,
 * the size as well: a file that is shorter or longer than its header says is refused. Errors:
 * "x.npy: byte 10: ...". */
int npy_open(struct npy *x, const char *path, struct err *e);
void npy_close(struct npy *x); // zeroed is closed
/* Row i as floats, out (dim). */
void npy_row(const struct npy *x, int64_t i, float *out);

/* A file that is written. While it is, its header says 0 rows, so that nobody takes a part for the
 * whole. Zeroed is closed. */
struct npy_out {
    char *path; // NULL: closed
    int fd;
    enum npy_type type; // NPY_F32 or NPY_I8
    int dim;            // -1 before the first row
    bool flat;          // one dimension: rows of one value
    int64_t rows;
};

/* Create, or with resume take up what an earlier run left and keep its first `rows` rows. The
 * file is locked. ERR_ARG when it exists and is not empty (without resume), is no regular file or
 * is being written by another; ERR_DATA when it is not such a file or holds fewer rows. */
int npy_create(struct npy_out *o, const char *path, enum npy_type type, bool flat, bool resume,
               int64_t rows, struct err *e);
/* Append a row of dim values of the type (host order); the first one decides the size of all.
 * ERR_STOP when the disk is full, else ERR_OUT; then nothing of it is left in the file. */
int npy_add(struct npy_out *o, const void *row, int dim, struct err *e);
/* Write the number of rows, bring all to the disk, close. */
int npy_finish(struct npy_out *o, struct err *e);
void npy_abandon(struct npy_out *o);

#endif
