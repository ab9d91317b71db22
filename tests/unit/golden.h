/* golden.h - lists of numbers by name, as tests/goldens/diversify.py writes them. */
#ifndef GOLDEN_H
#define GOLDEN_H

#include "embed.h"
#include "file.h"
#include "mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GOLDEN "tests/data/diversify/"

/* The values of a list, *n of them; caller frees. */
static inline double *golden_list(const char *name, int *n)
{
    struct err e;
    char *text = file_text(GOLDEN "golden.txt", 1 << 20, NULL, &e), *line, *rest;
    double *v = mem_zero(4096, sizeof(*v));

    *n = 0;
    for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        size_t k = strlen(name);

        if (strncmp(line, name, k) || line[k] != ' ')
            continue;
        for (char *at = line + k, *end; *n < 4096; at = end) {
            v[*n] = strtod(at, &end);
            if (end == at)
                break;
            ++*n;
        }
    }
    free(text);
    if (!*n)
        printf("# no golden '%s'\n", name);
    return v;
}

/* The rows of x.npy. */
static inline float *golden_rows(int *n, int *dim)
{
    struct embed_file f;
    struct err e;
    float *x;

    if (embed_open(&f, GOLDEN "x.npy", &e)) {
        printf("# %s\n", e.msg);
        exit(1);
    }
    *n = (int)f.rows;
    *dim = f.dim;
    x = mem_zero((size_t)*n * (size_t)*dim, sizeof(*x));
    for (int i = 0; i < *n; i++)
        embed_row(&f, i, x + i * *dim);
    embed_close(&f);
    return x;
}

#endif
