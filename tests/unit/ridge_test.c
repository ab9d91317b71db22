/* ridge_test.c - penalized least squares by hand, and where there is no single answer. */
#include "ridge.h"
#include "test.h"

#include <math.h>

int main(void)
{
    const double x[] = {0, 0, 1, 0, 0, 1, 1, 1, 2, 1}, y[] = {1, 3, 0, 2, 4};
    const double twin[] = {1, 1, 2, 2, 3, 3, 5, 5}, line[] = {1, 2, 3, 5};
    const double flat[] = {1, 7, 2, 7, 3, 7, 5, 7};
    const bool skip[] = {false, false, false, false, true};
    struct ridge r = {.n = 2};
    double w[2], offset;

    TEST("y = 1 + 2 a - b, with one row left out that says otherwise");
    ridge_fit(&r, x, y, skip, 5, w, &offset);
    CHECK(fabs(w[0] - 2) < 1e-12 && fabs(w[1] + 1) < 1e-12 && fabs(offset - 1) < 1e-12);

    TEST("none below 0");
    r.only_above = true;
    ridge_fit(&r, x, y, skip, 5, w, &offset);
    CHECK(fabs(w[0] - 2) < 1e-12 && w[1] == 0 && fabs(offset - 0.5) < 1e-12);
    r.only_above = false;

    TEST("columns that are the same, and one that does not vary");
    ridge_fit(&r, twin, line, NULL, 4, w, &offset);
    CHECK(fabs(w[0] + w[1] - 1) < 1e-9 && fabs(offset) < 1e-9);
    r.penalty = 1e-3;
    ridge_fit(&r, twin, line, NULL, 4, w, &offset);
    CHECK(fabs(w[0] - w[1]) < 1e-6 && fabs(w[0] - 0.5) < 1e-3);
    r.penalty = 0;
    ridge_fit(&r, flat, line, NULL, 4, w, &offset);
    CHECK(fabs(w[0] - 1) < 1e-12 && w[1] == 0 && fabs(offset) < 1e-12);

    TEST("one column: the penalty is for each row");
    r = (struct ridge){.n = 1, .penalty = 0.5};
    ridge_fit(&r, line, line, NULL, 4, w, &offset); // sum of squares 8.75, penalty 4 * 0.5
    CHECK(fabs(w[0] - 8.75 / 10.75) < 1e-12 && fabs(offset - 2.75 * (1 - w[0])) < 1e-12);

    TEST("no rows");
    ridge_fit(&r, line, line, NULL, 0, w, &offset);
    CHECK(w[0] == 0 && offset == 0);
    return test_end();
}
