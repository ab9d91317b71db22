/* num_test.c - the float functions against libm in double, and their edges. */
#include "num.h"
#include "test.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>

/* |a - b| in units of the last place of b as a float. */
static double ulps(float a, double b)
{
    float f = fabsf((float)b);

    if (isinf(f))
        return isinf(a) ? 0 : 1e9;
    return fabs((double)a - b) / ((double)nextafterf(f, INFINITY) - (double)f);
}

static uint32_t next(uint32_t *s)
{
    return *s = *s * 1664525u + 1013904223u;
}

static void test_exp(void)
{
    double worst = 0;
    uint32_t s = 1;

    TEST("num_exp: within 1.1 ulp from -110 to 90, and its edges");
    for (int i = 0; i < 1 << 20; i++) {
        float x = (float)next(&s) * 0x1p-32f * 200.0f - 110.0f;

        if (x < 88.7f)
            worst = fmax(worst, ulps(num_exp(x), exp((double)x)));
    }
    CHECK(worst < 1.1);
    CHECK(num_exp(0.0f) == 1.0f && num_exp(-0.0f) == 1.0f);
    CHECK(num_exp(-INFINITY) == 0.0f && num_exp(-104.0f) == 0.0f && num_exp(-1e30f) == 0.0f);
    CHECK(isinf(num_exp(INFINITY)) && isinf(num_exp(89.0f)) && num_exp(88.7f) < INFINITY);
    CHECK(isnan(num_exp(NAN)));
    CHECK(num_exp(-103.0f) > 0.0f); // below the smallest normal float
}

static void test_silu(void)
{
    double worst = 0;
    uint32_t s = 2;

    TEST("num_silu and num_rsqrt");
    for (int i = 0; i < 1 << 18; i++) {
        float x = (float)next(&s) * 0x1p-32f * 160.0f - 80.0f;

        worst = fmax(worst, ulps(num_silu(x), (double)x / (1 + exp(-(double)x))));
    }
    CHECK(worst < 4);
    CHECK(num_silu(0.0f) == 0.0f && num_silu(1e30f) == 1e30f && num_silu(-1e30f) == 0.0f);
    CHECK(num_rsqrt(4.0f) == 0.5f && isinf(num_rsqrt(0.0f)));
}

static void test_tanh(void)
{
    double worst = 0, gelu = 0, tail = 0;
    uint32_t s = 6;

    TEST("num_tanh: within 3 ulp, near 0 too; num_gelu: within 3e-7; num_relu2");
    for (int i = 0; i < 1 << 20; i++) {
        float x = (float)(int32_t)next(&s) * (i % 3 ? 0x1p-28f : i % 2 ? 0x1p-33f : 0x1p-50f);
        double u = 0.79788456080286536 * (double)x * (1 + 0.044715 * (double)x * (double)x);

        worst = fmax(worst, ulps(num_tanh(x), tanh((double)x)));
        gelu = fmax(gelu, fabs((double)num_gelu(x) - (double)x * (1 + tanh(u)) / 2));
        tail =
            fmax(tail, fabs((double)num_gelu_erf(x) - (double)x * erfc(-(double)x / sqrt(2)) / 2) /
                           fmax(fabs((double)x), 1));
    }
    CHECK(worst < 3);
    CHECK(gelu < 1e-6 && tail < 3e-7);
    CHECK(num_gelu_erf(0.0f) == 0.0f && num_gelu_erf(1e30f) == 1e30f);
    CHECK(fabsf(num_gelu_erf(-1e30f)) < 1e-40f && num_gelu_erf(INFINITY) == INFINITY);
    CHECK(isnan(num_gelu_erf(NAN)));
    CHECK(num_tanh(0.0f) == 0.0f && num_tanh(9.5f) == 1.0f && num_tanh(-9.5f) == -1.0f);
    CHECK(num_tanh(INFINITY) == 1.0f && num_tanh(-INFINITY) == -1.0f && isnan(num_tanh(NAN)));
    CHECK(num_gelu(0.0f) == 0.0f && num_gelu(1e30f) == 1e30f && num_gelu(-1e30f) == 0.0f);
    CHECK(num_relu2(-3.0f) == 0.0f && num_relu2(3.0f) == 9.0f && isnan(num_relu2(NAN)));
}

static void test_log(void)
{
    double worst = 0;
    uint32_t s = 3;

    TEST("num_log: within 0.51 ulp over all floats, and its edges");
    for (int i = 0; i < 1 << 20; i++) {
        float x = num_float(next(&s) & 0x7fffffff);

        if (x > 0.0f && x < INFINITY)
            worst = fmax(worst, ulps(num_log(x), log((double)x)));
    }
    CHECK(worst < 0.51);
    CHECK(num_log(1.0f) == 0.0f && num_log(0.0f) == -INFINITY && isinf(num_log(INFINITY)));
    CHECK(isnan(num_log(-1.0f)) && isnan(num_log(NAN)));
}

static void test_sincos(void)
{
    double worst = 0;
    uint32_t s = 4;
    float a, b;

    TEST("num_sincos: positions up to 2^24");
    for (int i = 0; i < 1 << 20; i++) {
        float x = (float)(int32_t)next(&s) * (i % 2 ? 0x1p-8f : 0x1p-24f);

        num_sincos(x, &a, &b);
        worst = fmax(worst, ulps(a, sin((double)x)));
        worst = fmax(worst, ulps(b, cos((double)x)));
    }
    CHECK(worst < 1);
    num_sincos(0.0f, &a, &b);
    CHECK(a == 0.0f && b == 1.0f);
    num_sincos(INFINITY, &a, &b);
    CHECK(isnan(a) && isnan(b));
}

static void test_pow(void)
{
    double worst = 0;

    TEST("num_pow: what rotary frequencies need");
    for (int i = 0; i < 128; i++)
        for (double base = 100; base < 1e8; base *= 3.7)
            worst = fmax(worst, ulps(num_pow((float)base, -i / 128.0),
                                     pow((double)(float)base, -i / 128.0)));
    CHECK(worst < 0.51);
    CHECK(num_pow(10000.0f, 0) == 1.0f);
}

/* One result on every machine: bytes that must never change. */
static void test_bytes(void)
{
    uint32_t h = 2166136261u, s = 5;

    TEST("the same bits everywhere");
    for (int i = 0; i < 100000; i++) {
        float x = (float)(int32_t)next(&s) * 0x1p-25f, a, b;
        uint32_t bits[7] = {num_bits(num_exp(x)), num_bits(num_log(fabsf(x) + 1e-20f)),
                            num_bits(num_silu(x))};

        num_sincos(x * 1000.0f, &a, &b);
        bits[3] = num_bits(a);
        bits[4] = num_bits(b);
        bits[5] = num_bits(num_tanh(x));
        bits[6] = num_bits(num_gelu(x));
        for (int k = 0; k < 7; k++)
            h = (h ^ bits[k]) * 16777619u;
    }
    CHECK(h == 0x49591203u);
}

int main(void)
{
    test_exp();
    test_silu();
    test_tanh();
    test_log();
    test_sincos();
    test_pow();
    test_bytes();
    return test_end();
}
