/* ops_test.c - the CPU's ops but linear and attention: against doubles, and by their bytes. */
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
    for (int k = 0; k < 42; k++) {
        const bool wide = k >= 40; // 48 KB, of a block's shared memory what needs no asking for
        int n = ops_pick(o, 1, 9), dim = wide ? 12288 : ops_pick(o, 1, 400), bad = 0;
        size_t all = (size_t)n * (size_t)dim;
        float *x = ops_floats(o, all), *w = ops_floats(o, (size_t)dim * 2), *y = mem_new(all * 4);
        float *z = mem_new(all * 4);
        struct norm_weight nw = {k % 2 ? NORM_LAYER : NORM_RMS, 1e-5f, w,
                                 k % 4 == 1 ? w + dim : NULL};

        o->b[0]->ops->norm(o->b[0], y, x, &nw, n, dim);
        for (int t = 0; t < n && !wide; t++) // the bound is for short sums
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

    exact = act == FFN_SILU       ? x / (1 + exp(-x))
            : act == FFN_GELU     ? x / (1 + exp(-2 * u))
            : act == FFN_GELU_ERF ? x * erfc(-x / sqrt(2)) / 2
            : x > 0               ? x * x
                                  : 0;
    exact *= up;
    return !near(exact, y,
                 fabs(exact) * (act == FFN_GELU || act == FFN_GELU_ERF ? 2e-5 : 1e-6) + 1e-34);
}

static void test_glu(struct ops *o)
{
    TEST("glu: act(gate) * up and act(up), and num.h's bytes");
    for (int k = 0; k < 60; k++) {
        int n = ops_pick(o, 1, 9), dim = ops_pick(o, 1, 300), bad = 0, gated = k % 2;
        struct ffn_shape f = {dim, gated, (enum ffn_act)(k % 4)};
        size_t all = (size_t)n * (size_t)dim, row = (size_t)dim * (gated ? 2 : 1);
        float *gu = ops_floats(o, all * 2), *y = mem_new(all * 4), *z = mem_new(all * 4);

        for (size_t i = 0; i < all * 2; i++)
            gu[i] *= i % 3 ? 8.0f : 100.0f;
        gu[0] = 0.0f;
        o->b[0]->ops->glu(o->b[0], y, gu, &f, n);
        for (size_t t = 0; t < (size_t)n; t++)
            for (size_t i = 0; i < (size_t)dim; i++) {
                float x = gu[t * row + i], up = gated ? gu[t * row + (size_t)dim + i] : 1.0f;
                float mine = f.act == FFN_SILU       ? num_silu(x)
                             : f.act == FFN_GELU     ? num_gelu(x)
                             : f.act == FFN_GELU_ERF ? num_gelu_erf(x)
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

/* ---- rows against rows ---- */

/* Lengths behind the fourths, of a row in lanes or by itself. */
static void rests(const float *x, int dim, int stride, float *rest, int rest_stride)
{
    for (int k = 1; k < 4; k++) {
        double sum = 0;

        for (int j = (int)((int64_t)dim * k / 4); j < dim; j++)
            sum += (double)x[j * stride] * (double)x[j * stride];
        rest[(k - 1) * rest_stride] = (float)(sqrt(sum) * 1.000001);
    }
}

/* Unit rows near to others, most of what they have in any fourth; sought with every floor. */
static void test_seek(struct ops *o)
{
    static const float floors[] = {-2, 0, 0.3f, 0.7f, 0.99f, 1.5f};

    TEST("nearest, dots left off early: the same where any is above");
    for (int round = 0; round < 60; round++) {
        int n = 1 + round * 7 % 45, m = 1 + round * 37 % 300, dim = 1 + round * 29 % 400;
        int wide = (m + 15) / 16 * 16;
        float *x = ops_floats(o, (size_t)(n * dim)), *c = mem_zero((size_t)(wide * dim), 4),
              *xr = mem_zero((size_t)n * 3, 4), *cr = mem_zero((size_t)wide * 3, 4),
              *row = ops_floats(o, (size_t)(m * dim));

        for (int i = 0; i < n + m; i++) {
            float *r = i < n ? x + i * dim : row + (i - n) * dim, *to = c, len = 0;

            for (int j = 0; j < dim; j++) {
                if (j / (dim / 4 + 1) != i % 5 && i % 5 < 4)
                    r[j] *= 0.1f;
                if (i >= n && i % 3)
                    r[j] = x[i % n * dim + j] + (i % 3 == 1 ? 0 : 0.3f * r[j]);
                len += r[j] * r[j];
            }
            len = len > 0 ? 1 / sqrtf(len) : 0;
            for (int j = 0; j < dim; j++)
                r[j] *= len;
            if (i < n) {
                rests(r, dim, 1, xr + 3 * i, 1);
                continue;
            }
            to = c + (size_t)((i - n) / 16 * dim * 16 + (i - n) % 16);
            for (int j = 0; j < dim; j++)
                to[j * 16] = r[j];
            rests(to, dim, 16, cr + (i - n) / 16 * 48 + (i - n) % 16, 16);
        }
        for (int b = 0; b < o->n; b++)
            for (size_t k = 0; k < sizeof(floors) / sizeof(*floors); k++) {
                float best[2][45];
                int32_t at[2][45];

                for (int i = 0; i < 2 * n; i++) {
                    best[i % 2][i / 2] = floors[k];
                    at[i % 2][i / 2] = -1;
                }
                o->b[b]->ops->nearest(o->b[b], best[0], at[0], x, n, c, m, dim, 0, NULL, NULL);
                o->b[b]->ops->nearest(o->b[b], best[1], at[1], x, n, c, m, dim, 0, xr, cr);
                CHECK(!memcmp(best[0], best[1], (size_t)n * sizeof(float)));
                CHECK(!memcmp(at[0], at[1], (size_t)n * sizeof(int32_t)));
            }
        free(x);
        free(c);
        free(xr);
        free(cr);
        free(row);
    }
}

static void test_dots(struct ops *o)
{
    TEST("dots and nearest: every size of tile, ties to the lowest, the same bytes");
    for (int k = 0; k < 24; k++) {
        int n = ops_pick(o, 1, 45), m = ops_pick(o, 1, 150), dim = ops_pick(o, 1, 80), bad = 0;
        float *x = ops_floats(o, (size_t)(n * dim)), *c = ops_floats(o, (size_t)(m * dim));
        size_t size = (size_t)(m + 15) / 16 * 16 * (size_t)dim;
        float *panel = mem_zero(size, sizeof(float)), *y = mem_zero((size_t)(n * m), 4), *y2;
        float best[45], best2[45];
        int32_t at[45], at2[45];

        y2 = mem_zero((size_t)(n * m), 4);
        for (int i = 0; i < m; i++)
            for (int j = 0; j < dim; j++)
                panel[((size_t)(i / 16) * (size_t)dim + (size_t)j) * 16 + (size_t)(i % 16)] =
                    c[(i > 20 ? i - 17 : i) * dim + j]; // some rows twice
        o->b[0]->ops->dots(o->b[0], y, x, n, panel, m, dim);
        for (int i = 0; i < n; i++) {
            float chain = 0, top = -INFINITY;

            best[i] = i % 7 == 3 ? 1e9f : -INFINITY;
            at[i] = -1;
            for (int j = 0; j < dim; j++)
                chain = fmaf(x[i * dim + j], panel[j * 16], chain);
            bad += chain != y[i * m];
            o->b[0]->ops->nearest(o->b[0], best + i, at + i, x + i * dim, 1, panel, m, dim, 100,
                                  NULL, NULL);
            for (int j = 0; j < m; j++)
                top = y[i * m + j] > top ? y[i * m + j] : top;
            for (int j = m - 1; j >= 0; j--)
                at2[i] = y[i * m + j] == top ? j + 100 : at2[i];
            bad += i % 7 == 3 ? at[i] != -1 || best[i] != 1e9f : at[i] != at2[i] || best[i] != top;
        }
        CHECK(bad == 0);
        for (int i = 0; i < o->n; i++) {
            for (int j = 0; j < n; j++) {
                best2[j] = j % 7 == 3 ? 1e9f : -INFINITY;
                at2[j] = -1;
            }
            o->b[i]->ops->dots(o->b[i], y2, x, n, panel, m, dim);
            o->b[i]->ops->nearest(o->b[i], best2, at2, x, n, panel, m, dim, 100, NULL, NULL);
            CHECK(ops_differs(y, y2, (size_t)(n * m)) < 0);
            CHECK(ops_differs(best, best2, (size_t)n) < 0);
            CHECK(!memcmp(at, at2, (size_t)n * sizeof(*at)));
        }
        free(x);
        free(c);
        free(panel);
        free(y);
        free(y2);
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
    test_dots(&o);
    test_seek(&o);
    test_rows(&o);
    test_open();
    ops_close(&o);
    return test_end();
}
