/* eigen.c - products of rows with themselves, their eigenvalues, the Vendi score, and a map. */
#include "eigen.h"

#include "mem.h"
#include "num.h"
#include "rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHUNK = 256, // rows whose products are summed at once
    TILE = 16,   // rows of a product for a worker at a time
    BAND = 28,   // rows of a result for a worker at a time
    STEPS = 200, // of the iteration for axes
    SWEEPS = 64, // of QL for one eigenvalue
};

static void each(struct thread_pool *pool, thread_fn fn, void *ctx, int64_t n, int64_t grain)
{
    if (pool)
        thread_run(pool, fn, ctx, n, grain);
    else
        fn(ctx, 0, n, 0);
}

/* ---- eigenvalues ---- */

/* One step of Householder's reduction: A -= v w' + w v' on the rows and columns from k on. */
struct reduce {
    double *a, *v, *w; // (n, n), (n), (n)
    int n, k;
    double beta;
};

static void times_v(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct reduce *r = ctx;

    (void)worker;
    for (int64_t i = r->k + begin; i < r->k + end; i++) {
        const double *row = r->a + i * r->n;
        double s[4] = {0};
        int j = r->k;

        for (; j + 4 <= r->n; j += 4)
            for (int l = 0; l < 4; l++)
                s[l] += row[j + l] * r->v[j + l];
        for (; j < r->n; j++)
            s[0] += row[j] * r->v[j];
        r->w[i] = r->beta * ((s[0] + s[1]) + (s[2] + s[3]));
    }
}

static void update(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct reduce *r = ctx;

    (void)worker;
    for (int64_t i = r->k + begin; i < r->k + end; i++) {
        double *row = r->a + i * r->n, vi = r->v[i], wi = r->w[i];

        for (int j = r->k; j < r->n; j++)
            row[j] -= vi * r->w[j] + wi * r->v[j];
    }
}

/* a becomes tridiagonal: diagonal d (n), below it e (n), e[n - 1] = 0. */
static void tridiagonal(double *a, int n, struct thread_pool *pool, double *d, double *e)
{
    struct reduce r = {
        a, mem_zero((size_t)n, sizeof(double)), mem_zero((size_t)n, sizeof(double)), n, 0, 0};

    for (int k = 0; k < n; k++) {
        double len = 0, vv = 0, vw = 0;

        d[k] = a[(int64_t)k * n + k];
        e[k] = k + 1 < n ? a[(int64_t)(k + 1) * n + k] : 0;
        for (int i = k + 1; i < n; i++) {
            r.v[i] = a[(int64_t)i * n + k];
            len += r.v[i] * r.v[i];
        }
        len = sqrt(len);
        if (k + 2 >= n || !(len > 0))
            continue;
        e[k] = r.v[k + 1] > 0 ? -len : len;
        r.v[k + 1] -= e[k];
        for (int i = k + 1; i < n; i++)
            vv += r.v[i] * r.v[i];
        r.beta = 2 / vv;
        r.k = k + 1;
        each(pool, times_v, &r, n - r.k, BAND);
        for (int i = r.k; i < n; i++)
            vw += r.v[i] * r.w[i];
        for (int i = r.k; i < n; i++)
            r.w[i] -= r.beta / 2 * vw * r.v[i];
        each(pool, update, &r, n - r.k, BAND);
    }
    free(r.v);
    free(r.w);
}

/* One QL sweep with an implicit shift over the rows low .. high of a tridiagonal matrix. */
static void sweep(double *d, double *e, int low, int high)
{
    double g = (d[low + 1] - d[low]) / (2 * e[low]), r = sqrt(g * g + 1), s = 1, c = 1, p = 0;

    g = d[high] - d[low] + e[low] / (g + (g >= 0 ? r : -r));
    for (int i = high - 1; i >= low; i--) {
        double f = s * e[i], b = c * e[i];

        r = sqrt(f * f + g * g);
        e[i + 1] = r;
        if (!(r > 0)) { // split: begin again
            d[i + 1] -= p;
            e[high] = 0;
            return;
        }
        s = f / r;
        c = g / r;
        g = d[i + 1] - p;
        r = (d[i] - g) * s + 2 * c * b;
        p = s * r;
        d[i + 1] = g + p;
        g = c * r - b;
    }
    d[low] -= p;
    e[low] = g;
    e[high] = 0;
}

void eigen_values(double *a, int n, struct thread_pool *pool, double *value)
{
    double *e = mem_zero((size_t)n + 1, sizeof(*e));

    tridiagonal(a, n, pool, value, e);
    for (int i = 0; i < n; i++)
        for (int tries = 0; tries < SWEEPS; tries++) {
            int m = i;

            for (; m + 1 < n; m++)
                if (fabs(e[m]) <= 0x1p-52 * (fabs(value[m]) + fabs(value[m + 1])))
                    break;
            if (m == i)
                break;
            sweep(value, e, i, m);
        }
    free(e);
}

/* ---- products ---- */

struct product {
    const double *xt; // (dim, CHUNK)
    int dim;
    double *out; // (dim, dim)
};

/* Rows [begin, end) of the product, up to the diagonal, in tiles of 2 x 4 sums. */
static void product_rows(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct product *p = ctx;

    (void)worker;
    for (int64_t i = begin * TILE; i < end * TILE && i < p->dim; i += 2)
        for (int64_t j = 0; j < i + 2 && j < p->dim; j += 4) {
            const double *a = p->xt + i * CHUNK, *b = p->xt + j * CHUNK;
            double s[8] = {0};

            for (int k = 0; k < CHUNK; k++)
                for (int r = 0; r < 2; r++)
                    for (int c = 0; c < 4; c++)
                        s[4 * r + c] += a[r * CHUNK + k] * b[c * CHUNK + k];
            for (int r = 0; r < 2 && i + r < p->dim; r++)
                for (int c = 0; c < 4 && j + c < p->dim; c++)
                    p->out[(i + r) * p->dim + j + c] += s[4 * r + c];
        }
}

/* out (dim, dim) = sums over the rows of x x', less mean (dim) unless NULL. */
static void inner(struct thread_pool *pool, const float *x, const int64_t *row, int64_t n, int dim,
                  const float *mean, double *out)
{
    double *xt = mem_zero(((size_t)dim + 4) * CHUNK, sizeof(*xt)); // tiles reach past the last row
    struct product p = {xt, dim, out};

    for (int64_t at = 0; at < n; at += CHUNK) {
        int m = (int)(n - at < CHUNK ? n - at : CHUNK);

        for (int i = 0; i < CHUNK; i++) {
            const float *r = i < m ? x + (row ? row[at + i] : at + i) * dim : NULL;

            for (int k = 0; k < dim; k++)
                xt[k * CHUNK + i] = r ? (double)(r[k] - (mean ? mean[k] : 0)) : 0;
        }
        each(pool, product_rows, &p, (dim + TILE - 1) / TILE, 1);
    }
    for (int64_t i = 0; i < dim; i++)
        for (int64_t j = i + 1; j < dim; j++)
            out[i * dim + j] = out[j * dim + i];
    free(xt);
}

struct outer {
    const float *x;
    const int64_t *row;
    int64_t n;
    int dim;
    double *out; // (n, n)
};

static void outer_rows(void *ctx, int64_t begin, int64_t end, int worker)
{
    const struct outer *o = ctx;

    (void)worker;
    for (int64_t i = begin; i < end; i++)
        for (int64_t j = 0; j < o->n; j++) {
            const float *a = o->x + (o->row ? o->row[i] : i) * o->dim;
            const float *c = o->x + (o->row ? o->row[j] : j) * o->dim;
            double s = 0;

            for (int k = 0; k < o->dim; k++)
                s += (double)a[k] * (double)c[k];
            o->out[i * o->n + j] = s;
        }
}

double eigen_vendi(struct thread_pool *pool, const float *x, const int64_t *row, int64_t n, int dim)
{
    int m = n < dim ? (int)n : dim;
    double *a, *value, h = 0;

    if (n < 1)
        return 0;
    a = mem_zero((size_t)m * (size_t)m, sizeof(*a));
    value = mem_zero((size_t)m, sizeof(*value));
    if (n < dim) {
        struct outer o = {x, row, n, dim, a};

        each(pool, outer_rows, &o, n, 4);
    } else {
        inner(pool, x, row, n, dim, NULL, a);
    }
    for (int64_t i = 0; i < (int64_t)m * m; i++)
        a[i] /= (double)n;
    eigen_values(a, m, pool, value);
    for (int i = 0; i < m; i++)
        if (value[i] > 1e-15)
            h -= value[i] * num_log_d(value[i]);
    free(a);
    free(value);
    return num_exp_d(h);
}

/* ---- a map ---- */

/* Make v (dim) orthogonal to u, unless NULL, and of length 1. Returns its length before. */
static double straighten(double *v, const double *u, int dim)
{
    double uv = 0, len = 0;

    for (int i = 0; u && i < dim; i++)
        uv += u[i] * v[i];
    for (int i = 0; i < dim; i++) {
        v[i] -= u ? uv * u[i] : 0;
        len += v[i] * v[i];
    }
    len = sqrt(len);
    for (int i = 0; i < dim && len > 0; i++)
        v[i] /= len;
    return len;
}

static void times(const double *a, const double *v, int dim, double *out)
{
    for (int i = 0; i < dim; i++) {
        out[i] = 0;
        for (int j = 0; j < dim; j++)
            out[i] += a[(int64_t)i * dim + j] * v[j];
    }
}

/* The two axes of largest variance of a (dim, dim): orthogonal iteration. */
static void axes(const double *a, int dim, double *axis[2], double share[2])
{
    struct rng r = rng_stream(0, 0, 0x61786573);
    double *next = mem_zero((size_t)dim, sizeof(*next)), all = 0;

    for (int i = 0; i < dim; i++)
        all += a[(int64_t)i * dim + i];
    for (int c = 0; c < 2; c++) {
        for (int i = 0; i < dim; i++)
            axis[c][i] = rng_unit(&r, (uint64_t)i, (uint32_t)c) - 0.5;
        straighten(axis[c], c ? axis[0] : NULL, dim);
    }
    for (int step = 0; step < STEPS; step++)
        for (int c = 0; c < 2; c++) {
            double len;

            times(a, axis[c], dim, next);
            len = straighten(next, c ? axis[0] : NULL, dim);
            share[c] = all > 0 ? len / all : 0;
            if (len > 0)
                memcpy(axis[c], next, (size_t)dim * sizeof(*next));
        }
    for (int c = 0; c < 2; c++) {
        int top = 0;

        for (int i = 1; i < dim; i++)
            top = fabs(axis[c][i]) > fabs(axis[c][top]) ? i : top;
        for (int i = 0, flip = axis[c][top] < 0; i < dim && flip; i++)
            axis[c][i] = -axis[c][i];
    }
    free(next);
}

/* Means of topics about the mean of all, times the root of their sizes: m (k, dim). Returns how
 * many topics have rows. */
static int topic_means(const float *x, int64_t n, int dim, const int32_t *of, int k,
                       const float *mean, float *m)
{
    double *sum = mem_zero((size_t)k * (size_t)dim, sizeof(*sum));
    int64_t *size = mem_zero((size_t)k, sizeof(*size));
    int have = 0;

    for (int64_t i = 0; i < n; i++) {
        size[of[i]]++;
        for (int j = 0; j < dim; j++)
            sum[(int64_t)of[i] * dim + j] += (double)x[i * dim + j];
    }
    for (int64_t t = 0; t < k; t++) {
        double root = sqrt((double)size[t]);

        have += size[t] > 0;
        for (int j = 0; j < dim && size[t]; j++)
            m[t * dim + j] = (float)(sum[t * dim + j] / root - root * (double)mean[j]);
    }
    free(sum);
    free(size);
    return have;
}

bool eigen_map(struct thread_pool *pool, const float *x, int64_t n, int dim, const int32_t *of,
               int k, float *xy, double share[2])
{
    double *a = mem_zero((size_t)dim * (size_t)dim, sizeof(*a)), *axis[2];
    double *sum = mem_zero((size_t)dim, sizeof(*sum));
    float *mean = mem_zero((size_t)dim, sizeof(*mean));
    float *m = mem_zero((size_t)k * (size_t)dim, sizeof(*m));
    bool topics;

    for (int c = 0; c < 2; c++)
        axis[c] = mem_zero((size_t)dim, sizeof(double));
    for (int64_t i = 0; i < n; i++)
        for (int j = 0; j < dim; j++)
            sum[j] += (double)x[i * dim + j];
    for (int j = 0; j < dim && n; j++)
        mean[j] = (float)(sum[j] / (double)n);
    topics = topic_means(x, n, dim, of, k, mean, m) > 2;
    if (topics)
        inner(pool, m, NULL, k, dim, NULL, a);
    else
        inner(pool, x, NULL, n, dim, mean, a);
    axes(a, dim, axis, share);
    for (int64_t i = 0; i < n; i++)
        for (int c = 0; c < 2; c++) {
            double s = 0;

            for (int j = 0; j < dim; j++)
                s += (double)(x[i * dim + j] - mean[j]) * axis[c][j];
            xy[2 * i + c] = (float)s;
        }
    for (int c = 0; c < 2; c++)
        free(axis[c]);
    free(a);
    free(sum);
    free(mean);
    free(m);
    return topics;
}
