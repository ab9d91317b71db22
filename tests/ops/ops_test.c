/* ops_test.c - the CPU's ops but linear: against doubles, and all backends by their bytes. */
#include "num.h"
#include "ops.h"
#include "quant.h"

/* Is y within `slack` of `exact`? */
static bool near(double exact, float y, double slack)
{
    return fabs(exact - (double)y) <= slack;
}

/* ---- norm and glu: a row each ---- */

/* |error| <= 4e-7 of the value: 16 sums of dim / 16 squares, sqrt, two divisions, two products. */
static void test_norm(struct ops *o)
{
    TEST("norm: RMSNorm of rows");
    for (int k = 0; k < 20; k++) {
        int n = ops_pick(o, 1, 9), dim = ops_pick(o, 1, 400), bad = 0;
        size_t all = (size_t)n * (size_t)dim;
        float *x = ops_floats(o, all), *w = ops_floats(o, (size_t)dim), *y = mem_new(all * 4);
        float *z = mem_new(all * 4), eps = 1e-5f;

        o->b[0]->ops->norm(o->b[0], y, x, w, n, dim, eps);
        for (int t = 0; t < n; t++) {
            const float *row = x + t * dim;
            double s = 0;

            for (int i = 0; i < dim; i++)
                s += (double)row[i] * (double)row[i];
            s = 1 / sqrt(s / dim + (double)eps);
            for (int i = 0; i < dim; i++) {
                double exact = (double)row[i] * s * (double)w[i];

                bad += !near(exact, y[t * dim + i], fabs(exact) * 1e-6);
            }
        }
        CHECK(bad == 0);
        for (int i = 0; i < o->n; i++) {
            struct backend *b = o->b[i];

            for (int t = 0; t < n; t++) // a row at a time, in place
                b->ops->norm(b, memcpy(z + t * dim, x + t * dim, (size_t)dim * 4), z + t * dim, w,
                             1, dim, eps);
            CHECK(ops_differs(y, z, all) < 0);
            b->ops->norm(b, z, x, w, n, dim, eps);
            CHECK(ops_differs(y, z, all) < 0);
        }
        free(x);
        free(w);
        free(y);
        free(z);
    }
}

/* |error| <= 1e-6 of the value (exp within 1 ulp, and four more roundings), or 1e-34:
 * below gate = -88 e^-gate is infinite. */
static void test_glu(struct ops *o)
{
    TEST("glu: silu(gate) * up, and num_silu's bytes");
    for (int k = 0; k < 20; k++) {
        int n = ops_pick(o, 1, 9), dim = ops_pick(o, 1, 300), bad = 0;
        size_t all = (size_t)n * (size_t)dim;
        float *gu = ops_floats(o, all * 2), *y = mem_new(all * 4), *z = mem_new(all * 4);

        for (size_t i = 0; i < all * 2; i++)
            gu[i] *= i % 3 ? 8.0f : 100.0f;
        gu[0] = 0.0f;
        o->b[0]->ops->glu(o->b[0], y, gu, n, dim);
        for (int t = 0; t < n; t++)
            for (int i = 0; i < dim; i++) {
                float gate = gu[t * 2 * dim + i], up = gu[(t * 2 + 1) * dim + i];
                float mine = num_silu(gate) * up;
                double exact = (double)gate / (1 + exp(-(double)gate)) * (double)up;

                bad += !near(exact, y[t * dim + i], fabs(exact) * 1e-6 + 1e-34);
                bad += memcmp(&mine, &y[t * dim + i], 4) != 0;
            }
        CHECK(bad == 0);
        for (int i = 0; i < o->n; i++) {
            o->b[i]->ops->glu(o->b[i], z, gu, n, dim);
            CHECK(ops_differs(y, z, all) < 0);
            for (int t = 0; t < n; t++)
                o->b[i]->ops->glu(o->b[i], z + t * dim, gu + t * 2 * dim, 1, dim);
            CHECK(ops_differs(y, z, all) < 0);
        }
        free(gu);
        free(y);
        free(z);
    }
}

/* ---- embed and gather ---- */

static void test_rows(struct ops *o)
{
    enum { DIM = 64, ROWS = 40, N = 21 };
    uint16_t table[ROWS * DIM];
    float y[N * DIM], z[N * DIM];
    int32_t token[N], out[N];
    struct step s = {.n = N, .n_out = N, .token = token, .out = out};
    struct weight w = {.rows = ROWS, .cols = DIM, .n_parts = 1};
    struct err e;

    TEST("embed and gather: rows by number");
    for (int i = 0; i < ROWS * DIM; i++)
        table[i] = quant_to_f16(ops_float(o));
    for (int i = 0; i < N; i++) {
        token[i] = ops_pick(o, 0, ROWS - 1);
        out[i] = ops_pick(o, 0, N - 1);
    }
    w.part[0] = (struct weight_part){.type = T_F16, .rows = ROWS, .host = table};
    for (int i = 0; i < o->n; i++) {
        struct backend *b = o->b[i];

        CHECK(b->ops->weight(b, &w, &e) == 0);
        b->ops->embed(b, y, &w, &s);
        for (int k = 0; k < N * DIM; k++)
            CHECK(y[k] == quant_f16(table[token[k / DIM] * DIM + k % DIM]));
        b->ops->gather(b, z, y, &s, DIM);
        for (int k = 0; k < N; k++)
            CHECK(!memcmp(z + k * DIM, y + out[k] * DIM, DIM * sizeof(*y)));
    }
}

/* ---- rope_kv and attn: several sequences over shuffled pages ---- */

enum { LAYERS = 2, PAGES = 40, SEQS = 3, LONG = 300 };

struct scene {
    struct attn_shape a;
    struct kv_pages kv;
    size_t kv_floats;
    float *qkv; // (LONG, row) of each sequence, before rotation
    int row;    // floats of q, k and v of one token
    int32_t page[SEQS * PAGES / 2];
    int max_pages, len[SEQS];
    float freq[128];
};

static void scene_open(struct ops *o, struct scene *c)
{
    static const int dims[] = {8, 20, 32, 64, 80, 128};
    static const int heads[][2] = {{4, 4}, {6, 2}, {5, 1}, {20, 2}};
    int h = ops_pick(o, 0, 3), dim = dims[ops_pick(o, 0, 5)], order[PAGES];

    *c = (struct scene){.max_pages = LONG / BACKEND_PAGE + 1};
    c->a = (struct attn_shape){.n_heads = heads[h][0],
                               .n_kv_heads = heads[h][1],
                               .head_dim = dim,
                               .rope_dims = ops_pick(o, 0, 2) ? dim : dim / 2,
                               .rope_pairs_apart = ops_pick(o, 0, 1),
                               .inv_freq = c->freq,
                               .scale = 1.0f / sqrtf((float)dim)};
    for (int i = 0; i < c->a.rope_dims / 2; i++)
        c->freq[i] = num_pow(10000.0f, -2.0 * i / c->a.rope_dims);
    c->row = (c->a.n_heads + 2 * c->a.n_kv_heads) * dim;
    c->qkv = ops_floats(o, (size_t)c->row * LONG * SEQS);
    for (int i = 0; i < c->row * LONG * SEQS; i++)
        c->qkv[i] *= 3.0f;
    c->kv_floats = (size_t)LAYERS * PAGES * 2 * BACKEND_PAGE * (size_t)(c->a.n_kv_heads * dim);
    c->kv = (struct kv_pages){mem_zero(c->kv_floats, 4), LAYERS, PAGES, c->a.n_kv_heads, dim};
    for (int i = 0; i < PAGES; i++)
        order[i] = i;
    for (int i = PAGES - 1; i > 0; i--) {
        int j = ops_pick(o, 0, i), swap = order[i];

        order[i] = order[j];
        order[j] = swap;
    }
    for (int i = 0; i < SEQS * c->max_pages; i++)
        c->page[i] = order[i];
    for (int i = 0; i < SEQS; i++)
        c->len[i] = ops_pick(o, 1, LONG);
}

static void scene_close(struct scene *c)
{
    free(c->qkv);
    free(c->kv.data_d);
}

/* Feed tokens in steps of at most `chunk`, sequences mixed; y gets (SEQS, LONG, heads * dim). */
static void scene_run(struct scene *c, struct backend *b, int chunk, int layer, float *y)
{
    int32_t pos[SEQS * LONG], seq[SEQS * LONG];
    int done[SEQS] = {0}, left = 1, wide = c->a.n_heads * c->a.head_dim;
    float *qkv = mem_new((size_t)c->row * SEQS * LONG * sizeof(*qkv));
    float *out = mem_new((size_t)wide * SEQS * LONG * sizeof(*out));

    for (size_t i = 0; i < c->kv_floats; i++)
        c->kv.data_d[i] = NAN; // nobody may read what was not written
    while (left) {
        struct step s = {.n_seq = SEQS, .max_pages = c->max_pages, .pos = pos, .seq = seq};

        left = 0;
        s.page = c->page;
        for (int q = 0; q < SEQS; q++)
            for (int i = 0; i < chunk && done[q] < c->len[q]; i++, s.n++) {
                pos[s.n] = done[q]++;
                seq[s.n] = q;
                memcpy(qkv + (size_t)s.n * (size_t)c->row,
                       c->qkv + (size_t)(q * LONG + pos[s.n]) * (size_t)c->row,
                       (size_t)c->row * sizeof(*qkv));
                left = 1;
            }
        ops_begin(b, &s);
        b->ops->rope_kv(b, qkv, &c->a, &c->kv, layer, &s);
        b->ops->attn(b, out, qkv, &c->a, &c->kv, layer, &s);
        ops_end(b);
        for (int i = 0; i < s.n; i++)
            memcpy(y + (size_t)(seq[i] * LONG + pos[i]) * (size_t)wide,
                   out + (size_t)i * (size_t)wide, (size_t)wide * sizeof(*y));
    }
    free(qkv);
    free(out);
}

/* A head of a token, rotated in double. */
static void exact_head(const struct scene *c, int q, int pos, int head, bool rotate, double *out)
{
    const float *x = c->qkv + (size_t)(q * LONG + pos) * (size_t)c->row + head * c->a.head_dim;
    int half = c->a.rope_dims / 2;

    for (int i = 0; i < c->a.head_dim; i++)
        out[i] = (double)x[i];
    for (int i = 0; rotate && i < half; i++) {
        int u = c->a.rope_pairs_apart ? i : 2 * i, v = c->a.rope_pairs_apart ? i + half : 2 * i + 1;
        double angle = (double)((float)pos * c->freq[i]);

        out[u] = (double)x[u] * cos(angle) - (double)x[v] * sin(angle);
        out[v] = (double)x[u] * sin(angle) + (double)x[v] * cos(angle);
    }
}

/* Attention of one head of one token in double; |values| <= 3, so 1e-5 is 2^-18 of them. */
static int exact_attn(const struct scene *c, int q, int pos, int head, const float *y)
{
    int dim = c->a.head_dim, kv = c->a.n_heads + head / (c->a.n_heads / c->a.n_kv_heads), bad = 0;
    double query[128], key[128], p[LONG], top = -1e300, sum = 0;

    exact_head(c, q, pos, head, true, query);
    for (int j = 0; j <= pos; j++) {
        exact_head(c, q, j, kv, true, key);
        p[j] = 0;
        for (int i = 0; i < dim; i++)
            p[j] += query[i] * key[i];
        p[j] *= (double)c->a.scale;
        top = fmax(top, p[j]);
    }
    for (int j = 0; j <= pos; j++)
        sum += p[j] = exp(p[j] - top);
    for (int i = 0; i < dim; i++) {
        double exact = 0;

        for (int j = 0; j <= pos; j++) {
            const float *row = c->qkv + (size_t)(q * LONG + j) * (size_t)c->row;

            exact += p[j] / sum * (double)row[(kv + c->a.n_kv_heads) * dim + i];
        }
        bad += !near(exact, y[head * dim + i], 1e-5);
    }
    return bad;
}

/* What rope_kv put into the pages: keys rotated, values as they were. */
static int exact_pages(const struct scene *c, int layer)
{
    int dim = c->a.head_dim, bad = 0;
    double key[128];

    for (int q = 0; q < SEQS; q++)
        for (int pos = 0; pos < c->len[q]; pos += 7)
            for (int h = 0; h < c->a.n_kv_heads; h++) {
                size_t page = (size_t)c->page[q * c->max_pages + pos / BACKEND_PAGE];
                const float *k =
                    c->kv.data_d +
                    (((size_t)layer * PAGES + page) * (size_t)c->a.n_kv_heads + (size_t)h) * 2 *
                        BACKEND_PAGE * (size_t)dim +
                    pos % BACKEND_PAGE * dim;

                exact_head(c, q, pos, c->a.n_heads + h, true, key);
                for (int i = 0; i < dim; i++)
                    bad += !near(key[i], k[i], 2e-6);
                exact_head(c, q, pos, c->a.n_heads + c->a.n_kv_heads + h, false, key);
                for (int i = 0; i < dim; i++)
                    bad += key[i] != (double)k[BACKEND_PAGE * dim + i];
            }
    return bad;
}

static void test_attn(struct ops *o)
{
    TEST("rope_kv and attn: shuffled pages, mixed sequences, chunks, shared heads");
    for (int k = 0; k < 8; k++) {
        struct scene c;
        size_t all;
        float *y, *z;
        int bad = 0, wide;

        scene_open(o, &c);
        wide = c.a.n_heads * c.a.head_dim;
        all = (size_t)wide * LONG * SEQS;
        y = mem_zero(all, sizeof(*y));
        z = mem_zero(all, sizeof(*z));
        scene_run(&c, o->b[0], LONG, 1, y);
        CHECK(exact_pages(&c, 1) == 0);
        for (int q = 0; q < SEQS; q++)
            for (int pos = 0; pos < c.len[q]; pos += 1 + pos / 3)
                bad += exact_attn(&c, q, pos, ops_pick(o, 0, c.a.n_heads - 1),
                                  y + (size_t)(q * LONG + pos) * (size_t)wide);
        CHECK(bad == 0);
        for (int i = 0; i < o->n; i++) {
            static const int chunks[] = {1, 7, 64, 100, LONG};

            scene_run(&c, o->b[i], chunks[(k + i) % 5], i % LAYERS, z);
            CHECK(ops_differs(y, z, all) < 0);
        }
        free(y);
        free(z);
        scene_close(&c);
    }
}

/* ---- opening ---- */

static void test_open(void)
{
    struct err e;
    struct backend *b = backend_cpu_open(0, ISA_AUTO, &e);

    TEST("backend: threads by default, and what cannot be");
    CHECK(b && backend_cpu_threads(b) >= 1 && strlen(backend_cpu_isa(b)) > 3);
    backend_close(b);
    backend_close(NULL);
    CHECK(!backend_cpu_open(-1, ISA_AUTO, &e) && e.code == ERR_ARG);
    CHECK(!backend_cpu_open(100000, ISA_AUTO, &e) && strstr(e.msg, "100000"));
}

int main(void)
{
    struct ops o;

    ops_open(&o);
    test_norm(&o);
    test_glu(&o);
    test_rows(&o);
    test_attn(&o);
    test_open();
    ops_close(&o);
    return test_end();
}
