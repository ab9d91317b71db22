/* twins.c - semantic duplicates: rows of a cluster that say the same. */
#include "twins.h"

#include "dots.h"
#include "mem.h"

#include <stdlib.h>

enum { BLOCK = 112 };

/* A row of a cluster, with what it is sorted by. */
struct place {
    float cos;
    int32_t row;
};

struct work {
    const struct twins_opt *o;
    const struct kmeans *s;
    const float *x; // (n, dim)
    int dim;
    struct place *place; // (n) by cluster
    int64_t *from;       // (k + 1)
    struct choose_verdict *out;
};

static int farthest_first(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    if (x->cos != y->cos)
        return x->cos < y->cos ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

/* One cluster: blocks of rows against all before the block, then one by one inside it. Only cosines
 * above the limit matter. */
static void one_cluster(const struct work *w, const struct place *p, int n)
{
    const float limit = 1.0f - w->o->eps;
    float *rows = mem_new(BLOCK * (size_t)w->dim * sizeof(*rows)), sim[BLOCK];
    int32_t *of = mem_zero((size_t)n, sizeof(*of)), at[BLOCK]; // rows of the set
    struct dots set;

    dots_init(&set, w->o->b, w->dim);
    dots_seek(&set);
    for (int i = 0; i < n; i += BLOCK) {
        int m = n - i < BLOCK ? n - i : BLOCK, before = set.n;

        for (int j = 0; j < m; j++) {
            const float *x = w->x + (int64_t)p[i + j].row * w->dim;

            sim[j] = limit;
            at[j] = -1;
            for (int k = 0; k < w->dim; k++)
                rows[j * w->dim + k] = x[k];
        }
        dots_nearest(&set, 0, rows, m, sim, at);
        for (int j = 0; j < m; j++) {
            bool twin;

            dots_nearest(&set, before, rows + j * w->dim, 1, &sim[j], &at[j]);
            twin = sim[j] > limit;
            if (twin)
                w->out[p[i + j].row] = (struct choose_verdict){CHOOSE_TWIN, sim[j], of[at[j]]};
            if (twin && w->o->greedy)
                continue;
            of[set.n] = p[i + j].row;
            dots_add(&set, rows + j * w->dim);
        }
    }
    dots_free(&set);
    free(of);
    free(rows);
}

static void clusters(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct work *w = ctx;

    (void)worker;
    for (int64_t k = begin; k < end; k++) {
        int n = (int)(w->from[k + 1] - w->from[k]);

        qsort(w->place + w->from[k], (size_t)n, sizeof(*w->place), farthest_first);
        one_cluster(w, w->place + w->from[k], n);
    }
}

int64_t twins_find(const struct twins_opt *o, const struct kmeans *s, const float *x, int64_t n,
                   int dim, struct choose_verdict *out)
{
    struct work w = {o,
                     s,
                     x,
                     dim,
                     mem_zero((size_t)n, sizeof(*w.place)),
                     mem_zero((size_t)s->k + 1, sizeof(*w.from)),
                     out};
    int64_t *at = mem_zero((size_t)s->k + 1, sizeof(*at)), found = 0;

    for (int k = 0; k < s->k; k++)
        at[k + 1] = w.from[k + 1] = w.from[k] + s->size[k];
    for (int64_t i = 0; i < n; i++)
        w.place[at[s->of[i]]++] = (struct place){s->cos[i], (int32_t)i};
    if (o->pool)
        thread_run(o->pool, clusters, &w, s->k, 1);
    else
        clusters(&w, 0, s->k, 0);
    for (int64_t i = 0; i < n; i++)
        found += out[i].fate == CHOOSE_TWIN;
    free(at);
    free(w.place);
    free(w.from);
    return found;
}
