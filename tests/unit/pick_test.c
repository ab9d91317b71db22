/* pick_test.c - sampling from what a device said of a row is sampling from the row. */
#include "mem.h"
#include "num.h"
#include "sample.h"
#include "test.h"

#include <stdlib.h>

enum { MOST = 3000, SEEN = 60 };

static uint64_t seed = 1;

static uint32_t next(uint32_t n)
{
    const struct rng r = {{(uint32_t)seed, 7}};

    return rng_below(&r, seed++, 0, n);
}

static float uniform(void)
{
    return (float)next(1 << 20) / (1 << 20);
}

static bool chance(uint32_t n)
{
    return next(n) == 0;
}

static int by_order(const void *a, const void *b)
{
    const struct rank_item *x = a, *y = b;

    return x->x != y->x ? x->x > y->x ? -1 : 1 : (x->id > y->id) - (x->id < y->id);
}

/* What a device answers, from the whole row. */
static void answer(struct backend *b, const float *row, int n, const struct pick_ask *a,
                   struct pick *p)
{
    struct rank_item all[MOST];
    float clean[MOST], e[MOST], sum[MOST / BACKEND_ROW + 1], top = -INFINITY;
    const struct rng noise = {{a->key[0], a->key[1]}};

    *p = (struct pick){.drawn = -1};
    for (int i = 0, k = 0; i < n; i++) {
        clean[i] = row[i] > -INFINITY && row[i] < INFINITY ? row[i] : -INFINITY;
        if (clean[i] > -INFINITY)
            all[k++] = (struct rank_item){clean[i], i};
        p->n = k;
    }
    qsort(all, (size_t)p->n, sizeof(*all), by_order);
    p->n = p->n < a->n ? p->n : a->n;
    for (int i = 0; i < p->n; i++)
        p->item[i] = (struct pick_item){all[i].x, all[i].id};
    for (int i = 0; i < a->n_ids; i++)
        p->x[i] = row[a->id[i]];
    for (int i = 0; i < 2 && p->n; i++) {
        if (a->temp[i] == 0)
            continue;
        b->ops->row_exp(b, e, sum, clean, n, a->temp[i], all[0].x / a->temp[i]);
        for (int k = 0; k < (n + BACKEND_ROW - 1) / BACKEND_ROW; k++)
            p->mass[i] += (double)sum[k];
    }
    for (int i = 0; i < n && a->draw > 0; i++) {
        float y = clean[i] / a->draw + rng_gumbel(rng_bits(&noise, a->pos, (uint32_t)i));

        if (clean[i] / a->draw > -INFINITY && (p->drawn < 0 || y > top)) {
            p->drawn = i;
            p->drawn_x = clean[i];
            top = y;
        }
    }
}

static struct sample_opt options(struct sample_bias *bias, int n)
{
    struct sample_opt o = {
        .temp = chance(4)   ? 0
                : chance(3) ? 1
                            : 0.1f + 2 * uniform(),
        .top_k = chance(2) ? 0 : 1 + (int)next(chance(4) ? 200 : 60),
        .top_p = chance(2) ? 1 : uniform(),
        .min_p = chance(2) ? 0 : 0.3f * uniform(),
        .typical_p = chance(4) ? uniform() : 1,
        .top_n_sigma = chance(9) ? 2 : 0,
        .mirostat_tau = chance(6) ? 1 + 4 * uniform() : 0,
        .mirostat_eta = 0.1f,
        .repeat_penalty = chance(3) ? 0.9f + 0.4f * uniform() : 1,
        .presence_penalty = chance(4) ? uniform() : 0,
        .frequency_penalty = chance(4) ? uniform() - 0.1f : 0,
        .dry = {.multiplier = chance(4) ? 0.8f : 0, .base = 1.75f, .allowed = 1, .range = -1},
        .bias = bias,
    };

    if (chance(4))
        for (int i = 0; i < 3; i++)
            bias[o.n_bias++] =
                (struct sample_bias){(int)next((uint32_t)n) / 3 * 3 + i, chance(3)   ? -INFINITY
                                                                         : chance(6) ? 1
                                                                                     : -1};
    for (int i = 0; i < o.n_bias; i++)
        if (bias[i].id >= n)
            o.n_bias = i;
    if (o.n_bias == 3 && (bias[0].id == bias[1].id || bias[1].id == bias[2].id))
        o.n_bias = 1;
    return o;
}

static void fill(float *row, int n, int kind)
{
    float scale = chance(2) ? 3 : 12;

    for (int i = 0; i < n; i++) {
        float r = uniform() + uniform() + uniform() + uniform() - 2;

        row[i] = kind == 1   ? (float)(int)(r * 5)
                 : kind == 2 ? num_float(num_bits(8.0f) + next(300)) // quotients that are equal
                 : kind == 3 && chance(9) ? chance(2) ? NAN : INFINITY
                                          : r * scale;
        if (kind == 4 && i > 20)
            row[i] = -INFINITY;
    }
}

struct tried {
    int asked, lacked, refused;
};

static void one(struct sample_work *w, struct tried *tried)
{
    static float row[MOST];
    struct pick pick;
    struct pick_ask ask = {0};
    struct sample_bias bias[3];
    struct sample_top top[2][8];
    int n = 2 + (int)next(chance(3) ? MOST - 2 : 300), logprobs = chance(2) ? 1 + (int)next(8) : 0;
    struct sample_opt o = options(bias, n);
    int32_t seen[SEEN], id[2];
    uint64_t allow[MOST / 64 + 1], *mask = chance(3) ? allow : NULL;
    struct sample_seq seq[2] = {{seen, 20, (int)next(SEEN - 20) + 20, chance(2) ? 0 : 3}};
    const struct rng noise = {{next(1 << 30), next(1 << 30)}};
    float p[2] = {0, 0};

    fill(row, n, (int)next(6));
    for (int i = 0; i < SEEN; i++)
        seen[i] = (int)next((uint32_t)(n < 12 ? n : 12));
    for (int i = 0; i < MOST / 64 + 1; i++)
        allow[i] = (uint64_t)next(1 << 30) << 34 ^ (uint64_t)next(1 << 30) << 8;
    seq[1] = seq[0];
    if (!sample_ask(&o, &seq[0], mask, &noise, n, 77, logprobs, &ask)) {
        tried->refused++;
        return;
    }
    tried->asked++;
    answer(w->rank.backend, row, n, &ask, &pick);
    w->ask = &ask;
    w->pick = &pick;
    id[0] = sample_draw(w, &o, &seq[0], mask, &noise, NULL, n, 77);
    if (w->rank.lacks) {
        tried->lacked++;
        CHECK(seq[0].mu == seq[1].mu);
        return;
    }
    id[1] = sample_draw(w, &o, &seq[1], mask, &noise, row, n, 77);
    CHECK(id[0] == id[1] && seq[0].mu == seq[1].mu);
    if (!logprobs || id[0] < 0)
        return;
    p[0] = sample_logprobs(w, NULL, n, id[0], top[0], logprobs);
    if (w->rank.lacks)
        return;
    p[1] = sample_logprobs(w, row, n, id[1], top[1], logprobs);
    CHECK(!memcmp(&p[0], &p[1], sizeof(p[0])));
    CHECK(!memcmp(top[0], top[1], (size_t)logprobs * sizeof(top[0][0])));
}

/* Searches, texts that are given, choices. */
static void others(struct sample_work *w)
{
    static float row[MOST];
    struct sample_opt o = {.repeat_penalty = 1};
    struct sample_top top[2][PICK_MOST];
    struct pick pick;
    struct pick_ask ask = {0};
    int n = 2 + (int)next(MOST - 2), m = 1 + (int)next(PICK_MOST);
    int32_t id = (int)next((uint32_t)n), k[2];
    float p[2];

    fill(row, n, (int)next(6));
    w->ask = &ask;
    w->pick = &pick;
    CHECK(sample_ask_likeliest(&o, NULL, false, m, &ask));
    answer(w->rank.backend, row, n, &ask, &pick);
    k[0] = sample_likeliest(w, &o, NULL, NULL, NULL, n, top[0], m);
    CHECK(!w->rank.lacks);
    k[1] = sample_likeliest(w, &o, NULL, NULL, row, n, top[1], m);
    CHECK(k[0] == k[1] && !memcmp(top[0], top[1], (size_t)k[0] * sizeof(top[0][0])));
    CHECK(sample_ask_logprobs(id, m, &ask));
    answer(w->rank.backend, row, n, &ask, &pick);
    p[0] = sample_logprobs(w, NULL, n, id, top[0], m);
    CHECK(!w->rank.lacks);
    p[1] = sample_logprobs(w, row, n, id, top[1], m);
    CHECK(!memcmp(&p[0], &p[1], sizeof(p[0])));
    CHECK(!memcmp(top[0], top[1], (size_t)m * sizeof(top[0][0])));
    CHECK(!sample_ask_likeliest(&o, NULL, true, m, &ask));
    CHECK(!sample_ask_likeliest(&o, NULL, false, PICK_MOST + 1, &ask));
}

int main(void)
{
    struct err e;
    struct backend *b = backend_cpu_open(1, ISA_AUTO, &e);
    struct sample_work w = {.rank.backend = b};
    struct tried t = {0};

    TEST("draws and their log-probabilities: the row's, or it is asked for");
    for (int i = 0; i < 40000; i++)
        one(&w, &t);
    printf("# %d asked, of which %d lack; %d need the row\n", t.asked, t.lacked, t.refused);
    CHECK(t.asked - t.lacked > 10000);
    TEST("searches and texts that are given");
    for (int i = 0; i < 300; i++)
        others(&w);
    sample_free(&w);
    backend_close(b);
    return test_end();
}
