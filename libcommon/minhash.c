/* minhash.c - texts as sets of runs of words, their signatures, and the bands of these. */
#include "minhash.h"

#include "hash.h"
#include "mem.h"
#include "rng.h"
#include "vec.h"
#include "words.h"

#include <stdlib.h>
#include <string.h>

static const uint64_t MIX = 0xBF58476D1CE4E5B9u;

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
    }
}

/* ---- sets ---- */

/* A place of the table: a run in 48 bits, the two bits, and the turn in which it was met last. */
enum { TURN = 50, TURNS = 1 << 14 };
static const uint64_t RUN = (1ull << 48) - 1, TAKEN = 1ull << 48,
                      OWN = 1ull << 49; // OWN: the set's

static uint64_t run_at(const uint16_t *word)
{
    return word[0] | (uint64_t)word[1] << 16 | (uint64_t)word[2] << 32;
}

static uint64_t *find(const struct minhash_set *x, uint64_t run)
{
    size_t i = (size_t)(run * 0x9E3779B97F4A7C15u >> 32) & (x->use - 1);

    while (x->place[i] && (x->place[i] & RUN) != run)
        i = (i + 1) & (x->use - 1);
    return &x->place[i];
}

/* The set, with room for n others, in a table at most half full. */
static void make_table(struct minhash_set *x, size_t n)
{
    x->use = 16;
    while (x->use < 2 * (x->n + n))
        x->use *= 2;
    mem_grow(&x->place, &x->cap_place, x->use, sizeof(*x->place));
    memset(x->place, 0, x->use * sizeof(*x->place));
    x->different = 0;
    for (size_t i = 0; i + 2 < x->n; i++) {
        uint64_t run = run_at(x->word + i), *p = find(x, run);

        x->different += !*p;
        *p = OWN | TAKEN | run;
    }
    x->taken = x->different;
    x->turn = 0;
}

void minhash_begin(struct minhash_set *x)
{
    x->n = x->n_run = 0;
    x->use = 0;
}

static void room(struct minhash_set *x, size_t n)
{
    mem_grow(&x->word, &x->cap, x->n + n, sizeof(*x->word));
    mem_grow(&x->run, &x->cap_run, x->n + n, sizeof(*x->run));
}

void minhash_add(struct minhash_set *x, const struct words_row *w, const uint32_t *three)
{
    size_t old = x->n < 2 ? x->n : 2, fresh = w->n < 2 ? w->n : 2;
    uint64_t h[4];

    memcpy(h, x->last, old * sizeof(*h));
    if (fresh)
        memcpy(h + old, w->hash, fresh * sizeof(*h));
    room(x, w->n + MINHASH_WORDS);
    for (size_t i = 0; i < old && i + 3 <= old + fresh; i++) // those that begin in the text before
        x->run[x->n_run++] = words_three(h + i);
    if (w->n > 2) {
        memcpy(x->run + x->n_run, three, (w->n - 2) * sizeof(*three));
        x->n_run += w->n - 2;
    }
    if (fresh == 2)
        memcpy(x->last, w->hash + w->n - 2, 2 * sizeof(*h));
    else if (fresh)
        memcpy(x->last, h + (old == 2), (old == 2 ? 2 : old + 1) * sizeof(*h));
    words_brief(w, x->word + x->n);
    x->n += w->n;
}

void minhash_end(struct minhash_set *x, uint64_t text)
{
    uint64_t sum = x->n ? 0 : text;

    if (x->n >= MINHASH_WORDS)
        return;
    room(x, MINHASH_WORDS);
    for (size_t i = 0; i < x->n; i++)
        sum = hash_fold(sum ^ x->last[i] ^ x->n, MIX);
    for (x->n = 0; x->n < MINHASH_WORDS; x->n++)
        x->word[x->n] = (uint16_t)(sum >> 16 * x->n);
    words_threes_of(x->word, x->n, x->run);
    x->n_run = 1;
}

void minhash_take(struct minhash_set *x, const uint16_t *word, size_t n)
{
    minhash_begin(x);
    room(x, n);
    memcpy(x->word, word, n * sizeof(*word));
    words_threes_of(word, n, x->run);
    x->n = n;
    x->n_run = n - 2;
}

void minhash_set_free(struct minhash_set *x)
{
    free(x->word);
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
    uint32_t least[MINHASH_MAX], mul[MINHASH_MAX];

    for (int k = 0; k < lanes; k++) {
        least[k] = UINT32_MAX;
        mul[k] = m->mul[k];
    }
    for (size_t j = 0; j < n; j++) {
        uint32_t x = run[j];

        for (int k = 0; k < lanes; k++) {
            uint32_t h = mul[k] * x;

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

void minhash_keys(const struct minhash *m, struct minhash_set *x, uint64_t key[MINHASH_MAX])
{
    uint32_t sig[MINHASH_MAX];

    sign(m, x->run, x->n_run, m->bands * m->rows, sig);
    x->sketch = 0;
    for (int b = 0; b < m->bands; b++) {
        const uint32_t *row = sig + b * m->rows;

        key[b] = (uint64_t)b;
        for (int r = 0; r < m->rows; r += 2) {
            uint64_t two = row[r] | (uint64_t)(r + 1 < m->rows ? row[r + 1] : 0) << 32;

            key[b] = hash_fold(key[b] ^ two ^ 0x8EBC6AF09C88C6E3u, MIX);
        }
    }
    for (int i = 0; i < SKETCH; i++)
        x->sketch |= (uint64_t)(sig[i] * 0x9E3779B1u >> 31) << i;
}

double minhash_jaccard(struct minhash_set *x, const uint16_t *word, size_t n)
{
    size_t both = 0, others = 0;

    if (x->use < 2 * (x->taken + n) || x->turn == TURNS - 1) // most texts are compared with none
        make_table(x, n);
    x->turn++;
    for (size_t i = 0; i + 2 < n; i++) {
        uint64_t run = run_at(word + i), *p = find(x, run), old = *p;

        if (old >> TURN == x->turn)
            continue;
        both += (old & OWN) != 0;
        others += !(old & OWN);
        x->taken += !old;
        *p = x->turn << TURN | (old & OWN) | TAKEN | run;
    }
    return (double)both / (double)(x->different + others);
}
