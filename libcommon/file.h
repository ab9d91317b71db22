/* file.h - read-only maps and atomic output files. */
#ifndef FILE_H
#define FILE_H

#include "err.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* A regular file mapped read-only (MAP_SHARED), whole. An empty file has p = NULL, n = 0. */
struct file_map {
    const uint8_t *p;
    size_t n;
    char *path; // owned copy, for messages
};

/* Refuses directories, FIFOs and devices: "'x' is not a regular file". */
int file_map(struct file_map *m, const char *path, struct err *e);
void file_unmap(struct file_map *m);

/* Tell the kernel that p..p+n of a map will not be needed again soon, so that a
 * converter's resident size stays small. */
void file_release(const struct file_map *m, const void *p, size_t n);

/* The whole of a small text file (at most max bytes) as a NUL-terminated
 * string; caller frees. NULL on error. */
char *file_text(const char *path, size_t max, size_t *n, struct err *e);

/* An output file that appears under its name only when it is whole: written without a name, or
 * where the file system knows no such files to ".NAME.tmp.PID" beside it, synced, named; removed on
 * abandon. */
struct file_out {
    FILE *f;
    char *path, *tmp; // tmp: NULL while it has no name
    uint64_t n;       // bytes written so far
    int force;
};

/* Refuses an existing path unless force ("'x' exists; use --force"), and what is
 * no regular file always. A failed write is ERR_OUT. */
int file_create(struct file_out *o, const char *path, int force, struct err *e);
int file_write(struct file_out *o, const void *p, size_t n, struct err *e);
int file_pad(struct file_out *o, uint64_t multiple, struct err *e); // zeros up to a multiple
int file_commit(struct file_out *o, struct err *e);                 // also abandons on failure
void file_abandon(struct file_out *o);                              // NULL-safe, idempotent

/* A file that belongs to the program: DIR/name for the first of these folders, from the one of the
 * executable on, that has it. NULL with e set when none has, naming what was tried; caller frees.
 */
char *file_beside(const char *const *dir, const char *name, struct err *e); // dir: NULL-terminated

int file_is_dir(const char *path);
/* dir + "/" + name; caller frees. */
char *file_join(const char *dir, const char *name);

#endif
