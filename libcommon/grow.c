/* grow.c - bytes that grow, in memory or in a mapped file. */
#include "grow.h"

#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FIRST = 1 << 16, STEP = 1 << 28 }; // bytes: smallest size, and how much a large one grows

static int map(struct grow *g, size_t cap, struct err *e)
{
    int flags = g->fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
    void *p = g->p ? mremap(g->p, g->cap, cap, MREMAP_MAYMOVE)
                   : mmap(NULL, cap, PROT_READ | PROT_WRITE, flags, g->fd, 0);

    if (p == MAP_FAILED)
        return err_set(e, ERR_MEM, "cannot map %zu bytes of %s: %s", cap,
                       g->path ? g->path : "memory", strerror(errno));
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

int grow_room(struct grow *g, size_t n, struct err *e)
{
    size_t cap = g->cap ? g->cap : FIRST;
    int rc = 0;

    if (n <= g->cap)
        return 0;
    while (cap < n)
        cap += cap < STEP ? cap : STEP;
    cap = (cap + FIRST - 1) & ~(size_t)(FIRST - 1);
    if (g->fd >= 0)
        rc = posix_fallocate(g->fd, (off_t)g->cap, (off_t)(cap - g->cap));
    if (rc)
        return err_set(e, rc == ENOSPC || rc == EDQUOT ? ERR_STOP : ERR_IO,
                       "cannot make '%s' %zu bytes long: %s", g->path, cap, strerror(rc));
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
