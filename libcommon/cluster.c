/* cluster.c - hashed n-gram vectors. */
#include "cluster.h"

#include "buf.h"
#include "hash.h"
#include "mem.h"
#include "num.h"
#include "utf8.h"
#include "words.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    DF_BITS = 18,
    CHARS = 4, // of a run inside a word
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

void cluster_df_join(struct cluster_df *df, const struct cluster_df *other)
{
    if (!other->count)
        return;
    if (!df->count)
        df->count = mem_zero((size_t)1 << DF_BITS, sizeof(*df->count));
    for (size_t i = 0; i < (size_t)1 << DF_BITS; i++)
        df->count[i] += other->count[i];
    df->n_text += other->n_text;
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
