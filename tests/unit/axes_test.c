/* axes_test.c - weights by name, as numbers and out of files. */
#include "axes.h"
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool file_is_refused(const char *text, const char *message)
{
    char name[] = "/tmp/axes_test.XXXXXX";
    struct axes_weights w;
    struct err e = {0};
    int fd = mkstemp(name), rc;
    FILE *f = fdopen(fd, "w");

    fputs(text, f);
    fclose(f);
    rc = axes_weights(&w, name, &e);
    unlink(name);
    if (message)
        return rc && strstr(e.msg, message);
    return rc;
}

int main(void)
{
    const double x[AXES] = {4, 3, 2, 1, 0}, var[AXES] = {1, 0, 0, 0, 4};
    char name[] = "/tmp/axes_test.XXXXXX";
    struct axes_weights w, other;
    struct err e;
    FILE *f;

    TEST("presets and numbers");
    CHECK(!axes_weights(&w, "default", &e) && !strcmp(w.name, "default"));
    CHECK(fabs(axes_score(&w, x) - (1.2 + .9 + .4 + .1) / 4) < 1e-12);
    CHECK(fabs(axes_spread(&w, var) - sqrt(.09 + .04) / 4) < 1e-12);
    CHECK(!axes_weights(&other, ".3,.3,.2,.1,.1", &e) && !strcmp(other.name, ".3,.3,.2,.1,.1"));
    CHECK(!memcmp(w.w, other.w, sizeof(w.w)) && w.hash.lo != other.hash.lo);
    CHECK(!axes_weights(&w, "nemotron", &e) && w.w[4] < 0);
    CHECK(axes_weights(&w, "1,2,3,4", &e) && axes_weights(&w, "1,2,3,4,5,6", &e));
    CHECK(axes_weights(&w, "1,2,3,4,1001", &e) && axes_weights(&w, "", &e));

    TEST("a file: offset, its own name or the file's");
    f = fdopen(mkstemp(name), "w");
    fputs("# made by hand\noffset: -0.5\nhelpfulness: 1\ncorrectness: 0\ncoherence: 0\n"
          "complexity: 0\nverbosity: -2e-1\n",
          f);
    fclose(f);
    CHECK(!axes_weights(&w, name, &e) && !strcmp(w.name, name + 5));
    CHECK(fabs(axes_score(&w, x) - 0.5) < 1e-12);
    f = fopen(name, "a");
    fputs("name: mine\n", f);
    fclose(f);
    CHECK(!axes_weights(&other, name, &e) && !strcmp(other.name, "mine"));
    CHECK(w.hash.lo != other.hash.lo);
    unlink(name);

    TEST("files that are none");
    CHECK(file_is_refused("helpfulness: 1\n", "no weight 'correctness'"));
    CHECK(file_is_refused("wit: 1\n", "unknown key 'wit'"));
    CHECK(file_is_refused("helpfulness: 1\ncorrectness: x\n", NULL));
    CHECK(file_is_refused("helpfulness: 1\ncorrectness: 1e9\n", NULL));
    CHECK(file_is_refused("- 1\n", NULL) && file_is_refused("", NULL));
    CHECK(axes_weights(&w, "/tmp", &e));
    return test_end();
}
