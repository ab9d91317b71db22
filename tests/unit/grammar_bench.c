/* grammar_bench.c - what masks cost with a real vocabulary, by the thread's own clock.
 *
 * usage: grammar_bench MODEL FILE.gbnf|FILE.json [TEXTS [SEED [print]]]
 *
 * Random texts of at most 1000 tokens are drawn from the masks, a random allowed token at a time;
 * prints the times of grammar_mask and grammar_accept together: of all tokens, and of those whose
 * mask was made anew. */
#include "file.h"
#include "gbnf.h"
#include "grammar.h"
#include "json_put.h"
#include "mem.h"
#include "rng.h"
#include "schema.h"
#include "tokload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LENGTH = 1000 };

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int up(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

struct times {
    double *t;
    size_t n, cap;
};

static void note(struct times *x, double t)
{
    mem_grow(&x->t, &x->cap, x->n + 1, sizeof(*x->t));
    x->t[x->n++] = t;
}

static void show(const char *what, struct times *x)
{
    double sum = 0;

    if (!x->n)
        return;
    qsort(x->t, x->n, sizeof(*x->t), up);
    for (size_t i = 0; i < x->n; i++)
        sum += x->t[i];
    printf("%-9s %6zu: mean %8.2f us, median %8.2f, p90 %8.2f, p99 %8.2f, most %8.2f\n", what, x->n,
           1e6 * sum / (double)x->n, 1e6 * x->t[x->n / 2], 1e6 * x->t[x->n * 9 / 10],
           1e6 * x->t[x->n * 99 / 100], 1e6 * x->t[x->n - 1]);
    free(x->t);
}

/* The k-th allowed token counted from a random one, or -1. */
static int32_t pick(const uint64_t *mask, int n_vocab, uint32_t bits)
{
    for (int i = 0; i < n_vocab; i++) {
        int32_t id = (int32_t)((bits + (uint32_t)i) % (uint32_t)n_vocab);

        if (mask[id / 64] >> id % 64 & 1)
            return id;
    }
    return -1;
}

/* One text; returns 1 when it ended, 0 when it was cut. */
static int text(struct grammar *g, const struct tok *tok, const struct rng *r, struct times *all,
                struct times *fresh, struct buf *out)
{
    struct grammar_state s = {0};
    int ended = 0;

    grammar_enter(g, &s, false);
    for (int i = 0; i < LENGTH && !ended; i++) {
        size_t masks = grammar_counts(g).masks, forgotten = grammar_counts(g).forgotten;
        double t = now(), t2;
        uint32_t bits[4];
        struct err e;
        const uint64_t *mask = grammar_mask(&s, &e);
        int32_t id;

        t = now() - t;
        if (!mask) {
            printf("%s\n", e.msg);
            break;
        }
        rng_quad(r, (uint64_t)i, 0, bits);
        id = pick(mask, tok_size(tok), bits[0]);
        ended = tok_is_end(tok, id);
        tok_bytes(tok, id, false, out);
        t2 = now();
        if (grammar_accept(&s, id))
            printf("token %d was not accepted\n", id);
        t += now() - t2;
        note(all, t);
        if (masks != grammar_counts(g).masks || forgotten != grammar_counts(g).forgotten)
            note(fresh, t);
    }
    grammar_leave(&s);
    return ended;
}

int main(int argc, char **argv)
{
    struct err e = {0};
    struct cfg c = {0};
    struct grammar *g = NULL;
    struct times all = {0}, fresh = {0};
    struct grammar_counts n;
    int texts = argc > 3 ? atoi(argv[3]) : 100, seed = argc > 4 ? atoi(argv[4]) : 1, ended = 0;
    bool print = argc > 5 && !strcmp(argv[5], "print");
    size_t len;
    char *s;
    double start;
    struct tok *tok = argc > 2 ? tokload_path(argv[1], &e) : NULL;

    s = tok ? file_text(argv[2], CFG_TEXT, &len, &e) : NULL;
    if (!s) {
        fprintf(stderr, "usage: grammar_bench MODEL GRAMMAR [TEXTS [SEED]]\n%s\n", e.msg);
        return 2;
    }
    start = now();
    if (!(strstr(argv[2], ".json") ? schema_read : gbnf_read)(&c, s, len, &e))
        g = grammar_new(&c, tok, tok_size(tok), &e);
    if (!g) {
        fprintf(stderr, "grammar_bench: %s\n", e.msg);
        return 1;
    }
    if (!print)
        printf("%d tokens, compiled in %.1f ms\n", tok_size(tok), 1e3 * (now() - start));
    for (int i = 0; i < texts; i++) {
        struct rng r = rng_stream((uint64_t)seed, (uint64_t)i, 7);
        struct buf out = {0}, line = {0};
        int whole = text(g, tok, &r, &all, &fresh, &out);

        ended += whole;
        json_put_str(&line, buf_cstr(&out), out.n);
        if (whole && print)
            puts(line.p);
        buf_free(&out);
        buf_free(&line);
    }
    if (print)
        goto done;
    printf("%d texts, %d whole\n", texts, ended);
    show("all", &all);
    show("new masks", &fresh);
    n = grammar_counts(g);
    printf("%zu states, %zu sets, %zu masks, %.1f MiB, forgotten %zu times\n", n.states, n.sets,
           n.masks, (double)n.bytes / 1048576, n.forgotten);
done:
    cfg_free(&c);
    grammar_free(g);
    tok_close(tok);
    free(s);
    return 0;
}
