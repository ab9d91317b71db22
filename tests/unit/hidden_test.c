/* hidden_test.c - pooled hidden states: the arithmetic, and the engine's against forward's own, to
 * the same bytes whatever batch, threads, chunks, instruction set and cache. */
#include "engine.h"
#include "forward.h"
#include "mem.h"
#include "step.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N_TEXTS = 6 };

static const char tiny[] = "examples/models/tiny.gguf";

static void test_pool(void)
{
    const float x[3][2] = {{1, 1e8f}, {2, 1}, {6, -1e8f}};
    struct hidden h;

    TEST("the last, the mean and the first of three states, in one piece and in two");
    for (int cut = 0; cut < 3; cut++) {
        hidden_open(&h, HIDDEN_MEAN, 2);
        hidden_add(&h, x[0], cut);
        hidden_add(&h, x[cut], 3 - cut);
        CHECK(hidden_end(&h) && h.v[0] == 3 && h.v[1] == 1.0f / 3); // a float would lose the 1
        hidden_free(&h);
        hidden_open(&h, HIDDEN_LAST, 2);
        hidden_add(&h, x[cut], 3 - cut);
        CHECK(hidden_end(&h) && h.v[0] == 6 && h.v[1] == -1e8f);
        hidden_free(&h);
        hidden_open(&h, HIDDEN_FIRST, 2);
        hidden_add(&h, x[0], cut);
        hidden_add(&h, x[cut], 3 - cut);
        CHECK(hidden_end(&h) && h.v[0] == 1 && h.v[1] == 1e8f);
        hidden_free(&h);
    }
    TEST("what is not finite, and nothing at all, is told");
    hidden_open(&h, HIDDEN_MEAN, 2);
    CHECK(!hidden_end(&h));
    hidden_add(&h, (const float[]){1, NAN}, 1);
    CHECK(!hidden_end(&h));
    hidden_free(&h);
}

/* Texts of all lengths around a page, two of which begin alike. */
static int make_text(int i, int vocab, int32_t *token)
{
    static const int length[N_TEXTS] = {1, 64, 65, 7, 90, 90};

    for (int k = 0; k < length[i]; k++)
        token[k] = (k * 31 + (i == 5 && k < 70 ? 4 : i) * 7 + 3) % vocab;
    return length[i];
}

/* The pooled states by forward alone, a text in one step; and a check of the head behind them. */
static void reference(enum hidden_pool pool, float *out)
{
    struct err e;
    struct backend *b = backend_cpu_open(1, ISA_AUTO, &e);
    struct model *m = model_open(tiny, b, &e);
    size_t dim = (size_t)m->dim;

    for (int i = 0; i < N_TEXTS; i++) {
        int32_t token[256];
        int n = make_text(i, m->vocab, token);
        struct kv kv;
        struct kv_seq s = {0};
        struct step_build sb;
        struct act a;

        CHECK(!kv_open(&kv, m, b, KV_F32, 4, &e) && !forward_open(&a, m, b, n, 0, &e));
        step_init(&sb, n, n, 1);
        CHECK(!kv_reserve(&kv, &s, n));
        step_add(&sb, &s, token, n, 0, n);
        CHECK(!forward(m, b, &kv.pages, &a, step_done(&sb), &e) && !a.logits_d);
        for (size_t k = 0; k < dim; k++) {
            double sum = 0;

            for (int t = 0; t < n; t++)
                sum += (double)a.h_d[(size_t)t * dim + k];
            out[(size_t)i * dim + k] = pool == HIDDEN_MEAN    ? (float)(sum / n)
                                       : pool == HIDDEN_FIRST ? a.h_d[k]
                                                              : a.h_d[(size_t)(n - 1) * dim + k];
        }
        forward_close(&a, b);
        step_free(&sb);
        kv_release(&kv, &s);
        kv_close(&kv);
    }
    model_close(m);
    backend_close(b);
}

/* Do all texts' vectors come as they should, in the order of submission? */
static bool engine_gives(const struct engine_opt *o, enum hidden_pool pool, const float *want)
{
    struct err e;
    struct engine *en = engine_open(o, tiny, &e);
    struct engine_result r;
    int next = 0, got = 0;
    bool same = true;

    if (!en)
        return false;
    while (got < N_TEXTS) {
        while (next < N_TEXTS && engine_room(en)) {
            int32_t token[256];
            struct engine_request q = {.token = token, .pool = pool};

            q.n_token = make_text(next++, engine_model(en)->vocab, token);
            if (engine_submit(en, &q, &e))
                return false;
        }
        if (engine_step(en, &e))
            return false;
        for (; engine_poll(en, &r); got++)
            same = same && r.finish == ENGINE_HIDDEN && r.n_tokens == 0 &&
                   r.n_hidden == engine_model(en)->dim &&
                   !memcmp(r.hidden, want + (size_t)got * (size_t)r.n_hidden,
                           (size_t)r.n_hidden * sizeof(float));
    }
    engine_close(en);
    return same;
}

static void test_engine(enum hidden_pool pool)
{
    static const struct {
        int chunk, batch, threads;
        bool no_cache;
        enum backend_isa isa;
    } way[] = {{1, 32, 1, true, ISA_AUTO},
               {7, 4, 2, false, ISA_AUTO},
               {64, 1, 3, false, ISA_AUTO},
               {512, 32, 2, true, ISA_SCALAR}};
    float *want = mem_zero(N_TEXTS * 4096, sizeof(*want));

    TEST(hidden_pools[pool]);
    reference(pool, want);
    for (int i = 0; i < (pool == HIDDEN_MEAN ? 4 : 3); i++) { // scalar code is slow
        const struct engine_opt o = {.batch = way[i].batch,
                                     .batch_tokens = way[i].chunk,
                                     .hidden = true,
                                     .no_cache = way[i].no_cache,
                                     .threads = way[i].threads,
                                     .isa = way[i].isa,
                                     .ordered = true};

        CHECK(engine_gives(&o, pool, want));
    }
    free(want);
}

static void test_limits(void)
{
    const struct engine_opt o = {.batch = 1, .ctx = 8, .batch_tokens = 4, .hidden = true};
    struct err e;
    struct engine *en = engine_open(&o, tiny, &e);
    int32_t token[9] = {0};
    struct engine_request q = {.token = token, .n_token = 8, .pool = HIDDEN_MEAN};
    struct engine_result r;

    TEST("a text may fill the context, but not exceed it");
    CHECK(en && !engine_submit(en, &q, &e));
    q.n_token = 9;
    CHECK(engine_submit(en, &q, &e) < 0 && e.code == ERR_ARG && strstr(e.msg, "9 tokens"));
    q.n_token = 0;
    CHECK(engine_submit(en, &q, &e) < 0 && e.code == ERR_ARG);
    while (!engine_poll(en, &r))
        CHECK(!engine_step(en, &e));
    CHECK(r.finish == ENGINE_HIDDEN && r.n_prompt == 8);
    engine_close(en);
}

int main(void)
{
    test_pool();
    test_engine(HIDDEN_LAST);
    test_engine(HIDDEN_MEAN);
    test_engine(HIDDEN_FIRST);
    test_limits();
    return test_end();
}
