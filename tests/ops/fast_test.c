/* fast_test.c - products of prompts by cuBLAS, against doubles: every type of weight, several in
 * one, columns and rows of any number, biases, what is added to. Weights and activations are
 * rounded to BF16, each by 2^-9 at most. Only with a device; on one without cuBLAS nothing is
 * tested. */
#include "ops.h"
#include "quant.h"
#include "tensor.h"

static const enum tensor_type types[] = {T_F32,  T_F16,    T_BF16,  T_Q8_0, T_Q4_0, T_Q4_1,
                                         T_Q5_0, T_Q5_1,   T_Q2_K,  T_Q3_K, T_Q4_K, T_Q5_K,
                                         T_Q6_K, T_IQ4_NL, T_MXFP4, T_NVFP4};
enum { N_TYPES = sizeof(types) / sizeof(types[0]), MOST = 70, COLS = 1024 };

/* Random blocks with scales of a sane size. */
static uint8_t *random_rows(struct ops *o, enum tensor_type t, int rows, int cols)
{
    size_t n = tensor_row_bytes(t, cols) * (size_t)rows, block = tensor_block_bytes(t);
    size_t at = t == T_Q6_K ? 208 : t == T_Q2_K ? 80 : t == T_Q3_K ? 108 : 0;
    bool two = t == T_Q4_1 || t == T_Q5_1 || t == T_Q2_K || t == T_Q4_K || t == T_Q5_K;
    uint8_t *w = mem_new(n);

    for (size_t i = 0; i < n; i++)
        w[i] = (uint8_t)ops_bits(o);
    for (size_t i = 0; i < n; i += block) {
        float x = ops_float(o);
        uint16_t h = t == T_BF16 ? quant_to_bf16(x) : quant_to_f16(t == T_F16 ? x : x / 64);

        if (t == T_MXFP4 || t == T_NVFP4)
            for (size_t k = 0; k < (t == T_MXFP4 ? 1 : 4); k++)
                w[i + k] = (uint8_t)(t == T_MXFP4 ? ops_pick(o, 112, 124) : ops_pick(o, 0, 80));
        else
            memcpy(w + i + at, t == T_F32 ? (void *)&x : (void *)&h, t == T_F32 ? 4 : 2);
        if (two)
            memcpy(w + i + at + 2, &h, 2);
    }
    return w;
}

struct result {
    int bad, rough; // beyond the bound; not what floats would give
};

static void compare(const struct weight *w, const float *x, const float *y0, const float *y, int n,
                    struct result *out)
{
    float row[COLS];

    for (int i = 0, first = 0; i < w->n_parts; first += w->part[i++].rows)
        for (int r = 0; r < w->part[i].rows; r++) {
            const struct weight_part *p = &w->part[i];

            quant_read(p->type,
                       (const uint8_t *)p->host + (size_t)r * tensor_row_bytes(p->type, w->cols),
                       row, w->cols);
            for (int t = 0; t < n; t++) {
                size_t at = (size_t)t * (size_t)w->rows + (size_t)(first + r);
                double bias = p->bias ? (double)p->bias[r] : 0, old = y0 ? (double)y0[at] : 0;
                double exact = bias + old, size = fabs(bias) + fabs(old), off;

                for (int k = 0; k < w->cols; k++) {
                    double v = (double)row[k] * (double)x[t * w->cols + k];

                    exact += v;
                    size += fabs(v);
                }
                off = fabs(exact - (double)y[at]);
                out->bad += !(off <= size * (0x1p-8 + 0x1p-16) + 1e-30);
                out->rough += off > size * 0x1p-16;
            }
        }
}

static void try(struct ops *o, struct backend *b, int parts, const enum tensor_type *t, int cols,
                int n, struct result *out)
{
    struct weight w = {.cols = cols, .n_parts = parts}, d;
    size_t all;
    float *x = ops_floats(o, (size_t)n * (size_t)cols), *y0, *y;
    struct step s = {.n = n};
    struct err e;

    for (int i = 1; i < n; i += 2) { // columns by themselves: the values of the weights
        memset(x + i * cols, 0, (size_t)cols * sizeof(*x));
        x[i * cols + ops_pick(o, 0, cols - 1)] = 1;
    }
    d.pairs = (const int[]){0, 1, 8, 24}[ops_pick(o, 0, 3)]; // how rows lie is seen in no result
    for (int i = 0; i < parts; i++) {
        int rows = d.pairs ? 48 * ops_pick(o, 1, 2) : ops_pick(o, 1, 50);

        w.part[i] = (struct weight_part){.type = t[i], .rows = rows};
        w.part[i].host = random_rows(o, t[i], rows, cols);
        w.part[i].bias = ops_pick(o, 0, 1) ? ops_floats(o, (size_t)rows) : NULL;
        w.rows += rows;
    }
    w.pairs = d.pairs == 24 && parts == 1 ? w.rows / 2 : d.pairs;
    all = (size_t)n * (size_t)w.rows;
    y0 = ops_floats(o, all);
    y = mem_zero(all, sizeof(*y));
    d = w;
    CHECK(b->ops->weight(b, &d, &e) == 0);
    ops_begin(b, &s);
    b->ops->linear(b, y, &d, x, n);
    ops_end(b);
    compare(&w, x, NULL, y, n, out);
    memcpy(y, y0, all * sizeof(*y));
    ops_begin(b, &s);
    b->ops->linear_add(b, y, &d, x, n);
    ops_end(b);
    compare(&w, x, y0, y, n, out);
    free(x);
    free(y);
    free(y0);
    for (int i = 0; i < parts; i++) {
        free((void *)(uintptr_t)w.part[i].host);
        free((void *)(uintptr_t)w.part[i].bias);
    }
}

static void test_all(struct ops *o, struct backend *b)
{
    for (int i = 0; i < N_TYPES; i++) {
        struct result r = {0};
        int block = tensor_block(types[i]);

        TEST(tensor_type_name(types[i]));
        for (int k = 0; k < 3; k++)
            if (!ops_skip(o))
                try(o, b, 1, &types[i],
                    block > 1 ? block * ops_pick(o, 1, COLS / block / 2) : ops_pick(o, 1, 300),
                    ops_pick(o, 65, MOST), &r);
        CHECK(r.bad == 0);
        CHECK(r.rough > 0 || o->parts > 1); // else it was not done so
    }
    TEST("several matrices in one product");
    for (int i = 0; i < 6; i++) {
        enum tensor_type t[3];
        struct result r = {0};

        for (int k = 0; k < 3; k++)
            t[k] = types[i % 2 ? 2 : ops_pick(o, 0, N_TYPES - 1)];
        if (!ops_skip(o))
            try(o, b, 1 + i % 3, t, 256 * ops_pick(o, 1, 3), ops_pick(o, 65, MOST), &r);
        CHECK(r.bad == 0);
    }
}

int main(void)
{
    struct ops o;
    struct err e = {0};

    ops_open(&o);
    if (!o.device) {
        SKIP("no device");
    } else if (o.b[1]->ops->fast(o.b[1], &e)) {
        SKIP(e.msg);
    } else {
        test_all(&o, o.b[1]);
    }
    ops_close(&o);
    return test_end();
}
