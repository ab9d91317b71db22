/* logits_test.c - forward against Hugging Face transformers, on the checkpoints
 * that tests/goldens/logits.py made: as HF directories, as GGUF files in other
 * converters' way, as the GGUF files that llm-convert makes, and as the directories
 * that it makes of those, as directories of doubles; whole and token by token, to the same bytes.
 */
#include "arena.h"
#include "file.h"
#include "forward.h"
#include "json.h"
#include "quant.h"
#include "st.h"
#include "step.h"
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_TOKENS = 256 };

static const struct {
    const char *name;
    bool peer; // there is a peer.gguf
} models[] = {{"mha", false},     {"gqa", false},          {"mqa", false},
              {"llama3", false},  {"linear", false},       {"headdim", false},
              {"bias", true},     {"mistral", false},      {"window", true},
              {"qwen2", true},    {"qwen2window", false},  {"qwen3", true},
              {"gpt2", true},     {"gemma2", true},        {"gemma2scale", false},
              {"nemotron", true}, {"nemotronbias", false}, {"nemotronshare", false}};

struct golden {
    struct arena mem;
    struct json j;
    char *text;
    int32_t token[MAX_TOKENS];
    int n;
    int top; // node of the array of likeliest tokens
};

static int golden_open(struct golden *g, const char *dir, struct err *e)
{
    char *path = file_join(dir, "golden.json");
    int tokens, rc = -1;
    size_t n;

    *g = (struct golden){0};
    g->text = file_text(path, 1 << 20, &n, e);
    free(path);
    if (g->text && !json_parse(&g->j, &g->mem, g->text, n, e)) {
        tokens = json_get(&g->j, 0, "tokens");
        g->top = json_get(&g->j, 0, "top");
        for (; g->n < MAX_TOKENS; g->n++) {
            int64_t id;

            if (json_int(&g->j, json_at(&g->j, tokens, (uint32_t)g->n), &id))
                break;
            g->token[g->n] = (int32_t)id;
        }
        rc = 0;
    }
    return rc;
}

static void golden_close(struct golden *g)
{
    arena_free(&g->mem);
    free(g->text);
}

/* Logits after every token, fed in steps of `chunk`. */
static int run(struct model *m, struct backend *b, const struct golden *g, int chunk, float *logits,
               struct err *e)
{
    struct kv kv;
    struct kv_seq s = {0};
    struct step_build sb;
    struct act a;
    int rc = 0;

    if (kv_open(&kv, m, b, KV_F32, 4, e))
        return -1;
    if (forward_open(&a, m, b, chunk, chunk, e)) {
        kv_close(&kv);
        return -1;
    }
    step_init(&sb, chunk, chunk, 1);
    while (s.len < g->n && !rc) {
        int n = g->n - s.len < chunk ? g->n - s.len : chunk;

        rc = kv_reserve(&kv, &s, n);
        step_reset(&sb);
        if (!rc)
            step_add(&sb, &s, g->token + s.len, n, s.len, n);
        rc = rc || forward(m, b, &kv.pages, &a, step_done(&sb), e) ? -1 : 0;
        if (!rc)
            b->ops->download(b, logits + (size_t)s.len * (size_t)m->vocab, a.logits_d,
                             (size_t)n * (size_t)m->vocab * sizeof(*logits), e);
        s.len += n;
    }
    forward_close(&a, b);
    step_free(&sb);
    kv_release(&kv, &s);
    kv_close(&kv);
    return rc;
}

/* The largest |difference| of a log-probability; infinite when the likeliest token differs. */
static double compare(const struct golden *g, const float *logits, int vocab)
{
    double worst = 0;

    for (int t = 0; t < g->n; t++, logits += vocab) {
        int row = json_at(&g->j, g->top, (uint32_t)t), best = 0;
        double sum = 0;

        for (int i = 0; i < vocab; i++)
            best = logits[i] > logits[best] ? i : best;
        for (int i = 0; i < vocab; i++)
            sum += exp((double)(logits[i] - logits[best]));
        for (uint32_t k = 0; k < g->j.node[row].size; k++) {
            int pair = json_at(&g->j, row, k);
            int64_t id = -1;
            double p = NAN, mine;

            if (json_int(&g->j, json_at(&g->j, pair, 0), &id) || id < 0 || id >= vocab ||
                json_num(&g->j, json_at(&g->j, pair, 1), &p) || (k == 0 && id != best))
                return INFINITY;
            mine = (double)(logits[id] - logits[best]) - log(sum);
            worst = fmax(worst, fabs(mine - p));
        }
    }
    return worst;
}

static void check_model(const char *path, struct backend *b, const struct golden *g)
{
    struct err e;
    struct model *m = model_open(path, b, &e);
    float *whole, *single;
    size_t n;
    double worst;

    CHECK(m != NULL);
    if (!m) {
        printf("# %s\n", e.msg);
        return;
    }
    n = (size_t)g->n * (size_t)m->vocab;
    whole = mem_zero(n, sizeof(*whole));
    single = mem_zero(n, sizeof(*single));
    CHECK(g->n > BACKEND_PAGE);
    CHECK(!run(m, b, g, g->n, whole, &e));
    CHECK(!run(m, b, g, 1, single, &e));
    CHECK(!memcmp(whole, single, n * sizeof(*whole)));
    CHECK(!run(m, b, g, 13, single, &e));
    CHECK(!memcmp(whole, single, n * sizeof(*whole)));
    worst = compare(g, whole, m->vocab);
    CHECK(worst <= 1e-4);
    printf("# %s: log-probabilities within %.2g\n", path, worst);
    free(whole);
    free(single);
    model_close(m);
}

static void convert(const char *tool, const char *from, const char *type, const char *to)
{
    char command[2048];

    snprintf(command, sizeof(command), "'%s' -q '%s' --type %s -o '%s'", tool, from, type, to);
    CHECK(system(command) == 0);
}

/* The same checkpoint through llm-convert, there and back, when it is built. */
static void check_converted(const char *dir, const char *name, struct backend *b,
                            const struct golden *g)
{
    const char *build = getenv("BUILD"), *tmp = getenv("TMPDIR");
    char command[1024], path[512], back[520], tool[512];

    snprintf(tool, sizeof(tool), "%s/llm-convert", build ? build : "build");
    if (access(tool, X_OK)) {
        printf("# no %s: GGUF files not tested\n", tool);
        return;
    }
    snprintf(path, sizeof(path), "%s/logits_%s_%d.gguf", tmp ? tmp : "/tmp", name, (int)getpid());
    snprintf(back, sizeof(back), "%.*s", (int)strlen(path) - 5, path);
    convert(tool, dir, "f32", path);
    check_model(path, b, g);
    convert(tool, path, "auto", back);
    check_model(back, b, g);
    unlink(path);
    snprintf(command, sizeof(command), "rm -r '%s'", back);
    CHECK(system(command) == 0);
}

/* The same weights as doubles: what they round to is what they are. */
static void check_wide(const char *dir, const char *name, struct backend *b, const struct golden *g)
{
    const char *tmp = getenv("TMPDIR");
    char wide[512], command[1200], path[600];
    struct st s;
    struct st_writer w;
    struct err e;

    snprintf(wide, sizeof(wide), "%s/wide_%s_%d", tmp ? tmp : "/tmp", name, (int)getpid());
    snprintf(command, sizeof(command), "mkdir '%s' && cp %s/*.json '%s'", wide, dir, wide);
    CHECK(system(command) == 0);
    snprintf(path, sizeof(path), "%s/model.safetensors", wide);
    CHECK(!st_open(&s, dir, &e) && !st_create(&w, path, 0, &e));
    for (int i = 0; i < s.n_tensors; i++)
        CHECK(
            !st_put_tensor(&w, s.tensor[i].name, T_F64, s.tensor[i].n_dims, s.tensor[i].shape, &e));
    CHECK(!st_start_data(&w, &e));
    for (int i = 0; i < s.n_tensors; i++) {
        size_t n = (size_t)(tensor_rows(&s.tensor[i]) * tensor_cols(&s.tensor[i]));
        float *x = mem_new(n * sizeof(*x));
        double *y = mem_new(n * sizeof(*y));

        CHECK(quant_read(s.tensor[i].type, s.tensor[i].data, x, (int64_t)n));
        for (size_t k = 0; k < n; k++)
            y[k] = (double)x[k];
        CHECK(!st_data(&w, y, n * sizeof(*y), &e));
        free(x);
        free(y);
    }
    CHECK(!st_finish(&w, &e));
    st_close(&s);
    check_model(wide, b, g);
    snprintf(command, sizeof(command), "rm -r '%s'", wide);
    CHECK(system(command) == 0);
}

int main(void)
{
    struct err e;
    struct backend *b = backend_cpu_open(2, ISA_AUTO, &e);

    for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
        char *dir = file_join("tests/data/logits", models[i].name);
        struct golden g;

        TEST(models[i].name);
        if (golden_open(&g, dir, &e)) {
            printf("# %s\n", e.msg);
            CHECK(g.text != NULL);
        } else {
            char *peer = file_join(dir, "peer.gguf");

            check_model(dir, b, &g);
            check_wide(dir, models[i].name, b, &g);
            if (models[i].peer)
                check_model(peer, b, &g);
            check_converted(dir, models[i].name, b, &g);
            free(peer);
        }
        golden_close(&g);
        free(dir);
    }
    backend_close(b);
    return test_end();
}
