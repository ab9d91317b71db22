/* sched_test.c - who runs: budgets, shared beginnings, preemption. Nothing is computed here. */
#include "sched.h"
#include "test.h"

#include <string.h>

static struct kv kv;
static struct sched s;
static struct sched_seq seq[4], *const all[4] = {&seq[0], &seq[1], &seq[2], &seq[3]};

static void begin(struct backend *b, int pages, int budget, bool cache)
{
    struct model m = {.n_layers = 1, .attn = {.n_kv_heads = 1, .head_dim = 4}};
    struct err e;

    CHECK(!kv_open(&kv, &m, b, KV_F32, pages, &e));
    if (cache)
        kv_cache(&kv);
    sched_open(&s, &kv, budget, 4, 4);
    for (int i = 0; i < 4; i++)
        seq[i] = (struct sched_seq){.group = i};
}

static void end(void)
{
    for (int i = 0; i < 4; i++)
        sched_free(&seq[i], &kv);
    CHECK(kv.n_free == kv.pages.n_pages);
    sched_close(&s);
    kv_close(&kv);
}

/* n tokens first, first + 1, ... */
static void push(struct sched_seq *q, int first, int n)
{
    for (int i = 0; i < n; i++)
        sched_push(q, first + i);
}

/* One step of the first n sequences: "3+1 64 ." = sequence 0 has three tokens and a row, 1
 * has 64 and none, 2 nothing. */
static bool step(int n, const char *want)
{
    const struct step *t = sched_step(&s, all, n);
    char is[200] = "";
    int tokens = 0;

    for (int i = 0; i < n; i++) {
        size_t at = strlen(is);

        if (!seq[i].plan)
            snprintf(is + at, sizeof(is) - at, "%s.", i ? " " : "");
        else
            snprintf(is + at, sizeof(is) - at, "%s%d%s", i ? " " : "", seq[i].plan,
                     seq[i].n_rows == 1 ? "+1"
                     : seq[i].n_rows    ? "+n"
                                        : "");
        tokens += seq[i].plan;
    }
    sched_done(&s, 1);
    if (!strcmp(is, want) && tokens == (t ? t->n : 0) && tokens <= s.budget)
        return true;
    printf("# %s\n", is);
    return false;
}

static void test_budget(struct backend *b)
{
    TEST("single tokens first, then prompts, oldest first, within the budget");
    begin(b, 100, 50, false);
    push(&seq[0], 0, 10);
    push(&seq[1], 0, 100);
    push(&seq[2], 0, 20);
    CHECK(step(3, "10+1 40 ."));
    CHECK(seq[0].row == 0 && seq[0].want == 10 && seq[1].kv.len == 40);
    CHECK(step(3, ". 50 .")); // the first one rests
    sched_push(&seq[0], 5);
    CHECK(step(3, "1+1 10+1 20+1"));
    CHECK(seq[0].row == 0 && seq[1].row == 1 && seq[2].row == 2);
    CHECK(!sched_step(&s, all, 3));
    push(&seq[2], 7, 3); // several at once: only the last one's logits are wanted
    CHECK(step(3, ". . 3+1"));
    CHECK(s.count.steps == 4 && s.count.hits == 0 && s.count.again == 0);
    end();

    TEST("logits of many tokens: no more rows than there are");
    begin(b, 100, 50, false);
    push(&seq[0], 0, 20);
    seq[0].want = 8;
    CHECK(step(1, "12+n") && seq[0].n_rows == 4 && seq[0].want == 12); // 4 rows a step here
    CHECK(step(1, "4+n") && step(1, "4+n") && seq[0].want == 20);
    end();

    TEST("a budget of one token: one after the other");
    begin(b, 100, 1, false);
    push(&seq[0], 0, 2);
    push(&seq[1], 0, 2);
    CHECK(step(2, "1 .") && step(2, "1+1 .") && step(2, ". 1") && step(2, ". 1+1"));
    end();
}

static void test_share(struct backend *b)
{
    TEST("a beginning that was computed is taken over, in the same step already");
    begin(b, 100, 300, true);
    push(&seq[0], 0, 100);
    push(&seq[1], 0, 100);
    push(&seq[2], 0, 70);
    push(&seq[3], 0, 3);
    CHECK(step(4, "100+1 . 6+1 3+1")); // full pages at once; 1 waits for the page that 0 writes
    CHECK(seq[1].kv.n_pages == 1 && seq[1].kv.page[0] == seq[0].kv.page[0]);
    CHECK(step(4, ". 1+1 . .")); // its last token is always computed
    CHECK(seq[1].kv.page[1] != seq[0].kv.page[1]);
    CHECK(s.count.hits == 64 + 64 + 35);
    sched_free(&seq[0], &kv);
    seq[0].group = 4;
    push(&seq[0], 0, 64);
    push(&seq[0], 500, 64);
    seq[1].want = seq[2].want = seq[3].want = 0;
    sched_free(&seq[1], &kv);
    sched_free(&seq[2], &kv);
    sched_free(&seq[3], &kv);
    CHECK(step(1, "64+1") && s.count.hits == 64 + 64 + 35 + 64);
    end();

    TEST("without the cache all is computed");
    begin(b, 100, 300, false);
    push(&seq[0], 0, 100);
    push(&seq[1], 0, 100);
    CHECK(step(2, "100+1 100+1") && s.count.hits == 0);
    end();
}

static void test_preempt(struct backend *b)
{
    TEST("no page: the youngest gives its own back, and begins again when there are some");
    begin(b, 5, 1000, false);
    push(&seq[0], 0, 128);
    push(&seq[1], 0, 64);
    push(&seq[2], 0, 60);
    CHECK(step(3, "128+1 64+1 .")); // 1 page is left, and two run that may want it
    sched_push(&seq[0], 1);
    CHECK(step(3, "1+1 . ."));
    CHECK(kv.n_free == 1);
    sched_push(&seq[1], 1);
    CHECK(step(3, ". 1+1 ."));
    CHECK(kv.n_free == 0);
    push(&seq[0], 0, 64);
    CHECK(step(3, "64+1 . .")); // its fourth page comes from sequence 1
    CHECK(s.count.preemptions == 1 && seq[1].kv.n_pages == 0 && kv.n_free == 1);
    sched_push(&seq[1], 2);
    CHECK(!sched_step(&s, all, 3)); // 66 tokens do not fit, and 2 does not overtake
    sched_free(&seq[0], &kv);
    CHECK(step(3, ". 66+1 60+1") && s.count.again == 65);
    end();

    TEST("who is preempted drops out of the step; what it would have written is not noted");
    begin(b, 6, 1000, true);
    seq[2].group = 1;
    push(&seq[0], 0, 64);
    push(&seq[1], 100, 63);
    push(&seq[2], 200, 63);
    CHECK(step(3, "64+1 63+1 63+1"));
    push(&seq[0], 300, 256); // wants four pages: three are free
    sched_push(&seq[1], 1);  // fills its page
    sched_push(&seq[2], 1);
    CHECK(step(3, "256+1 . ."));
    CHECK(s.count.preemptions == 1 && !seq[1].kv.n_pages && !seq[2].kv.n_pages && kv.n_free == 1);
    push(&seq[3], 100, 63);
    push(&seq[3], 1, 2);
    for (int i = 0; i < 3; i++)
        sched_free(&seq[i], &kv);
    CHECK(step(4, ". . . 2+1")); // 63 were computed before
    end();
}

int main(void)
{
    struct err e;
    struct backend *b = backend_cpu_open(1, ISA_AUTO, &e);

    test_budget(b);
    test_share(b);
    test_preempt(b);
    backend_close(b);
    return test_end();
}
