/* pile.c - bytes that are added at an end and read anywhere. */
#include "pile.h"

#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = 1 << 20 }; // bytes written together to a file without a name

int pile_open(struct pile *x, const char *path, struct err *e)
{
    struct stat st;

    *x = (struct pile){.path = mem_dup(path, strlen(path))};
    x->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (x->fd < 0 || fstat(x->fd, &st))
        return err_set(e, ERR_IO, "cannot open '%s': %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_ARG, "'%s' is no regular file", path);
    x->n = x->base = (uint64_t)st.st_size;
    return 0;
}

void pile_temp(struct pile *x, size_t limit, const char *dir)
{
    *x = (struct pile){.fd = -1, .limit = limit, .dir = dir};
}

static int write_at(const struct pile *x, uint64_t at, const char *p, size_t n, struct err *e)
{
    while (n) {
        ssize_t k = pwrite(x->fd, p, n, (off_t)at);

        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return err_set(e, err_of_write(errno, ERR_IO), "cannot write '%s': %s",
                           x->path ? x->path : x->dir, strerror(errno));
        p += k;
        n -= (size_t)k;
        at += (uint64_t)k;
    }
    return 0;
}

/* What is in memory into the file, which is made when there is none. */
static int flush(struct pile *x, struct err *e)
{
    struct buf path = {0};

    if (x->fd < 0) {
        buf_fmt(&path, "%s/llm-XXXXXX", x->dir);
        x->fd = mkstemp(path.p);
        if (x->fd < 0)
            err_set(e, ERR_IO, "cannot make a temporary file in '%s': %s", x->dir, strerror(errno));
        else
            unlink(path.p);
        buf_free(&path);
        if (x->fd < 0)
            return -1;
        fcntl(x->fd, F_SETFD, FD_CLOEXEC);
    }
    if (write_at(x, x->base, x->tail.p, x->tail.n, e))
        return -1;
    x->base += x->tail.n;
    if (x->tail.cap > 2 * (size_t)PIECE)
        buf_free(&x->tail);
    buf_reset(&x->tail);
    return 0;
}

int pile_put(struct pile *x, uint64_t at, const void *p, size_t n, struct err *e)
{
    size_t most = x->fd < 0 ? x->limit : PIECE;

    if (x->path || at < x->base) {
        if (write_at(x, at, p, n, e))
            return -1;
        x->base = at + n;
        buf_reset(&x->tail);
    } else {
        x->tail.n = (size_t)(at - x->base);
        if (x->tail.n && x->tail.n + n > most && flush(x, e))
            return -1;
        buf_add(&x->tail, p, n);
    }
    x->n = at + n;
    return 0;
}

const void *pile_get(const struct pile *x, uint64_t at, size_t n, struct buf *room)
{
    size_t in_file; // the rest is in memory

    if (at > x->n || n > x->n - at)
        return NULL;
    if (at >= x->base)
        return n ? x->tail.p + (at - x->base) : "";
    in_file = n < x->base - at ? n : (size_t)(x->base - at);
    buf_reset(room);
    mem_grow(&room->p, &room->cap, n + 1, 1);
    while (room->n < in_file) {
        ssize_t k = pread(x->fd, room->p + room->n, in_file - room->n, (off_t)(at + room->n));

        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return NULL;
        room->n += (size_t)k;
    }
    if (n > in_file)
        buf_add(room, x->tail.p, n - in_file);
    room->p[n] = 0;
    return room->p;
}

int pile_sync(const struct pile *x, struct err *e)
{
    if (x->path && x->fd >= 0 && fdatasync(x->fd))
        return err_set(e, ERR_OUT, "cannot write '%s': %s", x->path, strerror(errno));
    return 0;
}

void pile_close(struct pile *x)
{
    if (x->fd >= 0 && (x->path || x->dir))
        close(x->fd);
    free(x->path);
    buf_free(&x->tail);
    *x = (struct pile){.fd = -1};
}
