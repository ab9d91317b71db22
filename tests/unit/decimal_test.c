/* decimal_test.c - numbers with few digits, beside the C library's. */
#include "decimal.h"
#include "rng.h"
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int answers, wrong;

/* The same bytes as printf's shortest that is read back as x, where there is an answer. */
static void check(double x, bool is_float)
{
    char want[40], got[DECIMAL_MAX + 1];
    size_t n = decimal_put(x, is_float, got);

    for (int d = is_float ? 6 : 15; d <= (is_float ? 9 : 17); d++) {
        snprintf(want, sizeof(want), "%.*g", d, x);
        if (is_float ? (double)strtof(want, NULL) == x : strtod(want, NULL) == x)
            break;
    }
    got[n] = 0;
    answers += n > 0;
    if (n && strcmp(got, want) != 0 && wrong++ < 5)
        printf("# %s, not %s\n", got, want);
}

static void both(double x)
{
    check(x, false);
    check((double)(float)x, true);
}

static void around(double x)
{
    float f = (float)x;

    both(x);
    check(nextafter(x, INFINITY), false);
    check(nextafter(x, 0), false);
    check((double)nextafterf(f, INFINITY), true);
    check((double)nextafterf(f, 0), true);
}

int main(void)
{
    struct rng r = rng_stream(3, 0, 1);
    char s[DECIMAL_MAX];

    TEST("shares, decimals, powers and what is next to them");
    for (int i = 1; i < 300; i++)
        for (int k = 1; k < 300; k++)
            both((double)i / k);
    for (int i = 1; i < 100000; i++) {
        both(i / 1e4);
        both(i / -1e3);
        both((double)i * i);
    }
    for (int i = -20; i < 56; i++)
        around(ldexp(1, i));
    for (int i = -5; i < 17; i++)
        around(pow(10, i));
    CHECK(!wrong && answers > 600000);
    TEST("numbers of all sizes");
    answers = 0;
    for (uint32_t i = 0; i < 300000; i++) {
        uint32_t w[4];
        double x;

        rng_quad(&r, i, 0, w);
        x = ldexp((double)w[0] + (double)w[1] * 0x1p32, (int)(w[2] % 70) - 80);
        check(x, false);
        check((double)(float)x, true);
    }
    CHECK(!wrong && answers > 400000);
    TEST("zero, and what has no answer");
    CHECK(decimal_put(0, false, s) == 1 && *s == '0');
    CHECK(decimal_put(-0.0, true, s) == 2 && !memcmp(s, "-0", 2));
    CHECK(!decimal_put((double)NAN, false, s) && !decimal_put((double)INFINITY, false, s));
    CHECK(!decimal_put(1e-5, false, s) && !decimal_put(1e15, false, s));
    CHECK(!decimal_put(1e6, true, s) && !decimal_put(-1e300, false, s));
    return test_end();
}
