/* variety_test.c - distinct-n and self-BLEU against a plain script and nltk. */
#include "golden.h"
#include "test.h"
#include "variety.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void check(const struct variety_figures *f, const char *name)
{
    int n;
    double *want = golden_list(name, &n);

    CHECK(fabs(f->self_bleu - want[0]) < 1e-9);
    for (int m = 0; m < VARIETY_GRAMS; m++)
        CHECK(fabs(f->distinct[m] - want[m + 1]) < 1e-12);
    free(want);
}

int main(void)
{
    struct err e;
    char *text = file_text(GOLDEN "texts.txt", 1 << 20, NULL, &e), *line, *rest;
    struct variety *v = variety_open(73, 25);
    struct variety_figures f[2];
    int n = 0;

    TEST("all texts and every third, in one reading");
    for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        variety_add(v, line, strlen(line), n++ % 3 == 0);
    CHECK(n == 73);
    variety_read(v, f);
    check(&f[0], "variety_all");
    check(&f[1], "variety_third");
    CHECK(f[0].sample == 73 && f[1].sample == 25);
    variety_close(v);
    TEST("no texts, one text, texts without words, more than the sample");
    v = variety_open(0, 0);
    variety_read(v, f);
    CHECK(f[0].self_bleu == 0 && f[0].distinct[0] == 0);
    variety_close(v);
    v = variety_open(2, 1);
    variety_add(v, "one two", 7, true);
    variety_add(v, "...", 3, false);
    variety_read(v, f);
    CHECK(f[1].self_bleu == 0 && f[1].distinct[1] == 1 && f[0].self_bleu == 0);
    variety_close(v);
    v = variety_open(VARIETY_BLEU + 5000, 0);
    for (n = 0; n < VARIETY_BLEU + 5000; n++)
        variety_add(v, "a b c d e", 9, false);
    variety_read(v, f);
    CHECK(f[0].sample == VARIETY_BLEU && fabs(f[0].self_bleu - 1) < 1e-12);
    variety_close(v);
    free(text);
    return test_end();
}
