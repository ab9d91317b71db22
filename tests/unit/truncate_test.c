/* truncate_test.c - what truncation, Mirostat and DRY do, against tests/goldens/sample.py. */
#include "arena.h"
#include "file.h"
#include "json.h"
#include "sample.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 3, V = 330 };

struct golden {
    struct arena mem;
    struct json j;
    float row[ROWS][V];
    struct sample_work w;
};

static double number(const struct json *j, int node, const char *key, double otherwise)
{
    double x;

    return json_num(j, json_get(j, node, key), &x) ? otherwise : x;
}

static int integer(const struct json *j, int arr, uint32_t k)
{
    int64_t i;

    return json_int(j, json_at(j, arr, k), &i) ? -1 : (int)i;
}

static struct sample_opt options(const struct json *j, int node)
{
    return (struct sample_opt){
        .temp = (float)number(j, node, "temp", 1),
        .top_k = (int)number(j, node, "top_k", 0),
        .top_p = (float)number(j, node, "top_p", 1),
        .min_p = (float)number(j, node, "min_p", 0),
        .typical_p = (float)number(j, node, "typical_p", 1),
        .top_n_sigma = (float)number(j, node, "top_n_sigma", 0),
        .mirostat_tau = (float)number(j, node, "tau", 0),
        .mirostat_eta = (float)number(j, node, "eta", 0),
        .repeat_penalty = 1,
    };
}

static bool is_kept(struct sample_work *w, int id)
{
    rank_list(&w->rank);
    for (int i = 0; i < w->rank.n_items; i++)
        if (w->rank.item[i].id == id)
            return true;
    return false;
}

static void cuts(struct golden *g)
{
    int all = json_get(&g->j, 0, "cuts"), n = (int)g->j.node[all].size;

    TEST("what top-k, top-p, min-p, typical and top-n-sigma keep: as transformers' warpers");
    CHECK(n > 60);
    for (int c = 0; c < n; c++) {
        int node = json_at(&g->j, all, (uint32_t)c), kept = json_get(&g->j, node, "kept"), bad = 0;
        struct sample_opt o = options(&g->j, node);

        CHECK(sample_keep(&g->w, &o, NULL, NULL, g->row[(int)number(&g->j, node, "row", 0)], V));
        rank_list(&g->w.rank);
        bad += g->w.rank.n_items != (int)g->j.node[kept].size;
        for (uint32_t k = 0; k < g->j.node[kept].size; k++)
            bad += !is_kept(&g->w, integer(&g->j, kept, k));
        if (bad)
            printf("# cut %d: %d kept, %d wanted\n", c, g->w.rank.n_items,
                   (int)g->j.node[kept].size);
        CHECK(!bad);
    }
}

static void mirostat(struct golden *g)
{
    int all = json_get(&g->j, 0, "mirostat"), n = (int)g->j.node[all].size;

    TEST("Mirostat 2: what it keeps, and how it steers");
    CHECK(n == 9);
    for (int c = 0; c < n; c++) {
        int node = json_at(&g->j, all, (uint32_t)c), after = json_get(&g->j, node, "after");
        const float *row = g->row[(int)number(&g->j, node, "row", 0)];
        struct sample_opt o = options(&g->j, node);
        struct sample_seq seq = {.mu = number(&g->j, node, "mu", 0)};
        double mu = seq.mu;

        CHECK(sample_keep(&g->w, &o, &seq, NULL, row, V) && seq.mu == mu);
        CHECK(g->w.rank.n_items == (int)g->j.node[after].size);
        for (int t = 0; t < 20; t++) {
            struct rng r = rng_stream(7, 0, 0);
            bool found = false;
            int32_t id;

            seq.mu = mu;
            id = sample_draw(&g->w, &o, &seq, NULL, &r, row, V, t);
            for (uint32_t k = 0; k < g->j.node[after].size; k++) {
                int pair = json_at(&g->j, after, k);
                double want;

                if (integer(&g->j, pair, 0) != id ||
                    json_num(&g->j, json_at(&g->j, pair, 1), &want))
                    continue;
                found = true;
                CHECK(fabs(seq.mu - want) < 1e-5);
            }
            CHECK(found);
        }
    }
}

static void repeats(struct golden *g)
{
    int all = json_get(&g->j, 0, "dry"), n = (int)g->j.node[all].size, some = 0;
    struct dry d = {0};

    TEST("DRY: hits as found by comparing every place");
    for (int c = 0; c < n; c++) {
        int node = json_at(&g->j, all, (uint32_t)c), hits = json_get(&g->j, node, "hits");
        int tokens = json_get(&g->j, node, "tokens"), breakers = json_get(&g->j, node, "breakers");
        uint64_t mask = 0;
        struct dry_opt o = {
            (float)number(&g->j, node, "multiplier", 0), (float)number(&g->j, node, "base", 0),
            (int)number(&g->j, node, "allowed", 0), (int)number(&g->j, node, "window", 0), &mask};
        int32_t token[256];
        int len = (int)g->j.node[tokens].size;

        for (int i = 0; i < len; i++)
            token[i] = integer(&g->j, tokens, (uint32_t)i);
        for (uint32_t i = 0; i < g->j.node[breakers].size; i++)
            mask |= (uint64_t)1 << integer(&g->j, breakers, i);
        dry_find(&d, &o, token, len);
        CHECK(d.n_hits == (int)g->j.node[hits].size);
        for (int i = 0; i < d.n_hits; i++) {
            int hit = json_at(&g->j, hits, (uint32_t)i);
            double want = -1;

            CHECK(!json_num(&g->j, json_at(&g->j, hit, 2), &want));
            CHECK(d.hit[i].id == integer(&g->j, hit, 0) &&
                  d.hit[i].length == integer(&g->j, hit, 1));
            CHECK(fabs((double)d.hit[i].penalty - want) <= 1e-4 + want * 1e-6);
        }
        some += d.n_hits;
    }
    CHECK(n == 30 && some > 30);
    dry_free(&d);
}

int main(void)
{
    struct golden *g = mem_zero(1, sizeof(*g));
    struct err e;
    size_t n;
    char *text = file_text("tests/data/sample/golden.json", 1 << 20, &n, &e);

    g->w.rank.backend = backend_cpu_open(1, ISA_AUTO, &e);
    if (!text || json_parse(&g->j, &g->mem, text, n, &e)) {
        printf("Bail out! %s\n", e.msg);
        return 1;
    }
    for (int r = 0; r < ROWS; r++) {
        int row = json_at(&g->j, json_get(&g->j, 0, "rows"), (uint32_t)r);

        for (int i = 0; i < V; i++) {
            double x = NAN;

            CHECK(!json_num(&g->j, json_at(&g->j, row, (uint32_t)i), &x));
            g->row[r][i] = (float)x;
        }
    }
    cuts(g);
    mirostat(g);
    repeats(g);
    sample_free(&g->w);
    backend_close(g->w.rank.backend);
    arena_free(&g->mem);
    free(text);
    free(g);
    return test_end();
}
