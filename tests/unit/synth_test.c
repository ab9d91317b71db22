/* synth_test.c - random models: every type opens, has its mean and deviation, and is repeatable. */
#include "file.h"
#include "gguf.h"
#include "quant.h"
#include "synth.h"
#include "test.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int find(const char *const *list, const char *name)
{
    for (int i = 0; list[i]; i++)
        if (!strcmp(list[i], name))
            return i;
    return -1;
}

static bool same_bytes(const char *a, const char *b)
{
    struct file_map x, y;
    struct err e;
    bool same;

    if (file_map(&x, a, &e))
        return false;
    if (file_map(&y, b, &e)) {
        file_unmap(&x);
        return false;
    }
    same = x.n == y.n && !memcmp(x.p, y.p, x.n);
    file_unmap(&x);
    file_unmap(&y);
    return same;
}

/* Every matrix is of the type, with mean 0 and deviation 0.02. */
static void check_values(const char *path, const char *type)
{
    struct gguf g;
    struct err e;

    CHECK(!gguf_open(&g, path, &e));
    for (int i = 0; i < g.n_tensors; i++) {
        const struct tensor *t = &g.tensor[i];
        int64_t n = tensor_rows(t) * tensor_cols(t);
        float *x = mem_new((size_t)n * sizeof(*x));
        double sum = 0, squares = 0;
        enum tensor_type want = T_F32;

        CHECK(t->n_dims == 1 || !tensor_type_find(type, &want));
        CHECK(t->type == want);
        CHECK(quant_read(t->type, t->data, x, n));
        for (int64_t k = 0; k < n; k++) {
            sum += (double)x[k];
            squares += (double)x[k] * (double)x[k];
        }
        sum /= (double)n;
        squares = sqrt(squares / (double)n);
        if (t->n_dims == 1) {
            CHECK(sum == 1 && squares == 1);
        } else {
            CHECK(fabs(sum) < 0.005);
            CHECK(squares > 0.018 && squares < 0.024);
        }
        free(x);
    }
    gguf_close(&g);
}

int main(void)
{
    char dir[] = "/tmp/synth_test.XXXXXX";
    char *a, *b;
    struct err e;
    int nano = find(synth_shapes, "nano");

    if (!mkdtemp(dir))
        return 1;
    a = file_join(dir, "a.gguf");
    b = file_join(dir, "b.gguf");
    for (int t = 0; synth_types[t]; t++) {
        TEST(synth_types[t]);
        CHECK(!synth_write(nano, t, 1, 1, a, true, &e));
        check_values(a, synth_types[t]);
        CHECK(!synth_write(nano, t, 1, 3, b, true, &e));
        CHECK(same_bytes(a, b));
        CHECK(!synth_write(nano, t, 2, 1, b, true, &e));
        CHECK(!same_bytes(a, b));
    }
    TEST("refused");
    CHECK(synth_write(nano, 0, 1, 1, a, false, &e));
    CHECK(strstr(e.msg, "exists"));
    CHECK(synth_write(find(synth_shapes, "135m"), find(synth_types, "q4_k"), 1, 1, b, true, &e));
    CHECK(strstr(e.msg, "rows of 576 values"));
    unlink(a);
    unlink(b);
    rmdir(dir);
    free(a);
    free(b);
    return test_end();
}
