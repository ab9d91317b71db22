/* decimal.c - numbers as JSON writes them. */
#include "decimal.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

__extension__ typedef unsigned __int128 big;

enum { TENS = 20 };
static const uint64_t ten[TENS] = {1,
                                   10,
                                   100,
                                   1000,
                                   10000,
                                   100000,
                                   1000000,
                                   10000000,
                                   100000000,
                                   1000000000,
                                   10000000000,
                                   100000000000,
                                   1000000000000,
                                   10000000000000,
                                   100000000000000,
                                   1000000000000000,
                                   10000000000000000,
                                   100000000000000000,
                                   1000000000000000000,
                                   10000000000000000000u};

/* s[*i..) past some digits; were there any? */
static bool digits(const char *s, size_t n, size_t *i)
{
    size_t from = *i;

    while (*i < n && s[*i] >= '0' && s[*i] <= '9')
        ++*i;
    return *i > from;
}

static bool take(const char *s, size_t n, size_t *i, char c)
{
    bool is = *i < n && s[*i] == c;

    *i += is;
    return is;
}

size_t decimal_span(const char *s, size_t n, bool *good)
{
    size_t i = 0;

    *good = false;
    take(s, n, &i, '-');
    if (!take(s, n, &i, '0') && !digits(s, n, &i))
        return i;
    if (take(s, n, &i, '.') && !digits(s, n, &i))
        return i;
    if (take(s, n, &i, 'e') || take(s, n, &i, 'E')) {
        if (!take(s, n, &i, '+'))
            take(s, n, &i, '-');
        if (!digits(s, n, &i))
            return i;
    }
    *good = true;
    return i;
}

/* A whole number by a power of ten, both exact, so that the quotient is the nearest double. */
bool decimal_get(const char *s, size_t n, double *out)
{
    bool minus = *s == '-';
    int64_t v = 0;
    size_t behind = 0;

    if (n > 15)
        return false;
    for (size_t i = minus; i < n; i++) {
        if (s[i] == '.')
            behind = n - i - 1;
        else if (s[i] < '0' || s[i] > '9')
            return false;
        else
            v = 10 * v + (s[i] - '0');
    }
    *out = (double)v / (double)ten[behind];
    *out = minus ? -*out : *out;
    return true;
}

/* A number as m / 2^shift, and digits * 10^-behind near it. */
struct number {
    uint64_t m;
    int shift;
    uint64_t digits;
    int behind;
};

static big power(int k)
{
    return k < TENS ? ten[k] : (big)ten[TENS - 1] * ten[k - (TENS - 1)];
}

/* The nearest of n digits, of which `*e` stand before the point or may by a guess. Is x the nearest
 * number of its type to it? All steps are exact: m * 10^behind has at most 126 bits. */
static bool round_to(struct number *x, int n, int *e)
{
    big all, rest, half = (big)1 << (x->shift - 1), off;
    uint64_t d;

    for (;; *e += d >= ten[n] ? 1 : -1) {
        x->behind = n - *e;
        all = x->m * power(x->behind);
        d = (uint64_t)(all >> x->shift);
        if (d < ten[n] && d >= ten[n - 1])
            break;
    }
    rest = all & (2 * half - 1);
    d += rest > half || (rest == half && d & 1);
    off = (big)d << x->shift;
    x->digits = d;
    // Numbers are 10^behind apart here, below a power of two half of that. What lies in the middle
    // has more digits than are asked for.
    if (off < all)
        off = (all - off) * (x->m & (x->m - 1) ? 2 : 4);
    else
        off = (off - all) * 2;
    return off < power(x->behind);
}

static size_t write_digits(struct number x, char *out)
{
    char s[DECIMAL_MAX];
    size_t n = 0, k = 0;

    for (; x.behind && x.digits % 10 == 0; x.behind--)
        x.digits /= 10;
    for (; x.digits || (int)n <= x.behind; x.digits /= 10) {
        if (x.behind && (int)n == x.behind) {
            s[n++] = '.';
            x.behind = 0;
        }
        s[n++] = (char)('0' + x.digits % 10);
    }
    while (n)
        out[k++] = s[--n];
    return k;
}

size_t decimal_put(double x, bool is_float, char out[DECIMAL_MAX])
{
    int bits = is_float ? 24 : 53, least = is_float ? 6 : 15, most = is_float ? 9 : 17, exp, e;
    struct number y;
    bool minus = signbit(x);

    x = fabs(x);
    if (!(x <= 0) && !(x >= 1e-4 && x < (double)ten[least]))
        return 0;
    *out = '-';
    out[minus] = '0';
    if (x <= 0)
        return minus + 1;
    y.m = (uint64_t)ldexp(frexp(x, &exp), bits);
    y.shift = bits - exp;
    e = exp * 1233 / 4096;
    for (int n = least; n <= most; n++)
        if (round_to(&y, n, &e))
            return y.digits < ten[n] ? minus + write_digits(y, out + minus) : 0;
    return 0;
}
