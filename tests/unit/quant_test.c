/* quant_test.c - block layouts against the published package's values, half floats. */
#include "mem.h"
#include "quant.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static float float_of(uint32_t u)
{
    float x;

    memcpy(&x, &u, sizeof(x));
    return x;
}

/* A record of tests/data/quant.bin, see tests/goldens/quant.py. */
static void check_record(const uint32_t head[4], const uint8_t *row, const uint8_t *values)
{
    enum tensor_type t = (enum tensor_type)head[1];
    int64_t n = head[2];
    float *want = mem_new((size_t)n * 4), *got = mem_zero((size_t)n, 4);
    uint8_t *made = mem_zero(head[3], 1);

    memcpy(want, values, (size_t)n * 4);
    CHECK(tensor_row_bytes(t, n) == head[3]);
    if (head[0] == 0) {
        CHECK(quant_read(t, row, got, n));
        CHECK(!memcmp(got, want, (size_t)n * 4));
        for (int64_t i = 0; i < n; i++)
            if (memcmp(&got[i], &want[i], 4)) {
                printf("# %s value %d: %g, want %g\n", tensor_type_name(t), (int)i, (double)got[i],
                       (double)want[i]);
                break;
            }
    } else {
        CHECK(quant_write(t, want, made, n));
        CHECK(!memcmp(made, row, head[3]));
    }
    free(want);
    free(got);
    free(made);
}

static void test_published(void)
{
    FILE *f = fopen("tests/data/quant.bin", "rb");
    static uint8_t data[1 << 18];
    size_t n = 0, at = 0;
    uint32_t head[4];
    int records = 0;

    TEST("blocks mean what the published package says");
    CHECK(f);
    if (!f)
        return;
    n = fread(data, 1, sizeof(data), f);
    fclose(f);
    while (at + sizeof(head) <= n) {
        memcpy(head, data + at, sizeof(head));
        at += sizeof(head);
        CHECK(at + head[3] + 4 * (size_t)head[2] <= n);
        check_record(head, data + at, data + at + head[3]);
        at += head[3] + 4 * (size_t)head[2];
        records++;
    }
    CHECK(records == 18 && at == n);
}

/* Value of half h, from its definition. */
static double half_value(int h)
{
    int exponent = h >> 10 & 31, fraction = h & 1023;
    double v = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);

    return h & 0x8000 ? -v : v;
}

static void test_halves(void)
{
    TEST("every half float, there and back");
    for (int h = 0; h < 65536; h++) {
        float x = quant_f16((uint16_t)h);

        if ((h & 0x7FFF) > 0x7C00) {
            CHECK(isnan(x) && isnan(quant_f16(quant_to_f16(x))));
        } else {
            CHECK((h & 0x7FFF) == 0x7C00 ? isinf(x) : (double)x == half_value(h));
            CHECK(quant_to_f16(x) == h);
        }
        x = quant_bf16((uint16_t)h);
        CHECK(isnan(x) ? isnan(quant_bf16(quant_to_bf16(x))) : quant_to_bf16(x) == h);
    }
    TEST("rounding goes to the nearest, ties to even");
    for (int h = 0; h < 0x7C00; h++) {
        double low = half_value(h), high = h == 0x7BFF ? 65536 : half_value(h + 1);
        float mid = (float)((low + high) / 2);
        int even = h % 2 ? h + 1 : h;

        CHECK(quant_to_f16(mid) == even);
        CHECK(quant_to_f16(-mid) == (even | 0x8000));
        CHECK(quant_to_f16(nextafterf(mid, 0)) == h);
        CHECK(quant_to_f16(nextafterf(mid, INFINITY)) == h + 1);
    }
    for (uint32_t h = 0; h < 0x7F80; h++) {
        float mid = float_of(h << 16 | 0x8000);

        CHECK(quant_to_bf16(mid) == (h % 2 ? h + 1 : h));
        CHECK(quant_to_bf16(nextafterf(mid, 0)) == h);
        CHECK(quant_to_bf16(nextafterf(mid, INFINITY)) == h + 1);
    }
    CHECK(quant_to_f16(1e30f) == 0x7C00 && quant_to_f16(-INFINITY) == 0xFC00);
    CHECK(quant_to_f16(1e-30f) == 0 && quant_to_f16(-1e-30f) == 0x8000);
}

static void test_q8_0(void)
{
    float x[32] = {0}, y[32];
    uint8_t row[34];

    TEST("Q8_0 of hostile values");
    x[3] = NAN;
    CHECK(quant_write(T_Q8_0, x, row, 32) && quant_read(T_Q8_0, row, y, 32) && isnan(y[0]));
    x[3] = INFINITY;
    CHECK(quant_write(T_Q8_0, x, row, 32) && quant_read(T_Q8_0, row, y, 32) && isnan(y[0]));
    x[3] = 1e-44f;
    CHECK(quant_write(T_Q8_0, x, row, 32) && quant_read(T_Q8_0, row, y, 32) && y[3] == 0);
    CHECK(!quant_write(T_Q4_0, x, row, 32) && !quant_read(T_I32, row, y, 32));
    TEST("F32 and F64 rows at odd addresses");
    uint8_t odd[1 + 4 * 8];
    double d[4] = {1.5, -2, 0.1, 1e300};
    memcpy(odd + 1, d, sizeof(d));
    CHECK(quant_read(T_F64, odd + 1, y, 4) && y[0] == 1.5f && y[2] == 0.1f && isinf(y[3]));
    for (int i = 0; i < 8; i++)
        x[i] = (float)i / 3;
    CHECK(quant_write(T_F32, x, odd + 1, 8) && quant_read(T_F32, odd + 1, y, 8) && y[7] == x[7]);
}

int main(void)
{
    test_published();
    test_halves();
    test_q8_0();
    return test_end();
}
