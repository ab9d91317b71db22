/* cluster.c - hashed n-gram vectors and spherical k-means. */
#include "cluster.h"

#include "buf.h"
#include "hash.h"
#include "mem.h"
#include "num.h"
#include "rng.h"
#include "utf8.h"
#include "words.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    DF_BITS = 18,
    CHARS = 4,                // of a run inside a word
    GRAIN = 64,               // rows a worker takes at a time
    STREAM_NAME = 0x636c7573, // "clus"
    WORD = 1,
    PAIR = 2,
    RUN = 3 // kinds of features, so that "ab" the word and the run differ
};

/* The features of one text: hash and how often. */
struct bag {
    struct feature {
        uint64_t hash;
        uint32_t count;
    } * f;
    size_t n, cap;
};

static void bag_add(struct bag *b, int kind, const char *s, size_t n)
{
    struct hash128 h = hash_bytes(s, n);

    mem_grow(&b->f, &b->cap, b->n + 1, sizeof(*b->f));
    b->f[b->n++] = (struct feature){h.lo ^ ((uint64_t)kind * 0x9e3779b97f4a7c15u), 1};
}

/* Runs of CHARS characters of " word ", so that beginnings and ends are told apart. */
static void add_runs(struct bag *b, const char *w, size_t n)
{
    size_t start[CHARS] = {0}, at = 0, k = 0;
    uint32_t c;

    while (at < n) {
        int len = utf8_get(w + at, n - at, &c);

        start[k++ % CHARS] = at;
        at += len ? (size_t)len : 1;
        if (k >= CHARS)
            bag_add(b, RUN, w + start[k % CHARS], at - start[k % CHARS]);
    }
}

static int by_hash(const void *a, const void *b)
{
    uint64_t x = ((const struct feature *)a)->hash, y = ((const struct feature *)b)->hash;

    return (x > y) - (x < y);
}

/* Fill an empty bag with a text's features, sorted by hash, each once. */
static void bag_fill(struct bag *b, const char *s, size_t n)
{
    struct buf w = {0}, pair = {0};
    size_t at = 0, out = 0;

    while (words_next(s, n, &at, &w)) {
        struct buf edge = {0};

        bag_add(b, WORD, w.p, w.n);
        if (pair.n) {
            size_t half = pair.n;

            buf_add(&pair, w.p, w.n);
            bag_add(b, PAIR, pair.p, pair.n);
            memmove(pair.p, pair.p + half, pair.n - half);
            pair.n -= half;
        } else {
            buf_add(&pair, w.p, w.n);
        }
        buf_char(&pair, ' ');
        buf_fmt(&edge, " %s ", w.p);
        add_runs(b, edge.p, edge.n);
        buf_free(&edge);
    }
    buf_free(&w);
    buf_free(&pair);
    if (b->n)
        qsort(b->f, b->n, sizeof(*b->f), by_hash);
    for (size_t i = 0; i < b->n; i++)
        if (out && b->f[out - 1].hash == b->f[i].hash)
            b->f[out - 1].count++;
        else
            b->f[out++] = b->f[i];
    b->n = out;
}

void cluster_df_add(struct cluster_df *df, const char *s, size_t n)
{
    struct bag b = {0};

    if (!df->count)
        df->count = mem_zero((size_t)1 << DF_BITS, sizeof(*df->count));
    bag_fill(&b, s, n);
    for (size_t i = 0; i < b.n; i++)
        df->count[b.f[i].hash >> (64 - DF_BITS)]++;
    df->n_text++;
    free(b.f);
}

void cluster_df_free(struct cluster_df *df)
{
    free(df->count);
    *df = (struct cluster_df){0};
}

float cluster_dot(const float *a, const float *b, int dim)
{
    float s[CLUSTER_LANES] = {0};

    for (int i = 0; i < dim; i += CLUSTER_LANES)
        for (int j = 0; j < CLUSTER_LANES; j++)
            s[j] += a[i + j] * b[i + j];
    for (int half = CLUSTER_LANES / 2; half; half /= 2)
        for (int j = 0; j < half; j++)
            s[j] += s[j + half];
    return s[0];
}

static void normalize(float *v, int dim)
{
    float len = sqrtf(cluster_dot(v, v, dim));

    for (int i = 0; i < dim && len > 0; i++)
        v[i] /= len;
}

void cluster_vector(const char *s, size_t n, const struct cluster_df *df, float *v)
{
    struct bag b = {0};

    memset(v, 0, CLUSTER_DIM * sizeof(*v));
    bag_fill(&b, s, n);
    for (size_t i = 0; i < b.n; i++) {
        uint64_t h = b.f[i].hash;
        size_t place = (size_t)(((h & 0xffffffff) * CLUSTER_DIM) >> 32);
        float w = 1.0f + num_log((float)b.f[i].count);

        if (df && df->n_text) {
            uint32_t in = df->count[h >> (64 - DF_BITS)];

            w *= 1.0f + num_log((1.0f + (float)df->n_text) / (1.0f + (float)in));
        }
        v[place] += (h >> 32) & 1 ? w : -w;
    }
    free(b.f);
    normalize(v, CLUSTER_DIM);
}

/* One run of k-means. */
struct work {
    const struct cluster_opt *o;
    const float *x; // (n, dim)
    int64_t n;
    int dim;
    struct cluster_set *out;
    float *dist; // (n) seeding: 1 - cosine to the nearest centre so far
    bool *moved; // (n) changed its cluster in this iteration
    double *sum; // (k, dim)
};

static void each_row(struct work *w, thread_fn fn)
{
    if (w->o->pool)
        thread_run(w->o->pool, fn, w, w->n, GRAIN);
    else
        fn(w, 0, w->n, 0);
}

/* Distances after centre k - 1 has come. Below 1e-6 is rounding: the row is a centre. */
static void seed_rows(void *ctx, int64_t begin, int64_t end, int worker)
{
    struct work *w = ctx;
    const float *c = w->out->centroid + (size_t)(w->out->k - 1) * (size_t)w->dim;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        float d = 1.0f - cluster_dot(w->x + i * w->dim, c, w->dim);

        d = d < 1e-6f ? 0.0f : d;
        w->dist[i] = d < w->dist[i] ? d : w->dist[i];
    }
}

static void seed(struct work *w)
{
    struct rng r = rng_stream(w->o->seed, 0, STREAM_NAME);
    size_t row = (size_t)w->dim;
    struct cluster_set *s = w->out;

    for (int64_t i = 0; i < w->n; i++)
        w->dist[i] = 2.0f;
    while (s->k < w->o->k) {
        double total = 0, u;
        int64_t at = -1;

        for (int64_t i = 0; i < w->n; i++)
            total += (double)w->dist[i];
        u = rng_unit(&r, (uint64_t)s->k, 0) * total;
        for (int64_t i = 0; i < w->n && u >= 0; i++)
            if (w->dist[i] > 0) {
                at = i; // the last row that can be drawn, should rounding leave u above 0
                u -= (double)w->dist[i];
            }
        if (at < 0)
            return; // all rows are centres
        memcpy(s->centroid + (size_t)s->k * row, w->x + at * w->dim, row * sizeof(float));
        s->k++;
        each_row(w, seed_rows);
        w->dist[at] = 0; // a row of zeros is at distance 1 from itself too
    }
}

static void assign_rows(void *ctx, int64_t begin, int64_t end, int worker)
{
    struct work *w = ctx;
    struct cluster_set *s = w->out;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        float best = -2;
        int at = 0;

        for (int k = 0; k < s->k; k++) {
            float d =
                cluster_dot(w->x + i * w->dim, s->centroid + (size_t)k * (size_t)w->dim, w->dim);

            if (d > best) {
                best = d;
                at = k;
            }
        }
        w->moved[i] = s->of[i] != at;
        s->of[i] = at;
        s->cos[i] = best;
    }
}

static void count_sizes(const struct work *w)
{
    memset(w->out->size, 0, (size_t)w->out->k * sizeof(*w->out->size));
    for (int64_t i = 0; i < w->n; i++)
        w->out->size[w->out->of[i]]++;
}

/* Give an empty cluster the row farthest from its centroid, out of clusters that keep others. */
static bool fill_empty(struct work *w)
{
    struct cluster_set *s = w->out;
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
        memcpy(s->centroid + (size_t)k * (size_t)w->dim, w->x + far * w->dim,
               (size_t)w->dim * sizeof(float));
        any = true;
    }
    return any;
}

/* Normalized means. A mean of length 0 (opposite or zero rows) keeps the old centroid. */
static void move_centroids(struct work *w)
{
    struct cluster_set *s = w->out;
    size_t dim = (size_t)w->dim;

    memset(w->sum, 0, (size_t)s->k * dim * sizeof(*w->sum));
    for (int64_t i = 0; i < w->n; i++)
        for (size_t j = 0; j < dim; j++)
            w->sum[(size_t)s->of[i] * dim + j] += (double)w->x[(size_t)i * dim + j];
    for (int k = 0; k < s->k; k++) {
        double *m = w->sum + (size_t)k * dim, len = 0;

        for (size_t j = 0; j < dim; j++)
            len += m[j] * m[j];
        len = sqrt(len);
        for (size_t j = 0; j < dim && len > 1e-12; j++)
            s->centroid[(size_t)k * dim + j] = (float)(m[j] / len);
    }
}

void cluster_run(const struct cluster_opt *o, const float *x, int64_t n, int dim,
                 struct cluster_set *out)
{
    size_t k = (size_t)(o->k < n ? o->k : n), rows = (size_t)n;
    struct cluster_opt opt = *o;
    struct work w = {&opt, x, n, dim, out, NULL, NULL, NULL};

    *out = (struct cluster_set){0};
    opt.k = (int)k;
    out->of = mem_zero(rows, sizeof(*out->of));
    out->cos = mem_zero(rows, sizeof(*out->cos));
    out->centroid = mem_zero(k, (size_t)dim * sizeof(float));
    out->size = mem_zero(k, sizeof(*out->size));
    w.dist = mem_zero(rows, sizeof(*w.dist));
    w.moved = mem_zero(rows, sizeof(*w.moved));
    w.sum = mem_zero(k, (size_t)dim * sizeof(*w.sum));
    seed(&w);
    memset(out->of, 0xff, rows * sizeof(*out->of)); // -1: every row moves at first
    for (bool again = n > 0; again;) {
        again = false;
        each_row(&w, assign_rows);
        for (int64_t i = 0; i < n && !again; i++)
            again = w.moved[i];
        count_sizes(&w);
        again |= fill_empty(&w);
        again &= out->iterations < o->max_iter;
        if (again) {
            move_centroids(&w);
            out->iterations++;
        }
    }
    for (int64_t i = 0; i < n; i++)
        out->inertia += 1.0 - (double)out->cos[i];
    free(w.dist);
    free(w.moved);
    free(w.sum);
}

void cluster_set_free(struct cluster_set *s)
{
    free(s->of);
    free(s->cos);
    free(s->centroid);
    free(s->size);
    *s = (struct cluster_set){0};
}
