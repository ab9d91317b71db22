/* minhash.c - texts as sets of runs of words, their signatures, and the bands of these. */
#include "minhash.h"

#include "hash.h"
#include "mem.h"
#include "rng.h"
#include "words.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    STREAM_NAME = 0x6e656172, // "near": the stream of the functions' constants
    LANES = 16,               // functions computed together
    FEW = 64,                 // runs sorted by insertion
};

/* The same integers on every machine; where the loader can choose, the faster code for them. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__)
#define ANY_CPU __attribute__((target_clones("avx2", "default")))
#else
#define ANY_CPU
#endif

static double power(double x, int n)
{
    double p = 1;

    while (n-- > 0)
        p *= x;
    return p;
}

static double recall(double s, int bands, int rows)
{
    return 1 - power(1 - power(s, rows), bands);
}

double minhash_recall(const struct minhash *m, double similarity)
{
    return recall(similarity, m->bands, m->rows);
}

void minhash_init(struct minhash *m, double threshold)
{
    struct rng g = rng_stream(0, 0, STREAM_NAME);

    m->rows = 1;
    /* The most rows, which is the fewest false candidates, that still find enough. */
    for (int r = 2; r <= 32; r++)
        if (recall(threshold, MINHASH_MAX / r, r) >= 0.995)
            m->rows = r;
    m->bands = MINHASH_MAX / m->rows;
    while (m->bands > 1 && recall(threshold, m->bands - 1, m->rows) >= 0.995)
        m->bands--;
    for (int i = 0; i < MINHASH_MAX; i++) {
        uint32_t w[4];

        rng_quad(&g, (uint64_t)i, 0, w);
        m->mul[i] = w[0] | 1; // odd: each function is a permutation
        m->add[i] = w[1];
    }
}

/* ---- sets ---- */

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* By their bytes, least significant first: n is a text's length in words. */
static void sort(struct minhash_set *x)
{
    uint32_t *from = x->run, *to;

    if (x->n <= FEW) {
        qsort(from, x->n, sizeof(*from), ascending);
        return;
    }
    mem_grow(&x->spare, &x->cap_spare, x->n, sizeof(*x->spare));
    to = x->spare;
    for (int shift = 0; shift < 32; shift += 8) {
        size_t at[257] = {0};
        uint32_t *swap = from;

        for (size_t i = 0; i < x->n; i++)
            at[(from[i] >> shift & 255) + 1]++;
        for (int i = 0; i < 256; i++)
            at[i + 1] += at[i];
        for (size_t i = 0; i < x->n; i++)
            to[at[from[i] >> shift & 255]++] = from[i];
        from = to;
        to = swap;
    }
}

static uint32_t run_hash(const uint64_t *h, size_t n)
{
    uint64_t x = n;

    for (size_t i = 0; i < n; i++) {
        x = (x ^ h[i]) * 0xBF58476D1CE4E5B9u;
        x ^= x >> 31;
    }
    return (uint32_t)(x ^ x >> 32);
}

void minhash_take(struct minhash_set *x, const char *s, size_t n)
{
    size_t at = 0, words = 0, out = 0, runs;

    while (words_next(s, n, &at, &x->word)) {
        mem_grow(&x->hash, &x->cap_hash, words + 1, sizeof(*x->hash));
        x->hash[words++] = hash_bytes(x->word.p, x->word.n).lo;
    }
    runs = words >= MINHASH_WORDS ? words - MINHASH_WORDS + 1 : 1;
    mem_grow(&x->run, &x->cap, runs, sizeof(*x->run));
    x->n = runs;
    if (words >= MINHASH_WORDS)
        for (size_t i = 0; i < runs; i++)
            x->run[i] = run_hash(x->hash + i, MINHASH_WORDS);
    else // all of them, or the text itself without any
        x->run[0] = words ? run_hash(x->hash, words) : (uint32_t)hash_bytes(s, n).lo;
    sort(x);
    for (size_t i = 0; i < x->n; i++)
        if (!i || x->run[i] != x->run[i - 1])
            x->run[out++] = x->run[i];
    x->n = out;
}

void minhash_set_free(struct minhash_set *x)
{
    free(x->run);
    free(x->hash);
    free(x->spare);
    buf_free(&x->word);
    *x = (struct minhash_set){0};
}

/* ---- signatures ---- */

ANY_CPU static void sign(const struct minhash *m, const uint32_t *run, size_t n, int functions,
                         uint32_t *sig)
{
    for (int i = 0; i < functions; i += LANES) {
        uint32_t least[LANES], mul[LANES], add[LANES];

        for (int k = 0; k < LANES; k++) {
            least[k] = UINT32_MAX;
            mul[k] = m->mul[i + k];
            add[k] = m->add[i + k];
        }
        for (size_t j = 0; j < n; j++) {
            uint32_t x = run[j];

            for (int k = 0; k < LANES; k++) {
                uint32_t h = mul[k] * x + add[k];

                least[k] = h < least[k] ? h : least[k];
            }
        }
        memcpy(sig + i, least, sizeof(least));
    }
}

void minhash_keys(const struct minhash *m, const uint32_t *run, size_t n, uint64_t key[MINHASH_MAX])
{
    uint32_t sig[MINHASH_MAX];

    sign(m, run, n, m->bands * m->rows, sig);
    for (int b = 0; b < m->bands; b++) {
        struct hash128 h = hash_bytes(sig + b * m->rows, (size_t)m->rows * sizeof(*sig));

        key[b] = h.lo + (uint64_t)b * 0x9E3779B97F4A7C15u;
    }
}

double minhash_jaccard(const uint32_t *a, size_t na, const uint32_t *b, size_t nb)
{
    size_t i = 0, j = 0, both = 0;

    while (i < na && j < nb) {
        uint32_t x = a[i], y = b[j];

        both += x == y;
        i += x <= y;
        j += y <= x;
    }
    return (double)both / (double)(na + nb - both);
}
