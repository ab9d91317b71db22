/* tree_test.c - token trees: which pages are put together, and the embedded model's logits, which
 * are those of each path decoded alone, and of what follows a path that is kept.
 *
 * With LLM_TEST_DEVICE=llm-cuda.so in the environment the model is that device's, with each type of
 * cache. */
#include "../ops/mirror.h"
#include "forward.h"
#include "mem.h"
#include "step.h"
#include "synth.h"
#include "test.h"
#include "tree.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void test_plan(void)
{
    // behind 62 positions: 0 - 1 - 3, 0 - 2, 4 - 5; and a token of a sequence without a tree
    static const uint64_t tree[] = {1, 3, 5, 11, 16, 48, 0};
    static const int32_t pos[] = {62, 63, 63, 64, 62, 63, 9}, seq[] = {0, 0, 0, 0, 0, 0, 1};
    static const int32_t page[] = {7, 3, 2, 0};
    const struct step s = {
        .n = 7, .n_seq = 2, .max_pages = 2, .pos = pos, .seq = seq, .page = page, .tree = tree};
    struct step chain = s;
    struct tree t = {0};

    TEST("nodes by depth; a path's pages from where it leaves the order of slots");
    CHECK(tree_node(11, 0) == 0 && tree_node(11, 2) == 3 && tree_node((uint64_t)1 << 63, 0) == 63);
    tree_plan(&t, &s);
    CHECK(t.bend[0] == TREE_NO_BEND && t.bend[1] == TREE_NO_BEND && t.bend[6] == TREE_NO_BEND);
    CHECK(t.bend[2] == 0 && t.bend[3] == 1 && t.bend[4] == 0 && t.bend[5] == 0);
    CHECK(t.n == 3 && t.tail[4] == t.tail[5] && t.tail[2] != t.tail[5]);
    for (int i = 0; i < 62; i++)
        CHECK(t.row[t.tail[5] * 64 + i] == 7 * 64 + i);
    CHECK(t.row[t.tail[5] * 64 + 62] == 3 * 64 + 2 && t.row[t.tail[5] * 64 + 63] == 3 * 64 + 3);
    CHECK(t.row[t.tail[2] * 64 + 62] == 7 * 64 + 62 && t.row[t.tail[2] * 64 + 63] == 3 * 64);
    CHECK(t.row[(t.tail[3] + 1) * 64] == 3 * 64 + 1 && t.row[(t.tail[3] + 1) * 64 + 1] == -1);
    chain.tree = NULL;
    tree_plan(&t, &chain);
    CHECK(t.n == 0);
    tree_free(&t);
}

enum { PAGES = 48, TOKENS = 64, NODES = 20, AFTER = 3 };

struct lab {
    struct backend *b;
    struct model *m;
    struct kv kv;
    struct act act;
    struct step_build step;
    uint32_t random;
    float *logits; // (TOKENS, vocab) of the last step
};

static int pick(struct lab *l, int n)
{
    l->random = l->random * 1664525u + 1013904223u;
    return (int)((l->random >> 8) % (uint32_t)n);
}

static void go(struct lab *l)
{
    const struct step *s = step_done(&l->step);
    struct err e;
    int rc = forward(l->m, l->b, &l->kv.pages, &l->act, s, &e);

    CHECK(!rc);
    if (rc)
        printf("# %s\n", e.msg);
    CHECK(!l->b->ops->download(l->b, l->logits, l->act.logits_d,
                               (size_t)s->n_out * (size_t)l->m->vocab * sizeof(float), &e));
}

/* n tokens behind a sequence; logits of the last one are in row 0. */
static void feed(struct lab *l, struct kv_seq *s, const int32_t *token, int n)
{
    for (int done = 0, k; done < n; done += k) {
        k = n - done < TOKENS ? n - done : TOKENS;
        CHECK(!kv_reserve(&l->kv, s, k));
        step_reset(&l->step);
        step_add(&l->step, s, token + done, k, s->len, 1);
        s->len += k;
        go(l);
    }
}

static bool same(const struct lab *l, const float *rows, int row)
{
    size_t n = (size_t)l->m->vocab;

    return !memcmp(l->logits, rows + (size_t)row * n, n * sizeof(*rows));
}

struct grown {
    int n;
    int32_t token[NODES], after[AFTER];
    uint64_t tree[NODES];
};

static void grow(struct lab *l, struct grown *g, int n, int back)
{
    g->n = n;
    for (int i = 0; i < n; i++) {
        int parent = i - 1 - pick(l, back + 1);

        g->token[i] = pick(l, l->m->vocab);
        g->tree[i] = (parent < 0 ? 0 : g->tree[parent]) | (uint64_t)1 << i;
    }
    for (int i = 0; i < AFTER; i++)
        g->after[i] = pick(l, l->m->vocab);
}

/* Each node's path token by token behind a fork of the sequence; the last one goes on. */
static void check_paths(struct lab *l, const struct grown *g, const struct kv_seq *s,
                        const float *rows, float *end)
{
    for (int i = 0; i < g->n; i++) {
        struct kv_seq chain = {0};
        bool leaf = true;

        for (int k = i + 1; k < g->n; k++)
            leaf = leaf && !(g->tree[k] >> i & 1);
        if (!leaf)
            continue;
        kv_fork(&l->kv, &chain, s);
        for (int k = 0; k < g->n; k++)
            if (g->tree[i] >> k & 1) {
                feed(l, &chain, g->token + k, 1);
                CHECK(same(l, rows, k));
            }
        for (int k = 0; k < AFTER && i == g->n - 1; k++)
            feed(l, &chain, g->after + k, 1);
        kv_release(&l->kv, &chain);
    }
    memcpy(end, l->logits, (size_t)l->m->vocab * sizeof(*end));
}

/* A tree behind what s holds, in one step with a token of another sequence, or in two; then its
 * last node's path is kept. */
static void check_tree(struct lab *l, struct kv_seq *s, struct kv_seq *other, int n, int back,
                       int first)
{
    size_t vocab = (size_t)l->m->vocab;
    float *rows = mem_new((size_t)(NODES + 1) * vocab * sizeof(*rows)), *end = rows + NODES * vocab;
    struct grown g;
    int32_t token = pick(l, l->m->vocab);

    grow(l, &g, n, back);
    CHECK(!kv_reserve(&l->kv, s, n) && !kv_reserve(&l->kv, other, 1));
    for (int from = 0, k; from < n; from += k) {
        k = from ? n - first : first;
        step_reset(&l->step);
        CHECK(step_add_tree(&l->step, s, g.token + from, g.tree + from, k, s->len) == 0);
        step_add(&l->step, other, &token, 1, other->len, 1);
        go(l);
        memcpy(rows + (size_t)from * vocab, l->logits, (size_t)k * vocab * sizeof(*rows));
    }
    other->len++;
    check_paths(l, &g, s, rows, end);
    kv_keep(&l->kv, s, g.tree[n - 1]);
    for (int k = 0; k < AFTER; k++)
        feed(l, s, g.after + k, 1);
    CHECK(same(l, end, 0));
    free(rows);
}

static void check_model(struct backend *b, const char *path, enum kv_type type, int base)
{
    static int32_t prompt[600];
    struct lab l = {.b = b, .random = 1};
    struct kv_seq s = {0}, other = {0}, plain = {0};
    struct err e;
    float *row;

    l.m = model_open(path, b, &e);
    CHECK(l.m && !kv_open(&l.kv, l.m, b, type, PAGES, &e) &&
          !forward_open(&l.act, l.m, b, TOKENS, TOKENS, &e));
    step_init(&l.step, TOKENS, TOKENS, 2);
    l.logits = mem_zero((size_t)TOKENS * (size_t)l.m->vocab, sizeof(*l.logits));
    for (int i = 0; i < 600; i++)
        prompt[i] = pick(&l, l.m->vocab);
    feed(&l, &s, prompt, base);
    feed(&l, &other, prompt, 3);
    check_tree(&l, &s, &other, 5, 2, 5);
    if (type == KV_F32)
        check_tree(&l, &s, &other, NODES, 3, NODES);
    check_tree(&l, &s, &other, 12, 4, 7);

    kv_fork(&l.kv, &plain, &s); // a tree of which nothing is kept
    CHECK(!kv_reserve(&l.kv, &s, 2));
    step_reset(&l.step);
    step_add_tree(&l.step, &s, prompt, (const uint64_t[]){1, 2}, 2, s.len);
    go(&l);
    kv_keep(&l.kv, &s, 0);
    CHECK(s.len == plain.len);
    feed(&l, &s, prompt + 7, 1);
    row = memcpy(mem_new((size_t)l.m->vocab * sizeof(*row)), l.logits,
                 (size_t)l.m->vocab * sizeof(*row));
    feed(&l, &plain, prompt + 7, 1);
    CHECK(same(&l, row, 0));
    free(row);
    kv_release(&l.kv, &s);
    kv_release(&l.kv, &other);
    kv_release(&l.kv, &plain);
    CHECK(l.kv.n_free == PAGES);
    step_free(&l.step);
    forward_close(&l.act, b);
    kv_close(&l.kv);
    free(l.logits);
    model_close(l.m);
}

int main(void)
{
    const char *so = getenv("LLM_TEST_DEVICE"), *tiny = "examples/models/tiny.gguf";
    struct err e;
    struct backend *b = so ? mirror_device(so) : backend_cpu_open(2, ISA_AUTO, &e);

    test_plan();
    CHECK(b != NULL);
    TEST("the model's logits: a tree's are those of its paths, and so is what follows");
    for (int type = 0; b && type < KV_TYPES; type++)
        check_model(b, tiny, (enum kv_type)type, type % 2 ? 124 : 60);
    if (b && !so)
        check_model(b, tiny, KV_F32, 499);
    if (so)
        TEST("the same with heads that a device has on tensor cores");
    for (int type = KV_F16; b && so && type < KV_TYPES; type++) {
        char path[] = "/tmp/tree_test.XXXXXX";
        int fd = mkstemp(path); // nano, in BF16

        CHECK(fd >= 0 && !synth_write(1, 2, 1, 1, path, true, &e));
        check_model(b, path, (enum kv_type)type, 50 + 4 * type);
        close(fd);
        unlink(path);
    }
    backend_close(b);
    return test_end();
}
