/* step_test.c - tokens, positions, page table and wanted rows of a step. */
#include "step.h"
#include "test.h"

#include <string.h>

static void test_mixed(struct step_build *b)
{
    int32_t pages_a[] = {7, 3, 9}, pages_b[] = {4}, prompt[] = {10, 11, 12, 13}, one = 99;
    struct kv_seq a = {.page = pages_a, .n_pages = 3, .len = 128};
    struct kv_seq c = {.page = pages_b, .n_pages = 1, .len = 5};
    const struct step *s;

    TEST("a prompt chunk and a decode token in one step");
    step_reset(b);
    CHECK(step_add(b, &c, &one, 1, 5, 1) == 0);
    CHECK(step_add(b, &a, prompt, 4, 126, 2) == 1);
    s = step_done(b);
    CHECK(s->n == 5 && s->n_out == 3 && s->n_seq == 2 && s->max_pages == 3);
    CHECK(s->token[0] == 99 && !memcmp(s->token + 1, prompt, sizeof(prompt)));
    CHECK(s->pos[0] == 5 && s->pos[1] == 126 && s->pos[4] == 129);
    CHECK(s->seq[0] == 0 && s->seq[1] == 1 && s->seq[4] == 1);
    CHECK(s->out[0] == 0 && s->out[1] == 3 && s->out[2] == 4);
    CHECK(s->page[0] == 4 && s->page[1] == 0 && s->page[2] == 0);
    CHECK(!memcmp(s->page + 3, pages_a, sizeof(pages_a)));
}

static void test_none_wanted(struct step_build *b)
{
    int32_t page = 2, token[] = {1, 2};
    struct kv_seq a = {.page = &page, .n_pages = 1};
    const struct step *s;

    TEST("a chunk of which no logits are wanted, after a reset");
    step_reset(b);
    CHECK(step_add(b, &a, token, 2, 0, 0) == 0);
    s = step_done(b);
    CHECK(s->n == 2 && s->n_out == 0 && s->n_seq == 1 && s->max_pages == 1 && s->page[0] == 2);
}

static void test_tree(struct step_build *b)
{
    int32_t pages[] = {7, 3}, token[] = {1, 2, 3}, one = 9;
    uint64_t tree[] = {1, 2, 5};
    struct kv_seq a = {.page = pages, .n_pages = 2, .len = 62};
    const struct step *s;

    TEST("a tree, whose nodes have slots in their order and positions by depth");
    step_reset(b);
    CHECK(step_add(b, &a, &one, 1, 3, 1) == 0);
    CHECK(step_add_tree(b, &a, token, tree, 3, 62) == 1);
    s = step_done(b);
    CHECK(s->n == 4 && s->n_out == 4 && s->n_seq == 2);
    CHECK(s->pos[0] == 3 && s->slot[0] == 3 && s->tree[0] == 0);
    CHECK(s->pos[1] == 62 && s->pos[2] == 62 && s->pos[3] == 63);
    CHECK(s->slot[1] == 62 && s->slot[2] == 63 && s->slot[3] == 64 && s->tree[3] == 5);
    CHECK(step_slot(s, 3) == 64 && s->token[3] == 3 && s->out[3] == 3);
    step_reset(b);
    step_add(b, &a, &one, 1, 3, 1);
    s = step_done(b);
    CHECK(!s->tree && !s->slot && step_slot(s, 0) == 3);
}

int main(void)
{
    struct step_build b;

    step_init(&b, 8, 4, 3);
    test_mixed(&b);
    test_none_wanted(&b);
    test_tree(&b);
    step_free(&b);
    step_free(&b);
    return test_end();
}
