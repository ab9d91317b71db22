/* spool.c - bytes at rest: in memory up to a limit, beyond it in a file without a name. */
#include "spool.h"

#include "buf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int spool_open(struct spool *s, uint64_t limit, const char *dir, struct err *e)
{
    *s = (struct spool){.limit = limit, .dir = dir};
    return grow_open(&s->g, NULL, e);
}

void spool_close(struct spool *s)
{
    if (s->dir)
        grow_close(&s->g);
    *s = (struct spool){0};
}

/* From memory into a file, which is removed from its directory at once: it goes with the process.
 */
static int move_out(struct spool *s, size_t n, struct err *e)
{
    struct grow file;
    struct buf path = {0};
    int fd, rc;

    buf_fmt(&path, "%s/llm-spool-XXXXXX", s->dir);
    fd = mkstemp(path.p);
    if (fd < 0) {
        rc =
            err_set(e, ERR_IO, "cannot make a temporary file in '%s': %s", s->dir, strerror(errno));
        buf_free(&path);
        return rc;
    }
    close(fd);
    rc = grow_open(&file, path.p, e);
    unlink(path.p);
    buf_free(&path);
    if (!rc)
        rc = grow_room(&file, n, e);
    if (rc) {
        grow_close(&file);
        return -1;
    }
    if (s->n)
        memcpy(file.p, s->g.p, (size_t)s->n);
    grow_close(&s->g);
    s->g = file;
    return 0;
}

int spool_room(struct spool *s, size_t n, uint64_t *at, struct err *e)
{
    size_t want = (size_t)s->n + n;

    if (want > s->limit && !spool_on_disk(s) && move_out(s, want, e))
        return -1;
    if (grow_room(&s->g, want, e))
        return -1;
    *at = s->n;
    s->n += n;
    return 0;
}

int spool_add(struct spool *s, const void *p, size_t n, uint64_t *at, struct err *e)
{
    if (spool_room(s, n, at, e))
        return -1;
    if (n)
        memcpy(spool_at(s, *at), p, n);
    return 0;
}

void *spool_at(const struct spool *s, uint64_t at)
{
    return (char *)s->g.p + at;
}

int spool_on_disk(const struct spool *s)
{
    return s->g.fd >= 0;
}
