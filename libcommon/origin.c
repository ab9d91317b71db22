/* origin.c - where a record of a round was made, and the id that follows from it. */
#include "origin.h"

#include <limits.h>
#include <math.h>
#include <string.h>

void origin_derive(struct record *r, const char *stage, uint64_t seed, const struct origin *o,
                   const char *parents, size_t n)
{
    struct buf b = {0};

    buf_fmt(&b, "%llu:%d:%d:%d:%.*s", (unsigned long long)seed, o->round, o->prompt, o->instance,
            (int)n, parents);
    record_derive_id(r, b.p, stage, o->item);
    buf_free(&b);
}

/* A whole number of meta; -1 when it is not there, -2 when it is none in lo..INT_MAX. */
static int whole(struct record *r, const char *key, int lo)
{
    double x;

    if (record_meta_num(r, key, &x))
        return -1;
    return x >= lo && x < INT_MAX && floor(x) >= x ? (int)x : -2;
}

struct origin origin_of(struct record *r, const char *stage, const char *source, uint64_t seed)
{
    size_t n, n_source;
    const char *parents = record_meta(r, "parents", &n),
               *from = record_meta_str(r, "source", &n_source);
    struct origin o = {whole(r, "round", 1), whole(r, "prompt", 0), whole(r, "item", -1),
                       whole(r, "instance", 0)};
    struct record own;

    if (!parents || !from || strcmp(from, source) || o.round < 1 || o.prompt < 0 || o.item < -1 ||
        o.instance < -1)
        return (struct origin){0};
    record_new(&own);
    origin_derive(&own, stage, seed, &o, parents, n);
    if (strcmp(own.id, r->id))
        o.round = 0;
    record_reset(&own);
    return o;
}
