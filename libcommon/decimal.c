/* decimal.c - numbers as JSON writes them. */
#include "decimal.h"

#include <stdint.h>

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
    static const double ten[] = {1,   1e1, 1e2,  1e3,  1e4,  1e5,  1e6, 1e7,
                                 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14};
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
    *out = (double)v / ten[behind];
    *out = minus ? -*out : *out;
    return true;
}
