/* lines.c - lines out of several inputs. */
#include "lines.h"

#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 1 << 16, SMALL = 1 << 20 };

static bool is_stdin(const char *file)
{
    return !strcmp(file, "-");
}

static int look_at(const char *file, struct stat *st, struct err *e)
{
    if (is_stdin(file)) {
        int flags = fcntl(0, F_GETFL);

        if (flags < 0 || (flags & O_ACCMODE) == O_WRONLY || fstat(0, st))
            return err_set(e, ERR_ARG, "standard input is closed");
        file = "<stdin>";
    } else if (stat(file, st) || access(file, R_OK)) {
        return err_set(e, ERR_IO, "cannot open '%s': %s", file, strerror(errno));
    }
    if (S_ISDIR(st->st_mode))
        return err_set(e, ERR_ARG, "'%s' is a directory", file);
    return 0;
}

int lines_open(struct lines *l, int n, char **file, struct stop *stop, struct err *e)
{
    bool known = true;

    *l = (struct lines){.file = file, .dash = "-", .n = n, .fd = -1, .stop = stop};
    if (!n) {
        l->one[0] = l->dash;
        l->file = l->one;
        l->n = 1;
    }
    for (int i = 0; i < l->n; i++) {
        struct stat st;

        if (look_at(l->file[i], &st, e))
            return -1;
        known = known && S_ISREG(st.st_mode);
        l->total += known ? (uint64_t)st.st_size : 0;
    }
    if (!known)
        l->total = 0;
    return 0;
}

void lines_open_fd(struct lines *l, int fd, const char *name, struct stop *stop)
{
    *l = (struct lines){.fd = fd, .own = true, .name = name, .stop = stop};
}

static void close_file(struct lines *l)
{
    if (l->own && l->fd >= 0)
        close(l->fd);
    l->fd = -1;
}

void lines_close(struct lines *l)
{
    close_file(l);
    free(l->p);
    l->p = NULL;
    l->cap = 0;
}

/* 1 = the next input is open, 0 = there is none. */
static int open_next(struct lines *l, struct err *e)
{
    const char *file;

    if (l->i >= l->n)
        return 0;
    file = l->file[l->i++];
    l->own = !is_stdin(file);
    l->name = l->own ? file : "<stdin>";
    // without O_NONBLOCK a FIFO nobody writes to would hang here, deaf to signals
    l->fd = l->own ? open(file, O_RDONLY | O_NONBLOCK | O_CLOEXEC) : 0;
    if (l->fd < 0)
        return err_set(e, ERR_IO, "cannot open '%s': %s", file, strerror(errno));
    l->no = 0;
    l->at = l->dropped = 0;
    l->start = l->end = l->scan = 0;
    l->eof = false;
    return 1;
}

/* Move what is left to the front and make room for a read. */
static void make_room(struct lines *l)
{
    size_t left = l->end - l->start;

    if (l->start) {
        memmove(l->p, l->p + l->start, left);
        l->at += l->start;
        l->scan -= l->start;
        l->start = 0;
        l->end = left;
    }
    if (l->cap > SMALL && left < SMALL / 4) { // a huge line is over
        l->p = mem_resize(l->p, SMALL, 1);
        l->cap = SMALL;
    }
    mem_grow(&l->p, &l->cap, left + CHUNK, 1);
}

/* 1 = more bytes, or the end of the file; 0 = stop; 2 = none yet; -1 = error. */
static int fill(struct lines *l, bool wait, struct err *e)
{
    ssize_t n;

    make_room(l);
    if (l->stop && !stop_wait(l->stop, l->fd, POLLIN, wait))
        return l->stop->seen ? 0 : 2;
    n = read(l->fd, l->p + l->end, CHUNK);
    if (n < 0 && errno != EINTR && errno != EAGAIN)
        return err_set(e, ERR_IO, "cannot read '%s': %s", l->name, strerror(errno));
    if (n < 0)
        return 1;
    l->eof = n == 0;
    l->end += (size_t)n;
    l->bytes += (uint64_t)n;
    return 1;
}

/* Hand out n bytes from `start`, then `skip` bytes of newline. */
static void take(struct lines *l, struct lines_line *x, size_t n, size_t skip)
{
    *x = (struct lines_line){.p = l->p + l->start, .n = n, .size = n + l->dropped};
    x->at = l->at + l->start;
    x->end = x->at + x->size + skip;
    x->ended = skip > 0;
    x->file = l->name;
    x->no = ++l->no;
    l->start += n + skip;
    l->scan = l->start;
    l->at += l->dropped;
    l->dropped = 0;
    if (x->size > LINES_MAX) {
        x->n = n < LINES_KEEP ? n : LINES_KEEP;
    } else if (n && x->p[n - 1] == '\r') {
        x->n--;
        x->size--;
    }
    if (x->no == 1 && x->n >= 3 && !memcmp(x->p, "\xEF\xBB\xBF", 3)) {
        x->p += 3;
        x->n -= 3;
        x->size -= 3;
        x->at += 3;
    }
}

/* 1 = a line was taken from the buffer. */
static int from_buffer(struct lines *l, struct lines_line *x)
{
    const char *nl = l->end > l->scan ? memchr(l->p + l->scan, '\n', l->end - l->scan) : NULL;

    if (nl) {
        take(l, x, (size_t)(nl - (l->p + l->start)), 1);
        return 1;
    }
    l->scan = l->end;
    if (l->eof && l->end > l->start) {
        take(l, x, l->end - l->start, 0);
        return 1;
    }
    // too long already: keep its beginning and count the rest
    if (l->dropped || l->end - l->start > LINES_MAX) {
        size_t rest = l->end - l->start > LINES_KEEP ? l->end - l->start - LINES_KEEP : 0;

        l->dropped += rest;
        l->end -= rest;
        l->scan = l->end;
    }
    return 0;
}

int lines_next(struct lines *l, struct lines_line *x, bool wait, struct err *e)
{
    for (;;) {
        int rc;

        if (l->fd < 0) {
            rc = open_next(l, e);
            if (rc <= 0)
                return rc;
        }
        if (from_buffer(l, x))
            return 1;
        if (l->eof) {
            close_file(l);
            continue;
        }
        rc = fill(l, wait, e);
        if (rc != 1)
            return rc;
    }
}

bool lines_blank(const struct lines_line *x)
{
    for (size_t i = 0; i < x->n; i++)
        if (x->p[i] != ' ' && x->p[i] != '\t' && x->p[i] != '\r')
            return false;
    return x->size == x->n;
}
