/* grow.c - bytes that grow, in memory or in a mapped file. */
#include "grow.h"

#include "buf.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Bytes: smallest size, how much a large one grows, and from where on pages are large. */
enum { FIRST = 1 << 16, STEP = 1 << 28, LARGE = 4 << 20 };

static int map(struct grow *g, size_t cap, struct err *e)
{
    int flags = g->fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
    void *p = g->p ? mremap(g->p, g->cap, cap, MREMAP_MAYMOVE)
                   : mmap(NULL, cap, PROT_READ | PROT_WRITE, flags, g->fd, 0);

    if (p == MAP_FAILED)
        return err_set(e, ERR_MEM, "cannot map %zu bytes of %s: %s", cap,
                       g->path ? g->path : "memory", strerror(errno));
    if (g->fd < 0 && cap >= LARGE) // places of a table are met in no order
        madvise(p, cap, MADV_HUGEPAGE);
    g->p = p;
    g->cap = cap;
    return 0;
}

int grow_open(struct grow *g, const char *path, struct err *e)
{
    struct stat st;

    *g = (struct grow){.fd = -1};
    if (!path)
        return 0;
    g->path = mem_dup(path, strlen(path));
    g->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (g->fd < 0 || fstat(g->fd, &st))
        return err_set(e, ERR_IO, "cannot open '%s': %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_ARG, "'%s' is no regular file", path);
    return st.st_size ? map(g, (size_t)st.st_size, e) : 0;
}

void grow_temp(struct grow *g, size_t limit, const char *dir)
{
    *g = (struct grow){.fd = -1, .limit = limit ? limit : 1, .dir = dir};
}

/* From memory into a file that has no name any more. */
static int move_out(struct grow *g, size_t n, struct err *e)
{
    struct grow file;
    struct buf path = {0};
    int fd, rc;

    buf_fmt(&path, "%s/llm-XXXXXX", g->dir);
    fd = mkstemp(path.p);
    if (fd < 0) {
        rc =
            err_set(e, ERR_IO, "cannot make a temporary file in '%s': %s", g->dir, strerror(errno));
        buf_free(&path);
        return rc;
    }
    close(fd);
    rc = grow_open(&file, path.p, e);
    unlink(path.p);
    buf_free(&path);
    if (rc || grow_room(&file, n, e)) {
        grow_close(&file);
        return -1;
    }
    if (g->p)
        memcpy(file.p, g->p, g->cap < n ? g->cap : n);
    grow_close(g);
    *g = file;
    return 0;
}

int grow_room(struct grow *g, size_t n, struct err *e)
{
    size_t cap = g->cap ? g->cap : FIRST;
    int rc = 0;

    if (n <= g->cap)
        return 0;
    if (g->limit && n > g->limit)
        return move_out(g, n, e);
    while (cap < n)
        cap += cap < STEP ? cap : STEP;
    cap = (cap + FIRST - 1) & ~(size_t)(FIRST - 1);
    if (g->limit && cap > g->limit)
        cap = g->limit;
    if (g->fd >= 0)
        rc = posix_fallocate(g->fd, (off_t)g->cap, (off_t)(cap - g->cap));
    if (rc)
        return err_set(e, err_of_write(rc, ERR_IO), "cannot make '%s' %zu bytes long: %s", g->path,
                       cap, strerror(rc));
    return map(g, cap, e);
}

int grow_sync(const struct grow *g, struct err *e)
{
    if (g->fd >= 0 && g->p && msync(g->p, g->cap, MS_SYNC))
        return err_set(e, ERR_OUT, "cannot write '%s': %s", g->path, strerror(errno));
    return 0;
}

void grow_close(struct grow *g)
{
    if (g->p)
        munmap(g->p, g->cap);
    if (g->path && g->fd >= 0)
        close(g->fd);
    free(g->path);
    *g = (struct grow){.fd = -1};
}
