/* tok_bench.c - how fast texts are encoded: MB/s of one core, by its own clock.
 *
 * usage: tok_bench MODEL TEXTFILE    encodes the file as one text, then line by line, best of 5 */
#include "file.h"
#include "tokload.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int encode(const struct tok *t, const char *s, size_t n, bool lines, struct tok_ids *ids,
                  struct err *e)
{
    const char *end = s + n;

    ids->n = 0;
    while (lines && s < end) {
        const char *eol = memchr(s, '\n', (size_t)(end - s));
        size_t k = eol ? (size_t)(eol - s) + 1 : (size_t)(end - s);

        if (tok_encode(t, s, k, 0, ids, e))
            return -1;
        s += k;
    }
    return lines ? 0 : tok_encode(t, s, n, 0, ids, e);
}

int main(int argc, char **argv)
{
    struct err e = {0};
    struct tok_ids ids = {0};
    struct tok *t;
    size_t n;
    char *s;
    double start = now();

    if (argc != 3) {
        fprintf(stderr, "usage: tok_bench MODEL TEXTFILE\n");
        return 2;
    }
    t = tokload_path(argv[1], &e);
    if (t)
        printf("%s: loaded in %.0f ms\n", argv[1], 1e3 * (now() - start));
    s = t ? file_text(argv[2], (size_t)1 << 30, &n, &e) : NULL;
    if (!s) {
        fprintf(stderr, "tok_bench: %s\n", e.msg);
        return 2;
    }
    for (int lines = 0; lines < 2; lines++) {
        double best = 1e9;

        for (int i = 0; i < 5; i++) {
            start = now();
            if (encode(t, s, n, lines, &ids, &e)) {
                fprintf(stderr, "tok_bench: %s\n", e.msg);
                return 1;
            }
            best = now() - start < best ? now() - start : best;
        }
        printf("%-8s %zu bytes, %zu tokens, %.1f MB/s\n", lines ? "lines" : "whole", n, ids.n,
               (double)n / 1e6 / best);
    }
    tok_close(t);
    return 0;
}
