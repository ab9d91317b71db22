/* npy_fuzz.c - changed .npy files: opened or refused, and what is opened can be read. */
#include "fuzz.h"
#include "npy.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct npy x;
    struct npy_out o;
    struct err e;
    char path[32];
    int fd = fuzz_file(p, n, path), bad = 0;

    if (!npy_open(&x, path, &e)) {
        float *row = malloc(((size_t)x.dim + 1) * sizeof(*row)), sum = 0;

        for (int64_t i = 0; i < x.rows && x.dim; i++) {
            npy_row(&x, i, row);
            sum += row[0] + row[x.dim - 1];
        }
        (void)sum;
        free(row);
        npy_close(&x);
    } else {
        bad = strncmp(e.msg, path, strlen(path)) != 0;
    }
    for (int rows = 0; rows < 3; rows++)
        if (!npy_create(&o, path, NPY_F32, false, true, rows, &e)) {
            bad = bad ||
                  (o.dim <= 64 && npy_add(&o, (const float[64]){1}, o.dim < 0 ? 3 : o.dim, &e));
            npy_abandon(&o);
        }
    close(fd);
    return bad;
}

#ifndef LIBFUZZER
static void run(const char *name)
{
    uint8_t seed[1024];
    char path[100];
    FILE *f;
    size_t n;

    snprintf(path, sizeof(path), "tests/data/npy/%s.npy", name);
    f = fopen(path, "rb");
    n = f ? fread(seed, 1, sizeof(seed), f) : 0;
    if (f)
        fclose(f);
    if (n)
        fuzz_run(name, seed, n, n < 76 ? n : 76, 3000);
}

int main(void)
{
    run("f4");
    run("v3");
    run("flat");
    return test_end();
}
#endif
