/* shard.c - which part of the input is a run's. */
#include "shard.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

int shard_parse(struct shard *s, const char *text, struct err *e)
{
    const char *t = text;
    char *end = NULL;

    *s = (struct shard){1, 1};
    if (!t)
        return 0;
    errno = 0;
    s->i = isdigit((unsigned char)*t) ? strtoull(t, &end, 10) : 0;
    s->n = end && *end == '/' && isdigit((unsigned char)end[1]) ? strtoull(end + 1, &end, 10) : 0;
    if (errno || !s->i || s->i > s->n || *end)
        return err_set(e, ERR_ARG, "--shard: '%s' is not I/N with I in 1..N", t);
    return 0;
}

bool shard_has(const struct shard *s, struct hash128 key)
{
    return key.lo % s->n + 1 == s->i;
}
