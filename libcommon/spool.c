/* spool.c - bytes at rest: in memory up to a limit, beyond it in a file without a name. */
#include "spool.h"

#include <string.h>

void spool_open(struct spool *s, uint64_t limit, const char *dir)
{
    *s = (struct spool){0};
    grow_temp(&s->g, limit, dir);
}

void spool_close(struct spool *s)
{
    grow_close(&s->g);
    *s = (struct spool){0};
}

int spool_room(struct spool *s, size_t n, uint64_t *at, struct err *e)
{
    size_t want = (size_t)s->n + n;

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
