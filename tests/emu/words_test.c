/* words_test.c - the instructions of gpu.h against plain products: which register holds which
 * value, and how it is rounded. */
#include "gpu_test.h"
#include "quant.h"
#include "words.h"

/* Value k of a row of K, as exact numbers. */
static int value(const uint8_t *row, int what, bool is_a, int k)
{
    const uint16_t *h = (const uint16_t *)row;

    if (what == WORDS_F16)
        return (int)quant_f16(h[k]);
    if (what == WORDS_BF16)
        return (int)quant_bf16(h[k]);
    return is_a && (what == WORDS_U8S8 || what == WORDS_U8S8_K16) ? row[k] : (int8_t)row[k];
}

/* Whole numbers, whose sums are exact in any order. */
static void fill(struct ops *o, uint8_t *p, int n, int what)
{
    for (int i = 0; i < n; i++)
        p[i] = (uint8_t)ops_bits(o);
    for (int i = 0; what <= WORDS_BF16 && i < n / 2; i++) {
        float x = (float)ops_pick(o, -100, 100);

        ((uint16_t *)p)[i] = what == WORDS_F16 ? quant_to_f16(x) : quant_to_bf16(x);
    }
}

static void test_mma(struct ops *o, int what)
{
    int k = what >= WORDS_S8_K16 ? 16 : what >= WORDS_S8 ? 32 : 16, bad = 0;
    size_t row = what <= WORDS_BF16 ? 32 : (size_t)k;
    uint16_t room_a[16 * 16], room_b[8 * 16];
    uint8_t *a = (uint8_t *)room_a, *b = (uint8_t *)room_b;
    int32_t d[128], y[128];
    void *a_d, *b_d, *d_d;

    fill(o, a, (int)(16 * row), what);
    fill(o, b, (int)(8 * row), what);
    for (int i = 0; i < 128; i++) {
        float x = (float)(d[i] = ops_pick(o, -1000, 1000));

        if (what <= WORDS_BF16)
            memcpy(&y[i], &x, 4);
        else
            y[i] = d[i];
    }
    a_d = gpu_put(a, 16 * row);
    b_d = gpu_put(b, 8 * row);
    d_d = gpu_put(y, sizeof(y));
    words_mma(d_d, a_d, b_d, what, NULL);
    gpu_get(y, d_d, sizeof(y));
    for (int i = 0; i < 128; i++) {
        float x;

        for (int j = 0; j < k; j++)
            d[i] += value(a + (size_t)(i / 8) * row, what, true, j) *
                    value(b + (size_t)(i % 8) * row, what, false, j);
        memcpy(&x, &y[i], 4);
        bad += (what <= WORDS_BF16 ? (int)x : y[i]) != d[i];
    }
    CHECK(bad == 0);
    gpu_free(a_d);
    gpu_free(b_d);
    gpu_free(d_d);
}

static void test_tile(struct ops *o)
{
    uint16_t a[16 * 16], b[16 * 8];
    float d[128], y[128];
    void *a_d, *b_d, *d_d;

    fill(o, (uint8_t *)a, sizeof(a), WORDS_F16);
    fill(o, (uint8_t *)b, sizeof(b), WORDS_F16);
    for (int i = 0; i < 128; i++)
        d[i] = (float)ops_pick(o, -1000, 1000);
    a_d = gpu_put(a, sizeof(a));
    b_d = gpu_put(b, sizeof(b));
    d_d = gpu_put(d, sizeof(d));
    words_tile(d_d, a_d, b_d, NULL);
    gpu_get(y, d_d, sizeof(y));
    for (int i = 0; i < 128; i++)
        for (int k = 0; k < 16; k++)
            d[i] += quant_f16(a[i / 8 * 16 + k]) * quant_f16(b[k * 8 + i % 8]);
    CHECK(ops_differs(d, y, 128) < 0);
    gpu_free(a_d);
    gpu_free(b_d);
    gpu_free(d_d);
}

static void test_dp4a(struct ops *o)
{
    enum { N = 1000 };
    static uint32_t a[N], b[N];
    static int y[2 * N];
    int c = -77, bad = 0;
    void *a_d, *b_d, *c_d, *y_d = gpu_alloc(sizeof(y));

    for (int i = 0; i < N; i++) {
        a[i] = (uint32_t)ops_bits(o);
        b[i] = (uint32_t)ops_bits(o);
    }
    a_d = gpu_put(a, sizeof(a));
    b_d = gpu_put(b, sizeof(b));
    c_d = gpu_put(&c, sizeof(c));
    words_dp4a(y_d, a_d, b_d, c_d, N, NULL);
    gpu_get(y, y_d, sizeof(y));
    for (int i = 0; i < N; i++) {
        int s = c, u = c;

        for (int k = 0; k < 32; k += 8) {
            s += (int8_t)(a[i] >> k) * (int8_t)(b[i] >> k);
            u += (uint8_t)(a[i] >> k) * (int8_t)(b[i] >> k);
        }
        bad += y[i] != s || y[N + i] != u;
    }
    CHECK(bad == 0);
    gpu_free(a_d);
    gpu_free(b_d);
    gpu_free(c_d);
    gpu_free(y_d);
}

/* Products are rounded before sums unless fmaf is written: as -ffp-contract=off does here. */
static void test_fma(struct ops *o)
{
    enum { N = 4096 };
    float *x = ops_floats(o, 3 * N), *y = mem_new(2 * N * sizeof(*y));
    void *x_d = gpu_put(x, 3 * N * sizeof(*x)), *y_d = gpu_alloc(2 * N * sizeof(*y));
    int bad = 0, differ = 0;

    words_fma(y_d, x_d, N, NULL);
    gpu_get(y, y_d, 2 * N * sizeof(*y));
    for (int i = 0; i < N; i++) {
        bad += y[i] != x[i] * x[N + i] + x[2 * N + i];
        bad += y[N + i] != fmaf(x[i], x[N + i], x[2 * N + i]);
        differ += y[i] != y[N + i];
    }
    CHECK(bad == 0 && differ > 0);
    gpu_free(x_d);
    gpu_free(y_d);
    free(x);
    free(y);
}

int main(void)
{
    static const char *const name[] = {
        "mma f16: fragments",  "mma bf16: fragments",     "mma s8: fragments",
        "mma u8s8: fragments", "mma s8, K 16: fragments", "mma u8s8, K 16: fragments",
    };
    struct ops o = {.random = 1};

    if (gpu_begin())
        return 2;
    for (int what = WORDS_F16; what <= WORDS_U8S8_K16; what++) {
        TEST(name[what]);
        for (int i = 0; i < 20; i++)
            test_mma(&o, what);
    }
    TEST("cp.async, ldmatrix, ldmatrix.trans: places");
    for (int i = 0; i < 20; i++)
        test_tile(&o);
    TEST("dp4a: signs");
    test_dp4a(&o);
    TEST("a product and a sum are rounded as they are written");
    test_fma(&o);
    return test_end();
}
