/* prefix_test.c - pages are found by what stands before them and by all their tokens. */
#include "prefix.h"
#include "test.h"

#include <string.h>

enum { PAGES = 40, N = BACKEND_PAGE };

static void fill(int32_t *t, int first)
{
    for (int i = 0; i < N; i++)
        t[i] = first + i;
}

static void test_find(struct prefix *p)
{
    int32_t a[N], b[N];
    uint64_t name = 0, first, second;

    TEST("a page is found after what it followed, and only there");
    fill(a, 0);
    fill(b, 100);
    first = prefix_put(p, 7, 0, a, N);
    second = prefix_put(p, 3, first, b, N);
    CHECK(first && second && first != second && prefix_has(p, 7) && prefix_tokens(p, 3) == N);
    CHECK(prefix_find(p, 0, a, &name) == 7 && name == first);
    CHECK(prefix_find(p, first, b, &name) == 3 && name == second);
    CHECK(prefix_find(p, 0, b, &name) < 0 && prefix_find(p, first, a, &name) < 0);
    CHECK(prefix_find(p, second, b, &name) < 0);
    a[N - 1]++;
    CHECK(prefix_find(p, 0, a, &name) < 0);
    a[N - 1]--;

    TEST("the same tokens in another page have the same name, and are not noted");
    CHECK(prefix_put(p, 9, 0, a, N) == first && !prefix_has(p, 9));
    CHECK(prefix_put(p, 7, 0, a, N) == first && prefix_has(p, 7));

    TEST("what is forgotten is not found, nor what followed it");
    prefix_drop(p, 7);
    CHECK(prefix_find(p, 0, a, &name) < 0 && !prefix_has(p, 7) && prefix_tokens(p, 7) == 0);
    CHECK(prefix_put(p, 9, 0, a, N) != first && prefix_find(p, 0, a, &name) == 9);
    CHECK(prefix_find(p, name, b, &name) < 0);
    CHECK(prefix_find(p, first, b, &name) == 3); // by who knows the old name
}

static void test_near(struct prefix *p)
{
    int32_t a[N];
    int same, soon;

    TEST("the page that begins with most of the tokens");
    fill(a, 0);
    CHECK(prefix_near(p, 0, a, N, &same, &soon) < 0 && same == 0);
    prefix_put(p, 1, 0, a, 20);
    a[30] = -1;
    prefix_put(p, 2, 0, a, N);
    a[10] = -1;
    prefix_put(p, 3, 0, a, N);
    fill(a, 0);
    CHECK(prefix_near(p, 0, a, N, &same, &soon) < 0 && same == 0 && soon == 30); // not there yet
    prefix_step(p);
    CHECK(prefix_near(p, 0, a, N, &same, &soon) == 2 && same == 30);
    CHECK(prefix_near(p, 0, a, 12, &same, &soon) >= 1 && same == 12); // no more than is asked for
    CHECK(prefix_near(p, 5, a, N, &same, &soon) < 0);                 // after something else
    prefix_drop(p, 2);
    CHECK(prefix_near(p, 0, a, N, &same, &soon) == 1 && same == 20 && soon == 0);
    prefix_put(p, 1, 0, a, 40); // which grows
    CHECK(prefix_near(p, 0, a, N, &same, &soon) == 3 && same == 10 && soon == 40);
    prefix_step(p);
    CHECK(prefix_near(p, 0, a, N, &same, &soon) == 1 && same == 40);
    a[0] = -5;
    CHECK(prefix_near(p, 0, a, N, &same, &soon) < 0);
    CHECK(prefix_near(p, 0, a, 0, &same, &soon) < 0);
}

/* Many pages with the same beginning: the latest are found, and each by all its tokens. */
static void test_many(struct prefix *p)
{
    int32_t a[N];
    uint64_t name;
    int same, soon, found = 0;

    TEST("more pages of one beginning than a set has places for");
    fill(a, 1000);
    for (int i = 0; i < PAGES; i++) {
        a[N - 1] = i;
        prefix_put(p, i, 0, a, N);
    }
    for (int i = 0; i < PAGES; i++) {
        a[N - 1] = i;
        found += prefix_find(p, 0, a, &name) == i;
    }
    CHECK(found == PAGES);
    a[N - 1] = -1;
    prefix_step(p);
    CHECK(prefix_near(p, 0, a, N, &same, &soon) >= PAGES - 8 && same == N - 1);
}

int main(void)
{
    struct prefix p = {0};

    CHECK(!prefix_has(&p, 0));
    prefix_open(&p, PAGES);
    test_find(&p);
    prefix_close(&p);
    prefix_open(&p, PAGES);
    test_near(&p);
    prefix_close(&p);
    prefix_open(&p, PAGES);
    test_many(&p);
    prefix_close(&p);
    prefix_close(&p);
    return test_end();
}
