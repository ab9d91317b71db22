/* kmeans.c - spherical k-means of unit rows. */
#include "kmeans.h"

#include "dots.h"
#include "mem.h"
#include "rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    GRAIN = 112,              // rows a worker takes at a time
    PENDING = 64,             // centres that distances may be behind while seeding
    TRIES = 64,               // draws that may be refused before distances are brought up to date
    SAMPLE = 20,              // rows a centre that mini-batches seed from, at least
    STREAM_NAME = 0x6b6d6e73, // "kmns"
    LANE_ROW = 0,
    LANE_TRY = 1,
};

struct work {
    const struct kmeans_opt *o;
    const float *x; // (n, dim)
    int64_t n;
    int dim;
    struct kmeans *out;
    struct dots c; // the centroids
    int fresh;     // seeding: centres that near knows of
    float *near;   // (n) seeding: cosine to the nearest of them
    double *until; // (n) seeding: sums of distances up to and with each row
    bool *moved;   // (n) changed its cluster in this iteration
    int64_t *row;  // (n) rows by cluster
    int64_t *from; // (k + 1) where a cluster's begin
    double *sum;   // (k, dim)
};

static void each(struct work *w, thread_fn fn, int64_t n, int64_t grain)
{
    if (w->o->pool)
        thread_run(w->o->pool, fn, w, n, grain);
    else
        fn(w, 0, n, 0);
}

static bool stop(struct work *w, int iteration, double x)
{
    w->out->stopped |= w->o->tick && w->o->tick(w->o->with, iteration, x);
    return w->out->stopped;
}

/* ---- seeding ---- */

static float distance(float cosine)
{
    float d = 1.0f - cosine;

    return d < 1e-6f ? 0.0f : d; // rounding: the row is a centre
}

static void near_rows(void *ctx, int64_t begin, int64_t end, int worker)
{
    struct work *w = ctx;
    int32_t at[GRAIN];

    (void)worker;
    for (int64_t i = begin; i < end; i += GRAIN)
        dots_nearest(&w->c, w->fresh, w->x + i * w->dim, end - i < GRAIN ? end - i : GRAIN,
                     w->near + i, at);
}

/* Bring distances and their sums up to date. Returns the sum of all. */
static double refresh(struct work *w)
{
    double sum = 0;

    each(w, near_rows, w->n, GRAIN);
    w->fresh = w->c.n;
    for (int64_t i = 0; i < w->n; i++) {
        sum += w->c.n ? (double)distance(w->near[i]) : w->near[i] < 1.0f ? 1.0 : 0.0;
        w->until[i] = sum;
    }
    return sum;
}

/* The first row whose sum is above u. */
static int64_t find(const struct work *w, double u)
{
    int64_t low = 0, high = w->n - 1;

    while (low < high) {
        int64_t mid = low + (high - low) / 2;

        if (w->until[mid] > u)
            high = mid;
        else
            low = mid + 1;
    }
    return low;
}

/* Draw the next centre by the distances as they are known; -1 when it is refused. */
static int64_t draw(struct work *w, const struct rng *r, uint64_t position, double total)
{
    int64_t at = find(w, rng_unit(r, position, LANE_ROW) * total);
    float known = w->c.n ? w->near[at] : 0.0f, cosine = known;
    int32_t which;

    if (w->c.n > w->fresh)
        dots_nearest(&w->c, w->fresh, w->x + at * w->dim, 1, &cosine, &which);
    if (!w->c.n || cosine == known)
        return at;
    if (rng_unit(r, position, LANE_TRY) * (double)distance(known) < (double)distance(cosine))
        return at;
    return -1;
}

/* Rows of zeros are no centres, unless there is nothing else. */
static void seed(struct work *w)
{
    struct rng r = rng_stream(w->o->seed, 0, STREAM_NAME);
    uint64_t position = 0;
    double total;
    int refused = 0;

    for (int64_t i = 0; i < w->n; i++) {
        const float *x = w->x + i * w->dim;

        w->near[i] = dots_one(x, x, w->dim) > 0 ? -1.0f : 1.0f;
    }
    total = refresh(w);
    while (w->c.n < w->o->k && total > 0) {
        int64_t at;

        if (w->c.n - w->fresh >= PENDING || (w->c.n && !w->fresh) || refused >= TRIES) {
            total = refresh(w);
            refused = 0;
            if (stop(w, 0, (double)w->c.n))
                break;
            continue;
        }
        at = draw(w, &r, position++, total);
        if (at >= 0)
            dots_add(&w->c, w->x + at * w->dim);
        refused += at < 0;
    }
    if (!w->c.n && w->n > 0)
        dots_add(&w->c, w->x);
    w->out->k = w->c.n;
    for (int k = 0; k < w->c.n; k++)
        for (int j = 0; j < w->dim; j++)
            w->out->centroid[(int64_t)k * w->dim + j] = dots_get(&w->c, k, j);
}

/* ---- iterations ---- */

static void assign_rows(void *ctx, int64_t begin, int64_t end, int worker)
{
    struct work *w = ctx;
    struct kmeans *s = w->out;
    int32_t at[GRAIN];

    (void)worker;
    for (int64_t i = begin; i < end; i += GRAIN) {
        int n = (int)(end - i < GRAIN ? end - i : GRAIN);

        for (int j = 0; j < n; j++) {
            s->cos[i + j] = -INFINITY;
            at[j] = 0;
        }
        dots_nearest(&w->c, 0, w->x + i * w->dim, n, s->cos + i, at);
        for (int j = 0; j < n; j++) {
            w->moved[i + j] = s->of[i + j] != at[j];
            s->of[i + j] = at[j];
        }
    }
}

static void count_sizes(const struct work *w)
{
    memset(w->out->size, 0, (size_t)w->out->k * sizeof(*w->out->size));
    for (int64_t i = 0; i < w->n; i++)
        w->out->size[w->out->of[i]]++;
}

static void set_centroid(struct work *w, int k, const float *x)
{
    memcpy(w->out->centroid + (size_t)k * (size_t)w->dim, x, (size_t)w->dim * sizeof(float));
    dots_set(&w->c, k, x);
}

/* Give an empty cluster the row farthest from its centroid, out of clusters that keep others. */
static bool fill_empty(struct work *w)
{
    struct kmeans *s = w->out;
    bool any = false;

    for (int k = 0; k < s->k; k++) {
        int64_t far = -1;

        if (s->size[k])
            continue;
        for (int64_t i = 0; i < w->n; i++)
            if (s->size[s->of[i]] > 1 && (far < 0 || s->cos[i] < s->cos[far]))
                far = i;
        if (far < 0)
            return any;
        s->size[s->of[far]]--;
        s->size[k] = 1;
        s->of[far] = k;
        s->cos[far] = 1;
        set_centroid(w, k, w->x + far * w->dim);
        any = true;
    }
    return any;
}

/* Rows by cluster, ascending inside each. */
static void sort_rows(struct work *w)
{
    const struct kmeans *s = w->out;
    int64_t at = 0;

    for (int k = 0; k <= s->k; k++) {
        w->from[k] = at;
        at += k < s->k ? s->size[k] : 0;
    }
    for (int64_t i = 0; i < w->n; i++)
        w->row[w->from[s->of[i]]++] = i;
    for (int k = s->k; k > 0; k--)
        w->from[k] = w->from[k - 1];
    w->from[0] = 0;
}

/* The normalized sum of cluster k. A sum of length 0 (opposite or zero rows, or no
 * row yet) leaves the centroid as it is. */
static void normalize(struct work *w, int64_t k)
{
    double *m = w->sum + k * w->dim, len = 0;
    float *c = w->out->centroid + k * w->dim;

    for (int j = 0; j < w->dim; j++)
        len += m[j] * m[j];
    len = sqrt(len);
    if (!(len > 1e-12))
        return;
    for (int j = 0; j < w->dim; j++)
        c[j] = (float)(m[j] / len);
}

static void move_centroids(void *ctx, int64_t begin, int64_t end, int worker)
{
    struct work *w = ctx;

    (void)worker;
    for (int64_t k = begin; k < end; k++) {
        double *m = w->sum + k * w->dim;

        memset(m, 0, (size_t)w->dim * sizeof(*m));
        for (int64_t i = w->from[k]; i < w->from[k + 1]; i++) {
            const float *x = w->x + w->row[i] * w->dim;

            for (int j = 0; j < w->dim; j++)
                m[j] += (double)x[j];
        }
        normalize(w, k);
    }
}

static void pack(struct work *w)
{
    for (int k = 0; k < w->out->k; k++)
        dots_set(&w->c, k, w->out->centroid + (size_t)k * (size_t)w->dim);
}

static void sum_inertia(struct work *w)
{
    w->out->inertia = 0;
    for (int64_t i = 0; i < w->n; i++)
        w->out->inertia += 1.0 - (double)w->out->cos[i];
}

/* Lloyd's iterations. */
static void iterate(struct work *w)
{
    const struct kmeans_opt *o = w->o;
    struct kmeans *s = w->out;

    for (bool again = w->n > 0 && !s->stopped; again;) {
        double before = s->inertia;

        each(w, assign_rows, w->n, GRAIN);
        again = false;
        for (int64_t i = 0; i < w->n && !again; i++)
            again = w->moved[i];
        count_sizes(w);
        again |= fill_empty(w);
        sum_inertia(w);
        if (s->iterations && before - s->inertia < (double)o->tol * before)
            again = false;
        again &= s->iterations < o->max_iter;
        if (again) {
            sort_rows(w);
            each(w, move_centroids, s->k, 1);
            pack(w);
            s->iterations++;
            again = !stop(w, s->iterations, s->inertia / (double)w->n);
        }
    }
}

/* ---- mini-batches ---- */

static int by_number(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* m keyed rows of x, ascending, into to (m, dim). */
static void gather(const struct work *w, uint64_t position, int64_t m, float *to)
{
    struct rng r = rng_stream(w->o->seed, 1, STREAM_NAME);
    int64_t *pick = mem_zero((size_t)m, sizeof(*pick));

    for (int64_t i = 0; i < m; i++)
        pick[i] = rng_below(&r, position, (uint32_t)i, (uint32_t)w->n);
    qsort(pick, (size_t)m, sizeof(*pick), by_number);
    for (int64_t i = 0; i < m; i++)
        memcpy(to + i * w->dim, w->x + pick[i] * w->dim, (size_t)w->dim * sizeof(*to));
    free(pick);
}

/* Room for n rows in the arrays that are as long as the rows. */
static void open_rows(struct work *w, const float *x, int64_t n)
{
    w->x = x;
    w->n = n;
    w->near = mem_zero((size_t)n, sizeof(*w->near));
    w->until = mem_zero((size_t)n, sizeof(*w->until));
    w->moved = mem_zero((size_t)n, sizeof(*w->moved));
    w->row = mem_zero((size_t)n, sizeof(*w->row));
    w->out->of = mem_zero((size_t)n, sizeof(*w->out->of));
    w->out->cos = mem_zero((size_t)n, sizeof(*w->out->cos));
    memset(w->out->of, 0xff, (size_t)n * sizeof(*w->out->of)); // -1: every row moves at first
}

static void close_rows(struct work *w)
{
    free(w->near);
    free(w->until);
    free(w->moved);
    free(w->row);
    w->near = NULL;
    w->until = NULL;
    w->moved = NULL;
    w->row = NULL;
}

static void drop_rows(struct work *w)
{
    close_rows(w);
    free(w->out->of);
    free(w->out->cos);
}

static void take_batch(struct work *all, struct work *w)
{
    struct kmeans *s = w->out;

    each(w, assign_rows, w->n, GRAIN);
    for (int64_t i = 0; i < w->n; i++) {
        double *m = all->sum + (int64_t)s->of[i] * w->dim;

        for (int j = 0; j < w->dim; j++)
            m[j] += (double)w->x[i * w->dim + j];
    }
    for (int k = 0; k < s->k; k++)
        normalize(w, k);
    pack(w);
}

/* Seed and move the centroids by samples of the rows. */
static void batches(struct work *w)
{
    const struct kmeans_opt *o = w->o;
    int64_t sample = (int64_t)SAMPLE * o->k > 3 * (int64_t)o->batch ? (int64_t)SAMPLE * o->k
                                                                    : 3 * (int64_t)o->batch;
    int64_t n = w->n, batch = o->batch < n ? o->batch : n;
    const float *x = w->x;
    float *part;
    double before = 0;

    sample = sample < n ? sample : n;
    part = mem_zero((size_t)(sample > batch ? sample : batch), (size_t)w->dim * sizeof(*part));
    gather(w, 0, sample, part);
    open_rows(w, part, sample);
    seed(w);
    drop_rows(w);
    memset(w->sum, 0, (size_t)w->out->k * (size_t)w->dim * sizeof(*w->sum));
    w->x = x;
    w->n = n;
    for (int i = 0; i < o->max_iter; i++) {
        struct work b = *w;
        double inertia = 0;

        gather(w, (uint64_t)i + 1, batch, part);
        open_rows(&b, part, batch);
        take_batch(w, &b);
        for (int64_t j = 0; j < batch; j++)
            inertia += 1.0 - (double)b.out->cos[j];
        drop_rows(&b);
        w->out->iterations++;
        if (stop(w, i + 1, inertia / (double)batch))
            break;
        /* batches differ, so what one gains is looked at over many */
        before = i ? before + 0.1 * (inertia - before) : inertia;
        if (i >= 10 && fabs(inertia - before) < (double)o->tol * before)
            break;
    }
    free(part);
}

void kmeans_run(const struct kmeans_opt *o, const float *x, int64_t n, int dim, struct kmeans *out)
{
    size_t k = (size_t)(o->k < n ? o->k : n);
    struct kmeans_opt opt = *o;
    struct work w = {.o = &opt, .x = x, .n = n, .dim = dim, .out = out};

    *out = (struct kmeans){0};
    opt.k = (int)k;
    out->centroid = mem_zero(k, (size_t)dim * sizeof(float));
    out->size = mem_zero(k, sizeof(*out->size));
    w.sum = mem_zero(k, (size_t)dim * sizeof(*w.sum));
    w.from = mem_zero(k + 1, sizeof(*w.from));
    dots_init(&w.c, o->b, dim);
    if (o->batch && n) {
        batches(&w);
        opt.max_iter = 0; // rows are assigned and empty clusters filled
    }
    open_rows(&w, x, n);
    if (!o->batch)
        seed(&w);
    iterate(&w);
    close_rows(&w);
    dots_free(&w.c);
    free(w.sum);
    free(w.from);
}

void kmeans_free(struct kmeans *s)
{
    free(s->of);
    free(s->cos);
    free(s->centroid);
    free(s->size);
    *s = (struct kmeans){0};
}

size_t kmeans_bytes(int64_t n, int dim, int k)
{
    return (size_t)n *
               (2 * sizeof(float) + sizeof(double) + sizeof(int64_t) + sizeof(int32_t) + 1) +
           (size_t)k * (size_t)dim * (2 * sizeof(float) + sizeof(double));
}
