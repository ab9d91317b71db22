/* corpus.h - records at rest, with their texts and their vectors.
 *
 * For commands that need all records at once. Lines lie in a spool (in memory, beyond a
 * limit in a file), 64 bytes a record stay in memory; texts are read out of the lines
 * again when they are needed. A text is what records are compared by: one field, or the task and
 * its input. Vectors are of length 1: hashed from the texts (cluster.h), from the records' field
 * `embedding`, or the rows of a .npy file (embed.h). */
#ifndef CORPUS_H
#define CORPUS_H

#include "cluster.h"
#include "embed.h"
#include "record.h"
#include "spool.h"
#include "thread.h"

#include <stdbool.h>
#include <stdint.h>

struct corpus_opt {
    const char *field;   // of the text; NULL: instruction and input, prompt, or what messages say
    const char *by;      // number that is a record's score; with dots, of a member (where.h)
    bool embedding;      // vectors from the records' own field
    const char *vectors; // .npy file of vectors, or NULL
    bool no_idf;
    uint64_t memory; // bytes for lines and for vectors; what is more goes to a file
    const char *dir; // where
};

struct corpus_item {
    uint64_t at; // in the spool: id, NUL, line
    uint32_t n_id, n;
    const char *file;
    long line_no;
    int64_t seq;
    double score; // -infinity without one
};

struct corpus {
    struct corpus_opt o;
    struct spool lines, rows;
    struct corpus_item *item; // (n) in input order
    size_t n, cap;
    int dim;
    float *x; // (n, dim) after corpus_vectors
    struct embed_file file;
    const char *cause; // of a record that cannot be used: the rule
};

int corpus_open(struct corpus *c, const struct corpus_opt *o, struct err *e);
void corpus_close(struct corpus *c);

/* Put a record away. 1: done; 0: it cannot be used (why has the message, c->cause the rule);
 * -1: fatal. */
int corpus_add(struct corpus *c, struct record *r, struct err *why, struct err *e);

/* Record i as it was put away; caller: record_reset. */
int corpus_take(const struct corpus *c, size_t i, struct record *r, struct err *e);
/* Its id; valid until the next corpus_add. */
const char *corpus_id(const struct corpus *c, size_t i);
/* Has any record a score? */
bool corpus_scored(const struct corpus *c);
/* Append its text. */
void corpus_text(const struct corpus *c, size_t i, struct buf *out);

/* Make c->x. total: records in the input, used or not; a file of vectors must have as many. */
int corpus_vectors(struct corpus *c, struct thread_pool *pool, int64_t total, struct err *e);

/* Bytes that lines, items and vectors take, on the disk those that lie there; of the vectors, which
 * corpus_vectors has still to make. */
struct corpus_size {
    uint64_t lines, items, vectors, vectors_to_come;
    bool lines_on_disk, vectors_on_disk;
};
struct corpus_size corpus_size(const struct corpus *c);

#endif
