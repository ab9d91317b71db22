/* kv_test.c - pages are given, shared, copied and taken back; none is lost, none is given twice. */
#include "kv.h"
#include "test.h"

#include <string.h>

enum { PAGES = 10, FLOATS = 3 * 2 * 2 * 64 * 8 };

static struct model small(void)
{
    return (struct model){.n_layers = 3, .attn = {.n_kv_heads = 2, .head_dim = 8}};
}

/* Every page is free exactly once, or held by as many sequences as it counts. */
static bool whole(const struct kv *kv, const struct kv_seq *s, int n)
{
    int held[PAGES] = {0}, listed[PAGES] = {0}, n_free = 0, good = 0;

    for (int p = kv->first, last = -1; p >= 0; last = p, p = kv->page[p].behind) {
        n_free += kv->page[p].before == last;
        listed[p]++;
    }
    for (int i = 0; i < n; i++)
        for (int k = 0; k < s[i].n_pages; k++)
            held[s[i].page[k]]++;
    for (int i = 0; i < PAGES; i++)
        good += kv->page[i].refs == held[i] && listed[i] == !held[i];
    return good == PAGES && n_free == kv->n_free;
}

static void test_pages(struct backend *b)
{
    struct model m = small();
    struct kv kv;
    struct kv_seq s[2] = {{0}};
    struct err e;

    TEST("reserve, cut and release");
    CHECK(kv_page_bytes(&m) == FLOATS * 4);
    CHECK(!kv_open(&kv, &m, b, PAGES, &e));
    CHECK(kv.bytes == PAGES * kv_page_bytes(&m) && kv.n_free == PAGES);
    CHECK(!kv_reserve(&kv, &s[0], 64) && s[0].n_pages == 1 && s[0].page[0] == 0);
    s[0].len = 64;
    CHECK(!kv_reserve(&kv, &s[0], 1) && s[0].n_pages == 2 && s[0].page[1] == 1);
    CHECK(!kv_reserve(&kv, &s[0], 64) && s[0].n_pages == 2); // there is room already
    CHECK(!kv_reserve(&kv, &s[1], 64 * 8) && kv.n_free == 0);
    CHECK(kv_reserve(&kv, &s[0], 65) < 0 && s[0].n_pages == 2 && whole(&kv, s, 2));
    CHECK(kv_reserve(&kv, &s[0], INT32_MAX) < 0 && s[0].n_pages == 2);
    s[1].len = 64 * 8;
    kv_cut(&kv, &s[1], 65);
    CHECK(s[1].n_pages == 2 && s[1].len == 65 && kv.n_free == 6 && whole(&kv, s, 2));
    kv_cut(&kv, &s[1], 100); // never longer than it was
    CHECK(s[1].len == 65 && s[1].n_pages == 2);
    kv_cut(&kv, &s[1], 64);
    CHECK(s[1].n_pages == 1 && whole(&kv, s, 2));
    kv_release(&kv, &s[0]);
    CHECK(!s[0].page && s[0].n_pages == 0 && s[0].len == 0 && whole(&kv, s, 2));
    kv_release(&kv, &s[1]);
    CHECK(kv.n_free == PAGES && whole(&kv, s, 2));
    kv_release(&kv, &s[1]);
    kv_close(&kv);
    kv_close(&kv);
}

/* The value of position 0 .. 63 of a page in the last layer, head and dimension. */
static float *place(const struct kv *kv, int page, int pos)
{
    size_t layer = (size_t)FLOATS / 3, at = 2 * PAGES * layer + (size_t)page * layer;

    return kv->pages.data_d + at + layer - (size_t)(64 - pos) * 8 + 7;
}

static void test_fork(struct backend *b)
{
    struct model m = small();
    struct kv kv;
    struct kv_seq s[3] = {{0}};
    struct err e;

    TEST("fork shares pages; the first to write copies the partly filled one");
    CHECK(!kv_open(&kv, &m, b, PAGES, &e));
    CHECK(!kv_reserve(&kv, &s[0], 100));
    s[0].len = 100;
    *place(&kv, s[0].page[1], 35) = 7;
    kv_fork(&kv, &s[1], &s[0]);
    CHECK(s[1].n_pages == 2 && s[1].len == 100 && kv.n_free == 8 && whole(&kv, s, 3));
    CHECK(!memcmp(s[0].page, s[1].page, 2 * sizeof(*s[0].page)));
    CHECK(!kv_reserve(&kv, &s[1], 1) && s[1].page[0] == s[0].page[0]);
    CHECK(s[1].page[1] != s[0].page[1] && kv.n_free == 7 && whole(&kv, s, 3));
    CHECK(*place(&kv, s[1].page[1], 35) == 7);
    *place(&kv, s[1].page[1], 36) = 8; // its own
    CHECK(*place(&kv, s[0].page[1], 36) == 0);
    CHECK(!kv_reserve(&kv, &s[0], 1) && kv.n_free == 7); // alone now: no copy

    TEST("fork over a sequence that had pages, at a page's end, in a full pool");
    kv_cut(&kv, &s[0], 64);
    kv_fork(&kv, &s[1], &s[0]);
    CHECK(s[1].n_pages == 1 && s[1].len == 64 && kv.n_free == 9 && whole(&kv, s, 3));
    CHECK(!kv_reserve(&kv, &s[1], 1) && s[1].page[0] == s[0].page[0]); // a full page is not copied
    s[1].len = 65;
    CHECK(!kv_reserve(&kv, &s[2], 8 * 64) && kv.n_free == 0);
    kv_fork(&kv, &s[0], &s[1]);
    CHECK(kv_reserve(&kv, &s[0], 1) < 0 && s[0].page[1] == s[1].page[1] && whole(&kv, s, 3));
    kv_release(&kv, &s[1]);
    CHECK(!kv_reserve(&kv, &s[0], 1) && whole(&kv, s, 3)); // nobody else holds it now
    kv_release(&kv, &s[0]);
    kv_release(&kv, &s[2]);
    kv_fork(&kv, &s[0], &s[1]); // nothing of nothing
    CHECK(kv.n_free == PAGES && whole(&kv, s, 3));
    kv_close(&kv);
}

static void test_refused(struct backend *b)
{
    struct model m = small();
    struct kv kv;
    struct err e;

    TEST("caches that cannot be");
    CHECK(kv_open(&kv, &m, b, 0, &e) < 0 && e.code == ERR_ARG);
    m.n_layers = 1 << 10;
    m.attn.n_kv_heads = 1 << 12;
    m.attn.head_dim = 1 << 12;
    CHECK(kv_open(&kv, &m, b, INT32_MAX, &e) < 0 && strstr(e.msg, "pages"));
    kv_close(&kv); // still safe
}

int main(void)
{
    struct err e;
    struct backend *b = backend_cpu_open(1, ISA_AUTO, &e);

    test_pages(b);
    test_fork(b);
    test_refused(b);
    backend_close(b);
    return test_end();
}
