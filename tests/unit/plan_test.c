/* plan_test.c - memory is planned, shared out, and refused with its numbers. */
#include "plan.h"
#include "test.h"

#include <string.h>

enum { PAGE = 2 * 4 * 2 * 64 * 16 * 4 }; // bytes of a page of this model: 64 KiB

static struct model small(void)
{
    struct model m = {.dim = 64, .n_layers = 2, .vocab = 100, .ctx = 1024};

    m.attn = (struct attn_shape){.n_heads = 4, .n_kv_heads = 4, .head_dim = 16};
    m.ffn.dim = 128;
    m.file_bytes = 1 << 20;
    return m;
}

static struct plan given(uint64_t kv_bytes, int64_t available)
{
    return (struct plan){.ctx = 1000,
                         .batch = 4,
                         .batch_tokens = 32,
                         .rows = 4,
                         .kv_bytes = kv_bytes,
                         .available = available};
}

static void test_pages(void)
{
    struct model m = small();
    struct plan p = given(0, -1);
    struct buf b = {0};
    struct err e;

    TEST("the cache is what batch and ctx need, unless memory is short");
    CHECK(!plan_make(&p, &m, &e) && p.pages == 4 * 16 && p.cache == 64ull * PAGE);
    CHECK(p.weights == 1 << 20 && p.scratch > 0);
    p = given(0, 20 << 20);
    CHECK(!plan_make(&p, &m, &e) && p.pages == 64);
    p = given(0, (int64_t)(p.weights + p.scratch + 60 * PAGE));
    CHECK(!plan_make(&p, &m, &e) && p.pages == 30); // half of what is left
    p = given(0, (int64_t)(p.weights + p.scratch + 17 * PAGE));
    CHECK(!plan_make(&p, &m, &e) && p.pages == 16); // one sequence
    p = given(0, (int64_t)(p.weights + p.scratch + 60 * PAGE));
    p.beams = 3;
    CHECK(!plan_make(&p, &m, &e) && p.pages == 48); // one search
    p = given(0, (int64_t)(p.weights + p.scratch + 17 * PAGE));
    CHECK(!plan_make(&p, &m, &e) && p.pages == 16);
    plan_print(&p, &b);
    CHECK(strstr(b.p, "weights 1.0 MiB") &&
          strstr(b.p, "cache up to 1.0 MiB (1024 positions, f32)"));
    buf_free(&b);
    m.window = 100; // and 32 tokens of a step: 131 positions, which may lie in four pages
    p = given(0, -1);
    CHECK(!plan_make(&p, &m, &e) && p.pages == 4 * 4);
    p = given(4 * PAGE, -1);
    CHECK(!plan_make(&p, &m, &e) && p.pages == 4);
    m.window = 0;
    p = given(20 * PAGE + 5, -1);
    CHECK(!plan_make(&p, &m, &e) && p.pages == 20);
}

static void test_refused(void)
{
    struct model m = small();
    struct plan p = given(16 * PAGE - 1, -1);
    struct err e;

    TEST("refused with the numbers");
    CHECK(plan_make(&p, &m, &e) < 0 && e.code == ERR_ARG && strstr(e.msg, "--kv-memory: 1.0 MiB"));
    p = given(47 * PAGE, -1);
    p.beams = 3;
    CHECK(plan_make(&p, &m, &e) < 0 && strstr(e.msg, "a search of --ctx 1000 needs, 3.0 MiB"));
    p = given(0, (int64_t)(p.weights + p.scratch + 15 * PAGE));
    CHECK(plan_make(&p, &m, &e) < 0 && e.code == ERR_MEM);
    CHECK(strstr(e.msg, "weights 1.0, cache 1.0") && strstr(e.msg, "MiB are available"));
    p = given(1ull << 50, 20 << 20);
    CHECK(plan_make(&p, &m, &e) < 0 && strstr(e.msg, "pages"));
    p = given(32 << 20, 20 << 20);
    CHECK(plan_make(&p, &m, &e) < 0 && e.code == ERR_MEM);
}

int main(void)
{
    test_pages();
    test_refused();
    return test_end();
}
