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

/* One row in double. RMSNorm: |error| <= 4e-7 of the value: 16 sums of dim / 16 squares,
 * sqrt, two divisions, two products. LayerNorm subtracts twice: 2e-6 of the row's
 * largest, as |x|, |w|, |b| <= 1; where all values are alike it is ill-conditioned
 * (a row of one is nothing but its bias). */
static int exact_norm(const struct norm_weight *w, const float *x, const float *y, int dim)
{
    double s = 0, mean = 0;
    int bad = 0;

    for (int i = 0; w->kind == NORM_LAYER && i < dim; i++)
        mean += (double)x[i] / dim;
    for (int i = 0; i < dim; i++)
        s += ((double)x[i] - mean) * ((double)x[i] - mean);
    s = 1 / sqrt(s / dim + (double)w->eps);
    for (int i = 0; i < dim; i++) {
        double exact = ((double)x[i] - mean) * s * (double)w->w_d[i];
        double slack = w->kind == NORM_LAYER ? 1e-6 + 1e-6 * s : fabs(exact) * 1e-6;

        exact += w->b_d ? (double)w->b_d[i] : 0;
        bad += !near(exact, y[i], slack);
    }
    return bad;
}

static void test_norm(struct ops *o)
{
    TEST("norm: RMSNorm and LayerNorm of rows");
    for (int k = 0; k < 40; k++) {
        int n = ops_pick(o, 1, 9), dim = ops_pick(o, 1, 400), bad = 0;
        size_t all = (size_t)n * (size_t)dim;
        float *x = ops_floats(o, all), *w = ops_floats(o, (size_t)dim * 2), *y = mem_new(all * 4);
        float *z = mem_new(all * 4);
        struct norm_weight nw = {k % 2 ? NORM_LAYER : NORM_RMS, 1e-5f, w,
                                 k % 4 == 1 ? w + dim : NULL};

        o->b[0]->ops->norm(o->b[0], y, x, &nw, n, dim);
        for (int t = 0; t < n; t++)
            bad += exact_norm(&nw, x + t * dim, y + t * dim, dim);
        CHECK(bad == 0);
        for (int i = 0; i < o->n; i++) {
            struct backend *b = o->b[i];

            for (int t = 0; t < n; t++) // a row at a time, in place
                b->ops->norm(b, memcpy(z + t * dim, x + t * dim, (size_t)dim * 4), z + t * dim, &nw,
                             1, dim);
            CHECK(ops_differs(y, z, all) < 0);
            b->ops->norm(b, z, x, &nw, n, dim);
            CHECK(ops_differs(y, z, all) < 0);
        }
        for (int i = 0; i < o->n; i++) {
            float *sum = memcpy(mem_new(all * 4), x, all * 4);

            o->b[i]->ops->norm_add(o->b[i], sum, x, &nw, n, dim);
            for (size_t j = 0; j < all; j++)
                bad += sum[j] != x[j] + y[j];
            free(sum);
        }
        CHECK(bad == 0);
        free(x);
        free(w);
        free(y);
        free(z);
    }
}

/* |error| <= 1e-6 of the value (exp within 1 ulp, and four more roundings), or 1e-34:
 * below gate = -88 e^-gate is infinite. GELU's exponent is rounded at its own size,
 * which there is 88 at most: 2e-5. */
static int exact_act(enum ffn_act act, float gate, double up, float y)
{
    double x = (double)gate, u = 0.79788456080286536 * (x + 0.044715 * x * x * x), exact;

    exact = act == FFN_SILU   ? x / (1 + exp(-x))
            : act == FFN_GELU ? x / (1 + exp(-2 * u))
            : x > 0           ? x * x
                              : 0;
    exact *= up;
    return !near(exact, y, fabs(exact) * (act == FFN_GELU ? 2e-5 : 1e-6) + 1e-34);
}

static void test_glu(struct ops *o)
{
    TEST("glu: act(gate) * up and act(up), and num.h's bytes");
    for (int k = 0; k < 60; k++) {
        int n = ops_pick(o, 1, 9), dim = ops_pick(o, 1, 300), bad = 0, gated = k % 2;
        struct ffn_shape f = {dim, gated, (enum ffn_act)(k % 3)};
        size_t all = (size_t)n * (size_t)dim, row = (size_t)dim * (gated ? 2 : 1);
        float *gu = ops_floats(o, all * 2), *y = mem_new(all * 4), *z = mem_new(all * 4);

        for (size_t i = 0; i < all * 2; i++)
            gu[i] *= i % 3 ? 8.0f : 100.0f;
        gu[0] = 0.0f;
        o->b[0]->ops->glu(o->b[0], y, gu, &f, n);
        for (size_t t = 0; t < (size_t)n; t++)
            for (size_t i = 0; i < (size_t)dim; i++) {
                float x = gu[t * row + i], up = gated ? gu[t * row + (size_t)dim + i] : 1.0f;
                float mine = f.act == FFN_SILU   ? num_silu(x)
                             : f.act == FFN_GELU ? num_gelu(x)
                                                 : num_relu2(x);

                mine = gated ? mine * up : mine;
                bad += exact_act(f.act, x, (double)up, y[t * (size_t)dim + i]);
                bad += memcmp(&mine, &y[t * (size_t)dim + i], 4) != 0;
            }
        CHECK(bad == 0);
        for (int i = 0; i < o->n; i++) {
            o->b[i]->ops->glu(o->b[i], z, gu, &f, n);
            CHECK(ops_differs(y, z, all) < 0);
            for (int t = 0; t < n; t++)
                o->b[i]->ops->glu(o->b[i], z + t * dim, gu + (size_t)t * row, &f, 1);
            CHECK(ops_differs(y, z, all) < 0);
        }
        free(gu);
        free(y);
        free(z);
    }
}

static void test_softcap(struct ops *o)
{
    TEST("softcap: cap * tanh(x / cap)");
    for (int k = 0; k < 10; k++) {
        int n = ops_pick(o, 1, 5), dim = ops_pick(o, 1, 2000), bad = 0;
        size_t all = (size_t)n * (size_t)dim;
        float *x = ops_floats(o, all), *y = mem_new(all * 4), *z = mem_new(all * 4);
        float cap = k % 2 ? 30.0f : 50.0f;

        for (size_t i = 0; i < all; i++)
            x[i] *= i % 3 ? 100.0f : 1.0f;
        o->b[0]->ops->softcap(o->b[0], memcpy(y, x, all * 4), cap, n, dim);
        for (size_t i = 0; i < all; i++) {
            double exact = (double)cap * tanh((double)x[i] / (double)cap);

            bad += !near(exact, y[i], fabs(exact) * 1e-6);
        }
        CHECK(bad == 0);
        for (int i = 0; i < o->n; i++) {
            o->b[i]->ops->softcap(o->b[i], memcpy(z, x, all * 4), cap, n, dim);
            CHECK(ops_differs(y, z, all) < 0);
            memcpy(z, x, all * 4);
            for (int t = 0; t < n; t++)
                o->b[i]->ops->softcap(o->b[i], z + t * dim, cap, 1, dim);
            CHECK(ops_differs(y, z, all) < 0);
        }
        free(x);
        free(y);
        free(z);
    }
}

/* ---- rows of logits ---- */

static void test_logits(struct ops *o)
{
    TEST("row_max and row_exp: blocks of a row; NaN and infinities");
    for (int k = 0; k < 20; k++) {
        int n = ops_pick(o, 1, 1500), blocks = (n + BACKEND_ROW - 1) / BACKEND_ROW, bad = 0;
        float *x = ops_floats(o, (size_t)n), *e = mem_new((size_t)n * 4),
              *e2 = mem_new((size_t)n * 4);
        float max[16], max2[16], sum[16], sum2[16], temp = k % 2 ? 1.0f : 0.7f;

        for (int i = 0; i < n; i++)
            x[i] = k > 10 && i % 11 == 3 ? (i % 2 ? NAN : -INFINITY) : x[i] * 20;
        o->b[0]->ops->row_max(o->b[0], max, x, n);
        for (int i = 0; i < n; i++)
            bad += x[i] > max[i / BACKEND_ROW];
        for (int i = 0; i < n; i++)
            x[i] = x[i] != x[i] ? -INFINITY : x[i];
        o->b[0]->ops->row_exp(o->b[0], e, sum, x, n, temp, 3);
        for (int b = 0; b < blocks; b++) {
            double all = 0;

            for (int i = b * BACKEND_ROW; i < n && i < (b + 1) * BACKEND_ROW; i++) {
                double exact = exp((double)(x[i] / temp - 3));

                all += exact;
                bad += !near(exact, e[i], exact * 1e-6);
            }
            bad += !near(all, sum[b], all * 1e-6);
        }
        CHECK(bad == 0);
        for (int i = 1; i < o->n; i++) {
            o->b[i]->ops->row_max(o->b[i], max2, x, n);
            o->b[i]->ops->row_exp(o->b[i], e2, sum2, x, n, temp, 3);
            CHECK(ops_differs(max, max2, (size_t)blocks) < 0);
            CHECK(ops_differs(sum, sum2, (size_t)blocks) < 0);
            CHECK(ops_differs(e, e2, (size_t)n) < 0);
        }
        free(x);
        free(e);
        free(e2);
    }
}

/* ---- embed and gather ---- */

static void test_rows(struct ops *o)
{
    enum { DIM = 300, ROWS = 40, N = 21 };
    static uint16_t table[ROWS * DIM];
    static float place[ROWS * DIM];
    float y[N * DIM], z[N * DIM];
    int32_t token[N], pos[N], out[N];
    struct step s = {.n = N, .n_out = N, .token = token, .pos = pos, .out = out};
    struct weight w = {.rows = ROWS, .cols = DIM, .n_parts = 1}, p = w;
    struct err e;

    TEST("embed and gather: rows by number, scaled, with positions");
    for (int i = 0; i < ROWS * DIM; i++) {
        table[i] = quant_to_f16(ops_float(o));
        place[i] = ops_float(o);
    }
    for (int i = 0; i < N; i++) {
        token[i] = ops_pick(o, 0, ROWS - 1);
        pos[i] = ops_pick(o, 0, ROWS - 1);
        out[i] = ops_pick(o, 0, N - 1);
    }
    w.part[0] = (struct weight_part){.type = T_F16, .rows = ROWS, .host = table};
    p.part[0] = (struct weight_part){.type = T_F32, .rows = ROWS, .host = place};
    for (int i = 0; i < o->n; i++) {
        struct backend *b = o->b[i];

        CHECK(b->ops->weight(b, &w, &e) == 0 && b->ops->weight(b, &p, &e) == 0);
        b->ops->embed(b, y, &w, NULL, 1.0f, &s);
        b->ops->embed(b, z, &w, &p, 0.7f, &s);
        for (int k = 0; k < N * DIM; k++) {
            float x = quant_f16(table[token[k / DIM] * DIM + k % DIM]), scaled = x * 0.7f;

            CHECK(y[k] == x && z[k] == scaled + place[pos[k / DIM] * DIM + k % DIM]);
        }
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
    float freq[128], head_norm[256]; // of q, then of k
};

/* Half of the scenes have windows, soft caps and norms of heads, in all combinations. */
static void scene_open(struct ops *o, struct scene *c, int number)
{
    static const int windows[] = {1, 17, 64, 100};
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
    c->a.window = number & 1 ? windows[ops_pick(o, 0, 3)] : 0;
    c->a.softcap = number & 2 ? 2.0f : 0.0f;
    for (int i = 0; i < 256; i++)
        c->head_norm[i] = 1.0f + 0.5f * ops_float(o);
    if (number & 4) {
        c->a.q_norm = (struct norm_weight){NORM_RMS, 1e-5f, c->head_norm, NULL};
        c->a.k_norm = (struct norm_weight){NORM_RMS, 1e-5f, c->head_norm + 128, NULL};
    }
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

/* A head of a token, normed and rotated in double. */
static void exact_head(const struct scene *c, int q, int pos, int head, bool rotate, double *out)
{
    const float *x = c->qkv + (size_t)(q * LONG + pos) * (size_t)c->row + head * c->a.head_dim;
    const struct norm_weight *w = head < c->a.n_heads ? &c->a.q_norm : &c->a.k_norm;
    int half = c->a.rope_dims / 2;
    double s = 0;

    for (int i = 0; i < c->a.head_dim; i++)
        s += (double)x[i] * (double)x[i];
    s = w->w_d && rotate ? 1 / sqrt(s / c->a.head_dim + (double)w->eps) : 1;
    for (int i = 0; i < c->a.head_dim; i++)
        out[i] = (double)x[i] * s * (w->w_d && rotate ? (double)w->w_d[i] : 1);
    for (int i = 0; rotate && i < half; i++) {
        int p = c->a.rope_pairs_apart ? i : 2 * i, q2 = c->a.rope_pairs_apart ? i + half : p + 1;
        double angle = (double)((float)pos * c->freq[i]), u = out[p], v = out[q2];

        out[p] = u * cos(angle) - v * sin(angle);
        out[q2] = u * sin(angle) + v * cos(angle);
    }
}

/* Attention of one head of one token in double; |values| <= 3, so 1e-5 is 2^-18 of them. */
static int exact_attn(const struct scene *c, int q, int pos, int head, const float *y)
{
    int dim = c->a.head_dim, kv = c->a.n_heads + head / (c->a.n_heads / c->a.n_kv_heads), bad = 0;
    double query[128], key[128], p[LONG], top = -1e300, sum = 0, cap = (double)c->a.softcap;
    int first = c->a.window && pos >= c->a.window ? pos - c->a.window + 1 : 0;

    exact_head(c, q, pos, head, true, query);
    for (int j = first; j <= pos; j++) {
        exact_head(c, q, j, kv, true, key);
        p[j] = 0;
        for (int i = 0; i < dim; i++)
            p[j] += query[i] * key[i];
        p[j] *= (double)c->a.scale;
        p[j] = cap > 0 ? cap * tanh(p[j] / cap) : p[j];
        top = fmax(top, p[j]);
    }
    for (int j = first; j <= pos; j++)
        sum += p[j] = exp(p[j] - top);
    for (int i = 0; i < dim; i++) {
        double exact = 0;

        for (int j = first; j <= pos; j++) {
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
    TEST("rope_kv and attn: shuffled pages, mixed sequences, chunks, shared heads, windows, caps");
    for (int k = 0; k < 16; k++) {
        struct scene c;
        size_t all;
        float *y, *z;
        int bad = 0, wide;

        scene_open(o, &c, k);
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
    test_softcap(&o);
    test_logits(&o);
    test_rows(&o);
    test_attn(&o);
    test_open();
    ops_close(&o);
    return test_end();
}
