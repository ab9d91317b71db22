/* linear_test.c - y = W x: against doubles, and all paths by their bytes.
 *
 * Tolerances. Float weights: sums of K products, each within 2^-24 of its size,
 * so |error| <= 2^-18 sum|w x| is generous for K <= 1024. Quantized weights: an
 * activation is off by at most half a step, max|x| / 254 of its block, so
 * |error| <= sum|w| max|x| / 254 (1.001 for rounding) plus the float part. A device that sums half
 * floats on tensor cores rounds activations to the weights' type, by 2^-9 (BF16) or 2^-11 (F16). */
#include "ops.h"
#include "random_rows.h"

static const enum tensor_type types[] = {T_F32,  T_F16,    T_BF16,  T_Q8_0, T_Q4_0, T_Q4_1,
                                         T_Q5_0, T_Q5_1,   T_Q2_K,  T_Q3_K, T_Q4_K, T_Q5_K,
                                         T_Q6_K, T_IQ4_NL, T_MXFP4, T_NVFP4};
enum { N_TYPES = sizeof(types) / sizeof(types[0]) };

struct problem {
    struct weight w;
    uint8_t *mem[BACKEND_PARTS];
    float *bias[BACKEND_PARTS];
    float *x, *y0; // (n, cols), (n, rows) to add to
    int n;
};

static void make(struct ops *o, struct problem *p, int parts, const enum tensor_type *t,
                 const int *rows, int cols, int n)
{
    *p = (struct problem){.n = n};
    p->w.cols = cols;
    p->w.n_parts = parts;
    for (int i = 0; i < parts; i++) {
        p->mem[i] = random_rows(o, t[i], rows[i], cols);
        p->bias[i] = ops_bits(o) % 2 ? ops_floats(o, (size_t)rows[i]) : NULL;
        p->w.part[i] = (struct weight_part){
            .type = t[i], .rows = rows[i], .host = p->mem[i] + 1, .bias = p->bias[i]};
        p->w.rows += rows[i];
    }
    if (p->w.rows % 48 == 0) // how rows lie is seen in no result
        p->w.pairs = (const int[]){0, 1, 8, 24, p->w.rows / 2}[ops_pick(o, 0, 4)];
    p->x = ops_floats(o, (size_t)n * (size_t)cols);
    for (int i = 0; i < n * cols; i++) // blocks of very different size, and some zeros
        p->x[i] *= i / 32 % 5 == 0 ? 100.0f : i / 32 % 7 == 3 ? 0.0f : 1.0f;
    p->y0 = ops_floats(o, (size_t)n * (size_t)p->w.rows);
}

static void drop(struct problem *p)
{
    for (int i = 0; i < p->w.n_parts; i++) {
        free(p->mem[i]);
        free(p->bias[i]);
    }
    free(p->x);
    free(p->y0);
}

/* y for tokens from t on, at most n of them, into y (which holds y0's rows when adding):
 * from the file, while the weight is laid out anew, and from there. */
static void compute(struct backend *b, struct problem *p, int t, int n, bool add, float *y)
{
    struct weight w = p->w;
    const float *x = p->x + (size_t)t * (size_t)w.cols;
    size_t size = (size_t)n * (size_t)w.rows;
    float *first = mem_new(size * sizeof(*first));
    struct step s = {.n = n};
    struct err e;

    CHECK(b->ops->weight(b, &w, &e) == 0);
    for (int use = 0; use < 3; use++) {
        ops_begin(b, &s);
        if (add)
            memcpy(y, p->y0 + (size_t)t * (size_t)w.rows, size * sizeof(*y));
        if (add)
            b->ops->linear_add(b, y, &w, x, n);
        else
            b->ops->linear(b, y, &w, x, n);
        ops_end(b);
        if (use)
            CHECK(ops_differs(first, y, size) < 0);
        else
            memcpy(first, y, size * sizeof(*y));
    }
    free(first);
}

/* Largest |x| among the activations that share a scale with value i. */
static double block_max(const float *x, int i, int block)
{
    float max = 0;

    for (int j = i / block * block; j < (i / block + 1) * block; j++)
        max = fabsf(x[j]) > max ? fabsf(x[j]) : max;
    return (double)max;
}

/* Whether y is within bounds of the exact value y0 + w x + bias; w is the row as floats.
 * Activations were rounded by `rounded` of their size. */
static bool near(const struct problem *p, const float *w, int block, float bias, int t, float y0,
                 float y, double rounded)
{
    const float *x = p->x + (size_t)t * (size_t)p->w.cols;
    double exact = (double)bias, size = fabs(exact), slack = 0;

    for (int i = 0; i < p->w.cols; i++) {
        exact += (double)w[i] * (double)x[i];
        size += fabs((double)w[i] * (double)x[i]);
        if (block > 1)
            slack += fabs((double)w[i]) * block_max(x, i, block) / 254 * 1.001;
    }
    /* d scale q and the minimum cancel within w, so their rounding shows more than w x does */
    slack += (size + fabs((double)y0)) * 0x1p-18 + size * rounded +
             (block > 1 ? size * 0x1p-14 + 1e-4 : 0);
    return fabs(exact + (double)y0 - (double)y) <= slack;
}

/* rounded: half floats were multiplied on tensor cores. */
static void check_values(const struct problem *p, const float *y, const float *y_add, bool rounded)
{
    int bad = 0, bad_add = 0, first = 0, cols = p->w.cols;
    float w[1024];

    for (int i = 0; i < p->w.n_parts; first += p->w.part[i++].rows)
        for (int r = 0; r < p->w.part[i].rows; r++) {
            const struct weight_part *q = &p->w.part[i];
            const uint8_t *row =
                (const uint8_t *)q->host + (size_t)r * tensor_row_bytes(q->type, cols);
            float bias = q->bias ? q->bias[r] : 0;
            double by = q->type == T_BF16 ? 0x1p-8 : q->type == T_F16 ? 0x1p-10 : 0;

            quant_read(q->type, row, w, cols);
            for (int t = 0; t < p->n; t++) {
                size_t at = (size_t)t * (size_t)p->w.rows + (size_t)(first + r);

                bad += !near(p, w, tensor_block(q->type), bias, t, 0, y[at], rounded ? by : 0);
                bad_add += !near(p, w, tensor_block(q->type), bias, t, p->y0[at], y_add[at],
                                 rounded ? by : 0);
            }
        }
    CHECK(bad == 0);
    CHECK(bad_add == 0);
}

static bool halves_of(const struct problem *p)
{
    for (int i = 0; i < p->w.n_parts; i++)
        if (p->w.part[i].type == T_F16 || p->w.part[i].type == T_BF16)
            return true;
    return false;
}

/* Every backend, whole and token by token, gives the oracle's bytes; tensor cores give their own.
 */
static void check_bytes(struct ops *o, struct problem *p, float *y, float *y_add)
{
    size_t n = (size_t)p->n * (size_t)p->w.rows;
    float *z = mem_new(n * sizeof(*z));

    for (int i = 0; i < o->n; i++) {
        if (o->device && i == o->n - 1 && halves_of(p)) {
            compute(o->b[i], p, 0, p->n, false, y);
            compute(o->b[i], p, 0, p->n, true, y_add);
            check_values(p, y, y_add, true);
        }
        compute(o->b[i], p, 0, p->n, false, z);
        CHECK(ops_differs(y, z, n) < 0);
        compute(o->b[i], p, 0, p->n, true, z);
        CHECK(ops_differs(y_add, z, n) < 0);
        for (int t = 0, k; t < p->n; t += k) {
            k = i % 2 ? 1 : ops_pick(o, 1, p->n - t);
            compute(o->b[i], p, t, k, false, z + (size_t)t * (size_t)p->w.rows);
        }
        CHECK(ops_differs(y, z, n) < 0);
    }
    free(z);
}

static void check(struct ops *o, int parts, const enum tensor_type *t, const int *rows, int cols,
                  int n)
{
    struct problem p;
    float *y, *y_add;

    if (ops_skip(o))
        return;
    make(o, &p, parts, t, rows, cols, n);
    y = mem_new((size_t)n * (size_t)p.w.rows * sizeof(*y));
    y_add = mem_new((size_t)n * (size_t)p.w.rows * sizeof(*y_add));
    compute(o->b[0], &p, 0, n, false, y);
    compute(o->b[0], &p, 0, n, true, y_add);
    check_values(&p, y, y_add, false);
    check_bytes(o, &p, y, y_add);
    free(y);
    free(y_add);
    drop(&p);
}

static void test_type(struct ops *o, enum tensor_type t)
{
    static const int counts[] = {1, 2, 3, 5, 6, 7, 8, 13, 15, 16, 17, 33, 64, 70};

    TEST(tensor_type_name(t));
    for (int i = 0; i < (int)(sizeof(counts) / sizeof(counts[0])); i++) {
        int block = tensor_block(t), rows = ops_pick(o, 1, 70);
        int cols = block == 1 ? ops_pick(o, 1, i % 4 ? 300 : 1024)
                              : block * ops_pick(o, 1, block == 256 ? 4 : 16);
        cols = i == 1 ? block : block == 1 && i % 2 ? cols | 1 : cols;
        rows = i % 3 == 2 ? 48 * (1 + rows % 2) : rows;

        check(o, 1, &t, &rows, cols, counts[i]);
    }
}

static void test_parts(struct ops *o)
{
    TEST("linear: three parts of different types");
    for (int i = 0; i < 12; i++) {
        enum tensor_type t[3];
        int rows[3];

        for (int k = 0; k < 3; k++) {
            t[k] = types[ops_pick(o, 0, N_TYPES - 1)];
            rows[k] = i % 3 ? ops_pick(o, 1, 40) : 48;
        }
        check(o, 3, t, rows, 256 * ops_pick(o, 1, 3), ops_pick(o, 1, 20));
    }
}

/* The largest values that integers must hold: every weight and activation at its limit. */
static void test_extremes(struct ops *o)
{
    TEST("linear: integer sums at their limits");
    for (int k = 3; k < N_TYPES; k++)
        for (int byte = 0; byte < 256; byte += 51) {
            struct problem p;
            int rows = 9, n = 18, cols = 512;
            size_t block = tensor_block_bytes(types[k]), at, half = halves(types[k], &at);
            size_t bytes = tensor_row_bytes(types[k], cols) * (size_t)rows;
            float *y = mem_new(sizeof(*y) * 9 * 18), *y_add = mem_new(sizeof(*y) * 9 * 18);

            make(o, &p, 1, &types[k], &rows, cols, n);
            for (size_t i = 0; i < bytes; i++) // all but the float scales
                if (i % block < at || i % block >= at + half)
                    p.mem[0][1 + i] = (uint8_t)(byte == 255 ? 0x80 : byte);
            for (int i = 0; i < n * cols; i++)
                p.x[i] = i / cols % 2 ? -3.0f : 3.0f;
            compute(o->b[0], &p, 0, n, false, y);
            compute(o->b[0], &p, 0, n, true, y_add);
            check_bytes(o, &p, y, y_add);
            free(y_add);
            free(y);
            drop(&p);
        }
}

static void test_refused(struct ops *o)
{
    struct backend *b = o->b[0];
    struct weight w = {.rows = 1, .cols = 33, .n_parts = 1};
    uint8_t bytes[64] = {0};
    struct err e;

    TEST("weight: types and widths that linear cannot do are refused");
    w.part[0] = (struct weight_part){.type = T_Q8_0, .rows = 1, .host = bytes};
    CHECK(b->ops->weight(b, &w, &e) < 0 && e.code == ERR_ARG && strstr(e.msg, "33"));
    w.part[0].type = T_I32;
    CHECK(b->ops->weight(b, &w, &e) < 0 && strstr(e.msg, "I32"));
}

int main(void)
{
    struct ops o;

    ops_open(&o);
    for (int i = 0; i < N_TYPES; i++)
        test_type(&o, types[i]);
    test_parts(&o);
    test_extremes(&o);
    test_refused(&o);
    ops_close(&o);
    return test_end();
}
