/* minhash.c - texts as sets of runs of words, their signatures, and the bands of these. */
#include "minhash.h"

#include "hash.h"
#include "mem.h"
#include "rng.h"
#include "vec.h"
#include "words.h"

#include <stdlib.h>
#include <string.h>

enum { STREAM_NAME = 0x6e656172, SKETCH = 64 }; // "near": the stream of the functions' constants

/* Of texts at the threshold by their sketches, and by their bands then, so that 0.995 are found;
 * of texts at a quarter of it. */
static const double SKETCH_ENOUGH = 0.9995, ENOUGH = 0.995 / 0.9995, SELDOM = 0.005;

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

/* Probability that sketches differ in no more than `apart` bits. */
static double sketch_recall(double s, int apart)
{
    double p = (1 - s) / 2, one = power(1 - p, SKETCH), all = one;

    for (int i = 0; i < apart; i++) {
        one *= p / (1 - p) * (SKETCH - i) / (i + 1);
        all += one;
    }
    return all;
}

double minhash_recall(const struct minhash *m, double similarity)
{
    return recall(similarity, m->bands, m->rows) * sketch_recall(similarity, m->apart);
}

void minhash_init(struct minhash *m, double threshold)
{
    struct rng g = rng_stream(0, 0, STREAM_NAME);

    m->apart = 0;
    while (sketch_recall(threshold, m->apart) < SKETCH_ENOUGH)
        m->apart++;
    m->rows = 1;
    m->bands = MINHASH_MAX;
    /* Each band is a place in memory that is looked at: the fewest that find enough and hardly ever
     * have texts meet that share little; where there are none such, the most rows. */
    for (int r = 1; r <= 32 && recall(threshold, MINHASH_MAX / r, r) >= ENOUGH; r++) {
        m->rows = r;
        m->bands = 1;
        while (recall(threshold, m->bands, r) < ENOUGH)
            m->bands++;
        if (recall(threshold / 4, m->bands, r) <= SELDOM)
            break;
    }
    for (int i = 0; i < MINHASH_MAX; i++) {
        uint32_t w[4];

        rng_quad(&g, (uint64_t)i, 0, w);
        m->mul[i] = w[0] | 1; // odd: each function is a permutation
        m->add[i] = w[1];
    }
}

/* ---- sets ---- */

/* Places hold a run, and 1 << 32 so that none is 0; a power of two, at most half of them used. */
static size_t places(size_t n)
{
    size_t use = 16;

    while (use < 2 * n)
        use *= 2;
    return use;
}

static uint64_t *find(const struct minhash_set *x, uint32_t run)
{
    size_t i = run & (x->use - 1);

    while (x->place[i] && (uint32_t)x->place[i] != run)
        i = (i + 1) & (x->use - 1);
    return &x->place[i];
}

static void table(struct minhash_set *x, size_t n)
{
    x->use = places(n);
    mem_grow(&x->place, &x->cap_place, x->use, sizeof(*x->place));
    memset(x->place, 0, x->use * sizeof(*x->place));
}

static const uint64_t MIX = 0xBF58476D1CE4E5B9u;

static uint32_t run_hash(const uint64_t *h, size_t n)
{
    uint64_t x = n;

    for (size_t i = 0; i < n; i++)
        x = hash_fold(x ^ h[i], MIX);
    return (uint32_t)(x ^ x >> 32);
}

void minhash_begin(struct minhash_set *x)
{
    x->n_word = x->n = 0;
}

static void room(struct minhash_set *x, size_t n)
{
    mem_grow(&x->run, &x->cap, x->n + n, sizeof(*x->run));
}

void minhash_add(struct minhash_set *x, const struct words_row *w, const uint32_t *three)
{
    size_t old = x->n_word < 2 ? x->n_word : 2, fresh = w->n < 2 ? w->n : 2;
    uint64_t h[4];

    memcpy(h, x->last, old * sizeof(*h));
    if (fresh)
        memcpy(h + old, w->hash, fresh * sizeof(*h));
    room(x, 2 + w->n);
    for (size_t i = 0; i < old && i + 3 <= old + fresh; i++) // those that begin in the text before
        x->run[x->n++] = words_three(h + i);
    if (w->n > 2) {
        memcpy(x->run + x->n, three, (w->n - 2) * sizeof(*three));
        x->n += w->n - 2;
    }
    if (fresh == 2)
        memcpy(x->last, w->hash + w->n - 2, 2 * sizeof(*h));
    else if (fresh)
        memcpy(x->last, h + (old == 2), (old == 2 ? 2 : old + 1) * sizeof(*h));
    x->n_word += w->n;
}

/* Runs that stand a second time are taken out. */
static void make_unique(struct minhash_set *x, struct repeat_back *back)
{
    size_t n = repeat_back_find(back, x->run, x->n), to, from;
    const uint32_t *again = back->again;

    if (!n)
        return;
    to = again[0];
    for (size_t i = 0; i < n; i++) {
        size_t end = i + 1 < n ? again[i + 1] : x->n;

        from = (size_t)again[i] + 1;
        memmove(x->run + to, x->run + from, (end - from) * sizeof(*x->run));
        to += end - from;
    }
    x->n = to;
}

void minhash_end(struct minhash_set *x, uint64_t text, struct repeat_back *scratch)
{
    x->whole = false;
    if (x->n_word >= MINHASH_WORDS) {
        make_unique(x, scratch);
        return;
    }
    room(x, 1);
    x->n = 1;
    x->run[0] = x->n_word ? run_hash(x->last, x->n_word) : (uint32_t)text;
}

void minhash_set_free(struct minhash_set *x)
{
    free(x->run);
    free(x->place);
    *x = (struct minhash_set){0};
}

/* ---- signatures ---- */

/* The first of the functions, a constant number of them, for loops without a rest. */
static inline __attribute__((always_inline)) void sign_some(const struct minhash *m, int lanes,
                                                            const uint32_t *run, size_t n,
                                                            uint32_t *sig)
{
    uint32_t least[MINHASH_MAX], mul[MINHASH_MAX], add[MINHASH_MAX];

    for (int k = 0; k < lanes; k++) {
        least[k] = UINT32_MAX;
        mul[k] = m->mul[k];
        add[k] = m->add[k];
    }
    for (size_t j = 0; j < n; j++) {
        uint32_t x = run[j];

        for (int k = 0; k < lanes; k++) {
            uint32_t h = mul[k] * x + add[k];

            least[k] = h < least[k] ? h : least[k];
        }
    }
    memcpy(sig, least, (size_t)lanes * sizeof(*least));
}

/* So many functions, or some more; not fewer than a sketch needs. */
ANY_CPU static void sign(const struct minhash *m, const uint32_t *run, size_t n, int functions,
                         uint32_t *sig)
{
    if (functions <= SKETCH)
        sign_some(m, SKETCH, run, n, sig);
    else if (functions <= 80)
        sign_some(m, 80, run, n, sig);
    else if (functions <= 96)
        sign_some(m, 96, run, n, sig);
    else
        sign_some(m, MINHASH_MAX, run, n, sig);
}

uint64_t minhash_keys(const struct minhash *m, const uint32_t *run, size_t n,
                      uint64_t key[MINHASH_MAX])
{
    uint32_t sig[MINHASH_MAX];
    uint64_t sketch = 0;

    sign(m, run, n, m->bands * m->rows, sig);
    for (int b = 0; b < m->bands; b++) {
        struct hash128 h = hash_bytes(sig + b * m->rows, (size_t)m->rows * sizeof(*sig));

        key[b] = h.lo + (uint64_t)b * 0x9E3779B97F4A7C15u;
    }
    for (int i = 0; i < SKETCH; i++)
        sketch |= (uint64_t)(sig[i] * 0x9E3779B1u >> 31) << i;
    return sketch;
}

double minhash_jaccard(struct minhash_set *x, const uint32_t *run, size_t n)
{
    size_t both = 0;

    if (!x->whole) { // most texts are compared with none
        table(x, x->n);
        for (size_t i = 0; i < x->n; i++)
            *find(x, x->run[i]) = 1ull << 32 | x->run[i];
        x->whole = true;
    }
    for (size_t i = 0; i < n; i++)
        both += *find(x, run[i]) != 0;
    return (double)both / (double)(x->n + n - both);
}
