/* npy.c - NumPy's .npy files of vectors: read, and written row by row. */
#include "npy.h"

#include "bytes.h"
#include "mem.h"
#include "quant.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    HEAD = 128,           // bytes before the data of what is written
    HEADER_MOST = 1 << 16 // of what is read
};

static const char magic[] = "\x93NUMPY";

static const struct {
    const char *descr;
    enum tensor_type type;
    int size;
} types[] = {[NPY_F32] = {"<f4", T_F32, 4},
             [NPY_I8] = {"|i1", T_I8, 1},
             [NPY_F16] = {"<f2", T_F16, 2},
             [NPY_F64] = {"<f8", T_F64, 8}};

enum { N_TYPES = sizeof(types) / sizeof(types[0]) };

/* ---- the header's dictionary ---- */

struct header {
    const struct bytes *b;
    const char *s;
    size_t from, n, at;       // its place in the file, its length, where it is read
    bool descr, order, shape; // seen
    enum npy_type type;
    int64_t size[2];
    int n_dims;
};

static int wrong(const struct header *h, const char *what)
{
    return bytes_fail(h->b, h->from + h->at, "header: %s", what);
}

static void skip(struct header *h)
{
    while (h->at < h->n && (h->s[h->at] == ' ' || h->s[h->at] == '\n'))
        h->at++;
}

/* The next character, spaces aside, is c: it is taken. */
static bool take(struct header *h, char c)
{
    skip(h);
    if (h->at == h->n || h->s[h->at] != c)
        return false;
    h->at++;
    return true;
}

static bool take_word(struct header *h, const char *word)
{
    size_t n = strlen(word);

    skip(h);
    if (h->n - h->at < n || memcmp(h->s + h->at, word, n) != 0)
        return false;
    h->at += n;
    return true;
}

/* A string in either kind of quotes, without escapes. */
static const char *take_str(struct header *h, size_t *n)
{
    const char *begin, *end;
    char quote = take(h, '\'') ? '\'' : take(h, '"') ? '"' : 0;

    if (!quote)
        return NULL;
    begin = h->s + h->at;
    end = memchr(begin, quote, h->n - h->at);
    if (!end)
        return NULL;
    *n = (size_t)(end - begin);
    h->at += *n + 1;
    return begin;
}

static bool is(const char *s, size_t n, const char *word)
{
    return n == strlen(word) && !memcmp(s, word, n);
}

static int read_descr(struct header *h)
{
    size_t n;
    const char *s = take_str(h, &n);

    if (!s)
        return wrong(h, "'descr' is no string");
    for (int i = 0; i < N_TYPES; i++)
        if (is(s, n, types[i].descr) || (i == NPY_I8 && is(s, n, "<i1"))) {
            h->type = (enum npy_type)i;
            return 0;
        }
    return wrong(h, "'descr' is not '<f4', '|i1', '<f2' or '<f8'");
}

/* (), (5,), (5, 384); Python 2 wrote (5L, 384L). */
static int read_shape(struct header *h)
{
    if (!take(h, '('))
        return wrong(h, "'shape' is no tuple");
    while (!take(h, ')')) {
        int64_t v = 0;
        size_t digits = 0;

        if (h->n_dims == 2)
            return wrong(h, "more than two dimensions");
        for (skip(h); h->at < h->n && h->s[h->at] >= '0' && h->s[h->at] <= '9'; h->at++, digits++)
            if (__builtin_mul_overflow(v, 10, &v) ||
                __builtin_add_overflow(v, h->s[h->at] - '0', &v))
                return wrong(h, "a dimension is too large");
        if (!digits)
            return wrong(h, "'shape' is not a tuple of numbers");
        h->size[h->n_dims++] = v;
        take(h, 'L');
        if (!take(h, ',') && (skip(h), h->at == h->n || h->s[h->at] != ')'))
            return wrong(h, "'shape' is not a tuple of numbers");
    }
    return h->n_dims ? 0 : wrong(h, "a single value is no list of vectors");
}

static int read_member(struct header *h)
{
    size_t n;
    const char *key = take_str(h, &n);
    bool *seen;

    if (!key || !take(h, ':'))
        return wrong(h, "not a dictionary");
    seen = is(key, n, "descr")           ? &h->descr
           : is(key, n, "fortran_order") ? &h->order
           : is(key, n, "shape")         ? &h->shape
                                         : NULL;
    if (!seen || *seen)
        return wrong(h, "a key is unknown, or there twice");
    *seen = true;
    if (seen == &h->descr)
        return read_descr(h);
    if (seen == &h->shape)
        return read_shape(h);
    return take_word(h, "False") ? 0 : wrong(h, "'fortran_order' is not False");
}

static int read_dict(struct header *h)
{
    if (!take(h, '{'))
        return wrong(h, "not a dictionary");
    while (!take(h, '}')) {
        if (read_member(h))
            return -1;
        if (!take(h, ',') && (skip(h), h->at == h->n || h->s[h->at] != '}'))
            return wrong(h, "not a dictionary");
    }
    skip(h);
    if (h->at < h->n)
        return wrong(h, "more behind the dictionary");
    if (!h->descr || !h->order || !h->shape)
        return wrong(h, "'descr', 'fortran_order' or 'shape' is missing");
    if (h->n_dims == 1)
        h->size[1] = 1;
    if (h->size[1] > NPY_DIM)
        return wrong(h, "rows are too long");
    return 0;
}

/* Magic number, version, header; then b stands at the data. */
static int read_header(struct bytes *b, struct header *h)
{
    const uint8_t *p = bytes_take(b, 8, "magic number and version");
    const uint8_t *len;
    uint32_t n;

    if (!p)
        return -1;
    if (memcmp(p, magic, 6) != 0)
        return bytes_fail(b, 0, "not a .npy file");
    if (p[6] < 1 || p[6] > 3 || p[7])
        return bytes_fail(b, 6, "version %d.%d is not supported", p[6], p[7]);
    len = bytes_take(b, p[6] == 1 ? 2 : 4, "header length");
    if (!len)
        return -1;
    n = len[0] | (uint32_t)len[1] << 8;
    if (p[6] > 1)
        n |= (uint32_t)len[2] << 16 | (uint32_t)len[3] << 24;
    if (n > HEADER_MOST)
        return bytes_fail(b, 8, "a header of %" PRIu32 " bytes, at most %d are supported", n,
                          HEADER_MOST);
    *h = (struct header){.b = b, .from = b->at, .n = n};
    h->s = (const char *)bytes_take(b, n, "header");
    return h->s ? read_dict(h) : -1;
}

/* ---- reading ---- */

static int read_file(struct npy *x, struct err *e)
{
    struct bytes b = {.p = x->map.p, .n = x->map.n, .path = x->map.path, .e = e};
    struct header h;
    size_t want;

    if (read_header(&b, &h))
        return -1;
    x->type = h.type;
    x->rows = h.size[0];
    x->dim = (int)h.size[1];
    x->data = x->map.p + b.at;
    if (!mem_mul((size_t)x->rows, (size_t)x->dim * (size_t)types[x->type].size, &want) ||
        want != bytes_left(&b))
        return bytes_fail(&b, b.at,
                          "%zu bytes of data, but %" PRId64 " rows of %d values of type %s",
                          bytes_left(&b), x->rows, x->dim, types[x->type].descr);
    return 0;
}

int npy_open(struct npy *x, const char *path, struct err *e)
{
    *x = (struct npy){0};
    if (file_map(&x->map, path, e))
        return -1;
    if (!read_file(x, e))
        return 0;
    npy_close(x);
    return -1;
}

void npy_close(struct npy *x)
{
    file_unmap(&x->map);
    *x = (struct npy){0};
}

void npy_row(const struct npy *x, int64_t i, float *out)
{
    const uint8_t *row = x->data + (size_t)i * (size_t)x->dim * (size_t)types[x->type].size;

    if (x->type != NPY_I8) {
        quant_read(types[x->type].type, row, out, x->dim);
        return;
    }
    for (int k = 0; k < x->dim; k++)
        out[k] = (float)(int8_t)row[k];
}

/* ---- writing ---- */

static size_t row_bytes(const struct npy_out *o)
{
    return (size_t)(o->dim < 0 ? 0 : o->dim) * (size_t)types[o->type].size;
}

static void put_header(const struct npy_out *o, int64_t rows, char head[HEAD + 1])
{
    char shape[64];

    if (o->flat)
        snprintf(shape, sizeof(shape), "(%" PRId64 ",)", rows);
    else
        snprintf(shape, sizeof(shape), "(%" PRId64 ", %d)", rows, o->dim < 0 ? 0 : o->dim);
    memset(head, ' ', HEAD);
    memcpy(head, magic, 6);
    head[6] = 1;
    head[7] = 0;
    head[8] = HEAD - 10;
    head[9] = 0;
    snprintf(head + 10, HEAD - 10, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }",
             types[o->type].descr, shape);
    head[strlen(head + 10) + 10] = ' ';
    head[HEAD - 1] = '\n';
}

/* n bytes at a place of the file. */
static int put_at(struct npy_out *o, const void *p, size_t n, off_t at, struct err *e)
{
    size_t done = 0;

    while (done < n) {
        ssize_t got = pwrite(o->fd, (const char *)p + done, n - done, at + (off_t)done);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_set(e, err_of_write(errno, ERR_OUT), "cannot write '%s': %s", o->path,
                           strerror(errno));
        done += (size_t)got;
    }
    return 0;
}

static int put_head(struct npy_out *o, int64_t rows, struct err *e)
{
    char head[HEAD + 1];

    put_header(o, rows, head);
    return put_at(o, head, HEAD, 0, e);
}

/* What an earlier run left: its header is one of ours, and the rows are there. */
static int take_up(struct npy_out *o, uint64_t size, int64_t rows, struct err *e)
{
    char head[HEAD], ours[HEAD + 1];
    struct bytes b = {.p = (const uint8_t *)head, .path = o->path, .e = e};
    struct header h;
    ssize_t n = pread(o->fd, head, HEAD, 0);
    size_t row;

    if (n < 0)
        return err_set(e, ERR_IO, "cannot read '%s': %s", o->path, strerror(errno));
    b.n = (size_t)n;
    if (read_header(&b, &h))
        return -1;
    o->dim = (int)h.size[1];
    row = row_bytes(o);
    put_header(o, h.size[0], ours);
    if (size < HEAD || h.n_dims != (o->flat ? 1 : 2) || memcmp(head, ours, HEAD) != 0)
        return err_set(e, ERR_DATA, "%s: not a file that this command began", o->path);
    if (rows && (!row || (size - HEAD) / row < (uint64_t)rows))
        return err_set(e, ERR_DATA, "%s: fewer rows than the %" PRId64 " records of the output",
                       o->path, rows);
    o->rows = rows;
    if (!rows && !o->flat)
        o->dim = -1;
    if (ftruncate(o->fd, rows ? HEAD + (off_t)rows * (off_t)row : 0))
        return err_set(e, ERR_IO, "cannot cut '%s': %s", o->path, strerror(errno));
    return rows ? put_head(o, 0, e) : 0;
}

static int begin(struct npy_out *o, bool resume, int64_t rows, struct err *e)
{
    struct stat st;

    o->fd = open(o->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (o->fd < 0 || fstat(o->fd, &st))
        return err_set(e, ERR_IO, "cannot open '%s': %s", o->path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_ARG, "'%s' is not a regular file", o->path);
    // file systems that know no locks are taken as they are
    if (flock(o->fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK)
        return err_set(e, ERR_ARG, "'%s' is being written by another process", o->path);
    if (st.st_size && !resume)
        return err_set(e, ERR_ARG, "'%s' exists and is not empty; use --resume, or another name",
                       o->path);
    return rows || st.st_size ? take_up(o, (uint64_t)st.st_size, rows, e) : 0;
}

int npy_create(struct npy_out *o, const char *path, enum npy_type type, bool flat, bool resume,
               int64_t rows, struct err *e)
{
    *o = (struct npy_out){.path = mem_dup(path, strlen(path)),
                          .fd = -1,
                          .type = type,
                          .dim = flat ? 1 : -1,
                          .flat = flat};
    if (!begin(o, resume, rows, e))
        return 0;
    npy_abandon(o);
    return -1;
}

int npy_add(struct npy_out *o, const void *row, int dim, struct err *e)
{
    off_t at;

    if (o->dim < 0)
        o->dim = dim;
    if (dim != o->dim)
        return err_set(e, ERR_DATA, "%s: a vector of %d values after others of %d", o->path, dim,
                       o->dim);
    if (!o->rows && put_head(o, 0, e))
        return -1;
    at = HEAD + (off_t)o->rows * (off_t)row_bytes(o);
    if (put_at(o, row, row_bytes(o), at, e)) {
        if (ftruncate(o->fd, at))
            return -1; // part of a row stays; resuming cuts it
        return -1;
    }
    o->rows++;
    return 0;
}

int npy_finish(struct npy_out *o, struct err *e)
{
    int rc = put_head(o, o->rows, e);

    if (!rc && fdatasync(o->fd) && errno != EINVAL && errno != EROFS)
        rc = err_set(e, ERR_OUT, "cannot write '%s': %s", o->path, strerror(errno));
    if (close(o->fd) && !rc)
        rc = err_set(e, ERR_OUT, "cannot write '%s': %s", o->path, strerror(errno));
    o->fd = -1;
    npy_abandon(o);
    return rc;
}

void npy_abandon(struct npy_out *o)
{
    if (o->path && o->fd >= 0)
        close(o->fd);
    free(o->path);
    *o = (struct npy_out){0};
}
