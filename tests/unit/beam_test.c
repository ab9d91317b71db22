/* beam_test.c - beam search against Hugging Face transformers: the searches of
 * tests/goldens/beam.py, over the checkpoints of tests/goldens/logits.py. */
#include "arena.h"
#include "beam.h"
#include "file.h"
#include "forward.h"
#include "json.h"
#include "step.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TOKENS = 64, MAX_BEAMS = 8 };

struct search {
    struct model *m;
    struct backend *b;
    struct beam_opt o;
    int32_t prompt[MAX_TOKENS], end[MAX_TOKENS];
    int n_prompt, n_end;
};

/* The likeliest tokens after n tokens, computed from the first on. */
static void likeliest(const struct search *s, const int32_t *token, int n, struct sample_top *top,
                      int n_top)
{
    struct sample_work w = {.rank.backend = s->b};
    struct kv kv;
    struct kv_seq seq = {0};
    struct step_build sb;
    struct act a;
    struct err e;
    int rc;

    rc = kv_open(&kv, s->m, s->b, KV_F32, 2, &e) || forward_open(&a, s->m, s->b, n, 1, &e);
    step_init(&sb, n, 1, 1);
    rc = rc || kv_reserve(&kv, &seq, n);
    step_add(&sb, &seq, token, n, 0, 1);
    rc = rc || forward(s->m, s->b, &kv.pages, &a, step_done(&sb), &e);
    CHECK(!rc);
    sample_logprobs(&w, a.logits_d, s->m->vocab, 0, top, n_top);
    sample_free(&w);
    step_free(&sb);
    forward_close(&a, s->b);
    kv_release(&kv, &seq);
    kv_close(&kv);
}

static bool ends(void *ctx, int from, int32_t id)
{
    const struct search *s = ctx;

    (void)from;
    for (int i = 0; i < s->n_end; i++)
        if (s->end[i] == id)
            return true;
    return false;
}

static void run(struct search *s, struct beam *b)
{
    int32_t line[MAX_BEAMS][MAX_TOKENS], old[MAX_BEAMS][MAX_TOKENS];
    struct sample_top top[256];
    int n = s->n_prompt;

    beam_open(b, &s->o);
    memcpy(line[0], s->prompt, sizeof(s->prompt));
    do {
        for (int i = 0; i < b->n_running; i++) {
            likeliest(s, line[i], n, top, beam_want(b));
            beam_offer(b, i, top, beam_want(b));
        }
        beam_advance(b, ends, s);
        memcpy(old, line, sizeof(line));
        for (int i = 0; i < b->n_running; i++) {
            memcpy(line[i], old[b->next[i].from], sizeof(line[i]));
            line[i][n] = b->next[i].id;
        }
        n++;
    } while (b->n_running && n < MAX_TOKENS);
}

static int list(const struct json *j, int arr, int32_t *out)
{
    int n = 0;

    for (uint32_t k = 0; k < j->node[arr].size && n < MAX_TOKENS; k++) {
        int64_t i;

        CHECK(!json_int(j, json_at(j, arr, k), &i));
        out[n++] = (int32_t)i;
    }
    return n;
}

static double number(const struct json *j, int node, const char *key)
{
    double x = NAN;

    CHECK(!json_num(j, json_get(j, node, key), &x));
    return x;
}

static void check(const struct json *j, int node, struct search *s)
{
    int best = json_get(j, node, "best"), early = json_get(j, node, "early");
    struct beam b;

    s->n_prompt = list(j, json_get(j, node, "prompt"), s->prompt);
    s->n_end = list(j, json_get(j, node, "eos"), s->end);
    s->o = (struct beam_opt){
        .beams = (int)number(j, node, "beams"),
        .groups = (int)number(j, node, "groups"),
        .length_penalty = (float)number(j, node, "length_penalty"),
        .diversity = (float)number(j, node, "diversity"),
        .stop = json_str_is(j, early, "True")    ? BEAM_EARLY
                : json_str_is(j, early, "never") ? BEAM_NEVER
                                                 : BEAM_HEURISTIC,
        .max_tokens = (int)number(j, node, "max_new"),
        .n_end = s->n_end,
    };
    run(s, &b);
    for (uint32_t k = 0; k < j->node[best].size; k++) {
        const struct beam_hyp *h = beam_best(&b, (int)k);
        int pair = json_at(j, best, k);
        int32_t want[MAX_TOKENS], got[MAX_TOKENS];
        int n = list(j, json_at(j, pair, 1), want);
        double score = NAN;

        CHECK(!json_num(j, json_at(j, pair, 0), &score));
        CHECK(h && h->n == n && fabs(h->score - score) < 1e-3);
        if (!h || h->n != n)
            continue;
        beam_tokens(&b, h, got);
        CHECK(!memcmp(got, want, (size_t)n * sizeof(*got)));
        CHECK(h->ended == ends(s, 0, got[n - 1]));
    }
    CHECK(!beam_best(&b, (int)j->node[best].size));
    beam_close(&b);
}

static bool never(void *ctx, int from, int32_t id)
{
    (void)ctx;
    return from < 0 || id < 0;
}

static void few(void)
{
    const struct beam_opt o = {.beams = 3, .groups = 1, .length_penalty = 1, .max_tokens = 2};
    const struct sample_top same[2] = {{4, -1}, {9, -1}};
    struct beam b;

    TEST("fewer tokens than beams, and none; ties go to the lower numbers");
    beam_open(&b, &o);
    beam_offer(&b, 0, same, 2);
    CHECK(beam_advance(&b, never, NULL) == 2 && b.next[0].id == 4 && b.next[1].id == 9);
    beam_offer(&b, 0, same, 2);
    beam_offer(&b, 1, same, 0);
    CHECK(beam_advance(&b, never, NULL) == 0);
    CHECK(beam_best(&b, 0)->n == 2 && !beam_best(&b, 0)->ended && beam_best(&b, 1));
    CHECK(!beam_best(&b, 2));
    beam_close(&b);
    beam_open(&b, &o);
    beam_offer(&b, 0, same, 0);
    CHECK(beam_advance(&b, never, NULL) == 0 && !beam_best(&b, 0));
    beam_close(&b);
}

int main(void)
{
    struct err e;
    struct backend *cpu = backend_cpu_open(1, ISA_AUTO, &e);
    struct arena mem = {0};
    struct json j;
    size_t n;
    char *text = file_text("tests/data/beam/golden.json", 1 << 20, &n, &e);
    static const char *const models[] = {"mha", "gqa", "mistral"};

    if (!text || json_parse(&j, &mem, text, n, &e)) {
        printf("Bail out! %s\n", e.msg);
        return 1;
    }
    for (int i = 0; i < 3; i++) {
        char *dir = file_join("tests/data/logits", models[i]);
        struct search s = {.b = cpu, .m = model_open(dir, cpu, &e)};
        int done = 0;

        TEST(models[i]);
        CHECK(s.m != NULL);
        for (uint32_t c = 0; s.m && c < j.node[0].size; c++) {
            int node = json_at(&j, 0, c);

            if (!json_str_is(&j, json_get(&j, node, "model"), models[i]))
                continue;
            check(&j, node, &s);
            done++;
        }
        CHECK(done > 20);
        model_close(s.m);
        free(dir);
    }
    few();
    arena_free(&mem);
    free(text);
    backend_close(cpu);
    return test_end();
}
