/* decon.h - runs of words that a text shares with benchmark files.
 *
 * Files are records (every string in them is a text, ids and names of members are not) or, line by
 * line, plain text. A text gives all its runs of `ngram` words, or, when it has fewer but at least
 * half as many, all of it as one run. Words are those of words.h, so that case and punctuation
 * do not hide a copy.
 * Sources: Brown et al. 2020 (GPT-3, 13 words), appendix C; NeMo Curator's and datatrove's
 * decontamination. */
#ifndef DECON_H
#define DECON_H

#include "buf.h"
#include "err.h"
#include "hash.h"
#include "look.h"

#include <stddef.h>
#include <stdint.h>

enum { DECON_MAX = 64 }; // words of a run

struct decon;

struct decon *decon_open(int ngram); // 1..DECON_MAX
void decon_close(struct decon *d);   // NULL-safe

/* Read a benchmark file into the index: 50 to 100 bytes of memory a word. Errors: ERR_IO. */
int decon_read(struct decon *d, const char *path, struct err *e);
/* A text of file `file` (0..), line `line`. */
void decon_add(struct decon *d, int file, long line, const char *s, size_t n);
size_t decon_size(const struct decon *d);          // different runs
struct hash128 decon_print(const struct decon *d); // of what was read, in order

struct decon_hit {
    int file; // in the order of decon_read
    long line;
    size_t at, n; // the run in the text, in bytes
};
/* The first run of the text that is in the index: 1, or 0; from any thread once all is read. Two
 * runs are the same when their 64-bit hashes are. */
int decon_find(const struct decon *d, struct look *text, struct decon_hit *h);

#endif
